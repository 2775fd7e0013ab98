//! `copyfile`: files of a host under another name as well.

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, InitContext};
use windlass_model::diagnostic::Diagnostics;

use super::args::AbsolutePath;
use super::movefile::is_in;
use super::paths::{is_pattern, quote_pattern};
use super::script::{ABSENT, RENAME, Script, TEMP};
use super::scripted::Scripted;

/// See [`Args`].
pub(super) struct CopyFile;

/// Arguments of `copyfile`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// A file or directory on the host, or a pattern with `*`, `?` or `[...]`.
    source: AbsolutePath,
    /// The path of the copy; with a pattern, the directory that the copies go into, made when it is missing.
    destination: AbsolutePath,
    /// Whether a destination that exists with other contents is left as it is; if not, it is an error. One with the
    /// same contents is unchanged either way.
    #[serde(default)]
    continue_if_exists: bool,
}

impl CommandKind for CopyFile {
    type Args = Args;

    fn name(&self) -> &'static str {
        "copyfile"
    }

    fn about(&self) -> &'static str {
        "Copies files or directories on the host, with modes and times; each appears at once and whole."
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        let (from, to) = (&args.source, &args.destination);
        let into = is_pattern(from.as_str());
        if !into && (is_in(from, to) || is_in(to, from)) {
            let message = format!("`{from}` cannot be copied to `{to}`: one holds the other");
            return Err(cx.wrong("destination", message).into());
        }
        let sources = if into {
            quote_pattern(from.as_str())
        } else {
            from.quoted()
        };
        let run = Script::new()
            .line(&format!("set -- {sources}"))
            .set("to", to.as_str())
            .flag("into", into)
            .flag("continue", args.continue_if_exists)
            .run(&[ABSENT, TEMP, RENAME], include_str!("scripts/copyfile.sh"));
        let failing = format!("cannot copy {from} to {to}");
        Ok(Box::new(Scripted::safe(vec![run.into()], failing)))
    }
}
