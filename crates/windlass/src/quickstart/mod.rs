//! What `windlass quickstart` shows: a sample service that is deployed, and the release system at work.

pub(crate) mod installations;
pub(crate) mod release;
pub(crate) mod sample;
pub(crate) mod server;
