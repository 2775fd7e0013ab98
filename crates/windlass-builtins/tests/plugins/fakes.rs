//! A folder with plugins, a generator's help, a task's hands.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use windlass_builtins::plugins::{Plugins, Settings};
use windlass_engine::command::{Command, Facts, Hands, InitContext, Seen, Turn};
use windlass_engine::generator::{Help, RemoteVersions};
use windlass_engine::host::Hosts;
use windlass_engine::registry::Registry;
use windlass_model::config::Config;
use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::ids::{HostName, RunId, TaskId};
use windlass_model::outcome::{Failure, FailureKind};
use windlass_model::package::Package;
use windlass_model::step::{As, Level, Reply, Step};
use windlass_model::tasklist::{Job, Stage, Task};
use windlass_model::tree::Node;
use windlass_plugin::{Limits, clean_environment};

pub(crate) type Lines = Arc<Mutex<Vec<String>>>;

/// A folder with plugins in it.
pub(crate) struct Rig {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) plugins: Arc<Plugins>,
    pub(crate) registry: Registry,
    pub(crate) lines: Lines,
}

pub(crate) fn repository() -> PathBuf {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_dir.ancestors().nth(2).unwrap().to_owned()
}

pub(crate) fn rig() -> Rig {
    rig_with(Limits {
        call_time: Duration::from_secs(20),
        ..Limits::default()
    })
}

pub(crate) fn rig_with(limits: Limits) -> Rig {
    let lines = Lines::default();
    let sink = lines.clone();
    let plugins = Plugins::new(Settings {
        python_path: repository().join("python"),
        env: clean_environment(std::env::vars()),
        limits,
        log: Arc::new(move |level, component, _, _, message| {
            let line = format!("{level:?} {component}: {message}");
            sink.lock().unwrap().push(line);
        }),
    });
    Rig {
        dir: tempfile::tempdir().unwrap(),
        plugins,
        registry: Registry::new(),
        lines,
    }
}

impl Rig {
    pub(crate) fn base(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// Writes an executable, or a `.py` file.
    pub(crate) fn put(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        if !name.ends_with(".py") {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    /// Initializes a command of the registry.
    pub(crate) async fn initialize(&self, task: &Task) -> Result<Box<dyn Command>, Diagnostics> {
        let kind = self.registry.find_command(&task.command).unwrap();
        let pinned = BTreeMap::new();
        let base = self.base();
        let cx = InitContext {
            task,
            id: TaskId::new(1, 1, 1),
            source: None,
            place: &"stage \"S\", task 1.1.1",
            path: &"stages[0].tasks[0]",
            base: &base,
            pinned: &pinned,
        };
        kind.initialize(&cx).await
    }
}

pub(crate) fn task(command: &str, args: serde_json::Value) -> Task {
    Task {
        command: command.into(),
        args: Node::from(args).as_map().unwrap().clone(),
        ..Task::default()
    }
}

/// Runs a plugin's command to its end.
pub(crate) async fn run(
    command: &dyn Command,
    hands: &mut FakeHands,
) -> Result<windlass_engine::command::Verdict, Failure> {
    let facts = Facts {
        run: RunId::new("r").unwrap(),
        task: TaskId::new(1, 1, 1),
        host: HostName::local(),
        now: 0,
        user: As::Login,
    };
    let Turn::Call(call) = command.turn(&facts, &[]) else {
        panic!("the first turn of a plugin's command is a call");
    };
    let reply = call.call(hands).await?;
    let seen = [Seen {
        reply,
        at: Duration::ZERO,
    }];
    match command.turn(&facts, &seen) {
        Turn::End(verdict) => Ok(verdict),
        other => panic!("{other:?}"),
    }
}

/// Answers steps from a list; notes steps and log lines.
#[derive(Default)]
pub(crate) struct FakeHands {
    pub(crate) replies: Vec<Result<Reply, Failure>>,
    pub(crate) steps: Vec<Step>,
    pub(crate) logged: Vec<String>,
}

impl FakeHands {
    pub(crate) fn answering(replies: Vec<Result<Reply, Failure>>) -> Self {
        Self {
            replies,
            ..Self::default()
        }
    }
}

#[async_trait]
impl Hands for FakeHands {
    async fn perform(&mut self, step: Step) -> Result<Reply, Failure> {
        self.steps.push(step);
        if self.replies.is_empty() {
            return Err(Failure::new(FailureKind::LinkLost, "no more replies"));
        }
        self.replies.remove(0)
    }

    fn log(&mut self, level: Level, component: &str, message: &str) {
        self.logged
            .push(format!("{level:?} {component}: {message}"));
    }
}

/// What a generator is given.
pub(crate) struct FakeHelp {
    pub(crate) config: Config,
    pub(crate) base: PathBuf,
    pub(crate) packages: Result<Vec<Package>, String>,
    pub(crate) logged: Lines,
}

impl FakeHelp {
    pub(crate) fn new(config: serde_json::Value) -> Self {
        Self {
            config: Config {
                source: None,
                tree: Node::from(config),
                platform: "test".into(),
            },
            base: "/".into(),
            packages: Ok(Vec::new()),
            logged: Lines::default(),
        }
    }
}

#[async_trait]
impl Help for FakeHelp {
    fn config(&self) -> &Config {
        &self.config
    }

    fn base(&self) -> &Path {
        &self.base
    }

    fn log(
        &self,
        level: Level,
        component: &str,
        host: Option<&HostName>,
        tag: Option<&str>,
        message: &str,
    ) {
        let line = format!("{level:?} {component} {host:?} {tag:?}: {message}");
        self.logged.lock().unwrap().push(line);
    }

    async fn packages(&self) -> Result<Vec<Package>, Diagnostics> {
        self.packages
            .clone()
            .map_err(|wrong| Diagnostic::error(wrong).hint("a hint").into())
    }

    async fn remote_versions(&self, packages: &[Package]) -> RemoteVersions {
        packages
            .iter()
            .map(|p| {
                let hosts = [
                    (HostName::new("a"), Some("1".to_owned())),
                    (HostName::new("b"), None),
                ];
                (p.service.clone(), hosts.into_iter().collect())
            })
            .collect()
    }

    fn graphite_stage(&self, suffix: &str) -> Option<Stage> {
        (suffix != "none").then(|| Stage {
            name: "Graphite".into(),
            concurrency: 1,
            jobs: vec![Job::Task(task(
                "send_graphite",
                serde_json::json!({"metric_name": suffix}),
            ))],
            ..Stage::default()
        })
    }

    fn hosts(&self) -> Arc<dyn Hosts> {
        panic!("plugins have no hosts")
    }
}
