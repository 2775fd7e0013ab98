//! The files of a directory, by prefix.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use windlass_model::diagnostic::{Diagnostic, Diagnostics, Severity, Source, Span, nearest};
use windlass_model::installation::{Document, Form, Read, parse, prefix};

/// Longest file that is read, in bytes.
const LONGEST: u64 = 16 << 20;

/// A directory of configuration; it may be missing.
pub(super) struct Folder(pub(super) PathBuf);

/// The file that an item came from.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) file: String,
    pub(super) source: Arc<Source>,
}

/// Who names an item: in words, and where.
#[derive(Clone, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) by: String,
    pub(super) at: Option<(&'a Arc<Source>, Span)>,
}

impl Wanted<'_> {
    /// By somebody in words only.
    pub(super) fn by(words: String) -> Self {
        Self {
            by: words,
            at: None,
        }
    }

    /// A fault of whoever names it.
    pub(super) fn fault(&self, message: &str) -> Diagnostic {
        let fault = Diagnostic::error(format!("{}{message}", self.by));
        match self.at {
            Some((source, span)) => fault.at(source, span),
            None => fault,
        }
    }
}

/// A file whose name has the prefix.
struct Found {
    name: String,
    path: PathBuf,
    form: Form,
}

impl Folder {
    pub(super) fn exists(&self) -> bool {
        self.0.is_dir()
    }

    /// Every item of a prefix with the name of its file, by name.
    pub(super) fn all<T>(
        &self,
        prefix: &str,
        read: fn(&Document, &str) -> Read<T>,
        told: &mut Diagnostics,
    ) -> Vec<(T, Origin)> {
        let found = self.find(prefix, told);
        found
            .iter()
            .filter_map(|found| read_file(found, read, told))
            .collect()
    }

    /// The item of a name, which somebody wants.
    pub(super) fn one<T>(
        &self,
        prefix: &str,
        name: &str,
        wanted: &Wanted<'_>,
        read: fn(&Document, &str) -> Read<T>,
        told: &mut Diagnostics,
    ) -> Option<(T, Origin)> {
        let mut others = Diagnostics::new();
        let all = self.find(prefix, &mut others);
        // Another name that stands there twice is no matter of this one.
        let of_this = format!("`{name}`");
        others.0.retain(|fault| {
            let is_of_other = fault.message.starts_with("two files are called");
            fault.severity == Severity::Error && (!is_of_other || fault.message.contains(&of_this))
        });
        let is_twice = others.has_errors();
        told.extend(others);
        if let Some(found) = all.iter().find(|found| found.name == name) {
            return read_file(found, read, told);
        }
        if !is_twice {
            let file = self.0.join(format!("{prefix}{name}.yaml"));
            let message = format!(": there is no {} (nor .yml, nor .xml)", file.display());
            let names: Vec<&str> = all.iter().map(|found| found.name.as_str()).collect();
            let hint = match (nearest(name, names.iter().copied()), names.as_slice()) {
                (Some(near), _) => format!("did you mean `{near}`?"),
                (None, []) => "write it".to_owned(),
                (None, names) => format!("there are: {}", names.join(", ")),
            };
            told.push(wanted.fault(&message).hint(hint));
        }
        None
    }

    /// The files of a prefix, by name; one of two of the same name is told and left out.
    fn find(&self, prefix: &str, told: &mut Diagnostics) -> Vec<Found> {
        let entries = match std::fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
            Err(e) => {
                let message = format!("{} cannot be read: {e}", self.0.display());
                told.push(Diagnostic::error(message).hint("check its permissions"));
                return Vec::new();
            }
        };
        let mut files: Vec<String> = entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        files.sort();
        let mut found: Vec<Found> = Vec::new();
        for file in files {
            let path = self.0.join(&file);
            let Some((stem, form)) = Form::of(&file) else {
                continue;
            };
            let Some(name) = stem.strip_prefix(prefix).filter(|name| !name.is_empty()) else {
                unknown(&path, stem, told);
                continue;
            };
            if let Some(other) = found.iter().find(|other| other.name == name) {
                let message = format!(
                    "two files are called `{name}`: {} and {}",
                    other.path.display(),
                    path.display()
                );
                told.push(Diagnostic::error(message).hint("take one of them away"));
                continue;
            }
            found.push(Found {
                name: name.to_owned(),
                path,
                form,
            });
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }
}

/// A warning for a file that nobody looks for.
fn unknown(path: &Path, stem: &str, told: &mut Diagnostics) {
    let known = |prefix: &&str| stem.strip_prefix(prefix).is_some_and(|n| !n.is_empty());
    if stem.starts_with('.') || prefix::ALL.iter().any(known) {
        return;
    }
    let message = format!("{} is not looked at", path.display());
    let names = prefix::ALL.map(|prefix| format!("{prefix}NAME"));
    let beginning = stem.rsplit_once('_').map_or(stem, |(head, _)| head);
    let prefixes = prefix::ALL.map(|prefix| prefix.trim_end_matches('_'));
    let hint = match nearest(beginning, prefixes) {
        Some(near) => format!("did you mean {near}_NAME?"),
        None => format!("names are {}", names.join(", ")),
    };
    told.push(Diagnostic::warning(message).hint(hint));
}

fn read_file<T>(
    found: &Found,
    read: fn(&Document, &str) -> Read<T>,
    told: &mut Diagnostics,
) -> Option<(T, Origin)> {
    let shown = found.path.display();
    let bytes = match std::fs::metadata(&found.path) {
        Ok(meta) if meta.len() > LONGEST => Err(format!("it is larger than {LONGEST} bytes")),
        Ok(meta) if !meta.is_file() => Err("it is no file".into()),
        Ok(_) => std::fs::read(&found.path).map_err(|e| e.to_string()),
        Err(e) => Err(e.to_string()),
    };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(why) => {
            let message = format!("{shown} cannot be read: {why}");
            told.push(Diagnostic::error(message).hint("check what it is, and its permissions"));
            return None;
        }
    };
    let document = match parse(&shown.to_string(), bytes, found.form) {
        Ok(document) => document,
        Err(faults) => {
            told.extend(faults);
            return None;
        }
    };
    match read(&document, &found.name) {
        Ok((item, warnings)) => {
            told.extend(warnings);
            let origin = Origin {
                file: shown.to_string(),
                source: document.source,
            };
            Some((item, origin))
        }
        Err(faults) => {
            told.extend(faults);
            None
        }
    }
}
