//! `release_manager_*`: the manager.

use std::collections::BTreeMap;

use super::keys::{self, Keys};
use super::service::{self, lookup};
use super::{Document, Listen, Read, Service};
use crate::diagnostic::Span;
use crate::release::Environment;
use crate::tree::Map;

const ADDRESS: &str = "127.0.0.1";
const PORT: u16 = 10_000;
const REQUEST_LIMIT: u64 = 1 << 20;

/// A manager.
#[derive(Clone, Debug)]
pub struct Manager {
    /// Name, logging, auth, directory of work.
    pub service: Service,
    /// Where clients and agents find it: 127.0.0.1, 10000.
    pub listen: Listen,
    /// HTTPS, if it is spoken.
    pub tls: Option<Tls>,
    /// Longest request, in bytes: 1 MiB.
    pub request_limit: u64,
    /// Seconds that an installer which is away has to come back: 600.
    pub install_deadline: u32,
    /// Seconds that an agent has a job without saying so again: 30.
    pub lease: u32,
    /// The name of the persistence plugin; none: SQLite in the work directory.
    pub persist: Option<String>,
    /// Whether anonymous clients may come from beyond this machine.
    pub allow_anonymous_remote: bool,
    /// What holds for installs into an environment.
    pub environments: BTreeMap<Environment, EnvironmentRules>,
    /// Keys that are none of ours.
    pub rest: Map,
}

/// A certificate and its key: PEM files, relative to the installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The chain.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// What holds for installs into an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvironmentRules {
    /// A release must be installed there first.
    pub from: Option<Environment>,
}

impl Manager {
    /// Reads `release_manager_FILE`.
    pub fn read(document: &Document, file: &str) -> Read<Self> {
        keys::read(document, |keys| {
            let service = service::service(keys, file);
            let manager = Self {
                listen: Listen {
                    address: keys
                        .text("listen_address")
                        .unwrap_or_else(|| ADDRESS.into()),
                    port: port(keys).unwrap_or(PORT),
                },
                tls: tls(keys),
                request_limit: keys
                    .whole("request_limit", 1024..=1 << 40)
                    .unwrap_or(REQUEST_LIMIT),
                install_deadline: keys.count("install_deadline", 1..=31_536_000, 600),
                lease: keys.count("lease", 5..=3600, 30),
                persist: lookup(keys, "persist"),
                allow_anonymous_remote: keys.truth("allow_anonymous_remote").unwrap_or(false),
                environments: environments(keys),
                rest: keys.rest(),
                service,
            };
            Some(manager)
        })
    }
}

pub(super) fn port(keys: &mut Keys<'_>) -> Option<u16> {
    let port = keys.whole("listen_port", 0..=65_535)?;
    u16::try_from(port).ok()
}

fn tls(keys: &mut Keys<'_>) -> Option<Tls> {
    keys.below("tls", |keys| {
        let certificate = keys.text("certificate");
        let key = keys.text("key");
        for (name, value) in [("certificate", &certificate), ("key", &key)] {
            if value.is_none() && keys.get(name).is_none() {
                keys.missing::<()>(name, "a PEM file; HTTPS needs a certificate and its key");
            }
        }
        Some(Tls {
            certificate: certificate?,
            key: key?,
        })
    })
    .flatten()
}

fn environments(keys: &mut Keys<'_>) -> BTreeMap<Environment, EnvironmentRules> {
    let mut all = BTreeMap::new();
    let mut places: BTreeMap<Environment, (Span, String)> = BTreeMap::new();
    for (entry, path) in keys.entries("environments") {
        let Some(name) = keys.key_name::<Environment>(entry, &path) else {
            continue;
        };
        let at = keys::At {
            key: &entry.key,
            path: path.clone(),
            node: std::borrow::Cow::Borrowed(&entry.value),
        };
        let mut place = entry.key_span;
        let rules = keys.within(at, |keys| {
            if let Some(from) = keys.get("from") {
                place = from.node.span;
            }
            EnvironmentRules {
                from: keys.name("from"),
            }
        });
        places.insert(name.clone(), (place, path));
        all.insert(name, rules.unwrap_or_default());
    }
    for (name, (span, path)) in &places {
        if let Some(circle) = circle(&all, name) {
            let message = format!("nothing could ever be installed into `{name}`: {circle}");
            let hint =
                "`from` names the environment that a release must have been installed into before";
            keys.error(*span, path, message, Some(hint));
        }
    }
    all
}

/// The way from an environment back to itself, if there is one.
fn circle(all: &BTreeMap<Environment, EnvironmentRules>, start: &Environment) -> Option<String> {
    let mut way = format!("`{start}`");
    let mut here = start;
    for _ in 0..=all.len() {
        here = all.get(here)?.from.as_ref()?;
        way.push_str(&format!(" is from `{here}`"));
        if here == start {
            return Some(way);
        }
        way.push_str(", which");
    }
    None
}
