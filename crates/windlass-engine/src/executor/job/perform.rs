//! Steps done in order, and their replies heard.

use std::collections::VecDeque;
use std::time::Duration;

use windlass_model::event::{Stream, What};
use windlass_model::ids::TaskId;
use windlass_model::outcome::{Failure, FailureKind};
use windlass_model::step::{Level, Reply, Say, Step};

use super::JobRun;
use super::flight::{Broken, Target, rights, target_of, with_rights};
use crate::command::Seen;
use crate::executor::lines::Lines;
use crate::executor::prepare::PreparedTask;
use crate::executor::task_ref;
use crate::host::Heard;

impl JobRun<'_> {
    /// Does steps in order, those of one host together; stops at the first reply that is not wanted. With `next` the
    /// tasks that follow may be sent along.
    pub(super) async fn perform(
        &mut self,
        steps: Vec<Step>,
        next: Option<&mut usize>,
    ) -> Result<(), Broken> {
        let Some(task) = self.flights.front().and_then(|f| self.task(f.index)) else {
            return Ok(());
        };
        let rights = rights(task);
        let steps: VecDeque<Step> = steps.into_iter().map(|s| with_rights(s, &rights)).collect();
        self.may_go_on()?;
        if steps.is_empty() {
            return Err(Failure::new(FailureKind::Panic, "the command asked for no step").into());
        }
        if let Some(front) = self.flights.front_mut() {
            front.pending = steps;
            front.flying = 0;
        }
        self.perform_pending(next).await
    }

    /// Does what is left of the front task's turn, as [`JobRun::perform`]; what was sent already is only heard.
    pub(super) async fn perform_pending(&mut self, next: Option<&mut usize>) -> Result<(), Broken> {
        let Some(task) = self.flights.front().and_then(|f| self.task(f.index)) else {
            return Ok(());
        };
        let home = (task.host.clone(), self.user_of(task));
        let rights = rights(task);
        let same_shell = |s: &Step| matches!(s, Step::Run(run) if run.user == rights);
        let pending = |run: &Self| run.flights.front().map(|f| f.pending.clone());
        let mut next = next.filter(|_| pending(self).is_some_and(|p| p.iter().all(same_shell)));
        while let Some(front) = self.flights.front_mut() {
            let Some(first) = front.pending.front() else {
                return Ok(());
            };
            if let Step::Log(say) = first {
                let say = say.clone();
                front.unkept = true;
                front.keep = None;
                self.log_step(&say).await;
                self.replied(Reply::Logged);
                continue;
            }
            let target = target_of(first, &home);
            let batch: Vec<Step> = match front.flying {
                0 => front
                    .pending
                    .iter()
                    .take_while(|s| !matches!(s, Step::Log(_)) && target_of(s, &home) == target)
                    .cloned()
                    .collect(),
                flying => front.pending.iter().take(flying).cloned().collect(),
            };
            if front.flying == 0 {
                self.send(&target, batch.clone(), false).await?;
                if let Some(next) = next.as_deref_mut() {
                    self.send_ahead(&target, next).await?;
                }
            }
            next = None;
            if !self.hear_replies(&target, &batch).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Hears the replies to steps that were sent; false when one was not wanted.
    async fn hear_replies(&mut self, target: &Target, steps: &[Step]) -> Result<bool, Broken> {
        self.hear_guard(target).await?;
        for _ in steps {
            let reply = self.hear_reply(target).await?;
            if !self.replied(reply) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Hears until the next reply, which must be the front task's.
    pub(super) async fn hear_reply(&mut self, target: &Target) -> Result<Reply, Broken> {
        loop {
            match self.hear(target).await? {
                Heard::Reply(task, reply) if self.is_front(task) => return Ok(reply),
                Heard::Reply(task, _) => {
                    self.kill(target).await;
                    let defect =
                        format!("the host answered for task {task}, which is not its turn");
                    return Err(Failure::new(FailureKind::Panic, defect).into());
                }
                Heard::Begun(_) => {}
                Heard::Output(task, stream, bytes) => self.printed(task, stream, &bytes).await,
                Heard::Progress(task, done, total) => {
                    if let Some(task) = self.task_of(task).map(task_ref) {
                        self.emit(What::Progress { task, done, total }).await;
                    }
                }
            }
        }
    }

    fn is_front(&self, id: TaskId) -> bool {
        self.flights.front().is_some_and(|f| f.facts.task == id)
    }

    fn task_of(&self, id: TaskId) -> Option<&PreparedTask> {
        self.job.tasks.iter().find(|task| task.id == id)
    }

    /// Tells what a task's program printed. What one left in the background prints later is still its own.
    pub(super) async fn printed(&mut self, id: TaskId, stream: Stream, bytes: &[u8]) {
        let flight = self.flights.iter_mut().find(|f| f.facts.task == id);
        let lines = match flight {
            Some(flight) => {
                let [out, err] = &mut flight.told;
                *match stream {
                    Stream::Stdout => out,
                    Stream::Stderr => err,
                } += bytes.len();
                flight.lines.push(stream, bytes)
            }
            None => {
                let mut late = Lines::default();
                let mut lines = late.push(stream, bytes);
                lines.extend(late.rest().into_iter().map(|(_, line)| line));
                lines
            }
        };
        let Some(task) = self.task_of(id).map(task_ref) else {
            return;
        };
        for line in lines {
            let task = task.clone();
            self.emit(What::Output { task, stream, line }).await;
        }
    }

    /// Takes the reply to the front task's next step; false when it was not wanted, and the rest of its turn is off.
    pub(super) fn replied(&mut self, reply: Reply) -> bool {
        let Some(front) = self.flights.front_mut() else {
            return false;
        };
        let step = front.pending.pop_front();
        let wanted = step.is_none_or(|step| reply.is_wanted(&step));
        front.flying = front.flying.saturating_sub(1);
        front.kept += usize::from(front.keep.is_some());
        front.told = [0, 0];
        let at = front.began.map_or(Duration::ZERO, |b| b.elapsed());
        front.seen.push(Seen { reply, at });
        if !wanted {
            front.stopped = true;
            front.pending.clear();
            front.flying = 0;
        }
        wanted
    }

    pub(super) async fn log_step(&self, say: &Say) {
        self.say(say.level, &say.message.to_string()).await;
    }

    pub(super) async fn say(&self, level: Level, message: &str) {
        let Some(task) = self.flights.front().and_then(|f| self.task(f.index)) else {
            return;
        };
        self.emit(What::Log {
            level,
            component: task.component.to_string(),
            host: Some(task.host.clone()),
            tag: task.tag.clone(),
            message: message.to_owned(),
        })
        .await;
    }
}
