//! `movefile`: a file or directory under another name.

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, InitContext, Repeat};
use windlass_model::diagnostic::Diagnostics;
use windlass_model::step::{Run, Want};

use super::args::AbsolutePath;
use super::paths::guarded;
use super::script::{ABSENT, GUARD, RENAME, Script, TEMP};
use super::scripted::Scripted;

/// See [`Args`].
pub(super) struct MoveFile;

/// Arguments of `movefile`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The file, link or directory. When it is gone and the destination is there, it has been moved: unchanged.
    source: AbsolutePath,
    /// Its new path, not a directory to move it into. Its parent must exist.
    destination: AbsolutePath,
    /// Whether what is at the destination is replaced; if not, it is an error.
    #[serde(default)]
    clobber: bool,
}

impl CommandKind for MoveFile {
    type Args = Args;

    fn name(&self) -> &'static str {
        "movefile"
    }

    fn about(&self) -> &'static str {
        "Moves a file or directory: by a rename within a file system, else by a copy that is renamed into place."
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        let (from, to) = (&args.source, &args.destination);
        if is_in(from, to) || is_in(to, from) {
            let message = format!("`{from}` cannot be moved to `{to}`: one holds the other");
            return Err(cx.wrong("destination", message).into());
        }
        if let Some(why) = guarded(from) {
            return Err(cx.wrong("source", why).into());
        }
        if args.clobber
            && let Some(why) = guarded(to)
        {
            return Err(cx.wrong("destination", why).into());
        }
        let run = Script::new()
            .set("from", from.as_str())
            .set("to", to.as_str())
            .flag("clobber", args.clobber)
            .run(
                &[ABSENT, GUARD, TEMP, RENAME],
                include_str!("scripts/movefile.sh"),
            );
        let check = Run::script(format!(
            "[ ! -e {from} ] && [ ! -L {from} ] && {{ [ -e {to} ] || [ -L {to} ]; }}\n",
            from = from.quoted(),
            to = to.quoted()
        ))
        .want(Want::Status(0));
        Ok(Box::new(Scripted {
            repeat: Repeat::Check,
            check: Some(vec![check.into()]),
            ..Scripted::safe(vec![run.into()], format!("cannot move {from} to {to}"))
        }))
    }
}

/// Whether `inner` is `outer` or lies below it.
pub(super) fn is_in(inner: &AbsolutePath, outer: &AbsolutePath) -> bool {
    inner == outer || inner.as_str().starts_with(&outer.join(""))
}
