//! All hosts of a run are connected to at once, so that a key which is not as it should be stops the run before it begins.
//!
//! A host that answers is waited for. One that does not say a word holds nobody up: it is tried on beside the run, and whoever
//! wants to talk to it waits for that. Its key is looked at all the same before anything is said to it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use windlass_engine::host::{HostError, HostErrorKind};
use windlass_model::ids::HostName;

use super::pool::{LOOKS, Ssh};

/// A host that has not said a word for so long is silent. Its first word takes two round trips.
const SILENCE: Duration = Duration::from_secs(1);

/// What trying a host came to.
enum Came {
    /// To an end, with an error or without.
    End(Option<HostError>),
    /// To nothing so far.
    Silence,
}

impl Ssh {
    /// Connects to all these: errors only where a key is not as it should be.
    pub(crate) async fn check_keys(
        self: &Arc<Self>,
        hosts: &[HostName],
    ) -> Vec<(HostName, HostError)> {
        let mut awaited = HashSet::new();
        let turns = Arc::new(Semaphore::new(LOOKS));
        let (say, mut said) = mpsc::unbounded_channel();
        for host in hosts.iter().filter(|host| !host.is_local()) {
            if awaited.insert(host.clone()) {
                let (this, turns, say) = (self.clone(), turns.clone(), say.clone());
                tokio::spawn(this.try_host(host.clone(), turns, say));
            }
        }
        drop(say);
        let mut wrong = Vec::new();
        while !awaited.is_empty() {
            let Some((host, came)) = said.recv().await else {
                break;
            };
            awaited.remove(&host);
            if let Came::End(Some(error)) = came
                && error.kind == HostErrorKind::HostKey
            {
                wrong.push((host, error));
            }
        }
        wrong.sort_by(|a, b| a.0.cmp(&b.0));
        wrong
    }

    async fn try_host(
        self: Arc<Self>,
        host: HostName,
        turns: Arc<Semaphore>,
        say: mpsc::UnboundedSender<(HostName, Came)>,
    ) {
        let turn = turns.acquire_owned().await;
        let reaching = self.reach(&host, None);
        tokio::pin!(reaching);
        let reached = tokio::select! {
            reached = &mut reaching => reached,
            () = self.silence_of(&host) => {
                drop(turn);
                // whoever asked may have heard enough
                let _ = say.send((host.clone(), Came::Silence));
                reaching.await
            }
        };
        let _ = say.send((host.clone(), Came::End(reached.err())));
    }

    /// Ends when a host that is being tried has not said a word in time.
    async fn silence_of(&self, host: &HostName) {
        tokio::time::sleep(SILENCE).await;
        let spec = self.spec(host, None);
        let is_silent = match self.resolve(host, &spec).await {
            Ok((key, _)) => !self.place(&key).spoke.load(Ordering::Relaxed),
            Err(_) => false,
        };
        if !is_silent {
            std::future::pending::<()>().await;
        }
    }
}
