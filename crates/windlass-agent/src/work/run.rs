//! Runs a job's tasklist on the engine, and tells what came of each task.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use windlass_engine::events::{Events, Sink};
use windlass_engine::executor::{self, Options};
use windlass_engine::generator::Generator;
use windlass_engine::host::Hosts;
use windlass_model::config::Config;
use windlass_model::event::{Event, RunEnd, TaskRef, What};
use windlass_model::outcome::Outcome;
use windlass_model::step::Level;
use windlass_model::tasklist::{Stage, Tasklist};

use super::limits::Guard;
use super::{Failure, FailureKind, Job, Tools};
use crate::groups::{Groups, Record};

/// How long sinks may take for what is left when all is done.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// What came of a task.
#[derive(Clone, Debug)]
pub(super) struct Done {
    pub(super) task: TaskRef,
    pub(super) outcome: Outcome,
    pub(super) output: Option<String>,
}

/// Collects outcomes.
#[derive(Clone, Default)]
struct Outcomes(Arc<Mutex<Vec<Done>>>);

impl Sink for Outcomes {
    fn accept(&mut self, events: &[Event]) -> std::io::Result<()> {
        let mut done = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            if let What::TaskFinished {
                task,
                outcome,
                output,
                ..
            } = &event.what
            {
                done.push(Done {
                    task: task.clone(),
                    outcome: outcome.clone(),
                    output: output.clone(),
                });
            }
        }
        Ok(())
    }
}

/// A job's tasklist while it is made and run.
pub(super) struct Runner<'t> {
    tools: &'t Tools,
    job: windlass_model::ids::RunId,
    /// They take down what they begin on this machine.
    hosts: Arc<dyn Hosts>,
    _record: Record,
    events: Events,
    dispatcher: JoinHandle<std::io::Result<()>>,
    outcomes: Outcomes,
    guard: Guard,
}

impl<'t> Runner<'t> {
    /// Listens from here on. `directory` is the job's own. Nothing may begin where it cannot be recorded.
    pub(super) async fn start(
        tools: &'t Tools,
        job: Job,
        directory: &Path,
    ) -> Result<Self, Failure> {
        let record = Groups::of(&tools.work)
            .record(&job.id, job.epoch)
            .map_err(|e| Failure::own("what the job begins cannot be recorded", e))?;
        let telling = tools.hosts.telling(record.begun());
        let guard = Guard::start(job.limits, directory.to_owned(), job.interrupt);
        let outcomes = Outcomes::default();
        let sinks: Vec<Box<dyn Sink>> = vec![
            Box::new(outcomes.clone()),
            guard.bounded(job.limits.output, job.sinks),
        ];
        let (events, dispatcher) = Events::start(sinks);
        events.hide(tools.secrets.clone()).await;
        Ok(Self {
            tools,
            job: job.run,
            hosts: telling.unwrap_or_else(|| tools.hosts.clone()),
            _record: record,
            events,
            dispatcher,
            outcomes,
            guard,
        })
    }

    /// Has a generator make the tasklist, with `before` as its first stages.
    pub(super) async fn generate(
        &self,
        generator: &dyn Generator,
        config: Config,
        before: Vec<Stage>,
    ) -> Result<Tasklist, Failure> {
        let tools = self.tools;
        let base: PathBuf = tools.base.clone();
        let help = (tools.help)(config, base, self.events.clone(), self.hosts.clone());
        let mut interrupt = self.guard.interrupt();
        let made = tokio::select! {
            made = generator.generate(&*help) => made,
            () = interrupt.reached(2) => return Err(self.stopped()),
        };
        let mut tasklist = made?;
        let added = before.len();
        tasklist.stages.splice(0..0, before);
        // Receipts name jobs by the number of their stage.
        for receipt in tasklist.plan.iter_mut().flat_map(|plan| &mut plan.receipts) {
            let moved = receipt.job.split_once('.').and_then(|(stage, job)| {
                Some(format!("{}.{job}", stage.parse::<usize>().ok()? + added))
            });
            receipt.job = moved.unwrap_or_else(|| receipt.job.clone());
        }
        Ok(tasklist)
    }

