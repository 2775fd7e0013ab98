//! The state machines of transactions and jobs: pure functions from what is, and what happened, to what is then.
//!
//! Every function either refuses and changes nothing, or changes the [`Whole`] and gives the effects that belong to the
//! change; the store writes both at once. Repeating a report that was taken is no fault and changes nothing, since agents
//! send again what was not answered.
//!
//! ```text
//! transaction  Building -> Waiting -> Installing -> Ended;   Building -> Ended when only a build was asked for
//! job          Queued -> Leased -> Started -> Done | Failed
//!              Leased, expired -> Queued;  Started, expired -> Queued (build, 3 attempts) | Unknown (install)
//!              Unknown -> Done | Failed | Queued, by a probe or the operator
//! ```

use super::ids::{AgentName, JobId, ReleaseId};
use super::index::Index;
use super::job::{Epoch, JobState};
use super::transaction::{End, Phase};
use super::whole::{Actor, AgentKind, Effect, InstalledRow, Job, Micros, Whole};

/// How often a build is begun before it counts as failed.
pub const BUILD_ATTEMPTS: u32 = 3;

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such job.
    NoJob(JobId),
    /// The right is an old one: somebody else has the job by now, or nobody.
    Superseded,
    /// The transaction was taken back before the job began.
    Cancelled,
    /// It cannot be done in this state, for the reason given.
    Illegal(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoJob(id) => write!(f, "there is no job {id}"),
            Self::Superseded => f.write_str("superseded: the lease is not the job's newest"),
            Self::Cancelled => f.write_str("cancelled: the transaction was taken back"),
            Self::Illegal(why) => f.write_str(why),
        }
    }
}

/// Effects of a change, or why there is none.
pub type Changed = Result<Vec<Effect>, Refusal>;

/// What an agent's own journal says of a job that it had begun.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// It was never begun.
    NotBegun,
    /// It was done.
    Done {
        /// What is where.
        rows: Vec<InstalledRow>,
    },
    /// It failed.
    Failed {
        /// Why.
        why: String,
        /// What it left where all the same.
        #[serde(default)]
        rows: Vec<InstalledRow>,
    },
    /// It goes on, under the epoch that is named.
    Running {
        /// Its epoch.
        epoch: Epoch,
    },
    /// The agent does not know either.
    Unknown {
        /// What to look at.
        why: String,
    },
}

/// What an operator says of a job whose outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settled {
    /// It was done.
    Done,
    /// It failed.
    Failed,
    /// Do it again.
    Again,
}

fn history(actor: &Actor, what: &'static str, detail: impl Into<String>) -> Effect {
    Effect::History {
        actor: actor.clone(),
        what,
        detail: detail.into(),
    }
}

fn agent(kind: AgentKind, name: &AgentName, address: &str) -> Actor {
    Actor {
        name: format!("{} {name}", kind.as_str()),
        address: address.to_owned(),
    }
}

/// What a job is, for people.
fn describe(job: &Job) -> String {
    match (&job.target, &job.agent) {
        (Some(target), Some(agent)) => format!("{target} by {agent}"),
        (None, Some(agent)) => format!("build by {agent}"),
        (Some(target), None) => target.to_string(),
        (None, None) => "build".into(),
    }
}

/// Whether an agent may have a job now.
pub fn may_lease(whole: &Whole, job: &Job, kind: AgentKind, name: &AgentName) -> bool {
    let transaction = &whole.transaction;
    let in_turn = match kind {
        AgentKind::Builder => transaction.phase == Phase::Building,
        AgentKind::Installer => {
            transaction.phase == Phase::Installing
                && job.wave == transaction.wave
                && job.agent.as_ref() == Some(name)
        }
    };
    job.kind == kind && job.state == JobState::Queued && !transaction.cancelled && in_turn
}

