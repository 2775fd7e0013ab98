//! What runs a tasklist: traits for commands, generators and hosts, their registry, the job queue, the executor,
//! events and the journal. No command, host or generator itself lives here.

pub mod availability;
pub mod command;
pub mod events;
pub mod executor;
pub mod generator;
pub mod host;
pub mod interrupt;
pub mod journal;
pub mod locks;
pub mod outline;
pub mod queue;
pub mod registry;
pub mod schema;
pub mod secrets;
