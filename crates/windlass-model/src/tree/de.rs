//! From a tree to types.

use serde::de::DeserializeOwned;

use super::Node;
use crate::diagnostic::Span;

/// What a tree cannot be decoded for.
#[derive(Clone, Debug)]
pub struct DecodeError {
    /// The node that is wrong.
    pub span: Span,
    /// Its path from the root, `a.b[2].c`; empty for the root.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

/// Decodes a tree. The first error ends it, so check the shape first to have all of them.
pub fn decode<T: DeserializeOwned>(_node: &Node) -> Result<T, DecodeError> {
    todo!()
}
