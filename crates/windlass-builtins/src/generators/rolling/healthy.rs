//! Hosts of a service that must stay healthy: how many, which, and how each is asked.

use std::collections::{BTreeMap, HashSet};

use windlass_engine::generator::{Help, RemoteVersions};
use windlass_model::config::rolling::{RollingConfig, RollingService};
use windlass_model::diagnostic::Diagnostics;
use windlass_model::ids::HostName;
use windlass_model::package::Package;
use windlass_model::tasklist::{MinHealthy, Plan, ServiceHost, Task};

use super::super::versions;
use super::control;
use super::target::Target;

/// Seconds that a check may take when a host is asked whether it is healthy.
const LONGEST_CHECK: i64 = 10;

/// What is known of a host of a service.
pub(super) struct Known {
    /// The version that its check is asked for.
    pub(super) version: String,
    /// Whether the service is not installed there.
    pub(super) is_new: bool,
}

/// Writes into the plan how many hosts of the service must stay healthy, if the config says so. Hosts where it is not
/// enabled do not count.
pub(super) fn keep_healthy(
    plan: &mut Plan,
    config: &RollingConfig,
    service: &RollingService,
    known: impl Fn(&HostName) -> Known,
) -> Result<(), Diagnostics> {
    let Some(share) = service.min_healthy.or(config.min_healthy) else {
        return Ok(());
    };
    let mut hosts = Vec::new();
    for host in &service.hosts {
        let Known { version, is_new } = known(&host.name);
        let package = Package {
            service: service.name.clone(),
            version,
            filename: String::new(),
            path: "".into(),
            sha256: String::new(),
        };
        let target = Target::new(config, service, &package, host, None)?;
        if target.is_enabled() {
            let mut host = ServiceHost::new(host.name.as_str(), &questions(&target)?);
            host.new = is_new;
            hosts.push(host);
        }
    }
    let keep = share.at_least_of(u32::try_from(hosts.len()).unwrap_or(u32::MAX));
    if keep > 0 {
        let balanced = service.lb_service.as_ref().map(|_| service.lb_timeout);
        let wait = balanced.unwrap_or(0).max(service.control_timeout);
        let healthy = MinHealthy { keep, wait, hosts };
        plan.min_healthy.insert(service.name.clone(), healthy);
    }
    Ok(())
}

/// The tasks that ask a host: its check, and whether its balancer has it up.
fn questions(target: &Target<'_>) -> Result<Vec<Task>, Diagnostics> {
    let mut questions = Vec::new();
    if let Some(mut check) = control::check(target)? {
        check.args.set("timeout", LONGEST_CHECK);
        questions.push(check);
    }
    if let Some(mut look) = control::balance(target, "check_loadbalancer")? {
        let not_used = ["lb_username", "lb_password", "timeout"];
        look.args.0.retain(|entry| !not_used.contains(&&*entry.key));
        questions.push(look);
    }
    Ok(questions)
}

/// Where a service of which hosts must stay healthy is not installed: no link is there. Asked are hosts that run nothing as
/// far as is known; one that does not answer counts as installed.
pub(super) async fn not_installed(
    help: &dyn Help,
    config: &RollingConfig,
    packages: &[Package],
    known: &RemoteVersions,
) -> Result<HashSet<(String, HostName)>, Diagnostics> {
    let mut questions: BTreeMap<HostName, Vec<(String, String)>> = BTreeMap::new();
    for package in packages {
        let Some(service) = config
            .service(&package.service)
            .filter(|s| !s.properties && s.min_healthy.or(config.min_healthy).is_some())
        else {
            continue;
        };
        let runs = |host: &HostName| {
            let version = known.get(&service.name)?.get(host)?.as_ref();
            version.map(|_| ())
        };
        for host in service
            .hosts
            .iter()
            .filter(|host| runs(&host.name).is_none())
        {
            let target = Target::new(config, service, package, host, None)?;
            let there = (target.install_location, service.name.clone());
            questions.entry(host.name.clone()).or_default().push(there);
        }
    }
    let answers = match questions.is_empty() {
        true => Vec::new(),
        false => versions::ask(&help.hosts(), config.user.as_deref(), questions).await,
    };
    let mut new = HashSet::new();
    for (host, answer) in answers {
        for (service, standing) in answer.unwrap_or_default() {
            if standing.link.is_none() {
                new.insert((service, host.clone()));
            }
        }
    }
    Ok(new)
}
