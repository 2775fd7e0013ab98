//! Blobs: files named for the SHA-256 of their bytes. A file of that name is whole and durable; what is on its way lies in
//! `partial/` under the same name, so an upload can be carried on by anybody.
//!
//! The disk is written outside of the async tasks; nothing is ever whole in memory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Take, Write};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use windlass_model::release::Digest;

use crate::files::{FileError, blocking, fault, lock, sync_folder};

/// Bytes of an upload that are read from the disk at once.
const CHUNK: usize = 1 << 20;
/// Bytes that a reader gives at once at most.
const PIECE: u64 = 256 << 10;

/// The blobs of a folder. A cheap handle; several processes may use one folder.
#[derive(Clone, Debug)]
pub struct Blobs {
    root: PathBuf,
    limit: u64,
}

/// The bytes of a blob, as they come from the disk.
#[derive(Debug)]
pub struct BlobReader {
    /// None once a piece was not awaited to its end.
    bytes: Option<Take<File>>,
    path: PathBuf,
}

impl BlobReader {
    /// The next bytes, 256 KiB at most; none at the end. After a failure, and when it was not awaited to its end, the blob is to
    /// be opened again.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, FileError> {
        let gone = || FileError::Io("the reading failed before: open it again".into());
        let mut bytes = self.bytes.take().ok_or_else(gone)?;
        let path = self.path.clone();
        let (bytes, piece) = blocking(move || {
            let left = usize::try_from(bytes.limit().min(PIECE)).unwrap_or_default();
            let mut piece = Vec::with_capacity(left);
            let read = bytes.by_ref().take(PIECE).read_to_end(&mut piece);
            read.map_err(|e| fault(&path, &e))?;
            Ok((bytes, piece))
        })
        .await?;
        self.bytes = Some(bytes);
        Ok((!piece.is_empty()).then_some(piece))
    }
}

impl Blobs {
    /// The blobs of a folder, which is made when it is missing. `limit`: bytes of a blob at most.
    pub async fn open_folder(root: impl AsRef<Path>, limit: u64) -> Result<Self, FileError> {
        let blobs = Self {
            root: root.as_ref().to_owned(),
            limit,
        };
        let partial = blobs.root.join("partial");
        blocking(move || fs::create_dir_all(&partial).map_err(|e| fault(&partial, &e))).await?;
        Ok(blobs)
    }

    /// Where a blob is, when it is there: for programs that read files only. Nobody may write to it.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.folder(digest).join(digest.as_str())
    }

    /// Two letters of the digest share a folder.
    fn folder(&self, digest: &Digest) -> PathBuf {
        let letters: String = digest.as_str().chars().take(2).collect();
        self.root.join(letters)
    }

    /// The size of a blob that is there.
    pub async fn has(&self, digest: &Digest) -> Result<Option<u64>, FileError> {
        let path = self.path(digest);
        blocking(move || size(&path)).await
    }

    /// How much of an upload is there, to carry it on from; none where nothing is, or the whole blob.
    pub async fn has_partial(&self, digest: &Digest) -> Result<Option<u64>, FileError> {
        let path = self.partial(digest);
        blocking(move || size(&path)).await
    }

    fn partial(&self, digest: &Digest) -> PathBuf {
        self.root.join("partial").join(digest.as_str())
    }

    /// Begins an upload, or carries one on at its [`Upload::offset`]. One at a time has it: [`FileError::Busy`] for others.
    /// A blob that is there already can be "uploaded" again: it is written and then takes the place of its equal.
    pub async fn upload(&self, digest: &Digest) -> Result<Upload, FileError> {
        let (path, digest, limit) = (self.partial(digest), digest.clone(), self.limit);
        let (whole, folder) = (self.path(&digest), self.folder(&digest));
        blocking(move || {
            let (file, hasher, offset) = carry_on(&path)?;
            let part = Part {
                file,
                hasher,
                offset,
                path,
            };
            Ok(Upload {
                part: Some(part),
                whole,
                folder,
                digest,
                limit,
                offset,
            })
        })
        .await
    }

    /// Bytes of a blob; none: all of them. [`FileError::NotFound`] where it is not there. A range beyond the end is cut.
    pub async fn open(
        &self,
        digest: &Digest,
        range: Option<Range<u64>>,
    ) -> Result<BlobReader, FileError> {
        let path = self.path(digest);
        blocking(move || {
            let wrong = |e: io::Error| fault(&path, &e);
            let mut file = File::open(&path).map_err(wrong)?;
            let length = file.metadata().map_err(wrong)?.len();
            let range = range.unwrap_or(0..length);
            let start = file.seek(io::SeekFrom::Start(range.start)).map_err(wrong)?;
            let bytes = Some(file.take(range.end.min(length).saturating_sub(start)));
            Ok(BlobReader { bytes, path })
        })
        .await
    }

    /// Removes a blob; gives false where it is not there. Whoever reads it reads on.
    pub async fn remove(&self, digest: &Digest) -> Result<bool, FileError> {
        let path = self.path(digest);
        blocking(move || match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(fault(&path, &e)),
        })
        .await
    }

    /// Removes what was uploaded in part and not carried on for so long; gives how many.
    pub async fn remove_partial(&self, older: std::time::Duration) -> Result<u64, FileError> {
        let folder = self.root.join("partial");
        blocking(move || {
            let entries = fs::read_dir(&folder).map_err(|e| fault(&folder, &e))?;
            let mut removed = 0;
            for entry in entries.flatten() {
                let modified = entry.metadata().and_then(|m| m.modified());
                let age = modified.map(|at| at.elapsed().unwrap_or_default());
                if age.is_ok_and(|age| age > older) && remove_unless_held(&entry.path())? {
                    removed += 1;
                }
            }
            Ok(removed)
        })
        .await
    }
}

