//! `createdirectory`: a directory that is there, empty if so wanted.

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, InitContext};
use windlass_model::diagnostic::Diagnostics;

use super::args::{AbsolutePath, Mode};
use super::paths::{Owner, guarded};
use super::script::{GUARD, Script};
use super::scripted::Scripted;

/// See [`Args`].
pub(super) struct CreateDirectory;

/// Arguments of `createdirectory`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The directory. Missing parents are made as well.
    source: AbsolutePath,
    /// Whether an existing directory is emptied first. Refused for `/`, what lies directly in it, homes, roots of
    /// mounted file systems, and symbolic links.
    #[serde(default)]
    clobber: bool,
    /// Permission bits of the directory, in octal; left as they are if absent.
    mode: Option<Mode>,
    /// `user`, `user:group` or `:group`; left as it is if absent.
    owner: Option<Owner>,
}

impl CommandKind for CreateDirectory {
    type Args = Args;

    fn name(&self) -> &'static str {
        "createdirectory"
    }

    fn about(&self) -> &'static str {
        "Creates a directory with its parents; with `clobber`, empties it."
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        if args.clobber
            && let Some(why) = guarded(&args.source)
        {
            return Err(cx.wrong("source", why).into());
        }
        let mode = args.mode.map_or(String::new(), |m| format!("{:o}", m.0));
        let run = Script::new()
            .set("dir", args.source.as_str())
            .flag("clobber", args.clobber)
            .set("mode", &mode)
            .set("owner", args.owner.as_ref().map_or("", Owner::as_str))
            .run(&[GUARD], include_str!("scripts/createdirectory.sh"));
        let failing = format!("cannot create {}", args.source);
        Ok(Box::new(Scripted::safe(vec![run.into()], failing)))
    }
}
