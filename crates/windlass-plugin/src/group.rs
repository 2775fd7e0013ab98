//! The process group of a plugin.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, Signal, kill_process_group};

/// A process group whose leader is a child of ours. It is killed when this is dropped.
pub(crate) struct Group {
    leader: Option<Pid>,
    gone: AtomicBool,
}

impl Group {
    /// The group that the process of this id leads.
    pub(crate) fn new(id: Option<u32>) -> Self {
        Self {
            leader: id
                .and_then(|id| i32::try_from(id).ok())
                .and_then(Pid::from_raw),
            gone: AtomicBool::new(false),
        }
    }

    /// Asks all of it to end.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends all of it.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Ends what is left of it once its leader has ended. After this nothing is signalled any more: the number may
    /// belong to somebody else.
    pub(crate) fn leader_ended(&self) {
        if !self.gone.swap(true, Ordering::SeqCst)
            && let Some(leader) = self.leader
        {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }

    fn signal(&self, signal: Signal) {
        if !self.gone.load(Ordering::SeqCst)
            && let Some(leader) = self.leader
        {
            let _ = kill_process_group(leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
