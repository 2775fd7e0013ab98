//! JSON to a tree.

use std::sync::Arc;

use super::Node;
use crate::diagnostic::{Diagnostics, Source};

/// Parses RFC 8259 JSON. Duplicate keys, nesting deeper than 128 and text after the value are errors.
pub fn parse_json(_source: &Arc<Source>) -> Result<Node, Diagnostics> {
    todo!()
}
