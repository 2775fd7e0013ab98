//! `windlass runs`: what was run, when, and what came of it.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;
use windlass_engine::events::Sink;
use windlass_engine::journal::{self, Record};
use windlass_model::event::{Event, What};
use windlass_model::ids::{RunId, TaskId};
use windlass_model::outcome::Outcome;

use crate::cli::LogFormat;
use crate::ending::Ending;
use crate::output::{print, print_json};
use crate::program::Program;
use crate::reporters::json::JsonLines;
use crate::reporters::log::{Log, Verbosity};
use crate::view::RunView;

/// Shows what was run, when, and what came of it
#[derive(Debug, Args)]
pub(crate) struct Runs {
    #[command(subcommand)]
    what: Asked,
}

#[derive(Debug, Subcommand)]
enum Asked {
    /// Every run that was started here, the newest last
    List {
        /// Print JSON: an array of objects with id, name, started, state
        #[arg(long)]
        json: bool,
    },
    /// What one run did, task by task
    Show {
        /// Which; the last one if left out
        run: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// The log of one run, with the output of its programs
    Logs {
        /// Which; the last one if left out
        run: Option<String>,
        /// Only what is about this host
        #[arg(long, value_name = "HOST")]
        host: Option<String>,
        /// Only what is about this task, as STAGE.TASK.LINK
        #[arg(long, value_name = "TASK")]
        task: Option<TaskId>,
    },
}

impl Runs {
    /// Prints what is asked.
    pub(crate) fn run(self, program: &Program) -> Result<(), Ending> {
        let state = program.state_dir();
        match self.what {
            Asked::List { json } => list(&state, json),
            Asked::Show { run, json } => show(&state, run.as_deref(), json),
            Asked::Logs { run, host, task } => {
                let (run, record) = open(&state, run.as_deref())?;
                let concerned = |event: &Event| is_about(&event.what, host.as_deref(), task);
                let events: Vec<Event> = record.events().filter(concerned).collect();
                let mut out = Vec::new();
                let written = match program.common.log_format {
                    LogFormat::Json => JsonLines(&mut out).accept(&events),
                    LogFormat::Text => {
                        Log::new(&mut out, Verbosity::Verbose, TimeZone::system()).accept(&events)
                    }
                };
                written.map_err(|e| Ending::own(format!("run {run}"), e))?;
                print(&String::from_utf8_lossy(&out))
            }
        }
    }
}

fn all(state: &Path) -> Result<Vec<RunId>, Ending> {
    journal::runs(state).map_err(|e| Ending::own(format!("the runs in {}", state.display()), e))
}

fn open(state: &Path, run: Option<&str>) -> Result<(RunId, Record), Ending> {
    let runs = all(state)?;
    let unknown = |run: &str| {
        Ending::input(
            format!("there is no run `{run}` in {}", state.display()),
            "`windlass runs list` lists them; runs are recorded where they were started",
        )
    };
    let run = match run {
        Some(named) => runs
            .iter()
            .find(|r| r.as_str() == named)
            .ok_or_else(|| unknown(named))?,
        None => runs.last().ok_or_else(|| {
            Ending::input(
                format!("nothing was run yet, by {}", state.display()),
                "`windlass deploy` does",
            )
        })?,
    };
    let record = Record::open(state, run).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => unknown(run.as_str()),
        _ => Ending::own(format!("run {run}"), e),
    })?;
    Ok((run.clone(), record))
}

fn view_of(record: Record) -> (RunView, &'static str) {
    let is_alive = is_alive(record.pid);
    let mut view = RunView::default();
    record.events().for_each(|event| view.accept(&event));
    let state = view.state(is_alive);
    (view, state)
}

/// Whether a process of this number exists. It may be another one by now, so "running" can be said too long, never too
/// short.
fn is_alive(pid: u32) -> bool {
    i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

fn time(micros: i64) -> String {
    Timestamp::from_microsecond(micros)
        .unwrap_or_default()
        .to_zoned(TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

fn list(state: &Path, as_json: bool) -> Result<(), Ending> {
    let mut rows = Vec::new();
    let mut text = String::new();
    for run in all(state)? {
        let Ok(record) = Record::open(state, &run) else {
            continue;
        };
        let (view, state) = view_of(record);
        let started = Timestamp::from_microsecond(view.started)
            .unwrap_or_default()
            .to_string();
        let _ = writeln!(
            text,
            "{run}  {}  {state:<11}  {}  {}",
            time(view.started),
            view.by,
            view.name
        );
        rows.push(json!({
            "id": run.as_str(), "name": view.name, "started": started, "state": state, "by": view.by,
            "tasks": view.tasks, "failed": view.count("failed"), "owed": view.owed,
        }));
    }
    if as_json {
        print_json(&rows)
    } else {
        print(&text)
    }
}

fn show(state: &Path, run: Option<&str>, as_json: bool) -> Result<(), Ending> {
    let (run, record) = open(state, run)?;
    let (view, state) = view_of(record);
    if as_json {
        let tasks: Vec<_> = view
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
        let started = Timestamp::from_microsecond(view.started)
            .unwrap_or_default()
            .to_string();
        return print_json(&json!({
            "id": run.as_str(), "name": view.name, "started": started, "state": state, "by": view.by,
            "owed": view.owed, "tasks": tasks,
        }));
    }
    let mut text = format!(
        "run {run}: {} ({state}), by {}, {}\n",
        view.name,
        view.by,
        time(view.started)
    );
    let mut stage = 0;
    for (id, task) in &view.ended {
        if id.stage != stage {
            stage = id.stage;
            let name = view
                .stages
                .get(&stage)
                .map_or("(not started)", String::as_str);
            let _ = writeln!(text, "\nstage {stage}: {name}");
        }
        let outcome = match &task.outcome {
            Some(outcome) => outcome.to_string(),
            None => "begun, and no end was recorded".into(),
        };
        let tag = task
            .task
            .tag
            .as_deref()
            .map_or(String::new(), |t| format!(" [{t}]"));
        let _ = writeln!(
            text,
            "  {id:<8} {:<16} {}{tag}: {outcome}",
            task.task.host, task.task.command
        );
    }
    if !view.owed.is_empty() {
        let owed: Vec<&str> = view.owed.iter().map(String::as_str).collect();
        let _ = writeln!(text, "\nstill owed: {}", owed.join(", "));
    }
    print(&text)
}

fn is_about(what: &What, host: Option<&str>, task: Option<TaskId>) -> bool {
    let of_task = match what {
        What::TaskSent { task, .. }
        | What::TaskStarted { task, .. }
        | What::Output { task, .. }
        | What::Progress { task, .. }
        | What::TaskRetried { task, .. }
        | What::TaskFinished { task, .. }
        | What::Owed { task, .. } => Some(task),
        _ => None,
    };
    let on_host = match (of_task, what) {
        (Some(task), _) => Some(&task.host),
        (None, What::Log { host, .. }) => host.as_ref(),
        (None, What::Receipt { host, .. }) => Some(host),
        _ => None,
    };
    host.is_none_or(|h| on_host.is_some_and(|on| on.as_str() == h))
        && task.is_none_or(|id| of_task.is_some_and(|t| t.id == id))
}
