//! `windlass rollback`: the hosts that a run changed go back to what ran well before.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use windlass_builtins::generators::rolling::look::{Found, look};
use windlass_builtins::generators::rolling::rollback::{Rollback as Way, newest, rollback};
use windlass_engine::{journal, outline};
use windlass_model::HostName;
use windlass_model::diagnostic::Diagnostic;
use windlass_model::event::What;
use windlass_model::ids::RunId;
use windlass_model::step::Level;

use crate::ending::Ending;
use crate::making;
use crate::output::print;
use crate::program::Program;
use crate::session::Session;
use crate::site::{self, Site};

/// Puts the hosts that a run changed back to what ran well before
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// Which run; the one that changed any of the hosts last if left out
    run: Option<String>,
    /// Show what would be done; touch nothing
    #[arg(long)]
    show: bool,
    /// The platform config [default: windlass.yaml here or in a parent folder]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Go back across migrations, which are not taken back themselves
    #[arg(long)]
    across_migrations: bool,
    #[command(flatten)]
    chosen: site::Chosen,
    /// Leave these hosts out; they stay as they are
    #[arg(long, value_name = "HOST", num_args = 1..)]
    without: Vec<String>,
}

impl Rollback {
    /// Of a run that failed here.
    pub(crate) fn of_failed(run: &RunId, config: PathBuf, without: Vec<String>) -> Self {
        Self {
            run: Some(run.to_string()),
            show: false,
            config: Some(config),
            across_migrations: false,
            chosen: site::Chosen::default(),
            without,
        }
    }

    /// Asks the hosts what the run did there, and takes it back. Works from any machine.
    pub(crate) async fn run(self, program: &Program) -> Result<(), Ending> {
        let mut session = Session::start(program)?;
        let result = self.run_in(&mut session).await;
        session.finish(result).await
    }

    async fn run_in(self, session: &mut Session) -> Result<(), Ending> {
        let site = Site::open(session, self.config.as_deref(), &self.chosen, "rollback").await?;
        let without = self.left_out(&site)?;
        let mut interrupt = session.interrupt.clone();
        let found = tokio::select! {
            found = look(&site.rolling, &site.hosts, &[], &without, true) => found?,
            () = interrupt.reached(1) => return Err(Ending::Interrupted),
        };
        let run = match &self.run {
            Some(run) => run.clone(),
            None => last_run(&found)?,
        };
        let changed = RunId::new(&run).and_then(|run| changed_by(session, &run));
        let way = rollback(
            &site.rolling,
            &found,
            &run,
            self.across_migrations,
            changed.as_ref(),
        )?;
        if self.show {
            print(&shown(&way, &run))?;
        } else {
            say(session, &way);
        }
        if way.refused.has_errors() {
            return Err(way.refused.into());
        }
        if way.put_back.is_empty() {
            site.hosts.close().await;
            return nothing_to_do(session, &way, &run, self.show);
        }
        let tasklist = way.tasklist(&site.config, &site.rolling, &run)?;
        let hosts = Some((site.hosts, site.secrets));
        let made = making::ready(session, tasklist, Some(site.config), site.base, hosts).await?;
        if self.show {
            let run = journal::new_run_id()
                .ok_or_else(|| Ending::Own("no run id could be made".into()))?;
            return print(&format!("\n{}", outline::show(&made.prepared, None, &run)));
        }
        making::run(session, made, &self.without).await
    }

    fn left_out(&self, site: &Site) -> Result<Vec<HostName>, Ending> {
        let known = site.config.hosts()?;
        let without: Vec<HostName> = self
            .without
            .iter()
            .map(|host| HostName::new(host))
            .collect();
        for host in without.iter().filter(|host| !known.contains(host)) {
            let message = format!("the config has no host `{host}` that could be left out");
            let near = windlass_model::diagnostic::nearest(
                host.as_str(),
                known.iter().map(HostName::as_str),
            );
            let fault = Diagnostic::error(message);
            return Err(match near {
                Some(near) => fault.hint(format!("did you mean `{near}`?")),
                None => fault.hint("`windlass where` shows its hosts"),
            }
            .into());
        }
        Ok(without)
    }
}

