//! The rolling generator's tasklists, run to their end: two hosts that are directories of this machine, real packages.
#![expect(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use windlass_builtins::generators::GeneratorHelp;
use windlass_builtins::generators::rolling::{Rolling, service_tasklist};
use windlass_builtins::hosts::{HostsOptions, hosts};
use windlass_engine::events::{Events, Sink};
use windlass_engine::executor::{Options, prepare, run};
use windlass_engine::generator::Generator;
use windlass_engine::host::{Conversation, HostError, Hosts};
use windlass_engine::interrupt::interrupt;
use windlass_engine::registry::Registry;
use windlass_model::config::{Config, read};
use windlass_model::diagnostic::Source;
use windlass_model::event::{Event, RunEnd, What};
use windlass_model::ids::{HostName, RunId};
use windlass_model::outcome::Outcome;
use windlass_model::tasklist::Tasklist;
use windlass_model::tree::Map;

/// Every host is this machine.
struct Here(Arc<dyn Hosts>);

#[async_trait]
impl Hosts for Here {
    async fn converse(
        &self,
        _: &HostName,
        user: Option<&str>,
    ) -> Result<Box<dyn Conversation>, HostError> {
        self.0.converse(&HostName::local(), user).await
    }

    async fn check_keys(&self, _: &[HostName]) -> Vec<(HostName, HostError)> {
        Vec::new()
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

/// What was logged, and tasks that failed.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Sink for Lines {
    fn accept(&mut self, events: &[Event]) -> std::io::Result<()> {
        let line = |event: &Event| match &event.what {
            What::Log { message, .. } => Some(message.clone()),
            What::TaskFinished {
                task,
                outcome: Outcome::Failed(failure),
                ..
            } => Some(format!("{} {} failed: {failure}", task.host, task.command)),
            _ => None,
        };
        self.0
            .lock()
            .unwrap()
            .extend(events.iter().filter_map(line));
        Ok(())
    }
}

struct Site {
    root: tempfile::TempDir,
    runs: u32,
}

impl Site {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        Self { root, runs: 0 }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_default()
    }

