//! A transaction with everything that changes together with it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ids::{AgentName, Environment, JobId, Project, ReleaseId, TargetName, TransactionId};
use super::index::Index;
use super::job::{Epoch, JobState};
use super::transaction::{End, Phase, Status};

/// A time: microseconds since 1970 in UTC, by the clock of the store.
pub type Micros = i64;

/// Who did something, and from where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// A client's identity, `manager`, or an agent's `builder NAME`, `installer NAME`.
    pub name: String,
    /// The address that it came from; empty for the manager itself.
    pub address: String,
}

impl Actor {
    /// The manager itself.
    pub fn manager() -> Self {
        Self {
            name: "manager".into(),
            address: String::new(),
        }
    }
}

/// A request and how far it has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transaction {
    /// Its id.
    pub id: TransactionId,
    /// Counts the transactions of a store, from 1: an installer's fence.
    pub sequence: u64,
    /// Of what.
    pub project: Project,
    /// `build`, `install`, or one that the project declares.
    pub action: String,
    /// Where to.
    pub environment: Option<Environment>,
    /// The client's request data, unchanged.
    pub request: Map<String, Value>,
    /// Who asked.
    pub actor: Actor,
    /// How far it has come.
    pub phase: Phase,
    /// How it ended, when it did.
    pub end: Option<End>,
    /// Whether more than a build was asked for.
    pub installs: bool,
    /// The release that it made or installs, once there is one.
    pub release: Option<ReleaseId>,
    /// The wave of installs that goes on, from 1; 0 before.
    pub wave: u32,
    /// Jobs of installs that may fail before no further wave begins.
    pub max_failures: u32,
    /// Whether somebody took it back.
    pub cancelled: bool,
    /// Why it ended as it did, for people.
    pub why: Option<String>,
    /// When it was asked for.
    pub created_at: Micros,
    /// When it ended.
    pub ended_at: Option<Micros>,
}

impl Transaction {
    /// What clients see.
    pub fn status(&self) -> Status {
        Status::of(self.phase, self.end, self.installs)
    }
}

/// Whose work a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentKind {
    /// Builds.
    Builder,
    /// Installs.
    Installer,
}

impl AgentKind {
    /// Its name in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Builder => "builder",
            Self::Installer => "installer",
        }
    }

    /// From its name in the store.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Builder, Self::Installer]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

/// A unit of an agent's work and how far it has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Whose work it is.
    pub kind: AgentKind,
    /// The target of an install.
    pub target: Option<TargetName>,
    /// The installer that it belongs to; of a build: the builder that has it.
    pub agent: Option<AgentName>,
    /// The wave of an install, from 1; 0 for a build.
    pub wave: u32,
    /// How far it has come.
    pub state: JobState,
    /// How often it was begun.
    pub attempt: u32,
    /// Counts its leases.
    pub epoch: Epoch,
    /// Until when the agent has it; of an unknown install whose installer was lost: until when it had it.
    pub lease_until: Option<Micros>,
    /// Until when it must have begun.
    pub deadline: Option<Micros>,
    /// What came of it, for people.
    pub result: Option<String>,
}

/// A transaction with its jobs: what one change of the store reads and writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Whole {
    /// The transaction.
    pub transaction: Transaction,
    /// Its jobs, in the order that they were made in.
    pub jobs: Vec<Job>,
}

impl Whole {
    /// The job of an id.
    pub fn job(&self, id: &JobId) -> Option<&Job> {
        self.jobs.iter().find(|job| job.id == *id)
    }
}

/// One release on one host, as an installer reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledRow {
    /// `local` for the installer's own machine.
    pub host: String,
    /// What is there now; none: whatever was there before.
    pub release: Option<ReleaseId>,
}

/// What else the store writes together with a [`Whole`].
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// An entry of the transaction's history.
    History {
        /// Who.
        actor: Actor,
        /// `leased`, `build completed`: a few words that stay the same.
        what: &'static str,
        /// More for people: names, reasons.
        detail: String,
    },
    /// A release that was built.
    Release {
        /// Its table of contents.
        index: Index,
    },
    /// What is on a target now.
    Installed {
        /// The environment.
        environment: Environment,
        /// The target.
        target: TargetName,
        /// The installer.
        agent: AgentName,
        /// The host.
        host: String,
        /// The release.
        release: ReleaseId,
    },
    /// The transaction alone installs there from now on. A change fails as *busy*, as a whole, where another has it.
    Lock {
        /// The environment.
        environment: Environment,
        /// The target.
        target: TargetName,
    },
    /// The transaction gives back everything that it locked.
    Unlock,
}
