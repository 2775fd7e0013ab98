//! All hosts of a run are connected to at once, so that a key which is not as it should be stops the run before it begins.
//!
//! A host that answers is waited for. One that does not say a word holds nobody up: it is tried on beside the run, and whoever
//! wants to talk to it waits for that. Its key is looked at all the same before anything is said to it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use windlass_engine::host::{HostError, HostErrorKind};
use windlass_model::ids::HostName;

use super::pool::Ssh;

/// Hosts that are tried at once. Nothing is saved by trying fewer: their connections stay open for the run.
const AT_ONCE: usize = 1024;
/// A host that has not said a word for so long is silent, whatever the others do.
const SILENCE: Duration = Duration::from_secs(1);
/// A host may take so long, however fast the others are: its first word takes two round trips, and half the earth is 250 ms away.
const FAR: Duration = Duration::from_millis(500);

/// A host that is waited for.
struct Try {
    begun: Instant,
    /// Whether it has said anything.
    spoke: Arc<AtomicBool>,
}

/// What is heard of a host that is tried.
enum News {
    Begun(Try),
    /// It let us in, or it failed.
    Ended(Result<(), HostError>),
}

impl Ssh {
    /// Connects to all these: errors only where a key is not as it should be.
    pub(crate) async fn check_keys(
        self: &Arc<Self>,
        hosts: &[HostName],
    ) -> Vec<(HostName, HostError)> {
        // None: it has not had its turn
        let mut awaited: HashMap<HostName, Option<Try>> = HashMap::new();
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let (say, mut said) = mpsc::unbounded_channel();
        for host in hosts.iter().filter(|host| !host.is_local()) {
            if awaited.insert(host.clone(), None).is_none() {
                let (this, turns, say) = (self.clone(), turns.clone(), say.clone());
                tokio::spawn(this.try_host(host.clone(), turns, say));
            }
        }
        drop(say);
        let mut wrong = Vec::new();
        let mut slowest = None;
        while !awaited.is_empty() {
            let news = tokio::select! {
                news = said.recv() => news,
                () = all_silent(&awaited, slowest) => break,
            };
            let Some((host, news)) = news else { break };
            match news {
                News::Begun(begun) => {
                    awaited.insert(host, Some(begun));
                }
                News::Ended(ended) => {
                    let tried = awaited.remove(&host).flatten();
                    match (ended, tried) {
                        (Ok(()), Some(tried)) => slowest = slowest.max(Some(tried.begun.elapsed())),
                        (Err(error), _) if error.kind == HostErrorKind::HostKey => {
                            wrong.push((host, error));
                        }
                        _ => {}
                    }
                }
            }
        }
        wrong.sort_by(|a, b| a.0.cmp(&b.0));
        wrong
    }

    async fn try_host(
        self: Arc<Self>,
        host: HostName,
        turns: Arc<Semaphore>,
        say: mpsc::UnboundedSender<(HostName, News)>,
    ) {
        let turn = turns.acquire_owned().await;
        let begun = Instant::now();
        let spec = self.spec(&host, None);
        let spoke = match self.resolve(&host, &spec).await {
            Ok((key, _)) => self.place(&key).spoke.clone(),
            // the error comes of reaching it, too
            Err(_) => Arc::default(),
        };
        // whoever asked may have heard enough
        let tried = Try {
            begun,
            spoke: spoke.clone(),
        };
        let _ = say.send((host.clone(), News::Begun(tried)));
        let reaching = self.reach(&host, None);
        tokio::pin!(reaching);
        let reached = tokio::select! {
            reached = &mut reaching => reached,
            () = silence(&spoke) => {
                drop(turn);
                reaching.await
            }
        };
        let _ = say.send((host.clone(), News::Ended(reached.map(drop))));
    }
}

/// Ends when a host that is being tried has not said a word in time.
async fn silence(spoke: &AtomicBool) {
    tokio::time::sleep(SILENCE).await;
    if spoke.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

/// Ends when all that are waited for are silent: none has said a word for twice as long as the slowest of the others took to
/// let us in.
async fn all_silent(awaited: &HashMap<HostName, Option<Try>>, slowest: Option<Duration>) {
    let patience = slowest.map_or(SILENCE, |slowest| (2 * slowest).clamp(FAR, SILENCE));
    let is_silent =
        |tried: &Option<Try>| matches!(tried, Some(tried) if !tried.spoke.load(Ordering::Relaxed));
    let begun = || awaited.values().flatten().map(|tried| tried.begun);
    if awaited.values().all(is_silent)
        && let Some(latest) = begun().max()
    {
        tokio::time::sleep_until(latest + patience).await;
        if awaited.values().all(is_silent) {
            return;
        }
    }
    // what they come to is told
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn awaited(hosts: &[Option<bool>]) -> HashMap<HostName, Option<Try>> {
        let tried = hosts.iter().enumerate().map(|(n, spoke)| {
            let tried = spoke.map(|spoke| Try {
                begun: Instant::now(),
                spoke: Arc::new(AtomicBool::new(spoke)),
            });
            (HostName::new(&format!("h{n}")), tried)
        });
        tried.collect()
    }

    /// How long they are waited for, in milliseconds; none: until they come to something.
    async fn patience(hosts: &[Option<bool>], slowest: Option<u64>) -> Option<u128> {
        let (begun, awaited) = (Instant::now(), awaited(hosts));
        let silent = all_silent(&awaited, slowest.map(Duration::from_millis));
        let ended = tokio::time::timeout(Duration::from_secs(60), silent).await;
        ended.is_ok().then(|| begun.elapsed().as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn silent_hosts_are_waited_for_by_what_the_others_took() {
        let silent = &[Some(false), Some(false)];
        assert_eq!(patience(silent, None).await, Some(1000));
        assert_eq!(patience(silent, Some(20)).await, Some(500));
        assert_eq!(patience(silent, Some(300)).await, Some(600));
        assert_eq!(patience(silent, Some(7000)).await, Some(1000));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_said_a_word_or_had_no_turn_is_waited_for() {
        assert_eq!(patience(&[Some(false), Some(true)], Some(20)).await, None);
        assert_eq!(patience(&[Some(false), None], Some(20)).await, None);
    }
}
