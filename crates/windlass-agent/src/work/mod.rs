//! The two kinds of job, and what both need.

mod behaviour;
mod build;
mod install;
mod limits;
mod resources;
mod run;
mod source;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use windlass_engine::events::{Events, Sink};
use windlass_engine::generator::Help;
use windlass_engine::host::Hosts;
use windlass_engine::interrupt::Interrupt;
use windlass_engine::registry::Registry;
use windlass_engine::secrets::Secrets;
use windlass_model::config::Config;
use windlass_model::ids::RunId;
use windlass_model::release::JobId;
use windlass_model::release::job::Epoch;

pub use behaviour::BehaviourConfig;
pub use build::{BuildWork, Built, act, build};
pub use install::{InstallFailed, InstallWork, Installed, Row, TargetConfig, install, versions};
pub use source::{SourceConfig, VcsKind};

/// Makes what a generator is given: the config, the folder that relative paths start in, the log, the hosts.
pub type MakeHelp =
    Arc<dyn Fn(Config, PathBuf, Events, Arc<dyn Hosts>) -> Box<dyn Help> + Send + Sync>;

/// What all jobs of an agent share. Cheap to clone.
#[derive(Clone)]
pub struct Tools {
    /// Commands, generators and behaviours.
    pub registry: Arc<Registry>,
    /// This machine, and those that tasklists name.
    pub hosts: Arc<dyn Hosts>,
    /// Every secret that a config of the agent refers to, resolved.
    pub secrets: Arc<Secrets>,
    /// Makes a generator's help.
    pub help: MakeHelp,
    /// The installation's directory: where relative paths of configs start. Absolute.
    pub base: PathBuf,
    /// Where jobs have their directories, below `jobs`. Absolute.
    pub work: PathBuf,
    /// `user@machine`, for receipts.
    pub by: String,
}

/// What one job is run with.
pub struct Job {
    /// Its id at its manager.
    pub id: JobId,
    /// The lease that it is done under.
    pub epoch: Epoch,
    /// The id of its run; see [`run_id`].
    pub run: RunId,
    /// Who is told; secrets are taken out before.
    pub sinks: Vec<Box<dyn Sink>>,
    /// Whether it is to stop: once, nothing new is begun; twice, what runs is killed.
    pub interrupt: Interrupt,
    /// What it may use.
    pub limits: Limits,
}

/// What a job may use. When one is exceeded all that runs is killed, and the job fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long it may take, all of it.
    pub time: Duration,
    /// Bytes that its programs may print.
    pub output: u64,
    /// Bytes that may lie in its directory; looked at every second.
    pub disk: u64,
}

impl Default for Limits {
    /// One hour, 64 MiB of output, 20 GiB on the disk.
    fn default() -> Self {
        Self {
            time: Duration::from_secs(3600),
            output: 64 << 20,
            disk: 20 << 30,
        }
    }
}

/// Why a job gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which way.
    pub kind: FailureKind,
    /// For people: what happened, and where.
    pub message: String,
}

/// Which way a job failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The request, a config or a behaviour is at fault; nothing was begun.
    Input,
    /// A task failed, or did not give what it must.
    Failed,
    /// It used more than it may.
    Limit,
    /// It was stopped.
    Interrupted,
    /// It is not known what came of a task.
    Unknown,
    /// This machine: its disk, a defect of Windlass.
    Own,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub(crate) fn own(what: &str, error: impl std::fmt::Display) -> Self {
        Self::new(FailureKind::Own, format!("{what}: {error}"))
    }
}

impl From<windlass_model::Diagnostics> for Failure {
    fn from(faults: windlass_model::Diagnostics) -> Self {
        Self::new(FailureKind::Input, faults.to_string().trim_end())
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// An id for the run of a job's lease, another one each time: what one run left on a host is never taken for another's, be it of a
/// job that has the same id at another manager. `None` when the system has no random numbers.
pub fn run_id(job: &JobId, epoch: Epoch) -> Option<RunId> {
    const LONGEST: usize = 24;
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = job.as_str().chars().map(plain).take(LONGEST).collect();
    let random = getrandom::u64().ok()?;
    RunId::new(&format!("j{name}-{epoch}-{random:016x}"))
}

/// A config of what was written and the facts at hand.
pub(crate) fn config_of(
    platform: &str,
    written: &Map<String, Value>,
    key: &str,
    facts: &impl Serialize,
) -> Result<Config, Failure> {
    let facts = serde_json::to_value(facts).map_err(|e| Failure::own("the facts of a job", e))?;
    let mut map = written.clone();
    map.insert(key.to_owned(), facts);
    Ok(Config {
        source: None,
        tree: Value::Object(map).into(),
        platform: platform.to_owned(),
    })
}
