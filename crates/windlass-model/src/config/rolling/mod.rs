//! The keys of platform `rolling`, typed.

mod lb;
mod order;
mod service;

use std::collections::{HashMap, HashSet};

pub use lb::{Balancer, Socket};
pub use service::{Check, Control, ControlKind, RollingService, ServiceHost};

use super::fields::{Fields, Found};
use super::hosts::{self, HostGroup, Resolver};
use super::{Config, Share};
use crate::diagnostic::{Diagnostics, Severity, nearest};
use crate::ids::HostName;
use crate::secret::SecretRef;

/// The platform's name.
pub const PLATFORM: &str = "rolling";

/// A config of platform `rolling`, checked and with its defaults.
#[derive(Clone, Debug)]
pub struct RollingConfig {
    /// Name of the environment.
    pub environment: Option<String>,
    /// Remote user.
    pub user: Option<String>,
    /// In the order of writing.
    pub hostgroups: Vec<HostGroup>,
    /// In the order of writing.
    pub balancers: Vec<Balancer>,
    /// In the order of writing.
    pub services: Vec<RollingService>,
    /// Services that deploy together, in the order of deploying; all of them at once if not said. Packages of
    /// properties may be missing.
    pub deployment_order: Vec<Vec<String>>,
    /// Jobs at once in deploy stages; a share is one of the stage's hosts.
    pub deploy_concurrency: Share,
    /// Jobs at once on one host in deploy stages.
    pub deploy_concurrency_per_host: u32,
    /// Jobs at once in the other stages.
    pub non_deploy_concurrency: Share,
    /// Jobs at once on one host in the other stages.
    pub non_deploy_concurrency_per_host: u32,
    /// Hosts that may fail in a stage before it stops.
    pub max_failures: Share,
    /// Releases and tarballs kept on each host.
    pub keep_versions: u32,
    /// Services to leave out.
    pub ignore_packages: Vec<String>,
    /// Where metrics go.
    pub graphite: Option<Graphite>,
    /// Hosts of a service that must stay healthy, where the service says nothing else.
    pub min_healthy: Option<Share>,
    /// What happens when a deploy fails.
    pub on_failure: OnFailure,
    /// For sudo, where the host's group has none.
    pub sudo_password: Option<SecretRef>,
    /// For the user's SSH key, where the host's group has none.
    pub ssh_key_passphrase: Option<SecretRef>,
    /// The only hosts to deploy to, by the options `hosts` and `hostgroups`; all if absent.
    pub only_hosts: Option<HashSet<HostName>>,
    by_name: HashMap<String, usize>,
}

/// What happens when a deploy fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// It stops there.
    #[default]
    Stop,
    /// The hosts that it changed go back to what ran well before.
    Rollback,
}

/// Where metrics go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graphite {
    /// Carbon's host.
    pub carbon_host: String,
    /// Carbon's port for lines of text.
    pub carbon_port: u16,
    /// What stands before `.start` and `.end`.
    pub metric_prefix: String,
}

impl RollingConfig {
    /// Checks a config and gives warnings beside it, or every error at once.
    pub fn read(config: &Config) -> Result<(Self, Diagnostics), Diagnostics> {
        let mut found = Found::new(config.source.as_ref());
        let hostgroups = shared(config, &mut found, hosts::groups);
        let groups_are_whole = !found.diagnostics.has_errors();
        let written = shared(config, &mut found, hosts::services);
        let mut top = Fields::top(config.map());
        top.span = config.beginning();
        let balancers = lb::read(&top, &hostgroups, &mut found);
        if written.is_empty() && !top.has("service") {
            top.missing(
                "service",
                Some("as in `service: {shop: {hosts: [app]}}`"),
                &mut found,
            );
        }
        let mut resolver = Resolver::new(&hostgroups);
        let context = service::Context {
            environment: top.get("environment").and_then(|at| at.node.as_str()),
            hostgroups: &hostgroups,
            groups_are_whole,
        };
        let services: Vec<RollingService> = written
            .iter()
            .map(|written| service::read(written, &context, &mut resolver, &mut found))
            .collect();
        let ignore_packages = ignored(&top, &services, &mut found);
        let mut read = Self {
            environment: top.text("environment", &mut found),
            user: top.name("user", &mut found),
            deployment_order: order::read(&top, &services, &ignore_packages, &mut found),
            deploy_concurrency: top
                .share("deploy_concurrency", 1, &mut found)
                .unwrap_or(Share::Count(1)),
            deploy_concurrency_per_host: top
                .whole("deploy_concurrency_per_host", 1, u32::MAX, &mut found)
                .unwrap_or(1),
            non_deploy_concurrency: top
                .share("non_deploy_concurrency", 1, &mut found)
                .unwrap_or(Share::Count(10)),
            non_deploy_concurrency_per_host: top
                .whole("non_deploy_concurrency_per_host", 1, u32::MAX, &mut found)
                .unwrap_or(5),
            max_failures: top
                .share("max_failures", 0, &mut found)
                .unwrap_or(Share::Count(0)),
            keep_versions: top
                .whole("keep_versions", 1, u32::MAX, &mut found)
                .unwrap_or(5),
            ignore_packages,
            graphite: graphite(&top, &mut found),
            min_healthy: top.share("min_healthy", 0, &mut found),
            on_failure: on_failure(&top, &mut found),
            sudo_password: top.secret("sudo_password", &mut found),
            ssh_key_passphrase: top.secret("ssh_key_passphrase", &mut found),
            only_hosts: only(&top, &resolver, &mut found),
            by_name: services
                .iter()
                .enumerate()
                .map(|(i, s)| (s.name.clone(), i))
                .collect(),
            balancers,
            services,
            hostgroups: Vec::new(),
        };
        read.hostgroups = hostgroups;
        // What is wrong with the defaults is wrong with every service, and told once.
        let mut told = HashSet::new();
        found.diagnostics.0.retain(|d| {
            let place = d.place.as_ref().map(|place| place.span.start);
            told.insert((place, d.key.clone(), d.message.clone()))
        });
        found.in_order();
        if found.diagnostics.has_errors() {
            return Err(found.diagnostics);
        }
        Ok((read, found.diagnostics))
    }