/// Gives an agent the right to begin a job. `lease`: microseconds.
pub fn lease(
    whole: &mut Whole,
    id: &JobId,
    (kind, name, address): (AgentKind, &AgentName, &str),
    now: Micros,
    lease: Micros,
) -> Changed {
    let position = position(whole, id)?;
    if !may_lease(whole, &whole.jobs[position], kind, name) {
        return Err(Refusal::Superseded);
    }
    let job = &mut whole.jobs[position];
    job.state = JobState::Leased;
    job.agent = Some(name.clone());
    job.epoch += 1;
    job.lease_until = Some(now.saturating_add(lease));
    let detail = format!("{} (epoch {})", describe(job), job.epoch);
    Ok(vec![history(&agent(kind, name, address), "leased", detail)])
}

fn position(whole: &Whole, id: &JobId) -> Result<usize, Refusal> {
    let found = whole.jobs.iter().position(|job| job.id == *id);
    found.ok_or_else(|| Refusal::NoJob(id.clone()))
}

/// The job, where the report comes from the agent that has it under its newest epoch.
fn held<'a>(
    whole: &'a mut Whole,
    id: &JobId,
    name: &AgentName,
    epoch: Epoch,
) -> Result<&'a mut Job, Refusal> {
    let cancelled = whole.transaction.cancelled;
    let position = position(whole, id)?;
    let job = &mut whole.jobs[position];
    if job.epoch != epoch || job.agent.as_ref() != Some(name) {
        return Err(Refusal::Superseded);
    }
    if job.state == JobState::Cancelled {
        return Err(if cancelled {
            Refusal::Cancelled
        } else {
            Refusal::Superseded
        });
    }
    Ok(job)
}

/// The agent begins. Fenced: whoever has an older right is refused.
pub fn start(
    whole: &mut Whole,
    id: &JobId,
    (name, address): (&AgentName, &str),
    epoch: Epoch,
    now: Micros,
    lease: Micros,
) -> Changed {
    let job = held(whole, id, name, epoch)?;
    match job.state {
        JobState::Leased => {}
        JobState::Started => return Ok(Vec::new()),
        _ => return Err(Refusal::Superseded),
    }
    job.state = JobState::Started;
    job.attempt += 1;
    job.lease_until = Some(now.saturating_add(lease));
    let detail = format!("{} (attempt {})", describe(job), job.attempt);
    Ok(vec![history(
        &agent(job.kind, name, address),
        "started",
        detail,
    )])
}

/// The agent has it still. Gives whether it is wanted still: a job whose transaction was taken back is to be stopped.
pub fn renew(
    whole: &mut Whole,
    id: &JobId,
    name: &AgentName,
    epoch: Epoch,
    now: Micros,
    lease: Micros,
) -> Result<bool, Refusal> {
    let cancelled = whole.transaction.cancelled;
    let job = held(whole, id, name, epoch)?;
    if !job.state.is_held() {
        return Err(Refusal::Superseded);
    }
    job.lease_until = Some(now.saturating_add(lease));
    Ok(!cancelled)
}

/// A build succeeded. The blobs of the index must be there already.
pub fn built(
    whole: &mut Whole,
    id: &JobId,
    (name, address): (&AgentName, &str),
    epoch: Epoch,
    index: Index,
    now: Micros,
) -> Changed {
    let project = whole.transaction.project.clone();
    let job = held(whole, id, name, epoch)?;
    match (job.kind, job.state) {
        (AgentKind::Builder, JobState::Started) => {}
        (AgentKind::Builder, JobState::Done) => return Ok(Vec::new()),
        (AgentKind::Builder, _) => return Err(Refusal::Superseded),
        (AgentKind::Installer, _) => {
            return Err(Refusal::Illegal(format!("job {id} is no build")));
        }
    }
    if index.project != project {
        return Err(Refusal::Illegal(format!(
            "the index is of project {}, and the job of {project}",
            index.project
        )));
    }
    let release = index.release();
    settle_job(job, JobState::Done, Some(release.to_string()));
    let revision = index.revision.as_deref().unwrap_or("none");
    let detail = format!("{release}, revision {revision}");
    let mut effects = vec![
        history(
            &agent(AgentKind::Builder, name, address),
            "build completed",
            detail,
        ),
        Effect::Release { index },
    ];
    let transaction = &mut whole.transaction;
    transaction.release = Some(release);
    if transaction.cancelled {
        effects.extend(end(whole, End::Cancelled, None, now));
    } else if transaction.installs {
        transaction.phase = Phase::Waiting;
    } else {
        effects.extend(end(whole, End::Done, None, now));
    }
    Ok(effects)
}

