//! Secrets of a run: resolved once before it starts, and taken out of everything that is said.

use std::collections::HashMap;

use windlass_model::{SecretRef, SecretValue, Text};
use zeroize::Zeroizing;

/// What stands in the place of a secret.
pub const MASK: &str = "***";

/// The values of the secrets of a run.
#[derive(Default)]
pub struct Secrets {
    values: HashMap<SecretRef, SecretValue>,
    /// What is masked, the longest first.
    masked: Vec<Zeroizing<String>>,
}

impl Secrets {
    /// Takes resolved values. Values shorter than 4 characters are not masked: they would blacken every text.
    pub fn new(values: HashMap<SecretRef, SecretValue>) -> Self {
        let mut masked: Vec<Zeroizing<String>> = values
            .values()
            .map(SecretValue::expose)
            .filter(|value| value.len() >= 4)
            .flat_map(|value| {
                let json = serde_json::Value::from(value).to_string();
                let escaped = json.get(1..json.len() - 1).unwrap_or_default().to_owned();
                let lines = value.lines().filter(|line| line.len() >= 8);
                [value.to_owned(), escaped]
                    .into_iter()
                    .chain(lines.map(str::to_owned))
            })
            .map(Zeroizing::new)
            .collect();
        masked.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        masked.dedup();
        Self { values, masked }
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
    pub fn mask(&self, mut text: String) -> String {
        for secret in &self.masked {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), MASK);
            }
        }
        text
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
