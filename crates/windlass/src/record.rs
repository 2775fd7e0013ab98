//! Runs that were recorded here: found by their id or the beginning of it, and how they stand.

use std::io;
use std::path::{Path, PathBuf};

use windlass_engine::journal::{self, Record};
use windlass_model::ids::RunId;

use crate::ending::Ending;
use crate::process;
use crate::view::RunView;

/// Every run that was started here, the oldest first.
pub(crate) fn all(state: &Path) -> Result<Vec<RunId>, Ending> {
    journal::runs(state).map_err(|e| Ending::own(format!("the runs in {}", state.display()), e))
}

/// The run of this id, or the only one that begins so.
pub(crate) fn find(state: &Path, named: &str) -> Result<RunId, Ending> {
    let runs = all(state)?;
    if let Some(run) = runs.iter().find(|r| r.as_str() == named) {
        return Ok(run.clone());
    }
    let begin_so: Vec<&RunId> = runs
        .iter()
        .filter(|r| r.as_str().starts_with(named))
        .collect();
    match begin_so.as_slice() {
        [run] if !named.is_empty() => Ok((*run).clone()),
        [] | [_] => Err(unknown(state, named)),
        several => Err(ambiguous(named, several.iter().map(|run| run.as_str()))),
    }
}

/// That several runs begin with what was named.
pub(crate) fn ambiguous<'a>(named: &str, runs: impl Iterator<Item = &'a str>) -> Ending {
    let ids: Vec<&str> = runs.collect();
    let some: Vec<&str> = ids.iter().copied().take(5).collect();
    Ending::input(
        format!("{} runs begin with `{named}`", ids.len()),
        format!("say more of the id: {}", some.join(", ")),
    )
}

/// The last run.
pub(crate) fn last(state: &Path) -> Result<RunId, Ending> {
    all(state)?.pop().ok_or_else(|| {
        Ending::input(
            format!("nothing was run yet, by {}", state.display()),
            "`windlass deploy` does",
        )
    })
}

/// Opens the journal of a run.
pub(crate) fn open(state: &Path, run: &RunId) -> Result<Record, Ending> {
    Record::open(state, run).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => unknown(state, run.as_str()),
        _ => Ending::own(format!("run {run}"), e),
    })
}

/// What is known of a run, and in what state it is.
pub(crate) fn view_of(state: &Path, record: Record) -> (RunView, &'static str) {
    let is_written = journal::is_being_written(state, &record.run);
    let first = record.process;
    let mut view = RunView::default();
    record.events().for_each(|event| view.accept(&event));
    let is_alive = is_written || process::is_alive(view.process.unwrap_or(first));
    let state = view.state(is_alive);
    (view, state)
}

/// The tasklist of a run.
pub(crate) fn tasklist_path(state: &Path, run: &RunId) -> PathBuf {
    journal::directory(state, run).join("tasklist.json")
}

fn unknown(state: &Path, run: &str) -> Ending {
    Ending::input(
        format!("there is no run `{run}` in {}", state.display()),
        "`windlass runs list` lists them; runs are recorded where they were started",
    )
}
