//! Finds the plugins that a run needs, and registers what they offer.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt;
use windlass_engine::registry::Registry;
use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_plugin::{CallError, Description, Worker};

use super::command::PluginCommandKind;
use super::find::{find, list, plugin_name};
use super::generator::PluginGenerator;
use super::owner::{Plugins, shown_path};

/// How many plugins are started at once.
const AT_ONCE: usize = 8;

/// What a run needs.
#[derive(Clone, Debug, Default)]
pub struct Wanted<'a> {
    /// The `platform` of the config.
    pub platform: Option<&'a str>,
    /// The commands of the tasklist.
    pub commands: BTreeSet<String>,
}

/// Registers the plugins that are wanted, in place of what `registry` has by their names. `bases` are the folders that
/// hold `generators/` and `commands/`: the config's, the tasklist's; the first that has a file is taken.
///
/// A command is looked for by the name of a file. When one is neither found so nor registered, all files of `commands/` are asked
/// what they offer, and what they offer is registered where nothing else has the name. Gives lines for the log: what is used. All
/// errors at once.
pub async fn load(
    registry: &mut Registry,
    plugins: &Arc<Plugins>,
    bases: &[PathBuf],
    wanted: &Wanted<'_>,
) -> Result<Vec<String>, Diagnostics> {
    let mut loading = Loading::new(registry, plugins);
    if let Some(platform) = wanted.platform
        && let Some(file) = loading.find(bases, "generators", platform)
    {
        loading.generators(vec![file], true).await;
    }
    let mut files = Vec::new();
    let mut missing = false;
    for name in &wanted.commands {
        match loading.find(bases, "commands", name) {
            Some(file) => files.push(file),
            None => missing |= loading.registry.find_command(name).is_none(),
        }
    }
    loading.commands(files).await;
    if missing {
        let others = loading.list(bases, "commands");
        loading.more_commands(others).await;
    }
    loading.faults.or(loading.lines)
}

/// Registers every plugin, to list what there is.
pub async fn load_all(
    registry: &mut Registry,
    plugins: &Arc<Plugins>,
    bases: &[PathBuf],
) -> Result<Vec<String>, Diagnostics> {
    let mut loading = Loading::new(registry, plugins);
    let generators = loading.list(bases, "generators");
    loading.generators(generators, false).await;
    let commands = loading.list(bases, "commands");
    loading.more_commands(commands).await;
    loading.faults.or(loading.lines)
}

struct Loading<'a> {
    registry: &'a mut Registry,
    plugins: &'a Arc<Plugins>,
    /// Names of commands that come from files of their names.
    own: BTreeSet<String>,
    lines: Vec<String>,
    faults: Diagnostics,
}

/// A file that has said what it offers.
struct Described {
    file: PathBuf,
    worker: Arc<Worker>,
    description: Arc<Description>,
}

impl<'a> Loading<'a> {
    fn new(registry: &'a mut Registry, plugins: &'a Arc<Plugins>) -> Self {
        Self {
            registry,
            plugins,
            own: BTreeSet::new(),
            lines: Vec::new(),
            faults: Diagnostics::new(),
        }
    }

    fn find(&mut self, bases: &[PathBuf], folder: &str, name: &str) -> Option<PathBuf> {
        for base in bases {
            match find(&base.join(folder), name) {
                Ok(Some(file)) => return Some(file),
                Ok(None) => {}
                Err(wrong) => {
                    self.faults.extend(wrong);
                    return None;
                }
            }
        }
        None
    }

