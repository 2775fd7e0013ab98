//! What generators are given: the merged config, the log, packages, what runs where, graphite.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use windlass_engine::events::Events;
use windlass_engine::generator::{Help, RemoteVersions};
use windlass_engine::host::Hosts;
use windlass_model::config::{Config, Service, Vars, expand};
use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::ids::HostName;
use windlass_model::package::Package;
use windlass_model::step::Level;
use windlass_model::tasklist::{Job, Stage, Task};
use windlass_model::tree::{Map, Node, Value};

use super::packages::{Request, find};
use super::versions::{Question, ask};

/// The component of its log lines.
const COMPONENT: &str = "Generator";
/// Where releases lie unless the config says otherwise.
const INSTALL_LOCATION: &str = "/opt/webapps";

/// [`Help`] for every generator, built in or a plugin's. The options of the command line stand in the merged config:
/// `component`, `directory` (a string or a list each), `hosts`, `hostgroups`.
pub struct GeneratorHelp {
    config: Arc<Config>,
    base: PathBuf,
    events: Events,
    hosts: Arc<dyn Hosts>,
}

impl GeneratorHelp {
    /// `base` is the absolute folder of the config; relative paths of packages start there, so paths from the command
    /// line must be made absolute before they are merged.
    pub fn new(config: Arc<Config>, base: PathBuf, events: Events, hosts: Arc<dyn Hosts>) -> Self {
        Self {
            config,
            base,
            events,
            hosts,
        }
    }

    fn say(&self, level: Level, host: Option<&HostName>, tag: Option<&str>, message: &str) {
        self.events.log(level, COMPONENT, host, tag, message);
    }

    fn request(&self) -> Result<Request, Diagnostics> {
        let mut faults = Diagnostics::new();
        let mut texts = |key| match self.config.texts(key) {
            Ok(texts) => texts.unwrap_or_default(),
            Err(found) => {
                faults.extend(found);
                Vec::new()
            }
        };
        let (components, directories) = (texts("component"), texts("directory"));
        let ignored = texts("ignore_packages");
        let services = match self.config.services() {
            Ok(services) => services
                .iter()
                .map(|service| service.name.to_owned())
                .collect(),
            Err(found) => {
                faults.extend(found);
                Vec::new()
            }
        };
        let absolute = |paths: Vec<String>| paths.iter().map(|path| self.base.join(path)).collect();
        faults.or(Request {
            components: absolute(components),
            directories: absolute(directories),
            services,
            ignored,
        })
    }

    /// What each host is to be asked.
    fn questions(&self, packages: &[Package]) -> Result<BTreeMap<HostName, Question>, Diagnostics> {
        let groups = self.config.hostgroups()?;
        let groups: HashMap<&str, &[HostName]> = groups
            .iter()
            .map(|group| (group.name.as_str(), group.hosts.as_slice()))
            .collect();
        let services = self.config.services()?;
        let services: HashMap<&str, &Service<'_>> = services
            .iter()
            .map(|service| (service.name, service))
            .collect();
        let chosen = chosen(&self.config, &groups)?;
        let environment = self.config.text("environment")?;
        let mut questions: BTreeMap<HostName, Question> = BTreeMap::new();
        for package in packages {
            let Some(service) = services.get(package.service.as_str()) else {
                continue;
            };
            for host in hosts_of(service, &groups) {
                if chosen
                    .as_ref()
                    .is_some_and(|chosen| !chosen.contains(&host))
                {
                    continue;
                }
                let place = install_location(service, package, &host, environment.as_deref())?;
                let asked = questions.entry(host).or_default();
                asked.push((place, package.service.clone()));
            }
        }
        Ok(questions)
    }
}

/// The hosts that the options `hosts` and `hostgroups` limit the work to; `None`: no limit.
fn chosen(
    config: &Config,
    groups: &HashMap<&str, &[HostName]>,
) -> Result<Option<HashSet<HostName>>, Diagnostics> {
    let (hosts, names) = (config.texts("hosts")?, config.texts("hostgroups")?);
    if hosts.is_none() && names.is_none() {
        return Ok(None);
    }
    let mut chosen: HashSet<HostName> = hosts
        .iter()
        .flatten()
        .map(|host| HostName::new(host))
        .collect();
    for name in names.iter().flatten() {
        chosen.extend(
            groups
                .get(name.as_str())
                .copied()
                .unwrap_or_default()
                .iter()
                .cloned(),
        );
    }
    Ok(Some(chosen))
}

