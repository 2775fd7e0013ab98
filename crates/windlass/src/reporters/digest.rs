//! What a person needs to know of a run that did not go well: equal errors of many hosts as one, what is owed, and
//! the one command to type next.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};

use windlass_engine::events::Sink;
use windlass_model::event::Event;
use windlass_model::outcome::Outcome;

use crate::given::Given;
use crate::view::{RunView, TaskView};

/// Hosts that a group names; the rest are counted.
const NAMED: usize = 8;
/// Lines of output that a group shows.
const SHOWN: usize = 12;

/// Collects a run for its digest.
#[derive(Clone, Default)]
pub(crate) struct Collector(Arc<Mutex<RunView>>);

impl Collector {
    /// The run as told so far.
    pub(crate) fn view(&self) -> RunView {
        self.0.lock().map(|v| v.clone()).unwrap_or_default()
    }

    /// Takes events.
    pub(crate) fn take(&self, events: &[Event]) {
        if let Ok(mut view) = self.0.lock() {
            events.iter().for_each(|e| view.accept(e));
        }
    }
}

impl Sink for Collector {
    fn accept(&mut self, events: &[Event]) -> io::Result<()> {
        self.take(events);
        Ok(())
    }
}

/// The digest of a run; empty when nothing failed, nothing is unknown and nothing is owed. The commands that it names are given
/// the options that this one was.
pub(crate) fn digest(view: &RunView, given: &Given) -> String {
    let bad: Vec<&TaskView> = view
        .ended
        .values()
        .filter(|t| matches!(t.outcome, Some(Outcome::Failed(_) | Outcome::Unknown(_))))
        .collect();
    let mut text = String::new();
    let not_run = view.count("not run");
    if bad.is_empty() && view.owed.is_empty() && not_run == 0 && view.errors.is_empty() {
        return text;
    }
    let stages: BTreeSet<&str> = bad
        .iter()
        .filter_map(|t| view.stages.get(&t.task.id.stage).map(String::as_str))
        .collect();
    let within = match stages.len() {
        0 => String::new(),
        _ => format!(
            " in stage {}",
            stages.into_iter().collect::<Vec<_>>().join(", ")
        ),
    };
    let _ = writeln!(
        text,
        "\n{}{within}: {} changed, {} unchanged, {} failed, {} unknown, {} not run",
        heading(view),
        view.count("changed"),
        view.count("unchanged") + view.count("skipped"),
        view.count("failed"),
        view.count("unknown"),
        not_run
    );
    for ((command, message), tasks) in grouped(&bad) {
        group(&mut text, command, &message, &tasks);
    }
    for error in &view.errors {
        let _ = writeln!(text, "\n  {error}");
    }
    if !view.owed.is_empty() {
        let owed: Vec<&str> = view.owed.iter().map(String::as_str).collect();
        let _ = writeln!(text, "\n  still owed: {}", owed.join(", "));
    }
    if let Some(run) = &view.run {
        let mut hosts: Vec<&str> = bad.iter().map(|t| t.task.host.as_str()).collect();
        hosts.dedup();
        let look = match hosts.as_slice() {
            [host] => given.runs(&format!("logs {run} --host {host}")),
            _ => given.runs(&format!("show {run}")),
        };
        let _ = match view.can_be_resumed() {
            true => writeln!(text, "\n  more: {look}\n  next: {}", given.resume(run)),
            false => writeln!(text, "\n  next: {look}"),
        };
    }
    text
}

fn heading(view: &RunView) -> &'static str {
    match view.end {
        Some(windlass_model::event::RunEnd::Unknown) => "UNKNOWN",
        Some(windlass_model::event::RunEnd::Interrupted) => "INTERRUPTED",
        Some(windlass_model::event::RunEnd::Succeeded) => "DONE",
        _ => "FAILED",
    }
}

type Groups<'a> = BTreeMap<(&'a str, String), Vec<&'a TaskView>>;

/// Tasks of one command whose errors are equal but for the name of their host.
fn grouped<'a>(bad: &[&'a TaskView]) -> Groups<'a> {
    let mut groups: Groups<'a> = BTreeMap::new();
    for task in bad {
        let outcome = task
            .outcome
            .as_ref()
            .map(Outcome::to_string)
            .unwrap_or_default();
        let host = &task.task.host;
        let mut message = outcome.replace(host.as_str(), "HOST");
        if host.short() != host.as_str() {
            message = message.replace(host.short(), "HOST");
        }
        groups
            .entry((&task.task.command, message))
            .or_default()
            .push(task);
    }
    groups
}

