//! Runs a prepared tasklist: stages in series, the jobs of a stage within its limits.

mod health;
mod job;
mod kept;
mod lines;
mod prepare;
mod receipts;
mod resume;

use std::collections::{BTreeSet, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use tokio::task::JoinSet;
use windlass_model::event::{RunEnd, TaskRef, What};
use windlass_model::ids::{HostName, RunId};
use windlass_model::outcome::Outcome;
use windlass_model::step::Level;

pub use prepare::{Prepared, PreparedJob, PreparedStage, PreparedTask, prepare};
pub use receipts::{Standing, probe_script, read_probe, read_receipt, write_script};
pub use resume::{Decision, Resumption, Told, resumption};

use crate::events::Events;
use crate::host::{HostError, HostErrorKind, Hosts};
use crate::interrupt::Interrupt;
use crate::locks::Locks;
use crate::queue::Queue;
use crate::secrets::Secrets;

/// Why nothing more starts when the sinks of events are gone.
const NO_JOURNAL: &str = "the journal could not be written";

/// What a run needs beside its tasklist.
#[derive(Clone)]
pub struct Options {
    /// Its id.
    pub run: RunId,
    /// `user@machine` of who runs it.
    pub by: String,
    /// Where its hosts are had from.
    pub hosts: Arc<dyn Hosts>,
    /// Its secrets, resolved.
    pub secrets: Arc<Secrets>,
    /// Who is told.
    pub events: Events,
    /// Whether it is to stop.
    pub interrupt: Interrupt,
    /// The user on hosts for tasks that name none; none: as ssh_config says.
    pub user: Option<String>,
    /// Hosts that are left out.
    pub without: Vec<HostName>,
    /// What was done of it already, when it is gone on with.
    pub resume: Option<Arc<Resumption>>,
    /// The locks that it has taken; once one is lost nothing new is begun.
    pub locks: Option<Arc<Locks>>,
}

impl Options {
    /// Why nothing new may be begun, interrupts apart.
    fn lost(&self) -> Option<String> {
        self.locks.as_ref()?.lost()
    }
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// How it ended.
    pub end: RunEnd,
    /// Jobs that failed.
    pub failed: usize,
    /// What is owed still.
    pub owed: Vec<String>,
}

/// Looks at the keys of every host of the run at once. A run must not begin when this finds any.
pub async fn preflight(prepared: &Prepared, hosts: &dyn Hosts) -> Vec<(HostName, HostError)> {
    let mut all = prepared.hosts();
    all.extend(prepared.asked_hosts());
    let all: Vec<HostName> = all.into_iter().collect();
    let mut wrong = hosts.check_keys(&all).await;
    wrong.retain(|(_, error)| error.kind == HostErrorKind::HostKey);
    wrong
}

/// What the jobs of a run share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    /// Keys that were opened and not closed.
    pub(crate) owed: Mutex<BTreeSet<String>>,
    /// Who keeps work of this run on which host.
    pub(crate) kept: kept::Keepers,
    /// What is known of hosts that must stay healthy.
    pub(crate) watch: health::Watch,
}

impl Shared {
    /// What to do about a task.
    pub(crate) fn decision(&self, task: &PreparedTask) -> Decision {
        let resume = self.options.resume.as_ref();
        resume.map_or(Decision::Do, |r| r.decision(task.id))
    }

