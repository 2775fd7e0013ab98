//! A string in which secrets may stand as references.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use crate::secret::{SecretRef, SecretValue};

/// The key under which a secret reference stands in JSON.
pub const SECRET_KEY: &str = "$secret";

/// A piece of a [`Text`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// Said openly.
    Plain(String),
    /// Put in at the last moment, where the step is done.
    Secret(SecretRef),
}

/// A string in which secrets stand as references. It prints with the references, never with their values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Text(Vec<Piece>);

impl Text {
    /// No secret in it.
    pub fn plain(text: impl Into<String>) -> Self {
        Self(vec![Piece::Plain(text.into())])
    }

    /// One secret and nothing else.
    pub fn secret(secret: SecretRef) -> Self {
        Self(vec![Piece::Secret(secret)])
    }

    /// One after the other.
    pub fn then(mut self, more: Text) -> Self {
        self.0.extend(more.0);
        self
    }

    /// The string, when no secret stands in it.
    pub fn as_plain(&self) -> Option<Cow<'_, str>> {
        match self.0.as_slice() {
            [] => Some(Cow::Borrowed("")),
            [Piece::Plain(text)] => Some(Cow::Borrowed(text)),
            pieces => pieces
                .iter()
                .map(|p| match p {
                    Piece::Plain(text) => Some(text.as_str()),
                    Piece::Secret(_) => None,
                })
                .collect::<Option<String>>()
                .map(Cow::Owned),
        }
    }

    /// The secrets in it.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        self.0.iter().filter_map(|p| match p {
            Piece::Secret(secret) => Some(secret),
            Piece::Plain(_) => None,
        })
    }

    /// The string with its secrets put in; `None` when `lookup` does not know one of them.
    pub fn resolve(
        &self,
        lookup: impl Fn(&SecretRef) -> Option<SecretValue>,
    ) -> Option<SecretValue> {
        let mut whole = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Plain(text) => whole.push_str(text),
                Piece::Secret(secret) => whole.push_str(lookup(secret)?.expose()),
            }
        }
        Some(SecretValue::new(whole))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::plain(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::plain(text)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|p| match p {
            Piece::Plain(text) => f.write_str(text),
            Piece::Secret(secret) => secret.fmt(f),
        })
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [Piece::Secret(secret)] => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(SECRET_KEY, secret)?;
                map.end()
            }
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a secret reference")
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Text, E> {
                Ok(Text::plain(v))
            }
            fn visit_string<E: de::Error>(self, v: String) -> Result<Text, E> {
                Ok(Text::plain(v))
            }
            fn visit_bool<E: de::Error>(self, v: bool) -> Result<Text, E> {
                Ok(Text::plain(v.to_string()))
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Text, E> {
                Ok(Text::plain(v.to_string()))
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Text, E> {
                Ok(Text::plain(v.to_string()))
            }
            fn visit_f64<E: de::Error>(self, v: f64) -> Result<Text, E> {
                Ok(Text::plain(v.to_string()))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
                let Some(key) = map.next_key::<String>()? else {
                    return Err(de::Error::custom("an empty object is no secret reference"));
                };
                if key != SECRET_KEY {
                    return Err(de::Error::unknown_field(&key, &[SECRET_KEY]));
                }
                Ok(Text::secret(map.next_value()?))
            }
        }
        deserializer.deserialize_any(TextVisitor)
    }
}

impl JsonSchema for Text {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                {"type": ["string", "number", "boolean"]},
                {"type": "object", "required": ["$secret"], "additionalProperties": false, "properties": {"$secret": {
                    "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false,
                    "properties": {
                        "env": {"type": "string"},
                        "file": {"type": "string"},
                        "command": {"type": "array", "items": {"type": "string"}, "minItems": 1}
                    }
                }}}
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_written_as_a_reference_and_read_back() {
        let text = Text::secret(SecretRef::Env("TOKEN".into()));
        let json = serde_json::to_string(&text).unwrap();
        assert_eq!(json, r#"{"$secret":{"env":"TOKEN"}}"#);
        assert_eq!(serde_json::from_str::<Text>(&json).unwrap(), text);
    }

    #[test]
    fn no_form_of_printing_shows_a_value() {
        let value = SecretValue::new("hunter2".into());
        let text = Text::plain("user:").then(Text::secret(SecretRef::Env("P".into())));
        assert_eq!(format!("{value:?}"), "***");
        assert_eq!(text.to_string(), "user:<secret: env P>");
        let whole = text.resolve(|_| Some(value.clone())).unwrap();
        assert_eq!(whole.expose(), "user:hunter2");
    }
}
