//! Renewing locks while the run lives, and giving them back.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use windlass_model::ids::HostName;
use windlass_model::step::Level;

use super::answer::Is;
use super::{ANSWER, AT_ONCE, Deadline, Locks, State, Unasked, ask, script, tell};

/// How long a host may take to give a lock back.
const GOODBYE: Duration = Duration::from_secs(5);

impl Locks {
    /// Gives every lock back and renews none any more. What cannot be given back in a few seconds expires by itself.
    /// May be called again.
    pub async fn release(&self) {
        let renewing = self
            .renewing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(renewing) = renewing {
            renewing.abort();
            let _ = renewing.await;
        }
        self.give_back().await;
    }

    /// Gives back what is held, or may be.
    pub(super) async fn give_back(&self) {
        let held: Vec<HostName> = self
            .states()
            .iter()
            .filter(|(_, state)| {
                matches!(state, State::Held { .. } | State::Unreached { maybe: true })
            })
            .map(|(host, _)| host.clone())
            .collect();
        self.release_all(&held).await;
        self.states()
            .retain(|_, state| matches!(state, State::Lost(_)));
    }

    /// Gives back the locks of these hosts, whether they are known to be held or not.
    pub(super) async fn release_all(&self, hosts: &[HostName]) {
        let mut asked = stream::iter(hosts.to_vec())
            .map(|host| async move {
                let text = script::release(&self.claim, &self.token);
                let user = self.claim.user_of(&host);
                let answer = ask(self.hosts.as_ref(), &host, user, text, GOODBYE).await;
                (host, answer)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((host, answer)) = asked.next().await {
            let why = match answer {
                Ok(_) => continue,
                Err(Unasked::Host(error)) => error.message,
                Err(Unasked::Refused(why)) => why,
            };
            let lease = self.claim.lease.as_secs();
            let message = format!("not unlocked ({why}); its lock expires within {lease} s");
            tell(&self.events, Level::Warning, Some(&host), message).await;
        }
    }

    /// Renews all locks three times a lease, as long as there is somebody who has them.
    pub(super) fn start_renewing(self: &Arc<Self>) {
        let (locks, pause) = (Arc::downgrade(self), self.claim.lease / 3);
        let renewing = tokio::spawn(async move {
            loop {
                let less = f64::from(getrandom::u32().unwrap_or(0) % 100) / 500.0;
                tokio::time::sleep(pause.mul_f64(1.0 - less)).await;
                let Some(locks) = locks.upgrade() else { return };
                locks.renew_all().await;
            }
        });
        *self.renewing.lock().unwrap_or_else(PoisonError::into_inner) = Some(renewing);
    }

    pub(super) async fn renew_all(&self) {
        let held: Vec<HostName> = self
            .states()
            .iter()
            .filter(|(_, state)| matches!(state, State::Held { .. }))
            .map(|(host, _)| host.clone())
            .collect();
        let limit = ANSWER.min(self.claim.lease / 2);
        let mut asked = stream::iter(held)
            .map(|host| async move {
                let until = Deadline::after(self.claim.lease);
                let text = script::renew(&self.claim, &self.token);
                let user = self.claim.user_of(&host);
                let answer = ask(self.hosts.as_ref(), &host, user, text, limit).await;
                (host, until, answer)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((host, until, answer)) = asked.next().await {
            let why = match answer {
                Ok(answer) if answer.is == Is::Renewed => {
                    self.hold(&host, until, &answer);
                    continue;
                }
                Ok(answer) => {
                    self.lose(&host, Some(&answer.found));
                    continue;
                }
                Err(Unasked::Host(error)) => error.message,
                Err(Unasked::Refused(why)) => why,
            };
            // Whatever is sent there next asks again, once it may have expired.
            let message = format!("its lock was not renewed: {why}");
            tell(&self.events, Level::Debug, Some(&host), message).await;
        }
    }
}
