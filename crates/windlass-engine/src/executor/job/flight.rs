//! A task under way, and why it may come to no end.

use std::collections::VecDeque;

use tokio::time::Instant;
use windlass_model::ids::HostName;
use windlass_model::outcome::Failure;
use windlass_model::step::{As, Step, Via};

use super::JobRun;
use crate::command::{Facts, Seen};
use crate::executor::Options;
use crate::executor::lines::Lines;
use crate::executor::prepare::PreparedTask;
use crate::host::{HostError, HostErrorKind, Keep};

/// A host as somebody.
pub(crate) type Target = (HostName, Option<String>);

/// A task under way.
pub(super) struct Flight {
    /// Which of the chain's tasks.
    pub(super) index: usize,
    pub(super) attempt: u32,
    pub(super) facts: Facts,
    pub(super) seen: Vec<Seen>,
    /// What is left to be done of its turn: steps that have no reply yet.
    pub(super) pending: VecDeque<Step>,
    /// How many of those were sent.
    pub(super) flying: usize,
    /// How its batch in flight is kept on the host, if it is.
    pub(super) keep: Option<Keep>,
    /// How many replies came to steps that were kept.
    pub(super) kept: usize,
    /// Whether something of it was not kept: what comes after is not kept either, so that what the host keeps are its
    /// first replies.
    pub(super) unkept: bool,
    /// Bytes of each stream that were told of the step in flight.
    pub(super) told: [usize; 2],
    /// How often it was sent again, because its host had not begun it.
    pub(super) resent: u32,
    /// Whether its last turn came.
    pub(super) last: bool,
    /// Whether a reply was not wanted: its host does nothing of what was sent along.
    pub(super) stopped: bool,
    /// Whether the first reply is its guard's.
    pub(super) guarded: bool,
    /// Whether it may have had an effect.
    pub(super) sent: bool,
    pub(super) began: Option<Instant>,
    pub(super) lines: Lines,
}

/// Why a task's steps did not come to their replies.
pub(super) enum Broken {
    /// They could not be done, or not in time.
    Failed(Failure),
    /// The link was lost after sending.
    Lost(HostError),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl JobRun<'_> {
    /// The attempt counts from 1; the flight's goes on from those that were made before the run was resumed.
    pub(super) fn flight(&self, index: usize, attempt: u32) -> Option<Flight> {
        let task = self.task(index)?;
        Some(Flight {
            index,
            attempt: self.attempts_before(index) + attempt,
            facts: Facts {
                run: self.shared.options.run.clone(),
                task: task.id,
                host: task.host.clone(),
                now: crate::events::now_micros() / 1_000_000,
                user: rights(task),
            },
            seen: Vec::new(),
            pending: VecDeque::new(),
            flying: 0,
            keep: None,
            kept: 0,
            unkept: false,
            told: [0, 0],
            resent: 0,
            last: false,
            stopped: false,
            guarded: false,
            sent: false,
            began: None,
            lines: Lines::default(),
        })
    }
}

pub(super) fn broken(error: HostError) -> Broken {
    match error.kind {
        HostErrorKind::Lost => Broken::Lost(error),
        _ => Failure::from(error).into(),
    }
}

/// The rights that a task's steps have.
pub(crate) fn rights(task: &PreparedTask) -> As {
    if task.use_sudo { As::root() } else { As::Login }
}

pub(crate) fn with_rights(mut step: Step, rights: &As) -> Step {
    match &mut step {
        Step::Run(run) if run.user == As::Login => run.user = rights.clone(),
        Step::Put(put) if put.user == As::Login => put.user = rights.clone(),
        _ => {}
    }
    step
}

/// As whom a task acts on its host.
pub(crate) fn user_of(task: &PreparedTask, options: &Options) -> Option<String> {
    if task.host.is_local() {
        return None;
    }
    task.user.clone().or_else(|| options.user.clone())
}

pub(crate) fn target_of(step: &Step, home: &Target) -> Target {
    let via = match step {
        Step::Dial(dial) => &dial.via,
        Step::Http(http) => &http.via,
        _ => &Via::Task,
    };
    match via {
        Via::Task => home.clone(),
        Via::Host(host) if *host == home.0 => home.clone(),
        Via::Host(host) => (host.clone(), None),
    }
}