/// An action of a project's own, which a builder does, succeeded. It gives no release.
pub fn ran(
    whole: &mut Whole,
    id: &JobId,
    (name, address): (&AgentName, &str),
    epoch: Epoch,
    now: Micros,
) -> Changed {
    let action = whole.transaction.action.clone();
    if matches!(action.as_str(), "build" | "install") {
        return Err(Refusal::Illegal(format!(
            "job {id} is a {action}: it gives a release"
        )));
    }
    let job = held(whole, id, name, epoch)?;
    match (job.kind, job.state) {
        (AgentKind::Builder, JobState::Started) => {}
        (AgentKind::Builder, JobState::Done) => return Ok(Vec::new()),
        (AgentKind::Builder, _) => return Err(Refusal::Superseded),
        (AgentKind::Installer, _) => {
            return Err(Refusal::Illegal(format!("job {id} is no action")));
        }
    }
    settle_job(job, JobState::Done, Some(action.clone()));
    let actor = agent(AgentKind::Builder, name, address);
    let mut effects = vec![history(&actor, "action completed", action)];
    let over = match whole.transaction.cancelled {
        true => End::Cancelled,
        false => End::Done,
    };
    effects.extend(end(whole, over, None, now));
    Ok(effects)
}

/// One job of an install that is planned.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// Its id.
    pub id: JobId,
    /// Where to.
    pub target: super::ids::TargetName,
    /// By whom.
    pub agent: AgentName,
    /// From 1.
    pub wave: u32,
}

/// The install begins: its targets are locked, its jobs are made; those of the first wave must have begun until `deadline`, those
/// of a later one within a time that begins with their wave ([`allot`]). The change fails as *busy* when another transaction installs
/// into one of the targets.
pub fn plan(
    whole: &mut Whole,
    planned: Vec<Planned>,
    max_failures: u32,
    deadline: Micros,
) -> Changed {
    let transaction = &mut whole.transaction;
    let Some(environment) = transaction.environment.clone() else {
        return Err(Refusal::Illegal("an install needs an environment".into()));
    };
    if transaction.phase != Phase::Waiting || transaction.cancelled {
        return Err(Refusal::Illegal("it does not wait for an install".into()));
    }
    if planned.is_empty() {
        return Err(Refusal::Illegal("there is nothing to install".into()));
    }
    transaction.phase = Phase::Installing;
    transaction.wave = planned.iter().map(|job| job.wave).min().unwrap_or(1);
    transaction.max_failures = max_failures;
    let mut targets: Vec<_> = planned.iter().map(|job| job.target.clone()).collect();
    targets.sort();
    targets.dedup();
    let mut effects: Vec<Effect> = targets
        .into_iter()
        .map(|target| Effect::Lock {
            environment: environment.clone(),
            target,
        })
        .collect();
    let first = transaction.wave;
    let waves = planned.iter().map(|job| job.wave).max().unwrap_or(1);
    let detail = format!("{} installs in {waves} waves", planned.len());
    effects.push(history(&Actor::manager(), "install planned", detail));
    whole.jobs.extend(planned.into_iter().map(|job| Job {
        id: job.id,
        kind: AgentKind::Installer,
        target: Some(job.target),
        agent: Some(job.agent),
        wave: job.wave,
        state: JobState::Queued,
        attempt: 0,
        epoch: 0,
        lease_until: None,
        deadline: (job.wave == first).then_some(deadline),
        result: None,
    }));
    Ok(effects)
}

