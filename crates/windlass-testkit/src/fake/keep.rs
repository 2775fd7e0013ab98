//! What fake hosts keep of work that outlives the link.

use std::collections::BTreeMap;

use windlass_engine::host::{Keep, Kept};
use windlass_model::ids::{HostName, TaskId};
use windlass_model::step::Reply;

/// A batch: host, task, attempt, number of its first step.
pub(crate) type Name = (HostName, TaskId, u32, usize);

/// Everything that is kept.
#[derive(Default)]
pub(crate) struct Keeping(BTreeMap<Name, (Vec<Reply>, State)>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Ended,
    Cut,
}

/// The name of a batch.
pub(crate) fn name(host: &HostName, keep: &Keep, task: TaskId) -> Name {
    (host.clone(), task, keep.attempt, keep.from)
}

impl Keeping {
    /// Whether it was begun.
    pub(crate) fn is_begun(&self, name: &Name) -> bool {
        self.0.contains_key(name)
    }

    /// It begins.
    pub(crate) fn begin(&mut self, name: &Name) {
        let fresh = || (Vec::new(), State::Running);
        self.0.entry(name.clone()).or_insert_with(fresh);
    }

    /// A step of it ended; false when it had been cut off before.
    pub(crate) fn reply(&mut self, name: &Name, reply: Reply, is_last: bool) -> bool {
        match self.0.get_mut(name) {
            Some((replies, state)) if *state == State::Running => {
                replies.push(reply);
                if is_last {
                    *state = State::Ended;
                }
                true
            }
            _ => false,
        }
    }

    /// It is cut off, if it runs.
    pub(crate) fn cut(&mut self, name: &Name) {
        if let Some((_, state)) = self.0.get_mut(name)
            && *state == State::Running
        {
            *state = State::Cut;
        }
    }

    /// See [`windlass_engine::host::Conversation::recall`], with the batch that runs.
    pub(crate) fn recall(&self, first: &Name) -> (Kept, Option<Name>) {
        let mut name = first.clone();
        let mut all = Vec::new();
        while let Some((replies, state)) = self.0.get(&name) {
            match state {
                State::Running => return (Kept::Running, Some(name)),
                State::Cut => return (Kept::CutOff, None),
                State::Ended => all.extend(replies.iter().cloned()),
            }
            name.3 += replies.len();
        }
        match name == *first {
            true => (Kept::NotBegun, None),
            false => (Kept::Ended(all), None),
        }
    }
}
