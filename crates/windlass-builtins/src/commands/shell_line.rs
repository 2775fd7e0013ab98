//! A shell line that a user wrote, as a step; perhaps one that is only run when a path is there or is not.

use windlass_model::Text;
use windlass_model::outcome::Outcome;
use windlass_model::step::{As, Reply, Run, SKIPPED, Step, Want};

use super::args::AbsolutePath;
use super::scripted::failure_of;
use crate::sh::quote;

/// When a line is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnlyIf {
    /// The path is not there.
    Absent(AbsolutePath),
    /// The path is there.
    Exists(AbsolutePath),
}

/// A shell line with what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellLine {
    /// A program of sh; several lines are fine.
    pub line: String,
    /// Set for it only.
    pub env: Vec<(String, Text)>,
    /// Where it runs.
    pub cwd: Option<AbsolutePath>,
    /// The exit status that it is to end with.
    pub want: u8,
    /// When it is run; always if absent.
    pub only_if: Option<OnlyIf>,
}

impl ShellLine {
    /// A line that is to end with 0.
    pub fn new(line: impl Into<String>) -> Self {
        Self {
            line: line.into(),
            env: Vec::new(),
            cwd: None,
            want: 0,
            only_if: None,
        }
    }

    /// The one step that runs it. Wanted replies let a chain go on.
    pub fn step(&self, user: &As) -> Step {
        let (script, want) = match &self.only_if {
            None => (self.line.clone(), Want::Status(self.want.into())),
            Some(only_if) => (self.guarded(only_if), Want::Ours),
        };
        Step::Run(Run {
            script,
            env: self.env.clone(),
            cwd: self.cwd.as_ref().map(ToString::to_string),
            user: user.clone(),
            want,
        })
    }

    /// The path is looked at and the line run by one program, so that the task stays one step. Our own exit statuses
    /// are kept apart from the line's: the wanted one becomes 0, and an unwanted one that looks like ours becomes 1.
    fn guarded(&self, only_if: &OnlyIf) -> String {
        let (path, negation) = match only_if {
            OnlyIf::Absent(path) => (path, ""),
            OnlyIf::Exists(path) => (path, "! "),
        };
        let (path, line, want) = (path.quoted(), quote(&self.line), self.want);
        format!(
            "if {negation}{{ [ -e {path} ] || [ -L {path} ]; }}; then exit {SKIPPED}; fi\n\
             ( eval {line} )\n\
             ended=$?\n\
             case $ended in\n\
             {want}) exit 0 ;;\n\
             0|80|81) echo \"it ended with $ended, wanted {want}\" >&2; exit 1 ;;\n\
             esac\n\
             exit $ended\n"
        )
    }

    /// What its reply says.
    pub fn outcome(&self, step: &Step, reply: &Reply) -> Outcome {
        if !reply.is_wanted(step) {
            let failing = format!("`{}` failed", shown(&self.line));
            return failure_of(reply, &failing).into();
        }
        match (reply, &self.only_if) {
            (Reply::Ran { status, .. }, Some(only_if)) if *status == SKIPPED => {
                Outcome::Skipped(match only_if {
                    OnlyIf::Absent(path) => format!("{path} exists"),
                    OnlyIf::Exists(path) => format!("there is no {path}"),
                })
            }
            _ => Outcome::Changed,
        }
    }
}

/// A shell line as messages show it: its first line, at most 80 characters.
pub fn shown(line: &str) -> String {
    const MOST: usize = 80;
    let trimmed = line.trim();
    let first = trimmed.lines().next().unwrap_or("");
    if first.len() == trimmed.len() && first.chars().count() <= MOST {
        return first.to_owned();
    }
    let cut: String = first.chars().take(MOST).collect();
    format!("{} ...", cut.trim_end())
}

/// What a program said, for messages: its exit status and last line; or why it did not run.
pub fn last_words(reply: &Reply) -> String {
    failure_of(reply, "")
        .message
        .trim_start_matches(": ")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &ShellLine) -> Outcome {
        let step = line.step(&As::Login);
        let Step::Run(run) = &step else {
            panic!("{step:?}")
        };
        let out = std::process::Command::new("sh")
            .arg("-c")
            .arg(&run.script)
            .output()
            .unwrap();
        let reply = Reply::Ran {
            status: out.status.code().unwrap(),
            stdout: String::from_utf8(out.stdout).unwrap(),
            stderr: String::from_utf8(out.stderr).unwrap(),
        };
        line.outcome(&step, &reply)
    }

    fn guarded(line: &str, want: u8, only_if: OnlyIf) -> Outcome {
        run(&ShellLine {
            want,
            only_if: Some(only_if),
            ..ShellLine::new(line)
        })
    }

    fn path(path: &str) -> AbsolutePath {
        AbsolutePath::new(path).unwrap()
    }

    #[test]
    fn a_guard_skips_and_lets_through() {
        let there = || path("/etc/passwd");
        let absent = || path("/no/such path");
        assert_eq!(
            guarded("exit 3", 0, OnlyIf::Absent(there())),
            Outcome::Skipped("/etc/passwd exists".into())
        );
        assert_eq!(
            guarded("exit 3", 0, OnlyIf::Exists(absent())),
            Outcome::Skipped("there is no /no/such path".into())
        );
        assert_eq!(
            guarded("exit 3", 3, OnlyIf::Absent(absent())),
            Outcome::Changed
        );
        assert_eq!(
            guarded("true", 0, OnlyIf::Exists(there())),
            Outcome::Changed
        );
    }

    #[test]
    fn the_statuses_of_the_line_are_not_taken_for_ours() {
        for (line, want) in [("exit 80", 0), ("exit 81", 0), ("exit 0", 3), ("exit 5", 0)] {
            let outcome = guarded(line, want, OnlyIf::Absent(path("/no/such")));
            assert!(matches!(outcome, Outcome::Failed(_)), "{line}: {outcome}");
            let plain = run(&ShellLine {
                want,
                ..ShellLine::new(line)
            });
            assert!(matches!(plain, Outcome::Failed(_)), "{line}: {plain}");
        }
        for want in [80, 81] {
            let outcome = guarded(
                &format!("exit {want}"),
                want,
                OnlyIf::Absent(path("/no/such")),
            );
            assert_eq!(outcome, Outcome::Changed);
        }
    }

    #[test]
    fn an_unbalanced_quote_is_a_failure_of_the_line() {
        let outcome = guarded("echo 'oops", 0, OnlyIf::Absent(path("/no/such")));
        assert!(matches!(outcome, Outcome::Failed(_)), "{outcome}");
    }

    #[test]
    fn long_lines_are_cut_in_messages() {
        assert_eq!(shown(" make all "), "make all");
        assert_eq!(shown("one\ntwo"), "one ...");
        assert_eq!(shown(&"x".repeat(90)), format!("{} ...", "x".repeat(80)));
    }
}