/// The release is there, but nobody can install it any more.
pub fn unroutable(whole: &mut Whole, why: &str, now: Micros) -> Changed {
    if whole.transaction.phase != Phase::Waiting {
        return Err(Refusal::Illegal("it does not wait for an install".into()));
    }
    Ok(end(whole, End::InstallFailed, Some(why.to_owned()), now))
}

/// An install succeeded; `rows`: what is where now.
pub fn installed(
    whole: &mut Whole,
    id: &JobId,
    (name, address): (&AgentName, &str),
    epoch: Epoch,
    rows: Vec<InstalledRow>,
    now: Micros,
) -> Changed {
    let job = held(whole, id, name, epoch)?;
    match (job.kind, job.state) {
        // What is known late is better than what is not known.
        (AgentKind::Installer, JobState::Started | JobState::Unknown) => {}
        (AgentKind::Installer, JobState::Done) => return Ok(Vec::new()),
        (AgentKind::Installer, _) => return Err(Refusal::Superseded),
        (AgentKind::Builder, _) => {
            return Err(Refusal::Illegal(format!("job {id} is no install")));
        }
    }
    settle_job(job, JobState::Done, None);
    let mut effects = vec![history(
        &agent(AgentKind::Installer, name, address),
        "installed",
        describe(job),
    )];
    effects.extend(rows_of(whole, id, rows));
    effects.extend(reopen(whole, id)?);
    effects.extend(evaluate(whole, now));
    Ok(effects)
}

/// The rows that an install leaves in the matrix.
fn rows_of(whole: &Whole, id: &JobId, rows: Vec<InstalledRow>) -> Vec<Effect> {
    let transaction = &whole.transaction;
    let job = whole.job(id);
    let (Some(environment), Some(release)) = (&transaction.environment, &transaction.release)
    else {
        return Vec::new();
    };
    let Some((target, agent)) = job.and_then(|j| j.target.clone().zip(j.agent.clone())) else {
        return Vec::new();
    };
    let row = |host: String, release: ReleaseId| Effect::Installed {
        environment: environment.clone(),
        target: target.clone(),
        agent: agent.clone(),
        host,
        release,
    };
    if rows.is_empty() {
        return vec![row("local".into(), release.clone())];
    }
    let rows = rows.into_iter();
    rows.filter_map(|r| r.release.map(|release| row(r.host, release)))
        .collect()
}

/// A build or an install failed; `rows`: what an install left where all the same.
pub fn failed(
    whole: &mut Whole,
    id: &JobId,
    (name, address): (&AgentName, &str),
    epoch: Epoch,
    (why, rows): (&str, Vec<InstalledRow>),
    now: Micros,
) -> Changed {
    let job = held(whole, id, name, epoch)?;
    match job.state {
        JobState::Leased | JobState::Started => {}
        JobState::Unknown if job.kind == AgentKind::Installer => {}
        JobState::Failed => return Ok(Vec::new()),
        _ => return Err(Refusal::Superseded),
    }
    settle_job(job, JobState::Failed, Some(why.to_owned()));
    let what = match job.kind {
        AgentKind::Builder => "build failed",
        AgentKind::Installer => "install failed",
    };
    let actor = agent(job.kind, name, address);
    let mut effects = vec![history(&actor, what, format!("{}: {why}", describe(job)))];
    if !rows.is_empty() {
        effects.extend(rows_of(whole, id, rows));
    }
    effects.extend(reopen(whole, id)?);
    effects.extend(evaluate(whole, now));
    Ok(effects)
}

