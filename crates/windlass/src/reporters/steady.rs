//! Writes a log for people, for which nothing is stopped: not by a full disk, not by a terminal that went away.

use std::io::{self, Write};

use windlass_engine::events::Sink;
use windlass_model::event::Event;

/// A sink whose faults stop nobody.
pub(crate) struct Regardless<S>(pub S);

impl<S: Sink> Sink for Regardless<S> {
    fn accept(&mut self, events: &[Event]) -> io::Result<()> {
        let _ = self.0.accept(events);
        Ok(())
    }
}

/// Passes on what it is given, and drops what cannot be written. Once something can be written again a line says how many
/// writes were lost, and why.
pub(crate) struct Steady<W> {
    out: W,
    lost: u64,
    why: String,
    /// Whether the last thing that was written has no line break.
    is_torn: bool,
}

impl<W: Write> Steady<W> {
    /// Writes to `out`.
    pub(crate) fn new(out: W) -> Self {
        Self {
            out,
            lost: 0,
            why: String::new(),
            is_torn: false,
        }
    }

    fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = match self.out.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            let (done, rest) = bytes.split_at_checked(written).unwrap_or((bytes, &[]));
            self.is_torn = !done.ends_with(b"\n");
            bytes = rest;
        }
        Ok(())
    }

    /// What there is to say before anything else.
    fn before(&self) -> String {
        if self.lost == 0 {
            return String::new();
        }
        let end = if self.is_torn { "\n" } else { "" };
        let (lost, why) = (self.lost, &self.why);
        format!("{end}-- here the log could not be written, {lost} times: {why}\n")
    }
}

impl<W: Write> Write for Steady<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let before = self.before();
        match self.put(before.as_bytes()).and_then(|()| self.put(bytes)) {
            Ok(()) => self.lost = 0,
            Err(error) => {
                self.lost += 1;
                self.why = error.to_string();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.out.flush();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has room for so many bytes.
    struct Disk(Vec<u8>, usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = (self.1 - self.0.len()).min(bytes.len());
            if room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.extend_from_slice(&bytes[..room]);
            Ok(room)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_finds_no_room_is_counted_and_later_lines_are_whole() {
        let mut log = Steady::new(Disk(Vec::new(), 8));
        for line in ["one\n", "two and more\n", "three\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        log.out.1 = 1000;
        log.write_all(b"four\n").unwrap();
        log.write_all(b"five\n").unwrap();
        let said = String::from_utf8(log.out.0).unwrap();
        assert_eq!(
            said,
            "one\ntwo \n-- here the log could not be written, 2 times: no storage space\nfour\nfive\n"
        );
    }
}
