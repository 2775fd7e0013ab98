//! The one place that wires parts together: configuration, registry, hosts, sinks.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use windlass_builtins::hosts::{AllHosts, HostsOptions};
use windlass_builtins::plugins::{self, Plugins, Settings, Wanted};
use windlass_engine::events::{Events, Sink};
use windlass_engine::host::Hosts;
use windlass_engine::interrupt::{Interrupt, interrupt};
use windlass_engine::journal::LazyJournal;
use windlass_engine::registry::Registry;
use windlass_engine::secrets::Secrets;
use windlass_model::SecretRef;
use windlass_model::config::Config;
use windlass_model::diagnostic::{Diagnostic, Severity, Source};
use windlass_model::event::{Event, What};
use windlass_model::ids::RunId;
use windlass_model::step::Level;
use windlass_model::tree::Map;

use crate::access::Access;
use crate::cli::{Common, LogFormat};
use crate::ending::Ending;
use crate::given::Given;
use crate::process;
use crate::program::Program;
use crate::reporters::digest::{self, Collector};
use crate::reporters::json::JsonLines;
use crate::reporters::log::{Log, Verbosity};
use crate::reporters::progress::Progress;
use crate::reporters::steady::Steady;
use crate::surroundings::{Surroundings, variable};

/// Names that a config may have when none is given.
const CONFIG_NAME: &str = "windlass.yaml";
/// Longest text that is read as a config or a tasklist, in bytes.
const LONGEST_INPUT: u64 = 1 << 30;

/// What a verb that may run tasks works with.
pub(crate) struct Session {
    /// The machine.
    pub(crate) surroundings: Surroundings,
    /// Options of every verb.
    pub(crate) common: Common,
    /// Commands and generators by name.
    pub(crate) registry: Registry,
    /// Who is told.
    pub(crate) events: Events,
    /// Whether the operator wants it to stop.
    pub(crate) interrupt: Interrupt,
    /// Processes of plugins.
    pub(crate) plugins: Arc<Plugins>,
    /// The run that was begun, if one was.
    pub(crate) begun: Option<RunId>,
    /// What may not be said any more.
    hidden: Mutex<Arc<Secrets>>,
    /// The config that the command line names, for commands that go on with the run.
    pub(crate) given_config: Option<PathBuf>,
    collector: Collector,
    dispatcher: JoinHandle<std::io::Result<()>>,
}

impl Session {
    /// Starts the dispatcher of events and listens for signals.
    pub(crate) fn start(program: &Program) -> Result<Self, Ending> {
        let collector = Collector::default();
        let state = program.state_dir();
        let mut sinks: Vec<Box<dyn Sink>> =
            vec![Box::new(LazyJournal::new(state, process::this()))];
        sinks.extend(reporters(&program.common, &program.surroundings));
        sinks.push(Box::new(collector.clone()));
        let (events, dispatcher) = Events::start(sinks);
        let interrupt = listen(events.clone())?;
        let python = crate::python::unpack(&program.surroundings.cache)
            .map_err(|e| Ending::own("the Python package cannot be unpacked", e))?;
        Ok(Self {
            surroundings: program.surroundings.clone(),
            common: program.common.clone(),
            registry: program.registry(),
            plugins: start_plugins(python, &events),
            events,
            interrupt,
            begun: None,
            hidden: Mutex::default(),
            given_config: None,
            collector,
            dispatcher,
        })
    }

    /// Where runs are recorded.
    pub(crate) fn state_dir(&self) -> PathBuf {
        state_dir(&self.common, &self.surroundings)
    }

    /// Takes up what happened in a run before it was resumed, for its digest.
    pub(crate) fn remember(&self, before: &[Event]) {
        self.collector.take(before);
    }

