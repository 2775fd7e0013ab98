//! From inputs to a tasklist that is ready to run: shared by `deploy`, `plan`, `service` and `run`.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use windlass_builtins::generators::help::GeneratorHelp;
use windlass_engine::executor::{self, Options, Prepared, prepare};
use windlass_engine::host::Hosts;
use windlass_engine::journal;
use windlass_engine::secrets::Secrets;
use windlass_model::config::Config;
use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::step::Level;
use windlass_model::tasklist::{self, Tasklist};
use windlass_model::tree::{Map, Node};
use windlass_model::{HostName, RunId};

use crate::cli::Inputs;
use crate::ending::{self, Ending};
use crate::locking::{Held, Locking, Stale};
use crate::origin::Origin;
use crate::resuming::Resumed;
use crate::session::{Session, folder_of, read_source};

/// A tasklist with what it takes to run it.
pub(crate) struct Made {
    /// The tasklist.
    pub(crate) tasklist: Tasklist,
    /// The same, every command initialized.
    pub(crate) prepared: Prepared,
    /// The config, if there is one.
    pub(crate) config: Option<Config>,
    /// Where relative paths start.
    pub(crate) base: PathBuf,
    /// How its hosts are locked.
    pub(crate) locking: Locking,
    /// What becomes of it when they were changed after it was made.
    pub(crate) stale: Stale,
    /// The dead run that it takes back: that run's locks are had at once.
    pub(crate) after: Option<RunId>,
    /// When making it began.
    pub(crate) began: Instant,
    hosts: Option<(Arc<dyn Hosts>, Arc<Secrets>)>,
    /// The run that goes on, when it is not a new one.
    pub(crate) resumed: Option<Resumed>,
}

/// Reads or generates the tasklist and initializes every command. Touches no host, but for what a generator asks.
pub(crate) async fn make(session: &mut Session, inputs: &Inputs) -> Result<Made, Ending> {
    let began = Instant::now();
    let options = options(inputs, &session.surroundings.directory);
    if let Some(path) = &inputs.tasklist {
        let config = match &inputs.config {
            Some(named) => session.config(Some(named), &options)?,
            None => None,
        };
        let source = read_source(path, "tasklist")?;
        let tasklist = tasklist::read(&source)?;
        let base = match &config {
            Some((_, base)) => base.clone(),
            None => folder_of(path, &session.surroundings.directory),
        };
        return ready(session, tasklist, config.map(|(c, _)| c), base, None).await;
    }
    let (config, base) = session.needed_config(inputs.config.as_deref(), &options)?;
    session
        .load_plugins(&base, Some(&config.platform), &BTreeSet::new())
        .await?;
    let Some(generator) = session.registry.find_generator(&config.platform).cloned() else {
        return Err(unknown_platform(session, &config).into());
    };
    let hosts = session.hosts(Some((&config, &base))).await?;
    let help = GeneratorHelp::new(
        Arc::new(config.clone()),
        base.clone(),
        session.events.clone(),
        hosts.0.clone(),
    );
    let mut interrupt = session.interrupt.clone();
    let tasklist = tokio::select! {
        tasklist = generator.generate(&help) => tasklist?,
        () = interrupt.reached(1) => return Err(Ending::Interrupted),
    };
    let mut made = ready(session, tasklist, Some(config), base, Some(hosts)).await?;
    (made.stale, made.began) = (Stale::MakeAgain(inputs.clone()), began);
    Ok(made)
}

/// Initializes every command of a tasklist.
pub(crate) async fn ready(
    session: &mut Session,
    tasklist: Tasklist,
    config: Option<Config>,
    base: PathBuf,
    hosts: Option<(Arc<dyn Hosts>, Arc<Secrets>)>,
) -> Result<Made, Ending> {
    let asks = tasklist
        .asks()
        .filter_map(|ask| ask.get("command")?.as_str());
    let commands: BTreeSet<String> = tasklist
        .tasks()
        .map(|(_, task)| task.command.as_str())
        .chain(asks)
        .collect::<BTreeSet<&str>>()
        .into_iter()
        .map(str::to_owned)
        .collect();
    session.load_plugins(&base, None, &commands).await?;
    let prepared = prepare(&tasklist, &session.registry, &base, &session.events).await?;
    Ok(Made {
        tasklist,
        prepared,
        config,
        base,
        locking: Locking::default(),
        stale: Stale::RunAsItIs,
        after: None,
        began: Instant::now(),
        hosts,
        resumed: None,
    })
}

