//! The sample that `windlass quickstart` deploys: its releases and config, and the service itself.

pub(crate) mod sample;
pub(crate) mod server;
