//! What fake hosts are to do, as data.

use serde::Deserialize;
use windlass_engine::host::{HostError, HostErrorKind};
use windlass_model::event::Stream;
use windlass_model::ids::HostName;
use windlass_model::step::{Reply, Step};

/// All that hosts do out of the ordinary.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// The first that fits a step says what becomes of it.
    pub steps: Vec<Rule>,
    /// The first that fits a host turns a new conversation away.
    pub refuse: Vec<Refusal>,
    /// What is kept of tasks; the first that fits. Nothing is kept of others.
    pub kept: Vec<Remains>,
    /// The program that makes a host ready to keep something; none is needed if absent.
    pub keeper: Option<String>,
}

/// What a host kept of tasks.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Remains {
    /// Of which task; any if absent.
    pub task: Option<String>,
    /// How often it still runs when asked.
    pub running: u32,
    /// `by_trace` (if absent): ended with status 0 if any of its steps was done here, else not begun; `cut_off`;
    /// `status` and a number.
    pub then: Then,
}

/// What has come of kept work.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// Ended with status 0 if any of its steps was done here, else not begun.
    #[default]
    ByTrace,
    /// Begun, and cut off.
    CutOff,
    /// Ended with this status.
    Status(i32),
}

/// What becomes of a step.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// On which host; any if absent.
    pub host: Option<String>,
    /// A part of the step's text ([`super::text_of`]); any step if absent.
    pub on: Option<String>,
    /// How often it fits; always if absent.
    pub times: Option<u32>,
    /// Milliseconds that the step takes.
    pub takes: u64,
    /// Whether it never ends.
    pub hangs: bool,
    /// What it prints as it runs.
    pub output: Vec<Chunk>,
    /// Whether the link is lost with it.
    pub lost: Option<Lost>,
    /// Its exit status, or the status of an HTTP answer.
    pub status: Option<i32>,
    /// Its standard output, or the answer of a socket or server.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// Why it cannot be done at all.
    pub impossible: Option<String>,
}

/// Bytes that a program prints at once.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chunk {
    /// To its standard output.
    Stdout(String),
    /// To its standard error.
    Stderr(String),
}

/// When a link is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lost {
    /// Before the step had an effect.
    Before,
    /// After it, before the reply. A step that is kept goes on by itself until it ends.
    After,
    /// With the host: a step that is kept is cut off.
    Down,
}

/// A host that does not let anyone in.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Refusal {
    /// Which host; any if absent.
    pub host: Option<String>,
    /// `unreachable` (if absent), `host_key`, `denied`, `lost` or `shell`.
    pub kind: Option<String>,
    /// How many it lets in first.
    pub after: u32,
    /// How often; always if absent.
    pub times: Option<u32>,
    /// Milliseconds until it says so.
    pub takes: u64,
}

impl Chunk {
    /// The stream and its bytes.
    pub fn bytes(&self) -> (Stream, Vec<u8>) {
        match self {
            Self::Stdout(text) => (Stream::Stdout, text.clone().into_bytes()),
            Self::Stderr(text) => (Stream::Stderr, text.clone().into_bytes()),
        }
    }
}

impl Rule {
    /// A rule for steps whose text holds `on`.
    pub fn on(on: &str) -> Self {
        Self {
            on: Some(on.to_owned()),
            ..Self::default()
        }
    }

    /// On this host only.
    pub fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    /// So often only.
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// In so many milliseconds.
    pub fn takes(mut self, millis: u64) -> Self {
        self.takes = millis;
        self
    }

    /// With this exit status.
    pub fn status(mut self, status: i32) -> Self {
        self.status = Some(status);
        self
    }

    /// With the link lost.
    pub fn lost(mut self, lost: Lost) -> Self {
        self.lost = Some(lost);
        self
    }

    /// The reply to a step.
    pub(crate) fn reply(&self, step: &Step) -> Reply {
        if let Some(why) = &self.impossible {
            return Reply::Impossible(why.clone());
        }
        match step {
            Step::Run(_) => Reply::Ran {
                status: self.status.unwrap_or(0),
                stdout: self.stdout.clone(),
                stderr: self.stderr.clone(),
            },
            Step::Put(_) => Reply::Put {
                sent: true,
                bytes: 1,
            },
            Step::Dial(_) => Reply::Dialed {
                answer: self.stdout.clone(),
            },
            Step::Http(_) => Reply::Http {
                status: self
                    .status
                    .and_then(|s| u16::try_from(s).ok())
                    .unwrap_or(200),
                body: self.stdout.clone(),
            },
            Step::Log(_) => Reply::Logged,
        }
    }
}

impl Refusal {
    pub(crate) fn speaks_of(&self, host: &HostName) -> bool {
        self.times != Some(0) && self.host.as_deref().is_none_or(|h| h == host.as_str())
    }

    pub(crate) fn error(&self) -> HostError {
        let (kind, message) = match self.kind.as_deref() {
            Some("host_key") => (HostErrorKind::HostKey, "its key is unknown"),
            Some("denied") => (HostErrorKind::Denied, "permission denied"),
            Some("lost") => (HostErrorKind::Lost, "connection reset"),
            Some("shell") => (HostErrorKind::Shell, "no shell answered"),
            _ => (HostErrorKind::Unreachable, "connection refused"),
        };
        HostError::new(kind, message)
    }
}

/// Uses one of a rule's times up.
fn used(times: &mut Option<u32>) {
    if let Some(left) = times {
        *left = left.saturating_sub(1);
    }
}

impl Script {
    /// The rule for a step; it counts as used.
    pub(crate) fn rule(&mut self, host: &HostName, text: &str) -> Rule {
        let fits = |rule: &&mut Rule| {
            rule.times != Some(0)
                && rule.host.as_deref().is_none_or(|h| h == host.as_str())
                && rule.on.as_deref().is_none_or(|on| text.contains(on))
        };
        match self.steps.iter_mut().find(fits) {
            Some(rule) => {
                used(&mut rule.times);
                rule.clone()
            }
            None => Rule::default(),
        }
    }

    /// What is kept of a task.
    pub(crate) fn remains(&mut self, task: &str) -> Option<Remains> {
        let fits = |r: &&mut Remains| r.task.as_deref().is_none_or(|t| t == task);
        let remains = self.kept.iter_mut().find(fits)?;
        let now = remains.clone();
        remains.running = remains.running.saturating_sub(1);
        Some(now)
    }

    /// Why a host does not let anyone in now; it counts as used.
    pub(crate) fn refusal(&mut self, host: &HostName) -> Option<Refusal> {
        let refusal = self.refuse.iter_mut().find(|r| r.speaks_of(host))?;
        if refusal.after > 0 {
            refusal.after -= 1;
            return None;
        }
        used(&mut refusal.times);
        Some(refusal.clone())
    }
}
