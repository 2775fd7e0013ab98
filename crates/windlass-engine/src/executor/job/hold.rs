//! What a job does for the locks of its run: nothing is sent where they may be lost.

use windlass_model::ids::HostName;
use windlass_model::outcome::{Failure, FailureKind};
use windlass_model::step::{As, Reply, Step};

use super::JobRun;
use super::flight::{Broken, Target};
use crate::host::Batch;

impl JobRun<'_> {
    /// Makes sure that `host` is locked by this run, if it is one of those that should be: asks there when the lease may
    /// have run out. Nothing may be in flight in the conversation of the lock's user.
    pub(super) async fn hold(&mut self, host: &HostName) -> Result<(), Failure> {
        let Some(locks) = self.shared.options.locks.clone() else {
            return Ok(());
        };
        let Some(doubt) = locks.doubt(host)? else {
            return Ok(());
        };
        let target = (host.clone(), doubt.user.clone());
        let replies = self.replies_to(&target, vec![doubt.step.clone()]).await?;
        match replies.first() {
            Some(reply) => locks.settle(host, &doubt, reply),
            None => Err(Failure::new(FailureKind::LinkLost, "no reply came")),
        }
    }

    /// As [`JobRun::hold`], for the host of the front task.
    pub(super) async fn hold_front(&mut self) -> Result<(), Failure> {
        let host = self.flights.front().and_then(|f| self.task(f.index));
        match host.map(|task| task.host.clone()) {
            Some(host) => self.hold(&host).await,
            None => Ok(()),
        }
    }

    /// Whether [`JobRun::hold`] would ask, or fail.
    pub(super) fn must_ask_first(&self, host: &HostName) -> bool {
        let locks = self.shared.options.locks.as_ref();
        locks.is_some_and(|locks| !matches!(locks.doubt(host), Ok(None)))
    }

    /// The step before a batch that begins with `first`, which ends the batch where the lock is lost.
    pub(super) fn guard(&self, target: &Target, first: Option<&Step>) -> Option<Step> {
        let login = As::Login;
        let rights = match first {
            Some(Step::Run(run)) => &run.user,
            _ => &login,
        };
        let locks = self.shared.options.locks.as_ref()?;
        locks.guard(&target.0, target.1.as_deref(), rights)
    }

    /// The batch, behind its guard if there is one.
    pub(super) fn guarded(&self, target: &Target, batch: Batch) -> Vec<Batch> {
        let Some(guard) = self.guard(target, batch.steps.first()) else {
            return vec![batch];
        };
        let guard = Batch {
            task: batch.task,
            steps: vec![guard],
            ahead: batch.ahead,
            keep: None,
        };
        let rest = Batch {
            ahead: true,
            ..batch
        };
        vec![guard, rest]
    }

    /// Hears what the guard of the front task's batch says, if it has one. When it says no the batch is not run.
    pub(super) async fn hear_guard(&mut self, target: &Target) -> Result<(), Broken> {
        let guarded = |flight: &mut super::flight::Flight| std::mem::take(&mut flight.guarded);
        if !self.flights.front_mut().is_some_and(guarded) {
            return Ok(());
        }
        let reply = self.hear_reply(target).await?;
        self.admitted(target, &reply).map_err(|failure| {
            if let Some(front) = self.flights.front_mut() {
                front.stopped = true;
            }
            failure.into()
        })
    }

    /// What a guard's reply means.
    pub(super) fn admitted(&self, target: &Target, reply: &Reply) -> Result<(), Failure> {
        match (&self.shared.options.locks, reply) {
            (_, Reply::Ran { status: 0, .. }) | (None, _) => Ok(()),
            (Some(locks), _) => Err(locks.refused(&target.0)),
        }
    }
}
