//! Hosts over SSH, in this process.

pub mod config;
pub mod known_hosts;