/// The hosts of a service, each once. What is no group is a host; whoever reads the config in earnest has looked at it.
fn hosts_of(service: &Service<'_>, groups: &HashMap<&str, &[HostName]>) -> Vec<HostName> {
    let names: Vec<&str> = match service.get("hosts").map(|node| &node.value) {
        Some(Value::List(list)) => list.iter().filter_map(Node::as_str).collect(),
        Some(Value::String(name)) => vec![name],
        _ => Vec::new(),
    };
    let mut seen = HashSet::new();
    let mut hosts = Vec::new();
    for name in names {
        let alone = [HostName::new(name)];
        let named = groups.get(name).copied().unwrap_or(&alone);
        hosts.extend(
            named
                .iter()
                .filter(|host| seen.insert((*host).clone()))
                .cloned(),
        );
    }
    hosts
}

fn install_location(
    service: &Service<'_>,
    package: &Package,
    host: &HostName,
    environment: Option<&str>,
) -> Result<String, Diagnostics> {
    let written = service
        .get("install_location")
        .and_then(Node::as_str)
        .unwrap_or(INSTALL_LOCATION);
    let port = service.get("port").map(|node| match &node.value {
        Value::Int(port) => port.to_string(),
        _ => node.as_str().unwrap_or_default().to_owned(),
    });
    let vars = Vars {
        service: service.name,
        version: &package.version,
        hostname: host.as_str(),
        host: host.short(),
        port: port.as_deref(),
        environment,
    };
    expand(written, &vars).map_err(|unknown| {
        let key = format!("service.{}.install_location", service.name);
        Diagnostic::error(unknown.to_string())
            .key(key)
            .hint(unknown.hint)
            .into()
    })
}

#[async_trait]
impl Help for GeneratorHelp {
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
        self.events.log(level, component, host, tag, message);
    }

    async fn packages(&self) -> Result<Vec<Package>, Diagnostics> {
        let request = self.request()?;
        let found = tokio::task::spawn_blocking(move || find(&request)).await;
        let found = found.unwrap_or_else(|stopped| {
            let message = format!("the search for packages was stopped: {stopped}");
            Err(Diagnostic::error(message).into())
        })?;
        for (level, message) in &found.said {
            self.say(*level, None, None, message);
        }
        found.hashed().await
    }

    async fn remote_versions(&self, packages: &[Package]) -> RemoteVersions {
        let questions = match self.questions(packages) {
            Ok(questions) => questions,
            Err(faults) => {
                let message = format!("hosts are not asked for their versions: {faults}");
                self.say(Level::Warning, None, None, message.trim_end());
                return RemoteVersions::new();
            }
        };
        let user = self.config.user().ok().flatten();
        let mut versions = RemoteVersions::new();
        for (host, question) in &questions {
            for (_, service) in question {
                let hosts = versions.entry(service.clone()).or_default();
                hosts.insert(host.clone(), None);
            }
        }
        for (host, answer) in ask(&self.hosts, user.as_deref(), questions).await {
            match answer {
                Ok(standings) => {
                    for (service, standing) in standings {
                        let running = standing.runs(&service).map(str::to_owned);
                        if let Some(version) =
                            versions.get_mut(&service).and_then(|v| v.get_mut(&host))
                        {
                            *version = running;
                        }
                    }
                }
                Err(error) => {
                    let message = format!("what runs there is not known: {error}");
                    self.say(Level::Warning, Some(&host), None, &message);
                }
            }
        }
        versions
    }

    fn graphite_stage(&self, suffix: &str) -> Option<Stage> {
        graphite_stage(&self.config, suffix)
    }

    fn hosts(&self) -> Arc<dyn Hosts> {
        self.hosts.clone()
    }
}

/// Sends the metric `<metric_prefix>.<suffix>`, where the config says where to.
pub(super) fn graphite_stage(config: &Config, suffix: &str) -> Option<Stage> {
    let graphite = config.get("graphite")?;
    let text = |key| graphite.get(key).and_then(Node::as_str);
    let metric = match text("metric_prefix") {
        Some(prefix) => format!("{prefix}.{suffix}"),
        None => suffix.to_owned(),
    };
    let mut args = Map::default();
    args.set("carbon_host", text("carbon_host")?);
    if let Some(port) = graphite.get("carbon_port") {
        args.set("carbon_port", port.clone());
    }
    args.set("metric_name", metric);
    let task = Task {
        command: "send_graphite".into(),
        args,
        ..Task::default()
    };
    Some(Stage {
        name: format!("Send graphite {suffix}"),
        concurrency: 1,
        jobs: vec![Job::Task(task)],
        ..Stage::default()
    })
}
