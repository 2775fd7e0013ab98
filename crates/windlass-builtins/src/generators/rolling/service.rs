<<<<<<< HEAD
//! A tasklist that starts, stops, restarts or looks at one service of a config, for `windlass service`.

use windlass_model::config::rolling::{Check, Control, ControlKind, RollingConfig, RollingService};
use windlass_model::config::{Config, Vars, expand};
use windlass_model::diagnostic::{Diagnostic, Diagnostics, nearest};
use windlass_model::ids::HostName;
use windlass_model::tasklist::{Job, Stage, Task, Tasklist};
use windlass_model::tree::{Map, Node};

/// `action` is start, stop, restart, reload or status; on `hosts` (on all of the service if empty), `concurrency` of
/// them at once. A service without `control`, or a host that does not have it, is an error.
pub fn service_tasklist(
    config: &Config,
    name: &str,
=======
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
>>>>>>> wt-rolling
    action: &str,
    hosts: &[String],
    concurrency: u32,
) -> Result<Tasklist, Diagnostics> {
    let (config, _) = RollingConfig::read(config)?;
<<<<<<< HEAD
    let service = config.service(name).ok_or_else(|| unknown(&config, name))?;
    let Some(control) = &service.control else {
        let fault = Diagnostic::error(format!("service `{name}` has no `control`"))
            .key(format!("service.{name}"))
            .hint("say how it is controlled, as in `control: {systemd: UNIT}`");
        return Err(fault.into());
    };
    let mut jobs = Vec::new();
    for host in chosen(service, hosts)? {
        let at = At {
            config: &config,
            service,
            host,
        };
        let tasks = at.tasks(control, action)?;
        jobs.push(match <[Task; 1]>::try_from(tasks) {
            Ok([task]) => Job::Task(task),
            Err(tasks) => Job::Chain(tasks),
        });
    }
    Ok(Tasklist {
        name: format!("{action} {name}"),
        stages: vec![Stage {
            name: format!("{action} {name}"),
            concurrency,
            jobs,
            ..Stage::default()
        }],
        ..Tasklist::default()
    })
}

fn unknown(config: &RollingConfig, name: &str) -> Diagnostic {
    let known = || config.services.iter().map(|s| s.name.as_str());
    let fault = Diagnostic::error(format!("the config has no service `{name}`"));
    match nearest(name, known()) {
        Some(near) => fault.hint(format!("did you mean `{near}`?")),
        None => fault.hint(format!(
            "it has: {}",
            known().collect::<Vec<_>>().join(", ")
        )),
    }
}

/// The hosts on which the service is controlled, those that are wanted only.
fn chosen<'a>(
    service: &'a RollingService,
    wanted: &[String],
) -> Result<Vec<&'a HostName>, Diagnostics> {
    let mut faults = Diagnostics::new();
    for name in wanted {
        if !service.hosts.iter().any(|host| host.name.as_str() == name) {
            let known = || service.hosts.iter().map(|h| h.name.as_str());
            let fault = Diagnostic::error(format!(
                "service `{}` is not on host `{name}`",
                service.name
            ));
            faults.push(match nearest(name, known()) {
                Some(near) => fault.hint(format!("did you mean `{near}`?")),
                None => fault.hint(format!(
                    "it is on: {}",
                    known().collect::<Vec<_>>().join(", ")
                )),
            });
        }
    }
    let is_wanted =
        |host: &HostName| wanted.is_empty() || wanted.iter().any(|name| name == host.as_str());
    let hosts = service.hosts.iter().map(|host| &host.name);
    let is_enabled = |host: &HostName| {
        service
            .enabled_on_hosts
            .as_ref()
            .is_none_or(|on| on.contains(host))
    };
    faults.or(hosts
        .filter(|host| is_wanted(host) && is_enabled(host))
        .collect())
}

struct At<'a> {
    config: &'a RollingConfig,
    service: &'a RollingService,
    host: &'a HostName,
}

