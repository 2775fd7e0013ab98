//! The host that Windlass runs on: the same conversation with `sh`, as a child in a process group of its own.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::process::{ChildStdin, Command};
use tokio::sync::mpsc;
use windlass_engine::host::{Begun, HostError, HostErrorKind};
use windlass_model::ids::HostName;
use windlass_model::step::Endpoint;

use super::transport::{
    DialError, Duplex, OUTPUT_QUEUE, Patience, Process, Said, StartError, Transport,
};

/// How long output is waited for after a program ended: a child of it may hold the pipe for ever.
const LAST_OUTPUT: Duration = Duration::from_millis(200);

/// Starts programs here.
pub(crate) struct Local {
    name: HostName,
    home: Option<PathBuf>,
    begun: Option<Begun>,
}

impl Local {
    /// Programs start in `home`, or where Windlass runs.
    pub(crate) fn new(home: Option<PathBuf>) -> Self {
        Self {
            name: HostName::local(),
            home: home.filter(|h| h.is_dir()),
            begun: None,
        }
    }

    /// The same, which tells of every process group that it begins.
    pub(crate) fn telling(&self, begun: Begun) -> Self {
        Self {
            name: self.name.clone(),
            home: self.home.clone(),
            begun: Some(begun),
        }
    }
}

#[async_trait]
impl Transport for Local {
    fn host(&self) -> &HostName {
        &self.name
    }

    async fn start(&self, line: &str, _patience: Patience) -> Result<Process, StartError> {
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if let Some(home) = &self.home {
            command.current_dir(home);
        }
        let broken =
            |e: &dyn std::fmt::Display| HostError::new(HostErrorKind::Shell, format!("sh: {e}"));
        let mut child = command.spawn().map_err(|e| broken(&e))?;
        // it does nothing before it is sent something
        if let (Some(begun), Some(group)) = (&self.begun, child.id())
            && let Err(error) = begun(group)
        {
            let _ = child.start_kill();
            return Err(broken(&format!("its process group cannot be recorded: {error}")).into());
        }
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(broken(&"no pipes").into());
        };
        let (said, events) = mpsc::channel(OUTPUT_QUEUE);
        let out = tokio::spawn(pump(stdout, said.clone(), Said::Out));
        let err = tokio::spawn(pump(stderr, said.clone(), Said::Err));
        tokio::spawn(async move {
            let status = child.wait().await.ok().map(status_of);
            // a reader that is slow is waited for; a pipe that nothing comes from is not
            let _ = tokio::time::timeout(LAST_OUTPUT, async {
                let _ = out.await;
                let _ = err.await;
            })
            .await;
            let _ = said.send(Said::Exit(status)).await;
        });
        Ok(Process {
            stdin: Box::new(Stdin(Some(stdin))),
            events,
        })
    }

    async fn dial(&self, to: &Endpoint) -> Result<Box<dyn Duplex>, DialError> {
        let refused = |e: std::io::Error| DialError::Refused(refusal(to, &e));
        Ok(match to {
            Endpoint::Tcp(host, port) => Box::new(
                tokio::net::TcpStream::connect((host.as_str(), *port))
                    .await
                    .map_err(refused)?,
            ),
            Endpoint::Unix(path) => Box::new(
                tokio::net::UnixStream::connect(path)
                    .await
                    .map_err(refused)?,
            ),
        })
    }
}

/// `connection refused by 127.0.0.1:1`.
fn refusal(to: &Endpoint, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => format!("connection refused by {to}"),
        _ => format!("cannot connect to {to}: {error}"),
    }
}

async fn pump(
    mut stream: impl AsyncRead + Unpin,
    said: mpsc::Sender<Said>,
    wrap: fn(Bytes) -> Said,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = tokio::select! {
            read = stream.read(&mut buffer) => read,
            () = said.closed() => return,
        };
        let Some(chunk) = read.ok().and_then(|n| buffer.get(..n)) else {
            return;
        };
        if chunk.is_empty()
            || said
                .send(wrap(Bytes::copy_from_slice(chunk)))
                .await
                .is_err()
        {
            return;
        }
    }
}

/// A pipe that is closed when it is shut down: tokio's own stays open until it is dropped.
struct Stdin(Option<ChildStdin>);

impl AsyncWrite for Stdin {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Some(stdin) => Pin::new(stdin).poll_write(cx, buffer),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Some(stdin) => Pin::new(stdin).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0 = None;
        Poll::Ready(Ok(()))
    }
}

/// 128 + N when signal N ended it.
fn status_of(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status
        .code()
        .or_else(|| status.signal().map(|s| 128 + s))
        .unwrap_or(255)
}