    /// The names in a directory, hidden ones left out.
    fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.at(path)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }

    /// A tarball of these files, below one top directory.
    fn package(&self, service: &str, version: &str, files: &[(&str, &str)]) -> String {
        let dir = self.at("release");
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join(format!("{service}_{version}.tar.gz"));
        let gzip =
            flate2::write::GzEncoder::new(fs::File::create(&path).unwrap(), Default::default());
        let mut tar = tar::Builder::new(gzip);
        for (name, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o755);
            let name = format!("{service}-{version}/{name}");
            tar.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn shop(&self, version: &str, state: &str) -> String {
        let files = [
            ("state", state),
            ("migrations/1.sql", ""),
            ("log/placeholder", ""),
        ];
        self.package("shop", version, &files)
    }

    fn config(&self, components: &[String]) -> Config {
        let text = r#"
platform: rolling
environment: prod
keep_versions: 2
service_defaults:
  hosts: [a.example, b.example]
  destination: ROOT/{host}/tarballs
  install_location: ROOT/{host}/webapps
service:
  shop:
    control: {start: "touch ROOT/{host}/running", stop: "rm ROOT/{host}/running"}
    check_command: "test -e ROOT/{host}/running && grep -q good ROOT/{host}/webapps/shop/state"
    control_timeout: 1
    shared: [log]
    migration_command: "pwd >> ROOT/migrated; echo {version} >> ROOT/migrated"
    migration_path: migrations
  shop_admin: {}
  settings: {properties: true, properties_path: "ROOT/{host}/etc"}
"#;
        let text = text.replace("ROOT", self.root.path().to_str().unwrap());
        let components: Vec<&str> = components.iter().map(String::as_str).collect();
        let options = Map::from_iter([("component", components)]);
        read(&Source::new("windlass.yaml", text), &options)
            .unwrap_or_else(|e| panic!("{e}"))
            .0
    }

    async fn deploy(&mut self, components: &[String]) -> (RunEnd, Vec<String>) {
        let config = self.config(components);
        self.play(config, None).await
    }

    /// Generates, unless the tasklist is there, and runs.
    async fn play(&mut self, config: Config, tasklist: Option<Tasklist>) -> (RunEnd, Vec<String>) {
        self.runs += 1;
        let lines = Lines::default();
        let (events, done) = Events::start(vec![Box::new(lines.clone())]);
        let local = hosts(HostsOptions::default()).unwrap();
        let hosts: Arc<dyn Hosts> = Arc::new(Here(local));
        let base = Path::new("/");
        let help = GeneratorHelp::new(Arc::new(config), base.into(), events.clone(), hosts.clone());
        let tasklist = match tasklist {
            Some(tasklist) => tasklist,
            None => Rolling
                .generate(&help)
                .await
                .unwrap_or_else(|e| panic!("{e}")),
        };
        drop(help);
        let mut registry = Registry::new();
        windlass_builtins::commands::register(&mut registry);
        let prepared = prepare(&tasklist, &registry, base, &events)
            .await
            .unwrap_or_else(|e| panic!("{e}"));
        let options = Options {
            // What hosts keep is told apart by the run's id, and this machine is the host of other tests too.
            run: RunId::new(&format!("run-{}-{}", std::process::id(), self.runs)).unwrap(),
            by: "me@here".into(),
            hosts,
            secrets: Arc::default(),
            events,
            interrupt: interrupt().1,
            user: None,
            without: Vec::new(),
            resume: None,
            locks: None,
        };
        let report = run(&prepared, options).await;
        done.await.unwrap().unwrap();
        let lines = lines.0.lock().unwrap().clone();
        (report.end, lines)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn releases_follow_each_other() {
    let mut site = Site::new();
    for version in ["1", "2", "3"] {
        let packages = [
            site.shop(version, "good"),
            site.package("shop_admin", version, &[("x", "")]),
            site.package(
                "settings",
                version,
                &[("prod/level", version), ("test/level", "no")],
            ),
        ];
        let (end, lines) = site.deploy(&packages).await;
        assert_eq!(end, RunEnd::Succeeded, "{lines:#?}");
    }
    for host in ["a", "b"] {
        let link = fs::read_link(site.at(&format!("{host}/webapps/shop"))).unwrap();
        assert_eq!(link, Path::new("shop_3"));
        assert_eq!(
            site.names(&format!("{host}/webapps")),
            [
                "shared",
                "shop",
                "shop_2",
                "shop_3",
                "shop_admin",
                "shop_admin_2",
                "shop_admin_3"
            ]
        );
        assert_eq!(site.names(&format!("{host}/tarballs")).len(), 6);
        assert!(!site.at(&format!("{host}/webapps/.unpack")).exists());
        let log = fs::canonicalize(site.at(&format!("{host}/webapps/shop/log"))).unwrap();
        assert_eq!(
            log,
            fs::canonicalize(site.at(&format!("{host}/webapps/shared/log"))).unwrap()
        );
        assert_eq!(site.read(&format!("{host}/etc/level")), "3");
        assert_eq!(
            site.names(&format!("{host}/webapps/.windlass/receipts/shop"))
                .len(),
            3
        );
    }
    let migrated = site.read("migrated");
    let versions: Vec<&str> = migrated.lines().skip(1).step_by(2).collect();
    assert_eq!(versions, ["1", "2", "3"], "once for a version: {migrated}");
    assert!(
        migrated
            .lines()
            .next()
            .unwrap()
            .ends_with("a/webapps/.unpack/shop_1")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_release_stops_at_the_first_host_and_the_next_one_mends_it() {
    let mut site = Site::new();
    let (end, lines) = site.deploy(&[site.shop("1", "good")]).await;
    assert_eq!(end, RunEnd::Succeeded, "{lines:#?}");
    let (end, lines) = site.deploy(&[site.shop("2", "bad")]).await;
    assert_eq!(end, RunEnd::Failed);
    let failed: Vec<&String> = lines
        .iter()
        .filter(|line| line.contains("failed:"))
        .collect();
    assert!(
        matches!(failed.as_slice(), [one] if one.starts_with("a.example check_service failed")),
        "{lines:#?}"
    );
    let link = |host: &str| fs::read_link(site.at(&format!("{host}/webapps/shop"))).unwrap();
    assert_eq!((link("a"), link("b")), ("shop_2".into(), "shop_1".into()));
    assert!(
        site.at("b/webapps/.unpack/shop_2").exists(),
        "a resume needs it"
    );

    // The old release again: the host that runs it is passed over.
    let (end, lines) = site.deploy(&[site.shop("1", "good")]).await;
    assert_eq!(end, RunEnd::Succeeded, "{lines:#?}");
    assert!(
        lines.contains(&"shop 1 already runs here".to_owned()),
        "{lines:#?}"
    );
    assert_eq!(
        fs::read_link(site.at("a/webapps/shop")).unwrap(),
        Path::new("shop_1")
    );
    assert!(
        !site.at("b/webapps/.unpack").exists(),
        "what the failed deploy left on a host that is passed over is gone: {lines:#?}"
    );

    let (end, lines) = site.deploy(&[site.shop("3", "good")]).await;
    assert_eq!(end, RunEnd::Succeeded, "{lines:#?}");
    for host in ["a", "b"] {
        assert_eq!(
            site.names(&format!("{host}/webapps")),
            ["shared", "shop", "shop_1", "shop_3"]
        );
        assert_eq!(
            site.names(&format!("{host}/tarballs")),
            ["shop_1.tar.gz", "shop_3.tar.gz"],
            "only releases that succeeded count"
        );
        assert!(
            !site.at(&format!("{host}/webapps/.unpack")).exists(),
            "what was left is gone"
        );
    }
    let (end, lines) = site.deploy(&[site.shop("3", "good")]).await;
    assert_eq!(end, RunEnd::Succeeded);
    assert_eq!(lines.last().unwrap(), "nothing to do");

    // Nothing to do but to remove what was left.
    fs::create_dir_all(site.at("b/webapps/.unpack/shop_4")).unwrap();
    let (end, lines) = site.deploy(&[site.shop("3", "good")]).await;
    assert_eq!(end, RunEnd::Succeeded);
    assert!(!site.at("b/webapps/.unpack").exists(), "{lines:#?}");
    let said = format!(
        "an earlier deploy left {}: it is removed",
        site.at("b/webapps/.unpack").display()
    );
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.contains("earlier deploy"))
            .collect::<Vec<_>>(),
        [&said]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_restarted_and_asked() {
    let mut site = Site::new();
    let (end, _) = site.deploy(&[site.shop("1", "good")]).await;
    assert_eq!(end, RunEnd::Succeeded);
    let config = site.config(&[]);
    let tasklist = |action: &str, hosts: &[&str]| {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        service_tasklist(&config, "shop", action, &hosts, 1)
    };
    let shown = |tasklist: &Tasklist| {
        let tasks = tasklist
            .tasks()
            .map(|(id, task)| format!("{id} {} {}", task.host(), task.command));
        tasks.collect::<Vec<_>>()
    };
    let restart = tasklist("restart", &["b.example"]).unwrap();
    assert_eq!(
        shown(&restart),
        [
            "1.1.1 b.example stop_service",
            "1.1.2 b.example start_service",
            "1.1.3 b.example check_service"
        ]
    );
    let (end, lines) = site.play(config.clone(), Some(restart)).await;
    assert_eq!(end, RunEnd::Succeeded, "{lines:#?}");
    fs::remove_file(site.at("a/running")).unwrap();
    let (end, lines) = site
        .play(config.clone(), Some(tasklist("status", &[]).unwrap()))
        .await;
    assert_eq!(end, RunEnd::Failed, "{lines:#?}");
    let errors = tasklist("reload", &[]).unwrap_err().to_string();
    assert!(errors.contains("none is for this"), "{errors}");
    let errors = tasklist("stop", &["c.example"]).unwrap_err().to_string();
    assert!(errors.contains("did you mean `a.example`?"), "{errors}");
    let errors = service_tasklist(&config, "shopp", "stop", &[], 1)
        .unwrap_err()
        .to_string();
    assert!(errors.contains("did you mean `shop`?"), "{errors}");
}
