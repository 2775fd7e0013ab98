//! What is wrong with a text that is being read.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics, Source, Span};

/// What is wrong, where, and what to do.
pub(super) struct Fault {
    pub(super) span: Span,
    pub(super) message: String,
    pub(super) hint: String,
}

impl Fault {
    pub(super) fn new(span: Span, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// For a key that stood there before.
    pub(super) fn repeated(key: &str, span: Span) -> Self {
        let message = format!("the key `{key}` stands here for the second time");
        Self::new(span, message, "keep one of them")
    }
}

/// For people.
pub(super) fn diagnostics(faults: Vec<Fault>, source: &Arc<Source>) -> Diagnostics {
    let tell = |fault: Fault| {
        Diagnostic::error(fault.message)
            .at(source, fault.span)
            .hint(fault.hint)
    };
    Diagnostics(faults.into_iter().map(tell).collect())
}
