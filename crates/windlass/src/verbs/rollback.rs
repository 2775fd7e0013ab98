//! `windlass rollback`: the hosts that a run changed go back to what ran well before.

mod managed;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use windlass_builtins::generators::rolling::look::{Found, look};
use windlass_builtins::generators::rolling::rollback::{Begun, Rollback as Way, newest, rollback};
use windlass_engine::{journal, outline};
use windlass_model::HostName;
use windlass_model::diagnostic::Diagnostic;
use windlass_model::event::What;
use windlass_model::ids::RunId;
use windlass_model::release::{Environment, Project};
use windlass_model::step::Level;

use crate::client::ManagerOptions;
use crate::ending::Ending;
use crate::locking::{Locking, Stale};
use crate::making::{self, Made};
use crate::output::print;
use crate::program::Program;
use crate::record;
use crate::session::Session;
use crate::site::{self, Site};

/// Puts the hosts that a run changed back to what ran well before
///
/// With --project and --env the manager puts back what it had installed there before, and is watched while it does.
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// Which run, or the beginning of its id; the one that changed any of the hosts last if left out
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
    #[command(flatten)]
    locking: Locking,
    /// Put back what the manager had installed of this project before
    #[arg(long, requires = "env", conflicts_with_all = HOSTS_ONLY)]
    project: Option<Project>,
    /// In this environment
    #[arg(long, value_name = "ENVIRONMENT", requires = "project")]
    env: Option<Environment>,
    #[command(flatten)]
    manager: ManagerOptions,
}

