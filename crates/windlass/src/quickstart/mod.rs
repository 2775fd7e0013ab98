//! The sample that `windlass quickstart` deploys: its releases and config, and the service itself.

pub mod sample;
pub mod server;
