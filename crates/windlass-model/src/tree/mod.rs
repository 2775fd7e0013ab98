//! One tree for what people write, in YAML, JSON or XML: every node knows where it stands.
//!
//! Text is parsed once into [`Node`]s, checked against [`crate::shape`], then decoded into types by
//! [`decode`]. Messages can so point at the character that is wrong.

mod de;
mod fault;
mod json;
mod scalar;
mod secret;
pub(crate) mod write;
pub mod xml;
mod yaml;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

pub use de::{DecodeError, NO_SECRET_HERE, decode, decode_map};
pub use json::parse_json;
pub use write::{to_json, write_json};
pub use yaml::parse_yaml;

use crate::diagnostic::Span;
use crate::secret::SecretRef;

/// How deep lists and maps may be nested.
pub const MAX_DEPTH: usize = 128;

/// A value and where it stands. A node that was not read from a text has the empty span.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Where.
    pub span: Span,
    /// What.
    pub value: Value,
}

/// What a node holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number; never NaN or infinite.
    Float(f64),
    /// A string.
    String(Box<str>),
    /// A reference to a secret.
    Secret(Box<SecretRef>),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of writing.
    Map(Map),
}

/// A map that keeps its order and knows where its keys stand. No key occurs twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map(pub Vec<Entry>);

/// A key with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key; equal keys of one text share their memory.
    pub key: Arc<str>,
    /// Where the key stands.
    pub key_span: Span,
    /// Its value.
    pub value: Node,
}

impl PartialEq for Node {
    /// Equal values are equal wherever they stand.
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.value == other.value
    }
}

impl Map {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|e| &e.value)
    }

    /// The entry of a key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.0.iter().find(|e| &*e.key == key)
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &str) -> Option<Entry> {
        let index = self.0.iter().position(|e| &*e.key == key)?;
        Some(self.0.remove(index))
    }

    /// Sets a key, in place of an old value or at the end.
    pub fn set(&mut self, key: &str, value: impl Into<Node>) {
        let value = value.into();
        match self.0.iter_mut().find(|e| &*e.key == key) {
            Some(entry) => entry.value = value,
            None => self.0.push(Entry {
                key: key.into(),
                key_span: Span::default(),
                value,
            }),
        }
    }

    /// The entries in order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The entries of a map that is just being read whose key stood there before.
fn repeated_keys(map: &Map) -> Vec<&Entry> {
    const FEW: usize = 24;
    if map.len() <= FEW {
        let entries = map.0.iter().enumerate();
        return entries
            .filter(|(index, entry)| {
                map.iter()
                    .take(*index)
                    .any(|before| before.key == entry.key)
            })
            .map(|(_, entry)| entry)
            .collect();
    }
    let mut seen = std::collections::HashSet::with_capacity(map.len());
    map.iter()
        .filter(|entry| !seen.insert(&*entry.key))
        .collect()
}

impl Node {
    /// A node that was not read from a text.
    pub fn new(value: Value) -> Self {
        Self {
            span: Span::default(),
            value,
        }
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The map, if it is one.
    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The list, if it is one.
    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    /// The value of a key, if it is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.get(key)
    }

    /// Every secret reference in it.
    pub fn secrets(&self) -> Vec<&SecretRef> {
        match &self.value {
            Value::Secret(secret) => vec![secret],
            Value::List(list) => list.iter().flat_map(Node::secrets).collect(),
            Value::Map(map) => map.iter().flat_map(|e| e.value.secrets()).collect(),
            _ => Vec::new(),
        }
    }

    /// What it is, for messages: "a string", "a list", ...
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Int(_) => "a whole number",
            Value::Float(_) => "a number",
            Value::String(_) => "a string",
            Value::Secret(_) => "a secret reference",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Node::new(Value::String(text.into()))
    }
}

impl From<String> for Node {
    fn from(text: String) -> Self {
        Node::new(Value::String(text.into()))
    }
}

impl From<bool> for Node {
    fn from(value: bool) -> Self {
        Node::new(Value::Bool(value))
    }
}

impl From<i64> for Node {
    fn from(value: i64) -> Self {
        Node::new(Value::Int(value))
    }
}

impl From<f64> for Node {
    fn from(value: f64) -> Self {
        Node::new(Value::Float(value))
    }
}

impl From<SecretRef> for Node {
    fn from(secret: SecretRef) -> Self {
        Node::new(Value::Secret(Box::new(secret)))
    }
}

impl From<Map> for Node {
    fn from(map: Map) -> Self {
        Node::new(Value::Map(map))
    }
}

impl<T: Into<Node>> From<Vec<T>> for Node {
    fn from(list: Vec<T>) -> Self {
        Node::new(Value::List(list.into_iter().map(Into::into).collect()))
    }
}

impl<K: AsRef<str>, V: Into<Node>> FromIterator<(K, V)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Map::default();
        let mut places = std::collections::HashMap::new();
        for (key, value) in entries {
            let key: Arc<str> = key.as_ref().into();
            let value = value.into();
            match places
                .get(&key)
                .and_then(|place: &usize| map.0.get_mut(*place))
            {
                Some(entry) => entry.value = value,
                None => {
                    places.insert(key.clone(), map.0.len());
                    map.0.push(Entry {
                        key,
                        key_span: Span::default(),
                        value,
                    });
                }
            }
        }
        map
    }
}

impl From<serde_json::Value> for Node {
    /// Objects of the form `{"$secret": ...}` become secret references; numbers out of range become floats.
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        let value = match value {
            Json::Null => Value::Null,
            Json::Bool(b) => Value::Bool(b),
            Json::Number(n) => match n.as_i64() {
                Some(int) => Value::Int(int),
                None => Value::Float(n.as_f64().unwrap_or(0.0)),
            },
            Json::String(text) => Value::String(text.into()),
            Json::Array(list) => Value::List(list.into_iter().map(Node::from).collect()),
            Json::Object(object) => {
                let secret = match object.get(crate::text::SECRET_KEY) {
                    Some(secret) if object.len() == 1 => {
                        serde_json::from_value(secret.clone()).ok()
                    }
                    _ => None,
                };
                match secret {
                    Some(secret) => Value::Secret(Box::new(secret)),
                    None => Value::Map(object.into_iter().collect()),
                }
            }
        };
        Node::new(value)
    }
}