/// An agent is done with a job without knowing what came of it.
pub fn unknown(
    whole: &mut Whole,
    id: &JobId,
    (name, address): (&AgentName, &str),
    epoch: Epoch,
    why: &str,
    now: Micros,
) -> Changed {
    let job = held(whole, id, name, epoch)?;
    if job.kind == AgentKind::Builder {
        return Err(Refusal::Illegal(format!(
            "job {id} is a build: it can be done again"
        )));
    }
    match job.state {
        JobState::Started => {}
        // It was lost, and has ended there since.
        JobState::Unknown if job.lease_until.is_some() => {}
        JobState::Unknown => return Ok(Vec::new()),
        _ => return Err(Refusal::Superseded),
    }
    settle_job(job, JobState::Unknown, Some(why.to_owned()));
    let detail = format!("{}: {why}", describe(job));
    let mut effects = vec![history(&agent(job.kind, name, address), "unknown", detail)];
    effects.extend(reopen(whole, id)?);
    effects.extend(evaluate(whole, now));
    Ok(effects)
}

fn settle_job(job: &mut Job, state: JobState, result: Option<String>) {
    job.state = state;
    job.lease_until = None;
    job.result = result;
}

/// What time alone changes: leases and deadlines that have passed.
pub fn tick(whole: &mut Whole, now: Micros) -> Vec<Effect> {
    let cancelled = whole.transaction.cancelled;
    let wave = whole.transaction.wave;
    let mut effects = Vec::new();
    for job in &mut whole.jobs {
        let until = job.lease_until;
        if until.is_some_and(|until| until < now) {
            effects.extend(lapse(job, cancelled, "the lease expired before it began"));
            if job.state == JobState::Unknown {
                // Nobody gave it back: it may go on there after all.
                job.lease_until = until;
            }
        }
        let late = job.deadline.is_some_and(|deadline| deadline < now) && job.wave <= wave;
        if late && matches!(job.state, JobState::Queued | JobState::Leased) {
            let why = "nobody began it before its deadline: the agent is away or busy";
            let what = match job.kind {
                AgentKind::Builder => "build failed",
                AgentKind::Installer => "install failed",
            };
            let detail = format!("{}: {why}", describe(job));
            effects.push(history(&Actor::manager(), what, detail));
            settle_job(job, JobState::Failed, Some(why.into()));
        }
    }
    if !effects.is_empty() {
        effects.extend(evaluate(whole, now));
    }
    effects
}

/// The clock was set by `by`, or nobody looked at it for a while: every lease is a whole one from here on. Deadlines move along with
/// the clock; none is sooner than a lease, in which agents that were away come back, or later than `longest`, for which the longest
/// is given.
pub fn clock_set(whole: &mut Whole, by: Micros, lease: Micros, longest: Micros, now: Micros) {
    let (soonest, latest) = (now.saturating_add(lease), now.saturating_add(longest));
    for job in &mut whole.jobs {
        if matches!(job.state, JobState::Leased | JobState::Started) {
            job.lease_until = Some(soonest);
        }
        if matches!(job.state, JobState::Queued | JobState::Leased) {
            // One that lies beyond the latest was given before the clock was set back.
            let moves = |deadline| by > 0 || deadline > latest;
            job.deadline = job.deadline.map(|deadline| {
                let moved = if moves(deadline) { by } else { 0 };
                deadline.saturating_add(moved).min(latest).max(soonest)
            });
        }
    }
}

/// The agent has begun anew without it: nobody has it any more, whatever its lease says. What it was given under another epoch since
/// is not meant.
pub fn lost(whole: &mut Whole, id: &JobId, name: &AgentName, epoch: Epoch, now: Micros) -> Changed {
    let cancelled = whole.transaction.cancelled;
    let job = held(whole, id, name, epoch)?;
    let mut effects = Vec::new();
    effects.extend(lapse(job, cancelled, "its agent began anew"));
    if !effects.is_empty() {
        effects.extend(evaluate(whole, now));
    }
    Ok(effects)
}

