//! Taking releases into service: out of the balancer, stop, switch, start, check, and back.

use std::collections::HashMap;

use windlass_model::diagnostic::Diagnostics;
use windlass_model::ids::HostName;
use windlass_model::receipt::ReceiptPlan;
use windlass_model::tasklist::{Job, Task};
use windlass_model::tree::Node;

use super::super::packages::some_of;
use super::control::{self, Action};
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
        for target in host_by_host(&targets, |target| target.host) {
            jobs.push(Job::Chain(chain(target, Release::Unpacked)?));
            receipts.push(ReceiptPlan {
                job: format!("{}.{}", stages.next_number(), jobs.len()),
                service: target.service.name.clone(),
                version: target.package.version.clone(),
                from: target.running.clone(),
                install_location: target.install_location.clone(),
                redeploy,
                migrated: target.service.migration_command.is_some(),
                ..ReceiptPlan::default()
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
pub(super) fn host_by_host<'t, T>(
    targets: &[&'t T],
    host_of: impl Fn(&T) -> &HostName,
) -> Vec<&'t T> {
    let mut place: HashMap<HostName, usize> = HashMap::new();
    for target in targets {
        let next = place.len();
        place.entry(host_of(target).clone()).or_insert(next);
    }
    let mut sorted = targets.to_vec();
    // A stable sort: the services of a host keep their order.
    sorted.sort_by_key(|target| place.get(host_of(target)).copied());
    sorted
}

/// Where a release comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Release {
    /// It was unpacked by the stages before.
    Unpacked,
    /// It lies where it ran before.
    Kept,
}

/// Takes a release into service on a host.
pub(super) fn chain(target: &Target<'_>, from: Release) -> Result<Vec<Task>, Diagnostics> {
    let service = target.service;
    let is_enabled = target.is_enabled();
    let control = service.control.as_ref().filter(|_| is_enabled);
    let mut chain = Vec::new();
    if is_enabled {
        chain.extend(control::balance(target, "disable_loadbalancer")?);
    }
    if let Some(control) = control {
        chain.push(control::act(target, control, Action::Stop)?);
    }
    let release = format!("{}/{}", target.install_location, target.release_name());
    let link = format!("{}/{}", target.install_location, service.name);
    let unpacked = Node::from(target.unpacked());
    if from == Release::Unpacked {
        let moved = [
            ("source", unpacked),
            ("destination", release.into()),
            ("clobber", true.into()),
        ];
        chain.push(target.task("movefile", moved));
    }
    chain.push(target.task(
        "symlink",
        [("source", target.release_name()), ("destination", link)],
    ));
    if let Some(control) = control {
        chain.push(control::act(target, control, Action::Start)?);
    }
    if is_enabled {
        chain.extend(control::check(target)?);
        chain.extend(control::balance(target, "enable_loadbalancer")?);
    }
    Ok(chain)
}
