//! What a conversation needs of a way to a host: programs started, bytes to and from sockets.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use windlass_engine::host::HostError;
use windlass_model::ids::HostName;
use windlass_model::step::Endpoint;

/// Chunks of output that wait to be read from one program.
pub(crate) const OUTPUT_QUEUE: usize = 32;

/// A way to one host as one user. Cheap to share; all conversations with a host use one.
#[async_trait]
pub(crate) trait Transport: Send + Sync {
    /// The host's name, for messages.
    fn host(&self) -> &HostName;

    /// Starts a program with pipes: `line` goes to the login shell, so it is fixed text that every shell reads alike.
    async fn start(&self, line: &str, patience: Patience) -> Result<Process, StartError>;

    /// A stream to a socket as that host reaches it.
    async fn dial(&self, to: &Endpoint) -> Result<Box<dyn Duplex>, DialError>;
}

/// Finds the way to other hosts, for steps that go by way of one.
#[async_trait]
pub(crate) trait Reach: Send + Sync {
    /// Connects if there is no connection yet.
    async fn reach(
        &self,
        host: &HostName,
        user: Option<&str>,
    ) -> Result<Arc<dyn Transport>, HostError>;
}

/// What to do when the host will not start one more program now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Say so at once.
    None,
    /// Wait until another program of ours has ended.
    Turn,
    /// Do not wait: make a connection of its own.
    Urgent,
}

/// Why a program was not started.
#[derive(Debug)]
pub(crate) enum StartError {
    /// As many as the host allows are running.
    Busy,
    /// It cannot be done.
    Host(HostError),
}

impl From<HostError> for StartError {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

/// Why a socket was not reached.
#[derive(Debug)]
pub(crate) enum DialError {
    /// Nobody listens, or the like: one line.
    Refused(String),
    /// The host does not forward: try a program there.
    Forbidden,
    /// The link itself is gone.
    Host(HostError),
}

/// Bytes both ways.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A program that was started. Dropping it closes its pipes and leaves it running.
pub(crate) struct Process {
    /// Its standard input; shut down to end it.
    pub(crate) stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// What it says; ends with [`Said::Exit`].
    pub(crate) events: mpsc::Receiver<Said>,
}

/// What a program says.
#[derive(Debug)]
pub(crate) enum Said {
    /// On standard output.
    Out(Bytes),
    /// On standard error.
    Err(Bytes),
    /// It ended with this status (128 + N when signal N ended it), or the link to it is lost.
    Exit(Option<i32>),
}
