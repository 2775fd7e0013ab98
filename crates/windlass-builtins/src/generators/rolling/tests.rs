//! Tasklists of configs, whole, and what is said when they cannot be made.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use insta::assert_snapshot;
use windlass_engine::generator::{Generator, Help, RemoteVersions};
use windlass_engine::host::{Conversation, HostError, HostErrorKind, Hosts};
use windlass_model::config::{Config, read};
use windlass_model::diagnostic::{Diagnostics, Source};
use windlass_model::ids::HostName;
use windlass_model::package::Package;
use windlass_model::step::Level;
use windlass_model::tasklist::{Job, Stage, Tasklist, write};
use windlass_model::tree::{Map, Node};

use super::super::help::graphite_stage;
use super::Rolling;

/// Canned packages and versions; remembers what was said.
struct Canned {
    config: Config,
    packages: Vec<Package>,
    versions: RemoteVersions,
    said: Mutex<String>,
}

impl Canned {
    fn new(text: &str, options: Map, packages: &[(&str, &str)]) -> Self {
        let (config, _) =
            read(&Source::new("windlass.yaml", text), &options).unwrap_or_else(|e| panic!("{e}"));
        let package = |(service, version): &(&str, &str)| Package {
            service: (*service).into(),
            version: (*version).into(),
            filename: format!("{service}_{version}.tar.gz"),
            path: format!("/releases/{service}_{version}.tar.gz").into(),
            sha256: format!("digest of {service} {version}"),
        };
        Self {
            config,
            packages: packages.iter().map(package).collect(),
            versions: RemoteVersions::new(),
            said: Mutex::default(),
        }
    }

    fn runs(mut self, service: &str, version: &str, hosts: &[&str]) -> Self {
        let known: &mut BTreeMap<_, _> = self.versions.entry(service.into()).or_default();
        known.extend(
            hosts
                .iter()
                .map(|host| (HostName::new(host), Some(version.to_owned()))),
        );
        self
    }

    async fn tasklist(&self) -> Tasklist {
        Rolling
            .generate(self)
            .await
            .unwrap_or_else(|e| panic!("{e}"))
    }

    async fn json(&self) -> String {
        let mut json = Vec::new();
        write(&self.tasklist().await, &mut json).unwrap();
        String::from_utf8(json).unwrap()
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }
}

#[async_trait]
impl Help for Canned {
    fn config(&self) -> &Config {
        &self.config
    }

    fn base(&self) -> &Path {
        Path::new("/")
    }

    fn log(
        &self,
        level: Level,
        component: &str,
        host: Option<&HostName>,
        tag: Option<&str>,
        message: &str,
    ) {
        let host = host.map_or("*", HostName::as_str);
        let line = format!(
            "{level:?} {component} [{host}] [{}] {message}\n",
            tag.unwrap_or("*")
        );
        self.said.lock().unwrap().push_str(&line);
    }

    async fn packages(&self) -> Result<Vec<Package>, Diagnostics> {
        Ok(self.packages.clone())
    }

    async fn remote_versions(&self, _: &[Package]) -> RemoteVersions {
        self.versions.clone()
    }

    fn graphite_stage(&self, suffix: &str) -> Option<Stage> {
        graphite_stage(&self.config, suffix)
    }

    fn hosts(&self) -> Arc<dyn Hosts> {
        Arc::new(Nowhere)
    }
}

struct Nowhere;

#[async_trait]
impl Hosts for Nowhere {
    async fn converse(
        &self,
        host: &HostName,
        _: Option<&str>,
    ) -> Result<Box<dyn Conversation>, HostError> {
        Err(HostError::new(
            HostErrorKind::Unreachable,
            format!("no way to {host}"),
        ))
    }

    async fn check_keys(&self, _: &[HostName]) -> Vec<(HostName, HostError)> {
        Vec::new()
    }

    async fn close(&self) {}
}

const MINIMAL: &str = r#"
platform: rolling
hostgroup: {app: [app1, app2, app3]}
service:
  shop: {hosts: [app], control: {runit: shop}, check: "http://127.0.0.1:8080/healthz"}
"#;

const FULL: &str = r#"
platform: rolling
environment: prod
user: deploy
hostgroup:
  web: {hosts: [web1.example.org, web2.example.org, web3, web4], lb: front}
  back: [back1]
lb:
  front: {type: haproxy, host: lb1, port: 9999, user: admin, password: !env LB_PASSWORD}
deployment_order: [worker, [shop, shop-admin]]
deploy_concurrency: 50%
non_deploy_concurrency: 4
non_deploy_concurrency_per_host: 2
max_failures: 25%
keep_versions: 3
min_healthy: 75%
graphite: {carbon_host: graphite, metric_prefix: deploys.prod}
service_defaults:
  install_location: /srv/{environment}
