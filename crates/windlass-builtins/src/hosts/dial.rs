//! Talks to a socket as a host reaches it: through the link, or by a program there when the host does not forward.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use windlass_engine::host::{HostError, HostErrorKind};
use windlass_model::ids::HostName;
use windlass_model::step::{As, Endpoint, Reply, Via};

use super::conversation::Context;
use super::put::one_line;
use super::script;
use super::shell::Door;
use super::transport::{DialError, Duplex, Patience, Said, StartError, Transport};
use super::work::DialWork;
use crate::sh::quote;

/// What is kept of an answer.
const ANSWER: usize = 1024 * 1024;

/// Sends, and reads to the end. Only the loss of the task's own link is an error.
pub(crate) async fn dial(cx: &Context, work: &DialWork) -> Result<Reply, HostError> {
    let limited = tokio::time::timeout(work.limit, talk(cx, work)).await;
    match limited {
        Ok(reply) => reply,
        Err(_) => Ok(Reply::Impossible(format!(
            "{} did not answer within {} s",
            work.to,
            work.limit.as_secs()
        ))),
    }
}

async fn talk(cx: &Context, work: &DialWork) -> Result<Reply, HostError> {
    let way = match way(cx, &work.via).await {
        Ok(way) => way,
        Err(error) => return Ok(Reply::Impossible(error.message)),
    };
    let send = work.send.expose().as_bytes();
    match way.dial(&work.to).await {
        Ok(stream) => Ok(match exchange(stream, send, work.answer).await {
            Ok(answer) => Reply::Dialed { answer },
            Err(e) => Reply::Impossible(format!("{}: {e}", work.to)),
        }),
        Err(DialError::Refused(why)) => Ok(Reply::Impossible(why)),
        Err(DialError::Host(error)) => failed(&work.via, error),
        Err(DialError::Forbidden) => match program(&work.to, work.limit) {
            Some(text) => {
                let done = run(cx, way, &text, send, ANSWER).await;
                match done {
                    Ok(Ran { status: 0, out, .. }) => Ok(Reply::Dialed { answer: out }),
                    Ok(Ran { err, status, .. }) => Ok(Reply::Impossible(if err.is_empty() {
                        format!("cannot connect to {} (exit status {status})", work.to)
                    } else {
                        format!("{}: {err}", work.to)
                    })),
                    Err(error) => failed(&work.via, error),
                }
            }
            None => Ok(Reply::Impossible(format!(
                "{}: the host forbids forwarding",
                work.to
            ))),
        },
    }
}

/// The way to the host from which a socket is reached.
pub(crate) async fn way(
    cx: &Context,
    via: &Via,
) -> Result<std::sync::Arc<dyn Transport>, HostError> {
    match via {
        Via::Task => Ok(cx.door.transport.clone()),
        Via::Host(name) if name == cx.door.transport.host() => Ok(cx.door.transport.clone()),
        Via::Host(name) => cx.reach.reach(name, None).await,
    }
}

/// The task's own host failing ends the conversation; another's is an answer like any other.
pub(crate) fn failed(via: &Via, error: HostError) -> Result<Reply, HostError> {
    match via {
        Via::Task => Err(error),
        Via::Host(_) => Ok(Reply::Impossible(error.message)),
    }
}

async fn exchange(
    mut stream: Box<dyn Duplex>,
    send: &[u8],
    answer: bool,
) -> std::io::Result<String> {
    if !send.is_empty() {
        stream.write_all(send).await?;
    }
    stream.flush().await?;
    stream.shutdown().await?;
    let mut read = Vec::new();
    if answer {
        let limit = ANSWER as u64;
        stream.take(limit).read_to_end(&mut read).await?;
    }
    Ok(String::from_utf8_lossy(&read).into_owned())
}

/// What a program there said.
pub(crate) struct Ran {
    /// Its exit status.
    pub(crate) status: i32,
    /// Its standard output, cut.
    pub(crate) out: String,
    /// Its standard error as one line.
    pub(crate) err: String,
}

/// Runs a program on a channel of its own with `input`; it must say `READY-` and the nonce before it reads.
/// The caller limits the time.
pub(crate) async fn run(
    cx: &Context,
    transport: std::sync::Arc<dyn Transport>,
    program: &str,
    input: &[u8],
    keep: usize,
) -> Result<Ran, HostError> {
    let host = transport.host().clone();
    let door = Door {
        transport,
        shell: cx.door.shell.clone(),
        password: None,
    };
    let mut opened = match door.open(&As::Login, Patience::Turn).await {
        Ok(opened) => opened,
        Err(StartError::Host(error)) => return Err(error),
        Err(StartError::Busy) => return Err(busy(&host)),
    };
    let ready = format!("{}\n", script::ready(&opened.nonce));
    let body = format!("echo {}\n{program}", ready.trim_end());
    let text = script::wrap(&opened.nonce, &body);
    let _ = opened.process.stdin.write_all(text.as_bytes()).await;
    let (mut out, mut err, mut sent) = (Vec::new(), Vec::new(), false);
    loop {
        match opened.process.events.recv().await {
            Some(Said::Out(bytes)) => {
                let room = (keep + ready.len()).saturating_sub(out.len());
                out.extend_from_slice(bytes.get(..room).unwrap_or(&bytes));
            }
            Some(Said::Err(bytes)) if err.len() < 4096 => err.extend_from_slice(&bytes),
            Some(Said::Err(_)) => {}
            Some(Said::Exit(Some(status))) => {
                let text = String::from_utf8_lossy(&out).into_owned();
                let out = text
                    .split_once(&ready)
                    .map_or(String::new(), |(_, rest)| rest.to_owned());
                let err = one_line(&err);
                return Ok(Ran { status, out, err });
            }
            Some(Said::Exit(None)) | None => {
                return Err(HostError::new(
                    HostErrorKind::Lost,
                    format!("{host}: the link was lost"),
                ));
            }
        }
        if !sent && out.windows(ready.len()).any(|w| w == ready.as_bytes()) {
            sent = true;
            // a program that ended already says why
            let _ = opened.process.stdin.write_all(input).await;
            let _ = opened.process.stdin.shutdown().await;
        }
    }
}

