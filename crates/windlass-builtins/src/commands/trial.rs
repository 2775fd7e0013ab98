//! For tests: commands made from JSON, and replies.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use windlass_engine::command::{Command, CommandKind, Facts, InitContext, Seen, Turn};
use windlass_model::diagnostic::Diagnostics;
use windlass_model::ids::{HostName, RunId, TaskId};
use windlass_model::outcome::Outcome;
use windlass_model::step::{As, Reply, Step};
use windlass_model::tasklist::Task;

/// A command made from its arguments.
pub(crate) fn make<K: CommandKind>(
    kind: &K,
    args: serde_json::Value,
) -> Result<Box<dyn Command>, Diagnostics> {
    let args = serde_json::from_value(args).unwrap();
    let task = Task {
        command: kind.name().into(),
        ..Task::default()
    };
    let cx = InitContext {
        task: &task,
        id: TaskId::new(1, 1, 1),
        source: None,
        place: &"stage \"Test\", task 1.1.1",
        path: &"stages[0].tasks[0]",
        base: Path::new("/"),
        pinned: &BTreeMap::new(),
    };
    kind.initialize(args, &cx)
}

/// The text of the errors that arguments give.
pub(crate) fn errors<K: CommandKind>(kind: &K, args: serde_json::Value) -> String {
    make(kind, args)
        .err()
        .map(|e| e.to_string())
        .unwrap_or_default()
}

/// Facts of a task on `app1`.
pub(crate) fn facts() -> Facts {
    Facts {
        run: RunId::new("r1").unwrap(),
        task: TaskId::new(1, 1, 1),
        host: HostName::new("app1"),
        now: 1_400_000_000,
        user: As::Login,
    }
}

/// A reply, that many seconds after the attempt began.
pub(crate) fn seen(seconds: u64, reply: Reply) -> Seen {
    Seen {
        reply,
        at: Duration::from_secs(seconds),
    }
}

/// A program that ended.
pub(crate) fn ran(status: i32, stderr: &str) -> Reply {
    Reply::Ran {
        status,
        stdout: String::new(),
        stderr: stderr.into(),
    }
}

/// The steps of a turn.
pub(crate) fn steps(turn: Turn) -> Vec<Step> {
    match turn {
        Turn::Do(steps) | Turn::Last(steps) | Turn::Wait { steps, .. } => steps,
        other => panic!("no steps: {other:?}"),
    }
}

/// The outcome of an end.
pub(crate) fn end(turn: Turn) -> Outcome {
    match turn {
        Turn::End(verdict) => verdict.outcome,
        other => panic!("no end: {other:?}"),
    }
}

/// The message of a failure.
pub(crate) fn failure(turn: Turn) -> String {
    match end(turn) {
        Outcome::Failed(failure) => failure.message,
        other => panic!("no failure: {other}"),
    }
}
