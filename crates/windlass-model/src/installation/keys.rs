//! Typed keys out of a document, every fault with its place. A key that was asked for is a known one.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::{Document, Form, Read};
use crate::config::Share;
use crate::diagnostic::{Diagnostic, Diagnostics, Span, nearest};
use crate::secret::SecretRef;
use crate::text::Text;
use crate::tree::xml::{Plain, fit, fit_list};
use crate::tree::{Entry, Map, Node, Value, decode};

/// Shorter keys are near to each other by chance.
const LEAST_LETTERS: usize = 4;

/// Keys whose values are never shown.
const SECRETS: [&str; 3] = ["password", "token", "url"];

/// A map that is being read.
pub(super) struct Keys<'a> {
    document: &'a Document,
    pub(super) map: &'a Map,
    path: String,
    span: Span,
    known: Vec<&'static str>,
    faults: Diagnostics,
    /// Values that no excerpt may show.
    hidden: Vec<Span>,
}

/// A value with its path.
#[derive(Clone)]
pub(super) struct At<'a> {
    pub(super) key: &'a str,
    pub(super) path: String,
    pub(super) node: Cow<'a, Node>,
}

/// Reads a document. What `take` gives counts if there is no error.
pub(super) fn read<'a, T>(
    document: &'a Document,
    take: impl FnOnce(&mut Keys<'a>) -> Option<T>,
) -> Read<T> {
    let mut keys = Keys {
        document,
        map: &document.map,
        path: String::new(),
        span: document.start,
        known: Vec::new(),
        faults: Diagnostics::new(),
        hidden: Vec::new(),
    };
    let taken = take(&mut keys);
    let mut faults = hide(document, keys.faults, &keys.hidden);
    let start = |d: &Diagnostic| d.place.as_ref().map(|place| place.span.start);
    faults.0.sort_by_key(start);
    match taken {
        Some(taken) if !faults.has_errors() => Ok((taken, faults)),
        _ => Err(faults),
    }
}

/// The same faults over a text in which the hidden places are stars.
fn hide(document: &Document, mut faults: Diagnostics, hidden: &[Span]) -> Diagnostics {
    let mut source = document.source.clone();
    for span in hidden {
        source = source.masked(*span);
    }
    let places = faults.0.iter_mut().filter_map(|fault| fault.place.as_mut());
    places.for_each(|place| place.source = source.clone());
    faults
}

impl<'a> Keys<'a> {
    /// Where the map is pointed at.
    pub(super) fn span(&self) -> Span {
        self.span
    }

    fn is_xml(&self) -> bool {
        self.document.form == Form::Xml
    }

    pub(super) fn error(&mut self, span: Span, path: &str, message: String, hint: Option<&str>) {
        self.tell(Diagnostic::error(message), span, path, hint);
    }

    pub(super) fn warning(&mut self, span: Span, path: &str, message: String, hint: Option<&str>) {
        self.tell(Diagnostic::warning(message), span, path, hint);
    }

    fn tell(&mut self, diagnostic: Diagnostic, span: Span, path: &str, hint: Option<&str>) {
        let mut diagnostic = diagnostic.at(&self.document.source, span);
        if !path.is_empty() {
            diagnostic = diagnostic.key(path);
        }
        if let Some(hint) = hint {
            diagnostic = diagnostic.hint(hint);
        }
        self.faults.push(diagnostic);
    }

    /// The value of a key; null is absent.
    pub(super) fn get(&mut self, key: &'static str) -> Option<At<'a>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let entry: &'a Entry = self.map.entry(key)?;
        if entry.value.value == Value::Null {
            return None;
        }
        Some(At {
            key: &entry.key,
            path: self.path_of(&entry.key),
            node: Cow::Borrowed(&entry.value),
        })
    }

    pub(super) fn path_of(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }

