//! Agents ask for work, and keep the right to what they have.

use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use windlass_model::release::machine::{self, Verdict};
use windlass_model::release::{
    Advertisement, AgentKind, Epoch, Job, JobId, JobState, Project, TransactionId, Whole,
};
use windlass_store::{AgentRecord, AgentState, ChangeError};
use windlass_wire::agent::{Given, Held, LONGEST_WAIT, Poll, Polled};

use super::agents::MOST_HELD;
use super::handed::Handed;
use super::wake::{Offers, Turn};
use super::{AgentLogin, App, AppError, AppResult};

/// Jobs that one poll gives at most.
const JOBS_A_POLL: u32 = 64;
/// Work is looked for so often at least while an agent waits; more often where it holds leases that are short, which are renewed
/// then.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// What a builder builds.
fn projects(agent: &AgentRecord) -> impl Iterator<Item = &Project> {
    let projects = match &agent.advertisement {
        Advertisement::Projects(projects) => Some(projects),
        Advertisement::Environments(_) => None,
    };
    projects.into_iter().flatten()
}

impl App {
    /// Renews what an agent holds, and gives it work as soon as there is some; waits for it as long as the poll says.
    pub async fn poll(&self, login: &AgentLogin, poll: Poll, address: &str) -> AppResult<Polled> {
        if poll.held.len() > MOST_HELD {
            return Err(AppError::Malformed(format!(
                "`held` has more than {MOST_HELD} jobs"
            )));
        }
        let store = self.store();
        if !store
            .seen(login.kind, &login.name, &poll.incarnation)
            .await?
        {
            self.newest(login, &poll).await?;
        }
        let wait = Duration::from_secs(u64::from(poll.wait_seconds.min(LONGEST_WAIT)));
        let end = Instant::now() + wait;
        let mut stopping = self.inner.stopping.subscribe();
        let mut polled = Polled {
            revoked: self.renew(login, &poll.held).await?,
            ..Polled::default()
        };
        let signal = self.inner.wake.of_agent(login.kind, &login.name);
        let mut turn: Option<Turn> = None;
        loop {
            // Waiting begins before looking, so that nothing that comes between is missed.
            let mut woken = std::pin::pin!(signal.notified());
            woken.as_mut().enable();
            let agent = self.newest(login, &poll).await?;
            let may_begin = poll.free > 0 && agent.state == AgentState::Active;
            let mut offers = match may_begin {
                true => self.inner.wake.offers(projects(&agent)),
                false => Offers::default(),
            };
            polled.probe = self.to_probe(login, &poll.held).await?;
            polled.probe.retain(|of| !self.was_asked(&of.job));
            if may_begin {
                polled.jobs = self.lease_jobs(login, &agent, &poll, address).await?;
                if let Some(turn) = turn.take() {
                    turn.taken();
                }
            }
            let news =
                !polled.jobs.is_empty() || !polled.probe.is_empty() || !polled.revoked.is_empty();
            if news || Instant::now() >= end || *stopping.borrow() {
                return Ok(polled);
            }
            let again = match poll.held.is_empty() {
                true => LOOK_AGAIN,
                false => LOOK_AGAIN.min(self.settings().lease / 3),
            };
            let until = end.min(Instant::now() + again);
            let is_over = tokio::select! {
                biased;
                woken = timeout_at(until, woken) => woken.is_err() && until == end,
                mine = offers.turn() => { turn = Some(mine); false }
                _ = stopping.changed() => false,
            };
            if !poll.held.is_empty() {
                polled.revoked = self.renew(login, &poll.held).await?;
            } else if is_over {
                return Ok(polled);
            }
        }
    }

    /// The agent, where its newest process is the one that asks.
    async fn newest(&self, login: &AgentLogin, poll: &Poll) -> AppResult<AgentRecord> {
        let agent = self.store().agent(login.kind, &login.name).await?;
        let agent = agent.ok_or_else(|| AppError::Unauthenticated("register again".into()))?;
        if agent.incarnation != poll.incarnation {
            return Err(AppError::Superseded(format!(
                "another {} of the name {} registered since",
                login.kind.as_str(),
                login.name
            )));
        }
        Ok(agent)
    }