/// Runs what was made. Nothing is begun when a pinned file has changed, a secret cannot be had, the key of any host is
/// wrong, or another run has locked a host.
pub(crate) async fn run(
    session: &mut Session,
    made: Made,
    without: &[String],
) -> Result<(), Ending> {
    let without: Vec<HostName> = without.iter().map(|h| HostName::new(h)).collect();
    let mut held = Held::default();
    let result = run_locked(session, made, without, &mut held).await;
    held.release().await;
    result
}

async fn run_locked(
    session: &mut Session,
    made: Made,
    without: Vec<HostName>,
    held: &mut Held,
) -> Result<(), Ending> {
    let resumed = made.resumed.as_ref().map(|resumed| resumed.run.clone());
    let run = resumed
        .or_else(|| journal::new_run_id(&session.state_dir()))
        .ok_or_else(|| Ending::Own("no run id could be made".into()))?;
    let Some(ready) = locked(session, made, &without, &run, held).await? else {
        return Ok(());
    };
    let resume = match ready.resumed {
        Some(resumed) => {
            session.remember(&resumed.before);
            Some(resumed.left)
        }
        None => {
            let config = ready.config.as_ref();
            record(session, &run, &ready.tasklist, config, &ready.base)?;
            None
        }
    };
    let options = Options {
        run,
        by: session.surroundings.by(),
        hosts: ready.hosts,
        secrets: ready.secrets,
        events: session.events.clone(),
        interrupt: session.interrupt.clone(),
        user: ready.user,
        without,
        resume,
        locks: held.locks(),
    };
    session.begun = Some(options.run.clone());
    ending::of_run(&executor::run(&ready.prepared, options).await)
}

/// What was made, with its hosts looked at.
struct Ready {
    tasklist: Tasklist,
    prepared: Prepared,
    config: Option<Config>,
    base: PathBuf,
    hosts: Arc<dyn Hosts>,
    secrets: Arc<Secrets>,
    user: Option<String>,
    resumed: Option<Resumed>,
}

/// Locks the hosts, and makes the tasklist again where they were changed since it was made. `None`: there is nothing to do.
async fn locked(
    session: &mut Session,
    mut made: Made,
    without: &[HostName],
    run: &RunId,
    held: &mut Held,
) -> Result<Option<Ready>, Ending> {
    loop {
        let (locking, began, after) = (made.locking, made.began, made.after.take());
        let stale = std::mem::replace(&mut made.stale, Stale::RunAsItIs);
        let Some(ready) = checked(session, made, without).await? else {
            return Ok(None);
        };
        let names = locking.names(&ready.prepared, without);
        if held.covers(&names) {
            return Ok(Some(ready));
        }
        held.release().await;
        let (user, hosts) = (ready.user.as_deref(), &ready.hosts);
        let after = after.as_ref();
        *held = locking
            .take(session, run, after, names, user, hosts)
            .await?;
        let Some(changed) = held.changed_since(began) else {
            return Ok(Some(ready));
        };
        match stale {
            Stale::RunAsItIs => return Ok(Some(ready)),
            Stale::MakeAgain(inputs) => {
                again(session, &changed);
                made = make(session, &inputs).await?;
                made.locking = locking;
            }
            Stale::RollBackAgain(rollback) => {
                again(session, &changed);
                match rollback.make(session).await? {
                    Some(next) => made = next,
                    None => return Ok(None),
                }
            }
        }
    }
}

fn again(session: &Session, changed: &str) {
    let message = format!("{changed}: planning again");
    session
        .events
        .log(Level::Info, "Locks", None, None, &message);
}

/// Looks at the files, secrets and host keys that it needs. `None`: there is nothing to do.
async fn checked(
    session: &Session,
    made: Made,
    without: &[HostName],
) -> Result<Option<Ready>, Ending> {
    let Made {
        tasklist,
        prepared,
        config,
        base,
        hosts,
        resumed,
        ..
    } = made;
    if prepared.tasks().next().is_none() {
        session
            .events
            .log(Level::Info, "Executor", None, None, "Nothing to do");
        return Ok(None);
    }
    check_pins(&prepared, &base).await?;
    let (hosts, secrets) = match hosts {
        Some(hosts) => hosts,
        None => {
            session
                .hosts(config.as_ref().map(|c| (c, base.as_path())))
                .await?
        }
    };
    let secrets = session
        .secrets(secrets_of(&tasklist), &secrets, &base)
        .await?;
    let keys = check_keys(&prepared, hosts.as_ref(), without).await;
    for note in hosts.notes() {
        session
            .events
            .log(Level::Warning, "Hosts", None, None, &note);
    }
    keys?;
    let user = config
        .as_ref()
        .and_then(|c| Some(c.tree.get("user")?.as_str()?.to_owned()));
    Ok(Some(Ready {
        tasklist,
        prepared,
        config,
        base,
        hosts,
        secrets,
        user,
        resumed,
    }))
}

