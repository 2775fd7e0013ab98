//! Bytes of a program's outputs to lines, in bounded memory.

use windlass_model::event::Stream;

/// Longest line, in bytes; longer ones are cut.
const LONGEST: usize = 64 * 1024;
/// How much of the end of the output is kept for the outcome, in bytes.
const TAIL: usize = 8 * 1024;

/// Cuts what a task's programs print, and keeps the tail of it.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    tail: String,
}

impl Lines {
    /// Takes bytes, gives the lines that they complete.
    pub(crate) fn push(&mut self, stream: Stream, bytes: &[u8]) -> Vec<String> {
        let pending = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|b| *b == b'\n') {
            pending.extend_from_slice(part);
            if part.ends_with(b"\n") || pending.len() >= LONGEST {
                lines.push(take_line(pending));
            }
        }
        lines.iter().for_each(|line| keep(&mut self.tail, line));
        lines
    }

    /// What was printed without a line break at its end.
    pub(crate) fn rest(&mut self) -> Vec<(Stream, String)> {
        let mut rest = Vec::new();
        for (stream, pending) in [
            (Stream::Stdout, &mut self.stdout),
            (Stream::Stderr, &mut self.stderr),
        ] {
            if !pending.is_empty() {
                rest.push((stream, take_line(pending)));
            }
        }
        rest.iter().for_each(|(_, line)| keep(&mut self.tail, line));
        rest
    }

    /// The last lines of all that was printed; `None` when nothing was.
    pub(crate) fn tail(&self) -> Option<String> {
        let tail = self.tail.trim_end();
        (!tail.is_empty()).then(|| tail.to_owned())
    }
}

fn take_line(pending: &mut Vec<u8>) -> String {
    let line = String::from_utf8_lossy(pending)
        .trim_end_matches(['\n', '\r'])
        .to_owned();
    pending.clear();
    line
}

fn keep(tail: &mut String, line: &str) {
    tail.push_str(line);
    tail.push('\n');
    if tail.len() > TAIL {
        let mut cut = tail.len() - TAIL;
        while !tail.is_char_boundary(cut) {
            cut += 1;
        }
        let cut = tail
            .get(cut..)
            .and_then(|t| t.find('\n'))
            .map_or(cut, |n| cut + n + 1);
        tail.drain(..cut);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_bytes_are_cut() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(Stream::Stdout, b"a\nb"), ["a"]);
        assert_eq!(lines.push(Stream::Stderr, b"oops\r\n"), ["oops"]);
        assert_eq!(lines.push(Stream::Stdout, b"c\nd"), ["bc"]);
        assert_eq!(lines.rest(), [(Stream::Stdout, "d".to_owned())]);
        assert_eq!(lines.tail().unwrap(), "a\noops\nbc\nd");
    }

    #[test]
    fn memory_is_bounded() {
        let mut lines = Lines::default();
        for _ in 0..100 {
            lines.push(Stream::Stdout, &[b'x'; 10_000]);
        }
        assert!(lines.stdout.len() < LONGEST + 10_000);
        for n in 0..10_000 {
            lines.push(Stream::Stdout, format!("line {n}\n").as_bytes());
        }
        let tail = lines.tail().unwrap();
        assert!(
            tail.len() <= TAIL && tail.ends_with("line 9999"),
            "{}",
            tail.len()
        );
        assert!(tail.starts_with("line "));
    }
}
