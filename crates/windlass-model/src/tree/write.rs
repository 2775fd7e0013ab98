//! A tree to JSON.

use std::io;

use super::{Map, Node, Value, secret};

/// Writes pretty JSON (two spaces), secret references as `{"$secret": ...}`. No line break at the end.
///
/// Errors are those of `out`; a float that is NaN or infinite is `InvalidData`.
pub fn write_json(node: &Node, out: &mut dyn io::Write) -> io::Result<()> {
    write_value(&node.value, 0, out)
}

/// The same, for a value that stands `indent` levels deep.
pub(crate) fn write_value(value: &Value, indent: usize, out: &mut dyn io::Write) -> io::Result<()> {
    match value {
        Value::Null => out.write_all(b"null"),
        Value::Bool(true) => out.write_all(b"true"),
        Value::Bool(false) => out.write_all(b"false"),
        Value::Int(int) => write!(out, "{int}"),
        Value::Float(float) if float.is_finite() => Ok(serde_json::to_writer(out, float)?),
        Value::Float(_) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a number that is not finite cannot be written as JSON",
        )),
        Value::String(text) => write_string(text, out),
        Value::Secret(reference) => {
            write_map(&secret::to_map(reference, Default::default()), indent, out)
        }
        Value::List(list) if list.is_empty() => out.write_all(b"[]"),
        Value::List(list) => {
            for (index, item) in list.iter().enumerate() {
                out.write_all(if index == 0 { b"[" } else { b"," })?;
                new_line(indent + 1, out)?;
                write_value(&item.value, indent + 1, out)?;
            }
            new_line(indent, out)?;
            out.write_all(b"]")
        }
        Value::Map(map) => write_map(map, indent, out),
    }
}

fn write_map(map: &Map, indent: usize, out: &mut dyn io::Write) -> io::Result<()> {
    if map.is_empty() {
        return out.write_all(b"{}");
    }
    for (index, entry) in map.iter().enumerate() {
        out.write_all(if index == 0 { b"{" } else { b"," })?;
        new_line(indent + 1, out)?;
        write_string(&entry.key, out)?;
        out.write_all(b": ")?;
        write_value(&entry.value.value, indent + 1, out)?;
    }
    new_line(indent, out)?;
    out.write_all(b"}")
}

/// A string in quotes.
pub(crate) fn write_string(text: &str, out: &mut dyn io::Write) -> io::Result<()> {
    Ok(serde_json::to_writer(out, text)?)
}

/// A line break and the spaces of `indent` levels.
pub(crate) fn new_line(indent: usize, out: &mut dyn io::Write) -> io::Result<()> {
    write!(out, "\n{:width$}", "", width = indent * 2)
}

/// The same tree as a `serde_json` value, for plugins and schemas.
pub fn to_json(node: &Node) -> serde_json::Value {
    use serde_json::Value as Json;
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(b) => Json::Bool(*b),
        Value::Int(int) => Json::from(*int),
        Value::Float(float) => Json::from(*float),
        Value::String(text) => Json::String(text.to_string()),
        Value::Secret(reference) => object(&secret::to_map(reference, node.span)),
        Value::List(list) => Json::Array(list.iter().map(to_json).collect()),
        Value::Map(map) => object(map),
    }
}

fn object(map: &Map) -> serde_json::Value {
    let entries = map.iter().map(|e| (e.key.to_string(), to_json(&e.value)));
    serde_json::Value::Object(entries.collect())
}
