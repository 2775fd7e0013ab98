//! Locks on hosts: one run at a time changes a host, and a run that was held up for too long changes nothing more.
//!
//! [`take`] takes the locks of a run, all or none. Each lasts for a lease, by the host's own clock, and is renewed as
//! long as the run lives. Before the executor sends anything it asks [`Locks`] whether the lease may have run out
//! meanwhile, and if so asks the host; and every batch that goes to a locked host begins with a guard, which ends it there when
//! the lock is no longer the run's.

mod answer;
mod keep;
mod look;
mod script;
mod take;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use windlass_model::event::What;
use windlass_model::ids::{HostName, RunId, TaskId};
use windlass_model::outcome::{Failure, FailureKind};
use windlass_model::step::{As, Level, Reply, Run, Step, Want};

pub use answer::{Found, LockState};
pub use look::{Unlocked, look, unlock};
pub use take::{Conflict, NotTaken, take};

use crate::events::{Events, now_micros};
use crate::host::{Batch, Heard, HostError, HostErrorKind, Hosts};
use answer::{Answer, Is};

/// How long a lock lasts unless it is renewed.
pub const LEASE: Duration = Duration::from_secs(60);
/// The shortest lease.
pub const SHORTEST_LEASE: Duration = Duration::from_secs(2);
/// Hosts that are asked at once.
const AT_ONCE: usize = 64;
/// How long a host may take to answer.
const ANSWER: Duration = Duration::from_secs(20);

/// Who wants locks, and how.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The run. Its own locks are had at once, also those that an earlier process took for it.
    pub run: RunId,
    /// A run that is known to be dead, and that this one takes back: its locks are had before they expire.
    pub after: Option<RunId>,
    /// `user@machine`.
    pub by: String,
    /// This process.
    pub pid: u32,
    /// On which hosts.
    pub hosts: Vec<HostName>,
    /// As which user (none: as configured). Locks of different users of one host know nothing of each other.
    pub user: Option<String>,
    /// How long a lock lasts unless it is renewed, in whole seconds.
    pub lease: Duration,
    /// How long to wait for locks that others have.
    pub wait: Duration,
}

impl Claim {
    fn user_of(&self, host: &HostName) -> Option<&str> {
        self.user.as_deref().filter(|_| !host.is_local())
    }
}

/// The locks of a run.
pub struct Locks {
    claim: Claim,
    token: String,
    hosts: Arc<dyn Hosts>,
    events: Events,
    states: Mutex<BTreeMap<HostName, State>>,
    renewing: Mutex<Option<JoinHandle<()>>>,
    /// When others had these hosts last, and which run, as far as taking them told.
    before: Mutex<Vec<(std::time::Instant, HostName, String)>>,
}

/// Where a lock stands, as far as is known here.
#[derive(Clone, Debug)]
enum State {
    /// The host was not reached; it is locked when something is to be done there after all. It may be locked
    /// already when the link was lost before the answer came.
    Unreached {
        maybe: bool,
    },
    Held {
        until: Deadline,
        directory: String,
    },
    Lost(String),
}

/// When a lease may have run out. Two clocks are asked: one stands still while the machine sleeps, the other may be set.
#[derive(Clone, Copy, Debug)]
struct Deadline {
    steady: Instant,
    wall: i64,
}

impl Deadline {
    /// Of a lease that began no earlier than now.
    fn after(lease: Duration) -> Self {
        let sure = lease.mul_f64(0.8);
        Self {
            steady: Instant::now() + sure,
            wall: now_micros() + i64::try_from(sure.as_micros()).unwrap_or(0),
        }
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.steady || now_micros() >= self.wall
    }
}

/// What is to be asked of a host before anything else is sent there.
pub(crate) struct Doubt {
    pub(crate) step: Step,
    pub(crate) user: Option<String>,
    until: Deadline,
}

impl Locks {
    /// Whether anything may be sent on behalf of `host`: nothing is in doubt, or this is to be asked there first.
    ///
    /// # Errors
    ///
    /// A lock of the run was lost, on whichever host.
    pub(crate) fn doubt(&self, host: &HostName) -> Result<Option<Doubt>, Failure> {
        if let Some(why) = self.lost() {
            return Err(Failure::new(FailureKind::Lock, why));
        }
        let text = match self.states().get(host) {
            Some(State::Held { until, .. }) if until.is_over() => {
                script::renew(&self.claim, &self.token)
            }
            Some(State::Unreached { .. }) => script::take(&self.claim, &self.token, false),
            _ => return Ok(None),
        };
        Ok(Some(Doubt {
            step: step(text),
            user: self.claim.user_of(host).map(str::to_owned),
            until: Deadline::after(self.claim.lease),
        }))
    }

    /// What `host` answered.
    ///
    /// # Errors
    ///
    /// It is not locked by this run.
    pub(crate) fn settle(
        &self,
        host: &HostName,
        doubt: &Doubt,
        reply: &Reply,
    ) -> Result<(), Failure> {
        let lock = |why: String| Failure::new(FailureKind::Lock, why);
        let answer = answer_of(reply).map_err(|why| lock(format!("{host}: its lock: {why}")))?;
        match answer.is {
            Is::Renewed | Is::Taken | Is::TakenOver => {
                self.hold(host, doubt.until, &answer);
                Ok(())
            }
            Is::Lost => Err(lock(self.lose(host, Some(&answer.found)))),
            _ => Err(lock(format!("{host} is {}", answer.found))),
        }
    }