/// The right to a job is over. `unbegun`: why, where it had not begun.
fn lapse(job: &mut Job, cancelled: bool, unbegun: &str) -> Option<Effect> {
    let who = describe(job);
    let told = |what, detail: &str| history(&Actor::manager(), what, format!("{who}: {detail}"));
    Some(match (job.kind, job.state) {
        (_, JobState::Leased) => {
            let deadline = job.deadline;
            requeue(job);
            // Nobody began it, so nobody has more time for that.
            job.deadline = deadline;
            told("queued again", unbegun)
        }
        (AgentKind::Builder, JobState::Started) if cancelled || job.attempt >= BUILD_ATTEMPTS => {
            let why = format!("the builder was lost in attempt {}", job.attempt);
            let effect = told("build failed", &why);
            settle_job(job, JobState::Failed, Some(why));
            effect
        }
        (AgentKind::Builder, JobState::Started) => {
            requeue(job);
            told("queued again", "the builder was lost")
        }
        (AgentKind::Installer, JobState::Started) => {
            let why =
                "the installer was lost after it had begun: look at its log and at the target";
            settle_job(job, JobState::Unknown, Some(why.into()));
            told("unknown", why)
        }
        _ => return None,
    })
}

/// It is to be begun again, and gets time for that anew: see [`allot`].
fn requeue(job: &mut Job) {
    job.state = JobState::Queued;
    job.lease_until = None;
    job.deadline = None;
    if job.kind == AgentKind::Builder {
        job.agent = None;
    }
}

/// Gives each job that can be begun from now on a time until which it must have been: `builds` or `installs`, in microseconds,
/// from now. Belongs to every change by which a wave may begin or a job may be queued again; what has its time keeps it.
pub fn allot(whole: &mut Whole, now: Micros, (builds, installs): (Micros, Micros)) {
    let wave = whole.transaction.wave;
    let waits = |job: &&mut Job| job.state == JobState::Queued && job.wave <= wave;
    for job in whole.jobs.iter_mut().filter(waits) {
        let within = match job.kind {
            AgentKind::Builder => builds,
            AgentKind::Installer => installs,
        };
        job.deadline.get_or_insert(now.saturating_add(within));
    }
}

/// Somebody takes the transaction back: nothing more begins; what runs settles first.
pub fn cancel(whole: &mut Whole, actor: &Actor, now: Micros) -> Changed {
    let transaction = &mut whole.transaction;
    if transaction.phase.is_over() {
        return Err(Refusal::Illegal(format!(
            "it is over: {}",
            transaction.status().as_str()
        )));
    }
    if transaction.cancelled {
        return Ok(Vec::new());
    }
    transaction.cancelled = true;
    for job in &mut whole.jobs {
        if matches!(job.state, JobState::Queued | JobState::Leased) {
            settle_job(job, JobState::Cancelled, None);
        }
    }
    let mut effects = vec![history(actor, "cancelled", "")];
    effects.extend(evaluate(whole, now));
    Ok(effects)
}

