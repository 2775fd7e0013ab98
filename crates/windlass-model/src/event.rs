//! What happened in a run, as data. Sinks make text of it.

use serde::{Deserialize, Serialize};

use crate::ids::{HostName, RunId, TaskId};
use crate::outcome::Outcome;
use crate::step::Level;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Microseconds since 1970, UTC.
    pub at: i64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// Which task an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRef {
    /// Its id.
    pub id: TaskId,
    /// Its command.
    pub command: String,
    /// Its host.
    pub host: HostName,
    /// Its tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// A process of this machine, so that another one that got its number later is not taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since the machine did; absent where that cannot be known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<u64>,
}

/// Which of a program's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// A run began.
    RunStarted {
        /// Its id.
        run: RunId,
        /// The tasklist's name.
        name: String,
        /// How many stages.
        stages: usize,
        /// How many tasks in all.
        tasks: usize,
        /// `user@machine`.
        by: String,
    },
    /// A run that had ended, or was cut off, is gone on with.
    RunResumed {
        /// Its id.
        run: RunId,
        /// `user@machine` of who resumes it.
        by: String,
        /// The process that goes on with it.
        process: Process,
        /// How many tasks are left to do.
        left: usize,
        /// Hosts whose work is not trusted: all of their jobs are done again.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        redo: Vec<HostName>,
        /// Tasks of unknown end that were done, as the operator says.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        assumed_done: Vec<TaskId>,
        /// Tasks of unknown end that the operator wants run again.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        run_again: Vec<TaskId>,
    },
    /// Hosts that the operator left out of the run, or of what is resumed of it.
    LeftOut {
        /// Which.
        hosts: Vec<HostName>,
    },
    /// A stage began.
    StageStarted {
        /// Number from 1.
        stage: u32,
        /// Its name.
        name: String,
        /// How many jobs.
        jobs: usize,
        /// How many tasks in all of them.
        tasks: usize,
    },
    /// A task is about to be sent to its host: from here on it may have had an effect.
    TaskSent {
        /// Which.
        task: TaskRef,
        /// The attempt, from 1.
        attempt: u32,
    },
    /// A task began.
    TaskStarted {
        /// Which.
        task: TaskRef,
        /// The attempt, from 1.
        attempt: u32,
    },
    /// A line of a program's output, without its line break; at most 64 KiB.
    Output {
        /// Which task.
        task: TaskRef,
        /// Which output.
        stream: Stream,
        /// The line.
        line: String,
    },
    /// Bytes of a file that went over the wire.
    Progress {
        /// Which task.
        task: TaskRef,
        /// So far.
        done: u64,
        /// In all.
        total: u64,
    },
    /// An attempt of a task failed and will be made again.
    TaskRetried {
        /// Which.
        task: TaskRef,
        /// The attempt that failed, from 1.
        attempt: u32,
        /// How.
        outcome: Outcome,
        /// Seconds until the next.
        delay: u32,
    },
    /// A task ended.
    TaskFinished {
        /// Which.
        task: TaskRef,
        /// What came of it.
        outcome: Outcome,
        /// What it gave as its output, or the last lines of what its program printed (at most 8 KiB).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<String>,
        /// Milliseconds from start to end; 0 when it did not run.
        millis: u64,
    },
    /// Something was opened that must be closed, or closed.
    Owed {
        /// By which task.
        task: TaskRef,
        /// What: `drained web/app2`.
        key: String,
        /// Opened, or closed.
        open: bool,
    },
    /// A receipt was left on a host.
    Receipt {
        /// The host.
        host: HostName,
        /// What it says.
        receipt: Box<crate::receipt::Receipt>,
    },
    /// A stage ended.
    StageFinished {
        /// Number from 1.
        stage: u32,
        /// Its name.
        name: String,
        /// Whether the failures stayed within its budget.
        ok: bool,
    },
    /// A line for the log.
    Log {
        /// How grave.
        level: Level,
        /// Who says it: `Executor`, `TestCommand`.
        component: String,
        /// About which host; absent for none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<HostName>,
        /// About what.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<String>,
        /// One line or more.
        message: String,
    },
    /// The operator asked to stop: 1 gently, 2 at once.
    Interrupted {
        /// How often.
        times: u8,
    },
    /// A run ended.
    RunFinished {
        /// How.
        end: RunEnd,
        /// Jobs that failed.
        failed: usize,
        /// What is owed still.
        owed: Vec<String>,
    },
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEnd {
    /// All done.
    Succeeded,
    /// Something failed, or was left out.
    Failed,
    /// Something is not known.
    Unknown,
    /// The operator stopped it.
    Interrupted,
}
