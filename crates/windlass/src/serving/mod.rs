//! Starts the services of the release system from their installations.

mod agent;
mod behaviours;
mod build;
mod install;
mod joblog;
mod manager;
mod orders;

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;
use tokio::task::JoinHandle;
use windlass_engine::events::{Events, Sink};
use windlass_engine::secrets::Secrets;
use windlass_model::diagnostic::{Diagnostics, Severity};
use windlass_model::installation::Logging;
use windlass_model::step::Level;
use windlass_model::tree::{Map, Node, Value};
use windlass_model::{SecretRef, Text};

use crate::cli::LogFormat;
use crate::ending::Ending;
use crate::installation::Place;
use crate::program::Program;
use crate::reporters::json::JsonLines;
use crate::reporters::log::{Log, Verbosity};
use crate::reporters::steady::{Regardless, Steady};
use crate::surroundings::variable;

pub(crate) use agent::{InstalledVersion, installed_versions, serve_builder, serve_installer};
pub(crate) use manager::serve_manager;
pub(crate) use orders::{Asked, Handle, Manner, Orders};

/// The log of a service: a file of the installation, and standard error.
pub(crate) struct Speech {
    pub(crate) events: Events,
    component: &'static str,
    dispatcher: JoinHandle<std::io::Result<()>>,
}

impl Speech {
    /// Begins to log; to standard error when it is `aloud`.
    fn start(
        program: &Program,
        place: &Place,
        logging: &Logging,
        (component, file): (&'static str, &str),
        aloud: bool,
    ) -> Result<Self, Ending> {
        let verbosity = match (program.common.quiet, program.common.verbose, logging.level) {
            (true, ..) | (_, false, Level::Warning | Level::Error) => Verbosity::Quiet,
            (_, true, _) | (.., Level::Debug) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        };
        let folder = place.path(&logging.path);
        let wrong = |e| {
            Ending::input(
                format!("the log cannot be written: {}: {e}", folder.display()),
                "`logging_path` names a directory that this user may write into",
            )
        };
        fs::create_dir_all(&folder).map_err(wrong)?;
        let mut options = fs::OpenOptions::new();
        let file = options.create(true).append(true).open(folder.join(file));
        // A service that cannot log serves on.
        let file = Steady::new(file.map_err(wrong)?);
        let kept = Log::new(file, verbosity, TimeZone::system());
        let mut sinks: Vec<Box<dyn Sink>> = vec![Box::new(kept)];
        if aloud {
            sinks.push(match program.common.log_format {
                LogFormat::Json => Box::new(Regardless(JsonLines(std::io::stderr()))),
                LogFormat::Text => Box::new(Log::new(
                    Steady::new(std::io::stderr()),
                    verbosity,
                    TimeZone::system(),
                )),
            });
        }
        let (events, dispatcher) = Events::start(sinks);
        Ok(Self {
            events,
            component,
            dispatcher,
        })
    }

    /// A line.
    pub(crate) fn say(&self, level: Level, message: &str) {
        self.events.log(level, self.component, None, None, message);
    }

    /// What was found out about the configuration and is no fault.
    fn warn(&self, told: &Diagnostics) {
        for warning in told.0.iter().filter(|w| w.severity == Severity::Warning) {
            self.say(Level::Warning, &warning.one_line());
        }
    }

    /// Writes what was said last.
    async fn end(self) {
        self.events.end().await;
        let _ = tokio::time::timeout(std::time::Duration::from_secs(10), self.dispatcher).await;
    }
}

/// Resolves the secrets of an installation; from here on no line of the log holds any of them.
async fn secrets(
    wanted: HashSet<SecretRef>,
    base: &Path,
    events: &Events,
) -> Result<Arc<Secrets>, Ending> {
    let resolved = windlass_builtins::secrets::resolve(&wanted, &variable, base).await?;
    let secrets = Arc::new(resolved);
    events.hide(secrets.clone()).await;
    Ok(secrets)
}

/// Every reference to a secret in a map.
fn references(map: &Map, found: &mut HashSet<SecretRef>) {
    for entry in map.iter() {
        references_in(&entry.value, found);
    }
}

fn references_in(node: &Node, found: &mut HashSet<SecretRef>) {
    match &node.value {
        Value::Secret(secret) => {
            found.insert((**secret).clone());
        }
        Value::List(items) => items.iter().for_each(|item| references_in(item, found)),
        Value::Map(map) => references(map, found),
        _ => {}
    }
}

/// The secrets in a text.
fn references_of(text: &Text, found: &mut HashSet<SecretRef>) {
    found.extend(text.secrets().cloned());
}
