//! `removefile`: what is not there afterwards.

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, InitContext};
use windlass_model::diagnostic::Diagnostics;

use super::args::AbsolutePath;
use super::paths::guarded;
use super::script::{ABSENT, GUARD, Script};
use super::scripted::Scripted;

/// See [`Args`].
pub(super) struct RemoveFile;

/// Arguments of `removefile`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// A file, a link (not what it points to), or a directory with all that is in it. Refused for `/`, what lies
    /// directly in it, homes, and roots of mounted file systems.
    source: AbsolutePath,
}

impl CommandKind for RemoveFile {
    type Args = Args;

    fn name(&self) -> &'static str {
        "removefile"
    }

    fn about(&self) -> &'static str {
        "Removes a file, a link, or a directory with all that is in it; absent is fine."
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        if let Some(why) = guarded(&args.source) {
            return Err(cx.wrong("source", why).into());
        }
        let run = Script::new()
            .set("path", args.source.as_str())
            .run(&[ABSENT, GUARD], include_str!("scripts/removefile.sh"));
        let failing = format!("cannot remove {}", args.source);
        Ok(Box::new(Scripted::safe(vec![run.into()], failing)))
    }
}