    /// Runs a tasklist. `Err` when any task failed or is not known; what came of each is told in any case.
    pub(super) async fn run(
        &self,
        tasklist: &Tasklist,
        user: Option<String>,
    ) -> Result<(), Failure> {
        let tools = self.tools;
        for entry in tasklist.tasks().flat_map(|(_, task)| task.args.iter()) {
            for secret in entry.value.secrets() {
                if tools.secrets.get(secret).is_none() {
                    let why = format!("{secret} was not resolved when the agent started");
                    return Err(Failure::new(FailureKind::Input, why));
                }
            }
        }
        let prepared =
            executor::prepare(tasklist, &tools.registry, &tools.base, &self.events).await?;
        if !prepared.hosts().is_empty() {
            let wrong = executor::preflight(&prepared, &*self.hosts).await;
            if !wrong.is_empty() {
                let all: Vec<String> = wrong.iter().map(|(h, e)| format!("{h}: {e}")).collect();
                return Err(Failure::new(FailureKind::Input, all.join("; ")));
            }
        }
        if self.guard.interrupt().times() > 0 {
            return Err(self.stopped());
        }
        let options = Options {
            run: self.job.clone(),
            by: tools.by.clone(),
            hosts: self.hosts.clone(),
            secrets: tools.secrets.clone(),
            events: self.events.clone(),
            interrupt: self.guard.interrupt(),
            user,
            without: Vec::new(),
            resume: None,
            locks: None,
        };
        let report = executor::run(&prepared, options).await;
        if !self.events.barrier().await {
            let why = "what happened could not be recorded: look at what the job was to do";
            return Err(Failure::new(FailureKind::Unknown, why));
        }
        match report.end {
            RunEnd::Succeeded => Ok(()),
            end => Err(self.failure(tasklist, end)),
        }
    }

    /// What came of each task so far.
    pub(super) fn done(&self) -> Vec<Done> {
        let done = self.outcomes.0.lock();
        done.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A line for the job's log.
    pub(super) fn say(&self, level: Level, component: &str, message: &str) {
        self.events.log(level, component, None, None, message);
    }

    /// Has the sinks told everything.
    pub(super) async fn finish(self) {
        self.events.end().await;
        // A sink that broke was reported by `run`; there is nobody else to tell.
        let _ = tokio::time::timeout(LAST_WORDS, self.dispatcher).await;
    }

    fn stopped(&self) -> Failure {
        match self.guard.exceeded() {
            Some(why) => Failure::new(FailureKind::Limit, why),
            None => Failure::new(FailureKind::Interrupted, "it was stopped"),
        }
    }

    /// The first task that went wrong, in the order of the tasklist; an unknown one says more than a failed one.
    fn failure(&self, tasklist: &Tasklist, end: RunEnd) -> Failure {
        let done = self.done();
        let mut bad: Vec<&Done> = done
            .iter()
            .filter(|done| matches!(done.outcome, Outcome::Failed(_) | Outcome::Unknown(_)))
            .collect();
        bad.sort_by_key(|done| done.task.id);
        let is_unknown = |done: &&&Done| matches!(done.outcome, Outcome::Unknown(_));
        let worst = bad.iter().find(is_unknown).or(bad.first());
        let told = worst.map(|done| {
            let id = done.task.id;
            let stage = tasklist.stages.get((id.stage as usize).saturating_sub(1));
            let stage = stage.map_or("", |stage| stage.name.as_str());
            let label = windlass_model::tasklist::task_label(stage, id, &done.task.command);
            let text = match &done.outcome {
                Outcome::Failed(failure) => failure.to_string(),
                other => other.to_string(),
            };
            match done.task.host.is_local() {
                true => format!("{label}: {text}"),
                false => format!("{label} on {}: {text}", done.task.host),
            }
        });
        if let Some(why) = self.guard.exceeded() {
            return Failure::new(FailureKind::Limit, why);
        }
        let (kind, otherwise) = match end {
            RunEnd::Unknown => (FailureKind::Unknown, "it is not known what came of it"),
            RunEnd::Interrupted => (FailureKind::Interrupted, "it was stopped"),
            RunEnd::Failed | RunEnd::Succeeded => (FailureKind::Failed, "a task failed"),
        };
        Failure::new(kind, told.unwrap_or_else(|| otherwise.to_owned()))
    }
}
