//! XML knows neither numbers nor lists of one: what is wanted decides.

use super::super::{Map, Node, Value, scalar};

/// What a single value may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plain {
    /// A text.
    pub string: bool,
    /// A number.
    pub number: bool,
    /// True or false.
    pub boolean: bool,
}

/// A text as the number or truth that is wanted, read as YAML reads a plain scalar. A text stays one where a text is
/// wanted too, and where it is no such value: whoever wants it then says so.
pub fn fit(node: &mut Node, wanted: Plain) {
    let Value::String(text) = &node.value else {
        return;
    };
    if wanted.string {
        return;
    }
    match scalar::plain(text) {
        Ok(value @ Value::Bool(_)) if wanted.boolean => node.value = value,
        Ok(value @ (Value::Int(_) | Value::Float(_))) if wanted.number => node.value = value,
        _ => {}
    }
}

/// A list where one is wanted: of one, if a single value stands there; the elements in it, if it is an element that holds
/// elements of one name only, as in `<targets><target>a</target><target>b</target></targets>`; empty for null.
pub fn fit_list(node: &mut Node) {
    let value = std::mem::take(&mut node.value);
    node.value = match value {
        Value::Null => Value::List(Vec::new()),
        Value::List(list) => Value::List(list),
        Value::Map(Map(mut entries)) if entries.len() == 1 => match entries.pop() {
            Some(entry) => {
                let mut inner = entry.value;
                if !matches!(inner.value, Value::List(_)) {
                    let first = std::mem::take(&mut inner);
                    inner.value = Value::List(vec![first]);
                }
                inner.value
            }
            None => Value::List(Vec::new()),
        },
        single => {
            let span = node.span;
            Value::List(vec![Node {
                span,
                value: single,
            }])
        }
    };
}