fn busy(host: &HostName) -> HostError {
    HostError::new(
        HostErrorKind::Shell,
        format!("{host}: it runs as many programs as it allows"),
    )
}

/// A program that joins its standard streams to a socket, with whatever the host has. None when the address cannot be
/// said in words that all of them read.
fn program(to: &Endpoint, limit: Duration) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:/@+".contains(c);
    let (socat, nc, kind, a, b) = match to {
        Endpoint::Tcp(host, port) if host.chars().all(plain) && !host.starts_with('-') => {
            let shown = if host.contains(':') {
                format!("[{host}]")
            } else {
                host.clone()
            };
            (
                format!("TCP:{shown}:{port}"),
                format!("{host} {port}"),
                "tcp",
                host.clone(),
                port.to_string(),
            )
        }
        Endpoint::Unix(path) if path.starts_with('/') && path.chars().all(plain) => (
            format!("UNIX-CONNECT:{path}"),
            format!("-U {path}"),
            "unix",
            path.clone(),
            String::new(),
        ),
        _ => return None,
    };
    let seconds = limit.as_secs();
    let (a, b) = (quote(&a), quote(&b));
    Some(format!(
        "if command -v socat >/dev/null 2>&1; then exec socat -t {seconds} - {socat}; fi\n\
         if command -v python3 >/dev/null 2>&1; then exec python3 -c {python} {kind} {a} {b}; fi\n\
         if command -v perl >/dev/null 2>&1; then exec perl -e {perl} {kind} {a} {b}; fi\n\
         if command -v nc >/dev/null 2>&1; then exec nc {nc}; fi\n\
         echo 'the host forbids forwarding and has none of socat, python3, perl, nc' >&2\nexit 69\n",
        python = quote(PYTHON),
        perl = quote(PERL),
    ))
}

const PYTHON: &str = r#"
import socket, sys
kind, a, b = sys.argv[1:4] if len(sys.argv) > 3 else sys.argv[1:3] + [""]
try:
    if kind == "tcp":
        s = socket.create_connection((a, int(b)))
    else:
        s = socket.socket(socket.AF_UNIX); s.connect(a)
    s.sendall(sys.stdin.buffer.read())
    s.shutdown(socket.SHUT_WR)
    while True:
        d = s.recv(65536)
        if not d: break
        sys.stdout.buffer.write(d); sys.stdout.buffer.flush()
except OSError as e:
    sys.stderr.write((e.strerror or str(e)).lower() + "\n"); sys.exit(1)
"#;

const PERL: &str = r#"
use IO::Socket::INET; use IO::Socket::UNIX;
my ($k, $a, $b) = @ARGV;
my $s = $k eq "tcp" ? IO::Socket::INET->new(PeerAddr => $a, PeerPort => $b) : IO::Socket::UNIX->new(Peer => $a);
unless ($s) { print STDERR lc("$!"), "\n"; exit 1 }
binmode STDIN; binmode STDOUT; binmode $s; $| = 1; $s->autoflush(1);
my $d; print $s $d while read(STDIN, $d, 65536); shutdown($s, 1);
print $d while sysread($s, $d, 65536);
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};

    #[test]
    fn programs_there_join_their_streams_to_a_socket() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut text = String::new();
                // the end is seen: the writing side was shut down
                stream.read_to_string(&mut text).unwrap();
                write!(stream, "you said {text}").unwrap();
            }
        });
        for (name, flag, text) in [("python3", "-c", PYTHON), ("perl", "-e", PERL)] {
            for (port, wanted) in [(port.as_str(), "you said hello"), ("1", "")] {
                let Ok(mut child) = Command::new(name)
                    .args([flag, text, "tcp", "127.0.0.1", port])
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .spawn()
                else {
                    continue;
                };
                let _ = child.stdin.take().unwrap().write_all(b"hello");
                let output = child.wait_with_output().unwrap();
                let error = String::from_utf8(output.stderr).unwrap();
                assert_eq!(String::from_utf8(output.stdout).unwrap(), wanted, "{name}");
                assert_eq!(error.contains("connection refused"), port == "1", "{error}");
                assert_eq!(output.status.success(), port != "1", "{name}");
            }
        }
    }
}
