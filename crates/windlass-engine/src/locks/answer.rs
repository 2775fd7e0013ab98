//! What a host says about its lock.

use std::fmt;

/// What came of an act on a lock, and what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) is: Is,
    pub(super) found: Found,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Is {
    /// It was free, or the run's own.
    Taken,
    /// It had expired.
    TakenOver,
    /// Another run has it.
    Held,
    /// Work of another run goes on there.
    Busy,
    /// What stands there cannot be read.
    Torn,
    Renewed,
    /// It is not ours any more.
    Lost,
    Released,
    Shown,
    /// Something else stands there than what was shown.
    Changed,
}

/// A lock as it was found on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub directory: String,
    /// Seconds since 1970 by the host's clock, when it was asked.
    pub now: i64,
    /// What stands there.
    pub state: LockState,
    /// When it expires unless it is renewed, by the host's clock.
    pub expires: i64,
    /// When it was taken, by the host's clock.
    pub taken: i64,
    /// By which run.
    pub run: String,
    /// The process of Windlass, on the owner's machine.
    pub pid: String,
    /// `user@machine`.
    pub by: String,
    /// Runs whose work goes on there, each with the shell that does it.
    pub busy: Vec<(String, String)>,
    /// Whether its run takes locks still, and may give this one back at once.
    pub(super) taking: bool,
    pub(super) token: String,
    pub(super) at: u64,
}

/// Whether somebody has a lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LockState {
    /// Nobody.
    #[default]
    Free,
    /// Somebody, who may be gone.
    Held,
    /// What stands there cannot be read.
    Torn,
}

impl Found {
    /// Whether it may be taken over when nothing works for its owner any more.
    pub fn has_expired(&self) -> bool {
        self.now >= self.expires
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.state {
            LockState::Free => f.write_str("free")?,
            LockState::Torn => write!(f, "unreadable: entry {} in {}", self.at, self.directory)?,
            LockState::Held => {
                let since = jiff::Timestamp::from_second(self.taken)
                    .map(|at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
                    .unwrap_or_else(|_| self.taken.to_string());
                let left = self.expires - self.now;
                let expiry = match left {
                    ..=0 => format!("it expired {} s ago", -left),
                    _ => format!("it expires in {left} s unless it is renewed"),
                };
                write!(
                    f,
                    "locked by {}: run {}, since {since}; {expiry}",
                    self.by, self.run
                )?;
            }
        }
        for (run, shell) in &self.busy {
            write!(
                f,
                "; work of run {run} goes on there (below process {shell})"
            )?;
        }
        Ok(())
    }
}

/// Reads what a program said.
///
/// # Errors
///
/// Why it could not act: one line.
pub(super) fn read(output: &str) -> Result<Answer, String> {
    let mut found = Found::default();
    let mut is = None;
    for line in output.lines() {
        let Some((key, value)) = line.split_once(' ') else {
            continue;
        };
        match key {
            "no" => return Err(value.to_owned()),
            "now" => found.now = value.parse().unwrap_or(0),
            "dir" => found.directory = value.to_owned(),
            "at" => found.at = value.parse().unwrap_or(0),
            "is" => is = word(value),
            "busy" => {
                let (run, shell) = value.split_once(' ').unwrap_or((value, "?"));
                found.busy.push((run.to_owned(), shell.to_owned()));
            }
            "entry" => entry(&mut found, value),
            _ => {}
        }
    }
    match is {
        Some(is) if found.now > 0 => Ok(Answer { is, found }),
        _ => Err("its shell did not say what came of it".into()),
    }
}

fn word(text: &str) -> Option<Is> {
    Some(match text {
        "taken" => Is::Taken,
        "over" => Is::TakenOver,
        "held" => Is::Held,
        "busy" => Is::Busy,
        "torn" => Is::Torn,
        "renewed" => Is::Renewed,
        "lost" => Is::Lost,
        "released" => Is::Released,
        "shown" => Is::Shown,
        "changed" => Is::Changed,
        _ => return None,
    })
}

fn entry(found: &mut Found, text: &str) {
    let words: Vec<&str> = text.split(' ').collect();
    let &[token, state, expires, taken, run, pid, by] = words.as_slice() else {
        found.state = LockState::Torn;
        return;
    };
    found.state = match state {
        "free" => LockState::Free,
        "held" | "taking" => LockState::Held,
        _ => LockState::Torn,
    };
    found.taking = state == "taking";
    found.token = token.to_owned();
    found.expires = expires.parse().unwrap_or(0);
    found.taken = taken.parse().unwrap_or(0);
    (found.run, found.pid, found.by) = (run.to_owned(), pid.to_owned(), by.to_owned());
}
