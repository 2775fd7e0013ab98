//! What a plugin says that it offers.

use serde::Deserialize;
use serde_json::{Value, json};

/// The answer to `describe`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Description {
    /// The version of the protocol that it speaks.
    pub protocol: u64,
    /// Its generators.
    #[serde(default)]
    pub generators: Vec<Offer>,
    /// Its commands.
    #[serde(default)]
    pub commands: Vec<CommandOffer>,
    /// Its build behaviours.
    #[serde(default)]
    pub build_behaviours: Vec<Offer>,
    /// Its install behaviours.
    #[serde(default)]
    pub install_behaviours: Vec<Offer>,
    /// Whether it authenticates and authorizes.
    #[serde(default)]
    pub auth: bool,
}

/// Something that a plugin offers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Offer {
    /// By which it is called.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub doc: String,
    /// The class behind it: `TestCommand`.
    #[serde(default)]
    pub class: Option<String>,
}

/// A command that a plugin offers.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct CommandOffer {
    /// Name, documentation, class.
    #[serde(flatten)]
    pub offer: Offer,
    /// JSON Schema of its arguments.
    #[serde(default = "any_arguments")]
    pub schema: Value,
    /// Whether doing it again is safe.
    #[serde(default)]
    pub repeat: OfferedRepeat,
}

/// Whether doing a command again is safe, when it is not known how far it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OfferedRepeat {
    /// It is.
    Safe,
    /// Only the operator knows.
    #[default]
    Ask,
}

fn any_arguments() -> Value {
    json!({"type": "object"})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_the_protocol_may_be_missing() {
        let least: Description = serde_json::from_value(json!({"protocol": 1})).unwrap();
        assert_eq!(least.commands, []);
        let some = json!({"protocol": 1, "commands": [{"name": "a"}, {"name": "b", "repeat": "safe", "class": "B"}]});
        let some: Description = serde_json::from_value(some).unwrap();
        assert_eq!(some.commands[0].repeat, OfferedRepeat::Ask);
        assert_eq!(some.commands[0].schema, json!({"type": "object"}));
        assert_eq!(some.commands[1].offer.class.as_deref(), Some("B"));
        assert!(serde_json::from_value::<Description>(json!({})).is_err());
    }
}
