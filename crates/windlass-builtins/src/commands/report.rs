//! A command whose output is what its last program printed.

use windlass_engine::command::{Command, Facts, Repeat, Seen, Turn, Verdict};
use windlass_model::step::{Reply, Step};

use super::scripted::Scripted;

/// Gives the standard output of the last program as the task's output.
#[derive(Clone, Debug)]
pub(super) struct Report(pub(super) Scripted);

impl Command for Report {
    fn turn(&self, facts: &Facts, seen: &[Seen]) -> Turn {
        match self.0.turn(facts, seen) {
            Turn::End(verdict) if verdict.outcome.lets_go_on() => {
                let output = seen.iter().rev().find_map(|seen| match &seen.reply {
                    Reply::Ran { stdout, .. } => Some(stdout.clone()),
                    _ => None,
                });
                Turn::End(Verdict { output, ..verdict })
            }
            turn => turn,
        }
    }

    fn repeat(&self) -> Repeat {
        self.0.repeat()
    }

    fn check(&self, facts: &Facts) -> Option<Vec<Step>> {
        self.0.check(facts)
    }
}
