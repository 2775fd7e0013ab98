//! How many hosts of a service must stay healthy while a tasklist runs, and how each is asked.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::read::one_task;
use super::{Task, Tasklist};
use crate::diagnostic::Diagnostics;
use crate::tree::Node;

/// What a plan says of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinHealthy {
    /// So many of its hosts must stay healthy.
    pub keep: u32,
    /// Seconds that a job may wait for others to become healthy again before it fails.
    pub wait: u32,
    /// Every host that the service runs on, whether the tasklist touches it or not.
    pub hosts: Vec<ServiceHost>,
}

/// A host of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceHost {
    /// Its name.
    pub host: String,
    /// Whether the service was not installed there when this was planned: whoever takes it out takes nothing away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub new: bool,
    /// Tasks that change nothing; when all are content the host is healthy. None: it counts as healthy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ask: Vec<Value>,
}

impl ServiceHost {
    /// A host with these tasks to ask.
    pub fn new(host: impl Into<String>, ask: &[Task]) -> Self {
        Self {
            host: host.into(),
            new: false,
            ask: ask.iter().map(Task::to_json).collect(),
        }
    }

    /// The tasks that ask. `path` and `label` say where they stand, for messages.
    pub fn tasks(&self, path: &str, label: &str) -> Result<Vec<Task>, Diagnostics> {
        let mut found = Diagnostics::new();
        let mut tasks = Vec::with_capacity(self.ask.len());
        for (n, ask) in self.ask.iter().enumerate() {
            match one_task(Node::from(ask.clone()), &format!("{path}.ask[{n}]"), label) {
                Ok(task) => tasks.push(task),
                Err(faults) => {
                    let named = faults.0.into_iter().map(|fault| fault.task(label));
                    found.extend(Diagnostics(named.collect()));
                }
            }
        }
        found.or(tasks)
    }
}

impl Tasklist {
    /// The tasks, as JSON, that ask hosts whether they are healthy.
    pub fn asks(&self) -> impl Iterator<Item = &Value> {
        let services = self.plan.iter().flat_map(|plan| plan.min_healthy.values());
        services.flat_map(|s| &s.hosts).flat_map(|host| &host.ask)
    }
}
