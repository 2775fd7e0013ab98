//! What a shell says first: the noise of a login shell, then hello on both streams.

use tokio::time::Instant;
use windlass_model::event::Stream;

use super::marker::{Mark, Piece};
use super::shell::{ANSWER, NOISE};

/// See the module.
pub(super) struct Greeting {
    /// When it is late.
    pub(super) until: Instant,
    /// Of the login shell, or of what is no shell.
    pub(super) noise: Vec<u8>,
    /// Whether it said hello on standard output, and on standard error.
    said: [bool; 2],
}

impl Default for Greeting {
    fn default() -> Self {
        Self {
            until: Instant::now() + ANSWER,
            noise: Vec::new(),
            said: [false; 2],
        }
    }
}

impl Greeting {
    /// Takes what comes before the hello, and that; gives the rest, and the process group.
    pub(super) fn take(&mut self, stream: Stream, pieces: Vec<Piece>) -> (Vec<Piece>, Option<i32>) {
        let [out, err] = &mut self.said;
        let said = match stream {
            Stream::Stdout => out,
            Stream::Stderr => err,
        };
        let (mut rest, mut found) = (Vec::new(), None);
        for piece in pieces {
            match piece {
                piece if *said => rest.push(piece),
                Piece::Mark(Mark::Hello(group)) => {
                    *said = true;
                    found = Some(group);
                }
                Piece::Bytes(bytes) if self.noise.len() < NOISE => self.noise.extend(bytes),
                _ => {}
            }
        }
        (rest, found)
    }

    /// Whether both streams have said it.
    pub(super) fn is_over(&self) -> bool {
        self.said == [true; 2]
    }
}
