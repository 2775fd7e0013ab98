//! A directory that is compared before and after: every name in it, and what it is.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Files that are longer are told by their length.
const LONGEST: u64 = 16 << 20;

/// What lies in a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing(BTreeMap<PathBuf, Thing>);

/// One thing that lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// Its kind and permissions.
    pub mode: u32,
    /// A file's bytes, a link's target.
    pub contents: Vec<u8>,
    /// Names that it has.
    pub links: u64,
    /// When it was changed, in seconds and nanoseconds; of a file only.
    pub changed: (i64, i64),
}

impl Listing {
    /// Of all below `root`, but for paths (from there) below `without`. Links are not followed.
    ///
    /// # Errors
    ///
    /// What cannot be read.
    pub fn of(root: &Path, without: &[&str]) -> io::Result<Self> {
        let mut all = BTreeMap::new();
        walk(root, Path::new(""), without, &mut all)?;
        Ok(Self(all))
    }

    /// Its paths and things.
    pub fn things(&self) -> impl Iterator<Item = (&Path, &Thing)> {
        self.0.iter().map(|(path, thing)| (path.as_path(), thing))
    }

    /// What differs in another, a line each; empty when they are the same.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut all = Vec::new();
        for (path, thing) in &self.0 {
            match other.0.get(path) {
                None => all.push(format!("- {path:?}")),
                Some(after) if after != thing => {
                    all.push(format!("~ {path:?}: {} -> {}", thing.told(), after.told()));
                }
                Some(_) => {}
            }
        }
        let new = other
            .0
            .iter()
            .filter(|(path, _)| !self.0.contains_key(*path));
        all.extend(new.map(|(path, thing)| format!("+ {path:?}: {}", thing.told())));
        all
    }

    /// Without what installing may change: times, and permissions but the owner's.
    pub fn plain(mut self) -> Self {
        for thing in self.0.values_mut() {
            let kind = thing.mode & 0o170_000;
            let of_owner = match kind {
                // Whoever unpacks may go into what it unpacked.
                0o040_000 | 0o120_000 => 0,
                _ => thing.mode & 0o700,
            };
            thing.mode = kind | of_owner;
            thing.changed = (0, 0);
            if kind == 0o040_000 {
                thing.links = 0;
            }
        }
        self
    }
}

impl Thing {
    fn of(path: &Path, found: &Metadata) -> io::Result<Self> {
        let kind = found.file_type();
        let contents = match () {
            () if kind.is_symlink() => fs::read_link(path)?.as_os_str().as_bytes().to_vec(),
            () if kind.is_file() && found.len() > LONGEST => {
                format!("{} bytes", found.len()).into_bytes()
            }
            () if kind.is_file() => fs::read(path).unwrap_or_else(|e| e.to_string().into_bytes()),
            () => Vec::new(),
        };
        Ok(Self {
            mode: found.mode(),
            contents,
            links: if kind.is_dir() { 0 } else { found.nlink() },
            changed: if kind.is_file() {
                (found.ctime(), found.ctime_nsec())
            } else {
                (0, 0)
            },
        })
    }

    fn told(&self) -> String {
        let shown: String = String::from_utf8_lossy(&self.contents)
            .chars()
            .take(40)
            .collect();
        format!(
            "mode {:o}, {} names, {} bytes {shown:?}, changed {:?}",
            self.mode,
            self.links,
            self.contents.len(),
            self.changed
        )
    }
}

fn walk(
    root: &Path,
    below: &Path,
    without: &[&str],
    all: &mut BTreeMap<PathBuf, Thing>,
) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let path = below.join(entry?.file_name());
        if without.iter().any(|w| path == Path::new(w)) {
            continue;
        }
        let whole = root.join(&path);
        let found = fs::symlink_metadata(&whole)?;
        all.insert(path.clone(), Thing::of(&whole, &found)?);
        if found.is_dir() {
            walk(root, &path, without, all)?;
        }
    }
    Ok(())
}
