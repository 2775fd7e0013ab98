//! Reads a behaviour's config: what its file says, and the work at hand. All that is wrong at once.
//!
//! A config that was written as XML knows texts only, so a number and a truth may be a text that reads so.

use serde::de::DeserializeOwned;
use windlass_model::config::Config;
use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::release::work::{BUILD_KEY, INSTALL_KEY};
use windlass_model::release::{BuildFacts, InstallFacts};
use windlass_model::tree::{Map, Node, Value, decode};

/// A map of a config that is being read.
pub(super) struct Settings<'c> {
    config: &'c Config,
    map: &'c Map,
    /// What leads to `map`: nothing, or `targets.webapp.`.
    path: String,
    /// What is wrong.
    pub(super) faults: Diagnostics,
}

impl<'c> Settings<'c> {
    /// All of a config.
    pub(super) fn new(config: &'c Config) -> Self {
        Self {
            config,
            map: config.map(),
            path: String::new(),
            faults: Diagnostics::new(),
        }
    }

    /// A map in it.
    pub(super) fn within(&self, map: &'c Map, path: String) -> Self {
        Self {
            config: self.config,
            map,
            path,
            faults: Diagnostics::new(),
        }
    }

    /// Says that something is wrong with a key.
    pub(super) fn wrong(&mut self, key: &str, message: impl Into<String>) {
        let fault = Diagnostic::error(message).key(format!("{}{key}", self.path));
        let span = self.map.entry(key).map(|entry| entry.value.span);
        self.faults.push(match (&self.config.source, span) {
            (Some(source), Some(span)) => fault.at(source, span),
            _ => fault,
        });
    }

    /// A key; null and an empty text are absent.
    pub(super) fn get(&self, key: &str) -> Option<&'c Node> {
        let node = self.map.get(key)?;
        let absent = node.value == Value::Null || node.as_str() == Some("");
        (!absent).then_some(node)
    }

    /// A text.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        let node = self.get(key)?;
        match text_of(node) {
            Some(text) => Some(text),
            None => {
                self.wrong(key, format!("`{key}` must be a text, not {}", node.kind()));
                None
            }
        }
    }

    /// A list of texts; one text is a list of one.
    pub(super) fn texts(&mut self, key: &str) -> Vec<String> {
        let Some(node) = self.get(key) else {
            return Vec::new();
        };
        let all = match &node.value {
            Value::List(list) => list.iter().map(text_of).collect(),
            _ => text_of(node).map(|text| vec![text]),
        };
        all.unwrap_or_else(|| {
            self.wrong(key, format!("`{key}` must be a text or a list of texts"));
            Vec::new()
        })
    }

    /// A whole number of at least `least`.
    pub(super) fn whole(&mut self, key: &str, least: u32) -> Option<u32> {
        let node = self.get(key)?;
        let number = match &node.value {
            Value::Int(number) => u32::try_from(*number).ok(),
            _ => node.as_str().and_then(|text| text.trim().parse().ok()),
        };
        let fits = number.filter(|number| *number >= least);
        if fits.is_none() {
            self.wrong(
                key,
                format!("`{key}` must be a whole number of at least {least}"),
            );
        }
        fits
    }

    /// True or false; false if absent.
    pub(super) fn truth(&mut self, key: &str) -> bool {
        let Some(node) = self.get(key) else {
            return false;
        };
        match (&node.value, node.as_str().map(str::trim)) {
            (Value::Bool(truth), _) => *truth,
            (_, Some("true" | "True" | "yes" | "1")) => true,
            (_, Some("false" | "False" | "no" | "0")) => false,
            _ => {
                self.wrong(key, format!("`{key}` must be true or false"));
                false
            }
        }
    }

    /// A map.
    pub(super) fn map(&mut self, key: &str) -> Option<&'c Map> {
        let node = self.get(key)?;
        let map = node.as_map();
        if map.is_none() {
            self.wrong(key, format!("`{key}` must be a map, not {}", node.kind()));
        }
        map
    }
}

/// A text, or a number that somebody wrote without quotes.
fn text_of(node: &Node) -> Option<String> {
    match &node.value {
        Value::Int(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => node.as_str().map(str::to_owned),
    }
}

/// The build at hand.
pub(super) fn build(config: &Config) -> Result<BuildFacts, Diagnostics> {
    facts(config, BUILD_KEY, "a build behaviour is run by a builder")
}

/// The install at hand.
pub(super) fn install(config: &Config) -> Result<InstallFacts, Diagnostics> {
    facts(
        config,
        INSTALL_KEY,
        "an install behaviour is run by an installer",
    )
}

fn facts<T: DeserializeOwned>(config: &Config, key: &str, hint: &str) -> Result<T, Diagnostics> {
    let Some(node) = config.get(key) else {
        let fault = Diagnostic::error(format!("the config lacks `{key}`, the work at hand"));
        return Err(fault.hint(hint).into());
    };
    facts_of(Some(node), key)
}

/// The same from its node.
pub(crate) fn facts_of<T: DeserializeOwned>(
    node: Option<&Node>,
    key: &str,
) -> Result<T, Diagnostics> {
    let none = Node::from(Map::default());
    decode(node.unwrap_or(&none)).map_err(|wrong| wrong.diagnostic(None, key).into())
}
