//! Typed keys out of a map, every fault with its place and path.

use std::sync::Arc;

use super::Share;
use super::hosts::Service;
use crate::diagnostic::{Diagnostic, Diagnostics, Source, Span};
use crate::secret::SecretRef;
use crate::tasklist::name_fault;
use crate::text::Text;
use crate::tree::{Entry, Map, Node, Value, decode};

/// What was found wrong so far.
pub(super) struct Found<'a> {
    pub(super) source: Option<&'a Arc<Source>>,
    pub(super) diagnostics: Diagnostics,
}

impl<'a> Found<'a> {
    pub(super) fn new(source: Option<&'a Arc<Source>>) -> Self {
        Self {
            source,
            diagnostics: Diagnostics::new(),
        }
    }

    pub(super) fn error(&mut self, span: Span, path: &str, message: String, hint: Option<String>) {
        self.tell(
            Diagnostic::error(message),
            self.source.cloned(),
            span,
            path,
            hint,
        );
    }

    pub(super) fn warning(
        &mut self,
        span: Span,
        path: &str,
        message: String,
        hint: Option<String>,
    ) {
        self.tell(
            Diagnostic::warning(message),
            self.source.cloned(),
            span,
            path,
            hint,
        );
    }

    /// A warning whose excerpt must not show what stands at `secret`.
    pub(super) fn masked_warning(
        &mut self,
        span: Span,
        secret: Span,
        path: &str,
        message: String,
        hint: String,
    ) {
        let source = self.source.map(|source| source.masked(secret));
        self.tell(Diagnostic::warning(message), source, span, path, Some(hint));
    }

    /// Sorts by place in the text.
    pub(super) fn in_order(&mut self) {
        let start = |d: &Diagnostic| d.place.as_ref().map(|place| place.span.start);
        self.diagnostics.0.sort_by_key(start);
    }

    fn tell(
        &mut self,
        mut diagnostic: Diagnostic,
        source: Option<Arc<Source>>,
        span: Span,
        path: &str,
        hint: Option<String>,
    ) {
        // What comes from the command line stands nowhere.
        if let Some(source) = source.filter(|_| span != Span::default()) {
            diagnostic = diagnostic.at(&source, span);
        }
        if !path.is_empty() {
            diagnostic = diagnostic.key(path);
        }
        if let Some(hint) = hint {
            diagnostic = diagnostic.hint(hint);
        }
        self.diagnostics.push(diagnostic);
    }
}

/// A map, its path, and maps beneath it that say what it does not.
#[derive(Clone)]
pub(super) struct Fields<'a> {
    pub(super) path: String,
    pub(super) map: &'a Map,
    /// Where the map as a whole is pointed at.
    pub(super) span: Span,
    beneath: Option<(&'static str, &'a Map)>,
}

/// A value with its path.
pub(super) struct At<'a> {
    pub(super) key: &'a str,
    pub(super) path: String,
    pub(super) node: &'a Node,
}

const SECRET_HINT: &str = "write `!env NAME`, `!file PATH` or `!command [PROGRAM, ...]`";

impl<'a> Fields<'a> {
    pub(super) fn top(map: &'a Map) -> Self {
        Self::new(String::new(), map, Span::default())
    }

    pub(super) fn new(path: String, map: &'a Map, span: Span) -> Self {
        Self {
            path,
            map,
            span,
            beneath: None,
        }
    }

    pub(super) fn service(service: &Service<'a>) -> Self {
        Self {
            path: format!("service.{}", service.name),
            map: service.map,
            span: service.span,
            beneath: Some(("service_defaults", service.defaults)),
        }
    }

    /// The same without what lies beneath.
    pub(super) fn own(&self) -> Self {
        Self {
            beneath: None,
            ..self.clone()
        }
    }

    /// What lies beneath, alone.
    pub(super) fn defaults(&self) -> Self {
        match self.beneath {
            Some((path, map)) => Self::new(path.to_owned(), map, Span::default()),
            None => Self::top(const { &Map(Vec::new()) }),
        }
    }

    /// The value of a key. Null is absent, and hides what lies beneath.
    pub(super) fn get(&self, key: &str) -> Option<At<'a>> {
        let (path, entry): (&str, &'a Entry) = match (self.map.entry(key), self.beneath) {
            (Some(entry), _) => (&self.path, entry),
            (None, Some((path, map))) => (path, map.entry(key)?),
            (None, None) => return None,
        };
        if entry.value.value == Value::Null {
            return None;
        }
        Some(At {
            key: &entry.key,
            path: join(path, &entry.key),
            node: &entry.value,
        })
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn missing(&self, key: &str, hint: Option<&str>, found: &mut Found) {
        let message = match self.path.as_str() {
            "" => format!("the config lacks the key `{key}`"),
            path => format!("`{path}` lacks the key `{key}`"),
        };
        found.error(self.span, &self.path, message, hint.map(str::to_owned));
    }

    pub(super) fn text(&self, key: &str, found: &mut Found) -> Option<String> {
        self.get(key)?.text(found)
    }