service:
  shop:
    hosts: [web]
    port: 8080
    control: {systemd: shop, sudo: true}
    check: "http://127.0.0.1:{port}/healthz"
    control_timeout: 30
    lb_service: "shop/{host}"
    lb_timeout: 120
    shared: [log, config/secrets.yaml]
    migration_command: ./bin/migrate --to {version}
    migration_path: migrations
    enabled_on_hosts: [web1.example.org, web2.example.org, web3]
  shop-admin:
    hosts: [web1.example.org]
    start_command: /srv/prod/{service}/bin/start
    stop_command: /srv/prod/{service}/bin/stop
    check_command: curl -f http://{hostname}:9000/
    min_healthy: 0
  worker: {hosts: [back], min_healthy: 0}
  settings: {hosts: [back], properties: true, properties_path: "/etc/{service}"}
"#;

const EVERYTHING: [(&str, &str); 4] = [
    ("shop", "1.4.0"),
    ("shop-admin", "7"),
    ("worker", "2.0-rc1"),
    ("settings", "12"),
];

fn options(entries: &[(&str, Node)]) -> Map {
    entries.iter().cloned().collect()
}

#[tokio::test]
async fn the_smallest_config_deploys() {
    let canned =
        Canned::new(MINIMAL, Map::default(), &[("shop", "1.4.0")]).runs("shop", "1.3.0", &["app1"]);
    assert_snapshot!(canned.json().await);
    assert_eq!(canned.said(), "");
}

#[tokio::test]
async fn everything_at_once() {
    let canned = Canned::new(FULL, Map::default(), &EVERYTHING);
    assert_snapshot!(canned.json().await);
    assert_eq!(canned.said(), "");
}

/// `stage: host command command ...` for each job.
fn outline(tasklist: &Tasklist) -> String {
    let job = |job: &Job| {
        let hosts: Vec<String> = job.hosts().iter().map(ToString::to_string).collect();
        let commands: Vec<&str> = job
            .tasks()
            .iter()
            .map(|task| task.command.as_str())
            .collect();
        format!("  {}: {}\n", hosts.join(" "), commands.join(" "))
    };
    let stage = |stage: &Stage| {
        format!(
            "{}\n{}",
            stage.name,
            stage.jobs.iter().map(job).collect::<String>()
        )
    };
    tasklist.stages.iter().map(stage).collect()
}

