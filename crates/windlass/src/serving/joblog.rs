//! What a job prints, as a file that its agent sends to the manager.

use std::fs::{File, OpenOptions};
use std::path::Path;

use jiff::tz::TimeZone;
use windlass_engine::events::Sink;

use crate::reporters::log::{Log, Verbosity};
use crate::reporters::steady::Steady;

/// Appends to a job's file. What cannot be written is left out: a log is no reason for a job to fail.
pub(super) fn sink(path: &Path) -> Result<Box<dyn Sink>, String> {
    let open =
        || -> std::io::Result<File> { OpenOptions::new().create(true).append(true).open(path) };
    let file =
        open().map_err(|e| format!("the job's log cannot be written: {}: {e}", path.display()))?;
    Ok(Box::new(Log::new(
        Steady::new(file),
        Verbosity::Verbose,
        TimeZone::system(),
    )))
}