    /// The step that ends a batch on `host` when the lock is not the run's any more, if the host is locked.
    pub(crate) fn guard(&self, host: &HostName, user: Option<&str>, rights: &As) -> Option<Step> {
        let states = self.states();
        let State::Held { directory, .. } = states.get(host)? else {
            return None;
        };
        if user != self.claim.user_of(host) {
            return None;
        }
        let as_root = *rights == As::root();
        let text = script::guard(directory, self.claim.run.as_str(), &self.token, as_root);
        let mut run = Run::script(text).want(Want::Status(0));
        if as_root {
            run.user = rights.clone();
        }
        Some(run.into())
    }

    /// A guard said no.
    pub(crate) fn refused(&self, host: &HostName) -> Failure {
        Failure::new(FailureKind::Lock, self.lose(host, None))
    }

    /// Why nothing new may begin: a lock was lost.
    pub(crate) fn lost(&self) -> Option<String> {
        self.states().values().find_map(|state| match state {
            State::Lost(why) => Some(why.clone()),
            _ => None,
        })
    }

    /// Whether all of these hosts are among those that were locked.
    pub fn covers(&self, names: &[HostName]) -> bool {
        names.iter().all(|name| self.claim.hosts.contains(name))
    }

    /// Says so when another run had any of the hosts later than this: what was learned of them since then may not be true
    /// any more. Errs on the side of yes by seconds.
    pub fn changed_since(&self, began: std::time::Instant) -> Option<String> {
        let before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, host, run) = before
            .iter()
            .find(|(until, _, _)| *until + Duration::from_secs(2) >= began)?;
        Some(match run.as_str() {
            "-" => format!("{host} was unlocked"),
            run => format!("run {run} has changed {host}"),
        })
    }

    /// Notes who had a host until now, or until it was given back.
    fn note_before(&self, host: &HostName, found: &Found) {
        let other = found.run != self.claim.run.as_str() && found.taken > 0;
        let age = match found.state {
            LockState::Free => u64::try_from(found.now - found.taken).unwrap_or(0),
            _ => 0,
        };
        let until = std::time::Instant::now().checked_sub(Duration::from_secs(age));
        if let Some(until) = until.filter(|_| other) {
            let entry = (until, host.clone(), found.run.clone());
            self.before
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(entry);
        }
    }

    fn hold(&self, host: &HostName, until: Deadline, answer: &Answer) {
        let directory = answer.found.directory.clone();
        let mut states = self.states();
        if !matches!(states.get(host), Some(State::Lost(_))) {
            states.insert(host.clone(), State::Held { until, directory });
        }
    }

    /// Notes that a lock is lost, and says so once.
    fn lose(&self, host: &HostName, found: Option<&Found>) -> String {
        let now = match found {
            Some(found) => format!("it is {found} now"),
            None => "somebody took it over or unlocked it".to_owned(),
        };
        let why = format!("{host}: the lock of this run is lost, {now}; nothing more is done");
        let before = self.states().insert(host.clone(), State::Lost(why.clone()));
        if let Some(State::Lost(before)) = before {
            self.states()
                .insert(host.clone(), State::Lost(before.clone()));
            return before;
        }
        say(&self.events, Level::Error, Some(host), &why);
        why
    }

    fn states(&self) -> MutexGuard<'_, BTreeMap<HostName, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A log line, from where nobody can wait.
fn say(events: &Events, level: Level, host: Option<&HostName>, message: &str) {
    events.log(level, COMPONENT, host, None, message);
}

/// A log line.
async fn tell(events: &Events, level: Level, host: Option<&HostName>, message: String) {
    let what = What::Log {
        level,
        component: COMPONENT.into(),
        host: host.cloned(),
        tag: None,
        message,
    };
    events.send(what).await;
}

const COMPONENT: &str = "Locks";

fn step(text: String) -> Step {
    Run::script(text).want(Want::Any).into()
}

fn answer_of(reply: &Reply) -> Result<Answer, String> {
    match reply {
        Reply::Ran { stdout, stderr, .. } => answer::read(stdout).map_err(|why| {
            let said = stderr.trim();
            match said.is_empty() {
                true => why,
                false => format!("{why}: {said}"),
            }
        }),
        _ => Err("no shell answered".into()),
    }
}

/// Why a host did not act on its lock.
enum Unasked {
    /// It cannot be talked to.
    Host(HostError),
    /// It says why.
    Refused(String),
}

/// Asks a host in a conversation of its own.
async fn ask(
    hosts: &dyn Hosts,
    host: &HostName,
    user: Option<&str>,
    text: String,
    limit: Duration,
) -> Result<Answer, Unasked> {
    let asked = async {
        let mut talk = hosts.converse(host, user).await?;
        let batch = Batch {
            task: TaskId::new(0, 0, 0),
            steps: vec![step(text)],
            ahead: false,
            keep: None,
        };
        talk.send(batch, &Arc::default()).await?;
        let reply = loop {
            if let Heard::Reply(_, reply) = talk.hear().await? {
                break reply;
            }
        };
        talk.close().await;
        Ok::<Reply, HostError>(reply)
    };
    let reply = match tokio::time::timeout(limit, asked).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => return Err(Unasked::Host(error)),
        Err(_) => {
            let why = format!("{host}: no answer within {} s", limit.as_secs());
            return Err(Unasked::Host(HostError::new(HostErrorKind::Lost, why)));
        }
    };
    answer_of(&reply).map_err(Unasked::Refused)
}
