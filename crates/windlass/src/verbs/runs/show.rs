//! `windlass runs show`: what a run did, what is unknown, owed and left of it, and how to go on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use jiff::Timestamp;
use serde_json::json;
use windlass_model::event::TaskRef;
use windlass_model::ids::{HostName, RunId, TaskId};
use windlass_model::outcome::Outcome;
use windlass_model::tasklist::{self, Tasklist};

use super::{instant, time};
use crate::ending::Ending;
use crate::given::Given;
use crate::output::{print, print_json};
use crate::record;
use crate::session::read_source;
use crate::view::{RunView, TaskView};

/// A run with all of its tasks.
struct Shown {
    run: RunId,
    given: Given,
    view: RunView,
    state: &'static str,
    /// Tasks that never began, with what they are.
    unbegun: BTreeMap<TaskId, TaskRef>,
    /// Names of stages, those that did not start included.
    stages: BTreeMap<u32, String>,
}

/// Shows a run.
pub(super) fn show(
    state_dir: &Path,
    run: &RunId,
    given: Given,
    as_json: bool,
) -> Result<(), Ending> {
    let (view, state) = record::view_of(state_dir, record::open(state_dir, run)?);
    let tasklist = tasklist_of(state_dir, run).unwrap_or_default();
    let unbegun = tasklist
        .tasks()
        .filter(|(id, _)| !view.ended.contains_key(id));
    let unbegun = unbegun.map(|(id, task)| {
        let task = TaskRef {
            id,
            command: task.command.clone(),
            host: task.host(),
            tag: task.tag.clone(),
        };
        (id, task)
    });
    let names = (1..).zip(tasklist.stages.iter().map(|s| s.name.clone()));
    let shown = Shown {
        run: run.clone(),
        given,
        state,
        unbegun: unbegun.collect(),
        stages: names.chain(view.stages.clone()).collect(),
        view,
    };
    if as_json {
        return print_json(&shown.json());
    }
    print(&shown.text())
}

/// The tasklist of a run; runs that an older Windlass left may have none that this one reads.
fn tasklist_of(state: &Path, run: &RunId) -> Option<Tasklist> {
    let source = read_source(&record::tasklist_path(state, run), "the run's tasklist").ok()?;
    tasklist::read(&source).ok()
}

/// How much of a host's work came to what.
#[derive(Default)]
struct OnHost {
    done: usize,
    failed: Vec<TaskId>,
    unknown: Vec<TaskId>,
    left: usize,
}

impl Shown {
    fn is_running(&self) -> bool {
        self.state == "running"
    }

