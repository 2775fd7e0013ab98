//! What is done once everything runs: unpacked trees and old versions go.

use std::collections::HashSet;

use windlass_model::tasklist::{Job, Task};
use windlass_model::tree::Node;

use super::stages::Stages;
use super::target::{Choice, Target};

/// The directory of unpacked packages, whole: it holds nothing but what this run and failed ones before it left.
pub(super) fn remove_temp(stages: &mut Stages<'_>, choice: &Choice<'_>) {
    let mut seen = HashSet::new();
    let jobs = choice
        .unpacked()
        .filter(|target| seen.insert((target.host, target.unpack_dir.clone())))
        .map(|target| {
            let mut task = target.task("removefile", [("source", target.unpack_dir.clone())]);
            // Not about one service.
            task.tag = None;
            Job::Task(task)
        })
        .collect();
    stages.push("Remove temp directories", stages.non_deploy(), jobs);
}

/// Tarballs and releases beyond those to keep.
pub(super) fn cleanup(stages: &mut Stages<'_>, choice: &Choice<'_>) {
    let mut jobs = Vec::new();
    for target in choice.unpacked() {
        jobs.push(Job::Task(old(stages, target, &target.destination, "[_-]")));
        if !target.service.properties {
            jobs.push(Job::Task(old(
                stages,
                target,
                &target.install_location,
                "_",
            )));
        }
    }
    stages.push("Cleanup", stages.non_deploy(), jobs);
}

/// `between`: what stands between service and version in the names there.
fn old(stages: &Stages<'_>, target: &Target<'_>, path: &str, between: &str) -> Task {
    let service = &target.service.name;
    let keep = i64::from(stages.config.keep_versions);
    let mut args: Vec<(&'static str, Node)> = vec![
        ("path", path.into()),
        ("filespec", format!("{service}{between}*").into()),
        ("keepversions", keep.into()),
        ("currentversion", target.package.version.as_str().into()),
    ];
    // `shop_*` takes in what belongs to a service `shop_admin`.
    let others: Vec<String> = stages
        .config
        .services
        .iter()
        .filter(|other| {
            other
                .name
                .strip_prefix(service.as_str())
                .is_some_and(|rest| rest.starts_with(['_', '-']))
        })
        .map(|other| format!("{}{between}*", other.name))
        .collect();
    if !others.is_empty() {
        args.push(("except", others.into()));
    }
    target.task("cleanup", args)
}
