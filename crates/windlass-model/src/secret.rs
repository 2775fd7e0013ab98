//! Secrets: a reference may be written down, a value may not.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Where a secret is to be had when a run needs it. In YAML `!env NAME`, `!file PATH`, `!command [...]`; in JSON
/// `{"$secret": {"env": "NAME"}}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretRef {
    /// An environment variable of Windlass.
    Env(String),
    /// A local file; one trailing line break is not part of the secret.
    File(String),
    /// A local program and its arguments, run without a shell; its standard output, less one trailing line break.
    Command(Vec<String>),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "<secret: env {name}>"),
            Self::File(path) => write!(f, "<secret: file {path}>"),
            Self::Command(words) => {
                write!(f, "<secret: command {}>", words.first().map_or("", |w| w))
            }
        }
    }
}

/// The value of a secret. It is wiped from memory when dropped, and prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(Zeroizing<String>);

impl SecretValue {
    /// Takes a value.
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself, for the one place that hands it over.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
