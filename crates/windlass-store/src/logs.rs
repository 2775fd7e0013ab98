//! Logs of jobs: files that are only added to, one for each lease of a job. They are not synced: they tell people what
//! happened, and decide nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use windlass_model::release::{Epoch, JobId};

use crate::files::{FileError, blocking, fault, lock};

/// Bytes that are read at once, at most: each reader who stands still keeps as many in memory.
const PAGE: u64 = 256 << 10;

/// The logs of a folder. A cheap handle.
#[derive(Clone, Debug)]
pub struct Logs {
    root: PathBuf,
    limit: u64,
}

/// How much a log has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Bytes that are there: where the next ones belong.
    pub have: u64,
    /// Whether the log has as much as it may, and takes no more.
    pub is_full: bool,
}

impl Logs {
    /// The logs of a folder, which is made when it is missing. `limit`: bytes of a log at most.
    pub async fn open_folder(root: impl AsRef<Path>, limit: u64) -> Result<Self, FileError> {
        let root = root.as_ref().to_owned();
        let folder = root.clone();
        blocking(move || fs::create_dir_all(&folder).map_err(|e| fault(&folder, &e))).await?;
        Ok(Self { root, limit })
    }

    fn path(&self, job: &JobId, epoch: Epoch) -> PathBuf {
        self.root.join(format!("{job}.{epoch}.log"))
    }

    /// Adds bytes that belong at `offset`; gives how much is there then. What is there already is not written again, and
    /// bytes beyond a gap are not written at all: the answer says where to go on. [`FileError::Busy`] while another call
    /// writes the same log.
    pub async fn append(
        &self,
        job: &JobId,
        epoch: Epoch,
        offset: u64,
        bytes: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<Appended, FileError> {
        let (path, limit) = (self.path(job, epoch), self.limit);
        blocking(move || {
            let mut file = OpenOptions::new()
                .append(true)
                .create(true)
                .open(&path)
                .map_err(|e| fault(&path, &e))?;
            lock(&file, &path)?;
            let had = file.metadata().map_err(|e| fault(&path, &e))?.len();
            let known = had
                .checked_sub(offset)
                .and_then(|n| usize::try_from(n).ok());
            let new = known
                .and_then(|known| bytes.as_ref().get(known..))
                .unwrap_or_default();
            let room = usize::try_from(limit.saturating_sub(had)).unwrap_or(usize::MAX);
            let new = new.get(..room).unwrap_or(new);
            file.write_all(new).map_err(|e| fault(&path, &e))?;
            let have = had + new.len() as u64;
            Ok(Appended {
                have,
                is_full: have >= limit,
            })
        })
        .await
    }

    /// Bytes of a log from an offset on, 256 KiB at most; empty at its end, and where there is no log.
    pub async fn read(&self, job: &JobId, epoch: Epoch, from: u64) -> Result<Vec<u8>, FileError> {
        let path = self.path(job, epoch);
        blocking(move || {
            let mut bytes = Vec::new();
            let mut read = || {
                let mut file = File::open(&path)?;
                file.seek(io::SeekFrom::Start(from))?;
                file.take(PAGE).read_to_end(&mut bytes)
            };
            match read() {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(fault(&path, &e)),
                _ => Ok(bytes),
            }
        })
        .await
    }

    /// Removes the logs of a job's leases up to that one.
    pub async fn remove(&self, job: &JobId, up_to: Epoch) -> Result<(), FileError> {
        let paths: Vec<PathBuf> = (1..=up_to.min(10_000))
            .map(|epoch| self.path(job, epoch))
            .collect();
        blocking(move || {
            for path in paths {
                match fs::remove_file(&path) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(fault(&path, &e)),
                    _ => {}
                }
            }
            Ok(())
        })
        .await
    }
}
