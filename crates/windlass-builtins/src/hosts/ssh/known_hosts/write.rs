//! Changes to known_hosts files: durable, whole or not at all, one Windlass at a time.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use russh::keys::PublicKey;

use super::bare_name;
use super::line::{self, Line, Names};
use crate::hosts::ssh::config::pattern::any_matches;

/// How long to wait for another Windlass that is writing.
const LOCK_LIMIT: Duration = Duration::from_secs(10);

/// The line, without its end, that makes `key` known as that of `host` on `port`. A host that is not a name (blanks,
/// wildcards) gives a line that [`append`] and [`replace`] refuse.
pub fn line_for(host: &str, port: u16, key: &PublicKey) -> String {
    let bytes = key.to_bytes().unwrap_or_default();
    let name = line::name(host, port);
    format!(
        "{name} {} {}",
        bare_name(&key.algorithm()),
        BASE64.encode(&bytes)
    )
}

/// Adds `lines` to `file` and returns how many were new: those that are there already are not written twice. Creates
/// the file (mode 0600) and its folder (0700). On an error the file is as it was. Blocks: for the disk, and up to 10 s
/// for another Windlass.
pub fn append(file: &Path, lines: &[String]) -> io::Result<usize> {
    check(lines)?;
    let _lock = lock(file)?;
    let mut open = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(file)?;
    let mut bytes = Vec::new();
    open.read_to_end(&mut bytes)?;
    let old = String::from_utf8_lossy(&bytes);
    let mut fresh: Vec<&str> = Vec::new();
    for line in lines.iter().map(|l| l.trim()) {
        let there = old
            .lines()
            .chain(fresh.iter().copied())
            .any(|o| same(o, line));
        if !there {
            fresh.push(line);
        }
    }
    if fresh.is_empty() {
        return Ok(0);
    }
    let mut text = String::new();
    if !bytes.is_empty() && !bytes.ends_with(b"\n") {
        text.push('\n');
    }
    fresh.iter().for_each(|line| {
        text.push_str(line);
        text.push('\n');
    });
    // In place, not by rename: OpenSSH appends too, without a lock, and its line must not be lost.
    let end = open.seek(io::SeekFrom::End(0))?;
    if let Err(e) = open
        .write_all(text.as_bytes())
        .and_then(|()| open.sync_all())
    {
        let _ = open.set_len(end);
        return Err(e);
    }
    sync_folder(file)?;
    Ok(fresh.len())
}

/// Approves a changed key: takes `host` on `port` out of every line of `file` that has no mark, and adds `lines`. Of a
/// list of names only this one goes; a wildcard keeps the others and gets an exclusion. Returns how many lines were
/// changed or removed. The file is replaced by rename: on an error it is as it was.
pub fn replace(file: &Path, host: &str, port: u16, lines: &[String]) -> io::Result<usize> {
    check(lines)?;
    let _lock = lock(file)?;
    let target = match fs::canonicalize(file) {
        Ok(target) => target,
        Err(e) if e.kind() == io::ErrorKind::NotFound => file.to_owned(),
        Err(e) => return Err(e),
    };
    let (bytes, mode) = match fs::metadata(&target) {
        Ok(meta) => (fs::read(&target)?, meta.permissions().mode() & 0o777),
        Err(e) if e.kind() == io::ErrorKind::NotFound => (Vec::new(), 0o600),
        Err(e) => return Err(e),
    };
    let name = line::name(host, port);
    let (mut out, mut changed) = (Vec::with_capacity(bytes.len()), 0);
    for old in bytes.split_inclusive(|b| *b == b'\n') {
        // A line that is not UTF-8 can only be one in its comment: it is matched all the same, and kept as it is.
        let text = String::from_utf8_lossy(old);
        match without(text.trim_end_matches('\n'), &name) {
            None => out.extend_from_slice(old),
            Some(rest) => {
                changed += 1;
                if let Some(rest) = rest {
                    out.extend_from_slice(rest.as_bytes());
                    out.push(b'\n');
                }
            }
        }
    }
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.push(b'\n');
    }
    for line in lines {
        out.extend_from_slice(line.trim().as_bytes());
        out.push(b'\n');
    }
    let mut temporary = target.clone().into_os_string();
    temporary.push(format!(".windlass-{}", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let written = write_new(&temporary, &out, mode).and_then(|()| fs::rename(&temporary, &target));
    if let Err(e) = written {
        let _ = fs::remove_file(&temporary);
        return Err(e);
    }
    sync_folder(&target)?;
    Ok(changed)
}

/// `None`: the line is not about `name`. `Some(None)`: nothing is left of it without `name`.
fn without(text: &str, name: &str) -> Option<Option<String>> {
    let line = Line::parse(text)
        .ok()
        .flatten()
        .filter(|l| l.mark.is_none())?;
    let rest = match &line.names {
        Names::Hashed(hashed) => return hashed.is(name).then_some(None),
        Names::Plain(list) => {
            list.iter().any(|n| n == name).then_some(())?;
            let kept = line
                .field
                .split(',')
                .filter(|n| !n.eq_ignore_ascii_case(name));
            kept.collect::<Vec<_>>().join(",")
        }
        Names::Patterns(list) => {
            any_matches(name, list.iter().map(String::as_str)).then_some(())?;
            let kept = line
                .field
                .split(',')
                .filter(|n| !n.eq_ignore_ascii_case(name));
            format!("{},!{name}", kept.collect::<Vec<_>>().join(","))
        }
    };
    if rest.is_empty() {
        return Some(None);
    }
    Some(Some(text.replacen(line.field, &rest, 1)))
}

fn same(old: &str, new: &str) -> bool {
    let parts = |text| {
        let line = Line::parse(text).ok().flatten()?;
        Some((line.mark, line.field, line.algorithm, line.key))
    };
    old.trim() == new || parts(new).is_some_and(|new| parts(old) == Some(new))
}

fn check(lines: &[String]) -> io::Result<()> {
    for text in lines {
        if text.trim().contains(['\n', '\r']) {
            return Err(invalid(format!("more than one line: {text:?}")));
        }
        match Line::parse(text) {
            Ok(Some(line)) if line.mark.is_none() && matches!(line.names, Names::Patterns(_)) => {
                return Err(invalid(format!("a key for more than one host: {text:?}")));
            }
            Ok(Some(_)) => {}
            Ok(None) => return Err(invalid(format!("not a known_hosts line: {text:?}"))),
            Err(why) => return Err(invalid(format!("not a known_hosts line: {text:?}: {why}"))),
        }
    }
    Ok(())
}

/// Held by whoever changes a file of this folder. Makes the folder.
fn lock(file: &Path) -> io::Result<File> {
    let folder = folder(file);
    if !folder.exists() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let handle = File::open(folder)?;
    let end = Instant::now() + LOCK_LIMIT;
    loop {
        match handle.try_lock() {
            Ok(()) => return Ok(handle),
            Err(fs::TryLockError::WouldBlock) if Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(fs::TryLockError::WouldBlock) => {
                let why = format!("{}: another Windlass is writing there", folder.display());
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            Err(fs::TryLockError::Error(e)) => return Err(e),
        }
    }
}

fn folder(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

fn sync_folder(file: &Path) -> io::Result<()> {
    File::open(folder(file))?.sync_all()
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