    pub(super) fn name(&self, key: &str, found: &mut Found) -> Option<String> {
        self.get(key)?.name(found)
    }

    pub(super) fn truth(&self, key: &str, found: &mut Found) -> Option<bool> {
        let at = self.get(key)?;
        match at.node.value {
            Value::Bool(truth) => Some(truth),
            _ => at.wrong("true or false", found),
        }
    }

    pub(super) fn whole(&self, key: &str, least: u32, most: u32, found: &mut Found) -> Option<u32> {
        let at = self.get(key)?;
        if let Value::Int(int) = at.node.value
            && let Ok(number) = u32::try_from(int)
            && (least..=most).contains(&number)
        {
            return Some(number);
        }
        match most {
            u32::MAX => at.wrong(&format!("a whole number of at least {least}"), found),
            _ => at.wrong(&format!("a whole number from {least} to {most}"), found),
        }
    }

    pub(super) fn share(&self, key: &str, least: u32, found: &mut Found) -> Option<Share> {
        let at = self.get(key)?;
        match Share::read(at.node)
            .filter(|share| *share >= Share::Count(least) || matches!(share, Share::Percent(_)))
        {
            Some(share) => Some(share),
            None => at.wrong(
                &format!("a whole number of at least {least}, or a share as in `25%`,"),
                found,
            ),
        }
    }

    pub(super) fn secret(&self, key: &str, found: &mut Found) -> Option<SecretRef> {
        let at = self.get(key)?;
        if let Value::Secret(secret) = &at.node.value {
            return Some((**secret).clone());
        }
        let message = format!("`{key}` must be a reference to a secret, never the secret itself");
        let source = found.source.map(|source| source.masked(at.node.span));
        let hint = Some(SECRET_HINT.to_owned());
        found.tell(
            Diagnostic::error(message),
            source,
            at.node.span,
            &at.path,
            hint,
        );
        None
    }

    /// A string or a secret reference.
    pub(super) fn maybe_secret(&self, key: &str, found: &mut Found) -> Option<Text> {
        let at = self.get(key)?;
        match decode::<Text>(at.node) {
            Ok(text) => Some(text),
            Err(_) => at.wrong("a string or a secret reference", found),
        }
    }

    pub(super) fn list(&self, key: &str, found: &mut Found) -> Option<Vec<At<'a>>> {
        self.get(key)?.list(found)
    }

    /// A list of strings, with their places.
    pub(super) fn texts(&self, key: &str, found: &mut Found) -> Option<Vec<(String, Span)>> {
        let items = self.list(key, found)?;
        let texts = items
            .iter()
            .filter_map(|at| Some((at.text(found)?, at.node.span)));
        Some(texts.collect())
    }

    /// A map below this one.
    pub(super) fn below(&self, key: &str, found: &mut Found) -> Option<Fields<'a>> {
        let at = self.get(key)?;
        match &at.node.value {
            Value::Map(map) => Some(Fields::new(at.path, map, at.node.span)),
            _ => at.wrong("a map", found),
        }
    }
}

impl<'a> At<'a> {
    pub(super) fn list(&self, found: &mut Found) -> Option<Vec<At<'a>>> {
        let Some(list) = self.node.as_list() else {
            if let Some(text) = self.node.as_str() {
                let message = format!("`{}` is a string, but a list is wanted", self.key);
                let hint = format!("write `[{text}]`");
                found.error(self.node.span, &self.path, message, Some(hint));
                return None;
            }
            return self.wrong("a list", found);
        };
        let items = list.iter().enumerate().map(|(index, node)| At {
            key: self.key,
            path: format!("{}[{index}]", self.path),
            node,
        });
        Some(items.collect())
    }

    pub(super) fn wrong<T>(&self, wanted: &str, found: &mut Found) -> Option<T> {
        let key = self.key;
        let message = match &self.node.value {
            Value::Secret(_) => format!("`{key}` cannot be a secret reference; {wanted} is wanted"),
            Value::Int(int) => format!("`{key}` is {int}, but {wanted} is wanted"),
            _ => format!("`{key}` is {}, but {wanted} is wanted", self.node.kind()),
        };
        found.error(self.node.span, &self.path, message, None);
        None
    }

    pub(super) fn text(&self, found: &mut Found) -> Option<String> {
        match self.node.as_str() {
            Some(text) if !text.is_empty() => Some(text.to_owned()),
            Some(_) => {
                let message = format!("`{}` is empty", self.key);
                found.error(self.node.span, &self.path, message, None);
                None
            }
            None => self.wrong("a string", found),
        }
    }

    pub(super) fn name(&self, found: &mut Found) -> Option<String> {
        let text = self.text(found)?;
        match name_fault(&text) {
            None => Some(text),
            Some(fault) => {
                let message = format!("`{text}` {fault}");
                found.error(self.node.span, &self.path, message, None);
                None
            }
        }
    }
}

/// A path and a key.
pub(super) fn join(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}
