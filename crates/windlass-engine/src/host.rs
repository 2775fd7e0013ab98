//! Hosts: what a step is done on. Implementations: local and SSH in `windlass-builtins`, the dry-run host here,
//! fakes in the testkit.

use std::sync::Arc;

use async_trait::async_trait;
use windlass_model::event::Stream;
use windlass_model::ids::{HostName, RunId, TaskId};
use windlass_model::outcome::{Failure, FailureKind};
use windlass_model::step::{As, Reply, Step};

use crate::secrets::Secrets;

/// The longest name of a host in the name of a directory, in bytes.
const LONGEST_NAME: usize = 100;

/// Gives links to hosts. One a run; shared by all jobs.
#[async_trait]
pub trait Hosts: Send + Sync {
    /// Opens a conversation with `host` as `user` (none: as configured). Connects if there is no connection yet; all
    /// conversations with one (host, user, port) share one connection. Ends within the connect time-out.
    ///
    /// May be called again after a failure: a lost connection is made anew.
    async fn converse(
        &self,
        host: &HostName,
        user: Option<&str>,
    ) -> Result<Box<dyn Conversation>, HostError>;

    /// Connects to all of these at once, so that their keys are seen: a key that is unknown, changed or revoked is an error; a
    /// host that cannot be reached, or lets nobody in, is not. Connections that are made stay for [`Hosts::converse`].
    async fn check_keys(&self, hosts: &[HostName]) -> Vec<(HostName, HostError)>;

    /// What stood out in the configuration of hosts so far and is not heeded, each once, for the operator.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// The same hosts, which tell `begun` of every process group that they begin on the machine that Windlass runs on; none where
    /// they begin none there.
    fn telling(&self, begun: Begun) -> Option<Arc<dyn Hosts>> {
        let _ = begun;
        None
    }

    /// Closes every connection, waiting at most a few seconds.
    async fn close(&self);
}

/// Is told the number of a process group before anything is done in it; when it fails nothing is. It must not block for long.
pub type Begun = Arc<dyn Fn(u32) -> std::io::Result<()> + Send + Sync>;

/// A task's steps, sent together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The task that they belong to.
    pub task: TaskId,
    /// In order.
    pub steps: Vec<Step>,
    /// Whether this continues the batch in flight: it is not run when a step of an earlier batch in this
    /// conversation had a reply that was not wanted, unless everything before it was heard already.
    pub ahead: bool,
    /// Whether its work outlives the link; for work that must not be done twice.
    pub keep: Option<Keep>,
}

/// Work that outlives the link: it is started at most once under this name on a host, its output goes to files there, and
/// its exit status is kept durably, to be read back by [`Conversation::recall`].
///
/// Only [`Step::Run`] with the rights of `user` is kept; a batch with other steps must not ask for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    /// The run.
    pub run: RunId,
    /// The host, by the name that the task has for it: several may have one home.
    pub host: HostName,
    /// The attempt, from 1.
    pub attempt: u32,
    /// Whose rights the task's steps have: it is kept in that user's home.
    pub user: As,
    /// How many steps of this attempt were kept in earlier batches: 0 for its first. Asked back, what came of the steps from
    /// there on is told.
    pub from: usize,
}

impl Keep {
    /// The directory of the run on this host: `RUN@HOST`, with every byte of the name that is no letter, digit, `.` or `-` written as
    /// `_` and two hex digits, and long names cut.
    pub fn directory(&self) -> String {
        let mut name = String::new();
        for byte in self.host.as_str().bytes() {
            match byte {
                b'.' | b'-' => name.push(char::from(byte)),
                _ if byte.is_ascii_alphanumeric() => name.push(char::from(byte)),
                _ => name.push_str(&format!("_{byte:02x}")),
            }
        }
        if name.len() > LONGEST_NAME {
            // FNV-1a: tells those apart that begin alike
            let mut hash = 0xcbf2_9ce4_8422_2325_u64;
            for byte in name.bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
            name.truncate(LONGEST_NAME - 17);
            name.push_str(&format!("_{hash:016x}"));
        }
        format!("{}@{name}", self.run)
    }

    /// Where the host keeps it, for people: the beginning of its files' names, and where else to look.
    pub fn place(&self, task: TaskId) -> String {
        let home = match &self.user {
            As::Login => "~".to_owned(),
            As::Sudo(user) => format!("~{user}"),
        };
        let (directory, attempt) = (self.directory(), self.attempt);
        format!(
            "{home}/.local/state/windlass/kept/{directory}/{task}-{attempt}.* (below /var/tmp/windlass-UID/kept for a user \
             without a home)"
        )
    }
}

