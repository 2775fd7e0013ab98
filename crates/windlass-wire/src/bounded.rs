//! A reader of which only so much is read: what reads it may be made to read all of it again and again.

use std::io::{Error, Read, Result, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// See the module.
pub(crate) struct Bounded<R> {
    reader: R,
    left: Arc<AtomicU64>,
}

impl<R> Bounded<R> {
    /// Of which so many bytes may be read.
    pub(crate) fn new(reader: R, left: u64) -> Self {
        let left = Arc::new(AtomicU64::new(left));
        Self { reader, left }
    }

    /// How many are left, to be set anew.
    pub(crate) fn left(&self) -> Arc<AtomicU64> {
        self.left.clone()
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = self.reader.read(buffer)?;
        let left = self.left.load(Ordering::Relaxed);
        let left = left
            .checked_sub(count as u64)
            .ok_or_else(|| Error::other("its table of contents is too large"))?;
        self.left.store(left, Ordering::Relaxed);
        Ok(count)
    }
}

impl<R: Seek> Seek for Bounded<R> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.reader.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn no_more_is_read_than_is_allowed() {
        let mut reader = Bounded::new(Cursor::new("0123456789"), 15);
        let left = reader.left();
        let mut text = String::new();
        assert_eq!(reader.read_to_string(&mut text).unwrap(), 10);
        reader.rewind().unwrap();
        assert!(reader.read_to_string(&mut text).is_err());
        left.store(u64::MAX, Ordering::Relaxed);
        reader.rewind().unwrap();
        text.clear();
        assert_eq!(reader.read_to_string(&mut text).unwrap(), 10);
    }
}
