//! Options that a command was given and that the next one needs, too: what is named to be typed next can be pasted.

use std::path::PathBuf;

use windlass_builtins::sh::quote;
use windlass_model::ids::RunId;

/// Such options, as they were given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    /// `--state-dir`.
    pub(crate) state_dir: Option<PathBuf>,
    /// `--config`.
    pub(crate) config: Option<PathBuf>,
}

impl Given {
    /// The command that goes on with a run.
    pub(crate) fn resume(&self, run: &RunId) -> String {
        let config = option("--config", self.config.as_ref());
        format!("windlass deploy --resume {run}{}{config}", self.state())
    }

    /// A command about runs.
    pub(crate) fn runs(&self, what: &str) -> String {
        format!("windlass runs {what}{}", self.state())
    }

    fn state(&self) -> String {
        option("--state-dir", self.state_dir.as_ref())
    }
}

fn option(name: &str, value: Option<&PathBuf>) -> String {
    value.map_or_else(String::new, |value| {
        format!(" {name} {}", quote(&value.to_string_lossy()))
    })
}
