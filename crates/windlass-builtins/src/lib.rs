//! Implementations that Windlass brings: commands, hosts, generators, and those that plugins back.

pub mod commands;
pub mod digest;
pub mod generators;
pub mod hosts;
pub mod hosts_check;
pub mod hosts_trust;
pub mod plugins;
pub mod secrets;
pub mod sh;