/// What a host still knows of a kept task.
#[derive(Clone, Debug, PartialEq)]
pub enum Kept {
    /// It was never begun here: the host keeps the run's work, and this is not among it.
    NotBegun,
    /// It still runs.
    Running,
    /// Every batch of it that was begun ended, with these replies to its steps, in order. Output is bounded.
    Ended(Vec<Reply>),
    /// It was begun, runs no more, and left no end: killed, or the host went down.
    CutOff,
    /// This host keeps nothing of the run, or no longer what it did: nobody knows whether it was begun.
    Nothing,
}

/// What a conversation says.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// The first step of a task's batch began.
    Begun(TaskId),
    /// Bytes that a program printed; not cut at lines.
    Output(TaskId, Stream, Vec<u8>),
    /// Bytes of a file that were sent, of how many.
    Progress(TaskId, u64, u64),
    /// A step ended. Replies come in the order of the steps; after one that was not wanted none comes.
    Reply(TaskId, Reply),
}

/// A conversation with one shell of a host: the tasks of a chain share it.
///
/// Dropping it leaves what runs alone; [`Conversation::kill`] ends it.
#[async_trait]
pub trait Conversation: Send + Sync {
    /// Sends a batch; does not wait for its replies. Secrets are put in here.
    async fn send(&mut self, batch: Batch, secrets: &Arc<Secrets>) -> Result<(), HostError>;

    /// The next thing heard. Cancel-safe. After an error the conversation is of no more use.
    async fn hear(&mut self) -> Result<Heard, HostError>;

    /// What makes the host ready to keep work of a run for `keep.user`; none where that takes nothing. It is done before the
    /// first such work is sent or said to be sent, and again by a process that goes on with the run; doing it twice changes
    /// nothing. With `is_awaited` something should be kept there already: if it is gone, [`Kept::Nothing`] is what
    /// [`Conversation::recall`] says from then on of work that was not begun.
    fn keeper(&self, _keep: &Keep, _is_awaited: bool) -> Option<Step> {
        None
    }

    /// What the host still knows of a task that was sent with [`Batch::keep`], maybe by another conversation or another process
    /// of Windlass. A [`Kept::Running`] task is left alone, but [`Conversation::kill`] ends it from then on. Ends within a
    /// minute; may be called again after an error, in another conversation.
    async fn recall(&mut self, _keep: &Keep, _task: TaskId) -> Result<Kept, HostError> {
        Ok(Kept::Nothing)
    }

    /// Removes what the host keeps of a run, for `keep.user`, and what other runs left there long ago. Nothing may be in flight.
    async fn forget(&mut self, _keep: &Keep) -> Result<(), HostError> {
        Ok(())
    }

    /// Ends everything that this conversation started, and what it recalled as running: TERM to its process groups, after 10 s KILL. Returns when they are
    /// gone or cannot be reached.
    async fn kill(&mut self);

    /// Ends an idle conversation. What it has open on the host ends after that.
    async fn close(self: Box<Self>);
}

/// Why a host cannot be talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostError {
    /// Which way it failed.
    pub kind: HostErrorKind,
    /// One line: what happened, and what to do.
    pub message: String,
}

/// Which way it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HostErrorKind {
    /// No connection: refused, silent, no such name.
    Unreachable,
    /// The host key is unknown, changed or revoked: a run does not begin with one of these.
    HostKey,
    /// It did not let us in: keys, passwords, sudo.
    Denied,
    /// The connection was there and is lost.
    Lost,
    /// No shell that can be talked to.
    Shell,
}

impl HostError {
    /// An error of `kind`.
    pub fn new(kind: HostErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

impl std::fmt::Display for HostError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for HostError {}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        let kind = match error.kind {
            HostErrorKind::Unreachable | HostErrorKind::Shell => FailureKind::Unreachable,
            HostErrorKind::HostKey | HostErrorKind::Denied => FailureKind::Denied,
            HostErrorKind::Lost => FailureKind::LinkLost,
        };
        Failure::new(kind, error.message)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_a_host_leaves_the_directory_of_what_is_kept() {
        let directory = |host: &str| {
            let keep = Keep {
                run: RunId::new("run-1").unwrap(),
                host: HostName::new(host),
                attempt: 1,
                user: As::Login,
                from: 0,
            };
            keep.directory()
        };
        assert_eq!(directory("web-1.example"), "run-1@web-1.example");
        assert_eq!(directory("../a b_$(x)"), "run-1@.._2fa_20b_5f_24_28x_29");
        let long = |end: &str| directory(&format!("{}{end}", "ä".repeat(200)));
        assert_ne!(long("1"), long("2"));
        assert_eq!(long("1").len(), "run-1@".len() + LONGEST_NAME);
    }
}
