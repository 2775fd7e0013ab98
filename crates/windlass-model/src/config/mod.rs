//! The platform config of a deploy.
//!
//! [`read`] makes a [`Config`]: the tree as written, the command line's options on top. What every platform shares
//! (`platform`, `hostgroup`, `service`, `user`, secrets) is checked here; the rest is the generator's, as
//! [`rolling::RollingConfig`] shows. Keys that nobody knows are the user's own.

mod fields;
mod hosts;
mod known;
pub mod rolling;
pub mod share;
mod template;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use hosts::{HostGroup, Service};
pub use share::Share;
pub use template::{PLACEHOLDERS, UnknownName, Vars, expand};

use crate::diagnostic::{Diagnostic, Diagnostics, Source, Span};
use crate::ids::HostName;
use crate::secret::SecretRef;
use crate::tree::{Map, Node, Value, parse_yaml};
use fields::{Fields, Found};

/// A platform config: the tree as written, merged with the command line's options.
#[derive(Clone, Debug)]
pub struct Config {
    /// The text, if there is one.
    pub source: Option<Arc<Source>>,
    /// The merged tree; a map.
    pub tree: Node,
    /// The generator's name.
    pub platform: String,
}

/// Reads a config and checks what every platform shares. `options` override top-level keys of their names.
/// Gives warnings beside it.
pub fn read(source: &Arc<Source>, options: &Map) -> Result<(Config, Diagnostics), Diagnostics> {
    let mut tree = parse_yaml(source)?;
    let Value::Map(map) = &mut tree.value else {
        let message = format!("a config is a map, but here is {}", tree.kind());
        let fault = Diagnostic::error(message).at(source, tree.span);
        return Err(fault.hint("it begins as in `platform: rolling`").into());
    };
    let mut found = Found::new(Some(source));
    known::warn(map, &mut found);
    for option in options.iter() {
        map.set(&option.key, option.value.clone());
    }
    let platform = platform(map, tree.span, &mut found);
    let config = Config {
        source: Some(source.clone()),
        tree,
        platform,
    };
    let shared = config.check();
    if shared.has_errors() && config.platform == rolling::PLATFORM {
        // All errors at once: the generator's own with those of everybody.
        let all = rolling::RollingConfig::read(&config).err();
        found.diagnostics.extend(all.unwrap_or(shared));
    } else {
        found.diagnostics.extend(shared);
    }
    found.in_order();
    let warnings = found.diagnostics;
    if warnings.has_errors() {
        return Err(warnings);
    }
    Ok((config, warnings))
}

/// Where a text is pointed at that lacks something.
fn beginning(whole: Span) -> Span {
    let start = whole.start as usize;
    Span::new(start, start + 1)
}

/// The name of the generator. It may become part of a path, so it is a plain word.
fn platform(map: &Map, whole: Span, found: &mut Found) -> String {
    let hint = "as in `platform: rolling`";
    let Some(entry) = map
        .entry("platform")
        .filter(|e| e.value.value != Value::Null)
    else {
        let span = beginning(whole);
        found.error(
            span,
            "",
            "the config lacks the key `platform`".into(),
            Some(hint.into()),
        );
        return String::new();
    };
    let is_word = |text: &&str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !text.is_empty() && !text.starts_with(['.', '-']) && text.chars().all(fits)
    };
    match entry.value.as_str().filter(is_word) {
        Some(name) => name.to_owned(),
        None => {
            let message = "`platform` must be a word of letters, digits, `-`, `_` and `.`".into();
            found.error(entry.value.span, "platform", message, Some(hint.into()));
            String::new()
        }
    }
}

impl Config {
    /// The top-level map.
    pub fn map(&self) -> &Map {
        const EMPTY: &Map = &Map(Vec::new());
        self.tree.as_map().unwrap_or(EMPTY)
    }

    fn beginning(&self) -> Span {
        beginning(self.tree.span)
    }

