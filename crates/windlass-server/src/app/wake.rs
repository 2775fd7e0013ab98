//! Who waits for news: agents that poll, clients that wait for a transaction, the scheduler.

use std::collections::HashMap;
use std::future::poll_fn;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::Poll;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use windlass_model::release::{AgentKind, AgentName, Project, TransactionId};

/// Signals by whom they are for. A signal that nobody waits for costs nothing and is forgotten, except the scheduler's.
#[derive(Default)]
pub(super) struct Wake {
    agents: Signals<(AgentKind, AgentName)>,
    projects: Signals<Project>,
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

    /// The signal, where somebody may wait for it.
    fn known(&self, key: &K) -> Option<Arc<Notify>> {
        let map = match self.0.lock() {
            Ok(map) => map,
            Err(poisoned) => poisoned.into_inner(),
        };
        map.get(key).and_then(Weak::upgrade)
    }

    fn wake(&self, key: &K) {
        if let Some(signal) = self.known(key) {
            signal.notify_waiters();
        }
    }
}

/// A builder's waits for a job of any of its projects. A job is offered to one builder at a time, the one that waits longest: of
/// thousands that wait all but one would come for nothing.
#[derive(Default)]
pub(super) struct Offers(Vec<(Arc<Notify>, Pin<Box<OwnedNotified>>)>);

impl Offers {
    /// Waits for its turn to look for work; for ever where there are no projects. Cancelled by dropping: an offer that was not
    /// heard goes to the next one.
    pub(super) async fn turn(&mut self) -> Turn {
        poll_fn(|context| {
            let mut waits = self.0.iter_mut();
            let ready = waits.find_map(|(signal, wait)| {
                let is_ready = wait.as_mut().poll(context).is_ready();
                is_ready.then(|| Turn(Some(signal.clone())))
            });
            ready.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// A builder's turn to look for work. Where it goes away before it has looked, the next one has the turn.
pub(super) struct Turn(Option<Arc<Notify>>);

impl Turn {
    /// It has looked.
    pub(super) fn taken(mut self) {
        self.0 = None;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(signal) = self.0.take() {
            signal.notify_one();
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

    /// Offers of work on projects. Make them, then look whether there is work: nothing is missed so.
    pub(super) fn offers<'a>(&self, projects: impl IntoIterator<Item = &'a Project>) -> Offers {
        let offer = |project| {
            let signal = self.projects.of(project);
            let mut wait = Box::pin(signal.clone().notified_owned());
            wait.as_mut().enable();
            (signal, wait)
        };
        Offers(projects.into_iter().map(offer).collect())
    }

    /// There is a job for one builder of a project.
    pub(super) fn project(&self, project: &Project) {
        if let Some(signal) = self.projects.known(project) {
            signal.notify_one();
        }
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn project(name: &str) -> Project {
        name.parse().unwrap()
    }

    #[test]
    fn a_job_is_offered_to_one_builder_at_a_time() {
        let wake = Wake::default();
        let (shop, club) = (project("shop"), project("club"));
        let mut first = wake.offers([&shop, &club]);
        let mut second = wake.offers([&shop]);
        assert!(first.turn().now_or_never().is_none());
        wake.project(&shop);
        assert!(second.turn().now_or_never().is_none());
        let turn = first.turn().now_or_never().unwrap();
        turn.taken();
        assert!(second.turn().now_or_never().is_none());
        wake.project(&club);
        assert!(second.turn().now_or_never().is_none());
    }

    #[test]
    fn an_offer_that_nobody_takes_goes_to_the_next() {
        let wake = Wake::default();
        let shop = project("shop");
        let (mut first, mut second) = (wake.offers([&shop]), wake.offers([&shop]));
        let mut third = wake.offers([&shop]);
        wake.project(&shop);
        let turn = first.turn().now_or_never().unwrap();
        // it goes away before it has looked
        drop((turn, first));
        let turn = second.turn().now_or_never().unwrap();
        turn.taken();
        drop(second);
        assert!(third.turn().now_or_never().is_none());
        let unheard = wake.offers([&shop]);
        wake.project(&shop);
        drop(third);
        drop(unheard);
        let mut late = wake.offers([&shop]);
        // with nobody there it would wait for whoever comes, but the signal went with the last of them
        assert!(late.turn().now_or_never().is_none());
    }

    #[test]
    fn a_job_waits_for_a_builder_that_is_about_to_come() {
        let wake = Wake::default();
        let shop = project("shop");
        let mut busy = wake.offers([&shop]);
        wake.project(&shop);
        busy.turn().now_or_never().unwrap().taken();
        wake.project(&shop);
        let mut next = wake.offers([&shop]);
        assert!(next.turn().now_or_never().is_some());
    }
}
