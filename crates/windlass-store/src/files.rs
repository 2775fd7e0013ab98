//! What blobs and logs have in common: files that may not be left half done.

use std::fmt;
use std::io;
use std::path::Path;

use windlass_model::release::Digest;

/// Why a file could not be read or written.
#[derive(Debug)]
pub enum FileError {
    /// There is no such file.
    NotFound(String),
    /// Somebody else writes it: try again later.
    Busy(String),
    /// What was uploaded is something else; it was thrown away.
    Mismatch {
        /// What it should be.
        wanted: Digest,
        /// What it is.
        found: String,
    },
    /// More bytes than are allowed; they were thrown away.
    TooLarge {
        /// Bytes at most.
        limit: u64,
    },
    /// The disk is full.
    NoSpace(String),
    /// Something else about the disk.
    Io(String),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(what) => write!(f, "there is no {what}"),
            Self::Busy(what) => write!(f, "somebody else writes {what}: try again"),
            Self::Mismatch { wanted, found } => write!(
                f,
                "what came is not what was announced: SHA-256 {found} instead of {wanted}; send it again"
            ),
            Self::TooLarge { limit } => write!(f, "more than {limit} bytes are not taken"),
            Self::NoSpace(what) => write!(f, "no space left on the disk for {what}"),
            Self::Io(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for FileError {}

/// The meaning of an error about a file.
pub(crate) fn fault(path: &Path, error: &io::Error) -> FileError {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match error.kind() {
        io::ErrorKind::NotFound => FileError::NotFound(name.into_owned()),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            FileError::NoSpace(name.into_owned())
        }
        _ => FileError::Io(format!("{}: {error}", path.display())),
    }
}

/// Runs what waits for the disk where it stops nobody else.
pub(crate) async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    let done = tokio::task::spawn_blocking(act).await;
    done.unwrap_or_else(|e| Err(FileError::Io(format!("it was not finished: {e}"))))
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), FileError> {
    let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|e| fault(folder, &e))
}

/// Takes a file for ourselves, or says that somebody else has it.
pub(crate) fn lock(file: &std::fs::File, path: &Path) -> Result<(), FileError> {
    use rustix::fs::{FlockOperation, flock};
    flock(file, FlockOperation::NonBlockingLockExclusive).map_err(|errno| match errno {
        rustix::io::Errno::WOULDBLOCK => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            FileError::Busy(name.into_owned())
        }
        other => fault(path, &other.into()),
    })
}
