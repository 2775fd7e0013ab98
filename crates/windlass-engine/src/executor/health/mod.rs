//! Keeps enough hosts of a service healthy while a run goes on: before a job takes one out, the others are asked.
//!
//! A look asks all hosts of a service at once. It serves every job that begins within a moment of it, until a job of the
//! service ends: a batch is asked for once.

mod look;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use windlass_model::event::What;
use windlass_model::ids::HostName;
use windlass_model::outcome::{Failure, FailureKind};
use windlass_model::step::Level;

use super::prepare::PreparedJob;
use super::{Options, log};
use crate::availability::{TakenOut, Watched};
use crate::interrupt::Interrupt;
use look::{Health, Look};

/// How long a look is believed.
const FRESH: Duration = Duration::from_secs(2);
/// How long until a job that waits looks again.
const PAUSE: Duration = Duration::from_secs(2);

/// What a run knows of the hosts of watched services.
pub(crate) struct Watch {
    watched: Arc<Vec<Watched>>,
    /// Hosts that jobs have taken out.
    out: Mutex<BTreeMap<TakenOut, Out>>,
    /// The last look at each service.
    looks: Vec<tokio::sync::Mutex<Option<Look>>>,
    /// Goes up whenever a host comes back.
    changes: AtomicU64,
    /// Wakes jobs that wait, whenever one has ended.
    end: Notify,
}

/// Why a host is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Out {
    /// A job is at it.
    AtWork,
    /// A job failed there.
    Failed,
}

/// Why a job may not begin now.
struct NotNow {
    why: String,
    /// Whether jobs of this run are under way that will bring hosts back.
    is_passing: bool,
    wait: Duration,
}

impl Watch {
    pub(crate) fn new(watched: Arc<Vec<Watched>>) -> Self {
        Self {
            looks: watched
                .iter()
                .map(|_| tokio::sync::Mutex::default())
                .collect(),
            watched,
            out: Mutex::default(),
            changes: AtomicU64::new(0),
            end: Notify::new(),
        }
    }

    /// Waits until the job may take its hosts out, and counts them as out from then on. Ends when that is not so for as
    /// long as the plan lets a job wait, or when the operator stops the run.
    pub(crate) async fn admit(
        &self,
        job: &PreparedJob,
        options: &Options,
        stops_at: u8,
    ) -> Result<(), Failure> {
        let mut interrupt = options.interrupt.clone();
        tokio::select! {
            biased;
            () = interrupt.reached(stops_at) => {
                Err(Failure::new(FailureKind::Interrupted, "ended by the operator"))
            }
            admitted = self.admitted(job, options) => admitted,
        }
    }

