//! Where a run came from: what it takes, beside its tasklist, to go on with it. Kept in the run's directory.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use windlass_engine::journal;
use windlass_model::ids::RunId;

/// What a run was started with. Paths are absolute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// The config.
    pub(crate) config: Option<PathBuf>,
    /// Where relative paths of the tasklist start.
    pub(crate) base: PathBuf,
    /// The ssh_config that was named.
    pub(crate) ssh_config: Option<PathBuf>,
}

impl Origin {
    /// Keeps it beside the run's tasklist, durable.
    pub(crate) fn keep(&self, state: &Path, run: &RunId) -> io::Result<()> {
        journal::write_durably(&path(state, run), &serde_json::to_vec_pretty(self)?)
    }

    /// Reads it back.
    pub(crate) fn read(state: &Path, run: &RunId) -> io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(path(state, run))?)?)
    }
}

fn path(state: &Path, run: &RunId) -> PathBuf {
    journal::directory(state, run).join("origin.json")
}