    /// What came of a task that is not begun, and why: none for one that is done already.
    pub(crate) fn unbegun(&self, task: &PreparedTask, why: &str) -> Option<Outcome> {
        match (self.decision(task), &self.options.resume) {
            (Decision::Skip, _) => None,
            (Decision::Settle, Some(resume)) => {
                let unknown = resume.why_unknown(task.id);
                Some(Outcome::Unknown(format!("{unknown}; not looked at: {why}")))
            }
            _ => Some(Outcome::NotRun(why.to_owned())),
        }
    }
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobEnd {
    Succeeded,
    Failed,
    Unknown,
}

/// Runs it to its end. Every task gets exactly one event of its outcome, those that did not run included. Ends early
/// when interrupted: once as after a failure (a `finally` stage runs all the same), twice by killing what runs; and
/// when the events can no longer be recorded.
///
/// All hosts of a job that failed are left out of later stages, `local` as any other: what a failed job did not do
/// there the tasks that come later may build on. Stages that must run even so are `finally`.
pub async fn run(prepared: &Prepared, options: Options) -> Report {
    let events = options.events.clone();
    begin(prepared, &options).await;
    let without: HashSet<HostName> = options.without.iter().cloned().collect();
    let owed = options.resume.as_ref().map(|r| r.owed());
    let shared = Arc::new(Shared {
        options,
        owed: Mutex::new(owed.unwrap_or_default()),
        kept: kept::Keepers::default(),
        watch: health::Watch::new(prepared.watched.clone()),
    });
    kept::remember(&shared, prepared);
    let mut state = RunState {
        left_out: HashSet::new(),
        without,
        failed: 0,
        unknown: 0,
        stopped: None,
    };
    if !events.barrier().await {
        state.stopped = Some(NO_JOURNAL.into());
    }
    let resume = shared.options.resume.clone();
    let is_done = |job: &PreparedJob| resume.as_ref().is_some_and(|r| r.is_done(job));
    for (number, stage) in prepared.stages.iter().enumerate() {
        let number = number as u32 + 1;
        let skip = match &state.stopped {
            Some(why) if !stage.finally => Some(why.clone()),
            _ if shared.options.interrupt.times() >= stops_at(stage) => {
                Some("interrupted".to_owned())
            }
            _ => shared.options.lost(),
        };
        if let Some(why) = skip {
            for job in &stage.jobs {
                state.unknown += not_run(&shared, job, &why).await;
            }
            continue;
        }
        let left: Vec<&Arc<PreparedJob>> = stage.jobs.iter().filter(|j| !is_done(j)).collect();
        if left.is_empty() && !stage.jobs.is_empty() {
            continue;
        }
        let tasks = left.iter().flat_map(|j| &j.tasks);
        events
            .send(What::StageStarted {
                stage: number,
                name: stage.name.clone(),
                jobs: left.len(),
                tasks: tasks
                    .filter(|t| shared.decision(t) != Decision::Skip)
                    .count(),
            })
            .await;
        let ok = run_stage(stage, left, &shared, &mut state).await;
        events
            .send(What::StageFinished {
                stage: number,
                name: stage.name.clone(),
                ok,
            })
            .await;
        if !ok && state.stopped.is_none() {
            state.stopped = Some(format!("stage {:?} failed", stage.name));
        }
        if !events.is_open() {
            state.stopped = Some(NO_JOURNAL.into());
        }
    }
    let owed: Vec<String> = shared
        .owed
        .lock()
        .map(|o| o.iter().cloned().collect())
        .unwrap_or_default();
    let end = if state.unknown > 0 {
        RunEnd::Unknown
    } else if shared.options.interrupt.times() > 0 {
        RunEnd::Interrupted
    } else if state.failed > 0 || state.stopped.is_some() {
        RunEnd::Failed
    } else {
        RunEnd::Succeeded
    };
    if !state.without.is_empty() {
        let names: Vec<&str> = shared
            .options
            .without
            .iter()
            .map(HostName::as_str)
            .collect();
        let message = format!("left out, and behind now: {}", names.join(", "));
        log(&events, Level::Warning, message).await;
    }
    events
        .send(What::RunFinished {
            end,
            failed: state.failed,
            owed: owed.clone(),
        })
        .await;
    // What is known is in the journal by then; only what is not may have to be asked back.
    if end != RunEnd::Unknown && events.barrier().await {
        kept::forget(&shared).await;
    }
    Report {
        end,
        failed: state.failed,
        owed,
    }
}

/// Tells that the run begins, or goes on.
async fn begin(prepared: &Prepared, options: &Options) {
    let events = &options.events;
    let Some(resume) = &options.resume else {
        let started = What::RunStarted {
            run: options.run.clone(),
            name: prepared.name.clone(),
            stages: prepared.stages.len(),
            tasks: prepared.tasks().count(),
            by: options.by.clone(),
        };
        events.send(started).await;
        return left_out(options).await;
    };
    let told = resume.told();
    let resumed = What::RunResumed {
        run: options.run.clone(),
        by: options.by.clone(),
        process: resume.process,
        left: resume.left(prepared),
        redo: told.redo.clone(),
        assumed_done: told.assume_done.clone(),
        run_again: told.run_again.clone(),
    };
    events.send(resumed).await;
    left_out(options).await;
    for task in prepared
        .tasks()
        .filter(|t| told.assume_done.contains(&t.id))
    {
        let outcome = Outcome::Skipped("it was done, the operator says".into());
        finished(events, task, outcome).await;
    }
    for (id, key, open) in resume.untold() {
        if let Some(task) = prepared.tasks().find(|t| t.id == id).map(task_ref) {
            events.send(What::Owed { task, key, open }).await;
        }
    }
    for key in resume.unpayable(prepared) {
        let message = format!(
            "`{key}` is owed, and no task that is left closes it: close it by hand, or have it done again with --redo HOST"
        );
        log(events, Level::Warning, message).await;
    }
}

async fn left_out(options: &Options) {
    if !options.without.is_empty() {
        let hosts = options.without.clone();
        options.events.send(What::LeftOut { hosts }).await;
    }
}

/// A line of the executor's own.
async fn log(events: &Events, level: Level, message: String) {
    let what = What::Log {
        level,
        component: "Executor".into(),
        host: None,
        tag: None,
        message,
    };
    events.send(what).await;
}

struct RunState {
    /// Hosts that a job of an earlier stage failed on.
    left_out: HashSet<HostName>,
    /// Hosts that the operator left out.
    without: HashSet<HostName>,
    failed: usize,
    unknown: usize,
    /// Why later stages do not start.
    stopped: Option<String>,
}

/// Runs those jobs of a stage that are left to do.
async fn run_stage(
    stage: &PreparedStage,
    left: Vec<&Arc<PreparedJob>>,
    shared: &Arc<Shared>,
    state: &mut RunState,
) -> bool {
    let events = &shared.options.events;
    let mut interrupt = shared.options.interrupt.clone();
    let mut jobs: Vec<&Arc<PreparedJob>> = Vec::with_capacity(left.len());
    for job in left {
        let by_hand = job.hosts.iter().find(|h| state.without.contains(h));
        let failed = job.hosts.iter().find(|h| state.left_out.contains(h));
        match (by_hand, failed) {
            (Some(host), _) => {
                // What is not known of a host that is left out is no matter of this run any more.
                not_run(shared, job, &format!("host {host} was left out")).await;
            }
            (None, Some(host)) if !stage.finally => {
                let why = format!("host {host} failed in an earlier stage");
                state.unknown += not_run(shared, job, &why).await;
            }
            _ => jobs.push(job),
        }
    }
    let (watch, options) = (&shared.watch, &shared.options);
    watch
        .broken_first(&mut jobs, options, interrupt.clone(), stops_at(stage))
        .await;
    let mut queue = Queue::new(jobs.iter().map(|j| j.hosts.clone()), stage.limits);
    let mut running: JoinSet<(usize, JobEnd)> = JoinSet::new();
    let stops_at = stops_at(stage);
    let mut stopped = None;
    loop {
        if !queue.is_stopped() {
            if interrupt.times() >= stops_at {
                stopped = Some("interrupted".to_owned());
            } else if !events.is_open() {
                stopped = Some(NO_JOURNAL.to_owned());
            } else {
                stopped = shared.options.lost();
            }
            if stopped.is_some() {
                queue.stop();
            }
        }
        while let Some(index) = queue.start() {
            let Some(job) = jobs.get(index) else { break };
            let (job, shared) = ((*job).clone(), shared.clone());
            running.spawn(async move { (index, guarded(job, shared, stops_at).await) });
        }
        let joined = tokio::select! {
            biased;
            () = interrupt.reached(stops_at), if !queue.is_stopped() => continue,
            joined = running.join_next() => joined,
        };
        let Some(Ok((index, end))) = joined else {
            break;
        };
        let failed = end != JobEnd::Succeeded;
        queue.finished(index, failed);
        state.failed += usize::from(failed);
        state.unknown += usize::from(end == JobEnd::Unknown);
        if failed && let Some(job) = jobs.get(index) {
            state.left_out.extend(job.hosts.iter().cloned());
        }
    }
    let over = queue.is_over_budget();
    let why = stopped.unwrap_or_else(|| format!("stage {:?} failed", stage.name));
    let waiting = queue.waiting();
    for index in &waiting {
        if let Some(job) = jobs.get(*index) {
            state.unknown += not_run(shared, job, &why).await;
        }
    }
    if interrupt.times() > 0 && state.stopped.is_none() {
        state.stopped = Some("interrupted".into());
    }
    !over && waiting.is_empty()
}

/// How many interrupts keep a stage from starting more: the first is as a failure, and a `finally` stage runs all the
/// same, whether it had begun by then or not.
fn stops_at(stage: &PreparedStage) -> u8 {
    if stage.finally { 2 } else { 1 }
}

/// The task as events name it.
pub(crate) fn task_ref(task: &PreparedTask) -> TaskRef {
    TaskRef {
        id: task.id,
        command: task.command.clone(),
        host: task.host.clone(),
        tag: task.tag.clone(),
    }
}

/// Tells that a job does not run; gives how many of its tasks are left unknown.
async fn not_run(shared: &Shared, job: &PreparedJob, why: &str) -> usize {
    let mut unknown = 0;
    for task in &job.tasks {
        let Some(outcome) = shared.unbegun(task, why) else {
            continue;
        };
        unknown += usize::from(matches!(outcome, Outcome::Unknown(_)));
        finished(&shared.options.events, task, outcome).await;
    }
    unknown
}

/// Tells the outcome of a task that did not run.
async fn finished(events: &Events, task: &PreparedTask, outcome: Outcome) {
    let what = What::TaskFinished {
        task: task_ref(task),
        outcome,
        output: None,
        millis: 0,
    };
    events.send(what).await;
}

/// Runs a job; whatever panics in it is its failure.
async fn guarded(job: Arc<PreparedJob>, shared: Arc<Shared>, stops_at: u8) -> JobEnd {
    let running = job::run(job.clone(), shared.clone(), stops_at);
    let panic = match AssertUnwindSafe(running).catch_unwind().await {
        Ok(end) => return end,
        Err(panic) => prepare::panic_text(&*panic).to_owned(),
    };
    // The job reports panics of its tasks by itself; this one came after them.
    let what = What::Log {
        level: Level::Error,
        component: "Executor".into(),
        host: job.hosts.first().cloned(),
        tag: None,
        message: format!("a defect in Windlass: a job panicked at its end: {panic}"),
    };
    shared.options.events.send(what).await;
    JobEnd::Failed
}
