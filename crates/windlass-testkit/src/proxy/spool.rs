//! Bytes that are kept to be sent again: in memory while they are few, else in a file.

use std::io;

use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWrite, AsyncWriteExt};

/// Bytes kept in memory.
const FEW: u64 = 256 << 10;
/// Bytes copied at once.
const CHUNK: usize = 64 << 10;

/// Bytes, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Spool {
    memory: Vec<u8>,
    file: Option<File>,
    length: u64,
}

impl Spool {
    /// How many there are.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Adds some.
    pub(super) async fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.length += bytes.len() as u64;
        if self.file.is_none() && self.length > FEW {
            let mut file = File::from_std(tempfile::tempfile()?);
            file.write_all(&self.memory).await?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        match &mut self.file {
            Some(file) => file.write_all(bytes).await,
            None => {
                self.memory.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Writes the first of them, so many.
    pub(super) async fn write(
        &mut self,
        to: &mut (impl AsyncWrite + Unpin),
        count: u64,
    ) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            let bytes = self.memory.get(..count).unwrap_or(&self.memory);
            return to.write_all(bytes).await;
        };
        file.flush().await?;
        file.rewind().await?;
        let (mut left, mut chunk) = (count, vec![0; CHUNK]);
        while left > 0 {
            let read = file.read(&mut chunk).await?;
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(read);
            let Some(bytes) = chunk.get(..most).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            to.write_all(bytes).await?;
            left -= bytes.len() as u64;
        }
        Ok(())
    }
}