    /// A top-level key; null is absent.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.map().get(key).filter(|node| node.value != Value::Null)
    }

    /// A top-level key that must be a string if it is there.
    pub fn text(&self, key: &str) -> Result<Option<String>, Diagnostics> {
        self.field(|fields, found| fields.text(key, found))
    }

    /// A top-level key that must be a list of strings if it is there; one string is a list of one.
    pub fn texts(&self, key: &str) -> Result<Option<Vec<String>>, Diagnostics> {
        self.field(|fields, found| match fields.get(key) {
            Some(at) if at.node.as_str().is_some() => {
                fields.text(key, found).map(|text| vec![text])
            }
            _ => fields
                .texts(key, found)
                .map(|list| list.into_iter().map(|(text, _)| text).collect()),
        })
    }

    /// A top-level key that must be a secret reference if it is there.
    pub fn secret(&self, key: &str) -> Result<Option<SecretRef>, Diagnostics> {
        self.field(|fields, found| fields.secret(key, found))
    }

    /// A top-level key that must be true or false if it is there.
    pub fn truth(&self, key: &str) -> Result<Option<bool>, Diagnostics> {
        self.field(|fields, found| fields.truth(key, found))
    }

    fn field<T>(
        &self,
        read: impl FnOnce(&Fields<'_>, &mut Found) -> Option<T>,
    ) -> Result<Option<T>, Diagnostics> {
        let mut found = Found::new(self.source.as_ref());
        let value = read(&Fields::top(self.map()), &mut found);
        found.diagnostics.or(value)
    }

    /// The remote user that tasks without one have.
    pub fn user(&self) -> Result<Option<String>, Diagnostics> {
        self.field(|fields, found| fields.name("user", found))
    }

    /// Seconds that a plugin may take to answer a call, 1 to 86400.
    pub fn plugin_time_limit(&self) -> Result<Option<u32>, Diagnostics> {
        self.field(|fields, found| fields.whole("plugin_time_limit", 1, 86_400, found))
    }

    /// The host groups, in the order of writing.
    pub fn hostgroups(&self) -> Result<Vec<HostGroup>, Diagnostics> {
        let mut found = Found::new(self.source.as_ref());
        let groups = hosts::groups(self, &mut found);
        found.diagnostics.or(groups)
    }

    /// The services, in the order of writing, with `service_defaults` beneath them.
    pub fn services(&self) -> Result<Vec<Service<'_>>, Diagnostics> {
        let mut found = Found::new(self.source.as_ref());
        let services = hosts::services(self, &mut found);
        found.diagnostics.or(services)
    }

    /// Every host of every group and service, each once, in the order of writing.
    pub fn hosts(&self) -> Result<Vec<HostName>, Diagnostics> {
        let mut found = Found::new(self.source.as_ref());
        let groups = hosts::groups(self, &mut found);
        let mut resolver = hosts::Resolver::new(&groups);
        let mut all: Vec<HostName> = groups
            .iter()
            .flat_map(|group| group.hosts.iter().cloned())
            .collect();
        for service in hosts::services(self, &mut found) {
            let fields = Fields::service(&service);
            all.extend(
                resolver
                    .hosts(&fields, "hosts", &mut found)
                    .into_iter()
                    .map(|host| host.0),
            );
        }
        let mut seen = std::collections::HashSet::new();
        all.retain(|host| seen.insert(host.clone()));
        found.diagnostics.or(all)
    }

    /// What is wrong with the keys that every platform shares.
    fn check(&self) -> Diagnostics {
        let mut found = Found::new(self.source.as_ref());
        let top = Fields::top(self.map());
        top.text("environment", &mut found);
        top.name("user", &mut found);
        top.secret("sudo_password", &mut found);
        top.secret("ssh_key_passphrase", &mut found);
        hosts::groups(self, &mut found);
        hosts::services(self, &mut found);
        found.diagnostics
    }
}
