//! YAML to a tree.
//!
//! The scanner's events become nodes. What YAML could do to surprise is bounded or refused: aliases may make a
//! million nodes at most, keys are words, a key stands once, tags other than ours and the core schema's are errors.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, StrInput, Tag};

use super::fault::{self, Fault};
use super::{Entry, MAX_DEPTH, Map, Node, Value, repeated_keys, scalar, secret};
use crate::diagnostic::{Diagnostics, Source, Span, nearest};
use crate::secret::SecretRef;

/// So many nodes a text may make, aliases followed.
const MOST_NODES: usize = 1_000_000;

const TAGS: [&str; 3] = ["!env", "!file", "!command"];
const TAG_HINT: &str = "known tags are !env NAME, !file PATH and !command [PROGRAM, ...]";

/// Parses one YAML 1.2 document (core schema). Tags `!env`, `!file`, `!command` make secret references.
///
/// An empty text is an empty map. Aliases and merge keys (`<<`) are followed. JSON is YAML.
pub fn parse_yaml(source: &Arc<Source>) -> Result<Node, Diagnostics> {
    let text = source.text();
    let skip = if text.starts_with('\u{feff}') { 3 } else { 0 };
    let body = text.get(skip..).unwrap_or_default();
    let mut reader = Reader {
        events: Parser::new_from_str(body),
        places: Places::new(body, skip),
        text,
        depth: 0,
        nodes: 0,
        keys: HashSet::new(),
        anchors: HashMap::new(),
        faults: Vec::new(),
    };
    match reader.document() {
        Ok(node) if reader.faults.is_empty() => Ok(node),
        Ok(_) => Err(fault::diagnostics(reader.faults, source)),
        Err(last) => {
            reader.faults.push(last);
            Err(fault::diagnostics(reader.faults, source))
        }
    }
}

/// From the scanner's places, which count characters, to bytes.
struct Places {
    /// The byte at which each character begins; none where all are ASCII.
    starts: Option<Vec<u32>>,
    skip: usize,
    end: usize,
}

impl Places {
    fn new(body: &str, skip: usize) -> Self {
        let starts = || body.char_indices().map(|(byte, _)| byte as u32).collect();
        Self {
            starts: (!body.is_ascii()).then(starts),
            skip,
            end: body.len(),
        }
    }

    fn byte(&self, marker: &Marker) -> usize {
        let byte = match &self.starts {
            None => marker.index(),
            Some(starts) => starts.get(marker.index()).map_or(self.end, |b| *b as usize),
        };
        byte.min(self.end) + self.skip
    }

    fn span(&self, span: &saphyr_parser::Span) -> Span {
        let start = self.byte(&span.start);
        Span::new(start, self.byte(&span.end).max(start))
    }
}

struct Anchor {
    node: Node,
    nodes: usize,
    height: usize,
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    places: Places,
    text: &'a str,
    depth: usize,
    nodes: usize,
    keys: HashSet<Arc<str>>,
    anchors: HashMap<usize, Anchor>,
    faults: Vec<Fault>,
}

