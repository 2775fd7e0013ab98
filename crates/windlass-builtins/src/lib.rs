//! Implementations that Windlass brings: commands, hosts, generators, behaviours, and those that plugins back.

pub mod behaviours;
pub mod commands;
pub mod digest;
pub mod generators;
pub mod hosts;
pub mod hosts_check;
pub mod hosts_trust;
pub mod plugins;
pub mod secrets;
pub mod sh;
pub mod vcs;
