//! Secrets of a run: resolved once before it starts, and taken out of everything that is said.

mod forms;
mod mask;

use std::collections::HashMap;

use windlass_model::{SecretRef, SecretValue, Text};

use mask::Mask;

/// What stands in the place of a secret.
pub const MASK: &str = mask::SHOWN;

/// The values of the secrets of a run.
#[derive(Default)]
pub struct Secrets {
    values: HashMap<SecretRef, SecretValue>,
    mask: Mask,
}

impl Secrets {
    /// Takes resolved values. Values shorter than 4 bytes are not masked: they would blacken every text.
    pub fn new(values: HashMap<SecretRef, SecretValue>) -> Self {
        let mask = Mask::new(values.values().map(SecretValue::expose));
        Self { values, mask }
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

    /// `text` with `***` in the place of every value: as it is, encoded or escaped in a usual way, or a piece of it that is
    /// at least 8 bytes long, as when it was split over lines.
    pub fn mask(&self, text: String) -> String {
        self.mask.apply(text)
    }
}

/// `text` without anything of `value`, which is no secret of a run (yet).
pub fn mask_value(value: &str, text: String) -> String {
    Mask::new([value]).apply(text)
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.values.len())
    }
}
