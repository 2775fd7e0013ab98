//! Steps and replies: what is done on a host, as values.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ids::HostName;
use crate::text::Text;

/// The exit status by which a script of ours says that there was nothing to do.
pub const UNCHANGED: i32 = 80;
/// The exit status by which a script of ours says that it was not needed here.
pub const SKIPPED: i32 = 81;

/// One thing done on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Runs a program of the shell.
    Run(Run),
    /// Puts a file there.
    Put(Put),
    /// Talks to a socket.
    Dial(Dial),
    /// Asks by HTTP.
    Http(Http),
    /// Says something; touches no host.
    Log(Say),
}

/// Whose rights a step has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum As {
    /// The user that logged in.
    #[default]
    Login,
    /// Another user, through sudo.
    Sudo(String),
}

impl As {
    /// Root, through sudo.
    pub fn root() -> Self {
        Self::Sudo("root".into())
    }
}

/// A POSIX sh program. It runs in a subshell with an empty standard input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Run {
    /// The program.
    pub script: String,
    /// Set for this program only; the one way by which a secret reaches it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, Text)>,
    /// Where it runs; the home directory if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Whose rights it has.
    pub user: As,
    /// The exit statuses after which the batch goes on.
    pub want: Want,
}

impl Run {
    /// A script of ours: 0, [`UNCHANGED`] and [`SKIPPED`] are wanted.
    pub fn script(script: impl Into<String>) -> Self {
        Self {
            script: script.into(),
            ..Self::default()
        }
    }

    /// With other wanted statuses.
    pub fn want(mut self, want: Want) -> Self {
        self.want = want;
        self
    }
}

impl From<Run> for Step {
    fn from(run: Run) -> Self {
        Step::Run(run)
    }
}

/// The exit statuses after which a batch goes on. After any other the rest of the batch is not run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// Those of our own scripts: 0, [`UNCHANGED`], [`SKIPPED`].
    #[default]
    Ours,
    /// Just this one.
    Status(i32),
    /// Whatever it is, the command looks at it.
    Any,
}

impl Want {
    /// Whether `status` is wanted.
    pub fn admits(&self, status: i32) -> bool {
        match self {
            Self::Ours => matches!(status, 0 | UNCHANGED | SKIPPED),
            Self::Status(wanted) => status == *wanted,
            Self::Any => true,
        }
    }
}

/// Puts a file on the host: only when its SHA-256 differs, under a temporary name that is renamed into place, and
/// verified. The directory must exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Put {
    /// What.
    pub source: PutSource,
    /// The absolute path on the host, of the file itself.
    pub to: String,
    /// Permission bits; those that the user's umask gives if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// `user`, `user:group` or `:group`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Whose rights it has.
    pub user: As,
    /// Whether an existing file may be replaced; when not, an existing file with other contents is a failure.
    pub replace: bool,
}

/// What a [`Put`] puts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PutSource {
    /// A local file.
    File {
        /// Its path here.
        path: PathBuf,
        /// The SHA-256 (lower-case hex) that it must have, when a plan pinned it.
        #[serde(skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
    },
    /// This text.
    Bytes(Text),
}

/// From where a socket is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// From the task's own host.
    #[default]
    Task,
    /// From another host, by the name in the config (`local` is here).
    Host(HostName),
}

/// Talks to a socket: sends, then reads to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dial {
    /// From where.
    pub via: Via,
    /// To what.
    pub to: Endpoint,
    /// What is sent.
    pub send: Text,
    /// Whether the answer is read to its end (at most 1 MiB), or nobody answers.
    pub answer: bool,
    /// Seconds for all of it.
    pub time_limit: u32,
}

/// A socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// Host and port.
    Tcp(String, u16),
    /// A path.
    Unix(String),
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{path}"),
        }
    }
}

/// One request by HTTP/1.1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Http {
    /// From where.
    pub via: Via,
    /// GET, POST, ...
    pub method: String,
    /// `http://` or `https://`.
    pub url: Text,
    /// Besides Host, User-Agent, Content-Length.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, Text)>,
    /// Sent as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Text>,
    /// `http://host:port` of a proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Text>,
    /// Seconds for all of it.
    pub time_limit: u32,
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Say {
    /// How grave.
    pub level: Level,
    /// One line; a secret in it is shown as its reference.
    pub message: Text,
}

/// How grave a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For whoever mends Windlass or a plugin.
    Debug,
    /// What goes on.
    Info,
    /// What may be wrong.
    Warning,
    /// What is wrong.
    Error,
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The program ended.
    Ran {
        /// Its exit status; 128 + N when signal N ended it.
        status: i32,
        /// Its standard output: at most 1 MiB, the rest is cut off; bytes that are no UTF-8 are replaced.
        stdout: String,
        /// Its standard error, likewise.
        stderr: String,
    },
    /// The file is there, and verified.
    Put {
        /// False when it already was there.
        sent: bool,
        /// Size in bytes.
        bytes: u64,
    },
    /// What the socket said: at most 1 MiB.
    Dialed {
        /// As text; bytes that are no UTF-8 are replaced.
        answer: String,
    },
    /// What the server said.
    Http {
        /// Its status code.
        status: u16,
        /// The first 64 KiB of the body, as text.
        body: String,
    },
    /// It was said.
    Logged,
    /// A plugin's command ended.
    Called {
        /// Whether it said yes.
        ok: bool,
        /// What it gave as output.
        output: Option<String>,
    },
    /// The step could not be done: nobody listens, no permission, no space. One line.
    Impossible(String),
}

impl Reply {
    /// Whether the batch goes on after this reply to `step`.
    pub fn is_wanted(&self, step: &Step) -> bool {
        match (self, step) {
            (Self::Ran { status, .. }, Step::Run(run)) => run.want.admits(*status),
            (Self::Impossible(_), Step::Dial(_) | Step::Http(_)) => true,
            (Self::Impossible(_), _) => false,
            (Self::Called { ok, .. }, _) => *ok,
            _ => true,
        }
    }
}
