//! A directory with an agent's tools.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};
use windlass_agent::work::{
    BehaviourConfig, BuildWork, Built, Failure, InstallFailed, InstallWork, Installed, Job, Limits,
    SourceConfig, TargetConfig, Tools, VcsKind, build, install, run_id,
};
use windlass_builtins::generators::GeneratorHelp;
use windlass_builtins::hosts::{HostsOptions, hosts};
use windlass_engine::events::Sink;
use windlass_engine::interrupt::{Interrupter, interrupt};
use windlass_engine::registry::Registry;
use windlass_engine::secrets::Secrets;
use windlass_model::event::Event;
use windlass_model::ids::HostName;
use windlass_model::release::{BuildSpec, Digest, InstallSpec, Item, ReleaseId};
use windlass_model::{SecretRef, SecretValue};

/// Everything that was told, as text.
#[derive(Clone, Default)]
pub struct Told(pub Arc<Mutex<String>>);

impl Sink for Told {
    fn accept(&mut self, events: &[Event]) -> std::io::Result<()> {
        let mut all = self.0.lock().unwrap();
        for event in events {
            all.push_str(&format!("{:?}\n", event.what));
        }
        Ok(())
    }
}

pub struct Place {
    pub root: tempfile::TempDir,
    pub tools: Tools,
    pub told: Told,
    pub limits: Limits,
    pub asks: Mutex<Option<Interrupter>>,
    jobs: AtomicU64,
}

impl Place {
    pub fn new() -> Self {
        let mut registry = Registry::new();
        windlass_builtins::commands::register(&mut registry);
        windlass_builtins::generators::register(&mut registry);
        windlass_builtins::behaviours::register(&mut registry);
        Self::with(registry)
    }

    pub fn with(registry: Registry) -> Self {
        let root = tempfile::tempdir().unwrap();
        let home = root.path().join("home");
        fs::create_dir(&home).unwrap();
        let secret = (
            SecretRef::Env("TOKEN".into()),
            SecretValue::new("s3cr3t-t0ken".into()),
        );
        let all = hosts(HostsOptions {
            home: Some(home),
            local_user: "me".into(),
            ..HostsOptions::default()
        })
        .unwrap();
        let tools = Tools {
            registry: Arc::new(registry),
            hosts: all,
            secrets: Arc::new(Secrets::new([secret].into())),
            help: Arc::new(|config, base, events, hosts| {
                Box::new(GeneratorHelp::new(Arc::new(config), base, events, hosts))
            }),
            base: root.path().to_owned(),
            work: root.path().join("work"),
            by: "me@here".into(),
        };
        Self {
            root,
            tools,
            told: Told::default(),
            limits: Limits::default(),
            asks: Mutex::new(None),
            jobs: AtomicU64::new(0),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub fn put(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        if text.starts_with("#!") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    pub fn read(&self, name: &str) -> String {
        let text = fs::read_to_string(self.path(name));
        text.unwrap_or_else(|e| panic!("{name}: {e}: {}", self.told.0.lock().unwrap()))
    }

    /// Runs a shell line here, and gives what it prints.
    pub fn sh(&self, line: &str) -> String {
        let out = Command::new("sh")
            .args(["-ec", line])
            .current_dir(self.root.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_AUTHOR_NAME", "a")
            .env("GIT_AUTHOR_EMAIL", "a@b")
            .env("GIT_COMMITTER_NAME", "a")
            .env("GIT_COMMITTER_EMAIL", "a@b")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&out.stdout).trim().to_owned();
        assert!(
            out.status.success(),
            "{line}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        text
    }

    pub fn job(&self) -> Job {
        let (asks, interrupt) = interrupt();
        *self.asks.lock().unwrap() = Some(asks);
        let number = self.jobs.fetch_add(1, Ordering::Relaxed) + 1;
        let id = format!("j{number}").parse().unwrap();
        Job {
            run: run_id(&id, 1).unwrap(),
            id,
            epoch: 1,
            sinks: vec![Box::new(self.told.clone())],
            interrupt,
            limits: self.limits,
        }
    }

    pub async fn build(
        &self,
        source: &SourceConfig,
        behaviour: &BehaviourConfig,
        targets: &[&str],
        request: Value,
    ) -> Result<Built, Failure> {
        let mut data = map(request);
        data.insert("project".into(), "shop".into());
        let work = BuildWork {
            spec: BuildSpec {
                transaction: "t1".parse().unwrap(),
                project: "shop".parse().unwrap(),
                targets: targets.iter().map(|t| t.parse().unwrap()).collect(),
                request: data,
                generator: None,
            },
            source: source.clone(),
            behaviour: behaviour.clone(),
        };
        let before = self.left();
        let built = build(&work, &self.tools, self.job()).await;
        if built.is_err() {
            assert_eq!(self.left(), before, "a failed build leaves nothing");
        }
        built
    }

    pub async fn install(
        &self,
        target: &TargetConfig,
        resource: &Path,
        version: &str,
    ) -> Result<Installed, InstallFailed> {
        let name = resource.file_name().unwrap().to_str().unwrap().to_owned();
        let work = InstallWork {
            spec: InstallSpec {
                transaction: "t1".parse().unwrap(),
                sequence: 1,
                environment: "test".parse().unwrap(),
                target: "web".parse().unwrap(),
                release: ReleaseId::new("shop".parse().unwrap(), version.parse().unwrap()),
                resource: Item {
                    name,
                    digest: digest(),
                    size: 0,
                },
                previous: None,
                request: Map::new(),
            },
            resource: resource.to_owned(),
            target: target.clone(),
            machine: HostName::new("box"),
        };
        install(&work, &self.tools, self.job()).await
    }

    /// What lies in the directories of jobs.
    pub fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("work/jobs"));
        let entries = entries.into_iter().flatten().flatten();
        entries
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect()
    }
}

pub fn digest() -> Digest {
    "a".repeat(64).parse().unwrap()
}

pub fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other}"),
    }
}

pub fn built_in(work: &str, klass: &str, config: Value) -> BehaviourConfig {
    BehaviourConfig {
        klass: klass.into(),
        package: format!("windlass.{work}"),
        config: map(config),
    }
}

pub fn target(path: String, klass: &str, config: Value) -> TargetConfig {
    TargetConfig {
        install_path: Some(path),
        behaviour: built_in("install", klass, config),
    }
}

pub fn directory(place: &Place, name: &str) -> SourceConfig {
    SourceConfig::new(VcsKind::Directory, place.text(name))
}

pub fn trunk() -> Value {
    json!({"trunk": true})
}
