//! Host groups, services, and which hosts they name.

use std::collections::{HashMap, HashSet};

use super::Config;
use super::fields::{At, Fields, Found};
use crate::diagnostic::{Span, nearest};
use crate::ids::HostName;
use crate::secret::SecretRef;
use crate::tree::{Map, Value};

/// So many names are compared in search of slips, that big configs stay quick.
const MOST_COMPARED: usize = 100_000;

/// Shorter names are near to each other by chance.
const LEAST_LETTERS: usize = 4;

/// Hosts under one name.
#[derive(Clone, Debug)]
pub struct HostGroup {
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub span: Span,
    /// Its hosts, each once.
    pub hosts: Vec<HostName>,
    /// The load balancer in front of them.
    pub lb: Option<String>,
    /// For sudo on its hosts.
    pub sudo_password: Option<SecretRef>,
    /// For the user's own SSH key, when these hosts are reached.
    pub ssh_key_passphrase: Option<SecretRef>,
}

/// A service as written.
#[derive(Clone, Debug)]
pub struct Service<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where the name stands.
    pub span: Span,
    /// Its own keys.
    pub map: &'a Map,
    /// `service_defaults`: what counts where it has no such key.
    pub defaults: &'a Map,
}

impl<'a> Service<'a> {
    /// The value of a key, its own or the default; null is absent.
    pub fn get(&self, key: &str) -> Option<&'a crate::tree::Node> {
        let node = self.map.get(key).or_else(|| self.defaults.get(key))?;
        (node.value != Value::Null).then_some(node)
    }
}

/// A host, and the group by which it was named.
pub(super) type Named = (HostName, Option<usize>);

pub(super) fn groups(config: &Config, found: &mut Found) -> Vec<HostGroup> {
    let top = Fields::top(config.map());
    let Some(all) = top.below("hostgroup", found) else {
        return Vec::new();
    };
    let mut groups = Vec::with_capacity(all.map.len());
    for entry in all.map.iter() {
        let mut group = HostGroup {
            name: entry.key.to_string(),
            span: entry.key_span,
            hosts: Vec::new(),
            lb: None,
            sudo_password: None,
            ssh_key_passphrase: None,
        };
        let hosts = match &entry.value.value {
            Value::Map(map) => {
                let path = format!("hostgroup.{}", entry.key);
                let fields = Fields::new(path, map, entry.key_span);
                group.lb = fields.text("lb", found);
                group.sudo_password = fields.secret("sudo_password", found);
                group.ssh_key_passphrase = fields.secret("ssh_key_passphrase", found);
                if !fields.has("hosts") {
                    fields.missing("hosts", Some("as in `hosts: [app1, app2]`"), found);
                }
                fields.list("hosts", found)
            }
            _ => {
                let at = At {
                    key: &entry.key,
                    path: format!("hostgroup.{}", entry.key),
                    node: &entry.value,
                };
                at.list(found)
            }
        };
        let mut seen = HashSet::new();
        for at in hosts.unwrap_or_default() {
            let Some(name) = at.name(found) else { continue };
            let host = HostName::new(&name);
            if seen.insert(host.clone()) {
                group.hosts.push(host);
            } else {
                let message = format!(
                    "the host `{name}` stands in the group `{}` twice",
                    group.name
                );
                found.warning(at.node.span, &at.path, message, None);
            }
        }
        groups.push(group);
    }
    groups
}

pub(super) fn services<'a>(config: &'a Config, found: &mut Found) -> Vec<Service<'a>> {
    const NONE: &Map = &Map(Vec::new());
    let top = Fields::top(config.map());
    let defaults = top
        .below("service_defaults", found)
        .map_or(NONE, |fields| fields.map);
    let Some(all) = top.below("service", found) else {
        return Vec::new();
    };
    let mut services = Vec::with_capacity(all.map.len());
    for entry in all.map.iter() {
        let map = match &entry.value.value {
            Value::Map(map) => map,
            Value::Null => NONE,
            _ => {
                if let Some(at) = all.get(&entry.key) {
                    at.wrong::<()>("a map", found);
                }
                continue;
            }
        };
        if !is_file_name(&entry.key) {
            let message = format!("`{}` cannot be the name of a service", entry.key);
            let hint = "it becomes the name of files: letters, digits, `.`, `_`, `-`, `+`, not `.` or `-` at its start";
            found.error(
                entry.key_span,
                &format!("service.{}", entry.key),
                message,
                Some(hint.into()),
            );
            continue;
        }
        services.push(Service {
            name: &entry.key,
            span: entry.key_span,
            map,
            defaults,
        });
    }
    services
}

