//! Conversations of a job: opened when first needed, one a host and user.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;
use windlass_model::event::What;
use windlass_model::outcome::{Failure, FailureKind};
use windlass_model::step::{Reply, Step};

use super::JobRun;
use super::flight::{Broken, Target, broken};
use crate::command::Repeat;
use crate::executor::prepare::PreparedTask;
use crate::executor::{NO_JOURNAL, task_ref};
use crate::host::{Batch, Heard, HostError, HostErrorKind};
use crate::interrupt::Interrupt;

/// How long the executor's own questions (receipts, checks) may take.
const QUESTION: Duration = Duration::from_secs(60);

/// How long one may take once the operator has asked twice to stop.
const LAST_QUESTION: Duration = Duration::from_secs(10);

impl JobRun<'_> {
    pub(super) async fn connect(&mut self, target: &Target) -> Result<(), HostError> {
        if !self.talks.contains_key(target) {
            let hosts = &self.shared.options.hosts;
            let talk = hosts.converse(&target.0, target.1.as_deref()).await?;
            self.talks.insert(target.clone(), talk);
        }
        Ok(())
    }

    /// Whether the front task may do more: its time is not over, and the operator has not ended everything.
    pub(super) fn may_go_on(&self) -> Result<(), Failure> {
        if self.is_over() {
            return Err(interrupted());
        }
        match self.front_limit() {
            Some((deadline, seconds)) if Instant::now() >= deadline => Err(too_long(seconds)),
            _ => Ok(()),
        }
    }

    /// What bounds the front task.
    pub(super) fn bounds(&self) -> (Option<(Instant, u64)>, Interrupt) {
        (self.front_limit(), self.shared.options.interrupt.clone())
    }

    /// Ends whatever runs in a conversation, and the conversation; false when there is none.
    pub(super) async fn kill(&mut self, target: &Target) -> bool {
        match self.talks.remove(target) {
            Some(mut talk) => {
                talk.kill().await;
                true
            }
            None => false,
        }
    }

    /// Sends steps of the last flight.
    pub(super) async fn send(
        &mut self,
        target: &Target,
        steps: Vec<Step>,
        ahead: bool,
    ) -> Result<(), Broken> {
        let Some(flight) = self.flights.back() else {
            return Ok(());
        };
        let (index, attempt, first) = (flight.index, flight.attempt, !flight.sent);
        let Some(task) = self.job.tasks.get(index) else {
            return Ok(());
        };
        let is_home = (&target.0, &target.1) == (&task.host, &self.user_of(task));
        let keep = self.keep_of(task, flight, target);
        self.maybe_begun.remove(&index);
        let flying = steps.len();
        let batch = Batch {
            task: task.id,
            steps,
            ahead,
            keep: keep.clone(),
        };
        if let Some(keep) = &keep {
            self.shared.kept.add(&target.0, target.1.as_deref(), keep);
        }
        let (limit, interrupt) = self.bounds();
        let connected = within(limit, interrupt, self.connect(target)).await?;
        connected.map_err(Failure::from)?;
        let host = task.host.clone();
        if !ahead {
            if is_home {
                self.ready_to_keep(target, index).await?;
            }
            self.hold(&host).await?;
        }
        let batches = self.guarded(target, batch);
        if first {
            self.about_to_send(index, attempt).await?;
        }
        if let Some(flight) = self.flights.back_mut() {
            flight.sent = true;
            flight.guarded = batches.len() > 1;
            flight.unkept |= keep.is_none();
            flight.flying = flying;
            flight.keep = keep;
        }
        let (limit, interrupt) = self.bounds();
        let Some(talk) = self.talks.get_mut(target) else {
            return Ok(());
        };
        let secrets = &self.shared.options.secrets;
        let all = async {
            for batch in batches {
                talk.send(batch, secrets).await?;
            }
            Ok(())
        };
        let sent = within(limit, interrupt, all).await;
        self.intact(target, sent).await
    }

    /// Ends everything that runs for this job.
    pub(super) async fn kill_all(&mut self) {
        for (_, mut talk) in std::mem::take(&mut self.talks) {
            talk.kill().await;
        }
    }

    /// Tells that a task may have an effect from here on. What it opens is owed.
    ///
    /// What must not be done twice is not sent before the journal has it on the disk.
    pub(super) async fn about_to_send(
        &mut self,
        index: usize,
        attempt: u32,
    ) -> Result<(), Failure> {
        let Some(task) = self.job.tasks.get(index) else {
            return Ok(());
        };
        let name = task_ref(task);
        self.sent = true;
        self.emit(What::TaskSent {
            task: name.clone(),
            attempt,
        })
        .await;
        for key in task.code.owes().opens {
            self.opened.insert(key.clone());
            let is_new = self
                .shared
                .owed
                .lock()
                .is_ok_and(|mut owed| owed.insert(key.clone()));
            if is_new {
                self.emit(What::Owed {
                    task: name.clone(),
                    key,
                    open: true,
                })
                .await;
            }
        }
        if task.code.repeat() != Repeat::Safe && !self.shared.options.events.barrier().await {
            return Err(Failure::new(FailureKind::Interrupted, NO_JOURNAL));
        }
        Ok(())
    }

    /// The next thing heard, within the front task's time limit and unless the operator stops everything.
    pub(super) async fn hear(&mut self, target: &Target) -> Result<Heard, Broken> {
        let (limit, interrupt) = self.bounds();
        let Some(talk) = self.talks.get_mut(target) else {
            return Err(broken(HostError::new(
                HostErrorKind::Lost,
                "the conversation is over",
            )));
        };
        let heard = within(limit, interrupt, talk.hear()).await;
        self.intact(target, heard).await
    }

    /// A conversation that something went wrong in is of no more use: what runs there is ended, where that can be.
    pub(super) async fn intact<T>(
        &mut self,
        target: &Target,
        done: Result<Result<T, HostError>, Failure>,
    ) -> Result<T, Broken> {
        match done {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) if error.kind == HostErrorKind::Lost => {
                self.talks.remove(target);
                Err(broken(error))
            }
            Ok(Err(error)) => {
                self.kill(target).await;
                Err(broken(error))
            }
            Err(failure) => {
                self.kill(target).await;
                Err(failure.into())
            }
        }
    }

    /// When the front task's time is over, and how long its limit is.
    pub(super) fn front_limit(&self) -> Option<(Instant, u64)> {
        let front = self.flights.front()?;
        let seconds = self.task(front.index)?.time_limit?;
        Some((front.began? + Duration::from_secs(seconds), seconds))
    }

    pub(super) async fn pause(&self, delay: Duration) -> Result<(), Broken> {
        let (limit, interrupt) = self.bounds();
        Ok(within(limit, interrupt, tokio::time::sleep(delay)).await?)
    }

    pub(super) fn user_of(&self, task: &PreparedTask) -> Option<String> {
        if task.host.is_local() {
            return None;
        }
        task.user
            .clone()
            .or_else(|| self.shared.options.user.clone())
    }

    /// A question of the executor's own: its output is nobody's. Nothing is asked where the lock is lost.
    pub(super) async fn ask(&mut self, target: &Target, step: Step) -> Result<Reply, Failure> {
        self.hold(&target.0).await?;
        let guard = self.guard(target, Some(&step));
        let guarded = guard.is_some();
        let steps = guard.into_iter().chain([step]).collect();
        let mut replies = self.replies_to(target, steps).await?;
        if let Some(reply) = replies.first().filter(|_| guarded) {
            self.admitted(target, reply)?;
        }
        replies
            .pop()
            .ok_or_else(|| Failure::new(FailureKind::LinkLost, "no reply came"))
    }

    /// Steps of one batch, and their replies up to the first that is not wanted.
    pub(super) async fn replies_to(
        &mut self,
        target: &Target,
        steps: Vec<Step>,
    ) -> Result<Vec<Reply>, Failure> {
        let task = self
            .job
            .tasks
            .first()
            .map(|t| t.id)
            .unwrap_or(windlass_model::TaskId::new(0, 0, 0));
        let secrets = self.shared.options.secrets.clone();
        let batch = Batch {
            task,
            steps: steps.clone(),
            ahead: false,
            keep: None,
        };
        let mut interrupt = self.shared.options.interrupt.clone();
        let asked = async {
            self.connect(target).await?;
            let over = || HostError::new(HostErrorKind::Lost, "the conversation is over");
            let talk = self.talks.get_mut(target).ok_or_else(over)?;
            talk.send(batch, &secrets).await?;
            let mut replies = Vec::with_capacity(steps.len());
            for step in &steps {
                let reply = loop {
                    if let Heard::Reply(_, reply) = talk.hear().await? {
                        break reply;
                    }
                };
                let wanted = reply.is_wanted(step);
                replies.push(reply);
                if !wanted {
                    break;
                }
            }
            Ok(replies)
        };
        let answer = question(asked, &mut interrupt).await;
        match self.intact(target, answer).await {
            Ok(replies) => Ok(replies),
            Err(Broken::Lost(error)) => Err(error.into()),
            Err(Broken::Failed(failure)) => Err(failure),
        }
    }
}