    pub(super) fn missing<T>(&mut self, key: &str, hint: &str) -> Option<T> {
        let message = match self.path.as_str() {
            "" => format!("the key `{key}` is missing"),
            path => format!("`{path}` lacks the key `{key}`"),
        };
        let path = self.path.clone();
        self.error(self.span, &path, message, Some(hint));
        None
    }

    fn plain(&self, at: &mut At<'_>, number: bool, boolean: bool) {
        if self.is_xml() {
            let wanted = Plain {
                string: false,
                number,
                boolean,
            };
            fit(at.node.to_mut(), wanted);
        }
    }

    fn wrong<T>(&mut self, at: &At<'_>, wanted: &str) -> Option<T> {
        let key = at.key;
        let message = match &at.node.value {
            Value::Secret(_) => format!("`{key}` cannot be a secret reference; {wanted} is wanted"),
            Value::Int(int) => format!("`{key}` is {int}, but {wanted} is wanted"),
            Value::String(text) if text.len() < 40 => {
                format!("`{key}` is {text:?}, but {wanted} is wanted")
            }
            _ => format!("`{key}` is {}, but {wanted} is wanted", at.node.kind()),
        };
        self.error(at.node.span, &at.path, message, None);
        None
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        let at = self.get(key)?;
        self.text_of(&at)
    }

    fn text_of(&mut self, at: &At<'_>) -> Option<String> {
        match at.node.as_str() {
            Some("") => {
                let message = format!("`{}` is empty", at.key);
                self.error(at.node.span, &at.path, message, None);
                None
            }
            Some(text) if text.contains('\0') => self.wrong(at, "a text without NUL"),
            Some(text) => Some(text.to_owned()),
            None => self.wrong(at, "a string"),
        }
    }

    /// A text that becomes a name.
    pub(super) fn name<T: FromStr<Err = String>>(&mut self, key: &'static str) -> Option<T> {
        let at = self.get(key)?;
        self.name_of(&at)
    }

    pub(super) fn name_of<T: FromStr<Err = String>>(&mut self, at: &At<'_>) -> Option<T> {
        let text = self.text_of(at)?;
        match text.parse() {
            Ok(name) => Some(name),
            Err(message) => {
                self.error(at.node.span, &at.path, message, None);
                None
            }
        }
    }

    /// The name that a key itself is.
    pub(super) fn key_name<T: FromStr<Err = String>>(
        &mut self,
        entry: &Entry,
        path: &str,
    ) -> Option<T> {
        match entry.key.parse() {
            Ok(name) => Some(name),
            Err(message) => {
                self.error(entry.key_span, path, message, None);
                None
            }
        }
    }

    pub(super) fn truth(&mut self, key: &'static str) -> Option<bool> {
        let mut at = self.get(key)?;
        self.plain(&mut at, false, true);
        match at.node.value {
            Value::Bool(truth) => Some(truth),
            _ => self.wrong(&at, "true or false"),
        }
    }

    pub(super) fn whole(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let mut at = self.get(key)?;
        self.plain(&mut at, true, false);
        if let Value::Int(int) = at.node.value
            && let Ok(number) = u64::try_from(int)
            && range.contains(&number)
        {
            return Some(number);
        }
        let (least, most) = (range.start(), range.end());
        match *most {
            u64::MAX => self.wrong(&at, &format!("a whole number of at least {least}")),
            most => self.wrong(&at, &format!("a whole number from {least} to {most}")),
        }
    }

    /// The same with a default, for numbers of 32 bits.
    pub(super) fn count(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u32>,
        default: u32,
    ) -> u32 {
        let wide = u64::from(*range.start())..=u64::from(*range.end());
        let number = self.whole(key, wide);
        number
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(default)
    }

