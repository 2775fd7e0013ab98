//! `dbmigration`: runs a migration, once, if there is one.

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, Facts, InitContext, Repeat, Seen, Turn};
use windlass_model::diagnostic::Diagnostics;

use super::args::AbsolutePath;
use super::shell_line::{OnlyIf, ShellLine};

/// The kind.
pub struct DbMigration;

/// Arguments of `dbmigration`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// The shell line (POSIX sh) that migrates; it is to end with 0.
    pub source: String,
    /// A path: when it does not exist there is nothing to migrate, and the task is skipped.
    pub if_exists: Option<AbsolutePath>,
}

impl CommandKind for DbMigration {
    type Args = Args;

    fn name(&self) -> &'static str {
        "dbmigration"
    }

    fn about(&self) -> &'static str {
        "Runs a database migration; it is never repeated without asking."
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        if args.source.trim().is_empty() {
            return Err(cx.wrong("source", "`source` is empty").into());
        }
        Ok(Box::new(Migration(ShellLine {
            only_if: args.if_exists.map(OnlyIf::Exists),
            ..ShellLine::new(args.source)
        })))
    }
}

#[derive(Debug)]
struct Migration(ShellLine);

impl Command for Migration {
    fn turn(&self, facts: &Facts, seen: &[Seen]) -> Turn {
        let step = self.0.step(&facts.user);
        match seen.first() {
            None => Turn::Last(vec![step]),
            Some(seen) => self.0.outcome(&step, &seen.reply).into(),
        }
    }

    fn repeat(&self) -> Repeat {
        Repeat::Ask
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use windlass_model::outcome::Outcome;

    use super::*;
    use crate::commands::trial::{end, errors, facts, failure, make, ran, seen};

    #[test]
    fn it_is_skipped_where_there_is_nothing_to_migrate() {
        let command = make(
            &DbMigration,
            json!({"source": "./migrate", "if_exists": "/opt/x/migrations"}),
        )
        .unwrap();
        assert_eq!(command.repeat(), Repeat::Ask);
        assert!(matches!(command.turn(&facts(), &[]), Turn::Last(_)));
        let ended = |status| command.turn(&facts(), &[seen(0, ran(status, "boom"))]);
        assert_eq!(
            end(ended(81)),
            Outcome::Skipped("there is no /opt/x/migrations".into())
        );
        assert_eq!(end(ended(0)), Outcome::Changed);
        assert_eq!(
            failure(ended(4)),
            "`./migrate` failed: boom (exit status 4)"
        );
        assert!(errors(&DbMigration, json!({"source": ""})).contains("empty"));
    }
}