    /// Renews leases; gives the jobs that are not the agent's any more, or not wanted.
    async fn renew(&self, login: &AgentLogin, held: &[Held]) -> AppResult<Vec<JobId>> {
        let lease = self.lease();
        let mut revoked = Vec::new();
        for Held { job, epoch } in held {
            let transaction = match self.transaction_of(login, job).await {
                Ok(transaction) => transaction,
                Err(AppError::Unavailable(why)) => return Err(AppError::Unavailable(why)),
                Err(_) => {
                    revoked.push(job.clone());
                    continue;
                }
            };
            let (id, name, epoch) = (job.clone(), login.name.clone(), *epoch);
            let change = move |whole: &mut Whole, now| {
                let wanted = machine::renew(whole, &id, &name, epoch, now, lease)?;
                Ok((wanted, Vec::new()))
            };
            match self.store().change(&transaction, change).await {
                Ok(true) => {}
                Err(ChangeError::Refused(_)) if self.goes_on(login, job, epoch).await? => {}
                Ok(false) | Err(ChangeError::Refused(_) | ChangeError::NoTransaction) => {
                    revoked.push(job.clone());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(revoked)
    }

    /// Whether a job that counts as unknown, since nothing was heard of its installer, goes on there after all.
    async fn goes_on(&self, login: &AgentLogin, job: &JobId, epoch: Epoch) -> AppResult<bool> {
        let Some((transaction, found)) = self.store().job(job).await? else {
            return Ok(false);
        };
        if found.state != JobState::Unknown || found.epoch != epoch {
            return Ok(false);
        }
        let lease = self.lease();
        let (id, name) = (job.clone(), login.name.clone());
        let change = move |whole: &mut Whole, now| {
            let verdict = Verdict::Running { epoch };
            let effects = machine::probed(whole, &id, (&name, ""), epoch, verdict, now, lease)?;
            Ok(((), effects))
        };
        match self.store().change(&transaction, change).await {
            Ok(()) => {
                self.inner.wake.transaction(&transaction);
                Ok(true)
            }
            // Another install has the target by now, and waits for this one to be settled: let it end.
            Err(ChangeError::Busy { .. }) => Ok(true),
            Err(ChangeError::Refused(_) | ChangeError::NoTransaction) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn asked(&self) -> MutexGuard<'_, HashMap<JobId, Option<Instant>>> {
        self.inner
            .asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the installer is not to be asked: it was since it registered, and does not know either, or its answer could not
    /// be taken just now.
    fn was_asked(&self, job: &JobId) -> bool {
        let asked = self.asked();
        asked
            .get(job)
            .is_some_and(|until| until.is_none_or(|until| Instant::now() < until))
    }

    /// It may be asked again.
    pub(super) fn forget_asked(&self, job: &JobId) {
        self.asked().remove(job);
    }

    /// Jobs of an installer whose outcome is not known here.
    async fn to_probe(&self, login: &AgentLogin, held: &[Held]) -> AppResult<Vec<Held>> {
        if login.kind != AgentKind::Installer {
            return Ok(Vec::new());
        }
        let jobs = self.store().unknown_of(login.kind, &login.name).await?;
        let probe = jobs
            .into_iter()
            .filter(|(_, job)| !held.iter().any(|h| h.job == job.id));
        let held = |(_, job): (TransactionId, Job)| Held {
            job: job.id,
            epoch: job.epoch,
        };
        Ok(probe.map(held).collect())
    }

    async fn lease_jobs(
        &self,
        login: &AgentLogin,
        agent: &AgentRecord,
        poll: &Poll,
        address: &str,
    ) -> AppResult<Vec<Given>> {
        let free = poll.free.min(JOBS_A_POLL) as usize;
        let mut given = self.unheard(login, poll).await?;
        given.truncate(free);
        let projects: Vec<Project> = projects(agent).cloned().collect();
        let candidates = self
            .store()
            .leasable(login.kind, &login.name, &projects)
            .await?;
        for (transaction, job) in candidates {
            if given.len() >= free {
                break;
            }
            // What the agent has under an older right is to be given up first.
            if poll.held.iter().any(|held| held.job == job) {
                continue;
            }
            if let Some(job) = self.lease_job(login, &transaction, &job, address).await? {
                let handed = Handed {
                    transaction,
                    job: job.job.clone(),
                    epoch: job.epoch,
                    incarnation: poll.incarnation.clone(),
                };
                self.inner.handed.add(login, handed);
                given.push(job);
            }
        }
        Ok(given)
    }

    /// Jobs that an earlier answer gave to the same process, which has not begun them and does not know of them: that answer was
    /// lost. They are given again, under the same right.
    async fn unheard(&self, login: &AgentLogin, poll: &Poll) -> AppResult<Vec<Given>> {
        let mut given = Vec::new();
        for handed in self.inner.handed.of(login) {
            let found = self.store().whole(&handed.transaction).await?;
            let job = found.as_ref().and_then(|whole| whole.job(&handed.job));
            let is_leased = job.is_some_and(|job| {
                job.state == JobState::Leased
                    && job.epoch == handed.epoch
                    && job.agent.as_ref() == Some(&login.name)
            });
            if !is_leased || handed.incarnation != poll.incarnation {
                self.inner.handed.remove(login, &handed);
                continue;
            }
            if poll.held.iter().any(|held| held.job == handed.job) {
                continue;
            }
            if let Some((whole, job)) = found.as_ref().zip(job) {
                given.extend(self.given(whole, job).await?);
            }
        }
        Ok(given)
    }

    /// Leases one job; none when somebody else was quicker.
    async fn lease_job(
        &self,
        login: &AgentLogin,
        transaction: &TransactionId,
        job: &JobId,
        address: &str,
    ) -> AppResult<Option<Given>> {
        let lease = self.lease();
        let (id, agent, from) = (job.clone(), login.clone(), address.to_owned());
        let change = move |whole: &mut Whole, now| {
            let who = (agent.kind, &agent.name, from.as_str());
            let effects = machine::lease(whole, &id, who, now, lease)?;
            Ok((whole.clone(), effects))
        };
        let whole = match self.store().change(transaction, change).await {
            Ok(whole) => whole,
            Err(
                ChangeError::Refused(_) | ChangeError::NoTransaction | ChangeError::Busy { .. },
            ) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let Some(leased) = whole.job(job).cloned() else {
            return Ok(None);
        };
        let given = self.given(&whole, &leased).await?;
        self.inner.wake.transaction(transaction);
        Ok(given)
    }

    /// What an agent is told of a job that it has a lease of; none: it cannot be done any more, and has failed.
    async fn given(&self, whole: &Whole, leased: &Job) -> AppResult<Option<Given>> {
        let spec = match self.spec(whole, leased).await {
            Err(AppError::Conflict(why)) => {
                let transaction = &whole.transaction.id;
                self.cannot_be_done(transaction, leased, why).await?;
                return Ok(None);
            }
            spec => spec?,
        };
        Ok(Some(Given {
            job: leased.id.clone(),
            epoch: leased.epoch,
            spec,
        }))
    }

    /// What an agent had that has begun anew, and does not have it any more, is nobody's: nothing waits for the end of its lease.
    pub(super) async fn give_up(&self, login: &AgentLogin, held: &[Held]) -> AppResult<()> {
        for (transaction, job) in self.store().held_by(login.kind, &login.name).await? {
            let Job { id, epoch, .. } = job;
            if held.iter().any(|h| h.job == id && h.epoch == epoch) {
                continue;
            }
            let name = login.name.clone();
            let change = move |whole: &mut Whole, now| machine::lost(whole, &id, &name, epoch, now);
            match self.advance(&transaction, change).await {
                Ok(whole) => self.inner.wake.project(&whole.transaction.project),
                // It was settled since.
                Err(ChangeError::Refused(_) | ChangeError::NoTransaction) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// What an agent that registers had in hand: to go on with, to drop, to probe.
    pub(super) async fn take_up(
        &self,
        login: &AgentLogin,
        held: &[Held],
    ) -> AppResult<(Vec<Held>, Vec<JobId>, Vec<Held>)> {
        let drop = self.renew(login, held).await?;
        let keep = held
            .iter()
            .filter(|h| !drop.contains(&h.job))
            .cloned()
            .collect();
        let probe = self.to_probe(login, held).await?;
        probe.iter().for_each(|of| self.forget_asked(&of.job));
        Ok((keep, drop, probe))
    }
}
