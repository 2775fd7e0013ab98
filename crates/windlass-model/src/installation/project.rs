//! `project_definition_*`: what can be built and installed.

use std::collections::BTreeMap;

use super::keys::{self, At, Keys};
use super::{Document, Read, code};
use crate::config::Share;
use crate::release::{Project, TargetName};
use crate::tree::{Map, Value};

const TARGETS_HINT: &str =
    "as in `targets: [webapp, static]`, or `<targets><target>webapp</target></targets>`";

/// A project.
#[derive(Clone, Debug)]
pub struct ProjectDefinition {
    /// Its name.
    pub name: Project,
    /// The named targets that it is composed of; at least one.
    pub targets: Vec<TargetName>,
    /// Actions beside `build` and `install`: name -> generator.
    pub actions: BTreeMap<String, String>,
    /// How installs go to many installers.
    pub rollout: Rollout,
    /// Keys that are none of ours.
    pub rest: Map,
}

/// How installs go to many installers. The default: everywhere at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollout {
    /// Targets one after the other; those of one list at once, those that are not named at the end. Empty: all at once.
    pub order: Vec<Vec<TargetName>>,
    /// Installers at once; none: all.
    pub batch: Option<Share>,
    /// Installers that may fail before it stops: 0.
    pub max_failures: Option<Share>,
    /// What then happens.
    pub on_failure: OnFailure,
}

/// What happens when an install fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// What is not begun is not begun.
    #[default]
    Stop,
    /// What was installed goes back to the release before.
    Rollback,
}

impl ProjectDefinition {
    /// Reads `project_definition_FILE`.
    pub fn read(document: &Document, file: &str) -> Read<Self> {
        keys::read(document, |keys| {
            let name = code::name(keys, file);
            keys.get("klass");
            keys.get("package");
            let targets = targets(keys);
            let actions = actions(keys);
            let rollout = keys
                .below("rollout", |keys| rollout(keys, &targets))
                .unwrap_or_default();
            let rest = keys.rest();
            Some(Self {
                name: name?,
                targets,
                actions,
                rollout,
                rest,
            })
        })
    }
}

fn targets(keys: &mut Keys<'_>) -> Vec<TargetName> {
    let Some(at) = keys.get("targets") else {
        keys.missing::<()>("targets", TARGETS_HINT);
        return Vec::new();
    };
    let Some(names) = keys.names_of::<TargetName>(&at) else {
        return Vec::new();
    };
    if names.is_empty() && at.node.as_list().is_some_and(<[_]>::is_empty) {
        let message = "a project needs a named target at least".into();
        keys.error(at.node.span, &at.path, message, Some(TARGETS_HINT));
    }
    names.into_iter().map(|(name, _)| name).collect()
}

fn actions(keys: &mut Keys<'_>) -> BTreeMap<String, String> {
    let mut actions = BTreeMap::new();
    for (entry, path) in keys.entries("actions") {
        // An action's name stands in requests and in URLs, as a project's does.
        let Some(name) = keys.key_name::<Project>(entry, &path) else {
            continue;
        };
        if matches!(name.as_str(), "build" | "install") {
            let message = format!("the action `{name}` is built in");
            keys.error(entry.key_span, &path, message, Some("give it another name"));
            continue;
        }
        let at = At {
            key: &entry.key,
            path,
            node: std::borrow::Cow::Borrowed(&entry.value),
        };
        if let Some(generator) = keys.name_of::<Project>(&at) {
            actions.insert(name.to_string(), generator.to_string());
        }
    }
    actions
}

fn rollout(keys: &mut Keys<'_>, targets: &[TargetName]) -> Rollout {
    let on_failure = [("stop", OnFailure::Stop), ("rollback", OnFailure::Rollback)];
    Rollout {
        order: order(keys, targets),
        batch: keys.share("batch", 1),
        max_failures: keys.share("max_failures", 0),
        on_failure: keys.word("on_failure", &on_failure).unwrap_or_default(),
    }
}

fn order(keys: &mut Keys<'_>, targets: &[TargetName]) -> Vec<Vec<TargetName>> {
    let mut seen: Vec<TargetName> = Vec::new();
    let mut order = Vec::new();
    for at in keys.list("order").unwrap_or_default() {
        let names = match &at.node.value {
            Value::String(_) => keys
                .name_of::<TargetName>(&at)
                .map(|name| vec![(name, at.node.span)]),
            _ => keys.names_of::<TargetName>(&at),
        };
        let mut together = Vec::new();
        for (name, span) in names.unwrap_or_default() {
            if seen.contains(&name) {
                let message = format!("`{name}` stands in `order` twice");
                keys.error(span, &at.path, message, Some("keep one of them"));
            } else if !targets.contains(&name) {
                let message = format!("`{name}` is no target of this project");
                let known: Vec<&str> = targets.iter().map(TargetName::as_str).collect();
                let hint = format!("its targets: {}", known.join(", "));
                keys.error(span, &at.path, message, Some(&hint));
            } else {
                seen.push(name.clone());
                together.push(name);
            }
        }
        if !together.is_empty() {
            order.push(together);
        }
    }
    order
}
