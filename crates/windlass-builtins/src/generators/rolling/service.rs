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
    action: &str,
    hosts: &[String],
    concurrency: u32,
) -> Result<Tasklist, Diagnostics> {
    let (config, _) = RollingConfig::read(config)?;
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