    /// Why it is not known what a task came to.
    fn why_unknown(&self, task: &TaskView) -> Option<String> {
        match &task.outcome {
            Some(Outcome::Unknown(why)) => Some(why.clone()),
            None if !self.is_running() => Some(
                "it was under way when the run was cut off; going on with the run looks what came of it"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    fn hosts(&self) -> BTreeMap<&HostName, OnHost> {
        let mut hosts: BTreeMap<&HostName, OnHost> = BTreeMap::new();
        for (id, task) in &self.view.ended {
            let host = hosts.entry(&task.task.host).or_default();
            match &task.outcome {
                Some(outcome) if outcome.lets_go_on() => host.done += 1,
                Some(Outcome::Failed(_)) => host.failed.push(*id),
                _ if self.why_unknown(task).is_some() => host.unknown.push(*id),
                _ => host.left += 1,
            }
        }
        for task in self.unbegun.values() {
            hosts.entry(&task.host).or_default().left += 1;
        }
        hosts
    }

    /// The command that goes on with the run.
    fn next(&self) -> Option<String> {
        let is_left = !self.is_running() && self.view.can_be_resumed();
        is_left.then(|| self.given.resume(&self.run))
    }

    fn json(&self) -> serde_json::Value {
        let tasks: Vec<_> = self
            .view
            .ended
            .values()
            .map(|t| {
                let outcome = t.outcome.as_ref();
                json!({
                    "id": t.task.id, "command": t.task.command, "host": t.task.host, "tag": t.task.tag,
                    "outcome": outcome.map_or("begun", Outcome::word), "detail": outcome.map(Outcome::to_string),
                    "output": t.output, "millis": t.millis,
                })
            })
            .collect();
        let unbegun = self.unbegun.values().map(|t| {
            json!({"id": t.id, "command": t.command, "host": t.host, "tag": t.tag, "outcome": "not begun"})
        });
        let unknown = self.view.ended.values().filter_map(|t| {
            Some(json!({"id": t.task.id, "host": t.task.host, "why": self.why_unknown(t)?}))
        });
        let at = |micros: i64| {
            let at = Timestamp::from_microsecond(micros);
            at.unwrap_or_default().to_string()
        };
        let resumed = self.view.resumed.iter();
        let resumed: Vec<_> = resumed
            .map(|(when, by)| json!({"at": at(*when), "by": by}))
            .collect();
        json!({
            "id": self.run.as_str(), "name": self.view.name, "started": instant(&self.view),
            "state": self.state, "by": self.view.by, "resumed": resumed, "owed": self.view.owed,
            "behind": self.view.behind(), "unknown": unknown.collect::<Vec<_>>(),
            "tasks": tasks.into_iter().chain(unbegun).collect::<Vec<_>>(), "next": self.next(),
        })
    }

    fn text(&self) -> String {
        let view = &self.view;
        if view.run.is_none() {
            let what = match self.is_running() {
                true => "it has not told yet what it does",
                false => "Windlass ended before it did anything; deploy again",
            };
            return format!("run {}: {}: {what}\n", self.run, self.state);
        }
        let mut text = format!(
            "run {}: {} ({}), by {}, {}\n",
            self.run,
            view.name,
            self.state,
            view.by,
            time(view.started)
        );
        for (at, by) in &view.resumed {
            let _ = writeln!(text, "  resumed by {by}, {}", time(*at));
        }
        self.stages(&mut text);
        self.by_host(&mut text);
        self.unknown(&mut text);
        if !view.owed.is_empty() {
            let _ = writeln!(text, "\nstill owed: {}", joined(&view.owed));
        }
        let behind: Vec<&str> = view.behind().iter().map(|h| h.as_str()).collect();
        if !behind.is_empty() {
            let _ = writeln!(text, "\nleft out, and behind: {}", behind.join(", "));
        }
        if let Some(next) = self.next() {
            let _ = writeln!(text, "\nnext: {next}");
        }
        text
    }

    fn stages(&self, text: &mut String) {
        for (stage, name) in &self.stages {
            let began = match self.view.stages.contains_key(stage) {
                true => "",
                false => " (not started)",
            };
            let _ = writeln!(text, "\nstage {stage}: {name}{began}");
            for (id, task) in self.view.ended.iter().filter(|(id, _)| id.stage == *stage) {
                let outcome = match &task.outcome {
                    Some(outcome) => outcome.to_string(),
                    None if self.is_running() => "under way".into(),
                    None => "begun, and no end was recorded".into(),
                };
                let tag = task.task.tag.as_deref();
                let tag = tag.map_or(String::new(), |t| format!(" [{t}]"));
                let _ = writeln!(
                    text,
                    "  {id:<8} {:<16} {}{tag}: {outcome}",
                    task.task.host, task.task.command
                );
            }
            let unbegun = self.unbegun.keys().filter(|id| id.stage == *stage).count();
            if unbegun > 0 {
                let _ = writeln!(text, "  not begun: {}", tasks(unbegun));
            }
        }
    }

    fn by_host(&self, text: &mut String) {
        let _ = writeln!(text, "\nhosts:");
        for (host, on) in self.hosts() {
            let mut parts = Vec::new();
            if on.done > 0 {
                parts.push(format!("{} done", on.done));
            }
            for (ids, word) in [(&on.failed, "failed"), (&on.unknown, "unknown")] {
                if !ids.is_empty() {
                    let ids: BTreeSet<String> = ids.iter().map(TaskId::to_string).collect();
                    parts.push(format!("{} {word} ({})", ids.len(), joined(&ids)));
                }
            }
            if on.left > 0 {
                parts.push(format!("{} left", on.left));
            }
            let _ = writeln!(text, "  {host:<16} {}", parts.join(", "));
        }
    }

    fn unknown(&self, text: &mut String) {
        let unknown = self.view.ended.values();
        let unknown: Vec<_> = unknown
            .filter_map(|t| Some((t, self.why_unknown(t)?)))
            .collect();
        if unknown.is_empty() {
            return;
        }
        let _ = writeln!(text, "\nunknown:");
        for (task, why) in unknown {
            let TaskRef {
                id, command, host, ..
            } = &task.task;
            let _ = writeln!(text, "  {id:<8} {host:<16} {command}: {why}");
        }
    }
}

fn tasks(count: usize) -> String {
    match count {
        1 => "1 task".into(),
        count => format!("{count} tasks"),
    }
}

fn joined(names: &BTreeSet<String>) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.join(", ")
}