impl At<'_> {
    fn tasks(&self, control: &Control, action: &str) -> Result<Vec<Task>, Diagnostics> {
        let mut tasks = match &control.kind {
            ControlKind::Systemd(unit) => vec![self.supervised("systemd", unit, action)?],
            ControlKind::Runit(dir) => vec![self.supervised("runit", dir, action)?],
            ControlKind::Daemontools(dir) => vec![self.supervised("daemontools", dir, action)?],
            ControlKind::Commands {
                start,
                stop,
                restart,
            } => {
                let line = |key: &'static str, line: &str| {
                    Ok::<_, Diagnostics>(self.task(
                        &format!("{key}_service"),
                        vec![(format!("{key}_command"), self.text(line)?.into())],
                    ))
                };
                match (action, restart) {
                    ("start", _) => vec![line("start", start)?],
                    ("stop", _) => vec![line("stop", stop)?],
                    ("restart", Some(restart)) => vec![line("restart", restart)?],
                    ("restart", None) => vec![line("stop", stop)?, line("start", start)?],
                    ("status", _) => Vec::new(),
                    _ => return Err(self.cannot(action)),
                }
            }
        };
        for task in &mut tasks {
            task.use_sudo = control.sudo.then_some(true);
        }
        let checks =
            matches!(action, "start" | "restart") || (action == "status" && tasks.is_empty());
        match &self.service.check {
            Some(check) if checks => tasks.push(self.check(check, action)?),
            None if tasks.is_empty() => return Err(self.cannot(action)),
            _ => {}
        }
        Ok(tasks)
    }

    fn supervised(&self, kind: &str, name: &str, action: &str) -> Result<Task, Diagnostics> {
        let mut args = vec![
            ("servicename".to_owned(), self.text(name)?.into()),
            ("control_type".to_owned(), kind.into()),
        ];
        let command = match action {
            "status" => {
                args.push(("action".to_owned(), action.into()));
                "control_service".to_owned()
            }
            action => format!("{action}_service"),
        };
        Ok(self.task(&command, args))
    }

    fn check(&self, check: &Check, action: &str) -> Result<Task, Diagnostics> {
        let (key, question) = match check {
            Check::Url(url) => ("url", self.text(url)?),
            Check::Command(line) => ("check_command", self.text(line)?),
        };
        let timeout = if action == "status" {
            0
        } else {
            i64::from(self.service.control_timeout)
        };
        Ok(self.task(
            "check_service",
            vec![
                (key.to_owned(), question.into()),
                ("timeout".to_owned(), timeout.into()),
            ],
        ))
    }

    fn task(&self, command: &str, args: Vec<(String, Node)>) -> Task {
        Task {
            command: command.to_owned(),
            remote_host: (!self.host.is_local()).then(|| self.host.clone()),
            remote_user: self.config.user.clone(),
            tag: Some(self.service.name.clone()),
            args: Map::from_iter(args),
            ..Task::default()
        }
    }

    fn text(&self, template: &str) -> Result<String, Diagnostics> {
        let vars = Vars {
            service: &self.service.name,
            version: "",
            hostname: self.host.as_str(),
            host: self.host.short(),
            port: self.service.port.as_deref(),
            environment: self.config.environment.as_deref(),
        };
        let fault = |message: String, hint: String| {
            let key = format!("service.{}", self.service.name);
            Diagnostics::from(Diagnostic::error(message).key(key).hint(hint))
        };
        if template.contains("{version}") {
            let message = format!("`{template}` needs a version, which only a deploy has");
            let hint =
                "use the link `<install_location>/<service>` in the place of a version's own path";
            return Err(fault(message, hint.into()));
        }
        expand(template, &vars).map_err(|unknown| fault(unknown.to_string(), unknown.hint))
    }

    fn cannot(&self, action: &str) -> Diagnostics {
        let name = &self.service.name;
        Diagnostic::error(format!(
            "the config does not say how to {action} service `{name}`"
        ))
        .key(format!("service.{name}"))
        .hint("status needs a `check`; reload needs a supervisor: systemd, runit or daemontools")
        .into()
    }
}
=======
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
    let services: Vec<&str> = config
        .services
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    let (message, hint) = match config.service(service) {
        None => {
            let hint = match nearest(service, services.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known: {}", some_of(&services)),
            };
            (format!("the config has no service `{service}`"), hint)
        }
        Some(_) => {
            let known = Action::ALL.map(|(name, _)| name).join(", ");
            (
                format!("`{action}` is nothing that can be done to a service"),
                format!("known: {known}"),
            )
        }
    };
    Diagnostic::error(message).hint(hint)
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
>>>>>>> wt-rolling
