//! Puts a file on a host, through a channel of its own: looked at first, streamed, verified, renamed into place.

use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use windlass_engine::host::{HostError, HostErrorKind};
use windlass_model::step::{PutSource, Reply};

use super::conversation::Context;
use super::digests;
use super::marker::{Mark, Piece};
use super::script::{self, PutScript};
use super::shell::Opened;
use super::transport::Said;
use super::work::PutWork;

/// One write. Larger ones gain nothing over SSH.
const CHUNK: usize = 256 * 1024;
/// Between two words about progress.
const PROGRESS: Duration = Duration::from_millis(100);
/// How long the host may take to digest a file.
const DIGEST: Duration = Duration::from_secs(900);
/// How long one write may take before the link counts as lost.
const STALL: Duration = Duration::from_secs(120);

/// What is known of the contents before the host is asked.
pub(crate) struct Load {
    sha256: String,
    size: u64,
}

/// Digests the contents. One line when they cannot be read, or are not what was pinned.
pub(crate) async fn load(cx: &Context, work: &PutWork) -> Result<Load, String> {
    match (&work.put.source, &work.bytes) {
        (PutSource::File { path, sha256 }, _) => {
            let (found, size) = cx.digests.of_file(path).await?;
            match sha256 {
                Some(pinned) if *pinned != found => Err(format!(
                    "{} has changed since it was planned: its SHA-256 is {found}, the plan says {pinned}",
                    path.display()
                )),
                _ => Ok(Load {
                    sha256: found,
                    size,
                }),
            }
        }
        (PutSource::Bytes(_), Some(bytes)) => {
            let bytes = bytes.expose().as_bytes();
            Ok(Load {
                sha256: digests::of_bytes(bytes),
                size: bytes.len() as u64,
            })
        }
        (PutSource::Bytes(_), None) => Err("a secret in it was not resolved".into()),
    }
}

/// Puts it, in a shell that was opened for this alone. `progress` is told bytes sent, of how many.
pub(crate) async fn send(
    cx: &Context,
    opened: Opened,
    work: &PutWork,
    load: Load,
    number: u64,
    mut progress: impl FnMut(u64, u64) + Send,
) -> Result<Reply, HostError> {
    let host = cx.door.transport.host();
    let lost = |what: &str| HostError::new(HostErrorKind::Lost, format!("{host}: {what}"));
    let text = script::put(
        &opened.nonce,
        &PutScript {
            to: &work.put.to,
            sha256: &load.sha256,
            mode: work.put.mode,
            owner: work.put.owner.as_deref(),
            replace: work.put.replace,
        },
    );
    let mut there = There::new(opened);
    let group = |group| cx.groups.add(number, &work.put.user, group);
    there.write(text.as_bytes(), host.as_str()).await?;
    match tokio::time::timeout(DIGEST, there.until(&["same", "ready"], &group))
        .await
        .map_err(|_| lost("the host does not answer"))?
    {
        Now::Word(word) if word == "same" => {
            return Ok(Reply::Put {
                sent: false,
                bytes: load.size,
            });
        }
        Now::Word(_) => {}
        Now::Ended(status) => return there.failed(status, host.as_str()),
    }
    let mut source: Box<dyn AsyncRead + Send + Unpin> = match (&work.put.source, &work.bytes) {
        (PutSource::File { path, .. }, _) => match tokio::fs::File::open(path).await {
            Ok(mut file) => {
                file.set_max_buf_size(CHUNK);
                Box::new(file)
            }
            Err(e) => return Ok(Reply::Impossible(format!("{}: {e}", path.display()))),
        },
        (PutSource::Bytes(_), bytes) => Box::new(std::io::Cursor::new(
            bytes
                .as_ref()
                .map(|b| b.expose().as_bytes().to_vec())
                .unwrap_or_default(),
        )),
    };
    let mut buffer = vec![0; CHUNK];
    let (mut done, mut told) = (0u64, Instant::now());
    loop {
        let chunk = match source.read(&mut buffer).await {
            Ok(n) => buffer.get(..n).unwrap_or_default(),
            // the host gets less than it was promised, and removes it
            Err(e) => return Ok(Reply::Impossible(format!("while it was read: {e}"))),
        };
        if chunk.is_empty() || there.write(chunk, host.as_str()).await? == Wrote::Ended {
            break;
        }
        done += chunk.len() as u64;
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            progress(done, load.size);
        }
    }
    let _ = there.process.stdin.shutdown().await;
    let answer = tokio::time::timeout(DIGEST, there.until(&["done"], &group))
        .await
        .map_err(|_| lost("the host does not answer"))?;
    match answer {
        Now::Word(_) => {
            progress(load.size, load.size);
            Ok(Reply::Put {
                sent: true,
                bytes: load.size,
            })
        }
        Now::Ended(status) => there.failed(status, host.as_str()),
    }
}

