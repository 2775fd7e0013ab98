//! What came of a task.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What came of a task. The outcome is the truth: what is not known is `Unknown`, never a guess.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done, and something is different now.
    Changed,
    /// Already as wanted.
    Unchanged,
    /// Not needed here; the text says why.
    Skipped(String),
    /// Tried, and it did not work.
    Failed(Failure),
    /// Begun, and the end was not heard; the text says what to look at.
    Unknown(String),
    /// Never begun; the text says why.
    NotRun(String),
}

impl Outcome {
    /// A failure that the command itself found.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed(Failure {
            kind: FailureKind::Command,
            message: message.into(),
            status: None,
        })
    }

    /// Whether work that depends on it may go on: changed, unchanged and skipped.
    pub fn lets_go_on(&self) -> bool {
        matches!(self, Self::Changed | Self::Unchanged | Self::Skipped(_))
    }

    /// One word of the field: changed, unchanged, skipped, failed, unknown, not run.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Skipped(_) => "skipped",
            Self::Failed(_) => "failed",
            Self::Unknown(_) => "unknown",
            Self::NotRun(_) => "not run",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed | Self::Unchanged => f.write_str(self.word()),
            Self::Skipped(why) | Self::Unknown(why) | Self::NotRun(why) => {
                write!(f, "{}: {why}", self.word())
            }
            Self::Failed(failure) => write!(f, "failed: {failure}"),
        }
    }
}

/// Why a task failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Whose fault it is.
    pub kind: FailureKind,
    /// What happened: one line.
    pub message: String,
    /// The exit status, if a program on the host ended with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
}

impl Failure {
    /// A failure of `kind` without an exit status.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            status: None,
        }
    }

    /// With the exit status of the program that failed.
    pub fn with_status(mut self, status: i32) -> Self {
        self.status = Some(status);
        self
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FailureKind::Command => f.write_str(&self.message),
            kind => write!(f, "{kind}: {}", self.message),
        }
    }
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The work itself: a status that was not wanted, a check that did not pass.
    Command,
    /// It took longer than the task's `time_limit`.
    TimeLimit,
    /// The connection ended while the task ran.
    LinkLost,
    /// The host could not be reached.
    Unreachable,
    /// The host did not let us in: keys, passwords, sudo.
    Denied,
    /// A defect of Windlass, named as one.
    Panic,
    /// A plugin that died, printed rubbish, was silent too long or broke a limit.
    Plugin,
    /// The operator stopped it.
    Interrupted,
    /// The host is not locked by this run, or not any more: nothing was done there.
    Lock,
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Command => "command",
            Self::TimeLimit => "time limit",
            Self::LinkLost => "link lost",
            Self::Unreachable => "unreachable",
            Self::Denied => "denied",
            Self::Panic => "defect in Windlass",
            Self::Plugin => "plugin",
            Self::Interrupted => "interrupted",
            Self::Lock => "lock",
        })
    }
}
