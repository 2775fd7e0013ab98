//! Units of an agent's work.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ids::{Environment, Project, ReleaseId, TargetName, TransactionId};
use super::index::Item;

/// Counts the leases of a job, from 1. A report that names an older one is refused.
pub type Epoch = u64;

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Nobody has it.
    Queued,
    /// An agent has the right to begin it.
    Leased,
    /// An agent has begun it.
    Started,
    /// It succeeded.
    Done,
    /// It failed.
    Failed,
    /// It was begun, and what came of it is not known.
    Unknown,
    /// It was taken back before it began.
    Cancelled,
}

impl JobState {
    /// Whether nothing more comes of it by itself.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }

    /// Whether an agent has it.
    pub fn is_held(self) -> bool {
        matches!(self, Self::Leased | Self::Started)
    }

    /// Its name in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Leased => "leased",
            Self::Started => "started",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
        }
    }

    /// From its name in the store.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [
            Self::Queued,
            Self::Leased,
            Self::Started,
            Self::Done,
            Self::Failed,
            Self::Unknown,
            Self::Cancelled,
        ];
        all.into_iter().find(|state| state.as_str() == name)
    }
}

/// What an agent is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum JobSpec {
    /// Of a builder.
    Build(BuildSpec),
    /// Of an installer.
    Install(InstallSpec),
}

/// A build. [`super::Request::read`] of `request` gives what is to be checked out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BuildSpec {
    /// Whose.
    pub transaction: TransactionId,
    /// What is built.
    pub project: Project,
    /// The targets that the project has; a build gives a resource for each.
    pub targets: Vec<TargetName>,
    /// The client's request data, unchanged.
    pub request: Map<String, Value>,
    /// For an action of the project's own: the generator whose tasklist is run on the source, and which makes no release. None: a
    /// build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<String>,
}

/// An install of one resource by one installer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstallSpec {
    /// Whose.
    pub transaction: TransactionId,
    /// The fence: transactions of a manager are numbered, and an installer never starts one for a target after a higher one.
    pub sequence: u64,
    /// Where to.
    pub environment: Environment,
    /// Which of its targets.
    pub target: TargetName,
    /// What is installed.
    pub release: ReleaseId,
    /// The target's resource.
    pub resource: Item,
    /// What was installed there before and was good, if anything was.
    pub previous: Option<ReleaseId>,
    /// The client's request data, unchanged.
    pub request: Map<String, Value>,
}