fn group(text: &mut String, command: &str, message: &str, tasks: &[&TaskView]) {
    let hosts: BTreeSet<&str> = tasks.iter().map(|t| t.task.host.as_str()).collect();
    let named: Vec<&str> = hosts.iter().copied().take(NAMED).collect();
    let more = match hosts.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let ids: Vec<String> = tasks
        .iter()
        .take(3)
        .map(|t| t.task.id.to_string())
        .collect();
    let message = match named.as_slice() {
        [host] if more.is_empty() => message.replace("HOST", host),
        _ => message.to_owned(),
    };
    let _ = writeln!(
        text,
        "\n  {command} on {}{more} (task {})",
        named.join(", "),
        ids.join(", ")
    );
    let _ = writeln!(text, "    {message}");
    if let Some(Outcome::Failed(failure)) = tasks.first().and_then(|t| t.outcome.as_ref())
        && let Some(status) = failure.status
        && !message.contains("exit status")
    {
        let _ = writeln!(text, "    exit status {status}");
    }
    let output = tasks
        .first()
        .and_then(|t| t.output.as_deref())
        .unwrap_or("");
    let lines = collapsed(output);
    for line in lines.iter().skip(lines.len().saturating_sub(SHOWN)) {
        let _ = writeln!(text, "    | {line}");
    }
}

/// The lines, with equal ones that follow each other told once, and how often.
fn collapsed(output: &str) -> Vec<String> {
    let mut lines: Vec<(&str, usize)> = Vec::new();
    for line in output.lines() {
        match lines.last_mut() {
            Some((last, more)) if *last == line => *more += 1,
            _ => lines.push((line, 0)),
        }
    }
    let shown = lines.into_iter().flat_map(|(line, more)| {
        let again = match more {
            0 => None,
            1 => Some(line.to_owned()),
            more => Some(format!("... ({more} more times)")),
        };
        std::iter::once(line.to_owned()).chain(again)
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use windlass_model::event::{RunEnd, TaskRef, What};
    use windlass_model::ids::{HostName, RunId, TaskId};
    use windlass_model::outcome::{Failure, FailureKind};

    use super::*;

    #[test]
    fn equal_errors_of_many_hosts_are_one() {
        let mut view = RunView::default();
        let mut tell = |what| view.accept(&Event { at: 0, what });
        tell(What::RunStarted {
            run: RunId::new("r-1").unwrap(),
            name: "Deploy".into(),
            stages: 1,
            tasks: 20,
            by: "me@here".into(),
        });
        tell(What::StageStarted {
            stage: 1,
            name: "Deploy".into(),
            jobs: 20,
            tasks: 20,
        });
        for n in 1..=20 {
            let host = format!("fe{n:03}.example.org");
            let failure = Failure::new(FailureKind::Command, format!("no space left on {host}"))
                .with_status(1);
            let task = TaskRef {
                id: TaskId::new(1, n, 1),
                command: "upload".into(),
                host: HostName::new(&host),
                tag: None,
            };
            let refused = "connection refused\n".repeat(12);
            let output = Some(format!("once\ntwice\ntwice\n{refused}no space left"));
            tell(What::TaskFinished {
                task,
                outcome: failure.into(),
                output,
                millis: 5,
            });
        }
        tell(What::RunFinished {
            end: RunEnd::Failed,
            failed: 20,
            owed: vec![],
        });
        insta::assert_snapshot!(digest(&view, &Given::default()), @r"

        FAILED in stage Deploy: 0 changed, 0 unchanged, 20 failed, 0 unknown, 0 not run

          upload on fe001.example.org, fe002.example.org, fe003.example.org, fe004.example.org, fe005.example.org, fe006.example.org, fe007.example.org, fe008.example.org and 12 more (task 1.1.1, 1.2.1, 1.3.1)
            failed: no space left on HOST
            exit status 1
            | once
            | twice
            | twice
            | connection refused
            | ... (11 more times)
            | no space left

          more: windlass runs show r-1
          next: windlass deploy --resume r-1
        ");
        let given = Given {
            state_dir: Some("/var/my runs".into()),
            config: Some("prod.yaml".into()),
        };
        let told = digest(&view, &given);
        for line in [
            "\n  more: windlass runs show r-1 --state-dir '/var/my runs'\n",
            "\n  next: windlass deploy --resume r-1 --state-dir '/var/my runs' --config prod.yaml\n",
        ] {
            assert!(told.contains(line), "{told}");
        }
    }
}
