//! How a task ends, and what that means for its chain.

use std::time::Duration;

use windlass_model::event::What;
use windlass_model::outcome::{Failure, FailureKind, Outcome};

use super::JobRun;
use super::flight::{Flight, rights, with_rights};
use super::recall::Recalled;
use crate::command::{Repeat, Verdict};
use crate::executor::{JobEnd, task_ref};
use crate::host::HostError;

impl JobRun<'_> {
    /// What came of the front task, whose link was lost: what its host kept of it tells, else its check, or nobody knows.
    /// None: it goes on where it stands.
    ///
    /// The host is asked before the check is done: work that still runs would be found not done.
    pub(super) async fn settle(&mut self, error: HostError) -> Option<Verdict> {
        let mut lost = error.message;
        let mut hint = None;
        if self.flights.front().is_some_and(|f| f.keep.is_some()) {
            match self.recall_front(&lost).await {
                Recalled::GoOn => return None,
                Recalled::End(failure) => return Some(Outcome::from(failure).into()),
                Recalled::Unknown { why, look } => {
                    lost = why;
                    hint = Some(look);
                }
            }
        }
        let Some((task, facts)) = self
            .flights
            .front()
            .and_then(|f| Some((self.job.tasks.get(f.index)?, f.facts.clone())))
        else {
            return Some(Outcome::Unknown(lost).into());
        };
        let hint = hint.unwrap_or_else(|| match task.code.repeat() {
            Repeat::Safe => "it is safe to run it again".to_owned(),
            _ => "look at the host before you run it again".to_owned(),
        });
        let target = (task.host.clone(), self.user_of(task));
        let Some(check) = task.code.check(&facts).filter(|_| !self.is_over()) else {
            return Some(Outcome::Unknown(format!("{lost}; {hint}")).into());
        };
        let rights = rights(task);
        let mut done = true;
        for step in check {
            let step = with_rights(step, &rights);
            match self.ask(&target, step.clone()).await {
                Ok(reply) => done &= reply.is_wanted(&step),
                Err(failure) => {
                    let why =
                        format!("{lost}; asking for its effect failed too: {failure}; {hint}");
                    return Some(Outcome::Unknown(why).into());
                }
            }
        }
        let outcome = match done {
            true => Outcome::Changed,
            false => Outcome::from(Failure::new(
                FailureKind::LinkLost,
                format!("{lost}; a check found that it was not done"),
            )),
        };
        Some(outcome.into())
    }

    /// Reports an ended task and says how the chain goes on.
    pub(super) async fn ended(&mut self, mut flight: Flight, verdict: Verdict) -> Next {
        let Some(task) = self.job.tasks.get(flight.index) else {
            return Next::Stop(JobEnd::Failed);
        };
        let name = task_ref(task);
        for (stream, line) in flight.lines.rest() {
            self.emit(What::Output {
                task: name.clone(),
                stream,
                line,
            })
            .await;
        }
        let Verdict { outcome, output } = verdict;
        let may_retry = match &outcome {
            Outcome::Failed(failure) => !matches!(
                failure.kind,
                FailureKind::Interrupted | FailureKind::Panic | FailureKind::Lock
            ),
            Outcome::Unknown(_) => task.code.repeat() == Repeat::Safe,
            _ => false,
        };
        // What goes on of an attempt before the run was resumed counts as the first.
        let attempts = (flight.attempt - self.attempts_before(flight.index)).max(1);
        if may_retry && attempts <= task.retries && !self.is_over() {
            let delay = task.retry_delay;
            let attempt = flight.attempt;
            self.emit(What::TaskRetried {
                task: name.clone(),
                attempt,
                outcome: outcome.clone(),
                delay,
            })
            .await;
            let mut interrupt = self.shared.options.interrupt.clone();
            tokio::select! {
                biased;
                // What came of the last attempt stands.
                () = interrupt.reached(2) => {}
                () = tokio::time::sleep(Duration::from_secs(u64::from(delay))) => return Next::Again,
            }
        }
        let millis = flight.began.map_or(0, |b| b.elapsed().as_millis() as u64);
        if let Outcome::Failed(failure) = &outcome
            && (flight.keep.is_some() || flight.kept > 0)
            && failure.kind != FailureKind::Command
            && task.code.repeat() != Repeat::Safe
        {
            self.shared.kept.stay();
        }
        let next = match &outcome {
            outcome if outcome.lets_go_on() => Next::GoOn,
            Outcome::Unknown(_) => Next::Stop(JobEnd::Unknown),
            _ => Next::Stop(JobEnd::Failed),
        };
        let going_on = matches!(next, Next::GoOn);
        self.finished = flight.index + 1;
        let output = output.or_else(|| flight.lines.tail());
        self.emit(What::TaskFinished {
            task: name.clone(),
            outcome,
            output,
            millis,
        })
        .await;
        if going_on {
            for key in task.code.owes().closes {
                self.opened.remove(&key);
                let was_open = self
                    .shared
                    .owed
                    .lock()
                    .is_ok_and(|mut owed| owed.remove(&key));
                if was_open {
                    self.emit(What::Owed {
                        task: name.clone(),
                        key,
                        open: false,
                    })
                    .await;
                }
            }
        }
        next
    }

    /// Reports a panic of whatever worked for the task that comes next to its end, and ends what runs.
    pub(super) async fn panicked(&mut self, why: String) -> JobEnd {
        self.flights.clear();
        let index = self.finished;
        let failure = Failure::new(FailureKind::Panic, why);
        self.finish_unbegun(index, failure.into()).await;
        self.not_run(index + 1, "an earlier task of the chain failed")
            .await;
        self.kill_all().await;
        JobEnd::Failed
    }

    pub(super) async fn finish_unbegun(&mut self, index: usize, outcome: Outcome) -> JobEnd {
        self.finished = index + 1;
        if let Some(task) = self.task(index) {
            self.emit(What::TaskFinished {
                task: task_ref(task),
                outcome,
                output: None,
                millis: 0,
            })
            .await;
        }
        JobEnd::Failed
    }

    /// Reports the rest of the chain: unknown where the host may have begun it all the same.
    pub(super) async fn not_run(&mut self, from: usize, why: &str) {
        let mut is_silent = false;
        for index in from..self.job.tasks.len() {
            let look = self.may_have_begun(index, &mut is_silent).await;
            let task = self.task(index);
            let outcome = match look {
                None => task.and_then(|t| self.shared.unbegun(t, why)),
                Some(look) => Some(Outcome::Unknown(format!(
                    "{why}, and this one was sent along before the link was lost; {look}"
                ))),
            };
            if let Some(outcome) = outcome {
                self.left_unknown |= matches!(outcome, Outcome::Unknown(_));
                self.finish_unbegun(index, outcome).await;
            }
        }
    }
}

/// How a chain goes on.
pub(super) enum Next {
    GoOn,
    Again,
    Stop(JobEnd),
}
