//! The file that a release travels in: a zip of `index.json` and each target's resource as `TARGET/NAME`.
//!
//! Whoever made it may want harm: nothing is unpacked, nothing is whole in memory but the index, and what is read is bounded.
//! Reading blocks.

use std::io::{BufReader, Read, Seek, copy, sink};
use std::path::Path;
use std::sync::atomic::Ordering;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use windlass_model::release::{Index, Item, TargetName, index::FORMAT};
use zip::ZipArchive;

use crate::bounded::Bounded;

/// The name of the table of contents.
pub const INDEX: &str = "index.json";
/// Longest index, in bytes.
const LONGEST_INDEX: u64 = 4 << 20;
/// Bytes that are read to find out what is in a file.
const LONGEST_TABLE: u64 = 64 << 20;
/// How many times as large as the file its resources may be.
const LARGEST_RATIO: u64 = 100;
/// Bytes that they may be in any case.
const ALWAYS: u64 = 64 << 20;
/// Bytes read at once.
const CHUNK: usize = 256 << 10;

/// Why a file is no release: a few words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoRelease(String);

impl std::fmt::Display for NoRelease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoRelease {}

fn no(why: impl std::fmt::Display) -> NoRelease {
    NoRelease(why.to_string())
}

/// A file that is read.
pub struct ReleaseFile<R> {
    zip: ZipArchive<BufReader<Bounded<R>>>,
    index: Index,
}

impl<R: Read + Seek> ReleaseFile<R> {
    /// Reads a file of `length` bytes through: every resource is what the index says, and there is nothing else.
    ///
    /// # Errors
    ///
    /// What is wrong with it; also a file that cannot be read.
    pub fn read(reader: R, length: u64) -> Result<Self, NoRelease> {
        let mut file = Self::open(reader)?;
        is_likely(&file.index, length)?;
        let mut names: Vec<String> = vec![INDEX.into()];
        let targets = file.index.targets.clone();
        for (target, item) in &targets {
            file.verify(target, item)?;
            names.push(name_of(target, item)?);
        }
        for stray in file.zip.file_names() {
            let stray = stray.map_err(no)?;
            if !stray.ends_with('/') && !names.iter().any(|name| *name == stray) {
                return Err(no(format!("index.json does not name {stray:?}")));
            }
        }
        Ok(file)
    }

    /// Opens one that was read before: of its resources nothing is verified.
    ///
    /// # Errors
    ///
    /// As of [`ReleaseFile::read`].
    pub fn open(reader: R) -> Result<Self, NoRelease> {
        let reader = Bounded::new(reader, LONGEST_TABLE);
        let left = reader.left();
        let mut zip = ZipArchive::new(BufReader::new(reader)).map_err(no)?;
        // from here on it is bounded by what the index says
        left.store(u64::MAX, Ordering::Relaxed);
        let index = index(&mut zip)?;
        Ok(Self { zip, index })
    }

    /// Its table of contents.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// A resource from an offset on, no longer than the index says.
    ///
    /// # Errors
    ///
    /// There is none of that name, or it cannot be read.
    pub fn resource(
        &mut self,
        target: &TargetName,
        item: &Item,
        offset: u64,
    ) -> Result<impl Read + use<'_, R>, NoRelease> {
        let name = name_of(target, item)?;
        let entry = self.zip.by_name(&name).map_err(no)?;
        let mut entry = entry.take(item.size);
        copy(&mut entry.by_ref().take(offset), &mut sink()).map_err(no)?;
        Ok(entry)
    }

    fn verify(&mut self, target: &TargetName, item: &Item) -> Result<(), NoRelease> {
        let name = name_of(target, item)?;
        let entry = self.zip.by_name(&name);
        let entry = entry.map_err(|_| no(format!("there is no {name:?} in it")))?;
        let mut entry = entry.take(item.size.saturating_add(1));
        let mut sum = Sum::default();
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = entry.read(&mut chunk);
            let count = count.map_err(|e| no(format!("{name}: {e}")))?;
            match chunk.get(..count) {
                None | Some([]) => return sum.check(&name, item),
                Some(part) => sum.add(part),
            }
        }
    }
}

/// Resources that are far larger than the file are no release but a way to fill disks.
fn is_likely(index: &Index, length: u64) -> Result<(), NoRelease> {
    let most = length.saturating_mul(LARGEST_RATIO).max(ALWAYS);
    let sizes = index.targets.values().map(|item| item.size);
    let total = sizes.fold(0u64, u64::saturating_add);
    match total <= most {
        true => Ok(()),
        false => Err(no(format!(
            "its resources would be {total} bytes, more than {LARGEST_RATIO} times the size of the file; \
             archive it without compression if that is right"
        ))),
    }
}