    /// The files of all bases; of those of one name the first.
    fn list(&mut self, bases: &[PathBuf], folder: &str) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = Vec::new();
        for base in bases {
            match list(&base.join(folder)) {
                Ok(found) => {
                    for file in found {
                        let name = plugin_name(&file);
                        if !files.iter().any(|f| plugin_name(f) == name) {
                            files.push(file);
                        }
                    }
                }
                Err(wrong) => self.faults.extend(wrong),
            }
        }
        files
    }

    /// Starts these files and asks what they offer. One that cannot say is a fault if it is `needed`, else a line for the
    /// log: it may be no plugin at all.
    async fn describe(&mut self, files: Vec<PathBuf>, needed: bool) -> Vec<Described> {
        let workers = files.into_iter().map(|file| {
            let worker = self.plugins.worker(&file);
            (file, worker)
        });
        let asked: Vec<_> = futures_util::stream::iter(workers)
            .map(|(file, worker)| async move {
                let description = worker.describe().await;
                (file, worker, description)
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        let mut described = Vec::new();
        for (file, worker, description) in asked {
            match description {
                Ok(description) => described.push(Described {
                    file,
                    worker,
                    description,
                }),
                Err(error) if needed => {
                    let message = format!("{}: {error}", file.display());
                    let mut fault = Diagnostic::error(message);
                    if let CallError::Refused(refused) = &error
                        && let Some(trace) = refused.traceback()
                    {
                        fault = fault.hint(trace.trim_end());
                    }
                    self.faults.push(fault);
                }
                Err(error) => {
                    let file = shown_path(&file);
                    self.lines.push(format!("Ignoring {file}: {error}"));
                }
            }
        }
        described
    }

    /// A file in `generators/` is the generator of its name; the one that it offers goes by any.
    async fn generators(&mut self, files: Vec<PathBuf>, needed: bool) {
        for plugin in self.describe(files, needed).await {
            let Some(name) = plugin_name(&plugin.file) else {
                continue;
            };
            let offers = &plugin.description.generators;
            let named = offers.iter().find(|o| o.name == name);
            let offer = match (named, offers.as_slice()) {
                (Some(offer), _) | (None, [offer]) => offer.clone(),
                _ => {
                    let names = offers.iter().map(|o| o.name.as_str());
                    let wrong = not_offered(&plugin.file, "generator", name, names);
                    self.faults.push(wrong);
                    continue;
                }
            };
            let built_in = self.registry.find_generator(name).is_some();
            self.used("generator", name, &plugin.file, built_in);
            let generator = PluginGenerator::new(plugin.worker, name, offer);
            self.registry.generator(Arc::new(generator));
        }
    }

    /// Files that must offer the commands of their names.
    async fn commands(&mut self, files: Vec<PathBuf>) {
        for plugin in self.describe(files, true).await {
            let Some(name) = plugin_name(&plugin.file).map(str::to_owned) else {
                continue;
            };
            if !self.own_command(&plugin, &name) {
                let offers = plugin.description.commands.iter();
                let names = offers.map(|o| o.offer.name.as_str());
                let wrong = not_offered(&plugin.file, "command", &name, names);
                self.faults.push(wrong);
            }
        }
    }

    /// Files that may offer any commands: those of the files' names first.
    async fn more_commands(&mut self, files: Vec<PathBuf>) {
        let described = self.describe(files, false).await;
        for plugin in &described {
            if let Some(name) = plugin_name(&plugin.file)
                && !self.own.contains(name)
            {
                self.own_command(plugin, name);
            }
        }
        for plugin in &described {
            for offer in &plugin.description.commands {
                let name = &offer.offer.name;
                if self.registry.find_command(name).is_none() {
                    self.used("command", name, &plugin.file, false);
                    let kind = PluginCommandKind::new(plugin.worker.clone(), offer.clone());
                    self.registry.any_command(Arc::new(kind));
                }
            }
        }
    }

    fn own_command(&mut self, plugin: &Described, name: &str) -> bool {
        let mut offers = plugin.description.commands.iter();
        let Some(offer) = offers.find(|o| o.offer.name == name) else {
            return false;
        };
        let built_in = self.registry.find_command(name).is_some();
        self.used("command", name, &plugin.file, built_in);
        let kind = PluginCommandKind::new(plugin.worker.clone(), offer.clone());
        self.registry.any_command(Arc::new(kind));
        self.own.insert(name.to_owned());
        true
    }

    fn used(&mut self, what: &str, name: &str, file: &Path, built_in: bool) {
        let instead = if built_in {
            ", not the built-in one"
        } else {
            ""
        };
        let line = format!("Using {what} {name} of {}{instead}", shown_path(file));
        self.lines.push(line);
    }
}

fn not_offered<'a>(
    file: &Path,
    what: &str,
    name: &str,
    offers: impl Iterator<Item = &'a str>,
) -> Diagnostic {
    let offers: Vec<&str> = offers.collect();
    let hint = if offers.is_empty() {
        format!("it offers no {what} at all: see what it answers to `describe`")
    } else {
        format!("it offers: {}", offers.join(", "))
    };
    let file = file.display();
    Diagnostic::error(format!("{file} does not offer the {what} `{name}`")).hint(hint)
}
