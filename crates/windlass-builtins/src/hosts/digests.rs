//! SHA-256 of local files, each computed once a run however many hosts it goes to.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

/// A file as it was when its digest was taken.
type Key = (PathBuf, Option<SystemTime>, u64);
type Slot = Arc<OnceCell<Result<String, String>>>;

/// See the module. Grows with the files of a run.
#[derive(Default)]
pub(crate) struct Digests(Mutex<HashMap<Key, Slot>>);

impl Digests {
    /// Digest (lower-case hex) and size in bytes of a file; one line when it cannot be read.
    pub(crate) async fn of_file(&self, path: &Path) -> Result<(String, u64), String> {
        let unread = |e: &std::io::Error| format!("{}: {e}", path.display());
        let meta = tokio::fs::metadata(path).await.map_err(|e| unread(&e))?;
        if !meta.is_file() {
            return Err(format!("{} is no file", path.display()));
        }
        let key = (path.to_owned(), meta.modified().ok(), meta.len());
        let slot = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(key)
            .or_default()
            .clone();
        let digest = slot
            .get_or_init(|| async {
                let path = path.to_owned();
                let shown = path.display().to_string();
                match tokio::task::spawn_blocking(move || read(&path)).await {
                    Ok(Ok(digest)) => Ok(digest),
                    Ok(Err(e)) => Err(format!("{shown}: {e}")),
                    Err(e) => Err(format!("{shown}: {e}")),
                }
            })
            .await
            .clone()?;
        Ok((digest, meta.len()))
    }
}

/// Of bytes in memory.
pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let n = file.read(&mut buffer)?;
        match buffer.get(..n) {
            Some(chunk) if !chunk.is_empty() => hasher.update(chunk),
            _ => return Ok(hex(&hasher.finalize())),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
