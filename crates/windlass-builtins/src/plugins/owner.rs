//! The processes of a run's plugins: one a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use windlass_engine::command::camel_case;
use windlass_model::ids::HostName;
use windlass_model::step::Level;
use windlass_plugin::{Limits, Log, LogLine, PluginSpec, Worker};

use super::find::{is_python, plugin_name};

/// Takes log lines that belong to no task: level, component, host, tag, message.
pub type LogSink = Arc<dyn Fn(Level, &str, Option<&HostName>, Option<&str>, &str) + Send + Sync>;

/// What plugins are run with.
#[derive(Clone)]
pub struct Settings {
    /// The folder with the Python packages, for plugins in Python.
    pub python_path: PathBuf,
    /// The environment that plugins get; see [`windlass_plugin::clean_environment`].
    pub env: Vec<(String, String)>,
    /// What each may use.
    pub limits: Limits,
    /// Takes what they write to stderr.
    pub log: LogSink,
}

/// Owns the processes of a run's plugins. A file's process is started when it is first needed.
pub struct Plugins {
    settings: Settings,
    /// Instead of that of the settings.
    call_time: OnceLock<Duration>,
    workers: Mutex<BTreeMap<PathBuf, Arc<Worker>>>,
}

impl Plugins {
    /// Starts nothing.
    pub fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            settings,
            call_time: OnceLock::new(),
            workers: Mutex::default(),
        })
    }

    /// How long plugins that are first needed after this may take to answer a call. Only the first value counts.
    pub fn limit_calls(&self, time: Duration) {
        let _ = self.call_time.set(time);
    }

    /// The worker of a file; the same for the same path.
    pub fn worker(&self, file: &Path) -> Arc<Worker> {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers
            .entry(file)
            .or_insert_with_key(|file| Arc::new(Worker::new(self.spec(file), self.log(file))))
            .clone()
    }

    /// Ends every process, all at once; takes at most a few seconds. No plugin can be called after this.
    pub async fn close(&self) {
        let workers: Vec<Arc<Worker>> = {
            let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
            workers.values().cloned().collect()
        };
        futures_util::future::join_all(workers.iter().map(|w| w.close())).await;
    }

    fn spec(&self, file: &Path) -> PluginSpec {
        let text = file.to_string_lossy().into_owned();
        let mut env = self.settings.env.clone();
        let program = if is_python(file) {
            let mut set = |name: &str, value: &str| {
                env.retain(|(n, _)| n != name);
                env.push((name.to_owned(), value.to_owned()));
            };
            set("PYTHONPATH", &self.settings.python_path.to_string_lossy());
            set("PYTHONUTF8", "1");
            set("PYTHONDONTWRITEBYTECODE", "1");
            // Else glibc reserves 64 MiB of address space for each thread, and address space is what is limited.
            set("MALLOC_ARENA_MAX", "2");
            let words = ["python3", "-u", "-m", "windlass_worker"];
            words.map(str::to_owned).into_iter().chain([text]).collect()
        } else {
            vec![text]
        };
        PluginSpec {
            name: shown_path(file),
            program,
            directory: directory_of(file),
            env,
            limits: Limits {
                call_time: *self
                    .call_time
                    .get()
                    .unwrap_or(&self.settings.limits.call_time),
                ..self.settings.limits
            },
        }
    }

    /// Lines of the process itself: said in the name of the file.
    fn log(&self, file: &Path) -> Log {
        let component = camel_case(plugin_name(file).unwrap_or("plugin"));
        let sink = self.settings.log.clone();
        Arc::new(move |line: LogLine| {
            let host = line.host.as_deref().map(HostName::new);
            let component = line.component.as_deref().unwrap_or(&component);
            sink(
                line.level,
                component,
                host.as_ref(),
                line.tag.as_deref(),
                &line.message,
            );
        })
    }
}

/// `commands/test_command.py`: the file with its folder.
pub(super) fn shown_path(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    match file.parent().and_then(Path::file_name) {
        Some(folder) => format!("{}/{name}", folder.to_string_lossy()),
        None => name.into_owned(),
    }
}

/// The folder that holds `commands/` or `generators/`: that of the config.
fn directory_of(file: &Path) -> PathBuf {
    let directory = file.parent().and_then(Path::parent);
    directory.unwrap_or(Path::new("/")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugins() -> Arc<Plugins> {
        Plugins::new(Settings {
            python_path: "/lib/python".into(),
            env: vec![("PATH".into(), "/bin".into())],
            limits: Limits::default(),
            log: Arc::new(|_, _, _, _, _| {}),
        })
    }

    #[test]
    fn python_files_are_run_by_python_with_the_package_on_their_path() {
        let spec = plugins().spec(Path::new("/x/commands/a.py"));
        assert_eq!(
            spec.program,
            ["python3", "-u", "-m", "windlass_worker", "/x/commands/a.py"]
        );
        assert!(
            spec.env
                .contains(&("PYTHONPATH".into(), "/lib/python".into()))
        );
        assert_eq!(spec.directory, Path::new("/x"));
        assert_eq!(spec.name, "commands/a.py");
    }

    #[test]
    fn one_file_has_one_worker() {
        let plugins = plugins();
        let (a, b) = (Path::new("/x/commands/a"), Path::new("/x/commands/b"));
        assert!(Arc::ptr_eq(&plugins.worker(a), &plugins.worker(a)));
        assert!(!Arc::ptr_eq(&plugins.worker(a), &plugins.worker(b)));
    }
}
