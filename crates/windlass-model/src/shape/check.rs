//! A map held against a schema.

use super::Where;
use super::schema::{Kind, Others, Schema, Types};
use crate::diagnostic::{Span, nearest};
use crate::tasklist::ENGINE_KEYS;
use crate::text::SECRET_KEY;
use crate::tree::{Map, NO_SECRET_HERE, Node, Value, to_json};

/// Where a value stands below the map that is checked: written out only for a fault.
#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Self::Root, key) => f.write_str(key),
            Self::Key(above, key) => write!(f, "{above}.{key}"),
            Self::Index(above, index) => write!(f, "{above}[{index}]"),
        }
    }
}

/// A schema that refers to itself without end is followed so far.
const MOST_VISITS: usize = 1_000_000;
const MOST_HOPS: usize = 32;
/// So many keys are named in a hint.
const MOST_NAMES: usize = 24;

pub(super) struct Fault {
    pub(super) span: Span,
    pub(super) path: String,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

pub(super) fn faults(schema: &Schema, map: &Map, place: &Where<'_>) -> Vec<Fault> {
    let mut check = Check {
        schema,
        place,
        visits: 0,
        faults: Vec::new(),
    };
    if let Some(kind) = schema.kinds.first() {
        check.map(kind, map, place.whole.span, &Path::Root, 0);
    }
    check.faults
}

struct Check<'a> {
    schema: &'a Schema,
    place: &'a Where<'a>,
    visits: usize,
    faults: Vec<Fault>,
}

impl<'a> Check<'a> {
    fn fault(&mut self, span: Span, path: &Path<'_>, message: String, hint: Option<String>) {
        self.faults.push(Fault {
            span,
            path: path.to_string(),
            message,
            hint,
        });
    }

