//! A step on its way through a conversation.

use windlass_engine::host::{Heard, Keep};
use windlass_model::event::Stream;
use windlass_model::ids::TaskId;
use windlass_model::step::Reply;

use super::keep::SHOWN;
use super::work::{Rule, Work};

/// What is kept of one stream of a program for its reply.
const KEPT: usize = 1024 * 1024;

/// One stream of a program.
#[derive(Default)]
pub(crate) struct Side {
    kept: Vec<u8>,
    /// Set when the program's end was seen on this stream.
    pub(crate) status: Option<i32>,
    /// Bytes that were told while the program ran, which come again at its end.
    told: usize,
    /// Bytes that came at its end.
    came: usize,
}

impl Side {
    /// Whether its end was seen.
    pub(crate) fn ended(&self) -> bool {
        self.status.is_some()
    }

    /// Keeps what fits.
    pub(crate) fn capture(&mut self, bytes: &[u8]) {
        let room = KEPT.saturating_sub(self.kept.len());
        self.kept
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// What is to be told of bytes that a kept program had printed when it ended.
    pub(crate) fn untold<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let skip = self.told.saturating_sub(self.came);
        let room = SHOWN.saturating_sub(self.came).min(bytes.len());
        self.came += bytes.len();
        bytes.get(skip..room).unwrap_or_default()
    }

    /// Whether more was printed than is shown.
    fn is_cut(&self) -> bool {
        self.came > SHOWN
    }

    /// Takes up what a kept program prints while it runs; false when its end has begun to come.
    pub(crate) fn tell(&mut self, bytes: &[u8]) -> bool {
        let goes_on = self.came == 0 && self.status.is_none();
        if goes_on {
            self.told += bytes.len();
        }
        goes_on
    }

    fn text(&mut self) -> String {
        match String::from_utf8(std::mem::take(&mut self.kept)) {
            Ok(text) => text,
            Err(wrong) => String::from_utf8_lossy(wrong.as_bytes()).into_owned(),
        }
    }
}

/// A step on its way.
pub(crate) struct Item {
    /// Its number in the conversation.
    pub(crate) id: u64,
    /// Of its batch.
    pub(crate) batch: u64,
    /// Of the batches that depend on each other.
    pub(crate) group: u64,
    /// Its task.
    pub(crate) task: TaskId,
    /// Whether it is the first of its batch.
    pub(crate) first: bool,
    /// What is to be done.
    pub(crate) work: Work,
    /// After which replies the group goes on.
    pub(crate) rule: Rule,
    /// Whether it was sent to a shell.
    pub(crate) written: bool,
    /// Whether its beginning was seen.
    pub(crate) begun: bool,
    /// Where it is kept: as what, and the number of the step in its attempt.
    pub(crate) keep: Option<(Keep, usize)>,
    /// Whether it is not put along with others.
    pub(crate) alone: bool,
    /// Whether it was not begun, for nothing can be kept.
    pub(crate) refused: bool,
    out: Side,
    err: Side,
    held: Vec<Heard>,
    held_bytes: usize,
}

impl Item {
    /// `place`: id, batch, group.
    pub(crate) fn new(
        place: (u64, u64, u64),
        task: TaskId,
        first: bool,
        work: Work,
        rule: Rule,
    ) -> Self {
        let (id, batch, group) = place;
        Self {
            id,
            batch,
            group,
            task,
            first,
            work,
            rule,
            written: false,
            begun: false,
            keep: None,
            alone: false,
            refused: false,
            out: Side::default(),
            err: Side::default(),
            held: Vec::new(),
            held_bytes: 0,
        }
    }

    /// One of its streams.
    pub(crate) fn side(&self, stream: Stream) -> &Side {
        match stream {
            Stream::Stdout => &self.out,
            Stream::Stderr => &self.err,
        }
    }

    /// One of its streams.
    pub(crate) fn side_mut(&mut self, stream: Stream) -> &mut Side {
        match stream {
            Stream::Stdout => &mut self.out,
            Stream::Stderr => &mut self.err,
        }
    }

    /// Keeps what is heard of it until the steps before it have had their replies.
    pub(crate) fn hold(&mut self, heard: Heard) {
        if let Heard::Output(_, _, bytes) = &heard {
            self.held_bytes += bytes.len();
        }
        self.held.push(heard);
    }

    /// Whether more must not be held: then order gives way to memory.
    pub(crate) fn has_held_enough(&self) -> bool {
        self.held_bytes > KEPT
    }

    /// What was held.
    pub(crate) fn take_held(&mut self) -> Vec<Heard> {
        self.held_bytes = 0;
        std::mem::take(&mut self.held)
    }

    /// Where the rest of its output is, when more was printed than is shown.
    pub(crate) fn cut(&self, stream: Stream) -> Option<String> {
        let (keep, number) = self.keep.as_ref().filter(|_| self.side(stream).is_cut())?;
        let end = match stream {
            Stream::Stdout => "out",
            Stream::Stderr => "err",
        };
        Some(format!(
            "\n[the rest is in kept/{}/{}.{number}.{end} there]\n",
            keep.directory(),
            super::keep::name(keep, self.task)
        ))
    }

    /// The reply, once the end was seen on both streams.
    pub(crate) fn finished(&mut self) -> Option<Reply> {
        let status = self.out.status?;
        self.err.status?;
        if self.refused {
            let why = self.err.text();
            let why = why.trim().lines().last().unwrap_or("nothing can be kept");
            return Some(Reply::Impossible(format!(
                "{why}: work that must not be done twice needs a place for its status"
            )));
        }
        Some(Reply::Ran {
            status,
            stdout: self.out.text(),
            stderr: self.err.text(),
        })
    }
}
