//! An element that is being read, and what becomes of it.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::{Entry, Map, Node, Value, repeated_keys};
use super::{Fault, is_blank};
use crate::diagnostic::Span;
use crate::secret::SecretRef;

const SECRET: &str = "secret";
const SECRET_HINT: &str = "a secret is `secret=\"env:NAME\"`, `secret=\"file:PATH\"` or `secret=\"command:PROGRAM ARGUMENT ...\"`";

/// An open element.
pub(super) struct Frame {
    pub(super) name: Arc<str>,
    pub(super) name_span: Span,
    start: Span,
    pub(super) attributes: Vec<Entry>,
    pub(super) children: Vec<Entry>,
    text: String,
    text_span: Option<Span>,
    /// The part of the text whose blanks are kept.
    kept: Option<(usize, usize)>,
}

impl Frame {
    pub(super) fn new(name: Arc<str>, name_span: Span, start: Span) -> Self {
        Self {
            name,
            name_span,
            start,
            attributes: Vec::new(),
            children: Vec::new(),
            text: String::new(),
            text_span: None,
            kept: None,
        }
    }

    pub(super) fn text(&mut self, text: &str, span: Span, is_kept: bool) {
        let begin = self.text.len();
        self.text.push_str(text);
        if is_kept {
            let first = self.kept.map_or(begin, |(first, _)| first);
            self.kept = Some((first, self.text.len()));
        }
        if is_kept || !text.chars().all(is_blank) {
            let first = self.text_span.map_or(span.start, |s| s.start);
            self.text_span = Some(Span {
                start: first,
                end: span.end,
            });
        }
    }

    /// The element as a key with its value; `end` is its closing tag.
    pub(super) fn close(
        mut self,
        end: Span,
        faults: &mut Vec<Fault>,
        hidden: &mut Vec<Span>,
    ) -> Entry {
        let span = Span {
            start: self.start.start,
            end: end.end,
        };
        let (key, key_span) = self.key(faults);
        let value = match self.secret(faults, hidden) {
            Some(secret) => Value::Secret(Box::new(secret)),
            None => self.value(faults),
        };
        // A text is pointed at itself, anything else as a whole.
        let span = match (&value, self.text_span) {
            (Value::String(_), Some(text)) => shrink(text, self.raw_blanks()),
            _ => span,
        };
        Entry {
            key,
            key_span,
            value: Node { span, value },
        }
    }

    fn key(&mut self, faults: &mut Vec<Fault>) -> (Arc<str>, Span) {
        let at = self.attributes.iter().position(|a| &*a.key == "key");
        let Some(at) = at.filter(|_| &*self.name == "entry") else {
            return (self.name.clone(), self.name_span);
        };
        let entry = self.attributes.remove(at);
        match entry.value.as_str() {
            Some(key) if !key.is_empty() => (key.into(), entry.value.span),
            _ => {
                let hint = "as in `<entry key=\"1st\">`";
                faults.push(Fault::new(entry.key_span, "this key is empty", hint));
                (self.name.clone(), self.name_span)
            }
        }
    }

    fn secret(&self, faults: &mut Vec<Fault>, hidden: &mut Vec<Span>) -> Option<SecretRef> {
        let entry = self.attributes.iter().find(|a| &*a.key == SECRET)?;
        let is_alone =
            self.attributes.len() == 1 && self.children.is_empty() && self.text_span.is_none();
        let read = entry.value.as_str().and_then(reference);
        if read.is_none() {
            // Perhaps the secret itself.
            hidden.push(entry.value.span);
        }
        if read.is_none() || !is_alone {
            let message = match is_alone {
                true => "this is no reference to a secret",
                false => "nothing else can stand in an element with `secret`",
            };
            faults.push(Fault::new(entry.key_span, message, SECRET_HINT));
        }
        read
    }

