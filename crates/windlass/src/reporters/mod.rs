//! Sinks for people and programs: log lines, JSON, progress, and the digest of a run that failed.

pub(crate) mod digest;
pub(crate) mod findings;
pub(crate) mod json;
pub(crate) mod log;
pub(crate) mod progress;
pub(crate) mod steady;
