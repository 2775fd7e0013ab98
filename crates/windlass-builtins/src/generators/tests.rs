//! What generators are given, with real files and hosts that are this machine's sh.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use insta::assert_snapshot;
use windlass_engine::events::{Events, Sink};
use windlass_engine::generator::{Generator, Help};
use windlass_engine::host::{Batch, Conversation, Heard, HostError, HostErrorKind, Hosts};
use windlass_engine::secrets::Secrets;
use windlass_model::config::read;
use windlass_model::diagnostic::Source;
use windlass_model::event::{Event, What};
use windlass_model::ids::HostName;
use windlass_model::package::Package;
use windlass_model::step::{Reply, Step};
use windlass_model::tree::Map;

use super::GeneratorHelp;
use super::test::TestGenerator;

const CONFIG: &str = r#"
platform: mine
environment: prod
hostgroup: {front: [fe001, fe002], back: [be001]}
ignore_packages: [docs]
graphite: {carbon_host: g, carbon_port: 2103, metric_prefix: deploys}
service:
  web1-frontend: {hosts: [front], port: 8080}
  worker1-backend: {hosts: [back, gone]}
"#;

/// Log lines without their times.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<String>>);

impl Sink for Lines {
    fn accept(&mut self, events: &[Event]) -> std::io::Result<()> {
        for event in events {
            if let What::Log {
                level,
                component,
                host,
                message,
                ..
            } = &event.what
            {
                let host = host.as_ref().map_or("*", HostName::as_str);
                let line = format!("{level:?} {component} [{host}] {message}\n");
                self.0.lock().unwrap().push_str(&line);
            }
        }
        Ok(())
    }
}

/// Hosts that are this machine; `gone` cannot be reached.
struct Here;

struct Sh(VecDeque<Heard>);

#[async_trait]
impl Hosts for Here {
    async fn converse(
        &self,
        host: &HostName,
        _: Option<&str>,
    ) -> Result<Box<dyn Conversation>, HostError> {
        if host.as_str() == "gone" {
            return Err(HostError::new(
                HostErrorKind::Unreachable,
                "no route to host",
            ));
        }
        Ok(Box::new(Sh(VecDeque::new())))
    }

    async fn check_keys(&self, _: &[HostName]) -> Vec<(HostName, HostError)> {
        Vec::new()
    }

    async fn close(&self) {}
}

#[async_trait]
impl Conversation for Sh {
    async fn send(&mut self, batch: Batch, _: &Arc<Secrets>) -> Result<(), HostError> {
        for step in batch.steps {
            let Step::Run(run) = step else { continue };
            let out = std::process::Command::new("sh")
                .arg("-c")
                .arg(&run.script)
                .output()
                .unwrap();
            let reply = Reply::Ran {
                status: out.status.code().unwrap(),
                stdout: String::from_utf8(out.stdout).unwrap(),
                stderr: String::from_utf8(out.stderr).unwrap(),
            };
            self.0.push_back(Heard::Begun(batch.task));
            self.0.push_back(Heard::Reply(batch.task, reply));
        }
        Ok(())
    }

    async fn hear(&mut self) -> Result<Heard, HostError> {
        let lost = HostError::new(HostErrorKind::Lost, "nothing was asked");
        self.0.pop_front().ok_or(lost)
    }

    async fn kill(&mut self) {}

    async fn close(self: Box<Self>) {}
}

