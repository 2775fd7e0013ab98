//! Leases that were given in an answer, until it is known that the answer was heard.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use windlass_model::release::{AgentKind, AgentName, Epoch, JobId, TransactionId};

use super::AgentLogin;

/// A lease that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Handed {
    pub(super) transaction: TransactionId,
    pub(super) job: JobId,
    pub(super) epoch: Epoch,
    /// The process that it was given to: no other may have it under the same right.
    pub(super) incarnation: String,
}

/// By agent. Kept in memory only: a lease that nobody knows of any more is over soon.
#[derive(Default)]
pub(super) struct AllHanded(Mutex<HashMap<(AgentKind, AgentName), Vec<Handed>>>);

impl AllHanded {
    fn map(&self) -> MutexGuard<'_, HashMap<(AgentKind, AgentName), Vec<Handed>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One was given.
    pub(super) fn add(&self, to: &AgentLogin, handed: Handed) {
        let key = (to.kind, to.name.clone());
        self.map().entry(key).or_default().push(handed);
    }

    /// Those of an agent.
    pub(super) fn of(&self, agent: &AgentLogin) -> Vec<Handed> {
        let key = (agent.kind, agent.name.clone());
        self.map().get(&key).cloned().unwrap_or_default()
    }

    /// It was begun, or is over.
    pub(super) fn remove(&self, agent: &AgentLogin, handed: &Handed) {
        let key = (agent.kind, agent.name.clone());
        let mut map = self.map();
        if let Some(all) = map.get_mut(&key) {
            all.retain(|other| other != handed);
            if all.is_empty() {
                map.remove(&key);
            }
        }
    }
}
