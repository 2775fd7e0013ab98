//! The file that a release travels in ([`windlass_wire::release_file`]), on this disk.
//!
//! Reading and writing block: nothing else goes on in the process. Nothing is whole in memory.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::sync::mpsc;
use windlass_model::diagnostic::Diagnostic;
use windlass_model::release::{Index, Item, ReleaseId, TargetName};
use windlass_wire::connection::Chunks;
use windlass_wire::release_file::{INDEX, ReleaseFile, Sum, name_of};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::ending::Ending;

/// Bytes read at once.
const CHUNK: usize = 256 << 10;
/// Chunks that wait to be sent.
const WAITING: usize = 4;

/// An archive whose every byte is what its index says.
pub(crate) struct Archive {
    path: PathBuf,
    /// Its table of contents.
    pub(crate) index: Index,
}

impl Archive {
    /// Reads it through and verifies it. What is wrong is an error of the input.
    pub(crate) fn open(path: &Path) -> Result<Self, Ending> {
        let read = || -> Result<Index, String> {
            let file = File::open(path).map_err(|e| e.to_string())?;
            let length = file.metadata().map_err(|e| e.to_string())?.len();
            let read = ReleaseFile::read(file, length).map_err(|e| e.to_string())?;
            Ok(read.index().clone())
        };
        let index = read().map_err(|why| {
            let message = format!(
                "{} is no release that can be imported: {why}",
                path.display()
            );
            let hint = "an archive holds index.json and each resource as TARGET/NAME, as `windlass release export` writes it";
            Ending::input(message, hint)
        })?;
        let path = path.to_owned();
        Ok(Self { path, index })
    }

    /// A resource from an offset on, read by a thread of its own as it is taken.
    pub(crate) fn chunks(&self, target: &TargetName, item: &Item, offset: u64) -> Chunks {
        let (send, chunks) = mpsc::channel(WAITING);
        let (path, target, item) = (self.path.clone(), target.clone(), item.clone());
        tokio::task::spawn_blocking(move || {
            let read = || -> Result<(), String> {
                let file = File::open(&path).map_err(|e| e.to_string())?;
                let mut release = ReleaseFile::open(file).map_err(|e| e.to_string())?;
                let resource = release.resource(&target, &item, offset);
                let mut resource = resource.map_err(|e| e.to_string())?;
                loop {
                    let mut chunk = Vec::with_capacity(CHUNK);
                    let mut part = resource.by_ref().take(CHUNK as u64);
                    let is_end = part.read_to_end(&mut chunk).map_err(|e| e.to_string())? == 0;
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
