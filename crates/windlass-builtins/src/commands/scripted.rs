//! The commonest kind of command: steps that are known from the start, and an outcome that their exit statuses tell.

use std::path::PathBuf;

use windlass_engine::command::{Command, Facts, Owes, Repeat, Seen, Turn};
use windlass_model::outcome::{Failure, FailureKind, Outcome};
use windlass_model::step::{As, Put, PutSource, Reply, Run, SKIPPED, Step, UNCHANGED};

/// Steps that need no reply. Changed when any of them changed something; a status that is not wanted fails it.
#[derive(Clone, Debug)]
pub struct Scripted {
    /// In order.
    pub steps: Vec<Step>,
    /// Whether doing it again is safe.
    pub repeat: Repeat,
    /// How to find out whether it was done.
    pub check: Option<Vec<Step>>,
    /// What it opens and closes.
    pub owes: Owes,
    /// What it does, for the message of a failure: "cannot create /opt/x".
    pub failing: String,
}

impl Scripted {
    /// Steps that may be done again.
    pub fn safe(steps: Vec<Step>, failing: impl Into<String>) -> Self {
        Self {
            steps,
            repeat: Repeat::Safe,
            check: None,
            owes: Owes::default(),
            failing: failing.into(),
        }
    }
}

impl Command for Scripted {
    fn turn(&self, facts: &Facts, seen: &[Seen]) -> Turn {
        if seen.is_empty() && !self.steps.is_empty() {
            return Turn::Last(as_user(&self.steps, &facts.user));
        }
        outcome_of(&self.steps, seen, &self.failing).into()
    }

    fn repeat(&self) -> Repeat {
        self.repeat
    }

    fn check(&self, facts: &Facts) -> Option<Vec<Step>> {
        Some(as_user(self.check.as_deref()?, &facts.user))
    }

    fn owes(&self) -> Owes {
        self.owes.clone()
    }

    fn files(&self) -> Vec<PathBuf> {
        self.steps
            .iter()
            .filter_map(|step| match step {
                Step::Put(put) => match &put.source {
                    PutSource::File { path, .. } => Some(path.clone()),
                    PutSource::Bytes(_) => None,
                },
                _ => None,
            })
            .collect()
    }
}

/// The same steps with a user's rights, where they name none themselves.
pub fn as_user(steps: &[Step], user: &As) -> Vec<Step> {
    let mut steps = steps.to_vec();
    for step in &mut steps {
        match step {
            Step::Run(Run { user: of, .. }) | Step::Put(Put { user: of, .. })
                if *of == As::Login =>
            {
                of.clone_from(user);
            }
            _ => {}
        }
    }
    steps
}

/// What the replies to `steps` say: the first that is not wanted is a failure; else changed when one changed something,
/// skipped when all that ran were skipped, unchanged otherwise.
pub fn outcome_of(steps: &[Step], seen: &[Seen], failing: &str) -> Outcome {
    let mut changed = false;
    let mut skipped = None;
    for (step, seen) in steps.iter().zip(seen) {
        if !seen.reply.is_wanted(step) {
            return failure_of(&seen.reply, failing).into();
        }
        match &seen.reply {
            Reply::Ran {
                status: SKIPPED,
                stdout,
                ..
            } => {
                skipped = Some(last_line(stdout).unwrap_or("not needed").to_owned());
            }
            Reply::Ran {
                status: UNCHANGED, ..
            }
            | Reply::Logged
            | Reply::Put { sent: false, .. } => {}
            Reply::Impossible(why) => return Outcome::failed(format!("{failing}: {why}")),
            _ => changed = true,
        }
    }
    match (changed, skipped) {
        (true, _) => Outcome::Changed,
        (false, Some(why)) => Outcome::Skipped(why),
        (false, None) => Outcome::Unchanged,
    }
}

/// A failure that says what did not work, with the exit status and the last line of the error output.
pub fn failure_of(reply: &Reply, failing: &str) -> Failure {
    match reply {
        Reply::Ran {
            status,
            stdout,
            stderr,
        } => {
            let said = last_line(stderr).or_else(|| last_line(stdout));
            let message = match said {
                Some(line) => format!("{failing}: {line} (exit status {status})"),
                None => format!("{failing}: exit status {status}"),
            };
            Failure::new(FailureKind::Command, message).with_status(*status)
        }
        Reply::Impossible(why) => Failure::new(FailureKind::Command, format!("{failing}: {why}")),
        _ => Failure::new(FailureKind::Command, failing),
    }
}

/// The last line that is not blank.
pub fn last_line(text: &str) -> Option<&str> {
    text.lines().rev().map(str::trim).find(|l| !l.is_empty())
}
