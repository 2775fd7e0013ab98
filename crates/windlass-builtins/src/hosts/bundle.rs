//! Puts many small files of one directory on a host together: one look at what is there, one archive of what is not, one
//! verification of all that came; then each is renamed into place, as if it had been put alone.
//!
//! A host that has no tar, or nothing that checks lists of digests, gets them one by one.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::Read as _;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::io::AsyncWriteExt;
use windlass_engine::host::{HostError, HostErrorKind};
use windlass_model::step::{Put, PutSource, Reply};

use super::conversation::Context;
use super::item::Item;
use super::put::{self, DIGEST, Load, Now, There};
use super::script::{self, BundleScript};
use super::shell::Opened;
use super::work::{PutWork, Work};

/// The largest file that is put along with others, in bytes.
const SMALL: u64 = 256 * 1024;
/// All of them together.
const ALL: u64 = 4 * 1024 * 1024;
/// Their names together: they become arguments of programs there.
const NAMES: usize = 48 * 1024;
/// The longest name, which has its place in an archive's oldest format.
const NAME: usize = 90;

/// The files at the front of the queue that may be put together.
pub(crate) fn front<'a>(queue: impl IntoIterator<Item = &'a Item>) -> Vec<PutWork> {
    let mut found: Vec<PutWork> = Vec::new();
    let mut names = HashSet::new();
    let (mut batch, mut length) = (None, 0);
    for item in queue {
        let Work::Put(work) = &item.work else { break };
        let Some((directory, name)) = place(&work.put).filter(|_| !item.alone) else {
            break;
        };
        let is_alike = found.first().is_none_or(|first| {
            let (a, b) = (&first.put, &work.put);
            place(a).is_some_and(|(first, _)| first == directory)
                && (&a.user, a.mode, &a.owner) == (&b.user, b.mode, &b.owner)
        });
        length += name.len();
        if !is_alike
            || *batch.get_or_insert(item.batch) != item.batch
            || length > NAMES
            || !names.insert(name)
        {
            break;
        }
        found.push(work.clone());
    }
    found
}

/// Directory and name, if it is of the kind that is put along with others.
fn place(put: &Put) -> Option<(&str, &str)> {
    let (directory, name) = put.to.rsplit_once('/')?;
    let is_plain = put.replace
        && !directory.is_empty()
        && name.len() <= NAME
        && !name.starts_with('.')
        && !name.contains(|c: char| c.is_control() || c == '\\');
    is_plain.then_some((directory, name))
}

/// Digests their contents, up to the first that cannot be had, or is too large to go along.
pub(crate) async fn load(cx: &Context, works: &[PutWork]) -> Vec<Load> {
    let (mut loads, mut all) = (Vec::new(), 0);
    for work in works {
        let Ok(load) = put::load(cx, work).await else {
            break;
        };
        all += load.size;
        if load.size > SMALL || all > ALL {
            break;
        }
        loads.push(load);
    }
    loads
}

/// Puts them, in a shell that was opened for this alone. A reply each, or one that says why nothing was put; none where the
/// host cannot do it this way.
pub(crate) async fn send(
    cx: &Context,
    opened: Opened,
    works: Vec<PutWork>,
    loads: Vec<Load>,
    number: u64,
) -> Result<Option<Vec<Reply>>, HostError> {
    let host = cx.door.transport.host().clone();
    let lost = || {
        HostError::new(
            HostErrorKind::Lost,
            format!("{host}: the host does not answer"),
        )
    };
    let Some((first, (directory, _))) = works
        .first()
        .and_then(|work| Some((&work.put, place(&work.put)?)))
    else {
        return Ok(None);
    };
    let names: Vec<&str> = works
        .iter()
        .filter_map(|w| Some(place(&w.put)?.1))
        .collect();
    let files: Vec<(&str, &str)> = loads
        .iter()
        .map(|load| load.sha256.as_str())
        .zip(names.iter().copied())
        .collect();
    let text = script::bundle(
        &opened.nonce,
        &BundleScript {
            directory,
            files: &files,
            mode: first.mode,
            owner: first.owner.as_deref(),
        },
    );
    let mut there = There::new(opened);
    let group = |group| cx.groups.add(number, &first.user, group);
    there.write(text.as_bytes(), host.as_str()).await?;
    let now = tokio::time::timeout(DIGEST, there.until(&["alone", "ready"], &group));
    match now.await.map_err(|_| lost())? {
        Now::Word(word) if word == "alone" => return Ok(None),
        Now::Word(_) => {}
        Now::Ended(status) => return Ok(Some(vec![there.failed(status, host.as_str())?])),
    }
    let same = there.same();
    let mut replies = Vec::with_capacity(works.len());
    let mut left = Vec::new();
    for ((work, load), name) in works.iter().zip(&loads).zip(&names) {
        let sent = !same.contains(*name);
        if sent {
            left.push((work.clone(), load.sha256.clone(), (*name).to_owned()));
        }
        replies.push(Reply::Put {
            sent,
            bytes: load.size,
        });
    }
    let made = tokio::task::spawn_blocking(move || archive(&left)).await;
    let bytes = match made {
        Ok(Ok(bytes)) => bytes,
        // the host gets nothing of it, and leaves nothing
        Ok(Err(why)) => return Ok(Some(vec![Reply::Impossible(why)])),
        Err(panic) => return Ok(Some(vec![Reply::Impossible(panic.to_string())])),
    };
    there.write(&bytes, host.as_str()).await?;
    let _ = there.process.stdin.shutdown().await;
    let now = tokio::time::timeout(DIGEST, there.until(&["done"], &group));
    Ok(Some(match now.await.map_err(|_| lost())? {
        Now::Word(_) => replies,
        Now::Ended(status) => vec![there.failed(status, host.as_str())?],
    }))
}

/// What is sent: a line that says whether an archive follows, and it: the files below `f/`, and the list of their digests.
fn archive(files: &[(PutWork, String, String)]) -> Result<Vec<u8>, String> {
    if files.is_empty() {
        return Ok(b"same\n".to_vec());
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |t| t.as_secs());
    let mut builder = tar::Builder::new(b"put\n".to_vec());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o600);
        header.set_mtime(now);
        header.set_size(bytes.len() as u64);
        builder
            .append_data(&mut header, name, bytes)
            .map_err(|e| format!("{name}: {e}"))
    };
    let mut list = String::new();
    let mut bytes = Vec::new();
    for (work, sha256, name) in files {
        bytes.clear();
        match (&work.put.source, &work.bytes) {
            (PutSource::File { path, .. }, _) => {
                std::fs::File::open(path)
                    // what grows meanwhile is found out by its digest
                    .and_then(|file| file.take(ALL).read_to_end(&mut bytes))
                    .map_err(|e| format!("{}: {e}", path.display()))?;
                add(&format!("f/{name}"), &bytes)?;
            }
            (PutSource::Bytes(_), Some(bytes)) => {
                add(&format!("f/{name}"), bytes.expose().as_bytes())?
            }
            (PutSource::Bytes(_), None) => return Err("a secret in it was not resolved".into()),
        }
        let _ = writeln!(list, "{sha256}  {name}");
    }
    add("list", list.as_bytes())?;
    builder.into_inner().map_err(|e| e.to_string())
}
