//! Names in the strings of a service: `{service}`, `{version}`, `{host}`, ...
//!
//! A name stands in single braces and is a word. Braces around anything else are themselves, so that shell and JSON
//! can be written as they are; `${name}` is the shell's. `{{` is an open brace, and the `}}` that follows it a
//! closing one.

use std::fmt;

use crate::diagnostic::nearest;

/// The names that may stand in braces.
pub const PLACEHOLDERS: [&str; 7] = [
    "service",
    "servicename",
    "version",
    "host",
    "hostname",
    "port",
    "environment",
];

/// What the names stand for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vars<'a> {
    /// `{service}` and `{servicename}`.
    pub service: &'a str,
    /// `{version}`.
    pub version: &'a str,
    /// `{hostname}`: the name as the config writes it.
    pub hostname: &'a str,
    /// `{host}`: the name up to its first dot.
    pub host: &'a str,
    /// `{port}`, where the service has one.
    pub port: Option<&'a str>,
    /// `{environment}`, where the config has one.
    pub environment: Option<&'a str>,
}

impl<'a> Vars<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        match name {
            "service" | "servicename" => Some(self.service),
            "version" => Some(self.version),
            "host" => Some(self.host),
            "hostname" => Some(self.hostname),
            "port" => self.port,
            "environment" => self.environment,
            _ => None,
        }
    }
}

/// A name in braces that stands for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    /// The name.
    pub name: String,
    /// What to do.
    pub hint: String,
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{{{}}}` stands for nothing here", self.name)
    }
}

impl std::error::Error for UnknownName {}

/// Puts values in place of names. The values are put in as they are: whoever makes a shell line of it quotes them.
pub fn expand(template: &str, vars: &Vars<'_>) -> Result<String, UnknownName> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    let mut escapes = 0_usize;
    while let Some(at) = rest.find(['{', '}']) {
        let (head, tail) = rest.split_at(at);
        out.push_str(head);
        if let Some(after) = tail.strip_prefix("{{") {
            escapes += 1;
            out.push('{');
            rest = after;
        } else if let Some(after) = tail.strip_prefix("}}").filter(|_| escapes > 0) {
            escapes -= 1;
            out.push('}');
            rest = after;
        } else if let Some((name, after)) = placeholder(tail).filter(|_| !out.ends_with('$')) {
            out.push_str(vars.get(name).ok_or_else(|| unknown(name))?);
            rest = after;
        } else {
            let (brace, after) = tail.split_at(1);
            out.push_str(brace);
            rest = after;
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// The name in the braces that begin here, and what follows them.
fn placeholder(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('{')?.split_once('}')?;
    let is_word = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_word.then_some((name, after))
}

fn unknown(name: &str) -> UnknownName {
    let hint = if name == "port" {
        "give the service a `port`".to_owned()
    } else if name == "environment" {
        "give the config an `environment`".to_owned()
    } else {
        match nearest(name, PLACEHOLDERS) {
            Some(near) => format!("did you mean `{{{near}}}`?"),
            None => format!(
                "known: {}; write `{{{{{name}}}}}` for the braces themselves",
                PLACEHOLDERS.join(", ")
            ),
        }
    };
    UnknownName {
        name: name.to_owned(),
        hint,
    }
}