/// What an agent's own journal says of a job whose outcome was not known; `epoch`: the lease that it was asked about.
pub fn probed(
    whole: &mut Whole,
    id: &JobId,
    (name, address): (&AgentName, &str),
    epoch: Epoch,
    verdict: Verdict,
    now: Micros,
    lease: Micros,
) -> Changed {
    let position = position(whole, id)?;
    let cancelled = whole.transaction.cancelled;
    let job = &mut whole.jobs[position];
    // What was asked about an earlier lease, and comes late, says nothing about this one.
    if job.agent.as_ref() != Some(name) || job.epoch != epoch {
        return Err(Refusal::Superseded);
    }
    if job.state != JobState::Unknown {
        return Ok(Vec::new());
    }
    let actor = agent(job.kind, name, address);
    let who = describe(job);
    let mut effects = Vec::new();
    match verdict {
        Verdict::Done { rows } => {
            settle_job(job, JobState::Done, None);
            effects.push(history(
                &actor,
                "installed",
                format!("{who}, as its journal says"),
            ));
            effects.extend(rows_of(whole, id, rows));
        }
        Verdict::Failed { why, rows } => {
            effects.push(history(&actor, "install failed", format!("{who}: {why}")));
            settle_job(job, JobState::Failed, Some(why));
            if !rows.is_empty() {
                effects.extend(rows_of(whole, id, rows));
            }
        }
        Verdict::NotBegun if cancelled => {
            effects.push(history(&actor, "not begun", who));
            settle_job(job, JobState::Cancelled, None);
        }
        Verdict::NotBegun => {
            effects.push(history(
                &actor,
                "queued again",
                format!("{who} had not begun it"),
            ));
            requeue(job);
        }
        // One whose installer has ended it, without knowing how, does not go on.
        Verdict::Running { epoch } if epoch == job.epoch && job.lease_until.is_some() => {
            effects.push(history(&actor, "started", format!("{who} goes on with it")));
            job.state = JobState::Started;
            job.lease_until = Some(now.saturating_add(lease));
        }
        Verdict::Running { .. } => return Err(Refusal::Superseded),
        Verdict::Unknown { why } if job.result.as_ref() == Some(&why) => return Ok(Vec::new()),
        Verdict::Unknown { why } => {
            job.result = Some(why.clone());
            return Ok(vec![history(&actor, "unknown", format!("{who}: {why}"))]);
        }
    }
    effects.extend(reopen(whole, id)?);
    effects.extend(evaluate(whole, now));
    Ok(effects)
}

/// An operator says what came of a job.
pub fn settle(
    whole: &mut Whole,
    id: &JobId,
    settled: Settled,
    actor: &Actor,
    now: Micros,
) -> Changed {
    let position = position(whole, id)?;
    let job = &mut whole.jobs[position];
    if job.state != JobState::Unknown {
        return Err(Refusal::Illegal(format!(
            "job {id} is {}: only what is unknown can be settled",
            job.state.as_str()
        )));
    }
    let detail = describe(job);
    let mut effects = Vec::new();
    match settled {
        Settled::Done => {
            settle_job(job, JobState::Done, Some("as the operator says".into()));
            effects.push(history(actor, "settled as done", detail));
            effects.extend(rows_of(whole, id, Vec::new()));
        }
        Settled::Failed => {
            settle_job(job, JobState::Failed, Some("as the operator says".into()));
            effects.push(history(actor, "settled as failed", detail));
        }
        Settled::Again => {
            requeue(job);
            effects.push(history(actor, "queued again", detail));
        }
    }
    effects.extend(reopen(whole, id)?);
    effects.extend(evaluate(whole, now));
    Ok(effects)
}

/// A transaction that ended as unknown goes on, since a job of it was settled. What is settled needs no lock; a job that is to run
/// does, also where the transaction goes on already for another one.
fn reopen(whole: &mut Whole, id: &JobId) -> Changed {
    let runs = |job: &&Job| !job.state.is_settled() && job.state != JobState::Unknown;
    let target = whole
        .job(id)
        .filter(runs)
        .and_then(|job| job.target.clone());
    let transaction = &mut whole.transaction;
    let was_over = transaction.phase == Phase::Ended && transaction.end == Some(End::Unknown);
    if !was_over && (transaction.phase != Phase::Installing || target.is_none()) {
        return Ok(Vec::new());
    }
    let Some(environment) = transaction.environment.clone() else {
        return Err(Refusal::Illegal("an install needs an environment".into()));
    };
    transaction.phase = Phase::Installing;
    transaction.end = None;
    transaction.ended_at = None;
    transaction.why = None;
    let lock = target.map(|target| Effect::Lock {
        environment,
        target,
    });
    Ok(lock.into_iter().collect())
}

/// What follows for the transaction from the state of its jobs.
fn evaluate(whole: &mut Whole, now: Micros) -> Vec<Effect> {
    match whole.transaction.phase {
        Phase::Building => evaluate_build(whole, now),
        Phase::Waiting if whole.transaction.cancelled => end(whole, End::Cancelled, None, now),
        Phase::Installing => evaluate_install(whole, now),
        _ => Vec::new(),
    }
}