fn index<R: Read + Seek>(zip: &mut ZipArchive<R>) -> Result<Index, NoRelease> {
    let entry = zip.by_name(INDEX);
    let entry = entry.map_err(|_| no("there is no index.json in it"))?;
    let mut text = Vec::new();
    let read = entry.take(LONGEST_INDEX + 1).read_to_end(&mut text);
    read.map_err(|e| no(format!("index.json: {e}")))?;
    if text.len() as u64 > LONGEST_INDEX {
        return Err(no("its index.json is larger than 4 MiB"));
    }
    let index: Index = serde_json::from_slice(&text).map_err(|e| no(format!("index.json: {e}")))?;
    match index.format {
        FORMAT => Ok(index),
        other => Err(no(format!(
            "index.json is of format {other}, and {FORMAT} is known"
        ))),
    }
}

/// The name of a resource in the file.
///
/// # Errors
///
/// The item's name is no name of a file.
pub fn name_of(target: &TargetName, item: &Item) -> Result<String, NoRelease> {
    let name = Path::new(&item.name);
    match name.file_name().is_some_and(|file| Path::new(file) == name) {
        true => Ok(format!("{target}/{}", item.name)),
        false => Err(no(format!("{:?} is no name of a file", item.name))),
    }
}

/// What bytes come to.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    sha256: Sha256,
    size: u64,
}

impl Sum {
    /// The next bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.size += bytes.len() as u64;
    }

    /// Whether they were all of the resource `name`.
    ///
    /// # Errors
    ///
    /// Another length or digest than the index says.
    pub fn check(self, name: &str, item: &Item) -> Result<(), NoRelease> {
        if self.size != item.size {
            return Err(no(format!(
                "{name} is not as long as index.json says: {} bytes",
                item.size
            )));
        }
        match HEXLOWER.encode(&self.sha256.finalize()) == item.digest.as_str() {
            true => Ok(()),
            false => Err(no(format!(
                "{name} has another digest than index.json says"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use serde_json::json;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    /// A release of one resource, which may be said to be longer than it is, and a file more.
    fn release(body: &[u8], size: u64, more: Option<&str>) -> Cursor<Vec<u8>> {
        let digest = HEXLOWER.encode(&Sha256::digest(body));
        let item = json!({"name": "x.zip", "digest": digest, "size": size});
        let index = json!({"format": 1, "project": "shop", "version": "1", "revision": null, "targets": {"web": item}});
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default();
        let files = [
            (INDEX, index.to_string().into_bytes()),
            ("web/x.zip", body.to_vec()),
        ];
        let more = more.map(|name| (name, Vec::new()));
        for (name, bytes) in files.into_iter().chain(more) {
            zip.start_file(name, options).unwrap();
            zip.write_all(&bytes).unwrap();
        }
        let mut file = zip.finish().unwrap();
        file.set_position(0);
        file
    }

    fn read(file: Cursor<Vec<u8>>) -> Result<ReleaseFile<Cursor<Vec<u8>>>, String> {
        let length = file.get_ref().len() as u64;
        ReleaseFile::read(file, length).map_err(|e| e.to_string())
    }

    #[test]
    fn a_resource_is_read_from_anywhere() {
        let mut file = read(release(b"0123456789", 10, None)).unwrap();
        let index = file.index().clone();
        let (target, item) = index.targets.first_key_value().unwrap();
        for (offset, wanted) in [(0, "0123456789"), (7, "789"), (10, ""), (99, "")] {
            let mut text = String::new();
            let mut resource = file.resource(target, item, offset).unwrap();
            resource.read_to_string(&mut text).unwrap();
            assert_eq!(text, wanted);
        }
    }

    #[test]
    fn what_is_no_release_is_told() {
        for (file, why) in [
            (release(b"x", 2, None), "not as long"),
            (release(b"xx", 1, None), "not as long"),
            (release(b"x", 1, Some("web/y")), "does not name"),
            (release(b"x", 1 << 30, None), "100 times"),
            (release(b"x", u64::MAX, None), "100 times"),
            (Cursor::new(b"PK".to_vec()), ""),
        ] {
            let said = read(file).err().unwrap();
            assert!(said.contains(why), "{said}");
        }
    }
}
