//! `deploy --resume`: from the record of a run to what is left of it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use windlass_engine::executor::{Resumption, Told, resumption};
use windlass_engine::journal;
use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::event::{Event, RunEnd, What};
use windlass_model::ids::{HostName, RunId, TaskId};
use windlass_model::tasklist;
use windlass_model::tree::Map;

use crate::ending::Ending;
use crate::making::{self, Made};
use crate::origin::Origin;
use crate::session::{Session, read_source};
use crate::view::RunView;
use crate::{process, record};

/// What the operator says of a run that is to go on.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Its id, or the beginning of it.
    pub(crate) run: String,
    /// The config, when another one than that of the run.
    pub(crate) config: Option<PathBuf>,
    pub(crate) without: Vec<String>,
    pub(crate) redo: Vec<String>,
    pub(crate) assume_done: Vec<TaskId>,
    pub(crate) run_again: Vec<TaskId>,
}

/// A run that goes on.
pub(crate) struct Resumed {
    /// Its id.
    pub(crate) run: RunId,
    /// What is left of it.
    pub(crate) left: Arc<Resumption>,
    /// What happened before.
    pub(crate) before: Vec<Event>,
}

/// Reads the record of a run and works out what is left. Touches no host.
pub(crate) async fn make(session: &mut Session, asked: Asked) -> Result<Made, Ending> {
    let state = session.state_dir();
    let run = record::find(&state, &asked.run)?;
    let before = before(session, &run)?;
    let source = read_source(&record::tasklist_path(&state, &run), "the run's tasklist")?;
    let tasklist = tasklist::read(&source)?;
    let origin = Origin::read(&state, &run)
        .map_err(|e| Ending::own(format!("where run {run} came from is not known"), e))?;
    if session.common.ssh_config.is_none() {
        session.common.ssh_config.clone_from(&origin.ssh_config);
    }
    let named = asked.config.as_deref().or(origin.config.as_deref());
    let config = match named {
        Some(path) => session.config(Some(path), &Map::default())?,
        None => None,
    };
    let config = config.map(|(config, _)| config);
    let mut made = making::ready(session, tasklist, config, origin.base, None).await?;
    let hosts = |names: &[String]| names.iter().map(|h| HostName::new(h)).collect::<Vec<_>>();
    check_without(&made, &asked)?;
    let told = Told {
        redo: hosts(&asked.redo),
        assume_done: asked.assume_done,
        run_again: asked.run_again,
    };
    let events = before.iter().map(|event| event.what.clone());
    let left = resumption(&made.prepared, events, told, process::this())?;
    made.resumed = Some(Resumed {
        run,
        left: Arc::new(left),
        before,
    });
    Ok(made)
}

/// What happened in a run that may go on, without what its programs printed.
fn before(session: &Session, run: &RunId) -> Result<Vec<Event>, Ending> {
    let state = session.state_dir();
    let opened = record::open(&state, run)?;
    let first = opened.process;
    let mut view = RunView::default();
    let mut events = Vec::new();
    for event in opened.events() {
        view.accept(&event);
        let is_talk = matches!(
            event.what,
            What::Output { .. } | What::Progress { .. } | What::Log { .. }
        );
        if !is_talk {
            events.push(event);
        }
    }
    if view.run.is_none() && !process::is_alive(first) {
        return Err(Ending::input(
            format!("run {run} had not begun when Windlass ended: nothing was done"),
            "deploy again",
        ));
    }
    let machine = view.by.rsplit_once('@').map_or("", |(_, machine)| machine);
    if view.run.is_some() && machine != session.surroundings.machine {
        return Err(Ending::input(
            format!("run {run} was started on {machine}"),
            "a run is resumed on the machine where it was started",
        ));
    }
    let is_alive = process::is_alive(view.process.unwrap_or(first));
    if journal::is_being_written(&state, run) || (view.end.is_none() && is_alive) {
        let pid = view.process.unwrap_or(first).pid;
        return Err(Ending::input(
            format!("run {run} is still running, as process {pid}"),
            "wait until it has ended, or interrupt it",
        ));
    }
    if view.end == Some(RunEnd::Succeeded) && view.behind().is_empty() {
        return Err(Ending::input(
            format!("run {run} succeeded: nothing of it is left"),
            "to do it again, deploy with --redeploy",
        ));
    }
    Ok(events)
}

fn check_without(made: &Made, asked: &Asked) -> Result<(), Ending> {
    let hosts: BTreeSet<&str> = made
        .prepared
        .jobs()
        .flat_map(|job| job.hosts.iter().map(HostName::as_str))
        .collect();
    let mut faults = Diagnostics::new();
    for host in &asked.without {
        if !hosts.contains(host.as_str()) {
            let fault = format!("--without {host}: no task of the run is for that host");
            faults.push(Diagnostic::error(fault).hint("`windlass runs show` lists its hosts"));
        }
        if asked.redo.contains(host) {
            let fault = format!("{host} cannot be left out and done again");
            faults.push(Diagnostic::error(fault).hint("name it with --without or with --redo"));
        }
    }
    Ok(faults.or(())?)
}