fn remove_unless_held(path: &Path) -> Result<bool, FileError> {
    let Ok(file) = File::open(path) else {
        return Ok(false);
    };
    if lock(&file, path).is_err() || !is_same(&file, path) {
        return Ok(false);
    }
    fs::remove_file(path).map_err(|e| fault(path, &e))?;
    Ok(true)
}

fn size(path: &Path) -> Result<Option<u64>, FileError> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found.len())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(fault(path, &e)),
    }
}

/// Whether a path still leads to a file: it may have been finished and renamed before it was ours.
fn is_same(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// The partial file as ours, the digest of what it has, and how much that is.
fn carry_on(path: &Path) -> Result<(File, Sha256, u64), FileError> {
    for _ in 0..10 {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(|e| fault(path, &e))?;
        lock(&file, path)?;
        if !is_same(&file, path) {
            continue;
        }
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; CHUNK];
        let mut offset = 0;
        loop {
            let read = file.read(&mut buffer).map_err(|e| fault(path, &e))?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
                return Ok((file, hasher, offset));
            };
            hasher.update(bytes);
            offset += bytes.len() as u64;
        }
    }
    Err(FileError::Busy("the upload".into()))
}

/// An upload under way. Dropped, it can be carried on later.
#[derive(Debug)]
pub struct Upload {
    part: Option<Part>,
    whole: PathBuf,
    folder: PathBuf,
    digest: Digest,
    limit: u64,
    offset: u64,
}

#[derive(Debug)]
struct Part {
    file: File,
    hasher: Sha256,
    offset: u64,
    path: PathBuf,
}

impl Upload {
    /// How many bytes are there: where the next one belongs.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Adds bytes; best 256 KiB or more at once. After a failure, and when it was not awaited to its end, the upload is to be
    /// begun again, which tells how much is there.
    pub async fn append(
        &mut self,
        bytes: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<(), FileError> {
        let mut part = self.take_part()?;
        let limit = self.limit;
        let part = blocking(move || {
            let bytes = bytes.as_ref();
            if part.offset.saturating_add(bytes.len() as u64) > limit {
                fs::remove_file(&part.path).map_err(|e| fault(&part.path, &e))?;
                return Err(FileError::TooLarge { limit });
            }
            let written = part.file.write_all(bytes);
            written.map_err(|e| fault(&part.path, &e))?;
            part.hasher.update(bytes);
            part.offset += bytes.len() as u64;
            Ok(part)
        })
        .await?;
        self.offset = part.offset;
        self.part = Some(part);
        Ok(())
    }

    fn take_part(&mut self) -> Result<Part, FileError> {
        let gone = || FileError::Io("the upload failed before: begin it again".into());
        self.part.take().ok_or_else(gone)
    }

    /// Ends the upload; gives its size. When it returns the blob is there, whole, and survives a power cut. What has another
    /// digest is thrown away.
    pub async fn finish(mut self) -> Result<u64, FileError> {
        let part = self.take_part()?;
        blocking(move || {
            let found: String = part
                .hasher
                .finalize()
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect();
            if found != self.digest.as_str() {
                fs::remove_file(&part.path).map_err(|e| fault(&part.path, &e))?;
                return Err(FileError::Mismatch {
                    wanted: self.digest.clone(),
                    found,
                });
            }
            if let Err(e) = part.file.sync_all() {
                // What the disk did not take stays readable, and a second sync would pass: it is to be sent again.
                let _ = fs::remove_file(&part.path);
                return Err(fault(&part.path, &e));
            }
            fs::create_dir_all(&self.folder).map_err(|e| fault(&self.folder, &e))?;
            if let Some(root) = self.folder.parent() {
                // Also where the folder is there: making its name durable may have failed before.
                sync_folder(root)?;
            }
            let was_there = self.whole.exists();
            fs::rename(&part.path, &self.whole).map_err(|e| fault(&self.whole, &e))?;
            sync_folder(&self.folder).inspect_err(|_| {
                // Nobody may find what a power cut could take away.
                if !was_there {
                    let _ = fs::remove_file(&self.whole);
                }
            })?;
            Ok(part.offset)
        })
        .await
    }
}
