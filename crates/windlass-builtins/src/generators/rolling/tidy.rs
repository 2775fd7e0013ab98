//! What is done once everything runs: unpacked trees and old versions go.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use windlass_engine::host::{HostError, Hosts};
use windlass_model::ids::HostName;
use windlass_model::step::{Reply, Run, Want};
use windlass_model::tasklist::{Job, Task};
use windlass_model::tree::Node;

use super::look::{ASKED_AT_ONCE, PATIENCE, batch, reply};
use super::stages::Stages;
use super::target::{Choice, Said, Target};
use crate::sh::quote;

/// Of the hosts on which nothing is to be done, leaves those where an earlier deploy left unpacked packages, and says so. A host
/// that does not answer has none. Changes nothing there.
pub(super) async fn keep_those_with_leftovers(
    choice: &mut Choice<'_>,
    hosts: Arc<dyn Hosts>,
    user: Option<&str>,
) {
    // Where anything is unpacked the whole directory goes in any case.
    let cleared: HashSet<(HostName, String)> = choice.unpacked().map(unpack_place).collect();
    choice
        .done
        .retain(|target| !cleared.contains(&unpack_place(target)));
    let mut questions: BTreeMap<HostName, Vec<String>> = BTreeMap::new();
    for target in &choice.done {
        let asked = questions.entry(target.host.clone()).or_default();
        asked.push(target.unpack_dir.clone());
    }
    let hosts = &hosts;
    let asked: Vec<_> = questions
        .into_iter()
        .map(|(host, places)| async move {
            let there =
                tokio::time::timeout(PATIENCE, which_are_there(hosts, user, &host, &places));
            let there = there.await.ok().and_then(Result::ok).unwrap_or_default();
            let places = places.into_iter().zip(there);
            let left = places.filter_map(|(place, is_there)| is_there.then_some(place));
            left.map(|place| (host.clone(), place)).collect::<Vec<_>>()
        })
        .collect();
    let left: HashSet<(HostName, String)> = stream::iter(asked)
        .buffer_unordered(ASKED_AT_ONCE)
        .flat_map(stream::iter)
        .collect()
        .await;
    choice
        .done
        .retain(|target| left.contains(&unpack_place(target)));
    for target in &choice.done {
        choice.said.push(Said {
            host: Some(target.host.clone()),
            service: target.service.name.clone(),
            message: format!(
                "an earlier deploy left {}: it is removed",
                target.unpack_dir
            ),
        });
    }
}

fn unpack_place(target: &Target<'_>) -> (HostName, String) {
    (target.host.clone(), target.unpack_dir.clone())
}

async fn which_are_there(
    hosts: &Arc<dyn Hosts>,
    user: Option<&str>,
    host: &HostName,
    places: &[String],
) -> Result<Vec<bool>, HostError> {
    let mut talk = hosts.converse(host, user).await?;
    let steps = places.iter().map(|place| {
        let script = format!("[ -e {} ]", quote(place));
        Run::script(script).want(Want::Any).into()
    });
    talk.send(batch(steps.collect()), &Arc::default()).await?;
    let mut there = Vec::with_capacity(places.len());
    for _ in places {
        let reply = reply(&mut *talk).await?;
        there.push(matches!(reply, Reply::Ran { status: 0, .. }));
    }
    talk.close().await;
    Ok(there)
}

/// The directory of unpacked packages, whole: it holds nothing but what this run and failed ones before it left.
pub(super) fn remove_temp(stages: &mut Stages<'_>, choice: &Choice<'_>) {
    let mut seen = HashSet::new();
    let jobs = choice
        .tidied()
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
    for target in choice.tidied() {
        let mut tarballs = old(stages, target, &target.destination, "[_-]");
        if !target.service.properties {
            let releases = target.install_location.as_str();
            tarballs.args.set("releases", releases);
            jobs.push(Job::Task(tarballs));
            jobs.push(Job::Task(old(stages, target, releases, "_")));
        } else {
            jobs.push(Job::Task(tarballs));
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
