//! How Windlass ends: the exit statuses, and what is said with them.

use std::fmt;
use std::process::ExitCode;

use windlass_engine::executor::Report;
use windlass_engine::secrets::Secrets;
use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::event::RunEnd;

/// Why a verb did not end well.
#[derive(Debug)]
pub(crate) enum Ending {
    /// Exit status 2: nothing was done, the input is at fault.
    Input(Diagnostics),
    /// Exit status 1: tasks failed; the digest has said which.
    Failed,
    /// Exit status 3: Windlass itself failed.
    Own(String),
    /// Exit status 3: somebody else who was to answer did not: what, and what to do.
    Away(Diagnostics),
    /// Exit status 4: something is not known; the digest has said what.
    Unknown,
    /// Exit status 130: the operator stopped it.
    Interrupted,
}

impl Ending {
    /// The input is at fault: one message and what to do.
    pub(crate) fn input(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Input(Diagnostic::error(message).hint(hint).into())
    }

    /// Windlass could not do `what`.
    pub(crate) fn own(what: impl fmt::Display, error: impl fmt::Display) -> Self {
        Self::Own(format!("{what}: {error}"))
    }

    /// Without the values of secrets.
    pub(crate) fn masked(mut self, secrets: &Secrets) -> Self {
        let mask = |text: &mut String| *text = secrets.mask(std::mem::take(text));
        match &mut self {
            Self::Own(message) => mask(message),
            Self::Input(diagnostics) | Self::Away(diagnostics) => {
                for diagnostic in &mut diagnostics.0 {
                    mask(&mut diagnostic.message);
                    diagnostic.hint.iter_mut().for_each(mask);
                }
            }
            Self::Failed | Self::Unknown | Self::Interrupted => {}
        }
        self
    }

    /// The exit status.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed => 1,
            Self::Input(_) => 2,
            Self::Own(_) | Self::Away(_) => 3,
            Self::Unknown => 4,
            Self::Interrupted => 130,
        })
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(diagnostics) | Self::Away(diagnostics) => diagnostics.fmt(f),
            Self::Own(message) => writeln!(f, "error: Windlass itself failed: {message}"),
            Self::Interrupted => writeln!(f, "interrupted"),
            Self::Failed | Self::Unknown => Ok(()),
        }
    }
}

impl From<Diagnostics> for Ending {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Input(diagnostics)
    }
}

impl From<Diagnostic> for Ending {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Input(diagnostic.into())
    }
}

/// The ending of a run.
pub(crate) fn of_run(report: &Report) -> Result<(), Ending> {
    match report.end {
        RunEnd::Succeeded => Ok(()),
        RunEnd::Failed => Err(Ending::Failed),
        RunEnd::Unknown => Err(Ending::Unknown),
        RunEnd::Interrupted => Err(Ending::Interrupted),
    }
}
