//! Secret references as they stand in JSON: `{"$secret": {"env": "NAME"}}`.

use super::{Entry, Map, Node, Value};
use crate::diagnostic::Span;
use crate::secret::SecretRef;
use crate::text::SECRET_KEY;

/// What to write instead of a malformed reference.
pub(super) const SECRET_HINT: &str = "a secret reference is {\"$secret\": {\"env\": NAME}}, {\"$secret\": {\"file\": PATH}} or {\"$secret\": {\"command\": [PROGRAM, ...]}}";

/// The reference that a map is; `None` when it is a map like any other. The error is what is wrong, and where.
pub(super) fn from_map(map: &Map) -> Option<Result<SecretRef, (Span, String)>> {
    let entry = map.iter().find(|e| &*e.key == SECRET_KEY)?;
    if map.len() != 1 {
        let other = map.iter().find(|e| &*e.key != SECRET_KEY)?;
        let message = format!("`{}` cannot stand beside `{SECRET_KEY}`", other.key);
        return Some(Err((other.key_span, message)));
    }
    Some(from_kind(entry))
}

fn from_kind(entry: &Entry) -> Result<SecretRef, (Span, String)> {
    let inner = match &entry.value.value {
        Value::Map(inner) => inner.0.as_slice(),
        _ => &[],
    };
    let [kind] = inner else {
        let message = format!("`{SECRET_KEY}` must be a map with one key");
        return Err((entry.value.span, message));
    };
    match &*kind.key {
        "env" => text(&kind.value, "the name of a variable").map(SecretRef::Env),
        "file" => text(&kind.value, "a path").map(SecretRef::File),
        "command" => words(&kind.value).map(SecretRef::Command),
        other => Err((kind.key_span, format!("unknown kind of secret `{other}`"))),
    }
}

/// The text of an `env` or `file` reference.
pub(super) fn text(node: &Node, wanted: &str) -> Result<String, (Span, String)> {
    match node.as_str() {
        Some(text) if !text.is_empty() && !text.contains('\0') => Ok(text.to_owned()),
        Some(_) => Err((
            node.span,
            format!("{wanted} is wanted, not an empty string"),
        )),
        None => Err((
            node.span,
            format!("{wanted} is wanted, not {}", node.kind()),
        )),
    }
}

/// The words of a `command` reference: a program and its arguments.
pub(super) fn words(node: &Node) -> Result<Vec<String>, (Span, String)> {
    let wrong = |span| {
        (
            span,
            "a list of strings is wanted: a program and its arguments".to_owned(),
        )
    };
    let list = node.as_list().ok_or_else(|| wrong(node.span))?;
    let words: Vec<String> = list
        .iter()
        .map(|word| {
            word.as_str()
                .map(str::to_owned)
                .ok_or_else(|| wrong(word.span))
        })
        .collect::<Result<_, _>>()?;
    match words.first() {
        Some(program) if !program.is_empty() => Ok(words),
        _ => Err(wrong(node.span)),
    }
}

/// The map that stands for a reference.
pub(super) fn to_map(secret: &SecretRef, span: Span) -> Map {
    let (kind, value) = match secret {
        SecretRef::Env(name) => ("env", Node::from(name.as_str())),
        SecretRef::File(path) => ("file", Node::from(path.as_str())),
        SecretRef::Command(words) => ("command", Node::from(words.clone())),
    };
    let entry = |key: &str, value: Value| {
        Map(vec![Entry {
            key: key.into(),
            key_span: span,
            value: Node { span, value },
        }])
    };
    entry(SECRET_KEY, Value::Map(entry(kind, value.value)))
}
