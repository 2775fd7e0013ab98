//! Lines of a pipe, never more than a limit of one in memory.

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Reads lines.
pub(crate) struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    most: usize,
}

/// A line, or a piece of one that is too long.
pub(crate) struct Line {
    /// Without its line break.
    pub(crate) bytes: Vec<u8>,
    /// Whether the line goes on: it is longer than the limit.
    pub(crate) cut: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of at most `most` bytes.
    pub(crate) fn new(reader: R, most: usize) -> Self {
        Self {
            reader: BufReader::with_capacity(64 * 1024, reader),
            line: Vec::new(),
            most,
        }
    }

    /// The next line; none at the end, or when it cannot be read. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Line> {
        loop {
            let (taken, ended) = match self.reader.fill_buf().await {
                Ok([]) | Err(_) => {
                    let rest = std::mem::take(&mut self.line);
                    return (!rest.is_empty()).then_some(Line {
                        bytes: rest,
                        cut: false,
                    });
                }
                Ok(buffer) => {
                    let room = self.most.saturating_sub(self.line.len());
                    let window = buffer.get(..=room).unwrap_or(buffer);
                    match window.iter().position(|b| *b == b'\n') {
                        Some(at) => {
                            self.line.extend(window.iter().take(at));
                            (at + 1, true)
                        }
                        None => {
                            let some = window.len().min(room);
                            self.line.extend(window.iter().take(some));
                            (some, false)
                        }
                    }
                }
            };
            self.reader.consume(taken);
            if ended || taken == 0 {
                let bytes = std::mem::take(&mut self.line);
                return Some(Line { bytes, cut: !ended });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &[u8], most: usize) -> Vec<(String, bool)> {
        let mut lines = Lines::new(text, most);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await {
            all.push((String::from_utf8(line.bytes).unwrap(), line.cut));
        }
        all
    }

    #[tokio::test]
    async fn long_lines_come_in_pieces() {
        let whole = |text: &str| (text.to_owned(), false);
        assert_eq!(
            lines(b"ab\n\nabcd\nx", 4).await,
            [whole("ab"), whole(""), whole("abcd"), whole("x")]
        );
        assert_eq!(
            lines(b"abcdefghi\n", 4).await,
            [("abcd".into(), true), ("efgh".into(), true), whole("i")]
        );
    }
}
