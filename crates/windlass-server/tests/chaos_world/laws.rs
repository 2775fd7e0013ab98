//! What must hold whatever happens: looked at with each change of the store, each effect of an agent, and each answer.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::release::rollback::{OWED, takes_back};
use windlass_model::release::{
    AgentKind, AgentName, Effect, End, Environment, Epoch, Job, JobId, JobState, Micros, Phase,
    Project, ReleaseId, TargetName, Transaction, TransactionId, Whole,
};
use windlass_store::Release;

use crate::world::LEASE;

/// Which transaction has which target.
type Locks = BTreeMap<(Environment, TargetName), TransactionId>;

/// A law that did not hold.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Broken {
    pub(crate) law: &'static str,
    pub(crate) what: String,
}

/// Where an installer acts.
pub(crate) type Spot = (AgentName, Environment, TargetName);

/// An effect: a build or an install that an agent really does.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) job: JobId,
    pub(crate) epoch: Epoch,
    /// Which process does it.
    pub(crate) process: u64,
    /// Of an install: where, and the number of its transaction.
    pub(crate) spot: Option<(Spot, u64)>,
}

/// What was seen so far.
#[derive(Default)]
pub(crate) struct Laws {
    pub(crate) broken: Option<Broken>,
    /// Projects whose failed installs go back.
    pub(crate) takes_back: BTreeSet<Project>,
    /// How long a job may wait until somebody begins it, in microseconds: builds, installs.
    pub(crate) patience: (Micros, Micros),
    /// Starts that the manager granted.
    granted: BTreeSet<(JobId, Epoch)>,
    /// Starts that are void: they were found not to have been made.
    void: BTreeSet<(JobId, Epoch)>,
    /// Effects that began.
    pub(crate) begun: BTreeMap<(JobId, Epoch), Work>,
    /// Those that go on.
    running: BTreeSet<(JobId, Epoch)>,
    /// Jobs of which an effect ended as it should.
    finished: BTreeSet<JobId>,
    /// Jobs that the operator settled.
    settled: BTreeSet<JobId>,
    highest: BTreeMap<Spot, u64>,
    /// Jobs that the operator wanted done again, whatever had come of them.
    pub(crate) again: BTreeSet<JobId>,
    /// Since when a job could be begun: by the store's clock, and without its jumps.
    since: BTreeMap<JobId, (Micros, Micros)>,
    /// By how much the store's clock has jumped.
    pub(crate) jump: Micros,
    requests: BTreeMap<String, TransactionId>,
    owed: BTreeSet<TransactionId>,
    /// What happened how often, for the report.
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

/// A jump of the store's clock that counts as none: a quarter of a lease.
const UNNOTICED: Micros = LEASE as Micros * 1_000_000 / 4;

/// Whether a change is the operator's.
fn is_operators(effects: &[Effect]) -> bool {
    let mut actors = effects.iter().filter_map(|effect| match effect {
        Effect::History { actor, .. } => Some(actor.name.as_str()),
        _ => None,
    });
    actors.any(|name| name == "operator")
}

impl Laws {
    pub(crate) fn breaks(&mut self, law: &'static str, what: impl Into<String>) {
        let what = what.into();
        self.broken.get_or_insert(Broken { law, what });
    }

