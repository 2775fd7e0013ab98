//! What the store of a simulated world holds, and how it is changed: each change whole or not at all.

use std::collections::BTreeMap;

use windlass_model::release::{
    AgentKind, AgentName, Digest, Effect, Environment, Index, Job, JobId, JobState, Micros,
    Project, ReleaseId, TargetName, Transaction, TransactionId, Whole,
};
use windlass_server::app::Change;
use windlass_store::{
    AgentRecord, AgentState, Begun, ChangeError, Entry, Installed, NewTransaction, Registration,
    Release, StoreError,
};

use crate::flaws::Flaw;
use crate::laws::Laws;
use crate::ledger::illegal;

/// A transaction with what belongs to it.
pub(crate) struct Kept {
    pub(crate) whole: Whole,
    pub(crate) history: Vec<Entry>,
    pub(crate) request_key: Option<String>,
    pub(crate) fingerprint: Option<String>,
}

/// Where a row of what is installed stands.
pub(crate) type Cell = (Environment, Project, TargetName, AgentName, String);

/// Everything that is kept.
#[derive(Default)]
pub(crate) struct Data {
    /// The one of number `n` is at `n - 1`.
    pub(crate) transactions: Vec<Kept>,
    places: BTreeMap<TransactionId, usize>,
    of_jobs: BTreeMap<JobId, usize>,
    pub(crate) releases: BTreeMap<ReleaseId, Release>,
    pub(crate) blobs: BTreeMap<Digest, u64>,
    pub(crate) agents: BTreeMap<(AgentKind, AgentName), AgentRecord>,
    pub(crate) installed: BTreeMap<Cell, Installed>,
    pub(crate) locks: BTreeMap<(Environment, TargetName), TransactionId>,
    /// What is wrong with this store, where a world is to be found out.
    pub(crate) flaw: Option<Flaw>,
    changes: u64,
    pub(crate) laws: Laws,
}

impl Data {
    /// Empty.
    pub(crate) fn new(flaw: Option<Flaw>) -> Self {
        Self {
            flaw,
            ..Self::default()
        }
    }

    pub(crate) fn kept(&self, id: &TransactionId) -> Option<&Kept> {
        self.transactions.get(*self.places.get(id)?)
    }

    pub(crate) fn kept_mut(&mut self, id: &TransactionId) -> Option<&mut Kept> {
        self.transactions.get_mut(*self.places.get(id)?)
    }

    pub(crate) fn ids(&self, wanted: impl Fn(&Whole) -> bool) -> Vec<TransactionId> {
        let wanted = self.transactions.iter().filter(|kept| wanted(&kept.whole));
        wanted
            .map(|kept| kept.whole.transaction.id.clone())
            .collect()
    }

    pub(crate) fn jobs(&self, wanted: impl Fn(&Job) -> bool) -> Vec<(TransactionId, Job)> {
        let mut found = Vec::new();
        for Whole { transaction, jobs } in self.transactions.iter().map(|kept| &kept.whole) {
            let jobs = jobs.iter().filter(|job| wanted(job));
            found.extend(jobs.map(|job| (transaction.id.clone(), job.clone())));
        }
        found
    }

    pub(crate) fn job(&self, id: &JobId) -> Option<(&Whole, &Job)> {
        let whole = &self.transactions.get(*self.of_jobs.get(id)?)?.whole;
        Some((whole, whole.job(id)?))
    }

