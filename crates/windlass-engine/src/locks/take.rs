//! Taking locks, all or none.
//!
//! All hosts are asked at once. When some are locked by another run, what was taken is given back before anything
//! waits, so two runs never wait for each other. Where both have only just begun, the one with the smaller id keeps
//! what it has and asks again for the rest, so that one of them goes on.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;
use windlass_model::ids::HostName;
use windlass_model::step::Level;

use super::answer::Is;
use super::{ANSWER, AT_ONCE, Claim, Deadline, Found, Locks, State, Unasked, ask, script, tell};
use crate::events::Events;
use crate::host::{HostErrorKind, Hosts};
use crate::interrupt::Interrupt;

/// How long a run that takes locks still, and may give them back, is waited for by one that is not told to wait.
const GRACE: Duration = Duration::from_secs(15);
/// How often somebody who waits is told so.
const TOLD: Duration = Duration::from_secs(30);
/// Between two tries, in milliseconds: from, and how much more by chance.
const PAUSE: (u64, u32) = (100, 400);
/// Hosts that a message names.
const NAMED: usize = 5;

/// Why a run has no locks.
#[derive(Debug)]
pub enum NotTaken {
    /// Others have them.
    Held(Vec<Conflict>),
    /// A host that can be reached cannot be locked.
    Impossible(HostName, String),
    /// There are no random numbers.
    NoToken,
    /// The operator stopped it.
    Interrupted,
}

/// Hosts that one run has.
#[derive(Clone, Debug)]
pub struct Conflict {
    /// Which.
    pub hosts: Vec<HostName>,
    /// What stands on the first of them.
    pub found: Found,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<&str> = self
            .hosts
            .iter()
            .take(NAMED)
            .map(HostName::as_str)
            .collect();
        let names = named.join(", ");
        match self.hosts.len() {
            1 => write!(f, "{names} is {}", self.found),
            n if n > NAMED => write!(f, "{names} and {} more are {}", n - NAMED, self.found),
            _ => write!(f, "{names} are {}", self.found),
        }
    }
}

/// One try.
#[derive(Default)]
struct Round {
    conflicts: BTreeMap<HostName, Found>,
    impossible: Option<(HostName, String)>,
}

/// Takes the locks of a run and renews them from then on; give them back with [`Locks::release`]. A host that cannot be
/// reached is passed over, and locked when something is to be done there after all.
///
/// Ends within the claim's wait, or some seconds where another run has only just begun, besides the time that hosts
/// take to answer. Nothing is held after an error.
///
/// # Errors
///
/// See [`NotTaken`].
pub async fn take(
    claim: Claim,
    hosts: Arc<dyn Hosts>,
    events: &Events,
    mut interrupt: Interrupt,
) -> Result<Arc<Locks>, NotTaken> {
    let mut token = [0u8; 12];
    getrandom::fill(&mut token).map_err(|_| NotTaken::NoToken)?;
    let locks = Arc::new(Locks {
        token: token.iter().map(|b| format!("{b:02x}")).collect(),
        hosts,
        events: events.clone(),
        states: Mutex::default(),
        renewing: Mutex::default(),
        before: Mutex::default(),
        claim,
    });
    let begun = Instant::now();
    let mut told: Option<Instant> = None;
    let mut wanted = locks.claim.hosts.clone();
    loop {
        let round = tokio::select! {
            round = locks.round(&wanted) => round,
            // before that what is under way may yet be taken
            () = interrupt.reached(2) => {
                locks.release_all(&wanted).await;
                return Err(NotTaken::Interrupted);
            }
        };
        if interrupt.times() > 0 {
            locks.give_back().await;
            return Err(NotTaken::Interrupted);
        }
        if let Some((host, why)) = round.impossible {
            locks.give_back().await;
            return Err(NotTaken::Impossible(host, why));
        }
        if round.conflicts.is_empty() {
            if locks.claim.hosts.len() > 1 {
                locks.renew_all().await;
            }
            locks.start_renewing();
            return Ok(locks);
        }
        let all = |test: &dyn Fn(&Found) -> bool| round.conflicts.values().all(test);
        let fresh = all(&|found| found.taking && found.busy.is_empty());
        let (waited, wait) = (begun.elapsed(), locks.claim.wait);
        if waited >= wait && !(fresh && waited < GRACE) {
            locks.give_back().await;
            return Err(NotTaken::Held(grouped(&round.conflicts)));
        }
        let first = fresh && all(&|found| found.run.as_str() > locks.claim.run.as_str());
        wanted = if first {
            round.conflicts.keys().cloned().collect()
        } else {
            locks.give_back().await;
            locks.claim.hosts.clone()
        };
        if !wait.is_zero() && told.is_none_or(|at| at.elapsed() >= TOLD) {
            told = Some(Instant::now());
            let left = wait.saturating_sub(waited).as_secs();
            for conflict in grouped(&round.conflicts) {
                let message = format!("waiting up to {left} s: {conflict}");
                tell(events, Level::Info, conflict.hosts.first(), message).await;
            }
        }
        let chance = getrandom::u32().unwrap_or(0) % PAUSE.1;
        let pause = Duration::from_millis(PAUSE.0 + u64::from(chance));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = interrupt.reached(1) => {
                locks.give_back().await;
                return Err(NotTaken::Interrupted);
            }
        }
    }
}

impl Locks {
    /// Asks all of these hosts for their locks.
    async fn round(&self, wanted: &[HostName]) -> Round {
        let mut round = Round::default();
        let mut asked = stream::iter(wanted.to_vec())
            .map(|host| async move {
                let until = Deadline::after(self.claim.lease);
                let text = script::take(&self.claim, &self.token, self.claim.hosts.len() > 1);
                let user = self.claim.user_of(&host);
                let answer = ask(self.hosts.as_ref(), &host, user, text, ANSWER).await;
                (host, until, answer)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((host, until, answer)) = asked.next().await {
            if let Ok(answer) = &answer {
                self.note_before(&host, &answer.found);
            }
            match answer {
                Ok(answer) => match answer.is {
                    Is::Taken => self.hold(&host, until, &answer),
                    Is::TakenOver => {
                        self.hold(&host, until, &answer);
                        let message = format!(
                            "taken over a lock that was not renewed: it was {}",
                            answer.found
                        );
                        tell(&self.events, Level::Warning, Some(&host), message).await;
                    }
                    _ => {
                        round.conflicts.insert(host.clone(), answer.found);
                    }
                },
                Err(Unasked::Host(error)) => {
                    let maybe = error.kind == HostErrorKind::Lost;
                    let message = format!("not locked, since it cannot be reached: {error}");
                    tell(&self.events, Level::Warning, Some(&host), message).await;
                    self.states()
                        .insert(host.clone(), State::Unreached { maybe });
                }
                Err(Unasked::Refused(why)) => {
                    round.impossible.get_or_insert((host.clone(), why));
                }
            }
        }
        round
    }
}

/// Conflicts by the run that has them.
fn grouped(conflicts: &BTreeMap<HostName, Found>) -> Vec<Conflict> {
    let mut groups: Vec<Conflict> = Vec::new();
    for (host, found) in conflicts {
        let same = |group: &&mut Conflict| {
            let of = |found: &Found| (found.state, found.run.clone(), found.by.clone());
            of(&group.found) == of(found) && group.found.busy.is_empty() == found.busy.is_empty()
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.hosts.push(host.clone()),
            None => groups.push(Conflict {
                hosts: vec![host.clone()],
                found: found.clone(),
            }),
        }
    }
    groups
}
