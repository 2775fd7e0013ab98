//! Short ways to say what a test runs and to ask what came of it.

use std::time::Duration;

use serde_json::{Value, json};
use windlass_engine::executor::Report;
use windlass_model::event::{RunEnd, What};
use windlass_model::outcome::{FailureKind, Outcome};
use windlass_testkit::fake::{FakeHosts, Script};
use windlass_testkit::play::{Play, Played};

/// A tasklist of these stages.
pub(crate) fn tasklist(stages: Value) -> Value {
    json!({"name": "Test", "stages": stages})
}

/// A tasklist of one stage with these jobs.
pub(crate) fn one_stage(jobs: Value) -> Value {
    tasklist(json!([{"name": "Only", "concurrency": 10, "tasks": jobs}]))
}

/// A task on `h1` that runs `script` in its last turn.
pub(crate) fn last(script: &str) -> Value {
    json!({"command": "fake", "remote_host": "h1", "turns": [{"run": [script], "last": true}]})
}

/// `base` with more keys.
pub(crate) fn with(mut base: Value, more: Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        base[key] = value.clone();
    }
    base
}

/// Script rules from JSON.
pub(crate) fn script(steps: Value) -> Script {
    serde_json::from_value(json!({ "steps": steps })).unwrap()
}

/// Plays it.
pub(crate) fn play(tasklist: Value, script: Script) -> Run {
    play_until(tasklist, script, &[])
}

/// Plays it, interrupted after so many milliseconds.
pub(crate) fn play_until(tasklist: Value, script: Script, interrupts: &[u64]) -> Run {
    let mut play = Play::new(tasklist, script).unwrap();
    play.interrupts = interrupts
        .iter()
        .map(|ms| Duration::from_millis(*ms))
        .collect();
    Run::from(play.play().unwrap())
}

/// A run that began.
pub(crate) struct Run {
    pub(crate) events: Vec<What>,
    pub(crate) report: Report,
    pub(crate) hosts: FakeHosts,
}

impl From<Played> for Run {
    fn from(played: Played) -> Self {
        let report = played.report.unwrap_or_else(|faults| panic!("{faults:?}"));
        Self {
            events: played.events,
            report,
            hosts: played.hosts,
        }
    }
}

impl Run {
    /// The outcomes of a task; there should be exactly one.
    pub(crate) fn outcomes(&self, id: &str) -> Vec<Outcome> {
        let of = |what: &What| match what {
            What::TaskFinished { task, outcome, .. } if task.id.to_string() == id => {
                Some(outcome.clone())
            }
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }

    /// The one outcome of a task.
    pub(crate) fn outcome(&self, id: &str) -> Outcome {
        match self.outcomes(id).as_slice() {
            [one] => one.clone(),
            other => panic!("{id} has {} outcomes: {other:?}", other.len()),
        }
    }

    /// The outcomes of many tasks, as words.
    pub(crate) fn words(&self, ids: &[&str]) -> Vec<&'static str> {
        ids.iter().map(|id| self.outcome(id).word()).collect()
    }

    /// The kind of a task's failure.
    pub(crate) fn failure(&self, id: &str) -> FailureKind {
        match self.outcome(id) {
            Outcome::Failed(failure) => failure.kind,
            other => panic!("{id} did not fail: {other}"),
        }
    }

    /// Tasks that were sent ahead, in order.
    pub(crate) fn ahead(&self) -> Vec<String> {
        let sent = self.hosts.sent();
        sent.iter()
            .filter(|s| s.ahead)
            .map(|s| s.task.to_string())
            .collect()
    }

    /// Keys as they were opened (`+`) and closed (`-`).
    pub(crate) fn owed(&self) -> Vec<String> {
        let of = |what: &What| match what {
            What::Owed { key, open, .. } => Some(format!("{}{key}", if *open { '+' } else { '-' })),
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }

    pub(crate) fn end(&self) -> RunEnd {
        self.report.end
    }
}
