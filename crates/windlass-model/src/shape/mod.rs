//! What a map of arguments must look like, made from a JSON Schema; finds every fault at once.

mod check;
mod fit;
mod schema;

#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics, Source};
use crate::tree::{Map, Node};

/// The parts of a JSON Schema that arguments use: type, properties, required, additionalProperties, items,
/// prefixItems, enum, const, minimum, maximum, minLength, minItems, maxItems, anyOf, oneOf, allOf and `$ref`
/// within the schema. Compiled once a command.
#[derive(Clone, Debug)]
pub struct Shape {
    schema: schema::Schema,
}

/// Where the map that is checked stands, for messages.
pub struct Where<'a> {
    /// The text, if there is one.
    pub source: Option<&'a Arc<Source>>,
    /// Path of the map: `stages[1].tasks[2]`; may be empty. Written out where there is a fault, as the next two.
    pub path: &'a dyn Display,
    /// Stage and task, for messages.
    pub task: Option<&'a dyn Display>,
    /// The whole that lacks or has a key, for messages: "command `upload`".
    pub of: &'a dyn Display,
    /// The node that stands for the whole when a key is missing.
    pub whole: &'a Node,
}

impl Shape {
    /// From a schema as schemars makes it, or a plugin sends it. What is not understood is not checked.
    ///
    /// A schema that names `properties` and says nothing of `additionalProperties` takes no others at the top; one
    /// that names none takes any.
    pub fn new(schema: &serde_json::Value) -> Self {
        Self {
            schema: schema::Schema::compile(schema),
        }
    }

    /// For a map that was read from XML: texts become the numbers and truths that are wanted, single values the lists. What
    /// does not fit stays as it is, for [`Shape::check`] to tell.
    pub fn fit(&self, map: &mut Map) {
        fit::map(&self.schema, map);
    }

    /// Every unknown key (with the nearest known one), missing key and wrong type in `map`. Where a task is checked
    /// (`place.task`), the nearest may be a key of the engine's.
    pub fn check(&self, map: &Map, place: &Where<'_>) -> Diagnostics {
        let faults = check::faults(&self.schema, map, place);
        Diagnostics(faults.into_iter().map(|fault| tell(fault, place)).collect())
    }
}

fn tell(fault: check::Fault, place: &Where<'_>) -> Diagnostic {
    let mut diagnostic = Diagnostic::error(fault.message);
    if let Some(source) = place.source {
        diagnostic = diagnostic.at(source, fault.span);
    }
    let base = place.path.to_string();
    let path = match (base.as_str(), fault.path.as_str()) {
        ("", path) | (path, "") => path.to_owned(),
        (base, path) => format!("{base}.{path}"),
    };
    if !path.is_empty() {
        diagnostic = diagnostic.key(path);
    }
    if let Some(task) = place.task {
        diagnostic = diagnostic.task(task.to_string());
    }
    match fault.hint {
        Some(hint) => diagnostic.hint(hint),
        None => diagnostic,
    }
}
