//! `deploy_and_restart`: a new release of a service on one host, composed of other commands.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use windlass_engine::command::{Command, CommandKind, InitContext, Repeat};
use windlass_model::Text;
use windlass_model::diagnostic::{Diagnostic, Diagnostics};

use super::args::AbsolutePath;
use super::check_service::{Args as CheckArgs, Check};
use super::control::{Action, ControlType};
use super::disable_loadbalancer::Drain;
use super::enable_loadbalancer::Enable;
use super::haproxy::{LbType, LoadBalancer, LoadBalancerArgs};
use super::movefile::MoveFile;
use super::sequence::Sequence;
use super::service_action::Request;
use super::symlink::Symlink;

/// The kind.
pub struct DeployAndRestart;

/// Arguments of `deploy_and_restart`. What is not given is not done.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// The new release on the host, unpacked.
    pub source: AbsolutePath,
    /// Where it is moved to, in place of what is there.
    pub destination: Option<AbsolutePath>,
    /// The link that is made to point to it.
    pub link_target: Option<AbsolutePath>,
    /// The service that is stopped before and started after: its unit (systemd), or its service directory or the name of
    /// that (runit, daemontools).
    pub servicename: Option<String>,
    /// `systemd`, `runit`, `daemontools` or `command`.
    pub control_type: Option<ControlType>,
    /// The shell line that stops the service, instead of `control_type`.
    pub stop_command: Option<String>,
    /// The shell line that starts the service, instead of `control_type`.
    pub start_command: Option<String>,
    /// A shell line that ends with 0 when the service is well; waited for after the start.
    pub check_command: Option<String>,
    /// Seconds to wait for the stop, for the start and for the check.
    #[serde(default = "sixty")]
    pub control_timeout: u32,
    /// The host that the load balancer runs on; `local` for this one.
    pub lb_hostname: Option<String>,
    /// The server behind it that is drained before and enabled after: `backend/server`.
    pub lb_service: Option<String>,
    /// `haproxy`, the only type there is.
    pub lb_type: Option<LbType>,
    /// The port of HAProxy's stats socket, on 127.0.0.1 of `lb_hostname`.
    pub lb_port: Option<u16>,
    /// The path of HAProxy's stats socket on `lb_hostname`. It needs `level admin`.
    pub lb_socket: Option<String>,
    /// Not used by HAProxy.
    pub lb_username: Option<Text>,
    /// Not used by HAProxy.
    pub lb_password: Option<Text>,
    /// Seconds to wait for the drain, and for the server to be up again.
    #[serde(default = "sixty")]
    pub lb_timeout: u32,
}

fn sixty() -> u32 {
    60
}

impl CommandKind for DeployAndRestart {
    type Args = Args;

    fn name(&self) -> &'static str {
        "deploy_and_restart"
    }

    fn about(&self) -> &'static str {
        "Drains a server, stops its service, moves the new release into place, links it, starts the service, checks it \
         and enables the server."
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        let mut wrong = Diagnostics::new();
        let balancer = taken(balancer(&args, cx), &mut wrong).flatten();
        let stop = taken(service(&args, Action::Stop, cx), &mut wrong).flatten();
        // What is wrong with the one is wrong with the other.
        let start = match wrong.has_errors() {
            true => None,
            false => taken(service(&args, Action::Start, cx), &mut wrong).flatten(),
        };
        let mut files = Vec::new();
        let mut placed = args.source.as_str();
        if let Some(destination) = &args.destination {
            let of = json!({"source": args.source, "destination": destination, "clobber": true});
            files.extend(taken(part(&MoveFile, of, cx), &mut wrong));
            placed = destination.as_str();
        }
        if let Some(link) = &args.link_target {
            let of = json!({"source": placed, "destination": link});
            files.extend(taken(part(&Symlink, of, cx), &mut wrong));
        }
        let check = args.check_command.clone().and_then(|line| {
            let of = CheckArgs::of_line(line, args.control_timeout);
            taken(Check::new(of, cx), &mut wrong)
        });

        // A move that was done says so, and the rest is safe, but for bare lines.
        let ask = [&stop, &start]
            .into_iter()
            .flatten()
            .any(|part| part.repeat() != Repeat::Safe);
        let mut parts: Vec<Box<dyn Command>> = Vec::new();
        parts.extend(balancer.clone().map(|lb| boxed(Drain(lb))));
        parts.extend(stop);
        parts.extend(files);
        parts.extend(start);
        parts.extend(check.map(boxed));
        parts.extend(balancer.map(|lb| boxed(Enable(lb))));
        let repeat = if ask { Repeat::Ask } else { Repeat::Safe };
        wrong.or(boxed(Sequence::new(parts, repeat)))
    }
}

fn boxed(command: impl Command + 'static) -> Box<dyn Command> {
    Box::new(command)
}

