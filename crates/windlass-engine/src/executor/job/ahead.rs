//! Sending ahead.

use std::panic::{AssertUnwindSafe, catch_unwind};

use windlass_model::outcome::Outcome;
use windlass_model::step::Step;

use super::JobRun;
use super::flight::{Broken, Flight, Target, rights, with_rights};
use crate::command::{Repeat, Turn, Verdict};
use crate::executor::Decision;
use crate::executor::prepare::PreparedTask;

/// Tasks under way at once in one conversation, at most.
const AHEAD: usize = 256;

impl JobRun<'_> {
    /// Sends the tasks that follow along with the one that was just sent, as far as the rule allows.
    pub(super) async fn send_ahead(
        &mut self,
        target: &Target,
        next: &mut usize,
    ) -> Result<(), Broken> {
        while self.flights.len() < AHEAD {
            let Some(current) = self.flights.back().and_then(|f| self.task(f.index)) else {
                break;
            };
            let Some(task) = self.task(*next) else { break };
            let together = (&task.host, &self.user_of(task)) == (&target.0, &target.1)
                && rights(task) == rights(current)
                && self.shared.decision(task) == Decision::Do
                // What is not safe to repeat is fenced there, so it is not begun twice.
                && self.flights.back().is_some_and(|f| is_fenced(current, f))
                // What it opens would be owed even if it never ran.
                && task.code.owes().opens.is_empty();
            if !together || self.must_ask_first(&task.host) {
                break;
            }
            let Some(mut flight) = self.flight(*next, 1) else {
                break;
            };
            let Ok(turn) = catch_unwind(AssertUnwindSafe(|| task.code.turn(&flight.facts, &[])))
            else {
                break;
            };
            let (steps, last) = match turn {
                Turn::Do(steps) => (steps, false),
                Turn::Last(steps) => (steps, true),
                _ => break,
            };
            let rights = rights(task);
            let steps: Vec<Step> = steps.into_iter().map(|s| with_rights(s, &rights)).collect();
            let same_shell = |s: &Step| matches!(s, Step::Run(run) if run.user == rights);
            if steps.is_empty() || !steps.iter().all(same_shell) {
                break;
            }
            flight.pending = steps.iter().cloned().collect();
            flight.last = last;
            self.flights.push_back(flight);
            *next += 1;
            self.send(target, steps, true).await?;
            if !last {
                break;
            }
        }
        Ok(())
    }

    /// Takes back what was sent along with a task that has ended, unless the chain simply goes on. Gives the index
    /// after the last of those that the host may have begun all the same, for the command had promised that its steps
    /// would be enough: their conversation is ended.
    pub(super) async fn call_back(
        &mut self,
        ended: &Flight,
        verdict: &Verdict,
        next: &mut usize,
    ) -> usize {
        let as_promised = verdict.outcome.lets_go_on() && !ended.stopped;
        if as_promised || self.flights.is_empty() {
            return 0;
        }
        self.flights.clear();
        let end = std::mem::replace(next, ended.index + 1);
        let Some(task) = self.task(ended.index).filter(|_| !ended.stopped) else {
            return 0;
        };
        let target = (task.host.clone(), self.user_of(task));
        // Where there is none it was ended already, while the task itself was under way.
        if self.kill(&target).await { end } else { 0 }
    }

    /// Reports tasks that were sent along with one that broke its command's promise.
    pub(super) async fn ran_on(&mut self, tasks: std::ops::Range<usize>) {
        for index in tasks {
            let hint = match self.task(index).map(|task| task.code.repeat()) {
                Some(Repeat::Safe) => "it is safe to run it again",
                _ => "look at the host before you run it again",
            };
            let why = format!(
                "it was sent along with the task before, which its command then called failed though every step went \
                 well; {hint}"
            );
            self.finish_unbegun(index, Outcome::Unknown(why)).await;
        }
    }
}

/// Whether what was sent of a task may be followed by another that nobody can take back: the host does it at most once, or
/// it may be done again.
fn is_fenced(task: &PreparedTask, flight: &Flight) -> bool {
    task.code.repeat() == Repeat::Safe || flight.keep.is_some()
}
