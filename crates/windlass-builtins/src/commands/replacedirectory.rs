//! `replacedirectory`: a tree in the place of another, at once.

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, InitContext, Repeat};
use windlass_model::diagnostic::Diagnostics;
use windlass_model::step::{Run, Want};

use super::args::AbsolutePath;
use super::movefile::is_in;
use super::paths::guarded;
use super::script::{ABSENT, GUARD, RENAME, Script, TEMP};
use super::scripted::Scripted;

/// See [`Args`].
pub(super) struct ReplaceDirectory;

/// Arguments of `replacedirectory`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The new tree: a directory on the same file system. When it is gone and the destination is there, it has been put
    /// there: unchanged.
    source: AbsolutePath,
    /// The directory whose place it takes. Nobody ever sees a mixture: the two are exchanged in one step where the system
    /// can do that (Linux, with GNU mv 9.5 or python3), else by two renames, between which there is neither. Refused for `/`, what lies
    /// directly in it, homes, and roots of mounted file systems.
    destination: AbsolutePath,
    /// Whether a directory that is not empty, and that no receipt beside it (`.windlass/receipts/<name>`) tells of, is
    /// replaced: somebody else put it there.
    #[serde(default)]
    replace: bool,
}

impl CommandKind for ReplaceDirectory {
    type Args = Args;

    fn name(&self) -> &'static str {
        "replacedirectory"
    }

    fn about(&self) -> &'static str {
        "Puts a directory in the place of another, so that nobody ever sees half of it."
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
        let mut wrong = Diagnostics::new();
        for (key, path) in [("source", from), ("destination", to)] {
            if let Some(why) = guarded(path) {
                wrong.push(cx.wrong(key, why));
            }
        }
        wrong.or(())?;
        let run = Script::new()
            .set("from", from.as_str())
            .set("to", to.as_str())
            .flag("replace", args.replace)
            .run(
                &[ABSENT, GUARD, TEMP, RENAME, EXCHANGE],
                include_str!("scripts/replacedirectory.sh"),
            );
        let check = format!("[ ! -e {} ] && [ -d {} ]", from.quoted(), to.quoted());
        let check = Run::script(check).want(Want::Status(0));
        Ok(Box::new(Scripted {
            repeat: Repeat::Check,
            check: Some(vec![check.into()]),
            ..Scripted::safe(vec![run.into()], format!("cannot replace {to}"))
        }))
    }
}

const EXCHANGE: &str = include_str!("scripts/lib/exchange.sh");