fn is_file_name(name: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    !name.is_empty() && !name.starts_with(['.', '-']) && name.chars().all(fits)
}

/// Finds the hosts that names stand for.
pub(super) struct Resolver<'a> {
    groups: &'a [HostGroup],
    by_name: HashMap<&'a str, usize>,
    in_groups: HashSet<&'a str>,
    /// Hosts that no group has, each looked at once; they share their names.
    others: HashMap<String, HostName>,
    compared: usize,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(groups: &'a [HostGroup]) -> Self {
        let hosts = groups.iter().flat_map(|group| &group.hosts);
        Self {
            groups,
            by_name: groups
                .iter()
                .enumerate()
                .map(|(i, group)| (group.name.as_str(), i))
                .collect(),
            in_groups: hosts.map(HostName::as_str).collect(),
            others: HashMap::new(),
            compared: 0,
        }
    }

    /// Whether a group or a service seen so far has this host.
    pub(super) fn knows(&self, host: &str) -> bool {
        self.in_groups.contains(host) || self.others.contains_key(host)
    }

    pub(super) fn group(&self, name: &str) -> Option<&'a HostGroup> {
        self.by_name
            .get(name)
            .and_then(|index| self.groups.get(*index))
    }

    /// The host that may have been meant.
    pub(super) fn nearest_host(&self, name: &str) -> Option<&str> {
        let others = self.others.keys().map(String::as_str);
        nearest(name, self.in_groups.iter().copied().chain(others))
    }

    /// The group that may have been meant.
    pub(super) fn nearest_group(&self, name: &str) -> Option<&'a str> {
        nearest(name, self.by_name.keys().copied())
    }

    /// The hosts of a key that names groups and hosts, each once. A group wins over a host of the same name.
    pub(super) fn hosts(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        found: &mut Found,
    ) -> Vec<Named> {
        let mut hosts = Vec::new();
        let mut seen = HashSet::new();
        for at in fields.list(key, found).unwrap_or_default() {
            let Some(name) = at.name(found) else { continue };
            if let Some(index) = self.by_name.get(name.as_str()).copied() {
                let group = self.groups.get(index).map(|group| group.hosts.as_slice());
                for host in group.unwrap_or_default() {
                    if seen.insert(host.clone()) {
                        hosts.push((host.clone(), Some(index)));
                    }
                }
                continue;
            }
            let host = match self.others.get(&name) {
                Some(host) => host.clone(),
                None => {
                    if let Some(group) = self.slip(&name) {
                        let message =
                            format!("`{name}` is no hostgroup, so it is taken for a host");
                        let hint = format!("did you mean the hostgroup `{group}`?");
                        found.warning(at.node.span, &at.path, message, Some(hint));
                    }
                    let host = HostName::new(&name);
                    self.others.insert(name, host.clone());
                    host
                }
            };
            if seen.insert(host.clone()) {
                hosts.push((host, None));
            }
        }
        hosts
    }

    /// The group that may have been meant. `app1` beside a group `app` is a host.
    fn slip(&mut self, name: &str) -> Option<&'a str> {
        self.compared += self.groups.len();
        let is_short = name.chars().count() < LEAST_LETTERS;
        if is_short || self.in_groups.contains(name) || self.compared > MOST_COMPARED {
            return None;
        }
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let stem = stem.trim_end_matches(['-', '_']);
        let names = self.groups.iter().map(|group| group.name.as_str());
        nearest(name, names.filter(|group| *group != stem))
    }
}
