//! Sinks for people and programs: log lines, JSON, progress, and the digest of a run that failed.

pub mod digest;
pub mod json;
pub mod log;
pub mod progress;
