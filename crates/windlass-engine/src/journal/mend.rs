//! What of a journal is whole, and making that durable.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use windlass_model::event::Event;

/// Bytes of the journal up to the end of its last event, and whether that lacks its line break. What follows is the tail
/// that a crash left: part of a line, or bytes that are none.
///
/// `InvalidData` when lines that are no events stand before some that are, or when a line is well-formed and yet no event
/// that this build knows.
pub(super) fn whole_length(mut file: &File) -> io::Result<(u64, bool)> {
    file.seek(SeekFrom::Start(0))?;
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    let (mut at, mut whole, mut number) = (0, 0, 0);
    let mut torn = None;
    let mut is_open = false;
    loop {
        line.clear();
        let length = lines.read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok((whole, is_open));
        }
        number += 1;
        at += length as u64;
        let is_whole = line.ends_with(b"\n");
        let is_event = number == 1 || serde_json::from_slice::<Event>(&line).is_ok();
        match torn {
            None if is_event => (whole, is_open) = (at, !is_whole),
            None => torn = Some(number),
            Some(torn) if is_event => {
                return Err(damaged(format!("line {torn} is damaged")));
            }
            Some(_) => {}
        }
        if is_whole && !is_event && serde_json::from_slice::<serde_json::Value>(&line).is_ok() {
            let why =
                format!("line {number} is no event that this Windlass knows; a newer one wrote it");
            return Err(damaged(why));
        }
    }
}

/// Cuts off what follows the first `whole` bytes, and has the disk take these.
///
/// They are written once more: where an earlier sync failed the system may hold them for clean, and give them to every reader
/// but never to the disk.
pub(super) fn make_durable(path: &Path, file: &File, whole: u64) -> io::Result<()> {
    if whole < file.metadata()?.len() {
        file.set_len(whole)?;
    }
    let mut again = OpenOptions::new().read(true).write(true).open(path)?;
    let mut bytes = Vec::new();
    (&again).take(whole).read_to_end(&mut bytes)?;
    again.seek(SeekFrom::Start(0))?;
    again.write_all(&bytes)?;
    again.sync_all()
}

fn damaged(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
