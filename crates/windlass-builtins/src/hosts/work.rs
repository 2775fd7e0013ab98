//! Steps with their secrets put in: what a conversation does.

use std::path::Path;
use std::time::Duration;

use windlass_engine::secrets::Secrets;
use windlass_model::step::{As, Endpoint, Put, PutSource, Reply, Run, Step, Via, Want};
use windlass_model::{SecretValue, Text};

use super::script;

/// One thing to do.
pub(crate) enum Work {
    /// A program of the shell.
    Run(RunWork),
    /// A file.
    Put(PutWork),
    /// A socket.
    Dial(DialWork),
    /// A request.
    Http(HttpWork),
    /// Nothing here: the executor says it.
    Log,
    /// It cannot be done.
    Impossible(String),
}

/// A program of the shell.
pub(crate) struct RunWork {
    pub(crate) script: String,
    pub(crate) env: Vec<(String, SecretValue)>,
    pub(crate) cwd: Option<String>,
    pub(crate) user: As,
    pub(crate) want: Want,
}

/// A file.
#[derive(Clone)]
pub(crate) struct PutWork {
    pub(crate) put: Put,
    /// The contents, unless they are in a file.
    pub(crate) bytes: Option<SecretValue>,
}

impl Work {
    /// The local file that it puts.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::Put(work) => match &work.put.source {
                PutSource::File { path, .. } => Some(path),
                PutSource::Bytes(_) => None,
            },
            _ => None,
        }
    }
}

/// A socket.
#[derive(Clone)]
pub(crate) struct DialWork {
    pub(crate) via: Via,
    pub(crate) to: Endpoint,
    pub(crate) send: SecretValue,
    pub(crate) answer: bool,
    pub(crate) limit: Duration,
}

/// A request.
#[derive(Clone)]
pub(crate) struct HttpWork {
    pub(crate) via: Via,
    pub(crate) method: String,
    pub(crate) url: SecretValue,
    pub(crate) headers: Vec<(String, SecretValue)>,
    pub(crate) body: Option<SecretValue>,
    pub(crate) proxy: Option<SecretValue>,
    pub(crate) limit: Duration,
}

impl Work {
    /// Puts the secrets in. What no shell could take is impossible.
    pub(crate) fn new(step: Step, secrets: &Secrets) -> Self {
        Self::try_new(step, secrets).unwrap_or_else(Self::Impossible)
    }

    fn try_new(step: Step, secrets: &Secrets) -> Result<Self, String> {
        let fill = |text: &Text| {
            secrets
                .fill(text)
                .ok_or_else(|| format!("a secret in `{text}` was not resolved"))
        };
        let pairs = |pairs: &[(String, Text)]| {
            pairs
                .iter()
                .map(|(name, value)| Ok((name.clone(), fill(value)?)))
                .collect::<Result<Vec<_>, String>>()
        };
        Ok(match step {
            Step::Run(run) => {
                check_run(&run)?;
                let env = pairs(&run.env)?;
                if let Some((name, _)) = env.iter().find(|(_, v)| v.expose().contains('\0')) {
                    return Err(format!("the value of `{name}` holds a NUL byte"));
                }
                Self::Run(RunWork {
                    script: run.script,
                    env,
                    cwd: run.cwd,
                    user: run.user,
                    want: run.want,
                })
            }
            Step::Put(put) => {
                check_put(&put)?;
                let bytes = match &put.source {
                    PutSource::Bytes(text) => Some(fill(text)?),
                    PutSource::File { .. } => None,
                };
                Self::Put(PutWork { put, bytes })
            }
            Step::Dial(dial) => Self::Dial(DialWork {
                via: dial.via,
                to: dial.to,
                send: fill(&dial.send)?,
                answer: dial.answer,
                limit: seconds(dial.time_limit),
            }),
            Step::Http(http) => Self::Http(HttpWork {
                via: http.via,
                method: http.method,
                url: fill(&http.url)?,
                headers: pairs(&http.headers)?,
                body: http.body.as_ref().map(fill).transpose()?,
                proxy: http.proxy.as_ref().map(fill).transpose()?,
                limit: seconds(http.time_limit),
            }),
            Step::Log(_) => Self::Log,
        })
    }
}

fn seconds(limit: u32) -> Duration {
    Duration::from_secs(u64::from(limit.max(1)))
}

fn check_run(run: &Run) -> Result<(), String> {
    if run.script.contains('\0') || run.cwd.as_ref().is_some_and(|c| c.contains('\0')) {
        return Err("a program of the shell cannot hold a NUL byte".into());
    }
    match run.env.iter().find(|(name, _)| !script::is_variable(name)) {
        Some((name, _)) => Err(format!("`{name}` is no name of an environment variable")),
        None => Ok(()),
    }
}

fn check_put(put: &Put) -> Result<(), String> {
    let to = &put.to;
    if !to.starts_with('/') || to.ends_with('/') || to.contains('\0') {
        return Err(format!("`{to}` is no absolute path of a file"));
    }
    if put.mode.is_some_and(|m| m > 0o7777) {
        return Err(format!("{:o} is no file mode", put.mode.unwrap_or(0)));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-:$".contains(c);
    match &put.owner {
        Some(o) if o.is_empty() || o.starts_with('-') || !o.chars().all(plain) => Err(format!(
            "`{o}` is no owner: write user, user:group or :group"
        )),
        _ => Ok(()),
    }
}

/// Whether the batch goes on after a reply; as [`Reply::is_wanted`], for a step that was taken apart.
pub(crate) enum Rule {
    /// A program with a wanted status.
    Run(Want),
    /// It must have been possible.
    Must,
    /// Whatever it is.
    Any,
}

impl Rule {
    /// Of a step.
    pub(crate) fn of(step: &Step) -> Self {
        match step {
            Step::Run(run) => Self::Run(run.want.clone()),
            Step::Put(_) | Step::Log(_) => Self::Must,
            Step::Dial(_) | Step::Http(_) => Self::Any,
        }
    }

    /// Whether the batch goes on.
    pub(crate) fn admits(&self, reply: &Reply) -> bool {
        match (self, reply) {
            (Self::Any, _) => true,
            (_, Reply::Impossible(_)) => false,
            (Self::Run(want), Reply::Ran { status, .. }) => want.admits(*status),
            (Self::Run(_) | Self::Must, _) => true,
        }
    }
}