    /// A service by name.
    pub fn service(&self, name: &str) -> Option<&RollingService> {
        self.services.get(*self.by_name.get(name)?)
    }

    /// The load balancer in front of a host of a service, where its group names one.
    pub fn balancer(&self, host: &ServiceHost) -> Option<&Balancer> {
        let name = self.hostgroups.get(host.group?)?.lb.as_deref()?;
        self.balancers.iter().find(|lb| lb.name == name)
    }
}

/// Reads what [`super::read`] has read before, whose warnings were given there.
fn shared<'a, T>(
    config: &'a Config,
    found: &mut Found,
    read: fn(&'a Config, &mut Found) -> T,
) -> T {
    let mut again = Found::new(config.source.as_ref());
    let value = read(config, &mut again);
    again
        .diagnostics
        .0
        .retain(|d| d.severity == Severity::Error);
    found.diagnostics.extend(again.diagnostics);
    value
}

fn ignored(top: &Fields<'_>, services: &[RollingService], found: &mut Found) -> Vec<String> {
    let mut names = Vec::new();
    let known: HashSet<&str> = services.iter().map(|s| s.name.as_str()).collect();
    for (name, span) in top.texts("ignore_packages", found).unwrap_or_default() {
        if !known.contains(name.as_str())
            && let Some(near) = nearest(&name, known.iter().copied())
        {
            let message = format!("`{name}` is no service");
            found.warning(
                span,
                "ignore_packages",
                message,
                Some(format!("did you mean `{near}`?")),
            );
        }
        names.push(name);
    }
    names
}

fn on_failure(top: &Fields<'_>, found: &mut Found) -> OnFailure {
    let Some(at) = top.get("on_failure") else {
        return OnFailure::Stop;
    };
    let word = at.node.as_str().unwrap_or_default();
    match word {
        "stop" => OnFailure::Stop,
        "rollback" => OnFailure::Rollback,
        _ => {
            let message = "`on_failure` must be `stop` or `rollback`".into();
            let near = nearest(word, ["stop", "rollback"]);
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            found.error(at.node.span, "on_failure", message, hint);
            OnFailure::Stop
        }
    }
}

fn graphite(top: &Fields<'_>, found: &mut Found) -> Option<Graphite> {
    let fields = top.below("graphite", found)?;
    for key in ["carbon_host", "metric_prefix"] {
        if !fields.has(key) {
            fields.missing(key, None, found);
        }
    }
    let port = fields.whole("carbon_port", 1, u16::MAX.into(), found);
    Some(Graphite {
        carbon_host: fields.name("carbon_host", found)?,
        carbon_port: port
            .and_then(|port| u16::try_from(port).ok())
            .unwrap_or(2003),
        metric_prefix: fields.name("metric_prefix", found)?,
    })
}

/// The hosts that the options choose.
fn only(top: &Fields<'_>, resolver: &Resolver<'_>, found: &mut Found) -> Option<HashSet<HostName>> {
    if !top.has("hosts") && !top.has("hostgroups") {
        return None;
    }
    let mut only = HashSet::new();
    for (name, span) in top.texts("hosts", found).unwrap_or_default() {
        if resolver.knows(&name) {
            only.insert(HostName::new(&name));
            continue;
        }
        let hint = if resolver.group(&name).is_some() {
            Some("it is a hostgroup: choose it by `hostgroups`".to_owned())
        } else {
            resolver
                .nearest_host(&name)
                .map(|near| format!("did you mean `{near}`?"))
        };
        found.error(
            span,
            "hosts",
            format!("no group and no service has a host `{name}`"),
            hint,
        );
    }
    for (name, span) in top.texts("hostgroups", found).unwrap_or_default() {
        match resolver.group(&name) {
            Some(group) => only.extend(group.hosts.iter().cloned()),
            None => {
                let near = resolver
                    .nearest_group(&name)
                    .map(|near| format!("did you mean `{near}`?"));
                found.error(
                    span,
                    "hostgroups",
                    format!("there is no hostgroup `{name}`"),
                    near,
                );
            }
        }
    }
    Some(only)
}
