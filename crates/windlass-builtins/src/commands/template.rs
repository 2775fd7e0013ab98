//! `template`: a file made from a local template; the one place where a secret is written into a file among other text.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use windlass_engine::command::{Command, CommandKind, Facts, InitContext, Repeat, Seen, Turn};
use windlass_model::diagnostic::Diagnostics;
use windlass_model::step::{As, Put, PutSource, Step};

use super::args::{AbsolutePath, Mode};
use super::render::render;
use super::scripted::Scripted;
use super::upload::pinned;

/// The longest template that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// See [`Args`].
pub(super) struct Template;

/// Arguments of `template`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The local template, in the language of minijinja (Jinja2), at most 1 MiB. A relative path starts where the config or
    /// tasklist lies. An unknown name is an error.
    source: String,
    /// The file on the host. Its directory must exist; an existing file is replaced.
    destination: AbsolutePath,
    /// What the names in the template stand for: texts, numbers, lists, maps. A secret may stand for a text; the template
    /// can write it, but no filter may change it.
    #[serde(default)]
    values: serde_json::Map<String, serde_json::Value>,
    /// Permission bits of the file, in octal.
    #[serde(default = "owner_only")]
    mode: Mode,
}

fn owner_only() -> Mode {
    Mode(0o600)
}

impl CommandKind for Template {
    type Args = Args;

    fn name(&self) -> &'static str {
        "template"
    }

    fn about(&self) -> &'static str {
        "Writes a file from a local template and values, secrets among them."
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        let path = cx.base.join(&args.source);
        let wrong = |argument: &str, why: String| Diagnostics::from(cx.wrong(argument, why));
        let template = read(&path).map_err(|why| wrong("source", why))?;
        if let Some(digest) = pinned(&path, cx)
            && digest != format!("{:x}", Sha256::digest(&template))
        {
            let message = format!("`{}` has changed since the plan was saved", path.display());
            return Err(wrong("source", message));
        }
        let contents = render(&args.source, &template, &args.values)
            .map_err(|e| wrong(e.argument, e.message))?;
        let put = Put {
            source: PutSource::Bytes(contents),
            to: args.destination.as_str().to_owned(),
            mode: Some(args.mode.0),
            owner: None,
            user: As::Login,
            replace: true,
        };
        let failing = format!("cannot write {}", args.destination);
        Ok(Box::new(Rendered {
            scripted: Scripted::safe(vec![Step::Put(put)], failing),
            source: path,
        }))
    }
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |e: std::io::Error| format!("`{}`: {e}", path.display());
    if std::fs::metadata(path).map_err(failed)?.len() > LONGEST {
        return Err(format!("`{}` is longer than 1 MiB", path.display()));
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// The rendered template; it needs the file that it was made from.
struct Rendered {
    scripted: Scripted,
    source: PathBuf,
}

impl Command for Rendered {
    fn turn(&self, facts: &Facts, seen: &[Seen]) -> Turn {
        self.scripted.turn(facts, seen)
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.source.clone()]
    }
}
