//! The file that a release travels in: a zip of `index.json` and each target's resource as `TARGET/NAME`.
//!
//! Reading and writing block: nothing else goes on in the process. Nothing is whole in memory.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use windlass_model::diagnostic::Diagnostic;
use windlass_model::release::{Index, Item, ReleaseId, TargetName, index::FORMAT};
use windlass_wire::connection::Chunks;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::ending::Ending;

/// The name of the table of contents.
const INDEX: &str = "index.json";
/// Longest table of contents, in bytes.
const LONGEST_INDEX: u64 = 4 << 20;
/// Bytes read at once.
const CHUNK: usize = 256 << 10;
/// Chunks that wait to be sent.
const WAITING: usize = 4;

type Zip = ZipArchive<BufReader<File>>;

/// An archive whose every byte is what its index says.
pub(crate) struct Archive {
    path: PathBuf,
    /// Its table of contents.
    pub(crate) index: Index,
}

impl Archive {
    /// Reads it through and verifies it. What is wrong is an error of the input.
    pub(crate) fn open(path: &Path) -> Result<Self, Ending> {
        let wrong = |why: String| {
            let message = format!(
                "{} is no release that can be imported: {why}",
                path.display()
            );
            let hint = "an archive holds index.json and each resource as TARGET/NAME, as `windlass release export` writes it";
            Ending::input(message, hint)
        };
        let mut zip = open(path).map_err(wrong)?;
        let index = index(&mut zip).map_err(wrong)?;
        let mut names: Vec<String> = vec![INDEX.into()];
        for (target, item) in &index.targets {
            let name = name_of(target, item).map_err(wrong)?;
            verify(&mut zip, &name, item).map_err(wrong)?;
            names.push(name);
        }
        for stray in zip.file_names() {
            let stray = stray.map_err(|e| wrong(e.to_string()))?;
            if !stray.ends_with('/') && !names.iter().any(|name| *name == stray) {
                return Err(wrong(format!("index.json does not name {stray:?}")));
            }
        }
        let path = path.to_owned();
        Ok(Self { path, index })
    }

    /// A resource from an offset on, read by a thread of its own as it is taken.
    pub(crate) fn chunks(&self, target: &TargetName, item: &Item, offset: u64) -> Chunks {
        let (send, chunks) = mpsc::channel(WAITING);
        let (path, target, item) = (self.path.clone(), target.clone(), item.clone());
        tokio::task::spawn_blocking(move || {
            let read = || -> Result<(), String> {
                let mut zip = open(&path)?;
                let name = name_of(&target, &item)?;
                let entry = zip.by_name(&name).map_err(|e| e.to_string())?;
                let mut entry = entry.take(item.size);
                let skipped = std::io::copy(&mut entry.by_ref().take(offset), &mut std::io::sink());
                skipped.map_err(|e| e.to_string())?;
                loop {
                    let mut chunk = Vec::with_capacity(CHUNK);
                    let part = entry.by_ref().take(CHUNK as u64).read_to_end(&mut chunk);
                    let is_end = part.map_err(|e| e.to_string())? == 0;
                    if is_end || send.blocking_send(Ok(Bytes::from(chunk))).is_err() {
                        return Ok(());
                    }
                }
            };
            if let Err(why) = read() {
                let _ = send.blocking_send(Err(std::io::Error::other(why)));
            }
        });
        chunks
    }
}

fn open(path: &Path) -> Result<Zip, String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    ZipArchive::new(BufReader::new(file)).map_err(|e| e.to_string())
}

fn index(zip: &mut Zip) -> Result<Index, String> {
    let entry = zip
        .by_name(INDEX)
        .map_err(|_| "there is no index.json in it")?;
    let mut text = Vec::new();
    let read = entry.take(LONGEST_INDEX + 1).read_to_end(&mut text);
    read.map_err(|e| format!("index.json: {e}"))?;
    if text.len() as u64 > LONGEST_INDEX {
        return Err("its index.json is larger than 4 MiB".into());
    }
    let index: Index = serde_json::from_slice(&text).map_err(|e| format!("index.json: {e}"))?;
    match index.format {
        FORMAT => Ok(index),
        other => Err(format!(
            "index.json is of format {other}, and {FORMAT} is known"
        )),
    }
}

/// The name of a resource in the archive.
fn name_of(target: &TargetName, item: &Item) -> Result<String, String> {
    let name = Path::new(&item.name);
    match name.file_name().is_some_and(|file| Path::new(file) == name) {
        true => Ok(format!("{target}/{}", item.name)),
        false => Err(format!("{:?} is no name of a file", item.name)),
    }
}