#[derive(PartialEq, Eq)]
enum Wrote {
    All,
    Ended,
}

enum Now {
    Word(String),
    Ended(Option<i32>),
}

/// The program there.
struct There {
    process: super::transport::Process,
    out: super::marker::Splitter,
    err: Vec<u8>,
    words: Vec<Mark>,
    ended: Option<Option<i32>>,
}

impl There {
    fn new(opened: Opened) -> Self {
        Self {
            process: opened.process,
            out: opened.out,
            err: Vec::new(),
            words: Vec::new(),
            ended: None,
        }
    }

    /// Writes all of it, unless the program ends before: it says why on its standard error.
    async fn write(&mut self, bytes: &[u8], host: &str) -> Result<Wrote, HostError> {
        let Self {
            process,
            out,
            err,
            words,
            ended,
        } = self;
        let writing = process.stdin.write_all(bytes);
        tokio::pin!(writing);
        let stalled = tokio::time::sleep(STALL);
        tokio::pin!(stalled);
        loop {
            if ended.is_some() {
                return Ok(Wrote::Ended);
            }
            tokio::select! {
                wrote = &mut writing => return Ok(if wrote.is_ok() { Wrote::All } else { Wrote::Ended }),
                said = process.events.recv() => take(said, out, err, words, ended),
                () = &mut stalled => return Err(HostError::new(
                    HostErrorKind::Lost,
                    format!("{host}: nothing was taken for {} s", STALL.as_secs()),
                )),
            }
        }
    }

    /// Waits for one of these words, or the end.
    async fn until(&mut self, wanted: &[&str], group: &(impl Fn(i32) + Sync)) -> Now {
        loop {
            for mark in self.words.drain(..) {
                match mark {
                    Mark::Hello(pid) => group(pid),
                    Mark::Word(word) if wanted.contains(&word.as_str()) => return Now::Word(word),
                    _ => {}
                }
            }
            if let Some(status) = self.ended {
                return Now::Ended(status);
            }
            let said = self.process.events.recv().await;
            take(
                said,
                &mut self.out,
                &mut self.err,
                &mut self.words,
                &mut self.ended,
            );
        }
    }

    fn failed(&self, status: Option<i32>, host: &str) -> Result<Reply, HostError> {
        let Some(status) = status else {
            return Err(HostError::new(
                HostErrorKind::Lost,
                format!("{host}: the link was lost while a file was put"),
            ));
        };
        let said = one_line(&self.err);
        Ok(Reply::Impossible(if said.is_empty() {
            format!("putting the file ended with exit status {status} and no message")
        } else {
            said
        }))
    }
}

fn take(
    said: Option<Said>,
    out: &mut super::marker::Splitter,
    err: &mut Vec<u8>,
    words: &mut Vec<Mark>,
    ended: &mut Option<Option<i32>>,
) {
    match said {
        Some(Said::Out(bytes)) => {
            words.extend(out.feed(&bytes).into_iter().filter_map(|p| match p {
                Piece::Mark(mark) => Some(mark),
                Piece::Bytes(_) => None,
            }))
        }
        Some(Said::Err(bytes)) if err.len() < 4096 => err.extend_from_slice(&bytes),
        Some(Said::Err(_)) => {}
        Some(Said::Exit(status)) => *ended = Some(status),
        None => *ended = Some(None),
    }
}

/// What a program said on its standard error, as one line of at most 500 characters.
pub(crate) fn one_line(err: &[u8]) -> String {
    let text = String::from_utf8_lossy(err);
    let lines: Vec<&str> = text
        .lines()
        .map(|line| without_shell(line.trim()))
        .filter(|l| !l.is_empty())
        .collect();
    lines.join("; ").chars().take(500).collect()
}

/// A message without the shell's `sh: 27: ` or `sh: line 27: ` before it.
fn without_shell(line: &str) -> &str {
    let rest = line.strip_prefix("sh: ").unwrap_or(line);
    let number = rest.strip_prefix("line ").unwrap_or(rest);
    match number.split_once(": ") {
        Some((n, message)) if !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) => message,
        _ => rest,
    }
}