type Tagged<'a> = Option<Cow<'a, Tag>>;

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Fault> {
        match self.events.next_event() {
            Some(Ok((event, span))) => Ok((event, self.places.span(&span))),
            Some(Err(error)) => Err(self.scan_fault(&error)),
            None => Ok((
                Event::StreamEnd,
                Span::new(self.text.len(), self.text.len()),
            )),
        }
    }

    fn document(&mut self) -> Result<Node, Fault> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(_) if root.is_some() => {
                    let hint = "take the `---` away, or make two files of it";
                    return Err(Fault::new(span, "a second document begins here", hint));
                }
                Event::DocumentStart(_) => {
                    let (event, span) = self.next()?;
                    root = Some(self.node(event, span)?);
                }
                _ => {}
            }
        }
        let root = root.unwrap_or_default();
        Ok(match root.value {
            Value::Null => Node {
                span: root.span,
                value: Value::Map(Map::default()),
            },
            _ => root,
        })
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Fault> {
        self.nodes += nodes;
        if self.nodes > MOST_NODES {
            let message = format!("this text makes more than {MOST_NODES} values");
            return Err(Fault::new(span, message, "use fewer aliases (`*name`)"));
        }
        Ok(())
    }

    fn too_deep(span: Span) -> Fault {
        let hint = format!("at most {MAX_DEPTH} levels are read");
        Fault::new(span, "lists and maps are nested too deep", hint)
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, Fault> {
        let before = self.nodes;
        self.count(1, span)?;
        let (anchor, node) = match event {
            Event::Alias(id) => return self.alias(id, span),
            Event::Scalar(text, style, anchor, tag) => {
                let value = self.scalar(&text, style, tag, span);
                (anchor, Node { span, value })
            }
            Event::SequenceStart(anchor, tag) => (anchor, self.list(tag, span)?),
            Event::MappingStart(anchor, tag) => (anchor, self.map(tag, span)?),
            _ => {
                return Err(Fault::new(
                    span,
                    "a value is wanted",
                    "the text ends too early",
                ));
            }
        };
        if anchor > 0 {
            let nodes = self.nodes - before;
            self.count(nodes, span)?;
            let kept = Anchor {
                node: node.clone(),
                nodes,
                height: height(&node),
            };
            self.anchors.insert(anchor, kept);
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<Node, Fault> {
        let Some(anchor) = self.anchors.get(&id) else {
            let hint =
                "an alias repeats a value that was written before it, and cannot stand within it";
            return Err(Fault::new(
                span,
                "this alias stands within its own value",
                hint,
            ));
        };
        if self.depth + anchor.height > MAX_DEPTH {
            return Err(Self::too_deep(span));
        }
        let nodes = anchor.nodes;
        self.count(nodes, span)?;
        Ok(self
            .anchors
            .get(&id)
            .map(|a| a.node.clone())
            .unwrap_or_default())
    }

    fn descend(&mut self, span: Span) -> Result<(), Fault> {
        if self.depth == MAX_DEPTH {
            return Err(Self::too_deep(span));
        }
        self.depth += 1;
        Ok(())
    }

    fn list(&mut self, tag: Tagged<'a>, span: Span) -> Result<Node, Fault> {
        self.descend(span)?;
        let mut list: Vec<Node> = Vec::new();
        let end = loop {
            let (event, span) = self.next()?;
            match event {
                Event::SequenceEnd => break span,
                event => list.push(self.node(event, span)?),
            }
        };
        self.depth -= 1;
        let last = list.last().map(|node| node.span);
        let mut node = Node {
            span: whole(span, end, last),
            value: Value::List(list),
        };
        if let Some(tag) = tag {
            match name(&tag).as_ref() {
                "!command" => match secret::words(&node) {
                    Ok(words) => node.value = Value::Secret(Box::new(SecretRef::Command(words))),
                    Err((span, message)) => self.faults.push(Fault::new(span, message, TAG_HINT)),
                },
                "!!seq" | "!" => {}
                other => self.wrong_tag(other, node.span, "a list"),
            }
        }
        Ok(node)
    }

    fn map(&mut self, tag: Tagged<'a>, span: Span) -> Result<Node, Fault> {
        self.descend(span)?;
        let mut map = Map::default();
        let mut merges = Vec::new();
        let end = loop {
            let (event, key_span) = self.next()?;
            let key = match event {
                Event::MappingEnd => break key_span,
                Event::Scalar(text, style, anchor, tag) => {
                    let is_merge = text == "<<" && style == ScalarStyle::Plain && tag.is_none();
                    if text.is_empty() && style == ScalarStyle::Plain {
                        let fault = Fault::new(
                            key_span,
                            "a key is missing before the colon",
                            "write `\"\"` if it is meant to be empty",
                        );
                        self.faults.push(fault);
                    }
                    if anchor > 0 {
                        let node = Node {
                            span: key_span,
                            value: Value::String(text.as_ref().into()),
                        };
                        self.anchors.insert(
                            anchor,
                            Anchor {
                                node,
                                nodes: 1,
                                height: 0,
                            },
                        );
                    }
                    (self.intern(&text), is_merge)
                }
                other => {
                    let key = self.node(other, key_span)?;
                    match key.as_str() {
                        Some(text) => (self.intern(text), false),
                        None => {
                            let message = format!("here is {} as a key", key.kind());
                            let fault = Fault::new(
                                key_span,
                                message,
                                "a key is a word or a number; a text with `{` or `[` at its start must be quoted",
                            );
                            self.faults.push(fault);
                            (self.intern(""), false)
                        }
                    }
                }
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span)?;
            let (key, is_merge) = key;
            let entry = Entry {
                key,
                key_span,
                value,
            };
            if is_merge {
                merges.push(entry);
            } else {
                map.0.push(entry);
            }
        };
        self.depth -= 1;
        let last = map
            .0
            .iter()
            .chain(&merges)
            .map(|entry| entry.value.span)
            .max_by_key(|s| s.end);
        for entry in repeated_keys(&map)
            .into_iter()
            .chain(merges.get(1..).into_iter().flatten())
        {
            self.faults
                .push(Fault::repeated(&entry.key, entry.key_span));
        }
        for merge in merges.into_iter().take(1) {
            self.merge(&mut map, merge.value)?;
        }
        let span = whole(span, end, last);
        if let Some(tag) = tag
            && !matches!(name(&tag).as_ref(), "!!map" | "!")
        {
            self.wrong_tag(&name(&tag), span, "a map");
        }
        let value = match secret::from_map(&map) {
            Some(Ok(secret)) => Value::Secret(Box::new(secret)),
            Some(Err((span, message))) => {
                self.faults
                    .push(Fault::new(span, message, secret::SECRET_HINT));
                Value::Map(map)
            }
            None => Value::Map(map),
        };
        Ok(Node { span, value })
    }

    /// Puts the entries of a merged map, or of several, beneath those that are written; the first to say a key wins.
    fn merge(&mut self, map: &mut Map, merged: Node) -> Result<(), Fault> {
        let merged = match merged.value {
            Value::List(list) => list,
            _ => vec![merged],
        };
        let mut keys: HashSet<Arc<str>> = map.iter().map(|entry| entry.key.clone()).collect();
        for node in merged {
            let span = node.span;
            let Value::Map(more) = node.value else {
                let message = format!("`<<` merges maps, but here is {}", node.kind());
                self.faults
                    .push(Fault::new(span, message, "as in `<<: *defaults`"));
                continue;
            };
            map.0.extend(
                more.0
                    .into_iter()
                    .filter(|entry| keys.insert(entry.key.clone())),
            );
        }
        Ok(())
    }

    fn intern(&mut self, key: &str) -> Arc<str> {
        if let Some(known) = self.keys.get(key) {
            return known.clone();
        }
        let key: Arc<str> = key.into();
        self.keys.insert(key.clone());
        key
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Tagged<'a>, span: Span) -> Value {
        let string = || Value::String(text.into());
        let Some(tag) = tag else {
            if style != ScalarStyle::Plain {
                return string();
            }
            return scalar::plain(text).unwrap_or_else(|message| {
                self.faults
                    .push(Fault::new(span, message, "if it is no number, quote it"));
                Value::Null
            });
        };
        let tag = name(&tag);
        let secret = match tag.as_ref() {
            "!env" => secret::text(
                &Node {
                    span,
                    value: string(),
                },
                "the name of a variable",
            )
            .map(SecretRef::Env),
            "!file" => secret::text(
                &Node {
                    span,
                    value: string(),
                },
                "a path",
            )
            .map(SecretRef::File),
            "!!str" | "!" => return string(),
            "!!null" | "!!bool" | "!!int" | "!!float" => return self.core(&tag, text, span),
            other => {
                self.wrong_tag(other, span, "a single value");
                return Value::Null;
            }
        };
        match secret {
            Ok(secret) => Value::Secret(Box::new(secret)),
            Err((span, message)) => {
                self.faults.push(Fault::new(span, message, TAG_HINT));
                Value::Null
            }
        }
    }

    /// A value that is said to be of a kind of the core schema.
    fn core(&mut self, tag: &str, text: &str, span: Span) -> Value {
        match (tag, scalar::plain(text)) {
            ("!!null", Ok(value @ Value::Null))
            | ("!!bool", Ok(value @ Value::Bool(_)))
            | ("!!int", Ok(value @ Value::Int(_)))
            | ("!!float", Ok(value @ Value::Float(_))) => value,
            ("!!float", Ok(Value::Int(int))) => Value::Float(int as f64),
            _ => {
                let message = format!("`{text}` is no {}", tag.trim_start_matches('!'));
                self.faults
                    .push(Fault::new(span, message, "take the tag away"));
                Value::Null
            }
        }
    }

    fn wrong_tag(&mut self, tag: &str, span: Span, on: &str) {
        let hint = match nearest(tag, TAGS) {
            Some(near) if near != tag => format!("did you mean `{near}`? {TAG_HINT}"),
            _ => TAG_HINT.to_owned(),
        };
        let message = if TAGS.contains(&tag) || tag.starts_with("!!") {
            format!("the tag `{tag}` does not fit {on}")
        } else {
            format!("unknown tag `{tag}`")
        };
        self.faults.push(Fault::new(span, message, hint));
    }

    /// The scanner's error, with a hint for the usual causes.
    fn scan_fault(&self, error: &ScanError) -> Fault {
        let at = self.places.byte(error.marker());
        let head = self.text.get(..at).unwrap_or_default();
        let start = head.rfind('\n').map_or(0, |n| n + 1);
        let line = self
            .text
            .get(start..)
            .and_then(|rest| rest.lines().next())
            .unwrap_or_default();
        let previous = head
            .get(..start)
            .and_then(|head| head.lines().last())
            .unwrap_or_default();
        let tab = |line: &str| {
            line.find(|c: char| c != ' ')
                .filter(|n| line.get(*n..).is_some_and(|r| r.starts_with('\t')))
        };
        let place = |start: usize, tab: usize| Span::new(start + tab, start + tab + 1);
        let span = Span::new(at, at);
        if let Some(tab) = tab(line) {
            return Fault::new(
                place(start, tab),
                "a tab stands in the indentation",
                "YAML is indented with spaces only",
            );
        }
        if let Some(tab) = tab(previous) {
            let start = start - 1 - previous.len();
            return Fault::new(
                place(start, tab),
                "a tab stands in the indentation",
                "YAML is indented with spaces only",
            );
        }
        let info = error.info();
        let hint = if info.contains("mapping values are not allowed") {
            "a value that holds `: ` must be quoted; or is the indentation of this line wrong?"
        } else if info.contains("unknown anchor") {
            "an alias (`*name`) repeats a value that was marked before with `&name`; quote a text that begins with `*`"
        } else if info.contains("cannot start any token") {
            "a text that begins with @, `, % or another sign must be quoted"
        } else if info.contains("quote") {
            "a closing quote is missing"
        } else if info.contains("flow") || info.contains("',' or") {
            "a `]`, `}` or a comma is missing"
        } else {
            "look at the indentation of this line and the one before, and at quotes and brackets"
        };
        Fault::new(span, format!("this is not YAML: {info}"), hint)
    }
}

/// The tag as a person writes it.
fn name(tag: &Tag) -> Cow<'static, str> {
    if tag.is_yaml_core_schema() {
        return format!("!!{}", tag.suffix).into();
    }
    match tag.handle.as_str() {
        "!" | "" if tag.suffix == "!" || tag.suffix.is_empty() => "!".into(),
        "" => format!("!{}", tag.suffix.trim_start_matches('!')).into(),
        handle => format!("{handle}{}", tag.suffix).into(),
    }
}

/// The place of a list or map: to its closing bracket, else to the end of its last value.
fn whole(start: Span, end: Span, last: Option<Span>) -> Span {
    let closed = (end.end > end.start).then_some(end.end);
    let end = closed.or(last.map(|span| span.end)).unwrap_or(start.end);
    Span {
        start: start.start,
        end: end.max(start.end),
    }
}

fn height(node: &Node) -> usize {
    match &node.value {
        Value::List(list) => 1 + list.iter().map(height).max().unwrap_or(0),
        Value::Map(map) => {
            1 + map
                .iter()
                .map(|entry| height(&entry.value))
                .max()
                .unwrap_or(0)
        }
        _ => 0,
    }
}
