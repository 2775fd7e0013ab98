//! Puts a file on a host, through a channel of its own: looked at first, streamed, verified, renamed into place.

use std::fs::File;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use windlass_engine::host::{HostError, HostErrorKind};
use windlass_model::SecretValue;
use windlass_model::step::{PutSource, Reply};

use super::conversation::Context;
use super::digests;
use super::marker::{Mark, Piece};
use super::script::{self, PutScript};
use super::shell::Opened;
use super::transport::Said;
use super::work::PutWork;

/// One write: as much as may be on its way over a short link.
const CHUNK: usize = 256 * 1024;
/// Between two words about progress.
const PROGRESS: Duration = Duration::from_millis(100);
/// How long the host may take to digest a file.
pub(super) const DIGEST: Duration = Duration::from_secs(900);
/// How long one write may take before the link counts as lost.
const STALL: Duration = Duration::from_secs(120);

/// What is kept of what the program prints, in bytes: a list of names.
const PRINTED: usize = 1024 * 1024;

/// What is known of the contents before the host is asked.
pub(crate) struct Load {
    /// SHA-256 in lower-case hex.
    pub(super) sha256: String,
    /// In bytes.
    pub(super) size: u64,
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
            size: load.size,
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
    let mut source = match Source::open(work, load.size).await {
        Ok(source) => source,
        Err(why) => return Ok(Reply::Impossible(why)),
    };
    let (mut done, mut told) = (0u64, Instant::now());
    loop {
        let chunk = match source.next().await {
            Ok(chunk) => chunk,
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

/// The contents, a chunk at a time.
enum Source {
    /// A file, and the one buffer that it is read into. Both are away while they are read.
    File(Option<(File, Vec<u8>)>),
    /// What is in memory, and how much of it was given.
    Bytes(Option<SecretValue>, usize),
}

impl Source {
    /// One line when it cannot be read.
    async fn open(work: &PutWork, size: u64) -> Result<Self, String> {
        match &work.put.source {
            PutSource::File { path, .. } => {
                let file = tokio::fs::File::open(path).await;
                let file = file.map_err(|e| format!("{}: {e}", path.display()))?;
                let room = usize::try_from(size).map_or(CHUNK, |size| size.clamp(1, CHUNK));
                Ok(Self::File(Some((file.into_std().await, vec![0; room]))))
            }
            PutSource::Bytes(_) => Ok(Self::Bytes(work.bytes.clone(), 0)),
        }
    }

    /// The next chunk; an empty one at the end.
    async fn next(&mut self) -> io::Result<&[u8]> {
        match self {
            Self::File(place) => {
                let (mut file, mut buffer) = place.take().ok_or(io::ErrorKind::BrokenPipe)?;
                let (file, buffer, read) = tokio::task::spawn_blocking(move || {
                    let read = loop {
                        match file.read(&mut buffer) {
                            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                            read => break read,
                        }
                    };
                    (file, buffer, read)
                })
                .await?;
                let (_, buffer) = place.insert((file, buffer));
                Ok(buffer.get(..read?).unwrap_or_default())
            }
            Self::Bytes(bytes, given) => {
                let all = bytes.as_ref().map_or("", |bytes| bytes.expose()).as_bytes();
                let rest = all.get(*given..).unwrap_or_default();
                let chunk = rest.get(..CHUNK).unwrap_or(rest);
                *given += chunk.len();
                Ok(chunk)
            }
        }
    }
}

/// How a write ended.
#[derive(PartialEq, Eq)]
pub(super) enum Wrote {
    All,
    Ended,
}

/// What the program there came to.
pub(super) enum Now {
    /// It said a word.
    Word(String),
    /// It ended, with this status if the link was not lost.
    Ended(Option<i32>),
}

/// The program there.
pub(super) struct There {
    pub(super) process: super::transport::Process,
    out: super::marker::Splitter,
    /// What it printed beside its words.
    printed: Vec<u8>,
    err: Vec<u8>,
    words: Vec<Mark>,
    ended: Option<Option<i32>>,
}

impl There {
    pub(super) fn new(opened: Opened) -> Self {
        Self {
            process: opened.process,
            out: opened.out,
            printed: Vec::new(),
            err: Vec::new(),
            words: Vec::new(),
            ended: None,
        }
    }

    /// Writes all of it, unless the program ends before: it says why on its standard error.
    pub(super) async fn write(&mut self, bytes: &[u8], host: &str) -> Result<Wrote, HostError> {
        let Self {
            process,
            out,
            printed,
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
                said = process.events.recv() => take(said, out, printed, err, words, ended),
                () = &mut stalled => return Err(HostError::new(
                    HostErrorKind::Lost,
                    format!("{host}: nothing was taken for {} s", STALL.as_secs()),
                )),
            }
        }
    }

    /// Waits for one of these words, or the end.
    pub(super) async fn until(&mut self, wanted: &[&str], group: &(impl Fn(i32) + Sync)) -> Now {
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
                &mut self.printed,
                &mut self.err,
                &mut self.words,
                &mut self.ended,
            );
        }
    }

    /// The names of a list of digests that it found to be right.
    pub(super) fn same(&self) -> std::collections::HashSet<String> {
        let text = String::from_utf8_lossy(&self.printed);
        let good = text.lines().filter_map(|line| line.strip_suffix(": OK"));
        good.map(str::to_owned).collect()
    }

    /// Why it ended before it was done.
    pub(super) fn failed(&self, status: Option<i32>, host: &str) -> Result<Reply, HostError> {
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
    printed: &mut Vec<u8>,
    err: &mut Vec<u8>,
    words: &mut Vec<Mark>,
    ended: &mut Option<Option<i32>>,
) {
    match said {
        Some(Said::Out(bytes)) => {
            for piece in out.feed(&bytes) {
                match piece {
                    Piece::Mark(mark) => words.push(mark),
                    Piece::Bytes(bytes) if printed.len() < PRINTED => printed.extend(bytes),
                    Piece::Bytes(_) => {}
                }
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn contents_come_a_chunk_at_a_time_wherever_they_are() {
        for size in [0, 1, CHUNK, 2 * CHUNK + 5] {
            let text = "w".repeat(size);
            let path = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(path.path(), &text).unwrap();
            let file = (File::open(path.path()).unwrap(), vec![0; CHUNK]);
            let sources = [
                Source::File(Some(file)),
                Source::Bytes(Some(SecretValue::new(text.clone())), 0),
            ];
            for mut source in sources {
                let mut all = Vec::new();
                loop {
                    let chunk = source.next().await.unwrap();
                    assert!(chunk.len() <= CHUNK);
                    if chunk.is_empty() {
                        break;
                    }
                    all.extend_from_slice(chunk);
                }
                assert!(all == text.as_bytes(), "{size}");
            }
        }
    }
}
