//! A directory of its own for each job, gone when the job is.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where the directories of jobs lie in the work directory of an agent. Nothing else may lie there.
const FOLDER: &str = "jobs";
/// Folders of the work directory in which nothing is of any use once its job has ended: directories of jobs, what was fetched for
/// them, their logs on the way to the manager.
const SWEPT: [&str; 3] = [FOLDER, "resources", "logs"];

/// A directory that is removed, with all that is in it, when this is dropped. Only its owner may look into it.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes `<work>/jobs/<name>`, fresh: what lies there from before is removed.
    pub fn new(work: &Path, name: &str) -> io::Result<Self> {
        let folder = std::path::absolute(work)?.join(FOLDER);
        fs::create_dir_all(&folder)?;
        let path = folder.join(name);
        remove(&path)?;
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// Its path, absolute.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is swept when the agent starts again.
        let _ = remove(&self.0);
    }
}

/// Removes what jobs left in an agent's work directory; to be called when it starts, before its first job. Gives what could not be removed,
/// and why.
pub fn sweep(work: &Path) -> Vec<(PathBuf, io::Error)> {
    SWEPT
        .iter()
        .flat_map(|folder| empty(work.join(folder)))
        .collect()
}

fn empty(folder: PathBuf) -> Vec<(PathBuf, io::Error)> {
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(e) => return vec![(folder, e)],
    };
    entries
        .flatten()
        .filter_map(|entry| Some((entry.path(), remove(&entry.path()).err()?)))
        .collect()
}

/// Removes a tree; a directory that its owner may not write is made writable first. Links are not followed.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let is_directory = match fs::symlink_metadata(path) {
        Ok(meta) => meta.is_dir(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    if !is_directory {
        return fs::remove_file(path);
    }
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path);
            fs::remove_dir_all(path)
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn open_up(path: &Path) {
    let mut waiting = vec![path.to_owned()];
    while let Some(directory) = waiting.pop() {
        let _ = fs::set_permissions(&directory, fs::Permissions::from_mode(0o700));
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                waiting.push(entry.path());
            }
        }
    }
}

/// Bytes of all files in a tree, by their lengths. Links are not followed; what cannot be looked at counts nothing.
pub(crate) fn size(path: &Path) -> u64 {
    let mut total = 0u64;
    let mut waiting = vec![path.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => waiting.push(entry.path()),
                Ok(kind) if kind.is_file() => {
                    total = total.saturating_add(entry.metadata().map_or(0, |m| m.len()));
                }
                _ => {}
            }
        }
    }
    total
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn a_job_leaves_nothing_and_what_a_crash_left_is_swept() {
        let work = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(work.path(), "a-1").unwrap();
        let path = scratch.path().to_owned();
        let locked = path.join("cache");
        fs::create_dir(&locked).unwrap();
        fs::write(locked.join("file"), "12345").unwrap();
        assert_eq!(size(&path), 5);
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o500)).unwrap();
        drop(scratch);
        assert!(!path.exists());

        let crashed = Scratch::new(work.path(), "b-1").unwrap();
        fs::write(crashed.path().join("file"), "x").unwrap();
        let left = crashed.path().to_owned();
        std::mem::forget(crashed);
        let fetched = work.path().join("resources/b");
        fs::create_dir_all(&fetched).unwrap();
        fs::create_dir(work.path().join("state")).unwrap();
        assert!(sweep(work.path()).is_empty());
        assert!(!left.exists() && !fetched.exists());
        assert!(work.path().join("state").exists());
        assert!(sweep(&work.path().join("absent")).is_empty());
    }
}
