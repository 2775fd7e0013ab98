//! `execute_command`: runs a shell line.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, Facts, InitContext, Repeat, Seen, Turn};
use windlass_model::Text;
use windlass_model::diagnostic::Diagnostics;
use windlass_model::step::{Run, Step, Want};

use super::args::AbsolutePath;
use super::shell_line::{OnlyIf, ShellLine};

/// The kind.
pub struct ExecuteCommand;

/// Arguments of `execute_command`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// A shell line (POSIX sh; several lines are fine). Its standard input is empty.
    pub run: String,
    /// Environment variables for it; the way to hand it a secret.
    #[serde(default)]
    pub env: BTreeMap<String, Text>,
    /// The directory that it runs in; the home directory if absent.
    pub cwd: Option<AbsolutePath>,
    /// A path that the line creates: when it exists already the line is not run, and the task is skipped.
    pub creates: Option<AbsolutePath>,
    /// The exit status that it is to end with, 0 to 255; any other is a failure.
    #[serde(default)]
    pub want_state: u8,
    /// Whether running it twice is as running it once. If so, it ends with the link to its host, and is run again when the
    /// run is resumed.
    #[serde(default)]
    pub safe_to_repeat: bool,
}

impl CommandKind for ExecuteCommand {
    type Args = Args;

    fn name(&self) -> &'static str {
        "execute_command"
    }

    fn about(&self) -> &'static str {
        "Runs a shell line."
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        let mut wrong = Diagnostics::new();
        if args.run.trim().is_empty() {
            wrong.push(cx.wrong("run", "`run` is empty"));
        }
        for name in args.env.keys().filter(|name| !is_variable(name)) {
            wrong.push(cx.wrong(
                "env",
                format!("`{name}` is no name of an environment variable"),
            ));
        }
        let line = ShellLine {
            line: args.run,
            env: args.env.into_iter().collect(),
            cwd: args.cwd,
            want: args.want_state,
            only_if: args.creates.map(OnlyIf::Absent),
        };
        let safe = args.safe_to_repeat;
        wrong.or(Box::new(Execute { line, safe }) as Box<dyn Command>)
    }
}

fn is_variable(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[derive(Debug)]
struct Execute {
    line: ShellLine,
    safe: bool,
}

impl Command for Execute {
    fn turn(&self, facts: &Facts, seen: &[Seen]) -> Turn {
        let step = self.line.step(&facts.user);
        match seen.first() {
            None => Turn::Last(vec![step]),
            Some(seen) => self.line.outcome(&step, &seen.reply).into(),
        }
    }

    fn repeat(&self) -> Repeat {
        match self.line.only_if {
            _ if self.safe => Repeat::Safe,
            Some(_) => Repeat::Check,
            None => Repeat::Ask,
        }
    }

    fn check(&self, facts: &Facts) -> Option<Vec<Step>> {
        let Some(OnlyIf::Absent(path)) = &self.line.only_if else {
            return None;
        };
        let path = path.quoted();
        Some(vec![Step::Run(Run {
            script: format!("[ -e {path} ] || [ -L {path} ]"),
            user: facts.user.clone(),
            want: Want::Status(0),
            ..Run::default()
        })])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use windlass_model::outcome::Outcome;

    use super::*;
    use crate::commands::trial::{end, errors, facts, failure, make, ran, seen, steps};

    #[test]
    fn a_line_is_one_last_step() {
        let command = make(
            &ExecuteCommand,
            json!({"run": "make", "env": {"TOKEN": {"$secret": {"env": "T"}}}, "cwd": "/srv", "want_state": 3}),
        )
        .unwrap();
        let turn = command.turn(&facts(), &[]);
        assert!(matches!(turn, Turn::Last(_)));
        let [Step::Run(run)] = &steps(turn)[..] else {
            panic!("one step");
        };
        assert_eq!(run.script, "make");
        assert_eq!(run.cwd.as_deref(), Some("/srv"));
        assert_eq!(run.want, Want::Status(3));
        assert_eq!(run.env[0].1.to_string(), "<secret: env T>");
        assert_eq!(command.repeat(), Repeat::Ask);
        let ended = |status| command.turn(&facts(), &[seen(1, ran(status, "no rule\n"))]);
        assert_eq!(end(ended(3)), Outcome::Changed);
        assert_eq!(failure(ended(0)), "`make` failed: no rule (exit status 0)");
    }

    #[test]
    fn what_it_creates_tells_whether_it_was_done() {
        let command = make(
            &ExecuteCommand,
            json!({"run": "touch /srv/done", "creates": "/srv/done"}),
        )
        .unwrap();
        assert_eq!(command.repeat(), Repeat::Check);
        assert!(command.check(&facts()).is_some());
        assert_eq!(
            end(command.turn(&facts(), &[seen(0, ran(81, ""))])),
            Outcome::Skipped("/srv/done exists".into())
        );
    }

    #[test]
    fn faults_come_all_at_once() {
        let text = errors(
            &ExecuteCommand,
            json!({"run": " ", "env": {"A B": "x", "1": "y"}}),
        );
        assert!(text.contains("`run` is empty"), "{text}");
        assert!(text.contains("`A B`") && text.contains("`1`"), "{text}");
    }
}
