//! Conversations of a job: opened when first needed, one a host and user.

use std::time::Duration;

use tokio::time::Instant;
use windlass_model::event::What;
use windlass_model::outcome::{Failure, FailureKind};
use windlass_model::step::{Reply, Step};

use super::JobRun;
use super::flight::{Broken, Target, broken};
use crate::executor::prepare::PreparedTask;
use crate::executor::task_ref;
use crate::host::{Batch, Heard, HostError, HostErrorKind};

/// How long the executor's own questions (receipts, checks) may take.
const QUESTION: Duration = Duration::from_secs(60);

impl JobRun<'_> {
    pub(super) async fn open(&mut self, target: &Target) -> Result<(), HostError> {
        if !self.talks.contains_key(target) {
            let mut interrupt = self.shared.options.interrupt.clone();
            let talk = tokio::select! {
                talk = self.shared.options.hosts.converse(&target.0, target.1.as_deref()) => talk?,
                () = interrupt.reached(2) => {
                    return Err(HostError::new(HostErrorKind::Unreachable, "interrupted while connecting"));
                }
            };
            self.talks.insert(target.clone(), talk);
        }
        Ok(())
    }

    /// Sends steps of the last flight. What it opens is owed from here on.
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
        let batch = Batch {
            task: task.id,
            steps,
            ahead,
        };
        if let Err(error) = self.open(target).await {
            return Err(Failure::from(error).into());
        }
        if first {
            let name = task_ref(task);
            self.emit(What::TaskSent {
                task: name.clone(),
                attempt,
            })
            .await;
            for key in task.code.owes().opens {
                self.opened.insert(key.clone());
                if let Ok(mut owed) = self.shared.owed.lock() {
                    owed.insert(key.clone());
                }
                self.emit(What::Owed {
                    task: name.clone(),
                    key,
                    open: true,
                })
                .await;
            }
        }
        if let Some(flight) = self.flights.back_mut() {
            flight.sent = true;
        }
        let Some(talk) = self.talks.get_mut(target) else {
            return Ok(());
        };
        if let Err(error) = talk.send(batch, &self.shared.options.secrets).await {
            self.talks.remove(target);
            return Err(broken(error));
        }
        Ok(())
    }

    /// The next thing heard, within the front task's time limit and unless the operator stops everything.
    pub(super) async fn hear(&mut self, target: &Target) -> Result<Heard, Broken> {
        let limit = self.front_limit();
        let mut interrupt = self.shared.options.interrupt.clone();
        let Some(talk) = self.talks.get_mut(target) else {
            return Err(broken(HostError::new(
                HostErrorKind::Lost,
                "the conversation is over",
            )));
        };
        let failure = tokio::select! {
            heard = talk.hear() => match heard {
                Ok(heard) => return Ok(heard),
                Err(error) => {
                    self.talks.remove(target);
                    return Err(broken(error));
                }
            },
            failure = out_of_time(limit) => failure,
            () = interrupt.reached(2) => interrupted(),
        };
        talk.kill().await;
        self.talks.remove(target);
        Err(failure.into())
    }

    /// When the front task's time is over, and how long its limit is.
    pub(super) fn front_limit(&self) -> Option<(Instant, u64)> {
        let front = self.flights.front()?;
        let seconds = self.task(front.index)?.time_limit?;
        Some((front.began? + Duration::from_secs(seconds), seconds))
    }

    pub(super) async fn pause(&self, delay: Duration) -> Result<(), Broken> {
        let mut interrupt = self.shared.options.interrupt.clone();
        tokio::select! {
            () = tokio::time::sleep(delay) => Ok(()),
            failure = out_of_time(self.front_limit()) => Err(failure.into()),
            () = interrupt.reached(2) => Err(interrupted().into()),
        }
    }

    pub(super) fn user_of(&self, task: &PreparedTask) -> Option<String> {
        if task.host.is_local() {
            return None;
        }
        task.user
            .clone()
            .or_else(|| self.shared.options.user.clone())
    }

    /// A question of the executor's own: its output is nobody's.
    pub(super) async fn ask(&mut self, target: &Target, step: Step) -> Result<Reply, Failure> {
        let task = self
            .job
            .tasks
            .first()
            .map(|t| t.id)
            .unwrap_or(windlass_model::TaskId::new(0, 0, 0));
        self.open(target).await?;
        let secrets = self.shared.options.secrets.clone();
        let Some(talk) = self.talks.get_mut(target) else {
            return Err(Failure::new(
                FailureKind::LinkLost,
                "the conversation is over",
            ));
        };
        let batch = Batch {
            task,
            steps: vec![step],
            ahead: false,
        };
        let asked = async {
            talk.send(batch, &secrets).await?;
            loop {
                if let Heard::Reply(_, reply) = talk.hear().await? {
                    return Ok(reply);
                }
            }
        };
        let answer: Result<Reply, HostError> = match tokio::time::timeout(QUESTION, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(HostError::new(
                HostErrorKind::Lost,
                format!("no answer within {} s", QUESTION.as_secs()),
            )),
        };
        if answer.is_err() {
            self.talks.remove(target);
        }
        answer.map_err(Failure::from)
    }
}

pub(super) fn interrupted() -> Failure {
    Failure::new(FailureKind::Interrupted, "ended by the operator")
}

pub(super) async fn out_of_time(limit: Option<(Instant, u64)>) -> Failure {
    match limit {
        Some((deadline, seconds)) => {
            tokio::time::sleep_until(deadline).await;
            Failure::new(
                FailureKind::TimeLimit,
                format!("not done within {seconds} s"),
            )
        }
        None => std::future::pending().await,
    }
}