    fn kind(&self, number: usize) -> Option<&'a Kind> {
        self.schema.kinds.get(number)
    }

    /// Checks a value. `hops` counts the schemas gone through for this one value.
    fn value(&mut self, number: usize, node: &Node, path: &Path<'_>, hops: usize) {
        self.visits += 1;
        if hops > MOST_HOPS || self.visits > MOST_VISITS {
            return;
        }
        let Some(kind) = self.kind(number) else {
            return;
        };
        if !self.fits_type(kind, node) {
            self.wrong(number, node, path);
            return;
        }
        if let Some(values) = &kind.values
            && !values.contains(&to_json(node))
        {
            self.wrong(number, node, path);
            return;
        }
        match &node.value {
            Value::Map(map) => self.map(kind, map, node.span, path, hops),
            Value::List(list) => self.list(kind, list, node, path),
            _ => {}
        }
        let too_small = match &node.value {
            Value::Int(int) => !in_range(kind, *int as f64),
            Value::Float(float) => !in_range(kind, *float),
            Value::String(text) => (text.chars().count() as u64) < kind.min_length,
            _ => false,
        };
        if too_small {
            self.wrong(number, node, path);
            return;
        }
        if !matches!(node.value, Value::Map(_)) {
            self.branches(kind, node, path, hops);
        }
    }

    fn list(&mut self, kind: &Kind, list: &[Node], node: &Node, path: &Path<'_>) {
        let length = list.len() as u64;
        if length < kind.min_items || kind.max_items.is_some_and(|most| length > most) {
            let wanted = match kind.max_items {
                Some(most) if most == kind.min_items => format!("{most}"),
                Some(most) => format!("{} to {most}", kind.min_items),
                None => format!("at least {}", kind.min_items),
            };
            let message = format!("`{path}` has {length} values, but {wanted} are wanted");
            self.fault(node.span, path, message, None);
        }
        for (index, item) in list.iter().enumerate() {
            if let Some(number) = kind.prefix.get(index).copied().or(kind.items) {
                self.value(number, item, &Path::Index(path, index), 0);
            }
        }
    }

    fn map(&mut self, kind: &'a Kind, map: &Map, span: Span, path: &Path<'_>, hops: usize) {
        for entry in map.iter() {
            let below = Path::Key(path, &entry.key);
            match kind.properties.iter().find(|(key, _)| **key == *entry.key) {
                Some((_, number)) => self.value(*number, &entry.value, &below, 0),
                None => match kind.others {
                    Others::Any => {}
                    Others::Like(number) => self.value(number, &entry.value, &below, 0),
                    Others::None => {
                        let message =
                            format!("unknown key `{}` of {}", entry.key, self.whole(path));
                        let hint = self.unknown_hint(kind, &entry.key, path);
                        self.fault(entry.key_span, &below, message, hint);
                    }
                },
            }
        }
        for key in &kind.required {
            if map.get(key).is_none() {
                let message = format!("{} lacks the key `{key}`", self.whole(path));
                self.fault(span, path, message, None);
            }
        }
        if kind.all_of.is_empty() && kind.any_of.is_empty() {
            return;
        }
        let node = Node {
            span,
            value: Value::Map(map.clone()),
        };
        self.branches(kind, &node, path, hops);
    }

    fn whole(&self, path: &Path<'_>) -> String {
        match path {
            Path::Root => self.place.of.to_string(),
            path => format!("`{path}`"),
        }
    }

    fn unknown_hint(&self, kind: &Kind, key: &str, path: &Path<'_>) -> Option<String> {
        let own = || kind.properties.iter().map(|(name, _)| name.as_str());
        let engine: &[&str] = match (path, self.place.task) {
            (Path::Root, Some(_)) => &ENGINE_KEYS,
            _ => &[],
        };
        if let Some(near) = nearest(key, own().chain(engine.iter().copied())) {
            return Some(format!("did you mean `{near}`?"));
        }
        let names: Vec<&str> = own().take(MOST_NAMES).collect();
        match names.as_slice() {
            [] => Some("it takes none".into()),
            names => Some(format!("known: {}", names.join(", "))),
        }
    }

    /// All of `allOf`, and one at least of each `anyOf`.
    fn branches(&mut self, kind: &'a Kind, node: &Node, path: &Path<'_>, hops: usize) {
        for number in &kind.all_of {
            self.value(*number, node, path, hops + 1);
        }
        for branches in &kind.any_of {
            self.any(branches, node, path, hops);
        }
    }

    /// One branch at least. If one alone is of the right type, its own faults say more than "none fits".
    fn any(&mut self, branches: &[usize], node: &Node, path: &Path<'_>, hops: usize) {
        let before = self.faults.len();
        let mut near: Vec<Vec<Fault>> = Vec::new();
        for number in branches {
            self.value(*number, node, path, hops + 1);
            let faults = self.faults.split_off(before);
            if faults.is_empty() {
                return;
            }
            let of_type = self.reaches(*number, node, 0);
            if of_type {
                near.push(faults);
            }
        }
        match near.pop() {
            Some(faults) if near.is_empty() => self.faults.extend(faults),
            _ => {
                let wanted = join(branches.iter().map(|number| self.describe(*number, 0)));
                self.none_fits(node, path, &wanted);
            }
        }
    }

    /// Whether the value is of the right type for a kind, or for what it refers to.
    fn reaches(&self, number: usize, node: &Node, hops: usize) -> bool {
        let Some(kind) = self.kind(number).filter(|_| hops < MOST_HOPS) else {
            return false;
        };
        self.fits_type(kind, node)
            && kind
                .all_of
                .iter()
                .all(|number| self.reaches(*number, node, hops + 1))
    }

    fn fits_type(&self, kind: &Kind, node: &Node) -> bool {
        if kind.is_never {
            return false;
        }
        if let Value::Secret(_) = node.value {
            return takes_secret(kind);
        }
        kind.types.is_none_or(|types| match node.value {
            Value::Null => types.null,
            Value::Bool(_) => types.boolean,
            Value::Int(_) => types.integer || types.number,
            Value::Float(_) => types.number,
            Value::String(_) => types.string,
            Value::List(_) => types.array,
            Value::Map(_) => types.object,
            Value::Secret(_) => true,
        })
    }

    fn wrong(&mut self, number: usize, node: &Node, path: &Path<'_>) {
        let wanted = self.describe(number, 0);
        if let (Some(kind), Some(text)) = (self.kind(number), node.as_str())
            && let Some(values) = &kind.values
        {
            let near = nearest(text, values.iter().filter_map(serde_json::Value::as_str));
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            let message = format!("`{path}` is `{text}`, but {wanted} is wanted");
            self.fault(node.span, path, message, hint);
            return;
        }
        self.none_fits(node, path, &wanted);
    }

    fn none_fits(&mut self, node: &Node, path: &Path<'_>, wanted: &str) {
        let message = match &node.value {
            Value::Secret(_) => NO_SECRET_HERE.to_owned(),
            Value::Int(int) => format!("`{path}` is {int}, but {wanted} is wanted"),
            Value::String(text) if text.is_empty() => {
                format!("`{path}` is empty, but {wanted} is wanted")
            }
            _ => format!("`{path}` is {}, but {wanted} is wanted", node.kind()),
        };
        self.fault(node.span, path, message, None);
    }

    /// What a kind wants, in words.
    fn describe(&self, number: usize, hops: usize) -> String {
        let Some(kind) = self.kind(number).filter(|_| hops < MOST_HOPS) else {
            return "something else".into();
        };
        if let Some(values) = &kind.values {
            return join(values.iter().map(|value| match value.as_str() {
                Some(word) => format!("`{word}`"),
                None => format!("`{value}`"),
            }));
        }
        if kind.properties.iter().any(|(key, _)| key == SECRET_KEY) {
            return "a secret reference".into();
        }
        if let Some(types) = kind.types {
            return join(words(types, kind).into_iter());
        }
        let below = kind.all_of.iter().chain(kind.any_of.iter().flatten());
        match join(below.map(|number| self.describe(*number, hops + 1))) {
            words if words.is_empty() => "something else".into(),
            words => words,
        }
    }
}