/// The run that changed any host last. A rollback is not taken back unasked.
fn last_run(found: &[Found]) -> Result<String, Ending> {
    let Some(last) = newest(found) else {
        return Err(Ending::input(
            "no host of the config tells of any run",
            "hosts tell of a run once it has changed them: `windlass where`",
        ));
    };
    match &last.undoes {
        None => Ok(last.run.clone()),
        Some(undone) => Err(Ending::input(
            format!(
                "the last run, {}, took back run {undone}, and was itself a rollback",
                last.run
            ),
            format!(
                "name the run to take back; `windlass rollback {}` brings back what run {undone} had put there",
                last.run
            ),
        )),
    }
}

/// The hosts that a run which was started here may have changed, by its journal; `None` where there is none.
fn changed_by(session: &Session, run: &RunId) -> Option<BTreeSet<HostName>> {
    let state = session.state_dir();
    let source =
        std::fs::read_to_string(journal::directory(&state, run).join("tasklist.json")).ok()?;
    let source = windlass_model::diagnostic::Source::new("tasklist.json", source);
    let plan = windlass_model::tasklist::read(&source).ok()?.plan?;
    let record = journal::Record::open(&state, run).ok()?;
    let jobs: BTreeSet<&str> = plan.receipts.iter().map(|r| r.job.as_str()).collect();
    let mut changed = BTreeSet::new();
    for event in record.events() {
        if let What::TaskSent { task, .. } | What::TaskStarted { task, .. } = event.what {
            let job = format!("{}.{}", task.id.stage, task.id.task);
            if jobs.contains(job.as_str()) {
                changed.insert(task.host);
            }
        }
    }
    Some(changed)
}

fn say(session: &Session, way: &Way) {
    let log = |level, host: &HostName, service: &str, message: &str| {
        session
            .events
            .log(level, "Rollback", Some(host), Some(service), message);
    };
    for back in &way.put_back {
        let from = back.from.as_deref().unwrap_or("nothing");
        let message = format!("goes back from {from} to {}", back.to);
        log(Level::Info, &back.host, &back.service, &message);
    }
    for left in &way.left_alone {
        let level = match left.is_back {
            true => Level::Info,
            false => Level::Warning,
        };
        let message = format!("left alone: {}", left.why);
        log(level, &left.host, &left.service, &message);
    }
}

fn nothing_to_do(session: &Session, way: &Way, run: &str, is_shown: bool) -> Result<(), Ending> {
    if way.left_alone.iter().all(|left| left.is_back) {
        let message = format!("nothing to do: run {run} stands nowhere any more");
        match is_shown {
            true => return print(&format!("\n{message}\n")),
            false => session
                .events
                .log(Level::Info, "Rollback", None, None, &message),
        }
        return Ok(());
    }
    Err(Ending::input(
        format!("run {run} cannot be taken back on any host"),
        "what is to be there instead can be deployed: `windlass deploy`",
    ))
}

/// What would be done, and what would be left alone.
fn shown(way: &Way, run: &str) -> String {
    let mut text = format!("Roll back run {run}\n");
    let mut lines = Vec::new();
    for back in &way.put_back {
        let from = back.from.as_deref().unwrap_or("nothing");
        let mut note = String::new();
        if back.is_broken {
            note = match back.result.as_str() {
                windlass_model::receipt::SUCCEEDED => "(does not pass its check)".into(),
                result => format!("({result})"),
            };
        }
        let way = format!("{from} -> {}", back.to);
        lines.push([
            String::new(),
            back.service.clone(),
            back.host.to_string(),
            way,
            note,
        ]);
    }
    for left in &way.left_alone {
        let why = format!("left alone: {}", left.why);
        lines.push([
            String::new(),
            left.service.clone(),
            left.host.to_string(),
            why,
            String::new(),
        ]);
    }
    text.push_str(&site::aligned(&lines));
    text
}
