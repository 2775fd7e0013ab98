//! Who waits for news: agents that poll, clients that wait for a transaction, the scheduler.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::Notify;
use windlass_model::release::{AgentKind, AgentName, TransactionId};

/// Signals by whom they are for. A signal that nobody waits for costs nothing and is forgotten, except the scheduler's.
#[derive(Default)]
pub(super) struct Wake {
    agents: Signals<(AgentKind, AgentName)>,
    transactions: Signals<TransactionId>,
    scheduler: Notify,
}

/// Signals that exist while somebody waits for them.
struct Signals<K>(Mutex<HashMap<K, Weak<Notify>>>);

impl<K> Default for Signals<K> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + Hash + Clone> Signals<K> {
    fn of(&self, key: &K) -> Arc<Notify> {
        let mut map = match self.0.lock() {
            Ok(map) => map,
            Err(poisoned) => poisoned.into_inner(),
        };
        if let Some(signal) = map.get(key).and_then(Weak::upgrade) {
            return signal;
        }
        if map.len() % 256 == 255 {
            map.retain(|_, signal| signal.strong_count() > 0);
        }
        let signal = Arc::new(Notify::new());
        map.insert(key.clone(), Arc::downgrade(&signal));
        signal
    }

    fn wake(&self, key: &K) {
        let map = match self.0.lock() {
            Ok(map) => map,
            Err(poisoned) => poisoned.into_inner(),
        };
        if let Some(signal) = map.get(key).and_then(Weak::upgrade) {
            signal.notify_waiters();
        }
    }
}

impl Wake {
    /// The signal of an agent. Make it, enable a wait on it, then look whether there is work: nothing is missed so.
    pub(super) fn of_agent(&self, kind: AgentKind, name: &AgentName) -> Arc<Notify> {
        self.agents.of(&(kind, name.clone()))
    }

    /// There may be work, or a job is not wanted any more.
    pub(super) fn agent(&self, kind: AgentKind, name: &AgentName) {
        self.agents.wake(&(kind, name.clone()));
    }

    /// The signal of a transaction.
    pub(super) fn of_transaction(&self, id: &TransactionId) -> Arc<Notify> {
        self.transactions.of(id)
    }

    /// The transaction changed.
    pub(super) fn transaction(&self, id: &TransactionId) {
        self.transactions.wake(id);
    }

    /// There is something to plan.
    pub(super) fn scheduler(&self) {
        self.scheduler.notify_one();
    }

    /// Waits for that. Cancelled by dropping.
    pub(super) async fn scheduling(&self) {
        self.scheduler.notified().await;
    }
}
