//! What a map of arguments must look like, made from a JSON Schema; finds every fault at once.

use std::sync::Arc;

use crate::diagnostic::{Diagnostics, Source};
use crate::tree::{Map, Node};

/// The parts of a JSON Schema that arguments use: type, properties, required, additionalProperties, items, enum,
/// minimum, maximum, anyOf. Compiled once a command.
#[derive(Clone, Debug)]
pub struct Shape {
    _private: (),
}

/// Where the map that is checked stands, for messages.
pub struct Where<'a> {
    /// The text, if there is one.
    pub source: Option<&'a Arc<Source>>,
    /// Path of the map: `stages[1].tasks[2]`; may be empty.
    pub path: &'a str,
    /// Stage and task, for messages.
    pub task: Option<&'a str>,
    /// The whole that lacks or has a key, for messages: "command `upload`".
    pub of: &'a str,
    /// The node that stands for the whole when a key is missing.
    pub whole: &'a Node,
}

impl Shape {
    /// From a schema as schemars makes it, or a plugin sends it. What is not understood is not checked.
    pub fn new(_schema: &serde_json::Value) -> Self {
        todo!()
    }

    /// Every unknown key (with the nearest known one), missing key and wrong type in `map`.
    pub fn check(&self, _map: &Map, _place: &Where<'_>) -> Diagnostics {
        todo!()
    }
}
