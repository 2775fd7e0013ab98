//! A conversation with a fake host: its shell runs by itself, whether anybody listens or not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use windlass_engine::host::{Batch, Conversation, Heard, HostError, HostErrorKind, Keep, Kept};
use windlass_engine::secrets::Secrets;
use windlass_model::ids::{HostName, TaskId};
use windlass_model::step::{Reply, Run, Step};

use super::keep::{Name, name};
use super::{Done, FakeHosts, Lost, Rule, Sent, Then, text_of};

/// Things said and not yet heard, at most.
const BOUND: usize = 4096;

pub(crate) struct FakeTalk {
    hosts: FakeHosts,
    host: HostName,
    user: Option<String>,
    batches: mpsc::Sender<Batch>,
    heard: mpsc::Receiver<Result<Heard, HostError>>,
    shell: JoinHandle<()>,
    recalled: Option<Name>,
}

fn lost() -> HostError {
    HostError::new(HostErrorKind::Lost, "the link was lost")
}

impl FakeTalk {
    pub(crate) fn open(hosts: FakeHosts, host: HostName, user: Option<&str>) -> Self {
        let (batches, received) = mpsc::channel(BOUND);
        let (say, heard) = mpsc::channel(BOUND);
        let shell = Shell {
            hosts: hosts.clone(),
            host: host.clone(),
            say,
            is_deaf: AtomicBool::new(false),
        };
        Self {
            hosts,
            host,
            user: user.map(str::to_owned),
            batches,
            heard,
            shell: tokio::spawn(shell.run(received)),
            recalled: None,
        }
    }
}

#[async_trait]
impl Conversation for FakeTalk {
    async fn send(&mut self, batch: Batch, _secrets: &Arc<Secrets>) -> Result<(), HostError> {
        {
            let mut record = self.hosts.record();
            let sent = Sent {
                at: record.now(),
                host: self.host.clone(),
                user: self.user.clone(),
                task: batch.task,
                ahead: batch.ahead,
                steps: batch.steps.iter().map(text_of).collect(),
                kept: batch.keep.is_some(),
            };
            record.sent.push(sent);
        }
        self.batches.send(batch).await.map_err(|_| lost())
    }

    async fn hear(&mut self) -> Result<Heard, HostError> {
        self.heard.recv().await.unwrap_or_else(|| Err(lost()))
    }

    async fn kill(&mut self) {
        self.shell.abort();
        let _ = (&mut self.shell).await;
        let mut record = self.hosts.record();
        record.killed.push(self.host.clone());
        if let Some(name) = self.recalled.take() {
            record.kept.cut(&name);
        }
    }

    fn keeper(&self, _keep: &Keep, _is_awaited: bool) -> Option<Step> {
        let script = self.hosts.record().script.keeper.clone()?;
        Some(Run::script(script).into())
    }

    async fn recall(&mut self, keep: &Keep, task: TaskId) -> Result<Kept, HostError> {
        let mut record = self.hosts.record();
        let Some(remains) = record.script.remains(&task.to_string()) else {
            let (kept, runs) = record.kept.recall(&name(&self.host, keep, task));
            self.recalled = runs;
            return Ok(kept);
        };
        if remains.running > 0 {
            return Ok(Kept::Running);
        }
        let ended = |status| {
            Kept::Ended(vec![Reply::Ran {
                status,
                stdout: String::new(),
                stderr: String::new(),
            }])
        };
        let was_done = record
            .done
            .iter()
            .any(|d| d.task == task && d.host == self.host);
        Ok(match remains.then {
            Then::ByTrace if was_done => ended(0),
            Then::ByTrace => Kept::NotBegun,
            Then::CutOff => Kept::CutOff,
            Then::Status(status) => ended(status),
        })
    }

    async fn forget(&mut self, _keep: &Keep) -> Result<(), HostError> {
        self.hosts.record().forgotten.push(self.host.clone());
        Ok(())
    }

