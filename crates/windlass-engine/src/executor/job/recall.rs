//! Work that outlives the link: what is kept on its host, and what that tells once the link was lost.

use std::time::Duration;

use tokio::time::Instant;
use windlass_model::event::Stream;
use windlass_model::ids::TaskId;
use windlass_model::outcome::{Failure, FailureKind};
use windlass_model::step::{Level, Reply, Step};

use super::JobRun;
use super::flight::{Flight, Target, rights};
use super::talk::within;
use crate::command::Repeat;
use crate::executor::prepare::PreparedTask;
use crate::host::{HostError, HostErrorKind, Keep, Kept};

/// How long to wait before each attempt to reach the host again.
const AGAIN: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_secs(3),
    Duration::from_secs(10),
];
/// How long all of them may take together.
const REACH: Duration = Duration::from_secs(30);
/// How often work that still runs is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often a task that its host did not begin is sent again.
const RESENT: u32 = 3;

/// What the host of a lost link told.
pub(super) enum Recalled {
    /// The replies so far; the task goes on from there.
    GoOn,
    /// It was ended, or never begun.
    End(Failure),
    /// Nobody knows.
    Unknown {
        /// What happened.
        why: String,
        /// What to look at.
        look: String,
    },
}

impl JobRun<'_> {
    /// How the next steps of a task are kept: when doing them twice is not safe, they are all of its turn and programs of its
    /// own shell, and so was everything before.
    pub(super) fn keep_of(
        &self,
        task: &PreparedTask,
        flight: &Flight,
        target: &Target,
    ) -> Option<Keep> {
        let is_kept = !flight.unkept
            && (&target.0, &target.1) == (&task.host, &self.user_of(task))
            && may_be_kept(task, &flight.pending);
        is_kept.then(|| Keep {
            run: self.shared.options.run.clone(),
            host: task.host.clone(),
            attempt: flight.attempt,
            user: rights(task),
            from: flight.kept,
        })
    }

    /// Has a host made ready for what this task, or one that may be sent along with it, keeps there. What was heard to be ready
    /// before the journal says that something was sent tells later whether that was begun.
    pub(super) async fn ready_to_keep(
        &mut self,
        target: &Target,
        index: usize,
    ) -> Result<(), Failure> {
        let Some(first) = self.task(index) else {
            return Ok(());
        };
        let keep = Keep {
            run: self.shared.options.run.clone(),
            host: target.0.clone(),
            attempt: 1,
            user: rights(first),
            from: 0,
        };
        let (host, user) = (&target.0, target.1.as_deref());
        let keeps = |task: &PreparedTask| {
            task.code.repeat() != Repeat::Safe
                && (&task.host, self.user_of(task).as_deref()) == (host, user)
                && rights(task) == keep.user
        };
        if !self.job.tasks.iter().skip(index).any(keeps)
            || self.shared.kept.is_ready(host, user, &keep)
        {
            return Ok(());
        }
        let past = self.shared.options.resume.as_deref();
        let is_awaited = past.is_some_and(|past| past.awaits(host, first.use_sudo));
        // A connection that has been idle may be found lost by this question: nothing is begun, so it may be asked again.
        let mut is_anew = false;
        loop {
            self.connect(target).await.map_err(Failure::from)?;
            let step = self
                .talks
                .get(target)
                .and_then(|t| t.keeper(&keep, is_awaited));
            let Some(step) = step else { break };
            self.shared.kept.add(host, user, &keep);
            match self.ask(target, step).await {
                Ok(_) => break,
                Err(failure) if failure.kind == FailureKind::LinkLost && !is_anew => is_anew = true,
                Err(failure) => return Err(failure),
            }
        }
        self.shared.kept.is_now_ready(host, user, &keep);
        Ok(())
    }

    /// Asks the host what came of the front task's batch, until it knows. Work that still runs is waited for, within the
    /// task's time limit.
    pub(super) async fn recall_front(&mut self, lost: &str) -> Recalled {
        let Some((target, keep, task)) = self.flights.front().and_then(|front| {
            let task = self.task(front.index)?;
            let target = (task.host.clone(), self.user_of(task));
            Some((target, front.keep.clone()?, task.id))
        }) else {
            return unknown(lost, "look at the host before you run it again");
        };
        let look = format!(
            "look at {} on {} before you run it again",
            keep.place(task),
            target.0
        );
        let mut is_waiting = false;
        loop {
            let kept = match self.recall_anew(&target, &keep, task).await {
                Ok(kept) => kept,
                Err(Unheard::Host(error)) => {
                    let why = format!("{lost}; it could not be asked again: {error}");
                    return unknown(&why, &look);
                }
                Err(Unheard::Over(failure)) => {
                    // What was seen to run is ended by this.
                    return match self.kill(&target).await && is_waiting {
                        true => Recalled::End(failure),
                        false => unknown(&format!("{lost}; then: {failure}"), &look),
                    };
                }
            };
            match kept {
                Kept::Ended(replies) => return self.hear_kept(replies, lost, &look).await,
                Kept::NotBegun => {
                    if let Some(front) = self.flights.front_mut() {
                        front.flying = 0;
                        front.resent += 1;
                        if front.resent > RESENT {
                            let why = format!("{lost}; it was not begun");
                            return Recalled::End(Failure::new(FailureKind::LinkLost, why));
                        }
                    }
                    return Recalled::GoOn;
                }
                Kept::CutOff => {
                    let why = format!(
                        "{lost}; it was begun there, runs no more, and left no exit status: it was killed, or the host \
                         went down"
                    );
                    return unknown(&why, &look);
                }
                Kept::Nothing => {
                    let why = format!("{lost}; its host keeps nothing of this run any more");
                    return unknown(&why, &look);
                }
                Kept::Running => {
                    if !is_waiting {
                        is_waiting = true;
                        let message = format!("{lost}; it still runs there and is waited for");
                        self.say(Level::Warning, &message).await;
                    }
                    if self.pause(LOOK).await.is_err() {
                        // The reason is had again, and acted on, above.
                        continue;
                    }
                }
            }
        }
    }

    /// Takes up the replies to the batch in flight, as if they had just been heard.
    async fn hear_kept(&mut self, replies: Vec<Reply>, lost: &str, look: &str) -> Recalled {
        let heard = self.flights.front().map_or(0, |front| {
            let from = front.keep.as_ref().map_or(0, |keep| keep.from);
            front.kept.saturating_sub(from)
        });
        for reply in replies.into_iter().skip(heard) {
            let Some(front) = self.flights.front().filter(|f| !f.pending.is_empty()) else {
                let why = format!("{lost}; the host keeps more of it than was sent");
                return unknown(&why, look);
            };
            let (id, told) = (front.facts.task, front.told);
            if let Reply::Ran { stdout, stderr, .. } = &reply {
                for (stream, text, told) in [
                    (Stream::Stdout, stdout, told[0]),
                    (Stream::Stderr, stderr, told[1]),
                ] {
                    let rest = text.as_bytes().get(told..).unwrap_or_default();
                    self.printed(id, stream, rest).await;
                }
            }
            self.replied(reply);
        }
        match self.flights.front_mut() {
            Some(front) if front.pending.is_empty() => {
                front.resent = 0;
                Recalled::GoOn
            }
            _ => unknown(&format!("{lost}; the host keeps only a part of it"), look),
        }
    }

    /// Asks once, reaching the host anew as often as it takes within bounds.
    async fn recall_anew(
        &mut self,
        target: &Target,
        keep: &Keep,
        task: TaskId,
    ) -> Result<Kept, Unheard> {
        let begun = Instant::now();
        let mut last = None;
        for pause in AGAIN {
            if last.is_some() && begun.elapsed() + pause > REACH {
                break;
            }
            let (limit, interrupt) = self.bounds();
            let asked = async {
                tokio::time::sleep(pause).await;
                self.ask_kept(target, keep, task).await
            };
            match within(limit, interrupt, asked).await {
                Ok(Ok(kept)) => return Ok(kept),
                Ok(Err(error)) => {
                    self.talks.remove(target);
                    last = Some(error);
                }
                Err(failure) => return Err(Unheard::Over(failure)),
            }
        }
        let never = || HostError::new(HostErrorKind::Lost, "no answer");
        Err(Unheard::Host(last.unwrap_or_else(never)))
    }

    async fn ask_kept(
        &mut self,
        target: &Target,
        keep: &Keep,
        task: TaskId,
    ) -> Result<Kept, HostError> {
        self.connect(target).await?;
        match self.talks.get_mut(target) {
            Some(talk) => talk.recall(keep, task).await,
            None => Ok(Kept::Nothing),
        }
    }

    /// What to look at for a task that was sent along with one whose link was lost; none when the host has not begun it.
    /// A host that `is_silent` is not asked, and one that does not answer is.
    pub(super) async fn may_have_begun(
        &mut self,
        index: usize,
        is_silent: &mut bool,
    ) -> Option<String> {
        let keep = self.maybe_begun.remove(&index)?;
        let task = self.task(index)?;
        let (id, target) = (task.id, (task.host.clone(), self.user_of(task)));
        if !*is_silent {
            let asked = tokio::time::timeout(REACH, self.ask_kept(&target, &keep, id)).await;
            match asked {
                Ok(Ok(Kept::NotBegun)) => return None,
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => *is_silent = true,
            }
        }
        Some(format!("look at {} on {}", keep.place(id), target.0))
    }
}

/// Whether a turn of these steps is kept, if everything before it was: not when the task is safe to repeat.
pub(super) fn may_be_kept<'a>(
    task: &PreparedTask,
    steps: impl IntoIterator<Item = &'a Step>,
) -> bool {
    let user = rights(task);
    let mut steps = steps.into_iter().peekable();
    task.code.repeat() != Repeat::Safe
        && steps.peek().is_some()
        && steps.all(|s| matches!(s, Step::Run(run) if run.user == user))
}

fn unknown(why: &str, look: &str) -> Recalled {
    Recalled::Unknown {
        why: why.to_owned(),
        look: look.to_owned(),
    }
}

/// Why a host did not tell.
enum Unheard {
    /// It could not be reached.
    Host(HostError),
    /// The task's time is over, or the operator ended everything.
    Over(Failure),
}
