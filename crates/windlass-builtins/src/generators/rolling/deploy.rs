//! Taking releases into service: out of the balancer, stop, switch, start, check, and back.

use std::collections::{HashMap, HashSet};

use windlass_model::Text;
use windlass_model::config::rolling::{Balancer, Check, Control, ControlKind, Socket};
use windlass_model::diagnostic::Diagnostics;
use windlass_model::ids::HostName;
use windlass_model::receipt::ReceiptPlan;
use windlass_model::tasklist::{Job, Task};
use windlass_model::tree::Node;

use super::super::packages::some_of;
use super::stages::Stages;
use super::target::{Choice, Target};

/// One stage for each entry of `deployment_order`. Hosts come in the order of the config, and on each host services in
/// the order of deploying: one at a time rolls host by host. Gives the receipts that the chains leave.
pub(super) fn stages(
    stages: &mut Stages<'_>,
    choice: &Choice<'_>,
    redeploy: bool,
) -> Result<Vec<ReceiptPlan>, Diagnostics> {
    let mut by_service: HashMap<&str, Vec<&Target<'_>>> = HashMap::new();
    for target in choice
        .targets
        .iter()
        .filter(|target| !target.service.properties)
    {
        by_service
            .entry(&target.service.name)
            .or_default()
            .push(target);
    }
    let mut receipts = Vec::new();
    for together in &stages.config.deployment_order {
        let services: Vec<&str> = together
            .iter()
            .map(String::as_str)
            .filter(|service| by_service.contains_key(service))
            .collect();
        let targets: Vec<&Target<'_>> = services
            .iter()
            .filter_map(|service| by_service.get(service))
            .flatten()
            .copied()
            .collect();
        let mut jobs = Vec::new();
        for target in host_by_host(&targets) {
            jobs.push(Job::Chain(chain(target)?));
            receipts.push(ReceiptPlan {
                job: format!("{}.{}", stages.next_number(), jobs.len()),
                service: target.service.name.clone(),
                version: target.package.version.clone(),
                from: target.running.clone(),
                install_location: target.install_location.clone(),
                redeploy,
            });
        }
        stages.push(
            format!("Deploy {}", some_of(&services)),
            stages.deploy(),
            jobs,
        );
    }
    Ok(receipts)
}

/// The same targets by host, hosts in the order of their first target.
fn host_by_host<'t, 'a>(targets: &[&'t Target<'a>]) -> Vec<&'t Target<'a>> {
    let mut seen: HashSet<&HostName> = HashSet::new();
    let hosts: Vec<&HostName> = targets
        .iter()
        .map(|target| target.host)
        .filter(|host| seen.insert(*host))
        .collect();
    let place: HashMap<&HostName, usize> = hosts
        .iter()
        .enumerate()
        .map(|(place, host)| (*host, place))
        .collect();
    let mut sorted = targets.to_vec();
    // A stable sort: the services of a host keep their order.
    sorted.sort_by_key(|target| place.get(target.host));
    sorted
}

fn chain(target: &Target<'_>) -> Result<Vec<Task>, Diagnostics> {
    let service = target.service;
    let is_enabled = target.is_enabled();
    let balanced = match (&service.lb_service, target.balancer) {
        (Some(server), Some(balancer)) if is_enabled => Some(balancing(
            balancer,
            target.text("lb_service", server)?,
            service.lb_timeout,
        )),
        _ => None,
    };
    let control = service.control.as_ref().filter(|_| is_enabled);
    let mut chain = Vec::new();
    if let Some(args) = &balanced {
        chain.push(target.task("disable_loadbalancer", args.clone()));
    }
    if let Some(control) = control {
        chain.push(controlled(target, control, "stop_service")?);
    }
    let release = format!("{}/{}", target.install_location, target.release_name());
    let link = format!("{}/{}", target.install_location, service.name);
    let unpacked = Node::from(target.unpacked());
    let moved = [
        ("source", unpacked),
        ("destination", release.into()),
        ("clobber", true.into()),
    ];
    chain.push(target.task("movefile", moved));
    chain.push(target.task(
        "symlink",
        [("source", target.release_name()), ("destination", link)],
    ));
    if let Some(control) = control {
        chain.push(controlled(target, control, "start_service")?);
    }
    if let Some(check) = service.check.as_ref().filter(|_| is_enabled) {
        let (key, question) = match check {
            Check::Url(url) => ("url", target.text("check", url)?),
            Check::Command(line) => ("check_command", target.text("check_command", line)?),
        };
        let timeout = i64::from(service.control_timeout);
        let args = [(key, Node::from(question)), ("timeout", timeout.into())];
        chain.push(target.task("check_service", args));
    }
    if let Some(args) = balanced {
        chain.push(target.task("enable_loadbalancer", args));
    }
    Ok(chain)
}

/// The arguments of both commands about load balancers.
fn balancing(balancer: &Balancer, server: String, timeout: u32) -> Vec<(&'static str, Node)> {
    let mut args = vec![
        ("lb_hostname", Node::from(balancer.host.as_str())),
        ("lb_service", server.into()),
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
            .map(|password| ("lb_password", node(password))),
    );
    args.push(("timeout", i64::from(timeout).into()));
    args
}

/// A string, or the reference to a secret that stands for it.
fn node(text: &Text) -> Node {
    match text.secrets().next() {
        Some(secret) => Node::from(secret.clone()),
        None => Node::from(text.as_plain().unwrap_or_default().as_ref()),
    }
}

/// `stop_service` or `start_service`.
fn controlled(target: &Target<'_>, control: &Control, command: &str) -> Result<Task, Diagnostics> {
    let supervised = |kind: &str, name: &str| -> Result<Vec<(&'static str, Node)>, Diagnostics> {
        let name = target.text("control", name)?;
        Ok(vec![
            ("servicename", name.into()),
            ("control_type", kind.into()),
        ])
    };
    let mut args = match &control.kind {
        ControlKind::Systemd(unit) => supervised("systemd", unit)?,
        ControlKind::Runit(dir) => supervised("runit", dir)?,
        ControlKind::Daemontools(dir) => supervised("daemontools", dir)?,
        ControlKind::Commands { stop, .. } if command == "stop_service" => {
            // At a first deploy there is nothing to stop, and mostly nothing to stop it with.
            let link = format!("{}/{}", target.install_location, target.service.name);
            vec![
                ("stop_command", target.text("control.stop", stop)?.into()),
                ("if_exists", link.into()),
            ]
        }
        ControlKind::Commands { start, .. } => {
            vec![("start_command", target.text("control.start", start)?.into())]
        }
    };
    args.push(("timeout", i64::from(target.service.control_timeout).into()));
    Ok(Task {
        use_sudo: control.sudo.then_some(true),
        ..target.task(command, args)
    })
}