    fn holds(&mut self, holds: bool, law: &'static str, what: impl FnOnce() -> String) {
        if !holds {
            self.breaks(law, what());
        }
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// A transaction was made; `place`: how many there were.
    pub(crate) fn begun(&mut self, whole: &Whole, place: usize, now: Micros) {
        let transaction = &whole.transaction;
        self.count("transactions");
        self.holds(
            transaction.sequence == place as u64 + 1,
            "numbers have no gaps",
            || format!("{} is number {}", transaction.id, transaction.sequence),
        );
        if let Some(id) = transaction
            .request
            .get("request_id")
            .and_then(|id| id.as_str())
        {
            let known = self.requests.insert(id.to_owned(), transaction.id.clone());
            self.holds(known.is_none(), "one request is one transaction", || {
                format!("{id} is {known:?} and {}", transaction.id)
            });
        }
        self.may_begin(whole, now);
    }

    /// Notes since when jobs could be begun.
    fn may_begin(&mut self, whole: &Whole, now: Micros) {
        let transaction = &whole.transaction;
        for job in &whole.jobs {
            let in_turn = match job.kind {
                AgentKind::Builder => transaction.phase == Phase::Building,
                AgentKind::Installer => {
                    transaction.phase == Phase::Installing && job.wave <= transaction.wave
                }
            };
            if matches!(job.state, JobState::Queued | JobState::Leased) && in_turn {
                self.since
                    .entry(job.id.clone())
                    .or_insert((now, now - self.jump));
            } else if !job.state.is_settled() {
                self.since.remove(&job.id);
            }
        }
    }

    /// A change was written.
    pub(crate) fn changed(
        &mut self,
        (before, after): (&Whole, &Whole),
        effects: &[Effect],
        (locks, releases): (&Locks, &BTreeMap<ReleaseId, Release>),
        now: Micros,
    ) {
        self.count("changes");
        let by_operator = is_operators(effects);
        for job in &after.jobs {
            match before.job(&job.id) {
                Some(was) => self.job(after, was, job, by_operator, now),
                None => self.holds(job.state == JobState::Queued, "ends stay", || {
                    format!("{} was made as {:?}", job.id, job.state)
                }),
            }
            if job.kind == AgentKind::Installer && job.state.is_held() {
                let place = after
                    .transaction
                    .environment
                    .clone()
                    .zip(job.target.clone());
                let owner = place.and_then(|place| locks.get(&place));
                let law = "one transaction installs at a time";
                self.holds(owner == Some(&after.transaction.id), law, || {
                    format!("{} is {:?}, and the lock is {owner:?}'s", job.id, job.state)
                });
            }
        }
        self.may_begin(after, now);
        let (was, is) = (&before.transaction, &after.transaction);
        let states =
            |whole: &Whole| -> Vec<JobState> { whole.jobs.iter().map(|j| j.state).collect() };
        let moved = was.phase != is.phase || was.end != is.end || states(before) != states(after);
        let told = effects.iter().any(|e| matches!(e, Effect::History { .. }));
        self.holds(!moved || told, "what changes is told", || {
            format!("{}: {:?}", is.id, is.phase)
        });
        self.holds(
            was.release.is_none() || was.release == is.release,
            "a release does not change",
            || format!("{}: {:?} -> {:?}", is.id, was.release, is.release),
        );
        let final_before = was.phase.is_over() && was.end != Some(End::Unknown);
        self.holds(
            !final_before || (was.phase, was.end) == (is.phase, is.end),
            "ends stay",
            || format!("{}: {:?} -> {:?}", is.id, was.end, is.end),
        );
        if was.phase == Phase::Waiting && is.phase == Phase::Installing {
            let release = is.release.as_ref().and_then(|id| releases.get(id));
            let rejected = release.and_then(|release| release.rejected.clone());
            self.holds(
                rejected.is_none(),
                "what was rejected is not installed",
                || format!("{} installs {:?}", is.id, is.release),
            );
        }
        if effects
            .iter()
            .any(|e| matches!(e, Effect::History { what, .. } if *what == OWED))
        {
            self.owed.insert(is.id.clone());
        }
        if is.phase.is_over() {
            self.over(before, after, releases);
            let held = locks.values().any(|by| *by == is.id);
            self.holds(!held, "what is over holds no lock", || is.id.to_string());
        }
    }

    fn job(&mut self, after: &Whole, was: &Job, is: &Job, by_operator: bool, now: Micros) {
        let transaction = &after.transaction;
        let key = (is.id.clone(), is.epoch);
        let step = (was.state, is.state);
        let line = || {
            format!(
                "{}: {:?} {} -> {:?} {}",
                is.id, was.state, was.epoch, is.state, is.epoch
            )
        };
        let leased = step == (JobState::Queued, JobState::Leased);
        self.holds(
            is.epoch == was.epoch + u64::from(leased),
            "epochs grow",
            line,
        );
        self.holds(
            !was.state.is_settled() || was.state == is.state,
            "ends stay",
            line,
        );
        if was.state == is.state {
            return;
        }
        let begins = step == (JobState::Leased, JobState::Started);
        if begins {
            let first = self.granted.insert(key.clone());
            self.holds(first, "an epoch is begun once", line);
            self.count("starts");
        }
        if leased || begins {
            let law = "nothing begins after it was taken back";
            self.holds(!transaction.cancelled, law, line);
            let earlier = after.jobs.iter().filter(|j| {
                j.kind == AgentKind::Installer && is.kind == j.kind && j.wave < is.wave
            });
            let mut failed = 0;
            let mut open = false;
            for job in earlier {
                failed += u32::from(job.state == JobState::Failed);
                open |= !job.state.is_settled();
            }
            let fits = !open && failed <= transaction.max_failures;
            self.holds(fits, "waves follow each other", line);
        }
        match step {
            (JobState::Unknown, JobState::Queued) if !by_operator => {
                let law = "what was begun is not begun again";
                self.holds(!self.begun.contains_key(&key), law, line);
                self.void.insert(key);
            }
            (JobState::Started, JobState::Queued) if is.kind == AgentKind::Installer => {
                self.breaks("what was begun is not begun again", line());
            }
            (JobState::Unknown, _) if by_operator => {
                if is.state == JobState::Queued {
                    self.again.insert(is.id.clone());
                }
                self.settled.insert(is.id.clone());
                self.count("settled by the operator");
            }
            (_, JobState::Unknown) => self.count("jobs unknown"),
            (_, JobState::Failed) => {
                let late = is
                    .result
                    .as_ref()
                    .is_some_and(|why| why.contains("before its deadline"));
                let patience = match is.kind {
                    AgentKind::Builder => self.patience.0,
                    AgentKind::Installer => self.patience.1,
                };
                let steady = now - self.jump;
                let since = self.since.get(&is.id).copied();
                let (set, unset) = since.unwrap_or((now, steady));
                // A jump that is not noticed is one of less than this.
                let waited = (now - set).max(steady - unset) + UNNOTICED;
                let law = "a deadline begins when it can be met";
                self.holds(!late || waited >= patience, law, || {
                    format!("{}: {} ms after it could be begun", is.id, waited / 1000)
                });
            }
            _ => {}
        }
    }

    /// A transaction is over.
    fn over(&mut self, before: &Whole, after: &Whole, releases: &BTreeMap<ReleaseId, Release>) {
        let is = &after.transaction;
        let open = |job: &&Job| !job.state.is_settled() && job.state != JobState::Unknown;
        let left = after.jobs.iter().find(open);
        self.holds(left.is_none(), "what is over has nothing to do", || {
            format!("{left:?}")
        });
        let unknown: Vec<&Job> = after
            .jobs
            .iter()
            .filter(|job| job.state == JobState::Unknown)
            .collect();
        let is_unknown = is.end == Some(End::Unknown);
        self.holds(unknown.is_empty() != is_unknown, "unknown is said", || {
            format!("{is:?}")
        });
        let why = is.why.clone().unwrap_or_default();
        let named = |job: &&Job| {
            let names = [
                job.target.as_ref().map(|t| t.as_str()),
                job.agent.as_ref().map(|a| a.as_str()),
            ];
            names.into_iter().flatten().all(|name| why.contains(name))
        };
        let failed = matches!(
            is.end,
            Some(End::BuildFailed | End::InstallFailed | End::Unknown)
        );
        self.holds(
            (!failed || !why.is_empty()) && unknown.iter().all(named),
            "an end says why",
            || format!("{}: {:?}: {why:?}", is.id, is.end),
        );
        if before.transaction.end == is.end {
            return;
        }
        self.count(is.status().as_str());
        if is.end == Some(End::Done) {
            self.done(after, releases);
        }
        let owes = is.end == Some(End::InstallFailed)
            && self.takes_back.contains(&is.project)
            && takes_back(is).is_none()
            && after
                .jobs
                .iter()
                .any(|j| j.kind == AgentKind::Installer && j.state == JobState::Done);
        self.holds(
            !owes || self.owed.contains(&is.id),
            "a failure is taken back",
            || format!("{} ended as {:?}, and no rollback is owed", is.id, is.end),
        );
    }

    /// A transaction ended as done: everything that it was to do was done.
    fn done(&mut self, after: &Whole, releases: &BTreeMap<ReleaseId, Release>) {
        let is = &after.transaction;
        let law = "done means done";
        for job in &after.jobs {
            let done = job.state == JobState::Done
                && (self.finished.contains(&job.id) || self.settled.contains(&job.id));
            self.holds(done, law, || {
                format!("{} of {} is {:?}", job.id, is.id, job.state)
            });
        }
        if !is.installs {
            return;
        }
        let release = is.release.as_ref().and_then(|id| releases.get(id));
        let targets = release
            .map(|r| r.index.targets.keys().collect::<Vec<_>>())
            .unwrap_or_default();
        let all = is.request.contains_key("components")
            || targets.iter().all(|target| {
                after
                    .jobs
                    .iter()
                    .any(|job| job.target.as_ref() == Some(*target))
            });
        self.holds(all && !targets.is_empty(), law, || {
            format!("{}: a target was left out", is.id)
        });
    }

    /// A release was written, where this one was before.
    pub(crate) fn released(&mut self, before: Option<&Release>, release: &Release) {
        self.count("releases");
        self.holds(before.is_none(), "a release does not change", || {
            format!("{}: {:?}", release.index.release(), release.transaction)
        });
    }

    /// An agent really begins.
    pub(crate) fn begins(&mut self, work: Work) {
        let key = (work.job.clone(), work.epoch);
        let line = || {
            format!(
                "{} epoch {} by process {}",
                work.job, work.epoch, work.process
            )
        };
        self.count("effects");
        self.holds(
            self.granted.contains(&key),
            "only a yes gives the right",
            line,
        );
        self.holds(
            !self.void.contains(&key),
            "what was not begun is not begun later",
            line,
        );
        self.holds(
            !self.begun.contains_key(&key),
            "an epoch is begun once",
            line,
        );
        if let Some((spot, number)) = &work.spot {
            let other = self
                .running
                .iter()
                .filter_map(|key| self.begun.get(key))
                .any(|other| {
                    other.spot.as_ref().is_some_and(|(of, ..)| of == spot) || other.job == work.job
                });
            self.holds(!other, "one install at a time in a place", line);
            let highest = self.highest.entry(spot.clone()).or_insert(0);
            let older = *number < *highest;
            *highest = (*highest).max(*number);
            self.holds(!older, "the fence holds", line);
        }
        self.running.insert(key.clone());
        self.begun.insert(key, work);
    }

    /// An effect ended; `good`: as it should.
    pub(crate) fn ends(&mut self, job: &JobId, epoch: Epoch, good: bool) {
        self.running.remove(&(job.clone(), epoch));
        if good {
            self.finished.insert(job.clone());
        }
    }

    /// A process is no more, and what it did.
    pub(crate) fn died(&mut self, process: u64) {
        let begun = &self.begun;
        self.running
            .retain(|key| begun.get(key).is_some_and(|work| work.process != process));
    }

    /// Whether an install of a job goes on.
    pub(crate) fn goes_on(&self, job: &JobId) -> bool {
        self.running.iter().any(|(of, _)| of == job)
    }

    /// A client was told which transaction its request is.
    pub(crate) fn answered(
        &mut self,
        request: &str,
        id: &TransactionId,
        kept: Option<&Transaction>,
    ) {
        self.count("requests answered");
        let same = self.requests.get(request) == Some(id) && kept.is_some();
        self.holds(same, "what was acknowledged is kept", || {
            format!("{request} as {id}")
        });
    }

    /// Somebody was told that this is so.
    pub(crate) fn acknowledged(&mut self, is_so: bool, what: impl FnOnce() -> String) {
        self.holds(is_so, "what was acknowledged is kept", what);
    }

    /// An agent was told that it may begin.
    pub(crate) fn allowed(&mut self, job: &JobId, epoch: Epoch) {
        let is_so = self.granted.contains(&(job.clone(), epoch));
        self.acknowledged(is_so, || format!("the start of {job} under {epoch}"));
    }
}