    /// Loads the config that was named, or the nearest `windlass.yaml`; `None` when there is neither.
    pub(crate) fn config(
        &self,
        named: Option<&Path>,
        options: &Map,
    ) -> Result<Option<(Config, PathBuf)>, Ending> {
        let path = match named {
            Some(path) => path.to_owned(),
            None => match nearest_config(&self.surroundings.directory) {
                Some(path) => path,
                None => return Ok(None),
            },
        };
        let shown = path.display().to_string();
        self.events.log(
            Level::Info,
            "Config",
            None,
            None,
            &format!("Loading configuration from {shown}"),
        );
        let source = read_source(&path, "config")?;
        let (config, warnings) = windlass_model::config::read(&source, options)?;
        for warning in warnings
            .0
            .iter()
            .filter(|w| w.severity == Severity::Warning)
        {
            self.events
                .log(Level::Warning, "Config", None, None, &warning.one_line());
        }
        if let Some(seconds) = config.plugin_time_limit()? {
            self.plugins
                .limit_calls(Duration::from_secs(u64::from(seconds)));
        }
        Ok(Some((
            config,
            folder_of(&path, &self.surroundings.directory),
        )))
    }

    /// As [`Session::config`], but it is an error when there is none.
    pub(crate) fn needed_config(
        &self,
        named: Option<&Path>,
        options: &Map,
    ) -> Result<(Config, PathBuf), Ending> {
        self.config(named, options)?.ok_or_else(|| {
            Ending::input(
                format!("there is no {CONFIG_NAME} here or in a folder above"),
                "name one with --config FILE, or write one with `windlass init`",
            )
        })
    }

    /// Registers the user's own generators and commands that lie beside the config or tasklist.
    pub(crate) async fn load_plugins(
        &mut self,
        base: &Path,
        platform: Option<&str>,
        commands: &BTreeSet<String>,
    ) -> Result<(), Ending> {
        let wanted = Wanted {
            platform,
            commands: commands.clone(),
        };
        let bases = [base.to_owned()];
        let registry = &mut self.registry;
        let used = plugins::load(registry, &self.plugins, &bases, &wanted).await?;
        for line in used {
            self.events.log(Level::Debug, "Plugins", None, None, &line);
        }
        Ok(())
    }

    /// Resolves secrets, beside those of `known`; from here on no event holds any of them.
    pub(crate) async fn secrets(
        &self,
        wanted: HashSet<SecretRef>,
        known: &Secrets,
        base: &Path,
    ) -> Result<Arc<Secrets>, Ending> {
        let new: HashSet<SecretRef> = wanted
            .into_iter()
            .filter(|s| known.get(s).is_none())
            .collect();
        let resolved = windlass_builtins::secrets::resolve(&new, &variable, base).await?;
        let secrets = Arc::new(known.with(&resolved));
        self.events.hide(secrets.clone()).await;
        let mut hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner);
        *hidden = Arc::new(hidden.with(&secrets));
        drop(hidden);
        Ok(secrets)
    }

    /// The hosts, as the config (if any) and the command line say.
    pub(crate) async fn hosts(
        &self,
        config: Option<(&Config, &Path)>,
    ) -> Result<(Arc<dyn Hosts>, Arc<Secrets>), Ending> {
        let (hosts, secrets) = self.all_hosts(config).await?;
        Ok((hosts, secrets))
    }

    /// The same, for what only they can do.
    pub(crate) async fn all_hosts(
        &self,
        config: Option<(&Config, &Path)>,
    ) -> Result<(Arc<AllHosts>, Arc<Secrets>), Ending> {
        let access = match config {
            Some((config, _)) => Access::of(config)?,
            None => Access::default(),
        };
        let base = config.map_or(self.surroundings.directory.as_path(), |(_, base)| base);
        let secrets = self
            .secrets(access.secrets(), &Secrets::default(), base)
            .await?;
        let hosts = windlass_builtins::hosts::hosts(HostsOptions {
            ssh_config: self.common.ssh_config.clone(),
            home: self.surroundings.home.clone(),
            local_user: self.surroundings.user.clone(),
            default_user: access.user,
            agent_socket: self.surroundings.agent_socket.clone(),
            connect_timeout: None,
            sudo_password: access.sudo_password,
            key_passphrase: access.key_passphrase,
            secrets: secrets.clone(),
        })?;
        Ok((hosts, secrets))
    }

    /// Ends the session: plugins first, then the sinks; then prints the digest of the run, if there was one.
    pub(crate) async fn finish(self, result: Result<(), Ending>) -> Result<(), Ending> {
        let given = Given {
            state_dir: self.common.state_dir,
            config: self.given_config,
        };
        self.plugins.close().await;
        self.events.end().await;
        let sinks = match tokio::time::timeout(Duration::from_secs(30), self.dispatcher).await {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => return Err(Ending::own("a sink of events broke", panic)),
            Err(_) => {
                return Err(Ending::Own(
                    "the sinks of events did not end within 30 s".into(),
                ));
            }
        };
        sinks.map_err(|e| Ending::own("the run could not be recorded", e))?;
        let view = self.collector.view();
        if view.run.is_some() && self.common.log_format == LogFormat::Text {
            crate::output::say(&digest::digest(&view, &given));
        }
        let hidden = self
            .hidden
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        result.map_err(|ending| ending.masked(&hidden))
    }
}