/// The record of what it takes to go on with a run.
fn record(
    session: &Session,
    run: &RunId,
    tasklist: &Tasklist,
    config: Option<&Config>,
    base: &Path,
) -> Result<(), Ending> {
    let state = session.state_dir();
    let directory = &session.surroundings.directory;
    let origin = Origin {
        config: config
            .and_then(|c| c.source.as_ref())
            .map(|source| directory.join(source.name())),
        base: directory.join(base),
        ssh_config: session
            .common
            .ssh_config
            .as_ref()
            .map(|path| directory.join(path)),
    };
    journal::keep_tasklist(&state, run, tasklist)
        .and_then(|_| origin.keep(&state, run))
        .map_err(|e| {
            Ending::own(
                format!("the run cannot be recorded in {}", state.display()),
                e,
            )
        })
}

/// The command line's options as they override the config's keys.
fn options(inputs: &Inputs, directory: &Path) -> Map {
    let mut options = Map::default();
    let paths = |paths: &[PathBuf]| -> Vec<String> {
        absolute(paths, directory)
            .iter()
            .map(|p| p.to_string_lossy().into_owned())
            .collect()
    };
    if !inputs.component.is_empty() {
        options.set("component", paths(&inputs.component));
    }
    if !inputs.directory.is_empty() {
        options.set("directory", paths(&inputs.directory));
    }
    if !inputs.hosts.is_empty() {
        options.set("hosts", inputs.hosts.clone());
    }
    if !inputs.hostgroups.is_empty() {
        options.set("hostgroups", inputs.hostgroups.clone());
    }
    if inputs.redeploy {
        options.set("redeploy", true);
    }
    options
}

fn absolute(paths: &[PathBuf], directory: &Path) -> Vec<PathBuf> {
    paths.iter().map(|p| directory.join(p)).collect()
}

fn unknown_platform(session: &Session, config: &Config) -> Diagnostic {
    let platform = &config.platform;
    let hint = match session.registry.near_generator(platform) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "`windlass generators` lists those that there are; your own goes into `generators/{platform}` beside the config"
        ),
    };
    let diagnostic = Diagnostic::error(format!("unknown platform `{platform}`"))
        .key("platform")
        .hint(hint);
    match (&config.source, config.tree.get("platform")) {
        (Some(source), Some(node)) => diagnostic.at(source, node.span),
        _ => diagnostic,
    }
}

fn secrets_of(tasklist: &Tasklist) -> HashSet<windlass_model::SecretRef> {
    let asks: Vec<Node> = tasklist.asks().cloned().map(Node::from).collect();
    let in_tasks = tasklist
        .tasks()
        .flat_map(|(_, task)| task.args.iter())
        .flat_map(|entry| entry.value.secrets());
    let in_asks = asks.iter().flat_map(Node::secrets);
    in_tasks.chain(in_asks).cloned().collect()
}

/// Every pinned file must be as it was when it was planned.
async fn check_pins(prepared: &Prepared, base: &Path) -> Result<(), Ending> {
    let pins = prepared.plan.files.clone();
    let base = base.to_owned();
    let checked = tokio::task::spawn_blocking(move || {
        let mut faults = Diagnostics::new();
        for (path, pinned) in &pins {
            let fault = match windlass_builtins::digest::sha256_file(&base.join(path)) {
                Ok(found) if found == *pinned => continue,
                Ok(_) => Diagnostic::error(format!("{path} has changed since it was planned")),
                Err(e) => Diagnostic::error(format!(
                    "{path}, which the plan uploads, cannot be read: {e}"
                )),
            };
            faults.push(fault.hint("plan again, or put the planned file back"));
        }
        faults
    })
    .await
    .map_err(|e| Ending::own("pinned files cannot be checked", e))?;
    Ok(checked.or(())?)
}

/// Hosts for whose connections the usual limit of open files will do, which is 1,024.
const FEW_HOSTS: usize = 500;

/// The keys of all hosts at once; one bad key stops the run before it begins.
async fn check_keys(
    prepared: &Prepared,
    hosts: &dyn Hosts,
    without: &[HostName],
) -> Result<(), Ending> {
    // each has a connection for as long as the run has work for it; what we start gets the same limit, so it stays where it will do
    if prepared.hosts().len() > FEW_HOSTS {
        crate::process::allow_files();
    }
    let mut faults = Diagnostics::new();
    for (host, error) in executor::preflight(prepared, hosts).await {
        if !without.contains(&host) {
            faults.push(Diagnostic::error(error.message));
        }
    }
    Ok(faults.or(())?)
}
