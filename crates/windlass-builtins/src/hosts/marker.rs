//! Finds the marks of a shell between the bytes that its programs print.
//!
//! A mark is `\x1e` NONCE ` ` words `\x1e`. It may stand anywhere, also right behind output without a newline,
//! and may come cut in any number of chunks. Everything else is output, byte for byte.

/// The byte that begins and ends a mark.
pub(crate) const EDGE: u8 = 0x1e;

/// The longest words of a mark; what is longer is output.
const LONGEST: usize = 64;

/// A piece of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// What programs printed.
    Bytes(Vec<u8>),
    /// The words of a mark.
    Mark(Mark),
}

/// What a shell says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// `h PGID`: it is there.
    Hello(i32),
    /// `b ID`: the step begins.
    Begin(u64),
    /// `e ID STATUS`: the step ended.
    End(u64, i32),
    /// `r ID`: the step was not begun, for nothing can be kept here.
    Refused(u64),
    /// `f ID`: the step was begun before; the shell ends.
    Fenced(u64),
    /// Any other words.
    Word(String),
}

impl Mark {
    fn read(words: &str) -> Self {
        let mut parts = words.split(' ');
        let read = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("h"), Some(group), None, None) => group.parse().ok().map(Self::Hello),
            (Some("b"), Some(id), None, None) => id.parse().ok().map(Self::Begin),
            (Some("r"), Some(id), None, None) => id.parse().ok().map(Self::Refused),
            (Some("f"), Some(id), None, None) => id.parse().ok().map(Self::Fenced),
            (Some("e"), Some(id), Some(status), None) => match (id.parse(), status.parse()) {
                (Ok(id), Ok(status)) => Some(Self::End(id, status)),
                _ => None,
            },
            _ => None,
        };
        read.unwrap_or_else(|| Self::Word(words.to_owned()))
    }
}

/// Splits one stream.
pub(crate) struct Splitter {
    start: Vec<u8>,
    kept: Vec<u8>,
}

impl Splitter {
    /// For a shell with this nonce.
    pub(crate) fn new(nonce: &str) -> Self {
        let mut start = vec![EDGE];
        start.extend_from_slice(nonce.as_bytes());
        start.push(b' ');
        Self {
            start,
            kept: Vec::new(),
        }
    }

    /// The pieces that are certain after this chunk. What may be the beginning of a mark is kept for the next.
    pub(crate) fn feed(&mut self, chunk: &[u8]) -> Vec<Piece> {
        let mut rest = std::mem::take(&mut self.kept);
        rest.extend_from_slice(chunk);
        let mut pieces = Vec::new();
        let mut from = 0;
        let mut plain = Vec::new();
        while let Some(tail) = rest.get(from..).filter(|t| !t.is_empty()) {
            let Some(edge) = tail.iter().position(|b| *b == EDGE) else {
                plain.extend_from_slice(tail);
                break;
            };
            let (before, mark) = tail.split_at(edge);
            plain.extend_from_slice(before);
            match self.try_mark(mark) {
                Tried::Mark(words, length) => {
                    flush(&mut plain, &mut pieces);
                    pieces.push(Piece::Mark(Mark::read(&words)));
                    from += edge + length;
                }
                Tried::More => {
                    self.kept = mark.to_vec();
                    break;
                }
                Tried::None => {
                    plain.push(EDGE);
                    from += edge + 1;
                }
            }
        }
        flush(&mut plain, &mut pieces);
        pieces
    }

    /// What was kept when the stream ended.
    #[cfg(test)]
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.kept)
    }

    fn try_mark(&self, bytes: &[u8]) -> Tried {
        let common = bytes.len().min(self.start.len());
        if bytes.get(..common) != self.start.get(..common) {
            return Tried::None;
        }
        let Some(words) = bytes.get(self.start.len()..) else {
            return Tried::More;
        };
        match words.iter().take(LONGEST).position(|b| *b == EDGE) {
            Some(end) => match words.get(..end).map(std::str::from_utf8) {
                Some(Ok(text)) => Tried::Mark(text.to_owned(), self.start.len() + end + 1),
                _ => Tried::None,
            },
            None if words.len() < LONGEST => Tried::More,
            None => Tried::None,
        }
    }
}

enum Tried {
    Mark(String, usize),
    More,
    None,
}