/// Options that say something about hosts of a config.
const HOSTS_ONLY: [&str; 8] = [
    "run",
    "config",
    "across_migrations",
    "hosts",
    "hostgroups",
    "without",
    "wait",
    "lock_lease",
];

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
            locking: Locking::default(),
            project: None,
            env: None,
            manager: ManagerOptions::default(),
        }
    }

    /// Asks the hosts what the run did there, and takes it back. Works from any machine.
    pub(crate) async fn run(self, program: &Program) -> Result<(), Ending> {
        if let (Some(project), Some(environment)) = (&self.project, &self.env) {
            let what = (project, environment);
            return managed::back(program, &self.manager, what, self.show).await;
        }
        self.manager.not_without("--project and --env")?;
        let mut session = Session::start(program)?;
        session.given_config.clone_from(&self.config);
        let result = self.run_in(&mut session).await;
        session.finish(result).await
    }

    async fn run_in(self, session: &mut Session) -> Result<(), Ending> {
        let without = self.without.clone();
        match self.make(session).await? {
            Some(made) => making::run(session, made, &without).await,
            None => Ok(()),
        }
    }

    /// What takes the run back, as the hosts are now. `None`: there is nothing to do, or it was shown.
    pub(crate) async fn make(self, session: &mut Session) -> Result<Option<Made>, Ending> {
        let began = Instant::now();
        let site = Site::open(session, self.config.as_deref(), &self.chosen, "rollback").await?;
        let without = self.left_out(&site)?;
        let mut interrupt = session.interrupt.clone();
        let found = tokio::select! {
            found = look(&site.rolling, &site.hosts, &[], &without, true) => found?,
            () = interrupt.reached(1) => return Err(Ending::Interrupted),
        };
        let run = match &self.run {
            Some(named) => id_of(session, &found, named)?,
            None => last_run(session, &found)?,
        };
        let begun = RunId::new(&run).and_then(|run| begun(session, &run));
        let way = rollback(
            &site.rolling,
            &found,
            &run,
            self.across_migrations,
            begun.as_ref(),
        )?;
        if self.show {
            print(&shown(&way, &run))?;
        } else {
            say(session, &way, &run);
        }
        if way.refused.has_errors() {
            return Err(way.refused.into());
        }
        if way.put_back.is_empty() {
            site.hosts.close().await;
            return nothing_to_do(session, &way, &run, self.show).map(|()| None);
        }
        let tasklist = way.tasklist(&site.config, &site.rolling, &run)?;
        let hosts = Some((site.hosts, site.secrets));
        let mut made =
            making::ready(session, tasklist, Some(site.config), site.base, hosts).await?;
        if self.show {
            let run = journal::new_run_id(&session.state_dir())
                .ok_or_else(|| Ending::Own("no run id could be made".into()))?;
            let shown = outline::show(&made.prepared, None, &run);
            return print(&format!("\n{shown}")).map(|()| None);
        }
        (made.locking, made.began) = (self.locking, began);
        made.after = RunId::new(&run).filter(|run| is_dead(session, run));
        made.stale = Stale::RollBackAgain(Box::new(self));
        Ok(Some(made))
    }

    fn left_out(&self, site: &Site) -> Result<Vec<HostName>, Ending> {
        let known = site.config.hosts()?;
        let without: Vec<HostName> = self
            .without
            .iter()
            .map(|host| HostName::new(host))
            .collect();
        if let Some(host) = without.iter().find(|host| !known.contains(host)) {
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

/// The id that is named, or begins so: of the runs that hosts tell of, and of those that were started here. One that nobody
/// knows is taken as it is.
fn id_of(session: &Session, found: &[Found], named: &str) -> Result<String, Ending> {
    let told = found.iter().filter_map(|found| found.said.as_ref().ok());
    let told = told.flat_map(|said| said.receipts.iter().map(|receipt| receipt.run.clone()));
    let mut runs: BTreeSet<String> = told.collect();
    let here = journal::runs(&session.state_dir()).unwrap_or_default();
    runs.extend(here.iter().map(ToString::to_string));
    if runs.contains(named) {
        return Ok(named.to_owned());
    }
    let begin_so: Vec<&String> = runs.iter().filter(|run| run.starts_with(named)).collect();
    match begin_so.as_slice() {
        [run] if !named.is_empty() => Ok((*run).clone()),
        [] | [_] => Ok(named.to_owned()),
        several => Err(record::ambiguous(
            named,
            several.iter().map(|run| run.as_str()),
        )),
    }
}

/// The run that changed any host last, or was cut off there; a rollback is not taken back unasked.
fn last_run(session: &Session, found: &[Found]) -> Result<String, Ending> {
    let last = newest(found);
    let hosts: BTreeSet<&HostName> = found.iter().map(|found| &found.host).collect();
    let runs = journal::runs(&session.state_dir()).unwrap_or_default();
    // Ids of runs sort by time.
    let newer = runs.iter().rev();
    let mut newer =
        newer.take_while(|run| last.is_none_or(|last| run.as_str() > last.run.as_str()));
    let cut_off = newer.find(|run| {
        begun(session, run).is_some_and(|begun| begun.keys().any(|(_, host)| hosts.contains(host)))
    });
    if let Some(run) = cut_off {
        return Ok(run.to_string());
    }
    let Some(last) = last else {
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

/// What a run that was started here began, by its journal; `None` where there is none.
fn begun(session: &Session, run: &RunId) -> Option<Begun> {
    let state = session.state_dir();
    let path = journal::directory(&state, run).join("tasklist.json");
    let text = std::fs::read_to_string(path).ok()?;
    let source = windlass_model::diagnostic::Source::new("tasklist.json", text);
    let plan = windlass_model::tasklist::read(&source).ok()?.plan?;
    let record = journal::Record::open(&state, run).ok()?;
    let mut begun = Begun::new();
    for event in record.events() {
        let (What::TaskSent { task, .. } | What::TaskStarted { task, .. }) = event.what else {
            continue;
        };
        let job = format!("{}.{}", task.id.stage, task.id.task);
        if let Some(receipt) = plan.receipts.iter().find(|receipt| receipt.job == job) {
            begun.insert((receipt.service.clone(), task.host), receipt.clone());
        }
    }
    Some(begun)
}

/// Whether a run was cut off here: it has not ended, and its process is gone.
fn is_dead(session: &Session, run: &RunId) -> bool {
    let state = session.state_dir();
    let Ok(record) = record::open(&state, run) else {
        return false;
    };
    let (view, state) = record::view_of(&state, record);
    let machine = view.by.rsplit_once('@').map(|(_, machine)| machine);
    machine == Some(session.surroundings.machine.as_str()) && state == "cut off"
}

fn say(session: &Session, way: &Way, run: &str) {
    let message = format!("Taking back run {run}");
    session
        .events
        .log(Level::Info, "Rollback", None, None, &message);
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
