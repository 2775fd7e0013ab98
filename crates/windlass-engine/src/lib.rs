//! What runs a tasklist: traits for commands, generators and hosts, their registry, the job queue, the executor,
//! events and the journal. No command, host or generator itself lives here.

pub mod command;
pub mod generator;
pub mod host;
pub mod interrupt;
pub mod registry;
pub mod secrets;