    async fn close(self: Box<Self>) {}
}

/// The shell of a conversation.
struct Shell {
    hosts: FakeHosts,
    host: HostName,
    say: mpsc::Sender<Result<Heard, HostError>>,
    /// Whether its link was lost while something that is kept ran.
    is_deaf: AtomicBool,
}

/// Counts a running task for as long as it lives.
struct Running<'a>(&'a Shell);

impl<'a> Running<'a> {
    fn new(shell: &'a Shell) -> Self {
        shell.hosts.record().begin(&shell.host);
        Self(shell)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.hosts.record().end(&self.0.host);
    }
}

impl Shell {
    async fn run(self, mut batches: mpsc::Receiver<Batch>) {
        let mut stopped = false;
        while let Some(batch) = batches.recv().await {
            stopped &= batch.ahead;
            if stopped {
                continue;
            }
            if self.is_deaf.load(Relaxed) {
                return;
            }
            let kept = batch
                .keep
                .as_ref()
                .map(|keep| name(&self.host, keep, batch.task));
            if kept
                .as_ref()
                .is_some_and(|name| self.hosts.record().kept.is_begun(name))
            {
                let message = "it was begun there before";
                self.tell(Err(HostError::new(HostErrorKind::Lost, message)))
                    .await;
                return;
            }
            let _running = Running::new(&self);
            self.tell(Ok(Heard::Begun(batch.task))).await;
            for (index, step) in batch.steps.iter().enumerate() {
                let is_last = index + 1 == batch.steps.len();
                let kept = kept.as_ref().map(|name| (name, is_last));
                match self.step(batch.task, step, kept).await {
                    Some(true) => {}
                    Some(false) => {
                        stopped = true;
                        break;
                    }
                    None => return,
                }
            }
        }
    }

    /// Whether the batch goes on; `None` when the link is lost.
    async fn step(&self, task: TaskId, step: &Step, kept: Option<(&Name, bool)>) -> Option<bool> {
        let text = text_of(step);
        let (rule, end) = {
            let mut record = self.hosts.record();
            let rule = match text.strip_prefix("was done: ") {
                Some(other) => {
                    Rule::default().status(i32::from(!record.was_done(&self.host, other)))
                }
                None => record.script.rule(&self.host, &text),
            };
            if rule.lost != Some(Lost::Before) {
                let done = Done {
                    at: record.now(),
                    host: self.host.clone(),
                    task,
                    step: text,
                };
                record.done.push(done);
                if let Some((name, _)) = kept {
                    record.kept.begin(name);
                }
            }
            let end = record.end_after(rule.takes);
            (rule, end)
        };
        if rule.lost == Some(Lost::After) && kept.is_some() {
            self.tell(Err(lost())).await;
            self.is_deaf.store(true, Relaxed);
        }
        if rule.hangs {
            std::future::pending::<()>().await;
        }
        for chunk in &rule.output {
            let (stream, bytes) = chunk.bytes();
            self.tell(Ok(Heard::Output(task, stream, bytes))).await;
        }
        tokio::time::sleep_until(end).await;
        let reply = rule.reply(step);
        let goes_on = reply.is_wanted(step);
        let mut is_lost = rule.lost.is_some();
        if let Some((name, is_last)) = kept {
            let mut record = self.hosts.record();
            match rule.lost {
                Some(Lost::Before) => {}
                Some(Lost::Down) => record.kept.cut(name),
                _ => is_lost = !record.kept.reply(name, reply.clone(), is_last || !goes_on),
            }
        }
        if is_lost {
            self.tell(Err(lost())).await;
            return None;
        }
        self.tell(Ok(Heard::Reply(task, reply))).await;
        Some(goes_on)
    }

    /// Nobody may be listening any more; the shell goes on all the same.
    async fn tell(&self, heard: Result<Heard, HostError>) {
        if self.is_deaf.load(Relaxed) {
            return;
        }
        let _ = self.say.send(heard).await;
    }
}