#[tokio::test]
async fn hosts_that_run_the_version_are_passed_over() {
    let there = ["app1", "app3"];
    let canned =
        Canned::new(MINIMAL, Map::default(), &[("shop", "1.4.0")]).runs("shop", "1.4.0", &there);
    assert_snapshot!(outline(&canned.tasklist().await), @r#"
Upload
  app2: upload
Unpack
  app2: createdirectory unpack
Deploy shop
  app2: stop_service movefile symlink start_service check_service
Remove temp directories
  app2: removefile
Cleanup
  app2: cleanup
  app2: cleanup
"#);
    assert_snapshot!(canned.said(), @r#"
Info RollingGenerator [app1] [shop] shop 1.4.0 already runs here
Info RollingGenerator [app3] [shop] shop 1.4.0 already runs here
"#);
    let all = ["app1", "app2", "app3"];
    let canned =
        Canned::new(MINIMAL, Map::default(), &[("shop", "1.4.0")]).runs("shop", "1.4.0", &all);
    assert!(canned.tasklist().await.stages.is_empty());
    assert!(
        canned.said().ends_with("[*] [*] nothing to do\n"),
        "{}",
        canned.said()
    );
    let redeploy = options(&[("redeploy", true.into())]);
    let canned = Canned::new(MINIMAL, redeploy, &[("shop", "1.4.0")]).runs("shop", "1.4.0", &all);
    let tasklist = canned.tasklist().await;
    let receipts = tasklist.plan.unwrap().receipts;
    assert_eq!(receipts.len(), 3);
    assert!(
        receipts
            .iter()
            .all(|receipt| receipt.redeploy && receipt.from.as_deref() == Some("1.4.0"))
    );
}

#[tokio::test]
async fn migrations_run_on_the_first_configured_host_whoever_was_chosen() {
    let only = options(&[("hosts", vec!["web3"].into())]);
    let canned = Canned::new(FULL, only, &[("shop", "1.4.0"), ("worker", "2")]);
    let tasklist = canned.tasklist().await;
    assert_snapshot!(outline(&tasklist), @r#"
Send graphite start
  local: send_graphite
Upload
  web3: upload
  web1.example.org: upload
Unpack
  web3: createdirectory unpack execute_command removefile symlink execute_command createdirectory removefile symlink
  web1.example.org: createdirectory unpack execute_command removefile symlink execute_command createdirectory removefile symlink
Database migrations
  web1.example.org: dbmigration
Deploy shop
  web3: disable_loadbalancer stop_service movefile symlink start_service check_service enable_loadbalancer
Remove temp directories
  web3: removefile
  web1.example.org: removefile
Cleanup
  web3: cleanup
  web3: cleanup
  web1.example.org: cleanup
  web1.example.org: cleanup
Send graphite end
  local: send_graphite
"#);
    assert_snapshot!(canned.said(), @r#"
Info RollingGenerator [web1.example.org] [shop] not among the chosen hosts, but its migrations run here: the package is unpacked, not deployed
Info RollingGenerator [*] [worker] none of its hosts is among those that were chosen
"#);
    assert_eq!(tasklist.plan.unwrap().locks, ["web3", "web1.example.org"]);
    // Where it runs the version already, its migration was done.
    let only = options(&[("hosts", vec!["web3"].into())]);
    let canned =
        Canned::new(FULL, only, &[("shop", "1.4.0")]).runs("shop", "1.4.0", &["web1.example.org"]);
    assert!(!outline(&canned.tasklist().await).contains("dbmigration"));
}

#[tokio::test]
async fn one_at_a_time_rolls_host_by_host() {
    let text = "platform: rolling\nservice_defaults: {hosts: [a, b]}\nservice: {x: {}, y: {}, z: {hosts: [c, b]}}\n";
    let canned = Canned::new(text, Map::default(), &[("y", "1"), ("x", "1"), ("z", "1")]);
    let tasklist = canned.tasklist().await;
    let stage = tasklist
        .stages
        .iter()
        .find(|stage| stage.name == "Deploy x, y, z")
        .unwrap();
    let order: Vec<String> = stage
        .jobs
        .iter()
        .filter_map(|job| job.tasks().first())
        .map(|task| format!("{} {}", task.host(), task.tag.as_deref().unwrap()))
        .collect();
    assert_eq!(order, ["a x", "a y", "b x", "b y", "b z", "c z"]);
    let jobs: Vec<String> = tasklist
        .plan
        .unwrap()
        .receipts
        .into_iter()
        .map(|receipt| receipt.job)
        .collect();
    assert_eq!(jobs, ["3.1", "3.2", "3.3", "3.4", "3.5", "3.6"]);
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    async fn errors(text: &str, options: Map, packages: &[(&str, &str)]) -> String {
        let read = read(&Source::new("windlass.yaml", text), &options);
        if let Err(errors) = read {
            return errors.to_string();
        }
        let canned = Canned::new(text, options, packages);
        Rolling
            .generate(&canned)
            .await
            .err()
            .map(|e| e.to_string())
            .unwrap_or_default()
    }
    let shop = [("shop", "1")];
    let none = Map::default;
    let missing = "platform: rolling\ndeployment_order: [shop]\nservice: {shop: {hosts: [a]}, admin: {hosts: [a]}, jobs: {hosts: [a]}}\n";
    assert_snapshot!(errors(missing, none(), &shop).await, @r#"
error: windlass.yaml:2:19: `deployment_order` lacks the services `admin`, `jobs`
  |
2 | deployment_order: [shop]
  |                   ^^^^^^
  = key: deployment_order
  = hint: name every service, or put it into `ignore_packages`
"#);
    let unknown = "platform: rolling\nservice: {shop: {hosts: [a], check: \"http://{hots}/\"}}\n";
    assert_snapshot!(errors(unknown, none(), &shop).await, @r#"
error: windlass.yaml:2:37: `{hots}` stands for nothing here
  |
2 | service: {shop: {hosts: [a], check: "http://{hots}/"}}
  |                                     ^^^^^^^^^^^^^^^^
  = key: service.shop.check
  = hint: did you mean `{host}`?
"#);
    let host = options(&[
        ("hosts", vec!["app4"].into()),
        ("hostgroups", vec!["ap"].into()),
    ]);
    assert_snapshot!(errors(MINIMAL, host, &shop).await, @r#"
error: no group and no service has a host `app4`
  = key: hosts
  = hint: did you mean `app1`?
error: there is no hostgroup `ap`
  = key: hostgroups
  = hint: did you mean `app`?
"#);
    assert_snapshot!(errors(MINIMAL, none(), &[("shopp", "1")]).await, @r#"
error: /releases/shopp_1.tar.gz belongs to no service of the config
  = hint: describe it under `service.shopp`
"#);
    let properties = "platform: rolling\nservice: {p: {hosts: [a], properties: true, properties_path: /etc/p}}\n";
    assert_snapshot!(errors(properties, none(), &[("p", "1")]).await, @r#"
error: `p` is a package of properties, and the config has no environment
  = key: environment
  = hint: give the config an `environment`: the files of its name are copied
"#);
}
