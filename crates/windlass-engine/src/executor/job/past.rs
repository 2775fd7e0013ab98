//! A job of a run that is resumed: what is done is passed over, what was in flight is settled.

use std::time::Duration;

use tokio::time::Instant;
use windlass_model::event::What;
use windlass_model::outcome::{Failure, Outcome};
use windlass_model::step::{Level, Reply, Step};

use super::JobRun;
use super::flight::{Broken, Target, rights, with_rights};
use super::recall::may_be_kept;
use crate::command::{Seen, Turn, Verdict};
use crate::executor::prepare::PreparedTask;
use crate::executor::receipts::Standing;
use crate::executor::{Decision, JobEnd, Resumption, task_ref};
use crate::host::{HostError, HostErrorKind, Keep, Kept};

/// How often a host is asked whether kept work has ended.
const POLL: Duration = Duration::from_secs(1);

/// What an attempt that nobody heard the end of came to.
enum Came {
    /// To this.
    To(Verdict),
    /// To nothing: it may be done again.
    Undone,
    /// To the end of a turn: it goes on from there.
    Begun,
    /// Nobody knows, and why.
    Unknown(String),
}

impl JobRun<'_> {
    fn past(&self) -> Option<&Resumption> {
        self.shared.options.resume.as_deref()
    }

    /// Takes over what the job opened before.
    pub(super) fn take_over(&mut self) {
        if let Some(opened) = self.past().map(|p| p.opened_by(self.job)) {
            self.opened = opened;
        }
    }

    /// Whether the job was begun before the run was resumed.
    pub(super) fn began_before(&self) -> bool {
        self.past().is_some_and(|p| p.is_begun(self.job))
    }

    /// How many attempts of a task were made before the run was resumed.
    pub(super) fn attempts_before(&self, index: usize) -> u32 {
        match (self.past(), self.task(index)) {
            (Some(past), Some(task)) => past.attempts(task.id),
            _ => 0,
        }
    }

    /// The version that stood on the job's host before the run.
    pub(super) fn stood_before(&self, before: &Standing) -> Option<String> {
        let plan = self.job.receipt.as_ref()?;
        let told = self.past().and_then(|p| p.from(self.job));
        let linked = before.linked(&plan.service);
        // Once the run has swapped the link, the link tells nothing of before.
        let linked = linked.filter(|version| !self.began_before() || *version != plan.version);
        told.or(linked).map(str::to_owned)
    }

    /// Goes on to the first task that is not done.
    pub(super) fn pass_over_done(&mut self, next: &mut usize) {
        while let Some(task) = self.task(*next)
            && self.shared.decision(task) == Decision::Skip
        {
            *next += 1;
            self.finished = *next;
        }
    }

    /// The job's host could not be asked where its service stands, or it does not stand as was planned: the job fails with the
    /// first task that is left.
    pub(super) async fn not_asked(&mut self, failure: Failure) -> JobEnd {
        let mut first = 0;
        self.pass_over_done(&mut first);
        match self.task(first).map(|t| self.shared.decision(t)) {
            Some(Decision::Do) => {
                self.finish_unbegun(first, failure.into()).await;
                self.not_run(first + 1, "an earlier task of the chain failed")
                    .await;
            }
            Some(_) => self.not_run(first, &failure.to_string()).await,
            None => {
                let what = What::Log {
                    level: Level::Error,
                    component: "Executor".into(),
                    host: self.job.hosts.first().cloned(),
                    tag: None,
                    message: format!("the receipt could not be left: {failure}"),
                };
                self.emit(what).await;
            }
        }
        JobEnd::Failed
    }

    /// What the front task came to before the run was resumed; `None` when it is to be done.
    pub(super) async fn settled(&mut self, attempt: u32) -> Option<Verdict> {
        let front = self.flights.front()?;
        let task = self.task(front.index)?;
        let attempts = self.past()?.attempts(task.id);
        if attempt != 1 || self.shared.decision(task) != Decision::Settle {
            return None;
        }
        let why = self.past()?.why_unknown(task.id);
        let message = format!("Task {}: {why}; looking what came of it", task.id);
        self.say(Level::Info, &message).await;
        let came = match self.recalled(attempts).await {
            Came::Unknown(nothing) => match self.checked().await {
                Some(came) => came,
                None => Came::Unknown(nothing),
            },
            came => came,
        };
        let task = self.task(self.flights.front()?.index)?;
        match came {
            Came::To(verdict) => Some(verdict),
            Came::Undone => {
                let message = format!("Task {}: it was not done, and is done now", task.id);
                self.say(Level::Info, &message).await;
                None
            }
            Came::Begun => {
                let message = format!(
                    "Task {}: what was begun of it ended well, it goes on",
                    task.id
                );
                self.say(Level::Info, &message).await;
                None
            }
            Came::Unknown(nothing) => {
                let (id, host, run) = (task.id, &task.host, &self.shared.options.run);
                let outcome = Outcome::Unknown(format!(
                    "{why}; {nothing}. Look at {host}, then say which: `windlass deploy --resume {run} --assume-done {id}` \
                     or `--run-again {id}`"
                ));
                Some(outcome.into())
            }
        }
    }

    /// What the host kept of the front task's last attempt.
    async fn recalled(&mut self, attempt: u32) -> Came {
        let Some(task) = self.flights.front().and_then(|f| self.task(f.index)) else {
            return Came::Undone;
        };
        let keep = Keep {
            run: self.shared.options.run.clone(),
            host: task.host.clone(),
            attempt,
            user: rights(task),
            from: 0,
        };
        let (id, limit) = (task.id, task.time_limit);
        let target = (task.host.clone(), self.user_of(task));
        let is_kept = self.is_kept(task);
        let began = Instant::now();
        loop {
            let kept = match self.recall_past(&target, &keep, id).await {
                Ok(kept) => kept,
                Err(failure) => {
                    return Came::Unknown(format!("its host cannot be asked: {failure}"));
                }
            };
            match kept {
                Kept::NotBegun if is_kept => return Came::Undone,
                Kept::NotBegun => {
                    return Came::Unknown("its host keeps nothing of it".into());
                }
                Kept::Nothing => {
                    return Came::Unknown(format!(
                        "what its host kept of this run is gone, so nobody knows whether it was begun: it was to be in {}",
                        keep.place(id)
                    ));
                }
                Kept::CutOff => {
                    return Came::Unknown("it began there and was cut off before its end".into());
                }
                Kept::Ended(replies) => return self.verdict_of(replies, attempt).await,
                Kept::Running => {}
            }
            let waited = began.elapsed();
            if limit.is_some_and(|seconds| waited >= Duration::from_secs(seconds)) {
                let waited = waited.as_secs();
                return Came::Unknown(format!("it still runs there, {waited} s later"));
            }
            let mut interrupt = self.shared.options.interrupt.clone();
            tokio::select! {
                biased;
                () = interrupt.reached(2) => {
                    return Came::Unknown("it still runs there, and the operator waits no longer".into());
                }
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Whether the host keeps what the task does next: only then does the host know that it was not begun.
    fn is_kept(&self, task: &PreparedTask) -> bool {
        match self.turn() {
            Ok(Turn::Do(steps) | Turn::Last(steps) | Turn::Wait { steps, .. }) => {
                let rights = rights(task);
                let steps: Vec<Step> = steps.into_iter().map(|s| with_rights(s, &rights)).collect();
                may_be_kept(task, &steps)
            }
            _ => false,
        }
    }

    /// The end of the front task by the replies that its host kept.
    async fn verdict_of(&mut self, replies: Vec<Reply>, attempt: u32) -> Came {
        let count = replies.len();
        for reply in replies {
            if let (Some(front), Reply::Ran { stdout, stderr, .. }) =
                (self.flights.front_mut(), &reply)
            {
                use windlass_model::event::Stream;
                let index = front.index;
                let mut lines = Vec::new();
                for (stream, text) in [(Stream::Stdout, stdout), (Stream::Stderr, stderr)] {
                    let whole = front.lines.push(stream, text.as_bytes());
                    lines.extend(whole.into_iter().map(|line| (stream, line)));
                }
                lines.extend(front.lines.rest());
                let name = self.task(index).map(task_ref);
                for (stream, line) in lines {
                    if let Some(task) = name.clone() {
                        self.emit(What::Output { task, stream, line }).await;
                    }
                }
            }
            if let Some(front) = self.flights.front_mut() {
                let at = Duration::ZERO;
                front.seen.push(Seen { reply, at });
            }
        }
        match self.turn() {
            Ok(Turn::End(verdict)) => Came::To(verdict),
            Ok(_)
                if self
                    .flights
                    .front()
                    .and_then(|f| self.task(f.index))
                    .is_some_and(|task| self.is_kept(task)) =>
            {
                // A fence of that attempt keeps the next turn from being begun again, should it have been.
                if let Some(front) = self.flights.front_mut() {
                    front.attempt = attempt;
                    front.kept = count;
                    front.last = false;
                }
                Came::Begun
            }
            Ok(_) => {
                if let Some(front) = self.flights.front_mut() {
                    front.seen.clear();
                }
                Came::Unknown("what was begun of it ended, and more was to follow".into())
            }
            Err(failure) => Came::To(Outcome::from(failure).into()),
        }
    }

    async fn recall_past(
        &mut self,
        target: &Target,
        keep: &Keep,
        id: windlass_model::TaskId,
    ) -> Result<Kept, Failure> {
        let mut interrupt = self.shared.options.interrupt.clone();
        let asked = async {
            self.connect(target).await?;
            let over = || HostError::new(HostErrorKind::Lost, "the conversation is over");
            let talk = self.talks.get_mut(target).ok_or_else(over)?;
            let kept = talk.recall(keep, id).await?;
            self.shared.kept.add(&target.0, target.1.as_deref(), keep);
            Ok(kept)
        };
        let answer = super::talk::question(asked, &mut interrupt).await;
        match self.intact(target, answer).await {
            Ok(kept) => Ok(kept),
            Err(Broken::Lost(error)) => Err(error.into()),
            Err(Broken::Failed(failure)) => Err(failure),
        }
    }

    /// What the check of the front task's command says; `None` when it has none.
    async fn checked(&mut self) -> Option<Came> {
        let front = self.flights.front()?;
        let task = self.job.tasks.get(front.index)?;
        let check = task.code.check(&front.facts)?;
        let target = (task.host.clone(), self.user_of(task));
        let rights = rights(task);
        for step in check {
            let step = with_rights(step, &rights);
            match self.ask(&target, step.clone()).await {
                Ok(reply) if reply.is_wanted(&step) => {}
                Ok(_) => return Some(Came::Undone),
                Err(failure) => {
                    let why = format!("asking for its effect failed: {failure}");
                    return Some(Came::Unknown(why));
                }
            }
        }
        Some(Came::To(Outcome::Changed.into()))
    }
}