/// What was made; what is wrong is kept.
fn taken<T>(made: Result<T, Diagnostics>, wrong: &mut Diagnostics) -> Option<T> {
    made.map_err(|e| wrong.extend(e)).ok()
}

/// A command of another kind.
fn part<K: CommandKind>(
    kind: &K,
    args: serde_json::Value,
    cx: &InitContext<'_>,
) -> Result<Box<dyn Command>, Diagnostics> {
    let args = serde_json::from_value(args)
        .map_err(|e| Diagnostic::error(format!("{}: {e}", kind.name())).key(cx.path.to_string()))?;
    kind.initialize(args, cx)
}

fn balancer(args: &Args, cx: &InitContext<'_>) -> Result<Option<LoadBalancer>, Diagnostics> {
    let any = args.lb_port.is_some()
        || [&args.lb_hostname, &args.lb_service, &args.lb_socket]
            .iter()
            .any(|arg| arg.is_some());
    if !any {
        return Ok(None);
    }
    let (Some(lb_hostname), Some(lb_service)) = (&args.lb_hostname, &args.lb_service) else {
        let missing = match args.lb_hostname {
            Some(_) => "lb_service",
            None => "lb_hostname",
        };
        return Err(cx
            .wrong(missing, format!("`{missing}` is missing"))
            .hint("a load balancer needs `lb_hostname`, `lb_service`, and `lb_socket` or `lb_port`")
            .into());
    };
    let args = LoadBalancerArgs {
        lb_hostname: lb_hostname.clone(),
        lb_service: lb_service.clone(),
        lb_type: args.lb_type.unwrap_or_default(),
        lb_port: args.lb_port,
        lb_socket: args.lb_socket.clone(),
        lb_username: args.lb_username.clone(),
        lb_password: args.lb_password.clone(),
        timeout: args.lb_timeout,
    };
    LoadBalancer::new(args, cx).map(Some)
}

/// The stop or the start; none where nothing says how. Of two lines one may be left out.
fn service(
    args: &Args,
    action: Action,
    cx: &InitContext<'_>,
) -> Result<Option<Box<dyn Command>>, Diagnostics> {
    let (line, other, line_key) = match action {
        Action::Stop => (&args.stop_command, &args.start_command, "stop_command"),
        _ => (&args.start_command, &args.stop_command, "start_command"),
    };
    let by_lines = matches!(args.control_type, None | Some(ControlType::Command));
    let nothing = args.servicename.is_none() && args.control_type.is_none() && line.is_none();
    if nothing || (by_lines && line.is_none() && other.is_some()) {
        return Ok(None);
    }
    let request = Request {
        servicename: args.servicename.clone(),
        control_type: args.control_type,
        line: line.clone(),
        line_key,
        env: Vec::new(),
        check_command: None,
        if_exists: None,
        timeout: args.control_timeout,
    };
    Ok(Some(boxed(request.command(action, cx)?)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use windlass_engine::command::Turn;

    use super::*;
    use crate::commands::trial::{errors, facts, make, ran, seen, steps};

    #[test]
    fn a_load_balancer_is_drained_first_and_owed() {
        let args = json!({
            "source": "/opt/.unpack/shop_2", "destination": "/opt/shop_2", "link_target": "/opt/shop",
            "servicename": "shop", "control_type": "runit", "check_command": "./ok",
            "lb_hostname": "lb1", "lb_service": "web/app1", "lb_socket": "/run/h.sock"
        });
        let command = make(&DeployAndRestart, args).unwrap();
        assert_eq!(command.repeat(), Repeat::Safe);
        assert_eq!(command.owes().opens, ["drained web/app1"]);
        assert_eq!(command.owes().closes, ["drained web/app1"]);
        assert_eq!(command.other_hosts().len(), 1);
        let first = steps(command.turn(&facts(), &[]));
        assert!(format!("{first:?}").contains("show stat web"));
    }

    #[test]
    fn what_is_not_given_is_not_done() {
        let command = make(
            &DeployAndRestart,
            json!({"source": "/a", "start_command": "./up"}),
        )
        .unwrap();
        assert_eq!(command.repeat(), Repeat::Ask);
        assert!(matches!(command.turn(&facts(), &[]), Turn::Last(_)));
        assert!(matches!(
            command.turn(&facts(), &[seen(0, ran(0, ""))]),
            Turn::End(_)
        ));
        let command = make(&DeployAndRestart, json!({"source": "/a"})).unwrap();
        assert!(matches!(command.turn(&facts(), &[]), Turn::End(_)));
    }

    #[test]
    fn faults_of_all_parts_come_at_once() {
        let said = errors(
            &DeployAndRestart,
            json!({"source": "/a", "destination": "/a/b", "servicename": "x", "check_command": "", "lb_service": "web"}),
        );
        for text in [
            "one holds the other",
            "`control_type` is missing",
            "`check_command` is empty",
            "`lb_hostname` is missing",
        ] {
            assert!(said.contains(text), "{text}: {said}");
        }
    }
}
