//! Hosts over SSH, in this process: one connection for each (host, port, user), shared by all that talk to it.

mod algorithms;
mod auth;
pub mod config;
mod connect;
mod host_key;
mod known_files;
pub mod known_hosts;
mod link;
mod listened;
mod pace;
mod pool;
mod preflight;

pub use host_key::Scanned;
pub(crate) use pool::Ssh;
