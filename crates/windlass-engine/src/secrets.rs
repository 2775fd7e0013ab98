//! Secrets of a run: resolved once before it starts, and taken out of everything that is said.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, MatchKind};
use windlass_model::{SecretRef, SecretValue, Text};

/// What stands in the place of a secret.
pub const MASK: &str = "***";

/// The values of the secrets of a run.
#[derive(Default)]
pub struct Secrets {
    values: HashMap<SecretRef, SecretValue>,
    finder: Option<AhoCorasick>,
}

impl Secrets {
    /// Takes resolved values. Values shorter than 4 characters are not masked: they would blacken every text.
    pub fn new(values: HashMap<SecretRef, SecretValue>) -> Self {
        let patterns: Vec<String> = values
            .values()
            .map(SecretValue::expose)
            .filter(|v| v.len() >= 4)
            .flat_map(|v| {
                let json = serde_json::Value::String(v.to_owned()).to_string();
                let escaped = json.trim_matches('"').to_owned();
                std::iter::once(v.to_owned())
                    .chain(std::iter::once(escaped))
                    .chain(v.lines().filter(|l| l.len() >= 8).map(str::to_owned))
            })
            .collect();
        let finder = (!patterns.is_empty())
            .then(|| {
                AhoCorasick::builder()
                    .match_kind(MatchKind::LeftmostLongest)
                    .build(&patterns)
                    .ok()
            })
            .flatten();
        Self { values, finder }
    }

    /// These and those of `other` together.
    pub fn with(&self, other: &Secrets) -> Self {
        let values = self.values.iter().chain(&other.values);
        Self::new(values.map(|(k, v)| (k.clone(), v.clone())).collect())
    }

    /// `text` with its secrets put in; `None` when one was not resolved.
    pub fn fill(&self, text: &Text) -> Option<SecretValue> {
        text.resolve(|s| self.values.get(s).cloned())
    }

    /// The value of one reference.
    pub fn get(&self, secret: &SecretRef) -> Option<&SecretValue> {
        self.values.get(secret)
    }

    /// `text` with every secret value in it replaced by `***`.
    pub fn mask(&self, text: String) -> String {
        match &self.finder {
            Some(finder) if finder.is_match(&text) => {
                let mut masked = String::with_capacity(text.len());
                finder.replace_all_with(&text, &mut masked, |_, _, out| {
                    out.push_str(MASK);
                    true
                });
                masked
            }
            _ => text,
        }
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.values.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_masked_whole_and_escaped() {
        let value = SecretValue::new("s3cr\"et".into());
        let secrets = Secrets::new(HashMap::from([(SecretRef::Env("X".into()), value)]));
        assert_eq!(secrets.mask("a s3cr\"et b".into()), "a *** b");
        assert_eq!(secrets.mask(r#"{"k":"s3cr\"et"}"#.into()), r#"{"k":"***"}"#);
        assert_eq!(secrets.mask("nothing".into()), "nothing");
    }
}