fn flush(plain: &mut Vec<u8>, pieces: &mut Vec<Piece>) {
    if !plain.is_empty() {
        pieces.push(Piece::Bytes(std::mem::take(plain)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONCE: &str = "0a0b";

    fn join(pieces: Vec<Piece>) -> Vec<Piece> {
        let mut joined: Vec<Piece> = Vec::new();
        for piece in pieces {
            match (joined.last_mut(), piece) {
                (Some(Piece::Bytes(all)), Piece::Bytes(more)) => all.extend(more),
                (_, piece) => joined.push(piece),
            }
        }
        joined
    }

    fn wire(pieces: &[Piece]) -> Vec<u8> {
        pieces
            .iter()
            .flat_map(|p| match p {
                Piece::Bytes(b) => b.clone(),
                Piece::Mark(Mark::Hello(g)) => format!("\x1e{NONCE} h {g}\x1e").into_bytes(),
                Piece::Mark(Mark::Begin(i)) => format!("\x1e{NONCE} b {i}\x1e").into_bytes(),
                Piece::Mark(Mark::End(i, s)) => format!("\x1e{NONCE} e {i} {s}\x1e").into_bytes(),
                Piece::Mark(Mark::Word(w)) => format!("\x1e{NONCE} {w}\x1e").into_bytes(),
                Piece::Mark(Mark::Refused(id)) => format!("\x1e{NONCE} r {id}\x1e").into_bytes(),
                Piece::Mark(Mark::Fenced(id)) => format!("\x1e{NONCE} f {id}\x1e").into_bytes(),
            })
            .collect()
    }

    fn piece() -> impl Strategy<Value = Piece> {
        // output that looks like marks: edges, parts of the nonce
        let tricky = prop::collection::vec(
            prop_oneof![
                Just(b"\x1e".to_vec()),
                Just(b"\x1e0a".to_vec()),
                Just(b"\x1e0a0c e 1 0\x1e".to_vec()),
                Just(b"0a0b ".to_vec()),
                prop::collection::vec(any::<u8>(), 0..6),
            ],
            1..6,
        )
        .prop_map(|v| v.concat())
        .prop_filter("no true mark, and no edge that would join one", |b| {
            !b.is_empty() && !b.windows(5).any(|w| w == b"\x1e0a0b") && b.last() != Some(&EDGE)
        })
        .prop_filter("no beginning of a mark at its end", |b| {
            !b.ends_with(b"\x1e0") && !b.ends_with(b"\x1e0a") && !b.ends_with(b"\x1e0a0")
        });
        prop_oneof![
            tricky.prop_map(Piece::Bytes),
            (0..99999i32).prop_map(|g| Piece::Mark(Mark::Hello(g))),
            any::<u64>().prop_map(|i| Piece::Mark(Mark::Begin(i))),
            (any::<u64>(), 0..256i32).prop_map(|(i, s)| Piece::Mark(Mark::End(i, s))),
            Just(Piece::Mark(Mark::Word("same".into()))),
        ]
    }

    proptest! {
        #[test]
        fn chunks_may_be_cut_anywhere(
            pieces in prop::collection::vec(piece(), 0..8),
            cuts in prop::collection::vec(1..9usize, 0..200),
        ) {
            let pieces = join(pieces);
            let bytes = wire(&pieces);
            let mut splitter = Splitter::new(NONCE);
            let mut found = Vec::new();
            let mut rest = bytes.as_slice();
            for cut in cuts {
                let (chunk, more) = rest.split_at(cut.min(rest.len()));
                found.extend(splitter.feed(chunk));
                rest = more;
            }
            found.extend(splitter.feed(rest));
            let kept = splitter.finish();
            if !kept.is_empty() {
                found.push(Piece::Bytes(kept));
            }
            let found = join(found);
            // pieces of output next to each other may join into what looks like more output, never lose a byte
            prop_assert_eq!(wire(&found), bytes);
            let marks = |ps: &[Piece]| ps.iter().filter(|p| matches!(p, Piece::Mark(_))).count();
            prop_assert_eq!(marks(&found), marks(&pieces));
        }
    }

    #[test]
    fn a_mark_without_newline_before_it_is_found() {
        let mut splitter = Splitter::new(NONCE);
        assert_eq!(
            splitter.feed(b"no newline\x1e0a0b e 7 3\x1emore"),
            vec![
                Piece::Bytes(b"no newline".to_vec()),
                Piece::Mark(Mark::End(7, 3)),
                Piece::Bytes(b"more".to_vec()),
            ]
        );
    }

    #[test]
    fn endless_words_are_output() {
        let mut splitter = Splitter::new(NONCE);
        let mut bytes = b"\x1e0a0b ".to_vec();
        bytes.extend([b'x'; 200]);
        let all: Vec<u8> = wire(&splitter.feed(&bytes));
        assert_eq!(all, bytes);
    }
}
