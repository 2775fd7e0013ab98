//! `name`, `klass`, `package`: what an item is called, and the code behind it.

use super::keys::Keys;
use super::{Document, Form};
use crate::diagnostic::Span;
use crate::tree::{Map, to_json};

/// The code behind an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// Built in: its name in snake case, `release_symlink`.
    BuiltIn(String),
    /// A file of the installation.
    Own {
        /// Its dotted path: `builder.template`.
        package: String,
        /// The class in it.
        klass: String,
    },
}

impl Code {
    /// The files that it may be, relative to the installation: an executable one, and one for Python.
    pub fn files(&self) -> Option<[String; 2]> {
        match self {
            Self::BuiltIn(_) => None,
            Self::Own { package, .. } => {
                let path = package.replace('.', "/");
                Some([path.clone(), format!("{path}.py")])
            }
        }
    }
}

/// The keys of an item that are its code's own.
#[derive(Clone, Debug)]
pub struct Settings {
    /// As written.
    pub map: Map,
    /// What they are written in: values of XML are texts.
    pub form: Form,
    /// Where, for messages.
    pub source: std::sync::Arc<crate::diagnostic::Source>,
    /// Where the item begins.
    pub start: Span,
}

impl Settings {
    pub(super) fn new(document: &Document, map: Map) -> Self {
        Self {
            map,
            form: document.form,
            source: document.source.clone(),
            start: document.start,
        }
    }

    /// For a plugin. Secrets stay references: `{"$secret": {"env": "NAME"}}`.
    pub fn json(&self) -> serde_json::Map<String, serde_json::Value> {
        let entries = self.map.iter();
        entries
            .map(|entry| (entry.key.to_string(), to_json(&entry.value)))
            .collect()
    }

    /// The keys, for code whose keys have this shape: what XML could not say (numbers, lists of one) is as the shape wants it.
    pub fn fitted(&self, shape: &crate::shape::Shape) -> Map {
        let mut map = self.map.clone();
        if self.form == Form::Xml {
            shape.fit(&mut map);
        }
        map
    }
}

/// The name of an item. It may stand in the file; the file's name says it too.
pub(super) fn name<T>(keys: &mut Keys<'_>, file: &str) -> Option<T>
where
    T: std::str::FromStr<Err = String>,
{
    if let Some(at) = keys.get("name")
        && let Some(said) = at.node.as_str()
        && said != file
    {
        let message = format!("the name is `{said}`, and the file's name says `{file}`");
        let hint = "it is looked up by the file's name: make them equal";
        keys.error(at.node.span, &at.path, message, Some(hint));
        return None;
    }
    match file.parse() {
        Ok(name) => Some(name),
        Err(message) => {
            let span = keys.span();
            keys.error(span, "", message, Some("rename the file"));
            None
        }
    }
}

/// Which code: `package` none, or `built_in` (`windlass.build`), or a file.
pub(super) fn code(keys: &mut Keys<'_>, built_in: &str) -> Option<Code> {
    let package = keys.get("package");
    let klass = keys.text("klass");
    let package = match package {
        None => built_in.to_owned(),
        Some(at) => {
            let text = at.node.as_str().unwrap_or_default().to_owned();
            if !is_dotted(&text) {
                let message = format!("`package` is no dotted path: {text:?}");
                let hint = format!(
                    "`{built_in}` for what is built in, or a file of the installation, as in `builder.template` for builder/template.py"
                );
                keys.error(at.node.span, &at.path, message, Some(&hint));
                return None;
            }
            if text != built_in && (text == "windlass" || text.starts_with("windlass.")) {
                let message = format!("there is no package `{text}` for this item");
                let hint = format!("what is built in stands in `{built_in}`");
                keys.error(at.node.span, &at.path, message, Some(&hint));
                return None;
            }
            text
        }
    };
    let Some(klass) = klass else {
        if keys.get("klass").is_none() {
            keys.missing::<()>("klass", "the name of the behaviour, or its class");
        }
        return None;
    };
    Some(match package == built_in {
        true => Code::BuiltIn(snake(&klass)),
        false => Code::Own { package, klass },
    })
}

fn is_dotted(text: &str) -> bool {
    let fits = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
    };
    text.len() <= 255 && text.split('.').all(fits)
}

/// The name of something built in, from that or the name of a class: `ReleaseSymlink`, `UnarchiveInstallBehavior`.
pub fn snake(klass: &str) -> String {
    let mut name = String::with_capacity(klass.len() + 4);
    let mut before: Option<char> = None;
    let mut rest = klass.chars().peekable();
    while let Some(c) = rest.next() {
        let after_small = before.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let begins_word = before.is_some_and(|b| b.is_ascii_uppercase())
            && rest.peek().is_some_and(char::is_ascii_lowercase);
        if c.is_ascii_uppercase() && (after_small || begins_word) {
            name.push('_');
        }
        name.extend(c.to_lowercase());
        before = Some(c);
    }
    for suffix in [
        "_build_behavior",
        "_install_behavior",
        "_build_behaviour",
        "_install_behaviour",
        "_behavior",
        "_behaviour",
    ] {
        if let Some(short) = name.strip_suffix(suffix) {
            return short.to_owned();
        }
    }
    name
}
