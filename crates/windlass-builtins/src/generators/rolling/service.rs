//! A tasklist that starts, stops, restarts, reloads or looks at one service of a config.

use std::collections::BTreeSet;

use windlass_model::config::Config;
use windlass_model::config::rolling::{ControlKind, RollingConfig, RollingService};
use windlass_model::diagnostic::{Diagnostic, Diagnostics, nearest};
use windlass_model::ids::HostName;
use windlass_model::package::Package;
use windlass_model::tasklist::{Job, Plan, Stage, Task, Tasklist};

use super::super::packages::some_of;
use super::control::{self, Action};
use super::target::Target;

/// Does `action` (`start`, `stop`, `restart`, `reload` or `status`) on every host where the service is enabled, or on
/// these `hosts` of them only; at most `concurrency` at once. A restart takes the host out of its balancer and puts it
/// back; a start or restart waits for the check, if there is one. `status` changes nothing.
///
/// Errors: an unknown service, action or host; a service that the config does not say how to control.
pub fn service_tasklist(
    config: &Config,
    service: &str,
    action: &str,
    hosts: &[String],
    concurrency: u32,
) -> Result<Tasklist, Diagnostics> {
    let (config, _) = RollingConfig::read(config)?;
    let known = Action::ALL.iter().find(|(name, _)| *name == action);
    let (Some(found), Some((name, action))) = (config.service(service), known) else {
        return Err(unknown(&config, service, action).into());
    };
    let package = Package {
        service: found.name.clone(),
        version: String::new(),
        filename: String::new(),
        path: "".into(),
        sha256: String::new(),
    };
    check_hosts(found, hosts)?;
    let mut jobs = Vec::new();
    for host in &found.hosts {
        let target = Target::new(&config, found, &package, host, None)?;
        let is_chosen =
            hosts.is_empty() || hosts.iter().any(|chosen| *chosen == *host.name.as_str());
        if is_chosen && target.is_enabled() {
            let mut tasks = tasks(&target, *action)?;
            jobs.push(match (tasks.len(), tasks.pop()) {
                (1, Some(one)) => Job::Task(one),
                (_, last) => Job::Chain(tasks.into_iter().chain(last).collect()),
            });
        }
    }
    let mut locked = BTreeSet::new();
    if *action != Action::Status {
        locked.extend(
            jobs.iter()
                .flat_map(Job::hosts)
                .map(|host| host.to_string()),
        );
    }
    let title = format!("{} {service}", title(name));
    let stage = Stage {
        name: title.clone(),
        concurrency: concurrency.max(1),
        jobs,
        ..Stage::default()
    };
    Ok(Tasklist {
        name: title,
        stages: vec![stage],
        plan: Some(Plan {
            locks: locked.into_iter().collect(),
            ..Plan::default()
        }),
        source: None,
    })
}

fn tasks(target: &Target<'_>, action: Action) -> Result<Vec<Task>, Diagnostics> {
    let service = target.service;
    let Some(how) = &service.control else {
        let message = format!("the config does not say how to control `{}`", service.name);
        let key = format!("service.{}", service.name);
        let hint = "as in `control: {systemd: UNIT}`";
        return Err(Diagnostic::error(message).key(key).hint(hint).into());
    };
    if let ControlKind::Commands {
        start,
        stop,
        restart,
    } = &how.kind
    {
        let lines = [Some(start), Some(stop), restart.as_ref()];
        if lines
            .into_iter()
            .flatten()
            .any(|line| line.contains("{version}"))
        {
            let message = format!(
                "how `{}` is controlled depends on the version",
                service.name
            );
            let key = format!("service.{}.control", service.name);
            let hint =
                "which one runs is not known here: name the link in the place of the release";
            return Err(Diagnostic::error(message).key(key).hint(hint).into());
        }
        if action == Action::Restart && restart.is_none() {
            return around(
                target,
                [Action::Stop, Action::Start].map(|action| control::act(target, how, action)),
            );
        }
        if action == Action::Status
            && let Some(mut check) = control::check(target)?
        {
            // Asked once, not waited for.
            check.args.set("timeout", 0);
            return Ok(vec![check]);
        }
    }
    let task = control::act(target, how, action);
    match action {
        Action::Restart => around(target, [task]),
        Action::Start => Ok([task?].into_iter().chain(control::check(target)?).collect()),
        Action::Stop | Action::Reload | Action::Status => Ok(vec![task?]),
    }
}

/// The tasks with the host out of its balancer, and the check before it is put back.
fn around(
    target: &Target<'_>,
    tasks: impl IntoIterator<Item = Result<Task, Diagnostics>>,
) -> Result<Vec<Task>, Diagnostics> {
    let mut chain: Vec<Task> = control::balance(target, "disable_loadbalancer")?
        .into_iter()
        .collect();
    for task in tasks {
        chain.push(task?);
    }
    chain.extend(control::check(target)?);
    chain.extend(control::balance(target, "enable_loadbalancer")?);
    Ok(chain)
}

fn unknown(config: &RollingConfig, service: &str, action: &str) -> Diagnostic {
    if config.service(service).is_none() {
        return no_such_service(config, service);
    }
    let known = Action::ALL.map(|(name, _)| name).join(", ");
    Diagnostic::error(format!(
        "`{action}` is nothing that can be done to a service"
    ))
    .hint(format!("known: {known}"))
}

pub(super) fn no_such_service(config: &RollingConfig, service: &str) -> Diagnostic {
    let services: Vec<&str> = config
        .services
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    let hint = match nearest(service, services.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known: {}", some_of(&services)),
    };
    Diagnostic::error(format!("the config has no service `{service}`")).hint(hint)
}

fn check_hosts(service: &RollingService, hosts: &[String]) -> Result<(), Diagnostics> {
    let own: Vec<&str> = service
        .hosts
        .iter()
        .map(|host| host.name.as_str())
        .collect();
    let mut faults = Diagnostics::new();
    for host in hosts.iter().filter(|host| !own.contains(&host.as_str())) {
        let hint = match nearest(host, own.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("its hosts: {}", some_of(&own)),
        };
        let message = format!("`{host}` is no host of the service `{}`", service.name);
        faults.push(Diagnostic::error(message).hint(hint));
    }
    let enabled = service.enabled_on_hosts.as_ref();
    for host in hosts.iter().map(|host| HostName::new(host)) {
        if own.contains(&host.as_str()) && enabled.is_some_and(|enabled| !enabled.contains(&host)) {
            let message = format!("the service `{}` is not enabled on {host}", service.name);
            faults.push(Diagnostic::error(message).hint("see its `enabled_on_hosts`"));
        }
    }
    faults.or(())
}

/// `restart` -> `Restart`.
fn title(action: &str) -> String {
    let mut chars = action.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}
