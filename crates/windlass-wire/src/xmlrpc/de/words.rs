//! Errors of decoding, in the words of XML-RPC.

use serde::de::{Expected, Unexpected};
use windlass_model::diagnostic::nearest;

#[derive(Debug)]
pub(super) struct Error {
    pub(super) message: String,
    /// Innermost first; each begins with what separates it: `.env`, `[3]`.
    path: Vec<String>,
}

impl Error {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            path: Vec::new(),
        }
    }

    pub(super) fn within(mut self, segment: String) -> Self {
        self.path.push(segment);
        self
    }

    pub(super) fn path(&self, root: &str) -> String {
        let mut path = root.to_owned();
        path.extend(self.path.iter().rev().map(String::as_str));
        if root.is_empty() {
            path.trim_start_matches('.').to_owned()
        } else {
            path
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = found(&unexpected);
        Self::new(format!("{} is wanted, got {found}", wanted(expected)))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match unexpected {
            Unexpected::Str(text) => format!("{text:?}"),
            Unexpected::Signed(number) => number.to_string(),
            Unexpected::Unsigned(number) => number.to_string(),
            other => found(&other),
        };
        Self::new(format!("{} is wanted, got {found}", wanted(expected)))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new(format!("{expected} is wanted, got {length}"))
    }

    fn missing_field(name: &'static str) -> Self {
        Self::new(format!("member `{name}` is missing"))
    }

    fn duplicate_field(name: &'static str) -> Self {
        Self::new(format!("member `{name}` stands twice"))
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Self::new(unknown("member", name, known))
    }

    fn unknown_variant(name: &str, known: &'static [&'static str]) -> Self {
        Self::new(unknown("word", name, known))
    }
}

fn unknown(what: &str, name: &str, known: &'static [&'static str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("unknown {what} {name:?}; did you mean `{near}`?"),
        None if known.is_empty() => format!("unknown {what} {name:?}"),
        None => format!("unknown {what} {name:?}; known: {}", known.join(", ")),
    }
}

/// What a visitor wants, in the words of XML-RPC.
fn wanted(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "a sequence" => "an array".into(),
        "a map" => "a struct".into(),
        "f32" | "f64" => "a double".into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "an int".into(),
        "u8" | "u16" | "u32" | "u64" | "usize" => "an int that is not negative".into(),
        "unit" => "nil".into(),
        other if other.starts_with("struct ") => "a struct".into(),
        other if other.starts_with("enum ") => "a known word".into(),
        _ => text,
    }
}

fn found(unexpected: &Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(_) => "boolean".into(),
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "int".into(),
        Unexpected::Float(_) => "double".into(),
        Unexpected::Char(_) | Unexpected::Str(_) => "string".into(),
        Unexpected::Bytes(_) => "base64".into(),
        Unexpected::Unit | Unexpected::Option => "nil".into(),
        Unexpected::Seq => "array".into(),
        Unexpected::Map => "struct".into(),
        other => other.to_string(),
    }
}
