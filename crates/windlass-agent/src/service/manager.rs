//! The loop of one manager.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use windlass_engine::interrupt::{Interrupter, interrupt};
use windlass_model::release::{Epoch, JobId};
use windlass_model::step::Level;
use windlass_wire::agent::{Held, PROTOCOL, Poll, Polled, Register, Registered};
use windlass_wire::connection::WireError;

use super::{Manager, Shared, credential, errand};

/// How long a poll waits for news when nothing is in hand, in seconds; at most half a lease: what is sent into a link that was cut
/// without a word is noticed by its silence alone.
const IDLE_POLL: u32 = 30;
/// The first pause before a manager that did not answer is asked again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A job in hand.
struct Hold {
    epoch: Epoch,
    /// How it is stopped.
    interrupter: Interrupter,
    /// Whose other end is dropped when it is over.
    over: watch::Receiver<()>,
}

/// Jobs in hand, each under its newest lease.
type InHand = Arc<Mutex<BTreeMap<JobId, Hold>>>;

/// Serves one manager until it is told to stop.
pub(super) async fn serve(
    shared: Arc<Shared>,
    manager: Arc<dyn Manager>,
    mut stop: watch::Receiver<bool>,
) {
    let mut looping = Loop {
        url: manager.url().to_owned(),
        client: manager,
        in_hand: InHand::default(),
        jobs: JoinSet::new(),
        longest_pause: LONGEST_PAUSE,
        shared,
    };
    {
        let mut stopped = stop.clone();
        tokio::select! {
            biased;
            () = looping.run() => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
    }
    let _ = stop.wait_for(|stop| *stop).await;
    looping.end().await;
}

impl Hold {
    fn stop(&self) {
        // Twice: at once.
        self.interrupter.again();
        self.interrupter.again();
    }

    fn is_stopping(&self) -> bool {
        self.interrupter.is_used()
    }
}

struct Loop {
    shared: Arc<Shared>,
    url: String,
    client: Arc<dyn Manager>,
    in_hand: InHand,
    jobs: JoinSet<()>,
    longest_pause: Duration,
}

/// Why a registration ended.
enum Over {
    /// It is to be made again.
    Again,
    /// Another agent of this name took its place, or a later process of this one.
    Replaced(String),
}

/// Why it could not be registered.
enum Unregistered {
    /// A later process of this agent is.
    Replaced(String),
    /// For this reason; it is tried again.
    For(String),
}

impl Loop {
    async fn run(&mut self) {
        loop {
            let over = match self.register().await {
                Ok(registered) => self.poll(registered).await,
                Err(over) => over,
            };
            match over {
                Over::Again => {}
                Over::Replaced(why) => {
                    let message =
                        format!("{}: {why}; this one asks for no more work there", self.url);
                    return self.shared.log(Level::Error, &message);
                }
            }
        }
    }

    fn held(&self) -> Vec<Held> {
        let in_hand = match self.in_hand.lock() {
            Ok(in_hand) => in_hand,
            Err(poisoned) => poisoned.into_inner(),
        };
        let held = |(job, hold): (&JobId, &Hold)| Held {
            job: job.clone(),
            epoch: hold.epoch,
        };
        in_hand.iter().map(held).collect()
    }

    /// Registers; a manager that does not answer, or does not want it, is asked again for as long as it takes.
    async fn register(&mut self) -> Result<Registered, Over> {
        let mut pause = FIRST_PAUSE;
        let mut told = String::new();
        loop {
            match self.try_register().await {
                Ok(registered) => {
                    let message = format!("registered with {}", self.url);
                    self.shared.log(Level::Info, &message);
                    return Ok(registered);
                }
                Err(Unregistered::Replaced(why)) => return Err(Over::Replaced(why)),
                Err(Unregistered::For(why)) => {
                    if why != told {
                        let message = format!("cannot register, and tries again: {why}");
                        self.shared.log(Level::Warning, &message);
                        told = why;
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(self.longest_pause);
                }
            }
        }
    }

    async fn try_register(&mut self) -> Result<Registered, Unregistered> {
        let agent = &self.shared.agent;
        let kind = agent.advertisement.kind();
        // It is on the disk before the manager hears it: an answer that is lost loses nothing.
        let kept = credential::keep(&agent.directory, &self.url, kind, &agent.name);
        let kept =
            kept.map_err(|e| Unregistered::For(format!("the credential for {}: {e}", self.url)))?;
        let register = Register {
            protocol: PROTOCOL,
            kind,
            name: agent.name.clone(),
            incarnation: self.shared.incarnation.clone(),
            token: agent.token.clone(),
            slots: agent.slots,
            advertisement: agent.advertisement.clone(),
            held: self.held(),
        };
        let client = self.client.with_credential(Some(kept.clone()));
        let registered = client.register(&register).await;
        let registered = registered.map_err(|error| match error {
            WireError::Superseded(why) => Unregistered::Replaced(why),
            error => Unregistered::For(error.to_string()),
        })?;
        let credential = match &registered.credential {
            Some(new) => {
                let stored = credential::store(&agent.directory, &self.url, new);
                stored.map_err(|e| {
                    Unregistered::For(format!(
                        "the credential for {} cannot be kept: {e}",
                        self.url
                    ))
                })?;
                new.clone()
            }
            None => kept,
        };
        let lease = Duration::from_secs(u64::from(registered.lease_seconds));
        self.client = self
            .client
            .with_credential(Some(credential))
            .with_lease(lease);
        Ok(registered)
    }

    /// Polls until the registration is over.
    async fn poll(&mut self, registered: Registered) -> Over {
        self.revoke(&registered.drop);
        self.probe(&registered.probe).await;
        let renew = (registered.lease_seconds / 3).clamp(1, IDLE_POLL);
        let idle = (registered.lease_seconds / 2).clamp(1, IDLE_POLL);
        // A manager that is back hears of what goes on here before the leases of that are over.
        self.longest_pause = LONGEST_PAUSE.min(Duration::from_secs(u64::from(renew)));
        let mut pause = FIRST_PAUSE;
        let mut freed = self.shared.freed.subscribe();
        loop {
            while self.jobs.try_join_next().is_some() {}
            let held = self.held();
            let free = u32::try_from(self.shared.slots.available_permits()).unwrap_or(u32::MAX);
            let poll = Poll {
                incarnation: self.shared.incarnation.clone(),
                free,
                wait_seconds: if held.is_empty() && free > 0 {
                    idle
                } else {
                    renew
                },
                held,
            };
            freed.mark_unchanged();
            let polled = tokio::select! {
                biased;
                polled = self.client.poll(&poll) => polled,
                // A poll that can bring no job may be dropped for one that can.
                _ = freed.changed(), if free == 0 => continue,
            };
            match polled {
                Ok(polled) => {
                    pause = FIRST_PAUSE;
                    let only_again = polled.jobs.is_empty()
                        && polled.probe.is_empty()
                        && !polled.revoked.is_empty()
                        && self.are_stopping(&polled.revoked);
                    self.take(polled, &registered).await;
                    if only_again {
                        tokio::time::sleep(FIRST_PAUSE).await;
                    }
                }
                Err(WireError::Superseded(why)) => return Over::Replaced(why),
                Err(WireError::Denied(_)) => return Over::Again,
                Err(error) => {
                    if pause == FIRST_PAUSE {
                        let message = format!("no answer to a poll, which is tried again: {error}");
                        self.shared.log(Level::Warning, &message);
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(self.longest_pause);
                    if pause == self.longest_pause {
                        return Over::Again;
                    }
                }
            }
        }
    }

    fn revoke(&self, jobs: &[JobId]) {
        let in_hand = match self.in_hand.lock() {
            Ok(in_hand) => in_hand,
            Err(poisoned) => poisoned.into_inner(),
        };
        for job in jobs {
            if let Some(hold) = in_hand.get(job).filter(|hold| !hold.is_stopping()) {
                let message = format!("job {job} is not wanted any more: it is stopped");
                self.shared.log(Level::Warning, &message);
                hold.stop();
            }
        }
    }

    /// Whether all of these are told to stop already.
    fn are_stopping(&self, jobs: &[JobId]) -> bool {
        let in_hand = match self.in_hand.lock() {
            Ok(in_hand) => in_hand,
            Err(poisoned) => poisoned.into_inner(),
        };
        let mut held = jobs.iter().filter_map(|job| in_hand.get(job));
        held.all(Hold::is_stopping)
    }

    async fn probe(&self, jobs: &[Held]) {
        for Held { job, epoch } in jobs {
            if self.held().iter().any(|held| held.job == *job) {
                continue;
            }
            let verdict = self.shared.agent.worker.probe(job).await;
            let message = format!("job {job}, as the journal here has it: {}", told(&verdict));
            self.shared.log(Level::Info, &message);
            if let Err(error) = self.client.probed(job, *epoch, verdict).await {
                self.shared
                    .log(Level::Warning, &format!("job {job}: {error}"));
                // It will ask again; what is in hand is not to wait for that.
                if error.is_passing() {
                    return;
                }
            }
        }
    }

    async fn take(&mut self, polled: Polled, registered: &Registered) {
        self.revoke(&polled.revoked);
        self.probe(&polled.probe).await;
        for given in polled.jobs {
            let (interrupter, interrupt) = interrupt();
            let (ended, over) = watch::channel(());
            let lease = Duration::from_secs(u64::from(registered.lease_seconds));
            let cluster = registered.cluster.clone();
            let hold = Hold {
                epoch: given.epoch,
                interrupter,
                over,
            };
            let mut in_hand = match self.in_hand.lock() {
                Ok(in_hand) => in_hand,
                Err(poisoned) => poisoned.into_inner(),
            };
            if in_hand
                .get(&given.job)
                .is_some_and(|held| held.epoch >= given.epoch)
            {
                // Given twice.
                continue;
            }
            let earlier = in_hand.insert(given.job.clone(), hold);
            drop(in_hand);
            let (shared, client, in_hand) = (
                self.shared.clone(),
                self.client.clone(),
                self.in_hand.clone(),
            );
            self.jobs.spawn(async move {
                let (job, epoch) = (given.job.clone(), given.epoch);
                let _ended = ended;
                // The same job under a lease that is no more: one after the other.
                if let Some(mut earlier) = earlier {
                    earlier.stop();
                    let _ = earlier.over.changed().await;
                }
                // Another manager's job may have taken the slot: then this one is held until there is one.
                let permit = shared.slots.clone().acquire_owned().await;
                if interrupt.times() == 0 {
                    errand::run(&shared, (client, &cluster), given, interrupt, lease).await;
                }
                if let Ok(mut in_hand) = in_hand.lock()
                    && in_hand.get(&job).is_some_and(|hold| hold.epoch == epoch)
                {
                    in_hand.remove(&job);
                }
                drop(permit);
                shared.freed.send_modify(|n| *n += 1);
            });
        }
    }

    /// Stops what runs, and waits for it.
    async fn end(mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        if let Ok(in_hand) = self.in_hand.lock() {
            in_hand.values().for_each(Hold::stop);
        }
        let all = async { while self.jobs.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_secs(20), all).await;
    }
}

fn told(verdict: &windlass_model::release::machine::Verdict) -> String {
    use windlass_model::release::machine::Verdict;
    match verdict {
        Verdict::NotBegun => "not begun".into(),
        Verdict::Done { .. } => "done".into(),
        Verdict::Failed { why, .. } => format!("failed: {why}"),
        Verdict::Running { epoch } => format!("goes on under epoch {epoch}"),
        Verdict::Unknown { why } => format!("unknown: {why}"),
    }
}