    fn value(&mut self, faults: &mut Vec<Fault>) -> Value {
        let text = self.trimmed();
        let children = std::mem::take(&mut self.children);
        let mut map = Map(std::mem::take(&mut self.attributes));
        for entry in repeated_keys(&map) {
            faults.push(Fault::repeated(&entry.key, entry.key_span));
        }
        if !children.is_empty() {
            if self.text_span.is_some() {
                let message = format!("text and elements stand side by side in `<{}>`", self.name);
                let span = self.text_span.unwrap_or(self.name_span);
                let span = shrink(span, self.raw_blanks());
                faults.push(Fault::new(
                    span,
                    message,
                    "give the text an element of its own",
                ));
            }
            add(&mut map, children, faults);
            return Value::Map(map);
        }
        match (text, map.is_empty()) {
            (Some(text), true) => Value::String(text.into()),
            (Some(text), false) => {
                let value = Node {
                    span: self.text_span.unwrap_or(self.start),
                    value: Value::String(text.into()),
                };
                map.0.push(Entry {
                    key: "text".into(),
                    key_span: self.name_span,
                    value,
                });
                Value::Map(map)
            }
            (None, true) => Value::Null,
            (None, false) => Value::Map(map),
        }
    }

    /// The text without the blanks around it; none if there is nothing else.
    fn trimmed(&self) -> Option<String> {
        self.text_span?;
        let (first, last) = self.kept.unwrap_or((usize::MAX, 0));
        let start = self.text.len() - self.text.trim_start_matches(is_blank).len();
        let end = self.text.trim_end_matches(is_blank).len();
        let text = self.text.get(start.min(first)..end.max(last));
        text.map(str::to_owned)
    }

    /// Bytes of blanks before and behind the text, as far as they stand in it as they are.
    fn raw_blanks(&self) -> (usize, usize) {
        if self.kept.is_some() {
            return (0, 0);
        }
        let before = self.text.len() - self.text.trim_start_matches(is_blank).len();
        let behind = self.text.len() - self.text.trim_end_matches(is_blank).len();
        (before, behind)
    }
}

fn shrink(span: Span, (before, behind): (usize, usize)) -> Span {
    let start = span.start as usize + before;
    let end = (span.end as usize).saturating_sub(behind).max(start);
    Span::new(start, end)
}

/// Adds elements to the attributes; those of one name become a list.
fn add(map: &mut Map, children: Vec<Entry>, faults: &mut Vec<Fault>) {
    let attributes = map.len();
    let mut places: HashMap<Arc<str>, (usize, bool)> = HashMap::new();
    for (place, entry) in map.iter().enumerate() {
        places.insert(entry.key.clone(), (place, false));
    }
    for child in children {
        match places.get_mut(&child.key) {
            None => {
                places.insert(child.key.clone(), (map.len(), false));
                map.0.push(child);
            }
            Some((place, _)) if *place < attributes => {
                faults.push(Fault::repeated(&child.key, child.key_span));
            }
            Some((place, is_list)) => {
                let Some(entry) = map.0.get_mut(*place) else {
                    continue;
                };
                if !std::mem::replace(is_list, true) {
                    let first = std::mem::take(&mut entry.value);
                    entry.value = Node {
                        span: first.span,
                        value: Value::List(vec![first]),
                    };
                }
                if let Value::List(list) = &mut entry.value.value {
                    entry.value.span.end = child.value.span.end;
                    list.push(child.value);
                }
            }
        }
    }
}

fn reference(text: &str) -> Option<SecretRef> {
    let (kind, rest) = text.split_once(':')?;
    let rest = rest.trim();
    if rest.is_empty() || rest.contains('\0') {
        return None;
    }
    match kind.trim() {
        "env" => Some(SecretRef::Env(rest.to_owned())),
        "file" => Some(SecretRef::File(rest.to_owned())),
        "command" => {
            let words = rest.split_whitespace().map(str::to_owned).collect();
            Some(SecretRef::Command(words))
        }
        _ => None,
    }
}
