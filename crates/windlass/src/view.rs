//! A run as its events tell it: for the digest, `runs show` and `runs list`.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::event::{Event, Process, RunEnd, TaskRef, What};
use windlass_model::ids::{HostName, RunId, TaskId};
use windlass_model::outcome::Outcome;
use windlass_model::step::Level;

/// What is known of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunView {
    /// Its id.
    pub(crate) run: Option<RunId>,
    /// The tasklist's name.
    pub(crate) name: String,
    /// Microseconds since 1970.
    pub(crate) started: i64,
    /// Microseconds since 1970, of the last event.
    pub(crate) last: i64,
    /// Who ran it.
    pub(crate) by: String,
    /// How many tasks it has.
    pub(crate) tasks: usize,
    /// Stage number -> name.
    pub(crate) stages: BTreeMap<u32, String>,
    /// Every task that ended, or began and did not end.
    pub(crate) ended: BTreeMap<TaskId, TaskView>,
    /// Errors of the executor itself: a receipt that could not be left.
    pub(crate) errors: Vec<String>,
    /// What was opened and not closed.
    pub(crate) owed: BTreeSet<String>,
    /// When and by whom it was resumed.
    pub(crate) resumed: Vec<(i64, String)>,
    /// The process that went on with it last.
    pub(crate) process: Option<Process>,
    /// Hosts that the operator left out.
    pub(crate) without: Vec<HostName>,
    /// How it ended; `None` while it runs, or when it was cut off.
    pub(crate) end: Option<RunEnd>,
}

/// What is known of a task.
#[derive(Clone, Debug)]
pub(crate) struct TaskView {
    /// Which.
    pub(crate) task: TaskRef,
    /// What came of it; `None` when it began and no end was recorded.
    pub(crate) outcome: Option<Outcome>,
    /// The last lines of its output.
    pub(crate) output: Option<String>,
    /// How long it took.
    pub(crate) millis: u64,
}

impl RunView {
    /// Takes the next event.
    pub(crate) fn accept(&mut self, event: &Event) {
        self.last = event.at;
        match &event.what {
            What::RunStarted {
                run,
                name,
                tasks,
                by,
                ..
            } => {
                self.run = Some(run.clone());
                self.name.clone_from(name);
                self.tasks = *tasks;
                self.by.clone_from(by);
                self.started = event.at;
            }
            What::RunResumed { by, process, .. } => {
                self.resumed.push((event.at, by.clone()));
                self.process = Some(*process);
                self.end = None;
                self.errors.clear();
                self.without.clear();
            }
            What::LeftOut { hosts } => self.without.clone_from(hosts),
            What::StageStarted { stage, name, .. } => {
                self.stages.insert(*stage, name.clone());
            }
            What::TaskStarted { task, .. } | What::TaskSent { task, .. } => {
                let view = TaskView {
                    task: task.clone(),
                    outcome: None,
                    output: None,
                    millis: 0,
                };
                self.ended.insert(task.id, view);
            }
            What::TaskFinished {
                task,
                outcome,
                output,
                millis,
            } => {
                let view = TaskView {
                    task: task.clone(),
                    outcome: Some(outcome.clone()),
                    output: output.clone(),
                    millis: *millis,
                };
                self.ended.insert(task.id, view);
            }
            What::Owed {
                key, open: true, ..
            } => {
                self.owed.insert(key.clone());
            }
            What::Owed {
                key, open: false, ..
            } => {
                self.owed.remove(key);
            }
            What::Log {
                level: Level::Error,
                component,
                host,
                message,
                ..
            } if component == "Executor" => {
                let host = host
                    .as_ref()
                    .map_or(String::new(), |host| format!("{host}: "));
                self.errors.push(format!("{host}{message}"));
            }
            What::RunFinished { end, .. } => self.end = Some(*end),
            _ => {}
        }
    }

    /// Hosts that the operator left out and that something was to be done on.
    pub(crate) fn behind(&self) -> Vec<&HostName> {
        let is_behind = |host: &&HostName| {
            let left =
                |t: &&TaskView| matches!(t.outcome, Some(Outcome::NotRun(_) | Outcome::Unknown(_)));
            self.ended
                .values()
                .filter(left)
                .any(|t| t.task.host == **host)
        };
        self.without.iter().filter(is_behind).collect()
    }

    /// Whether something is left, and nobody is at it.
    pub(crate) fn can_be_resumed(&self) -> bool {
        self.run.is_some()
            && match self.end {
                Some(RunEnd::Succeeded) => !self.behind().is_empty(),
                _ => true,
            }
    }

    /// How many tasks came to an outcome of this word.
    pub(crate) fn count(&self, word: &str) -> usize {
        self.outcomes().filter(|o| o.word() == word).count()
    }

    /// The outcomes so far.
    pub(crate) fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.ended.values().filter_map(|t| t.outcome.as_ref())
    }

    /// "succeeded", "failed", "unknown", "interrupted"; without a recorded end "running" or, when the process is
    /// gone, "cut off", and "not begun" where it went before it recorded the start.
    pub(crate) fn state(&self, is_alive: bool) -> &'static str {
        match self.end {
            Some(RunEnd::Succeeded) => "succeeded",
            Some(RunEnd::Failed) => "failed",
            Some(RunEnd::Unknown) => "unknown",
            Some(RunEnd::Interrupted) => "interrupted",
            None if is_alive => "running",
            None if self.run.is_none() => "not begun",
            None => "cut off",
        }
    }
}
