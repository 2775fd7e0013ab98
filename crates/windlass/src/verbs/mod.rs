//! The verbs, one a file: its arguments and what it does.

pub mod commands;
pub mod completions;
pub mod deploy;
pub mod generators;
pub mod init;
pub mod man;
pub mod plan;
pub mod quickstart;
pub mod run;
pub mod runs;
pub mod schema;
pub mod service;