    pub(super) fn share(&mut self, key: &'static str, least: u32) -> Option<Share> {
        let mut at = self.get(key)?;
        self.plain(&mut at, true, false);
        let share = Share::read(&at.node).filter(|share| match share {
            Share::Count(count) => *count >= least,
            Share::Percent(percent) => least == 0 || *percent > 0,
        });
        match share {
            Some(share) => Some(share),
            None => {
                let wanted = format!("a whole number of at least {least}, or a share as in `25%`,");
                self.wrong(&at, &wanted)
            }
        }
    }

    /// One of several words; their case does not matter.
    pub(super) fn word<T: Clone>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let at = self.get(key)?;
        let text = self.text_of(&at)?.to_lowercase();
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(value.clone());
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.wrong(&at, &format!("one of {}", known.join(", ")))
    }

    /// A reference; one that is written openly is refused and not shown.
    pub(super) fn secret(&mut self, key: &'static str) -> Option<SecretRef> {
        let at = self.get(key)?;
        if let Value::Secret(secret) = &at.node.value {
            return Some((**secret).clone());
        }
        let message = format!("`{key}` must be a reference to a secret, never the secret itself");
        let hint = self.secret_hint(key);
        self.masked_error(&at, message, &hint);
        None
    }

    pub(super) fn secret_hint(&self, key: &str) -> String {
        match self.document.form {
            Form::Yaml => "write `!env NAME`, `!file PATH` or `!command [PROGRAM, ...]`".into(),
            Form::Xml => format!(
                "write `<{key} secret=\"env:NAME\"/>`, or `file:PATH` or `command:PROGRAM ARGUMENT ...` in it"
            ),
        }
    }

    pub(super) fn masked_error(&mut self, at: &At<'_>, message: String, hint: &str) {
        self.hidden.push(at.node.span);
        self.error(at.node.span, &at.path, message, Some(hint));
    }

    /// A string or a secret reference.
    pub(super) fn maybe_secret(&mut self, key: &'static str) -> Option<Text> {
        let at = self.get(key)?;
        match (&at.node.value, decode::<Text>(&at.node)) {
            (Value::Secret(_) | Value::String(_), Ok(text)) => Some(text),
            _ => self.wrong(&at, "a string or a secret reference"),
        }
    }

    pub(super) fn list(&mut self, key: &'static str) -> Option<Vec<At<'a>>> {
        let at = self.get(key)?;
        self.list_of(&at)
    }

    pub(super) fn list_of(&mut self, at: &At<'a>) -> Option<Vec<At<'a>>> {
        let mut at = at.clone();
        if self.is_xml() {
            fit_list(at.node.to_mut());
        }
        let list: Vec<Cow<'a, Node>> = match at.node {
            Cow::Borrowed(Node {
                value: Value::List(list),
                ..
            }) => list.iter().map(Cow::Borrowed).collect(),
            Cow::Owned(Node {
                value: Value::List(list),
                ..
            }) => list.into_iter().map(Cow::Owned).collect(),
            node => {
                let at = At { node, ..at };
                if let Some(text) = at.node.as_str() {
                    let message = format!("`{}` is a string, but a list is wanted", at.key);
                    let hint = format!("write `[{text}]`");
                    self.error(at.node.span, &at.path, message, Some(&hint));
                    return None;
                }
                return self.wrong(&at, "a list");
            }
        };
        let items = list.into_iter().enumerate().map(|(index, node)| At {
            key: at.key,
            path: format!("{}[{index}]", at.path),
            node,
        });
        Some(items.collect())
    }

    /// A list of texts, or one text.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<(String, Span)>> {
        let items = self.list(key)?;
        let texts = items
            .iter()
            .filter_map(|at| Some((self.text_of(at)?, at.node.span)));
        Some(texts.collect())
    }

    /// A list of names, none of them twice.
    pub(super) fn names_of<T>(&mut self, at: &At<'a>) -> Option<Vec<(T, Span)>>
    where
        T: FromStr<Err = String> + PartialEq + std::fmt::Display,
    {
        let mut names: Vec<(T, Span)> = Vec::new();
        for item in self.list_of(at)? {
            let Some(name) = self.name_of::<T>(&item) else {
                continue;
            };
            if names.iter().any(|(known, _)| *known == name) {
                let message = format!("`{name}` stands in `{}` twice", at.key);
                self.error(
                    item.node.span,
                    &item.path,
                    message,
                    Some("keep one of them"),
                );
                continue;
            }
            names.push((name, item.node.span));
        }
        Some(names)
    }

    /// The entries of a map with their paths.
    pub(super) fn entries(&mut self, key: &'static str) -> Vec<(&'a Entry, String)> {
        let Some(at) = self.get(key) else {
            return Vec::new();
        };
        let Cow::Borrowed(Node {
            value: Value::Map(map),
            ..
        }) = at.node
        else {
            let _: Option<()> = self.wrong(&at, "a map");
            return Vec::new();
        };
        let entries = map.iter();
        entries
            .map(|entry| (entry, format!("{}.{}", at.path, entry.key)))
            .collect()
    }

    /// A map below this one, all of whose keys are known to `take`.
    pub(super) fn below<T>(
        &mut self,
        key: &'static str,
        take: impl FnOnce(&mut Keys<'a>) -> T,
    ) -> Option<T> {
        let at = self.get(key)?;
        self.within(at, take)
    }

    /// The same for a value at hand.
    pub(super) fn within<T>(
        &mut self,
        at: At<'a>,
        take: impl FnOnce(&mut Keys<'a>) -> T,
    ) -> Option<T> {
        const NONE: &Map = &Map(Vec::new());
        let (map, span): (&'a Map, Span) = match at.node {
            Cow::Borrowed(Node {
                value: Value::Map(map),
                span,
            }) => (map, *span),
            Cow::Borrowed(Node {
                value: Value::Null,
                span,
            }) => (NONE, *span),
            _ => return self.wrong(&at, "a map"),
        };
        let start = span.start as usize;
        let mut inner = Keys {
            document: self.document,
            map,
            path: at.path,
            span: Span::new(start, start + 1),
            known: Vec::new(),
            faults: Diagnostics::new(),
            hidden: Vec::new(),
        };
        let taken = take(&mut inner);
        inner.refuse_others();
        self.faults.extend(inner.faults);
        self.hidden.extend(inner.hidden);
        Some(taken)
    }

    /// What may be a secret under a misspelt key.
    fn hide_slip(&mut self, entry: &Entry, near: Option<&str>) {
        if near.is_some_and(|near| SECRETS.contains(&near)) {
            self.hidden.push(entry.value.span);
        }
    }

    fn refuse_others(&mut self) {
        for entry in self.map.iter() {
            if self.known.contains(&&*entry.key) {
                continue;
            }
            let message = format!("unknown key `{}` of `{}`", entry.key, self.path);
            let near = nearest(&entry.key, self.known.iter().copied());
            self.hide_slip(entry, near);
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known: {}", self.known.join(", ")),
            };
            let path = self.path_of(&entry.key);
            self.error(entry.key_span, &path, message, Some(&hint));
        }
    }

    /// What nobody asked for, with warnings for near misses.
    pub(super) fn rest(&mut self) -> Map {
        let mut rest = Map::default();
        for entry in self.map.iter() {
            if self.known.contains(&&*entry.key) {
                continue;
            }
            rest.0.push(entry.clone());
            let is_short = entry.key.chars().count() < LEAST_LETTERS;
            let near = nearest(&entry.key, self.known.iter().copied())
                .filter(|near| !is_short && self.map.get(near).is_none());
            self.hide_slip(entry, near);
            if let Some(near) = near {
                let message = format!("`{}` is kept as a key of your own", entry.key);
                let hint = format!("did you mean `{near}`?");
                let path = self.path_of(&entry.key);
                self.warning(entry.key_span, &path, message, Some(&hint));
            }
        }
        rest
    }
}
