//! The files that a build left, one for each target, and what the index says of them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use windlass_model::release::work::resource_name;
use windlass_model::release::{Digest, Item, TargetName};

use super::{Failure, FailureKind};

/// Bytes read at once.
const BLOCK: usize = 256 * 1024;

/// Target -> what the index says of its resource, and where it lies.
pub(super) type Found = BTreeMap<TargetName, (Item, PathBuf)>;

/// Looks for each target's resource in `<directory>/<target>/`; all that is wrong at once.
pub(super) fn find(directory: &Path, targets: &[TargetName]) -> Result<Found, Failure> {
    let mut found = Found::new();
    let mut wrong = Vec::new();
    for target in targets {
        let resource = only_file(&directory.join(target.as_str())).and_then(|(name, path)| {
            let (digest, size) = digest(&path).map_err(|e| format!("cannot be read: {e}"))?;
            Ok((Item { name, digest, size }, path))
        });
        match resource {
            Ok(resource) => {
                found.insert(target.clone(), resource);
            }
            Err(why) => wrong.push(format!("target `{target}`: {why}")),
        }
    }
    match wrong.is_empty() {
        true => Ok(found),
        false => Err(Failure::new(FailureKind::Failed, wrong.join("; "))),
    }
}

fn only_file(directory: &Path) -> Result<(String, PathBuf), String> {
    const NONE: &str = "the build made no file for it";
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(NONE.into()),
        Err(e) => return Err(e.to_string()),
    };
    let mut all = entries
        .collect::<io::Result<Vec<_>>>()
        .map_err(|e| e.to_string())?;
    let Some(entry) = all.pop() else {
        return Err(NONE.into());
    };
    if !all.is_empty() {
        return Err(format!(
            "the build made {} files for it: a resource is one file",
            all.len() + 1
        ));
    }
    let kind = entry.file_type().map_err(|e| e.to_string())?;
    let name = entry.file_name().to_string_lossy().into_owned();
    if !kind.is_file() {
        return Err(format!("{name:?} is no file"));
    }
    resource_name(&name)?;
    Ok((name, entry.path()))
}

/// The SHA-256 of a file and its size, a block at a time.
fn digest(path: &Path) -> io::Result<(Digest, u64)> {
    let mut file = File::open(path)?;
    let (mut hash, mut size) = (Sha256::new(), 0u64);
    let mut block = vec![0; BLOCK];
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            break;
        }
        hash.update(block.get(..read).unwrap_or_default());
        size += read as u64;
    }
    let digits: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    let digest = digits.parse().map_err(io::Error::other)?;
    Ok((digest, size))
}