/// Where runs are recorded.
pub(crate) fn state_dir(common: &Common, surroundings: &Surroundings) -> PathBuf {
    common
        .state_dir
        .clone()
        .unwrap_or_else(|| surroundings.state.clone())
}

fn reporters(common: &Common, surroundings: &Surroundings) -> Vec<Box<dyn Sink>> {
    if common.log_format == LogFormat::Json {
        return vec![Box::new(JsonLines(std::io::stderr()))];
    }
    let verbosity = match (common.quiet, common.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    };
    let zone = TimeZone::system();
    if surroundings.is_terminal && !common.quiet {
        let progress = Progress::new();
        let log = Log::new(progress.lines(), verbosity, zone).calm();
        return vec![Box::new(log), Box::new(progress)];
    }
    vec![Box::new(Log::new(
        Steady::new(std::io::stderr()),
        verbosity,
        zone,
    ))]
}

/// Plugins see the variables that programs need, and no others.
fn start_plugins(python_path: PathBuf, events: &Events) -> Arc<Plugins> {
    let events = events.clone();
    Plugins::new(Settings {
        python_path,
        env: windlass_plugin::clean_environment(crate::surroundings::variables()),
        limits: windlass_plugin::Limits::default(),
        log: Arc::new(move |level, component, host, tag, message| {
            events.log(level, component, host, tag, message)
        }),
    })
}

/// The first SIGINT or SIGTERM asks gently, the second ends everything.
fn listen(events: Events) -> Result<Interrupt, Ending> {
    let (asks, interrupt) = interrupt();
    let wrong = |e| Ending::own("signals cannot be heard", e);
    let mut int = signal(SignalKind::interrupt()).map_err(wrong)?;
    let mut term = signal(SignalKind::terminate()).map_err(wrong)?;
    tokio::spawn(async move {
        let events = events;
        for times in 1..=2u8 {
            tokio::select! {
                _ = int.recv() => {}
                _ = term.recv() => {}
            }
            asks.again();
            events.send(What::Interrupted { times }).await;
        }
        std::future::pending::<()>().await;
    });
    Ok(interrupt)
}

fn nearest_config(from: &Path) -> Option<PathBuf> {
    from.ancestors()
        .map(|folder| folder.join(CONFIG_NAME))
        .find(|path| path.is_file())
}

/// The folder that relative paths of a file are taken from; absolute.
pub(crate) fn folder_of(file: &Path, directory: &Path) -> PathBuf {
    let absolute = directory.join(file);
    absolute
        .parent()
        .map_or_else(|| directory.to_owned(), Path::to_owned)
}

/// Reads a text that a person wrote. What cannot be read is an error of the input.
pub(crate) fn read_source(path: &Path, what: &str) -> Result<Arc<Source>, Ending> {
    let shown = path.display();
    let wrong = |why: String, hint: &str| {
        Diagnostic::error(format!("{what} {shown} cannot be read: {why}")).hint(hint)
    };
    let meta = std::fs::metadata(path).map_err(|e| wrong(e.to_string(), "check the path"))?;
    if meta.is_dir() {
        return Err(wrong("it is a directory".into(), "name a file").into());
    }
    if meta.len() > LONGEST_INPUT {
        return Err(wrong("it is larger than 1 GiB".into(), "split it").into());
    }
    let bytes = std::fs::read(path).map_err(|e| wrong(e.to_string(), "check its permissions"))?;
    let text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        wrong(format!("byte {at} is no UTF-8"), "save it as UTF-8")
    })?;
    Ok(Source::new(shown.to_string(), text))
}
