//! Tasklists: stages in series, the tasks of a stage side by side.

mod healthy;
mod read;
mod write;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use healthy::{MinHealthy, ServiceHost};
pub(crate) use read::name_fault;
pub use read::{from_tree, read, task_label};
pub use write::write;

use crate::diagnostic::{Source, Span};
use crate::ids::{HostName, TaskId};
use crate::receipt::ReceiptPlan;
use crate::tree::Map;

/// What is to be done, as data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tasklist {
    /// For people.
    pub name: String,
    /// In the order in which they run.
    pub stages: Vec<Stage>,
    /// What a generator of ours adds.
    pub plan: Option<Plan>,
    /// The text that it was read from.
    pub source: Option<SourceRef>,
}

/// The text that a tasklist was read from; any two are equal.
#[derive(Clone, Debug)]
pub struct SourceRef(pub Arc<Source>);

impl PartialEq for SourceRef {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Tasks that run side by side, within limits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stage {
    /// For people; need not be unique.
    pub name: String,
    /// Jobs at once; at least 1.
    pub concurrency: u32,
    /// Jobs at once on one host; no limit if absent; at least 1.
    pub concurrency_per_host: Option<u32>,
    /// Jobs that may fail before the stage fails.
    pub max_failures: Option<u32>,
    /// Runs whatever happened before.
    pub finally: bool,
    /// Tasks and chains.
    pub jobs: Vec<Job>,
    /// Where it stands.
    pub span: Span,
}

/// What takes one slot: a task, or a chain of tasks in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    /// One task.
    Task(Task),
    /// Tasks in order; it stops at the first failure. Never empty.
    Chain(Vec<Task>),
}

impl Job {
    /// Its tasks in order.
    pub fn tasks(&self) -> &[Task] {
        match self {
            Self::Task(task) => std::slice::from_ref(task),
            Self::Chain(tasks) => tasks,
        }
    }

    /// Its tasks in order, to be changed.
    pub fn tasks_mut(&mut self) -> &mut [Task] {
        match self {
            Self::Task(task) => std::slice::from_mut(task),
            Self::Chain(tasks) => tasks,
        }
    }

    /// The hosts that it counts against, each once: every `remote_host`, or `local` where there is none.
    pub fn hosts(&self) -> Vec<HostName> {
        let mut hosts: Vec<HostName> = self.tasks().iter().map(Task::host).collect();
        hosts.sort();
        hosts.dedup();
        hosts
    }
}

/// One command with its arguments. Keys of the engine are fields; the rest are the command's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task {
    /// The command's name.
    pub command: String,
    /// Where it acts.
    pub remote_host: Option<HostName>,
    /// As whom.
    pub remote_user: Option<String>,
    /// What it is about, for the log.
    pub tag: Option<String>,
    /// Whether through sudo.
    pub use_sudo: Option<bool>,
    /// Seconds; 0 for none; 3600 if absent.
    pub time_limit: Option<u32>,
    /// How often it is tried again; 0 if absent.
    pub retries: Option<u32>,
    /// Seconds between tries; 1 if absent.
    pub retry_delay: Option<u32>,
    /// The command's own.
    pub args: Map,
    /// Where it stands.
    pub span: Span,
}

/// The keys of a task that are the engine's and not the command's.
pub const ENGINE_KEYS: [&str; 8] = [
    "command",
    "remote_host",
    "remote_user",
    "tag",
    "use_sudo",
    "time_limit",
    "retries",
    "retry_delay",
];

/// The time limit of a task that names none, in seconds.
pub const DEFAULT_TIME_LIMIT: u32 = 3600;

impl Task {
    /// The host that it counts against.
    pub fn host(&self) -> HostName {
        self.remote_host.clone().unwrap_or_else(HostName::local)
    }
}

/// What a generator of ours adds to a tasklist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// SHA-256 of the config that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// Local file -> SHA-256, of every file that it uploads.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub files: std::collections::BTreeMap<String, String>,
    /// Hosts to lock while it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<String>,
    /// Receipts to leave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receipts: Vec<ReceiptPlan>,
    /// Service -> how many of its hosts must stay healthy, and how they are asked.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub min_healthy: std::collections::BTreeMap<String, MinHealthy>,
}

impl Tasklist {
    /// Every task with its id, in order.
    pub fn tasks(&self) -> impl Iterator<Item = (TaskId, &Task)> {
        self.stages.iter().enumerate().flat_map(|(s, stage)| {
            stage.jobs.iter().enumerate().flat_map(move |(j, job)| {
                job.tasks().iter().enumerate().map(move |(l, task)| {
                    (TaskId::new(s as u32 + 1, j as u32 + 1, l as u32 + 1), task)
                })
            })
        })
    }
}
