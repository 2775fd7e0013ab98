//! `dbmigration`: runs a migration, once, if there is one.

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, Facts, InitContext, Repeat, Seen, Turn};
use windlass_model::diagnostic::Diagnostics;
use windlass_model::outcome::Outcome;
use windlass_model::step::{Reply, Run, SKIPPED, Step};

use super::args::AbsolutePath;
use super::scripted::failure_of;
use super::shell_line::{OnlyIf, ShellLine};
use crate::sh::quote;

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
    /// The directory that it runs in; the home directory if absent.
    pub cwd: Option<AbsolutePath>,
    /// A file that says that it was done: when it exists the task is skipped, after success it is made.
    pub record: Option<AbsolutePath>,
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
        Ok(Box::new(Migration {
            line: ShellLine {
                only_if: args.if_exists.map(OnlyIf::Exists),
                cwd: args.cwd,
                ..ShellLine::new(args.source)
            },
            record: args.record,
        }))
    }
}

#[derive(Debug)]
struct Migration {
    line: ShellLine,
    record: Option<AbsolutePath>,
}

impl Migration {
    /// Before the line: whether it was done. Not in the line's own directory, which may be gone by then.
    fn look(&self, record: &AbsolutePath, facts: &Facts) -> Step {
        let script = format!("[ ! -e {} ] || exit {SKIPPED}", record.quoted());
        as_user(Run::script(script), facts)
    }

    /// After the line: that it was done. A record is there whole or not at all, and stays when the power fails.
    fn note(&self, record: &AbsolutePath, facts: &Facts) -> Step {
        let (path, new) = (record.quoted(), quote(&format!("{record}.new")));
        let dir = quote(record.as_str().rsplit_once('/').map_or("/", |(dir, _)| dir));
        let line = quote(&format!("{} {}", facts.run, self.line.line));
        let script = format!(
            "mkdir -p {dir}/ && printf '%s\\n' {line} > {new} || exit 1\n\
             sync {new} 2>/dev/null\n\
             mv -f {new} {path}"
        );
        as_user(Run::script(script), facts)
    }
}

fn as_user(run: Run, facts: &Facts) -> Step {
    Step::Run(Run {
        user: facts.user.clone(),
        ..run
    })
}

impl Command for Migration {
    fn turn(&self, facts: &Facts, seen: &[Seen]) -> Turn {
        let step = self.line.step(&facts.user);
        let outcome = |seen: &Seen| self.line.outcome(&step, &seen.reply);
        let Some(record) = &self.record else {
            return match seen.first() {
                None => Turn::Last(vec![step]),
                Some(seen) => outcome(seen).into(),
            };
        };
        match seen {
            [] => Turn::Do(vec![self.look(record, facts)]),
            [look] => match &look.reply {
                Reply::Ran {
                    status: SKIPPED, ..
                } => Outcome::Skipped(format!("done before: {record} exists")).into(),
                reply if reply.is_wanted(&self.look(record, facts)) => Turn::Do(vec![step]),
                reply => {
                    Outcome::from(failure_of(reply, &format!("cannot look at {record}"))).into()
                }
            },
            [_, line] => match outcome(line) {
                Outcome::Changed => Turn::Last(vec![self.note(record, facts)]),
                other => other.into(),
            },
            [_, _, note, ..] => match note.reply.is_wanted(&self.note(record, facts)) {
                true => Outcome::Changed.into(),
                false => {
                    let failing =
                        format!("the migration was done, but that cannot be recorded in {record}");
                    Outcome::from(failure_of(&note.reply, &failing)).into()
                }
            },
        }
    }

    fn repeat(&self) -> Repeat {
        Repeat::Ask
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::commands::trial::{end, errors, facts, failure, make, ran, seen, steps};

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

    /// Does the one step of a turn with the sh of this machine.
    fn perform(turn: Turn) -> Reply {
        let steps = steps(turn);
        let [Step::Run(run)] = steps.as_slice() else {
            panic!("{steps:?}");
        };
        let mut sh = std::process::Command::new("sh");
        sh.arg("-c").arg(&run.script);
        if let Some(cwd) = &run.cwd {
            sh.current_dir(cwd);
        }
        let out = sh.output().unwrap();
        ran(
            out.status.code().unwrap(),
            &String::from_utf8(out.stderr).unwrap(),
        )
    }

    fn to_its_end(command: &dyn Command) -> Outcome {
        let mut replies = Vec::new();
        loop {
            match command.turn(&facts(), &replies) {
                Turn::End(verdict) => return verdict.outcome,
                turn => replies.push(seen(0, perform(turn))),
            }
        }
    }

    #[test]
    fn a_record_keeps_it_from_being_done_twice() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
        let args = |line: &str| json!({"source": line, "cwd": path(""), "if_exists": path("migrations"), "record": path("kept/it's 1")});
        let migrate = make(&DbMigration, args("echo x >> count; test -e good")).unwrap();
        let count = || {
            std::fs::read_to_string(path("count"))
                .unwrap_or_default()
                .len()
                / 2
        };
        assert!(
            matches!(to_its_end(&*migrate), Outcome::Skipped(why) if why.contains("there is no"))
        );
        std::fs::write(path("migrations"), "").unwrap();
        assert!(matches!(to_its_end(&*migrate), Outcome::Failed(_)));
        assert_eq!(count(), 1);
        assert!(
            !root.path().join("kept").exists(),
            "a failure is not recorded"
        );
        std::fs::write(path("good"), "").unwrap();
        assert_eq!(to_its_end(&*migrate), Outcome::Changed);
        assert!(
            matches!(to_its_end(&*migrate), Outcome::Skipped(why) if why.contains("done before"))
        );
        assert_eq!(count(), 2);
    }
}
