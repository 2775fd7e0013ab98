//! Opens a shell on a host: through sudo where another user's rights are wanted.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use windlass_engine::host::{HostError, HostErrorKind};
use windlass_model::SecretValue;
use windlass_model::step::As;

use super::marker::Splitter;
use super::script;
use super::transport::{Patience, Process, Said, StartError, Transport};

/// How long a shell, or sudo, may take to answer.
pub(crate) const ANSWER: Duration = Duration::from_secs(30);
/// What is kept of the noise before the first answer.
pub(crate) const NOISE: usize = 8 * 1024;

/// How shells are opened on one host.
pub(crate) struct Door {
    /// The way there.
    pub(crate) transport: Arc<dyn Transport>,
    /// `sh`.
    pub(crate) shell: String,
    /// For sudo; none: sudo must not ask.
    pub(crate) password: Option<SecretValue>,
}

/// A shell that reads programs on its standard input.
pub(crate) struct Opened {
    /// The shell.
    pub(crate) process: Process,
    /// Of its marks.
    pub(crate) nonce: String,
    /// Of its standard output.
    pub(crate) out: Splitter,
    /// Of its standard error.
    pub(crate) err: Splitter,
}

impl Door {
    /// Starts a shell with the rights of `user`. Ends within 30 s, besides waiting for a turn.
    pub(crate) async fn open(&self, user: &As, patience: Patience) -> Result<Opened, StartError> {
        if let As::Sudo(name) = user
            && !script::is_user_name(name)
        {
            return Err(self
                .error(
                    HostErrorKind::Denied,
                    format!("`{name}` is no user name for sudo"),
                )
                .into());
        }
        let nonce = script::nonce()
            .map_err(|e| self.error(HostErrorKind::Shell, format!("no random numbers: {e}")))?;
        let line = script::start_line(user, &self.shell, &nonce, self.password.is_some());
        let process = self.transport.start(&line, patience).await?;
        let mut opened = Opened {
            out: Splitter::new(&nonce),
            err: Splitter::new(&nonce),
            process,
            nonce,
        };
        if let As::Sudo(name) = user {
            tokio::time::timeout(ANSWER, self.pass_sudo(name, &mut opened))
                .await
                .map_err(|_| {
                    let message = format!(
                        "sudo to {name} did not answer within {} s",
                        ANSWER.as_secs()
                    );
                    self.error(HostErrorKind::Denied, message)
                })??;
        }
        Ok(opened)
    }

    /// Writes the password when, and only when, sudo asked for it, and waits until the shell behind it runs: what
    /// is sent before that would be taken for a password.
    async fn pass_sudo(&self, user: &str, opened: &mut Opened) -> Result<(), HostError> {
        let prompt = script::prompt(&opened.nonce);
        let ready = format!("{}\n", script::ready(&opened.nonce));
        let (mut out, mut err, mut asked) = (Vec::new(), Vec::new(), 0);
        loop {
            match opened.process.events.recv().await {
                Some(Said::Out(bytes)) => {
                    extend(&mut out, &bytes);
                    if contains(&out, ready.as_bytes()) {
                        return Ok(());
                    }
                }
                Some(Said::Err(bytes)) => extend(&mut err, &bytes),
                Some(Said::Exit(None)) | None => {
                    return Err(self.error(
                        HostErrorKind::Lost,
                        "the link was lost while sudo was asked".into(),
                    ));
                }
                Some(Said::Exit(Some(_))) => return Err(self.denied(user, &err)),
            }
            let prompts = count(&err, prompt.as_bytes());
            if prompts > asked {
                asked = prompts;
                let Some(password) = self.password.as_ref().filter(|_| asked == 1) else {
                    let message = format!("sudo to {user}: the password is wrong");
                    return Err(self.error(HostErrorKind::Denied, message));
                };
                let mut line = zeroize_line(password);
                let _ = opened.process.stdin.write_all(&line).await;
                let _ = opened.process.stdin.flush().await;
                line.fill(0);
            }
        }
    }

    fn denied(&self, user: &str, err: &[u8]) -> HostError {
        let text = String::from_utf8_lossy(err);
        let said = text
            .lines()
            .map(str::trim)
            .find(|l| l.contains("sudo") || l.contains("not found") || l.contains("restricted"))
            .or_else(|| text.lines().map(str::trim).find(|l| !l.is_empty()))
            .unwrap_or("it ended without a word");
        let hint = if self.password.is_none() && said.contains("password") {
            ": give a sudo password, or let the user run it with NOPASSWD"
        } else {
            ""
        };
        self.error(
            HostErrorKind::Denied,
            format!("sudo to {user} failed: {said}{hint}"),
        )
    }

    /// Why there was no answer of the shell: it ended, after it printed this.
    pub(crate) fn no_shell(&self, status: Option<i32>, noise: &[u8]) -> HostError {
        let text = String::from_utf8_lossy(noise);
        let said = text
            .lines()
            .map(str::trim)
            .rfind(|l| !l.is_empty())
            .unwrap_or("");
        match status {
            None => self.error(
                HostErrorKind::Lost,
                "the link was lost before sh answered".into(),
            ),
            Some(_) if said.contains("restricted") => self.error(
                HostErrorKind::Shell,
                format!(
                    "the login shell is a restricted one ({said}): give the user an ordinary shell"
                ),
            ),
            Some(status) => {
                let said = if said.is_empty() { "no message" } else { said };
                self.error(
                    HostErrorKind::Shell,
                    format!("no sh there (exit status {status}): {said}"),
                )
            }
        }
    }

    /// It did not answer in time.
    pub(crate) fn silent_shell(&self) -> HostError {
        let message = format!("sh did not answer within {} s", ANSWER.as_secs());
        self.error(HostErrorKind::Shell, message)
    }

    fn error(&self, kind: HostErrorKind, message: String) -> HostError {
        HostError::new(kind, format!("{}: {message}", self.transport.host()))
    }
}

fn zeroize_line(password: &SecretValue) -> Vec<u8> {
    let mut line = Vec::with_capacity(password.expose().len() + 1);
    line.extend_from_slice(password.expose().as_bytes());
    line.push(b'\n');
    line
}

fn extend(kept: &mut Vec<u8>, bytes: &[u8]) {
    kept.extend_from_slice(bytes);
    if kept.len() > 2 * NOISE {
        kept.drain(..kept.len() - NOISE);
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    count(bytes, wanted) > 0
}

fn count(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).filter(|w| *w == wanted).count()
}
