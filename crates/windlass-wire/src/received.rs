//! A file that bytes from a manager are written into: by a thread of its own, which digests them as they come, so that nothing is
//! read again.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use windlass_model::release::Digest;

/// Chunks that may wait for the disk.
const WAITING: usize = 4;
/// Bytes read at once of what is there already.
const CHUNK: usize = 256 << 10;

/// A file that is being written. Dropped, it keeps what was written so far.
pub(crate) struct Received {
    chunks: mpsc::Sender<Bytes>,
    writing: JoinHandle<io::Result<Digest>>,
}

impl Received {
    /// Goes on with a file after its first `keep` bytes; it is made where it is missing. Must be called in a runtime.
    pub(crate) fn open(path: &Path, keep: u64) -> Self {
        let (chunks, waiting) = mpsc::channel(WAITING);
        let path = path.to_owned();
        let writing = tokio::task::spawn_blocking(move || write(&path, keep, waiting));
        Self { chunks, writing }
    }

    /// Adds bytes. False: they cannot be written, and [`Received::finish`] says why.
    pub(crate) async fn add(&self, chunk: Bytes) -> bool {
        self.chunks.send(chunk).await.is_ok()
    }

    /// Waits until everything is written; gives the digest of the whole file.
    pub(crate) async fn finish(self) -> io::Result<Digest> {
        drop(self.chunks);
        self.writing.await.map_err(io::Error::other)?
    }
}

fn write(path: &Path, keep: u64, mut chunks: mpsc::Receiver<Bytes>) -> io::Result<Digest> {
    let mut options = OpenOptions::new();
    let mut file = options.read(true).append(true).create(true).open(path)?;
    file.set_len(keep)?;
    let mut hasher = Sha256::new();
    if keep > 0 {
        digest(&mut file, &mut hasher)?;
    }
    while let Some(chunk) = chunks.blocking_recv() {
        file.write_all(&chunk)?;
        hasher.update(&chunk);
    }
    let hex: String = hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    hex.parse().map_err(io::Error::other)
}

fn digest(file: &mut File, hasher: &mut Sha256) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            return Ok(());
        }
        hasher.update(chunk.get(..count).unwrap_or_default());
    }
}
