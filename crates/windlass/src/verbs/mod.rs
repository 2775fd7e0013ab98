//! The verbs, one a file: its arguments and what it does.

pub(crate) mod commands;
pub(crate) mod completions;
pub(crate) mod deploy;
pub(crate) mod generate;
pub(crate) mod generators;
pub(crate) mod hosts;
pub(crate) mod init;
pub(crate) mod man;
pub(crate) mod plan;
pub(crate) mod python;
pub(crate) mod quickstart;
pub(crate) mod rollback;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod service;
pub(crate) mod where_is;
