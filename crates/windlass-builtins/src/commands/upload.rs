//! `upload`: local files to a directory of a host.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, InitContext};
use windlass_model::diagnostic::Diagnostics;
use windlass_model::step::{As, Put, PutSource, Step};

use super::args::{AbsolutePath, Mode};
use super::paths::is_pattern;
use super::script::Script;
use super::scripted::Scripted;

/// See [`Args`].
pub(super) struct Upload;

/// Arguments of `upload`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// A local file, or a pattern with `*`, `?`, `[...]` or `**` that matches at least one; directories are left out. A
    /// relative path starts where the config or tasklist lies.
    source: String,
    /// The directory on the host, made when it is missing.
    destination: AbsolutePath,
    /// Permission bits of the files, in octal. If absent: as the user's umask has it.
    mode: Option<Mode>,
}

impl CommandKind for Upload {
    type Args = Args;

    fn name(&self) -> &'static str {
        "upload"
    }

    fn about(&self) -> &'static str {
        "Uploads local files to a directory of the host: only those that differ by SHA-256, each at once and whole."
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        let files = find(&args.source, cx.base)
            .and_then(by_name)
            .map_err(|why| Diagnostics::from(cx.wrong("source", why)))?;
        let make = Script::new()
            .set("dir", args.destination.as_str())
            .set("mode", "")
            .set("owner", "")
            .flag("clobber", false)
            .run(&[], include_str!("scripts/createdirectory.sh"));
        let mut steps = vec![Step::Run(make)];
        for (name, path) in files {
            steps.push(Step::Put(Put {
                to: args.destination.join(&name),
                source: PutSource::File {
                    sha256: pinned(&path, cx),
                    path,
                },
                mode: args.mode.map(|m| m.0),
                owner: None,
                user: As::Login,
                replace: true,
            }));
        }
        let failing = format!("cannot upload {} to {}", args.source, args.destination);
        Ok(Box::new(Scripted::safe(steps, failing)))
    }
}

/// The digest that a plan pinned for a local file.
pub(super) fn pinned(path: &Path, cx: &InitContext<'_>) -> Option<String> {
    let relative = path.strip_prefix(cx.base).ok();
    [Some(path), relative]
        .into_iter()
        .flatten()
        .find_map(|p| cx.pinned.get(p.to_str()?).cloned())
}

/// The files that `source` names, sorted; an error if there is none.
fn find(source: &str, base: &Path) -> Result<Vec<PathBuf>, String> {
    let path = base.join(source);
    if path.is_file() {
        return Ok(vec![path]);
    }
    if path.is_dir() {
        return Err(format!(
            "`{}` is a directory; name the files in it, as in `{source}/*`",
            path.display()
        ));
    }
    if !is_pattern(source) {
        let why = std::fs::metadata(&path)
            .err()
            .map_or("is not a file".to_owned(), |e| e.to_string());
        return Err(format!("`{}`: {why}", path.display()));
    }
    let base = glob::Pattern::escape(base.to_str().ok_or("the base directory is not UTF-8")?);
    let pattern = Path::new(&base).join(source);
    let found = glob::glob(pattern.to_str().unwrap_or(source))
        .map_err(|e| format!("`{source}` is no pattern: {e}"))?;
    let mut files = Vec::new();
    for entry in found {
        let path = entry.map_err(|e| e.to_string())?;
        if path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(format!("no file matches `{}`", pattern.display()));
    }
    files.sort();
    Ok(files)
}

/// Files by the names that they will have; an error if two have the same.
fn by_name(files: Vec<PathBuf>) -> Result<BTreeMap<String, PathBuf>, String> {
    let mut named = BTreeMap::<String, PathBuf>::new();
    for path in files {
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .filter(|n| !n.chars().any(char::is_control))
            .ok_or_else(|| {
                format!("{path:?}: the name of an uploaded file must be UTF-8 without control characters")
            })?
            .to_owned();
        if let Some(other) = named.get(&name) {
            return Err(format!(
                "`{}` and `{}` would both be uploaded as `{name}`",
                other.display(),
                path.display()
            ));
        }
        named.insert(name, path);
    }
    Ok(named)
}