struct Trial {
    help: GeneratorHelp,
    lines: Lines,
    done: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Trial {
    fn new(text: &str, base: &Path, options: &[(&str, &[&str])]) -> Self {
        let options: Map = options
            .iter()
            .map(|(key, values)| (key, values.to_vec()))
            .collect();
        let (config, _) = read(&Source::new("platform.yaml", text), &options).unwrap();
        let lines = Lines::default();
        let (events, done) = Events::start(vec![Box::new(lines.clone())]);
        let help = GeneratorHelp::new(Arc::new(config), base.to_owned(), events, Arc::new(Here));
        Self { help, lines, done }
    }

    /// Everything that was said.
    async fn said(self) -> String {
        drop(self.help);
        self.done.await.unwrap().unwrap();
        self.lines.0.lock().unwrap().clone()
    }
}

/// Error messages with the name of the temporary directory taken out.
async fn errors(base: &Path, options: &[(&str, &[&str])]) -> String {
    let trial = Trial::new(CONFIG, base, options);
    let errors = trial.help.packages().await.unwrap_err().to_string();
    errors.replace(base.to_str().unwrap(), "HERE")
}

fn release(files: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("release")).unwrap();
    for file in files {
        fs::write(root.path().join("release").join(file), "abc").unwrap();
    }
    root
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_directory_holds_packages_and_other_files() {
    let root = release(&[
        "worker1-backend-7.tar.zst",
        "web1-frontend_1.2.3.tar.gz",
        "web1-frontend_1.2.3.tar.gz.sha256",
        "worker1-backend_7.jar",
        "docs_1.zip",
        "README",
        ".hidden_1.zip",
    ]);
    fs::create_dir(root.path().join("release/web1-frontend_9.tar")).unwrap();
    let trial = Trial::new(CONFIG, root.path(), &[("directory", &["release"])]);
    let packages = trial.help.packages().await.unwrap();
    let shown: Vec<_> = packages
        .iter()
        .map(|p| (&*p.service, &*p.version, &*p.filename))
        .collect();
    assert_eq!(
        shown,
        [
            ("web1-frontend", "1.2.3", "web1-frontend_1.2.3.tar.gz"),
            ("worker1-backend", "7", "worker1-backend-7.tar.zst"),
        ]
    );
    assert!(
        packages
            .iter()
            .all(|p| p.path.is_absolute() && p.path.is_file())
    );
    let sha256_of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert!(packages.iter().all(|p| p.sha256 == sha256_of_abc));
    let said = trial
        .said()
        .await
        .replace(root.path().to_str().unwrap(), "HERE");
    assert_snapshot!(said, @r#"
Debug Generator [*] HERE/release/README is passed over: it is no archive, by its name
Info Generator [*] HERE/release/docs_1.zip is left out: `docs` stands in ignore_packages
Debug Generator [*] HERE/release/web1-frontend_1.2.3.tar.gz.sha256 is passed over: it is no archive, by its name
Warning Generator [*] HERE/release/worker1-backend_7.jar is passed over: it is no archive, by its name
"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_of_packages_is_said_at_once() {
    let root = release(&[]);
    let base = root.path();
    assert_snapshot!(errors(base, &[]).await, @r#"
error: no package is named
  = hint: name packages with `--component FILE` or a directory of them with `--directory DIR`
"#);
    assert_snapshot!(errors(base, &[("directory", &["release", "relase"])]).await, @r#"
error: the release directory HERE/release holds no package
  = hint: a package is a file SERVICE_VERSION with one of the endings .tar.gz, .tgz, .tar.bz2, .tbz2, .tar.xz, .txz, .tar.zst, .tar, .zip
error: cannot read the release directory HERE/relase: No such file or directory (os error 2)
  = hint: `--directory` takes a directory of packages
"#);
    for name in [
        "web1-frontent_1.tar.gz",
        "stranger_1.zip",
        "web1-frontend_1;2.zip",
    ] {
        fs::write(base.join("release").join(name), "").unwrap();
    }
    let two = [
        "release/web1-frontend_1.zip",
        "web1-frontend_2.zip",
        "release",
    ];
    for name in &two[..2] {
        fs::write(base.join(name), "").unwrap();
    }
    assert_snapshot!(errors(base, &[("directory", &["release"]), ("component", &two)]).await, @r#"
error: two packages of `web1-frontend`: HERE/release/web1-frontend_1.zip and HERE/web1-frontend_2.zip
  = hint: deploy one version at a time: leave one of them out
error: HERE/release is a directory, not a package
  = hint: name a directory of packages with `--directory`
error: HERE/release/stranger_1.zip belongs to no service of the config
  = hint: known: web1-frontend, worker1-backend; or name its service in `ignore_packages`
error: HERE/release/web1-frontend_1;2.zip: `1;2` cannot be a version
  = hint: a version holds letters, digits and `.`, `_`, `-`, `+`, `~` only
error: HERE/release/web1-frontent_1.tar.gz belongs to no service of the config
  = hint: did you mean the service `web1-frontend`, as in web1-frontend_VERSION?
"#);
    fs::write(base.join("docs_1.zip"), "").unwrap();
    assert_snapshot!(errors(base, &[("component", &["docs_1.zip"])]).await, @r#"
error: nothing is left to deploy: every package stands in ignore_packages
  = hint: name other packages, or take their services out of ignore_packages
"#);
    // The same file twice is one package.
    let twice = ["web1-frontend_2.zip", "web1-frontend_2.zip"];
    let trial = Trial::new(CONFIG, base, &[("component", &twice)]);
    assert_eq!(trial.help.packages().await.unwrap().len(), 1);
}

fn package(service: &str) -> Package {
    Package {
        service: service.into(),
        version: "2".into(),
        filename: format!("{service}_2.zip"),
        path: format!("/{service}_2.zip").into(),
        sha256: String::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_hosts_are_asked_and_those_away_are_none() {
    let root = tempfile::tempdir().unwrap();
    let location = format!(
        "service_defaults: {{install_location: '{}/{{host}}'}}\n",
        root.path().display()
    );
    for (host, link) in [("fe001", "web1-frontend_1.9"), ("be001", "something-else")] {
        fs::create_dir(root.path().join(host)).unwrap();
        for service in ["web1-frontend", "worker1-backend"] {
            std::os::unix::fs::symlink(link, root.path().join(host).join(service)).unwrap();
        }
    }
    let packages = [package("web1-frontend"), package("worker1-backend")];
    let trial = Trial::new(&format!("{CONFIG}{location}"), root.path(), &[]);
    let versions = trial.help.remote_versions(&packages).await;
    assert_snapshot!(format!("{versions:#?}"), @r#"
{
    "web1-frontend": {
        HostName(
            "fe001",
        ): Some(
            "1.9",
        ),
        HostName(
            "fe002",
        ): None,
    },
    "worker1-backend": {
        HostName(
            "be001",
        ): None,
        HostName(
            "gone",
        ): None,
    },
}
"#);
    assert_eq!(
        trial.said().await,
        "Warning Generator [gone] what runs there is not known: no route to host\n"
    );
    // Only those that were chosen are asked.
    let trial = Trial::new(
        &format!("{CONFIG}{location}"),
        root.path(),
        &[("hostgroups", &["front"])],
    );
    let versions = trial.help.remote_versions(&packages).await;
    assert_eq!(versions.keys().collect::<Vec<_>>(), ["web1-frontend"]);
    assert_eq!(trial.said().await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_go_where_the_config_says() {
    let trial = Trial::new(CONFIG, Path::new("/"), &[]);
    let stage = trial.help.graphite_stage("start").unwrap();
    assert_eq!(stage.name, "Send graphite start");
    let args = &stage.jobs[0].tasks()[0].args;
    let shown: Vec<String> = args
        .iter()
        .map(|e| format!("{}={:?}", e.key, e.value.value))
        .collect();
    assert_snapshot!(shown.join("\n"), @r#"
carbon_host=String("g")
carbon_port=Int(2103)
metric_name=String("deploys.start")
"#);
    let trial = Trial::new("platform: mine\n", Path::new("/"), &[]);
    assert!(trial.help.graphite_stage("start").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_test_generator_is_that_of_the_seed() {
    let trial = Trial::new("platform: test\n", Path::new("/"), &[]);
    let tasklist = TestGenerator.generate(&trial.help).await.unwrap();
    let mut json = Vec::new();
    windlass_model::tasklist::write(&tasklist, &mut json).unwrap();
    assert_snapshot!(String::from_utf8(json).unwrap(), @r#"
{
  "name": "Test Generator",
  "stages": [
    {
      "name": "Test stage",
      "concurrency": 1,
      "tasks": [
        {
          "command": "test_command",
          "message": "Hello World"
        }
      ]
    }
  ]
}
"#);
    assert_eq!(
        trial.said().await,
        "Info TestGenerator [*] Generating test task list\n"
    );
}
