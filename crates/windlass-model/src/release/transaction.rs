//! A request's way, and the status that clients see.

use serde::{Deserialize, Serialize};

/// How far a transaction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It could not be routed; nothing was begun.
    Rejected,
    /// A builder has it, or will have it.
    Building,
    /// The release is there, and the install waits for others into the same targets.
    Waiting,
    /// Waves of installs.
    Installing,
    /// Nothing more comes of it, unless it is settled.
    Ended,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// All that was asked for.
    Done,
    /// There is no release.
    BuildFailed,
    /// An installer failed.
    InstallFailed,
    /// It is not known what an agent did.
    Unknown,
    /// Somebody took it back.
    Cancelled,
}

/// What `query_transaction` answers; the first three are the seed's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(
    missing_docs,
    reason = "named for the phases and ends that they tell of"
)]
pub enum Status {
    Started,
    BuildCompleted,
    InstallCompleted,
    Rejected,
    BuildFailed,
    InstallFailed,
    Cancelled,
    Unknown,
}

impl Status {
    /// A pure function of the state. `installs`: whether more than a build was asked for.
    pub fn of(phase: Phase, end: Option<End>, installs: bool) -> Self {
        match (phase, end) {
            (Phase::Rejected, _) => Self::Rejected,
            (Phase::Building, _) => Self::Started,
            (Phase::Waiting | Phase::Installing, _) => Self::BuildCompleted,
            (Phase::Ended, Some(End::Done)) if installs => Self::InstallCompleted,
            (Phase::Ended, Some(End::Done)) => Self::BuildCompleted,
            (Phase::Ended, Some(End::BuildFailed)) => Self::BuildFailed,
            (Phase::Ended, Some(End::InstallFailed)) => Self::InstallFailed,
            (Phase::Ended, Some(End::Cancelled)) => Self::Cancelled,
            (Phase::Ended, Some(End::Unknown) | None) => Self::Unknown,
        }
    }

    /// As clients see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "STARTED",
            Self::BuildCompleted => "BUILD_COMPLETED",
            Self::InstallCompleted => "INSTALL_COMPLETED",
            Self::Rejected => "REJECTED",
            Self::BuildFailed => "BUILD_FAILED",
            Self::InstallFailed => "INSTALL_FAILED",
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
        }
    }
}

impl Phase {
    /// Its name in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Building => "building",
            Self::Waiting => "waiting",
            Self::Installing => "installing",
            Self::Ended => "ended",
        }
    }

    /// From its name in the store.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [
            Self::Rejected,
            Self::Building,
            Self::Waiting,
            Self::Installing,
            Self::Ended,
        ];
        all.into_iter().find(|phase| phase.as_str() == name)
    }

    /// Whether nothing more comes of it by itself.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Rejected | Self::Ended)
    }
}

impl End {
    /// Its name in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::BuildFailed => "build_failed",
            Self::InstallFailed => "install_failed",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
        }
    }

    /// From its name in the store.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [
            Self::Done,
            Self::BuildFailed,
            Self::InstallFailed,
            Self::Unknown,
            Self::Cancelled,
        ];
        all.into_iter().find(|end| end.as_str() == name)
    }
}
