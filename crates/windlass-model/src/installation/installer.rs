//! `release_installer_*`: the service that installs. `named_target_*` and `install_behavior_*`: what it can install in one
//! environment, and how.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::agent::{Agent, agent};
use super::keys::{self, At, Keys};
use super::service::lookup;
use super::{Code, Document, Read, Settings, code};
use crate::diagnostic::Span;
use crate::release::{Environment, TargetName};
use crate::tree::Map;

const ENVIRONMENTS_HINT: &str = "as in `environments: {test: [webapp]}`, or `<environments><test><target>webapp</target></test></environments>`";

/// The installer.
#[derive(Clone, Debug)]
pub struct ReleaseInstaller {
    /// Name, managers, slots.
    pub agent: Agent,
    /// What it advertises: the named targets of each environment, and where that is said.
    pub environments: BTreeMap<Environment, Advertised>,
    /// Keys that are none of ours.
    pub rest: Map,
}

/// What is advertised of an environment.
#[derive(Clone, Debug, Default)]
pub struct Advertised {
    /// Where the environment is named.
    pub span: Span,
    /// The targets, and where each is named.
    pub targets: Vec<(TargetName, Span)>,
}

/// A destination.
#[derive(Clone, Debug)]
pub struct NamedTarget {
    /// Its name.
    pub name: TargetName,
    /// The name of its install behaviour, which is looked up in the same environment.
    pub install_behavior: String,
    /// Where to, relative to the installation.
    pub install_path: String,
    /// Keys that are none of ours; the behaviour gets them over its own.
    pub settings: Settings,
}

/// How something is installed.
#[derive(Clone, Debug)]
pub struct InstallBehavior {
    /// Its name.
    pub name: String,
    /// The behaviour.
    pub code: Code,
    /// The behaviour's config.
    pub settings: Settings,
}

impl ReleaseInstaller {
    /// Reads `release_installer_FILE`.
    pub fn read(document: &Document, file: &str) -> Read<Self> {
        keys::read(document, |keys| {
            let agent = agent(keys, file);
            let environments = environments(keys);
            Some(Self {
                agent,
                environments,
                rest: keys.rest(),
            })
        })
    }
}

fn environments(keys: &mut Keys<'_>) -> BTreeMap<Environment, Advertised> {
    let mut all = BTreeMap::new();
    let entries = keys.entries("environments");
    if entries.is_empty() && keys.get("environments").is_none() {
        keys.missing::<()>("environments", ENVIRONMENTS_HINT);
    }
    for (entry, path) in entries {
        let name = keys.key_name::<Environment>(entry, &path);
        let at = At {
            key: &entry.key,
            path,
            node: Cow::Borrowed(&entry.value),
        };
        let targets = keys.names_of::<TargetName>(&at);
        if let Some(name) = name {
            let advertised = Advertised {
                span: entry.key_span,
                targets: targets.unwrap_or_default(),
            };
            all.insert(name, advertised);
        }
    }
    all
}

impl NamedTarget {
    /// Reads `named_target_FILE`.
    pub fn read(document: &Document, file: &str) -> Read<Self> {
        keys::read(document, |keys| {
            let name = code::name(keys, file);
            keys.get("klass");
            keys.get("package");
            let behavior = needed(
                keys,
                "install_behavior",
                lookup,
                "the name of one: `install_behavior: webapp` is install_behavior_webapp in the same directory",
            );
            let path = needed(
                keys,
                "install_path",
                Keys::text,
                "where to install, as in `install_path: /srv/webapp`",
            );
            let settings = Settings::new(document, keys.rest());
            Some(Self {
                name: name?,
                install_behavior: behavior?,
                install_path: path?,
                settings,
            })
        })
    }
}

impl InstallBehavior {
    /// Reads `install_behavior_FILE`.
    pub fn read(document: &Document, file: &str) -> Read<Self> {
        keys::read(document, |keys| {
            let name = code::name::<TargetName>(keys, file);
            let code = code::code(keys, "windlass.install");
            let settings = Settings::new(document, keys.rest());
            Some(Self {
                name: name?.to_string(),
                code: code?,
                settings,
            })
        })
    }
}

fn needed<'a>(
    keys: &mut Keys<'a>,
    key: &'static str,
    take: impl FnOnce(&mut Keys<'a>, &'static str) -> Option<String>,
    hint: &str,
) -> Option<String> {
    if keys.get(key).is_none() {
        return keys.missing(key, hint);
    }
    take(keys, key)
}