/// Does something for the front task, within its time limit and unless the operator ends everything.
pub(super) async fn within<T>(
    limit: Option<(Instant, u64)>,
    mut interrupt: Interrupt,
    work: impl Future<Output = T>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        () = interrupt.reached(2) => Err(interrupted()),
        failure = out_of_time(limit) => Err(failure),
        done = work => Ok(done),
    }
}

/// Waits for the answer to a question of the executor's own.
pub(super) async fn question<T>(
    asked: impl Future<Output = Result<T, HostError>>,
    interrupt: &mut Interrupt,
) -> Result<Result<T, HostError>, Failure> {
    let hurried = async {
        interrupt.reached(2).await;
        tokio::time::sleep(LAST_QUESTION).await;
    };
    tokio::select! {
        biased;
        answer = asked => Ok(answer),
        () = tokio::time::sleep(QUESTION) => Err(no_answer(QUESTION)),
        () = hurried => Err(no_answer(LAST_QUESTION)),
    }
}

fn no_answer(waited: Duration) -> Failure {
    let message = format!("no answer within {} s", waited.as_secs());
    Failure::new(FailureKind::LinkLost, message)
}

fn too_long(seconds: u64) -> Failure {
    Failure::new(
        FailureKind::TimeLimit,
        format!("not done within {seconds} s"),
    )
}

fn interrupted() -> Failure {
    Failure::new(FailureKind::Interrupted, "ended by the operator")
}

async fn out_of_time(limit: Option<(Instant, u64)>) -> Failure {
    match limit {
        Some((deadline, seconds)) => {
            tokio::time::sleep_until(deadline).await;
            too_long(seconds)
        }
        None => std::future::pending().await,
    }
}
