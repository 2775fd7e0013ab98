//! Sending ahead.

use std::panic::{AssertUnwindSafe, catch_unwind};

use windlass_model::step::Step;

use super::JobRun;
use super::flight::{Broken, Target, rights, with_rights};
use crate::command::{Repeat, Turn};

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
                && task.code.repeat() == Repeat::Safe
                && current.code.repeat() == Repeat::Safe;
            if !together {
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
            flight.ahead = Some(steps.clone());
            self.flights.push_back(flight);
            *next += 1;
            self.send(target, steps, true).await?;
            if !last {
                break;
            }
        }
        Ok(())
    }
}
