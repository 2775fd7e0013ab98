//! `listdirectory`: what is in a directory.

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, InitContext};
use windlass_model::diagnostic::Diagnostics;

use super::args::AbsolutePath;
use super::report::Report;
use super::script::Script;
use super::scripted::Scripted;

/// See [`Args`].
pub(super) struct ListDirectory;

/// Arguments of `listdirectory`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The directory.
    directory: AbsolutePath,
}

impl CommandKind for ListDirectory {
    type Args = Args;

    fn name(&self) -> &'static str {
        "listdirectory"
    }

    fn about(&self) -> &'static str {
        "Gives the names of a directory's entries, sorted, one a line, as the task's output; changes nothing."
    }

    fn initialize(
        &self,
        args: Args,
        _cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        let run = Script::new()
            .set("dir", args.directory.as_str())
            .run(&[], include_str!("scripts/listdirectory.sh"));
        let failing = format!("cannot list {}", args.directory);
        Ok(Box::new(Report(Scripted::safe(vec![run.into()], failing))))
    }
}
