//! `symlink`: a link that points where it should, at every moment.

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, InitContext};
use windlass_model::diagnostic::Diagnostics;

use super::args::AbsolutePath;
use super::script::{RENAME, Script, TEMP};
use super::scripted::Scripted;

/// See [`Args`].
pub(super) struct Symlink;

/// Arguments of `symlink`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// What the link points to: an absolute path, or one relative to the link's directory. It need not exist.
    source: String,
    /// The link. An existing link is replaced by a rename, so it is never absent; a file or directory is an error.
    destination: AbsolutePath,
}

impl CommandKind for Symlink {
    type Args = Args;

    fn name(&self) -> &'static str {
        "symlink"
    }

    fn about(&self) -> &'static str {
        "Makes a symbolic link, or makes an existing one point elsewhere."
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        if args.source.is_empty() || args.source.chars().any(char::is_control) {
            let message = format!("{:?} is nothing that a link can point to", args.source);
            return Err(cx.wrong("source", message).into());
        }
        if args.destination.as_str() == "/" {
            return Err(cx.wrong("destination", "`/` cannot be a link").into());
        }
        let run = Script::new()
            .set("target", &args.source)
            .set("link", args.destination.as_str())
            .run(&[TEMP, RENAME], include_str!("scripts/symlink.sh"));
        let failing = format!("cannot link {} to {}", args.destination, args.source);
        Ok(Box::new(Scripted::safe(vec![run.into()], failing)))
    }
}
