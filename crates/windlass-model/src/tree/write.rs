//! A tree to JSON.

use std::io;

use super::Node;

/// Writes pretty JSON (two spaces), secret references as `{"$secret": ...}`.
pub fn write_json(_node: &Node, _out: &mut dyn io::Write) -> io::Result<()> {
    todo!()
}

/// The same tree as a `serde_json` value, for plugins and schemas.
pub fn to_json(_node: &Node) -> serde_json::Value {
    todo!()
}
