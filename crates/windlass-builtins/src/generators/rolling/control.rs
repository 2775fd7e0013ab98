//! Tasks about a running service: started, stopped, checked, taken out of its balancer and put back.

use windlass_model::Text;
use windlass_model::config::rolling::{Check, Control, ControlKind, Socket};
use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::tasklist::Task;
use windlass_model::tree::Node;

use super::target::Target;

/// What a service is made to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Start,
    Stop,
    Restart,
    Reload,
    Status,
}

impl Action {
    /// The actions by their names.
    pub(super) const ALL: [(&'static str, Self); 5] = [
        ("start", Self::Start),
        ("stop", Self::Stop),
        ("restart", Self::Restart),
        ("reload", Self::Reload),
        ("status", Self::Status),
    ];
}

/// The task that does it. Under a supervisor there is one for every action; given shell lines start, stop and mostly
/// restart.
pub(super) fn act(
    target: &Target<'_>,
    control: &Control,
    action: Action,
) -> Result<Task, Diagnostics> {
    let (command, mut args) = match &control.kind {
        ControlKind::Systemd(unit) => supervised(target, "systemd", unit, action)?,
        ControlKind::Runit(dir) => supervised(target, "runit", dir, action)?,
        ControlKind::Daemontools(dir) => supervised(target, "daemontools", dir, action)?,
        ControlKind::Commands {
            start,
            stop,
            restart,
        } => match (action, restart) {
            (Action::Start, _) => (
                "start_service",
                vec![("start_command", line(target, "start", start)?)],
            ),
            (Action::Stop, _) => {
                // At a first deploy there is nothing to stop, and mostly nothing to stop it with.
                let link = format!("{}/{}", target.install_location, target.service.name);
                (
                    "stop_service",
                    vec![
                        ("stop_command", line(target, "stop", stop)?),
                        ("if_exists", link.into()),
                    ],
                )
            }
            (Action::Restart, Some(restart)) => (
                "restart_service",
                vec![("restart_command", line(target, "restart", restart)?)],
            ),
            _ => {
                let message = format!(
                    "`{}` is controlled by shell lines, and none is for this",
                    target.service.name
                );
                let fault = Diagnostic::error(message)
                    .key(format!("service.{}.control", target.service.name));
                return Err(fault
                    .hint("systemd, runit and daemontools can do it")
                    .into());
            }
        },
    };
    args.push(("timeout", i64::from(target.service.control_timeout).into()));
    Ok(Task {
        use_sudo: control.sudo.then_some(true),
        ..target.task(command, args)
    })
}

type Args = Vec<(&'static str, Node)>;

fn supervised(
    target: &Target<'_>,
    kind: &str,
    name: &str,
    action: Action,
) -> Result<(&'static str, Args), Diagnostics> {
    let name = target.text("control", name)?;
    let mut args: Args = vec![("servicename", name.into()), ("control_type", kind.into())];
    let command = match action {
        Action::Start => "start_service",
        Action::Stop => "stop_service",
        Action::Restart => "restart_service",
        Action::Reload => "reload_service",
        Action::Status => {
            args.insert(1, ("action", "status".into()));
            "control_service"
        }
    };
    Ok((command, args))
}

fn line(target: &Target<'_>, key: &str, line: &str) -> Result<Node, Diagnostics> {
    Ok(target.text(&format!("control.{key}"), line)?.into())
}

/// The task that waits for the service to be healthy, where the config says how that is seen.
pub(super) fn check(target: &Target<'_>) -> Result<Option<Task>, Diagnostics> {
    let (key, question) = match &target.service.check {
        None => return Ok(None),
        Some(Check::Url(url)) => ("url", target.text("check", url)?),
        Some(Check::Command(line)) => ("check_command", target.text("check_command", line)?),
    };
    let timeout = i64::from(target.service.control_timeout);
    let args = [(key, Node::from(question)), ("timeout", timeout.into())];
    Ok(Some(target.task("check_service", args)))
}

/// `disable_loadbalancer` or `enable_loadbalancer`, where the service is balanced.
pub(super) fn balance(target: &Target<'_>, command: &str) -> Result<Option<Task>, Diagnostics> {
    let (Some(server), Some(balancer)) = (&target.service.lb_service, target.balancer) else {
        return Ok(None);
    };
    let mut args = vec![
        ("lb_hostname", Node::from(balancer.host.as_str())),
        ("lb_service", target.text("lb_service", server)?.into()),
        match &balancer.socket {
            Socket::Path(path) => ("lb_socket", path.as_str().into()),
            Socket::Port(port) => ("lb_port", i64::from(*port).into()),
        },
    ];
    args.extend(
        balancer
            .user
            .as_ref()
            .map(|user| ("lb_username", node(user))),
    );
    args.extend(
        balancer
            .password
            .as_ref()
            .map(|word| ("lb_password", node(word))),
    );
    args.push(("timeout", i64::from(target.service.lb_timeout).into()));
    Ok(Some(target.task(command, args)))
}

/// A string, or the reference to a secret that stands for it.
fn node(text: &Text) -> Node {
    match text.secrets().next() {
        Some(secret) => Node::from(secret.clone()),
        None => Node::from(text.as_plain().unwrap_or_default().as_ref()),
    }
}
