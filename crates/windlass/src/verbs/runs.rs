//! `windlass runs`: what was run, when, and what came of it.

mod show;

use std::fmt::Write as _;
use std::path::Path;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;
use windlass_engine::events::Sink;
use windlass_engine::journal::Record;
use windlass_model::event::{Event, What};
use windlass_model::ids::{RunId, TaskId};

use crate::cli::LogFormat;
use crate::ending::Ending;
use crate::given::Given;
use crate::output::{print, print_json};
use crate::program::Program;
use crate::record;
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
    /// What one run did, task by task; what is unknown, owed and left, and how to go on
    Show {
        /// Which, or the beginning of its id; the last one if left out
        run: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// The log of one run, with the output of its programs
    Logs {
        /// Which, or the beginning of its id; the last one if left out
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
            Asked::Show { run, json } => {
                let given = Given {
                    state_dir: program.common.state_dir.clone(),
                    config: None,
                };
                show::show(&state, &named(&state, run.as_deref())?, given, json)
            }
            Asked::Logs { run, host, task } => {
                let run = named(&state, run.as_deref())?;
                let record = record::open(&state, &run)?;
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

fn named(state: &Path, run: Option<&str>) -> Result<RunId, Ending> {
    match run {
        Some(named) => record::find(state, named),
        None => record::last(state),
    }
}

fn time(micros: i64) -> String {
    Timestamp::from_microsecond(micros)
        .unwrap_or_default()
        .to_zoned(TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// When a run was started; none: it did not get that far.
fn instant(view: &RunView) -> Option<String> {
    let at = Timestamp::from_microsecond(view.started).unwrap_or_default();
    view.run.is_some().then(|| at.to_string())
}

fn list(state: &Path, as_json: bool) -> Result<(), Ending> {
    let mut rows = Vec::new();
    let mut text = String::new();
    for run in record::all(state)? {
        let Ok(record) = Record::open(state, &run) else {
            continue;
        };
        let (view, state) = record::view_of(state, record);
        let started = instant(&view);
        let _ = match view.run.is_some() {
            true => writeln!(
                text,
                "{run}  {}  {state:<11}  {}  {}",
                time(view.started),
                view.by,
                view.name
            ),
            false => writeln!(text, "{run}  {:<19}  {state}", "-"),
        };
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