    async fn admitted(&self, job: &PreparedJob, options: &Options) -> Result<(), Failure> {
        let services: BTreeSet<usize> = job.takes_out.iter().map(|(s, _)| *s).collect();
        let mut alone_since = None;
        let mut said = String::new();
        loop {
            let end = self.end.notified();
            let mut looks = BTreeMap::new();
            for service in &services {
                if let Some(look) = self.look(*service, options).await {
                    looks.insert(*service, look);
                }
            }
            let NotNow {
                why,
                is_passing,
                wait,
            } = match self.decide(job, &looks) {
                Ok(()) => return Ok(()),
                Err(None) => continue,
                Err(Some(not_now)) => not_now,
            };
            let since = *alone_since.get_or_insert_with(Instant::now);
            if is_passing {
                alone_since = None;
            } else if since.elapsed() >= wait {
                let message = format!("{why}; waited {} s", wait.as_secs());
                return Err(Failure::new(FailureKind::Command, message));
            }
            if said != why && !is_passing {
                let level = Level::Warning;
                options
                    .events
                    .send(self.line(job, level, &format!("waiting: {why}")))
                    .await;
                said = why;
            }
            tokio::select! {
                () = end => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    fn line(&self, job: &PreparedJob, level: Level, message: &str) -> What {
        What::Log {
            level,
            component: "Executor".into(),
            host: job.tasks.first().map(|task| task.host.clone()),
            tag: job.tasks.first().and_then(|task| task.tag.clone()),
            message: message.to_owned(),
        }
    }

    /// Takes the job's hosts out, or says why not; `None`: something has changed since the looks.
    fn decide(
        &self,
        job: &PreparedJob,
        looks: &BTreeMap<usize, Look>,
    ) -> Result<(), Option<NotNow>> {
        let mut out = self.out();
        let changes = self.changes.load(Ordering::SeqCst);
        for (s, look) in looks {
            if look.changes != changes {
                return Err(None);
            }
            if let Some(not_now) = self.too_many(*s, look, job, &out) {
                return Err(Some(not_now));
            }
        }
        out.extend(job.takes_out.iter().map(|taken| (*taken, Out::AtWork)));
        Ok(())
    }

    /// Whether too few hosts of a service would be left.
    fn too_many(
        &self,
        s: usize,
        look: &Look,
        job: &PreparedJob,
        out: &BTreeMap<TakenOut, Out>,
    ) -> Option<NotNow> {
        let service = self.watched.get(s)?;
        let is_gone = |h: usize| out.contains_key(&(s, h)) || look.broken(h).is_some();
        let own: BTreeSet<usize> = job
            .takes_out
            .iter()
            .filter(|(of, _)| *of == s)
            .map(|(_, h)| *h)
            .collect();
        if own.iter().all(|h| is_gone(*h)) {
            // Nobody healthy is taken out.
            return None;
        }
        let total = service.hosts.len();
        let healthy = (0..total)
            .filter(|h| !is_gone(*h) && !own.contains(h))
            .count();
        if healthy >= service.keep {
            return None;
        }
        let mut gone = Vec::new();
        let mut is_passing = false;
        for (h, host) in service
            .hosts
            .iter()
            .enumerate()
            .filter(|(h, _)| !own.contains(h))
        {
            let name = &host.host;
            match (out.get(&(s, h)), look.broken(h)) {
                (Some(Out::AtWork), _) => {
                    is_passing = true;
                    gone.push(format!("{name} is being worked on"));
                }
                (Some(Out::Failed), _) => gone.push(format!("{name} failed in this run")),
                (None, Some(why)) => gone.push(format!("{name} is not healthy: {why}")),
                (None, None) => {}
            }
        }
        let why = format!(
            "without this host {healthy} of the {total} hosts of {} would be healthy, and `min_healthy` keeps {}{}{}",
            service.service,
            service.keep,
            if gone.is_empty() { "" } else { ": " },
            gone.join("; "),
        );
        Some(NotNow {
            why,
            is_passing,
            wait: Duration::from_secs(u64::from(service.wait)),
        })
    }

    /// A job that was admitted has ended. Where it failed after something was sent its hosts stay out.
    pub(crate) fn ended(&self, job: &PreparedJob, stays_out: bool) {
        let mut out = self.out();
        for taken in &job.takes_out {
            match stays_out {
                true => out.insert(*taken, Out::Failed),
                false => out.remove(taken),
            };
        }
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.end.notify_waiters();
    }

    fn out(&self) -> MutexGuard<'_, BTreeMap<TakenOut, Out>> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A look at the hosts of a service that are not out: the last one while it is fresh, or a new one.
    async fn look(&self, s: usize, options: &Options) -> Option<Look> {
        let mut last = self.looks.get(s)?.lock().await;
        let changes = self.changes.load(Ordering::SeqCst);
        if let Some(look) = last.as_ref()
            && look.changes == changes
            && look.began.elapsed() < FRESH
        {
            return Some(look.clone());
        }
        let service = self.watched.get(s)?;
        let asked: Vec<usize> = {
            let out = self.out();
            (0..service.hosts.len())
                .filter(|h| !out.contains_key(&(s, *h)))
                .collect()
        };
        let began = Instant::now();
        let health = look::ask(service, &asked, options).await;
        let look = Look {
            began,
            changes,
            health,
        };
        *last = Some(look.clone());
        Some(look)
    }

    /// Jobs of a stage, those on hosts that are not healthy first: they take nobody out.
    pub(crate) async fn broken_first(
        &self,
        jobs: &mut [&Arc<PreparedJob>],
        options: &Options,
        mut interrupt: Interrupt,
        stops_at: u8,
    ) {
        let services: BTreeSet<usize> = jobs
            .iter()
            .flat_map(|job| &job.takes_out)
            .map(|(s, _)| *s)
            .collect();
        let mut broken: BTreeMap<HostName, Health> = BTreeMap::new();
        for s in services {
            let look = tokio::select! {
                biased;
                () = interrupt.reached(stops_at) => return,
                look = self.look(s, options) => look,
            };
            let (Some(look), Some(service)) = (look, self.watched.get(s)) else {
                continue;
            };
            for (h, host) in service.hosts.iter().enumerate() {
                if let Some(why) = look.broken(h) {
                    let why = format!("{}: {why}", service.service);
                    broken.entry(host.host.clone()).or_insert(Some(why));
                }
            }
        }
        let is_broken = |job: &PreparedJob| job.hosts.iter().any(|host| broken.contains_key(host));
        if jobs.is_sorted_by_key(|job| !is_broken(job)) {
            return;
        }
        jobs.sort_by_key(|job| !is_broken(job));
        let touched: BTreeSet<&HostName> = jobs.iter().flat_map(|job| &job.hosts).collect();
        let first: Vec<String> = broken
            .iter()
            .filter(|(host, _)| touched.contains(host))
            .map(|(host, why)| format!("{host} ({})", why.as_deref().unwrap_or_default()))
            .collect();
        let message = format!("hosts that are not healthy go first: {}", first.join(", "));
        log(&options.events, Level::Info, message).await;
    }
}

/// A job that counts as at work; one that is dropped counts as failed.
pub(crate) struct Admitted<'a> {
    watch: &'a Watch,
    job: &'a PreparedJob,
    stays_out: bool,
}

impl<'a> Admitted<'a> {
    pub(crate) fn new(watch: &'a Watch, job: &'a PreparedJob) -> Self {
        Self {
            watch,
            job,
            stays_out: true,
        }
    }

    /// Its hosts are as healthy as they say.
    pub(crate) fn give_back(mut self) {
        self.stays_out = false;
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.watch.ended(self.job, self.stays_out);
    }
}