fn evaluate_build(whole: &mut Whole, now: Micros) -> Vec<Effect> {
    let Some(build) = whole.jobs.iter().find(|job| job.kind == AgentKind::Builder) else {
        return Vec::new();
    };
    match build.state {
        _ if whole.transaction.cancelled && build.state.is_settled() => {
            end(whole, End::Cancelled, None, now)
        }
        JobState::Failed => {
            let why = build.result.clone();
            end(whole, End::BuildFailed, why, now)
        }
        _ => Vec::new(),
    }
}

fn evaluate_install(whole: &mut Whole, now: Micros) -> Vec<Effect> {
    let wave = whole.transaction.wave;
    let quiet = |job: &Job| job.state.is_settled() || job.state == JobState::Unknown;
    let installs = |job: &&Job| job.kind == AgentKind::Installer;
    let current = |job: &&Job| job.wave <= wave;
    let jobs = &whole.jobs;
    if !jobs.iter().filter(installs).filter(current).all(quiet) {
        return Vec::new();
    }
    let count = |state: JobState| {
        jobs.iter()
            .filter(installs)
            .filter(|job| job.state == state)
            .count()
    };
    let (failed, unknown) = (count(JobState::Failed), count(JobState::Unknown));
    let left = jobs.iter().any(|job| job.state == JobState::Queued);
    let over = failed > whole.transaction.max_failures as usize || unknown > 0;
    if left && !over && !whole.transaction.cancelled {
        return next_wave(whole);
    }
    let cancelled_before = count(JobState::Cancelled);
    for job in &mut whole.jobs {
        if job.state == JobState::Queued {
            let why = "not begun: an earlier wave did not succeed";
            settle_job(job, JobState::Cancelled, Some(why.into()));
        }
    }
    let not_begun = whole
        .jobs
        .iter()
        .filter(|job| job.state == JobState::Cancelled)
        .count();
    let why = || {
        let jobs = whole.jobs.iter();
        let of = |state| move |job: &&Job| job.state == state;
        let state = if unknown > 0 {
            JobState::Unknown
        } else {
            JobState::Failed
        };
        let told: Vec<String> = jobs
            .filter(of(state))
            .map(|job| {
                format!(
                    "{}: {}",
                    describe(job),
                    job.result.as_deref().unwrap_or(state.as_str())
                )
            })
            .collect();
        (!told.is_empty()).then(|| told.join("; "))
    };
    if unknown > 0 {
        let why = why();
        end(whole, End::Unknown, why, now)
    } else if whole.transaction.cancelled {
        end(whole, End::Cancelled, None, now)
    } else if failed > 0 || not_begun > 0 || cancelled_before > 0 {
        let why = why().or_else(|| Some(format!("{not_begun} installs were not begun")));
        end(whole, End::InstallFailed, why, now)
    } else {
        end(whole, End::Done, None, now)
    }
}

fn next_wave(whole: &mut Whole) -> Vec<Effect> {
    let queued = whole
        .jobs
        .iter()
        .filter(|job| job.state == JobState::Queued);
    let Some(next) = queued.map(|job| job.wave).min() else {
        return Vec::new();
    };
    whole.transaction.wave = next;
    vec![history(&Actor::manager(), "wave", next.to_string())]
}

fn end(whole: &mut Whole, end: End, why: Option<String>, now: Micros) -> Vec<Effect> {
    let transaction = &mut whole.transaction;
    transaction.phase = Phase::Ended;
    transaction.end = Some(end);
    transaction.ended_at = Some(now);
    transaction.why = why;
    let status = transaction.status().as_str();
    let detail = transaction.why.clone().unwrap_or_default();
    let ended = history(
        &Actor::manager(),
        "ended",
        match detail.is_empty() {
            true => status.to_owned(),
            false => format!("{status}: {detail}"),
        },
    );
    vec![ended, Effect::Unlock]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