    pub(crate) fn begin(&mut self, new: NewTransaction, now: Micros) -> Result<Begun, ChangeError> {
        let same = |mine: &Option<String>, its: &Option<String>| mine.is_some() && mine == its;
        let known = self.transactions.iter().find(|kept| {
            same(&new.request_key, &kept.request_key) || same(&new.fingerprint, &kept.fingerprint)
        });
        if let Some(known) = known.filter(|_| !self.is_flawed(Flaw::ForgetsRequests)) {
            return Ok(Begun::Known(known.whole.transaction.clone()));
        }
        let place = self.transactions.len();
        let skip = u64::from(self.is_flawed(Flaw::SkipsNumbers) && place > 1);
        let sequence = place as u64 + 1 + skip;
        let id: TransactionId = format!("t{sequence}").parse().map_err(illegal)?;
        let transaction = Transaction {
            id: id.clone(),
            sequence,
            project: new.project,
            action: new.action,
            environment: new.environment,
            request: new.request,
            actor: new.actor,
            phase: new.phase,
            end: None,
            installs: new.installs,
            release: new.release,
            wave: 0,
            max_failures: new.max_failures,
            cancelled: false,
            why: new.why,
            created_at: now,
            ended_at: new.phase.is_over().then_some(now),
        };
        let mut jobs = Vec::new();
        if let Some(build) = new.build {
            let within = build
                .within
                .map(|d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX));
            jobs.push(Job {
                id: format!("t{sequence}.b").parse().map_err(illegal)?,
                kind: AgentKind::Builder,
                target: None,
                agent: None,
                wave: 0,
                state: JobState::Queued,
                attempt: 0,
                epoch: 0,
                lease_until: None,
                deadline: within.map(|within| now.saturating_add(within)),
                result: None,
            });
        }
        let whole = Whole { transaction, jobs };
        let mut kept = Kept {
            whole: whole.clone(),
            history: Vec::new(),
            request_key: new.request_key,
            fingerprint: new.fingerprint,
        };
        append(&mut kept.history, &new.effects, now);
        self.places.insert(id, place);
        self.index(&whole, place);
        self.laws.begun(&whole, place, now);
        self.transactions.push(kept);
        Ok(Begun::New(whole.transaction))
    }

    fn index(&mut self, whole: &Whole, place: usize) {
        for job in &whole.jobs {
            self.of_jobs.insert(job.id.clone(), place);
        }
    }

    /// `Store::change`.
    pub(crate) fn apply(
        &mut self,
        id: &TransactionId,
        change: &mut Change,
        now: Micros,
    ) -> Result<(), ChangeError> {
        let place = *self.places.get(id).ok_or(ChangeError::NoTransaction)?;
        let Some(kept) = self.transactions.get(place) else {
            return Err(ChangeError::NoTransaction);
        };
        let before = kept.whole.clone();
        let mut after = before.clone();
        let mut effects = change(&mut after, now)?;
        if let Some(lost) = before.jobs.iter().find(|job| after.job(&job.id).is_none()) {
            return Err(StoreError::Failed(format!("job {} was lost", lost.id)).into());
        }
        self.changes += 1;
        if let Some(flaw) = self.flaw
            && flaw.spoils(&before, &mut after, &mut effects, self.changes)
        {
            return Ok(());
        }
        self.check(&after.transaction, &effects)?;
        for effect in &effects {
            self.effect(&after.transaction, effect, now)?;
        }
        self.index(&after, place);
        if let Some(kept) = self.transactions.get_mut(place) {
            append(&mut kept.history, &effects, now);
            kept.whole = after.clone();
        }
        let locks = &self.locks;
        self.laws
            .changed((&before, &after), &effects, (locks, &self.releases), now);
        Ok(())
    }

    /// Whether all effects can be.
    fn check(&self, transaction: &Transaction, effects: &[Effect]) -> Result<(), ChangeError> {
        for effect in effects {
            match effect {
                Effect::Lock {
                    environment,
                    target,
                } => {
                    let key = (environment.clone(), target.clone());
                    if let Some(by) = self.locks.get(&key)
                        && *by != transaction.id
                        && !self.is_flawed(Flaw::IgnoresLocks)
                    {
                        return Err(ChangeError::Busy { by: by.clone() });
                    }
                }
                Effect::Release { index } => self.may_import(index)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn effect(
        &mut self,
        transaction: &Transaction,
        effect: &Effect,
        now: Micros,
    ) -> Result<(), ChangeError> {
        match effect {
            Effect::History { .. } => {}
            Effect::Release { index } => self.import(index, Some(&transaction.id), now)?,
            Effect::Lock {
                environment,
                target,
            } => {
                let key = (environment.clone(), target.clone());
                self.locks.insert(key, transaction.id.clone());
            }
            Effect::Unlock => self.locks.retain(|_, by| *by != transaction.id),
            Effect::Installed {
                environment,
                target,
                agent,
                host,
                release,
            } => {
                let cell = (
                    environment.clone(),
                    release.project.clone(),
                    target.clone(),
                    agent.clone(),
                    host.clone(),
                );
                let by = self.installed.get(&cell);
                let by = by.and_then(|row| self.kept(&row.transaction));
                if by.is_some_and(|by| by.whole.transaction.sequence > transaction.sequence) {
                    return Ok(());
                }
                let previous_good = match self.installed.get(&cell) {
                    Some(there) if there.release == *release => there.previous_good.clone(),
                    there => there.map(|there| there.release.clone()),
                };
                let row = Installed {
                    environment: environment.clone(),
                    target: target.clone(),
                    agent: agent.clone(),
                    host: host.clone(),
                    release: release.clone(),
                    previous_good,
                    transaction: transaction.id.clone(),
                    at: now,
                };
                self.installed.insert(cell, row);
            }
        }
        Ok(())
    }

    fn may_import(&self, index: &Index) -> Result<(), ChangeError> {
        let id = index.release();
        match self.releases.get(&id) {
            Some(there) if there.index == *index => return Ok(()),
            Some(_) if self.is_flawed(Flaw::ChangesReleases) => return Ok(()),
            Some(_) => return Err(illegal(format!("release {id} exists and is another one"))),
            None => {}
        }
        for (target, item) in &index.targets {
            if self.blobs.get(&item.digest) != Some(&item.size) {
                return Err(illegal(format!("the blob of {target} of {id} is not here")));
            }
        }
        Ok(())
    }

    pub(crate) fn import(
        &mut self,
        index: &Index,
        transaction: Option<&TransactionId>,
        now: Micros,
    ) -> Result<(), ChangeError> {
        self.may_import(index)?;
        let id = index.release();
        if self
            .releases
            .get(&id)
            .is_some_and(|there| there.index == *index)
        {
            return Ok(());
        }
        let release = Release {
            index: index.clone(),
            rejected: None,
            transaction: transaction.cloned(),
            created_at: now,
        };
        self.laws.released(self.releases.get(&id), &release);
        self.releases.insert(id, release);
        Ok(())
    }

    pub(crate) fn register(&mut self, new: Registration, now: Micros) -> Option<AgentRecord> {
        let kind = new.advertisement.kind();
        let key = (kind, new.name.clone());
        let known = self.agents.get(&key);
        if known.is_some_and(|known| new.is_older_than(known)) {
            return None;
        }
        let record = AgentRecord {
            id: format!("{}-{}", kind.as_str(), new.name),
            kind,
            name: new.name,
            incarnation: new.incarnation,
            slots: new.slots,
            advertisement: new.advertisement,
            credential_hash: new
                .credential_hash
                .or_else(|| known.and_then(|known| known.credential_hash.clone())),
            state: known.map_or(AgentState::Active, |known| known.state),
            registered_at: now,
            seen_at: now,
        };
        self.agents.insert(key, record.clone());
        Some(record)
    }

    fn is_flawed(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }
}

fn append(history: &mut Vec<Entry>, effects: &[Effect], now: Micros) {
    for effect in effects {
        if let Effect::History {
            actor,
            what,
            detail,
        } = effect
        {
            history.push(Entry {
                number: history.len() as u64 + 1,
                at: now,
                actor: actor.clone(),
                what: (*what).to_owned(),
                detail: detail.clone(),
            });
        }
    }
}