fn verify(zip: &mut Zip, name: &str, item: &Item) -> Result<(), String> {
    let entry = zip
        .by_name(name)
        .map_err(|_| format!("there is no {name:?} in it"))?;
    let mut entry = entry.take(item.size.saturating_add(1));
    let mut sum = Sum::default();
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = entry.read(&mut chunk).map_err(|e| format!("{name}: {e}"))?;
        match chunk.get(..count) {
            None | Some([]) => return sum.check(name, item),
            Some(part) => sum.add(part),
        }
    }
}

/// What bytes come to.
#[derive(Default)]
struct Sum {
    sha256: Sha256,
    size: u64,
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.size += bytes.len() as u64;
    }

    fn check(self, name: &str, item: &Item) -> Result<(), String> {
        if self.size != item.size {
            return Err(format!(
                "{name} is not as long as index.json says: {} bytes",
                item.size
            ));
        }
        match HEXLOWER.encode(&self.sha256.finalize()) == item.digest.as_str() {
            true => Ok(()),
            false => Err(format!("{name} has another digest than index.json says")),
        }
    }
}

/// An archive that is written beside its place, and moved there when it is whole.
pub(crate) struct NewArchive {
    zip: Option<ZipWriter<BufWriter<File>>>,
    part: PathBuf,
    path: PathBuf,
    release: ReleaseId,
}

impl NewArchive {
    /// Begins it.
    pub(crate) fn create(path: &Path, index: &Index) -> Result<Self, Ending> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let part = path.with_file_name(name);
        let shown = part.display();
        let file = File::create_new(&part).map_err(|e| {
            let message = format!("{shown} cannot be written: {e}");
            Diagnostic::error(message).hint("name a file in a folder that you may write to")
        })?;
        let mut new = Self {
            zip: Some(ZipWriter::new(BufWriter::new(file))),
            part,
            path: path.to_owned(),
            release: index.release(),
        };
        let mut text = serde_json::to_vec_pretty(index).map_err(|e| Ending::own("JSON", e))?;
        text.push(b'\n');
        new.begin(INDEX, text.len() as u64)?;
        new.write(&text)?;
        Ok(new)
    }

    fn zip(&mut self) -> Result<&mut ZipWriter<BufWriter<File>>, Ending> {
        let ended = || Ending::Own("the archive has ended already".into());
        self.zip.as_mut().ok_or_else(ended)
    }

    fn begin(&mut self, name: &str, size: u64) -> Result<(), Ending> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(size >= u64::from(u32::MAX))
            .unix_permissions(0o644);
        let part = self.part.display().to_string();
        let begun = self.zip()?.start_file(name, options);
        begun.map_err(|e| Ending::own(part, e))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Ending> {
        let part = self.part.display().to_string();
        let written = self.zip()?.write_all(bytes);
        written.map_err(|e| Ending::own(part, e))
    }

    /// The next resource; its bytes follow by [`Resource::write`].
    pub(crate) fn resource<'a>(
        &'a mut self,
        target: &TargetName,
        item: &'a Item,
    ) -> Result<Resource<'a>, Ending> {
        let release = self.release.to_string();
        let name = name_of(target, item).map_err(|e| Ending::own(release, e))?;
        self.begin(&name, item.size)?;
        let sum = Sum::default();
        Ok(Resource {
            archive: self,
            item,
            name,
            sum,
        })
    }

    /// Makes it durable and moves it to its place.
    pub(crate) fn finish(mut self) -> Result<(), Ending> {
        let part = self.part.clone();
        let wrong = |e: &dyn std::fmt::Display| Ending::own(part.display(), e);
        let Some(zip) = self.zip.take() else {
            return Ok(());
        };
        let file = zip.finish().map_err(|e| wrong(&e))?;
        let file = file.into_inner().map_err(|e| wrong(&e))?;
        file.sync_all().map_err(|e| wrong(&e))?;
        std::fs::rename(&self.part, &self.path).map_err(|e| wrong(&e))
    }
}

impl Drop for NewArchive {
    /// Half an archive is of no use. After the move there is none.
    fn drop(&mut self) {
        drop(self.zip.take());
        let _ = std::fs::remove_file(&self.part);
    }
}

/// A resource that is being written.
pub(crate) struct Resource<'a> {
    archive: &'a mut NewArchive,
    item: &'a Item,
    name: String,
    sum: Sum,
}

impl Resource<'_> {
    /// Its next bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Ending> {
        self.sum.add(bytes);
        self.archive.write(bytes)
    }

    /// All of it is written: verifies it.
    pub(crate) fn finish(self) -> Result<(), Ending> {
        let checked = self.sum.check(&self.name, self.item);
        checked.map_err(|why| Ending::Own(format!("what the manager sent is damaged: {why}")))
    }
}