/// Whether a secret reference may stand where this kind is wanted.
fn takes_secret(kind: &Kind) -> bool {
    let is_said = kind.properties.iter().any(|(key, _)| key == SECRET_KEY);
    is_said || (kind.types.is_none() && kind.values.is_none() && kind.properties.is_empty())
}

fn in_range(kind: &Kind, number: f64) -> bool {
    kind.minimum.is_none_or(|least| number >= least)
        && kind.maximum.is_none_or(|most| number <= most)
}

fn words(types: Types, kind: &Kind) -> Vec<String> {
    let mut words = Vec::new();
    let range = match (kind.minimum, kind.maximum) {
        (Some(least), Some(most)) if most < f64::from(u32::MAX) => {
            format!(" from {least} to {most}")
        }
        (Some(least), _) => format!(" of at least {least}"),
        (None, Some(most)) if most < f64::from(i32::MAX) => format!(" of at most {most}"),
        _ => String::new(),
    };
    if types.string {
        words.push(match kind.min_length {
            0 => "a string".into(),
            1 => "a string that is not empty".into(),
            least => format!("a string of at least {least} characters"),
        });
    }
    // Where a string will do, numbers and truths only stand for their text.
    let is_text = types.string && types.number && types.boolean;
    if types.number && !is_text {
        words.push(format!("a number{range}"));
    } else if types.integer && !is_text {
        words.push(format!("a whole number{range}"));
    }
    if types.boolean && !is_text {
        words.push("true or false".into());
    }
    if types.array {
        words.push("a list".into());
    }
    if types.object {
        words.push("a map".into());
    }
    if words.is_empty() && types.null {
        words.push("nothing".into());
    }
    words
}

/// `a, b or c`; each once.
fn join(parts: impl Iterator<Item = String>) -> String {
    let mut words: Vec<String> = Vec::new();
    for part in parts {
        if part != "nothing" && !words.contains(&part) {
            words.push(part);
        }
    }
    match words.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}
