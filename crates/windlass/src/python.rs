//! The Python package that the binary carries, for plugins written in Python.

use std::io;
use std::path::{Path, PathBuf};

use include_dir::{Dir, DirEntry, include_dir};

static PACKAGE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../python");

/// Unpacks the package below `cache` unless it is there, and gives its path. The directory's name holds a digest of the
/// contents, so versions do not mix; it appears whole, by rename.
pub(crate) fn unpack(cache: &Path) -> io::Result<PathBuf> {
    let target = cache.join(format!("python-{}", digest()));
    if target.is_dir() {
        return Ok(target);
    }
    std::fs::create_dir_all(cache)?;
    let new = cache.join(format!(".python-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&new);
    write(&PACKAGE, &new)?;
    match std::fs::rename(&new, &target) {
        Err(_) if target.is_dir() => std::fs::remove_dir_all(&new)?,
        done => done?,
    }
    Ok(target)
}

fn is_carried(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "py") && !path.starts_with("tests")
}

fn write(dir: &Dir<'_>, root: &Path) -> io::Result<()> {
    for entry in dir.entries() {
        match entry {
            DirEntry::Dir(inner) => write(inner, root)?,
            DirEntry::File(file) if is_carried(file.path()) => {
                let path = root.join(file.path());
                if let Some(parent) = path.parent() {
                    std::fs::create_dir_all(parent)?;
                }
                std::fs::write(path, file.contents())?;
            }
            DirEntry::File(_) => {}
        }
    }
    Ok(())
}

fn digest() -> String {
    fn feed(dir: &Dir<'_>, hash: &mut u64) {
        for entry in dir.entries() {
            match entry {
                DirEntry::Dir(inner) => feed(inner, hash),
                DirEntry::File(file) if is_carried(file.path()) => {
                    // FNV-1a: told apart are versions of ours, nobody is kept out by it.
                    for byte in file
                        .path()
                        .to_string_lossy()
                        .bytes()
                        .chain(file.contents().iter().copied())
                    {
                        *hash = (*hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
                    }
                }
                DirEntry::File(_) => {}
            }
        }
    }
    let mut hash = 0xcbf2_9ce4_8422_2325;
    feed(&PACKAGE, &mut hash);
    format!("{hash:016x}")
}
