//! Whether a request can be done, and by whom: pure.

use std::collections::BTreeSet;

use windlass_model::release::{
    Advertisement, AgentName, Environment, Project, Request, TargetName, Wanted,
};

use crate::settings::{ProjectSettings, Settings};

/// What routing knows of an agent.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) name: AgentName,
    pub(super) draining: bool,
    pub(super) advertisement: Advertisement,
}

/// What routing knows of a release that is asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownRelease {
    pub(super) targets: Vec<TargetName>,
    pub(super) rejected: Option<String>,
    /// Whether it is installed in the environment from which the one that is asked for takes its releases.
    pub(super) in_from: bool,
}

/// A request that can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Routed {
    /// The targets of what is built or installed.
    pub(super) targets: Vec<TargetName>,
    /// Whether it installs.
    pub(super) installs: bool,
}

/// Whether it can be done; else why not, for people.
pub(super) fn route(
    request: &Request,
    settings: &Settings,
    agents: &[Known],
    release: Option<&KnownRelease>,
) -> Result<Routed, String> {
    let project = &request.project;
    let Some(known) = settings.projects.get(project) else {
        return Err(unknown(
            "project",
            project.as_str(),
            settings.projects.keys().map(Project::as_str),
        ));
    };
    let installs = request.environment.is_some() && request.action == "install";
    if !matches!(request.action.as_str(), "build" | "install")
        && !known.actions.contains_key(&request.action)
    {
        let own = known.actions.keys().map(String::as_str);
        let mut names: Vec<&str> = vec!["build", "install"];
        names.extend(own);
        return Err(format!(
            "project {project} has no action {:?}; it has {}",
            request.action,
            names.join(", ")
        ));
    }
    if request.action != "install"
        && let Wanted::Release(id) = &request.wanted
    {
        return Err(format!(
            "{id} is built already: `release` can be installed, and `{}` takes a source",
            request.action
        ));
    }
    let wanted = targets(request, known)?;
    let targets = match (&request.wanted, release) {
        (Wanted::Release(id), None) => return Err(format!("there is no release {id}")),
        (Wanted::Release(id), Some(release)) => {
            if let Some(why) = &release.rejected {
                return Err(format!("release {id} was rejected: {why}"));
            }
            let has = |t: &&TargetName| release.targets.contains(t);
            match wanted.iter().find(|t| !release.targets.contains(t)) {
                Some(missing) if request.components.is_some() => {
                    return Err(format!("release {id} has nothing for target {missing}"));
                }
                _ => wanted.iter().filter(has).cloned().collect(),
            }
        }
        (Wanted::Source { .. }, _) => wanted,
    };
    if matches!(request.wanted, Wanted::Source { .. })
        && !agents.iter().any(|a| a.advertisement.builds(project))
    {
        return Err(format!("no builder advertises project {project}"));
    }
    if let Some(environment) = &request.environment
        && installs
    {
        installable(environment, &targets, settings, agents)?;
        if let Some(from) = settings
            .environments
            .get(environment)
            .and_then(|e| e.from.as_ref())
        {
            let there = release.is_some_and(|r| r.in_from);
            if !there {
                return Err(match &request.wanted {
                    Wanted::Release(id) => format!(
                        "environment {environment} takes what is installed in {from}, and {id} is not"
                    ),
                    Wanted::Source { .. } => format!(
                        "environment {environment} takes what is installed in {from}: name a `release` that is there"
                    ),
                });
            }
        }
    }
    Ok(Routed { targets, installs })
}

/// The targets that are asked for, of those that the project has.
fn targets(request: &Request, known: &ProjectSettings) -> Result<Vec<TargetName>, String> {
    let Some(components) = &request.components else {
        return Ok(known.targets.clone());
    };
    let missing = components.iter().find(|c| !known.targets.contains(c));
    match missing {
        Some(missing) => Err(unknown(
            "component",
            missing.as_str(),
            known.targets.iter().map(TargetName::as_str),
        )),
        None => Ok(components.clone()),
    }
}

fn installable(
    environment: &Environment,
    targets: &[TargetName],
    settings: &Settings,
    agents: &[Known],
) -> Result<(), String> {
    let advertised: BTreeSet<&Environment> = agents
        .iter()
        .filter_map(|agent| match &agent.advertisement {
            Advertisement::Environments(environments) => Some(environments.keys()),
            Advertisement::Projects(_) => None,
        })
        .flatten()
        .collect();
    if !advertised.contains(environment) && !settings.environments.contains_key(environment) {
        let names = advertised.into_iter().map(Environment::as_str);
        return Err(unknown("environment", environment.as_str(), names));
    }
    if targets.is_empty() {
        return Err("there is no target to install into".into());
    }
    let missing: Vec<&str> = targets
        .iter()
        .filter(|target| installers(environment, target, agents).next().is_none())
        .map(TargetName::as_str)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "no installer advertises {} in environment {environment}",
        missing.join(", ")
    ))
}

/// The installers of a target.
pub(super) fn installers<'a>(
    environment: &'a Environment,
    target: &'a TargetName,
    agents: &'a [Known],
) -> impl Iterator<Item = &'a Known> {
    agents
        .iter()
        .filter(move |agent| agent.advertisement.installs(environment, target))
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    let near = windlass_model::diagnostic::nearest(name, known.iter().copied());
    match (near, known.is_empty()) {
        (Some(near), _) => format!("there is no {what} {name:?}; did you mean {near}?"),
        (None, true) => format!("there is no {what} {name:?}; there is none at all"),
        (None, false) => format!("there is no {what} {name:?}; there is {}", known.join(", ")),
    }
}
