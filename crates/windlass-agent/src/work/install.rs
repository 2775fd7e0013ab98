//! An install: the behaviour's tasklist is run with the resource at hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use windlass_engine::registry::Work;
use windlass_model::ids::HostName;
use windlass_model::release::work::{INSTALL_KEY, resource_name};
use windlass_model::release::{
    Ask, Environment, InstallFacts, InstallSpec, ResourceFacts, TargetName, Version,
};
use windlass_model::step::Level;

use super::run::{Done, Runner};
use super::{BehaviourConfig, Failure, FailureKind, Job, Tools, config_of};
use crate::scratch::Scratch;

/// The component of its log lines.
const COMPONENT: &str = "Installer";

/// A named target, as an installer's config has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetConfig {
    /// Where to; absolute. A slash at its end says that it is a directory to put things into.
    pub install_path: Option<String>,
    /// What installs it.
    pub behaviour: BehaviourConfig,
}

/// An install to be done.
pub struct InstallWork {
    /// What is asked for.
    pub spec: InstallSpec,
    /// The resource, fetched and verified. It is not changed.
    pub resource: PathBuf,
    /// Where to, and how.
    pub target: TargetConfig,
    /// What this machine is called in rows.
    pub machine: HostName,
}

/// A host, and what it has of the target now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The host.
    pub host: HostName,
    /// The version; absent where none is known.
    pub version: Option<Version>,
}

/// What an install gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// A row for each host: this machine, or those that the tasklist names.
    pub rows: Vec<Row>,
}

/// An install that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallFailed {
    /// Why.
    pub failure: Failure,
    /// The hosts that have the new version all the same.
    pub rows: Vec<Row>,
}

impl From<Failure> for InstallFailed {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            rows: Vec::new(),
        }
    }
}

/// Installs. The caller has asked the [`crate::fence::Fence`] before. Dropping the future leaves running programs alone; interrupt the job
/// instead.
pub async fn install(
    work: &InstallWork,
    tools: &Tools,
    job: Job,
) -> Result<Installed, InstallFailed> {
    let name = &work.spec.resource.name;
    resource_name(name).map_err(|why| Failure::new(FailureKind::Input, why))?;
    let scratch = Scratch::new(&tools.work, job.run.as_str())
        .map_err(|e| Failure::own("the directory of the job cannot be made", e))?;
    let path = scratch.path().join(name);
    let (from, to) = (work.resource.clone(), path.clone());
    tokio::task::spawn_blocking(move || named(&from, &to))
        .await
        .map_err(|e| Failure::own("the resource", e))?
        .map_err(|e| Failure::own("the resource cannot be had from where it was fetched to", e))?;
    let spec = &work.spec;
    let facts = InstallFacts {
        ask: Ask::Install,
        environment: spec.environment.clone(),
        target: spec.target.clone(),
        install_path: work.target.install_path.clone(),
        resource: Some(ResourceFacts {
            transaction: spec.transaction.clone(),
            job: job.id.clone(),
            epoch: job.epoch,
            project: spec.release.project.clone(),
            version: spec.release.version.clone(),
            previous: spec
                .previous
                .as_ref()
                .map(|release| release.version.clone()),
            path,
            name: name.clone(),
            digest: spec.resource.digest.clone(),
            request: spec.request.clone(),
        }),
    };
    let runner = Runner::start(tools, job, scratch.path()).await?;
    let ran = run(&work.target, &facts, tools, &runner).await;
    let version = Some(spec.release.version.clone());
    let rows = hosts_that_have_all(&runner.done(), &work.machine)
        .into_iter()
        .map(|host| Row {
            host,
            version: version.clone(),
        })
        .collect();
    let message = match &ran {
        Ok(()) => format!(
            "Installed {} as {} in {}",
            spec.release, spec.target, spec.environment
        ),
        Err(failure) => failure.message.clone(),
    };
    let level = if ran.is_ok() {
        Level::Info
    } else {
        Level::Error
    };
    runner.say(level, COMPONENT, &message);
    runner.finish().await;
    let _ = tokio::task::spawn_blocking(move || drop(scratch)).await;
    match ran {
        Ok(()) => Ok(Installed { rows }),
        Err(failure) => Err(InstallFailed { failure, rows }),
    }
}

/// What is installed, host by host; with [`Ask::ResetVersion`] it is forgotten first. Empty where the behaviour cannot tell: then the
/// agent's own record does.
pub async fn versions(
    ask: Ask,
    environment: &Environment,
    target: &TargetName,
    config: &TargetConfig,
    machine: &HostName,
    tools: &Tools,
    job: Job,
) -> Result<Vec<Row>, Failure> {
    let facts = InstallFacts {
        ask,
        environment: environment.clone(),
        target: target.clone(),
        install_path: config.install_path.clone(),
        resource: None,
    };
    let scratch = Scratch::new(&tools.work, job.run.as_str())
        .map_err(|e| Failure::own("the directory of the job cannot be made", e))?;
    let runner = Runner::start(tools, job, scratch.path()).await?;
    let ran = run(config, &facts, tools, &runner).await;
    let rows = runner.done().into_iter().map(|done| Row {
        host: here(&done.task.host, machine),
        version: done.output.and_then(|text| text.trim().parse().ok()),
    });
    let rows = rows.collect();
    runner.finish().await;
    ran.map(|()| rows)
}

async fn run(
    target: &TargetConfig,
    facts: &InstallFacts,
    tools: &Tools,
    runner: &Runner<'_>,
) -> Result<(), Failure> {
    let behaviour = target.behaviour.find(&tools.registry, Work::Install)?;
    let mut written = target.behaviour.config.clone();
    if let Some(resource) = &facts.resource
        && !written.contains_key("component")
        && !written.contains_key("directory")
    {
        // What a generator of a deploy takes for its packages.
        let path = resource.path.to_string_lossy().into_owned();
        written.insert("component".into(), Value::Array(vec![path.into()]));
    }
    let config = config_of(behaviour.name(), &written, INSTALL_KEY, facts)?;
    let user = config.user()?;
    let tasklist = runner.generate(&*behaviour, config, Vec::new()).await?;
    if facts.ask == Ask::Install && tasklist.tasks().next().is_none() {
        let why = "the behaviour made a tasklist without tasks";
        return Err(Failure::new(FailureKind::Input, why));
    }
    runner.run(&tasklist, user).await
}

/// The hosts on which everything that was to be done there was. This machine is one of them only when no other is.
fn hosts_that_have_all(done: &[Done], machine: &HostName) -> Vec<HostName> {
    let mut hosts: BTreeMap<&HostName, bool> = BTreeMap::new();
    for done in done {
        let all = hosts.entry(&done.task.host).or_insert(true);
        *all &= done.outcome.lets_go_on();
    }
    if hosts.keys().any(|host| !host.is_local()) {
        hosts.retain(|host, _| !host.is_local());
    }
    let good = hosts.into_iter().filter(|(_, all)| *all);
    good.map(|(host, _)| here(host, machine)).collect()
}

fn here(host: &HostName, machine: &HostName) -> HostName {
    match host.is_local() {
        true => machine.clone(),
        false => host.clone(),
    }
}

/// The resource under its own name: by a link where that can be, else by a copy.
fn named(from: &Path, to: &Path) -> std::io::Result<()> {
    match std::fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(_) => std::fs::copy(from, to).map(drop),
    }
}
