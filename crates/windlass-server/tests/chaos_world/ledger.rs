//! What a simulated manager keeps: a store in memory, with the meaning of `windlass_store::Store`, and with its faults.
//!
//! Every operation is at one instant, between two waits: one before it, in which the manager may end and the operation was never,
//! and one after it, in which the manager may end and nobody hears that it was. The store may refuse an operation, and it may do
//! it and say that it failed.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;
use windlass_model::release::machine::Refusal;
use windlass_model::release::{
    Actor, Advertisement, AgentKind, AgentName, Digest, Environment, Index, Job, JobId, JobState,
    Micros, Phase, Project, ReleaseId, Transaction, TransactionId, Whole,
};
use windlass_server::app::{Change, Ledger, Written};
use windlass_store::{
    AgentRecord, AgentState, Begun, ChangeError, Counts, Entry, Installed, InstalledFilter,
    NewTransaction, Registration, Release, StoreError, TransactionFilter,
};

use crate::world::World;

/// The ledger as one process of the manager has it open.
pub(crate) struct Memory {
    world: World,
}

impl Memory {
    pub(crate) fn new(world: World) -> Self {
        Self { world }
    }

    /// Waits before an operation; the store may refuse it.
    async fn before(&self) -> Result<bool, StoreError> {
        let fate = self.world.fate_of_store();
        if !fate.wait.is_zero() {
            sleep(fate.wait).await;
        }
        match fate.refused {
            true => Err(StoreError::Unreachable("the disk is away".into())),
            false => Ok(fate.unheard),
        }
    }

    /// Waits after a change; it may be made and count as failed.
    async fn after(&self, unheard: bool) -> Result<(), StoreError> {
        let wait = self.world.wait_of_store();
        if !wait.is_zero() {
            sleep(wait).await;
        }
        match unheard {
            true => Err(StoreError::Unreachable("the link to it was lost".into())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Ledger for Memory {
    fn cluster_id(&self) -> &str {
        "one"
    }

    async fn now(&self) -> Result<Micros, StoreError> {
        self.before().await?;
        Ok(self.world.now())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.before().await.map(drop)
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.before().await?;
        Ok(Counts::default())
    }

    async fn begin(&self, new: NewTransaction) -> Result<Begun, ChangeError> {
        let unheard = self.before().await?;
        let begun = self.world.data(|data, now| data.begin(new, now));
        self.after(unheard).await?;
        Ok(begun?)
    }

    async fn answered(&self, ids: Vec<TransactionId>) -> Result<Written, StoreError> {
        let unheard = self.before().await?;
        self.world.data(|data, _| {
            for id in ids {
                if let Some(kept) = data.kept_mut(&id) {
                    kept.fingerprint = None;
                }
            }
        });
        self.after(unheard).await?;
        Ok(Box::pin(async { Ok(()) }))
    }

    async fn apply(&self, id: &TransactionId, mut change: Change) -> Result<(), ChangeError> {
        let unheard = self.before().await?;
        let made = self
            .world
            .data(|data, now| data.apply(id, &mut change, now));
        made?;
        self.after(unheard).await?;
        Ok(())
    }

    async fn transaction(&self, id: &TransactionId) -> Result<Option<Transaction>, StoreError> {
        Ok(self.whole(id).await?.map(|whole| whole.transaction))
    }

    async fn transactions(
        &self,
        filter: &TransactionFilter,
    ) -> Result<Vec<Transaction>, StoreError> {
        self.before().await?;
        Ok(self.world.data(|data, _| {
            let all = data
                .transactions
                .iter()
                .rev()
                .map(|kept| &kept.whole.transaction);
            let wanted = all.filter(|t| {
                filter.project.as_ref().is_none_or(|p| t.project == *p)
                    && (filter.environment.as_ref())
                        .is_none_or(|e| t.environment.as_ref() == Some(e))
                    && filter.status.is_none_or(|s| t.status() == s)
                    && filter.phase.is_none_or(|p| t.phase == p)
                    && filter.before.is_none_or(|b| t.sequence < b)
            });
            wanted.take(filter.limit as usize).cloned().collect()
        }))
    }

    async fn whole(&self, id: &TransactionId) -> Result<Option<Whole>, StoreError> {
        self.before().await?;
        Ok(self
            .world
            .data(|data, _| data.kept(id).map(|kept| kept.whole.clone())))
    }

    async fn waiting(&self) -> Result<Vec<TransactionId>, StoreError> {
        self.before().await?;
        Ok(self
            .world
            .data(|data, _| data.ids(|whole| whole.transaction.phase == Phase::Waiting)))
    }

    async fn due(&self, now: Micros) -> Result<Vec<TransactionId>, StoreError> {
        self.before().await?;
        let is_due = |whole: &Whole| {
            let wave = whole.transaction.wave;
            whole.jobs.iter().any(|job| {
                let expired = job.lease_until.is_some_and(|until| until < now);
                let late = job.deadline.is_some_and(|d| d < now) && job.wave <= wave;
                let open = matches!(job.state, JobState::Queued | JobState::Leased);
                (job.state.is_held() && expired) || (open && late)
            })
        };
        Ok(self.world.data(|data, _| data.ids(is_due)))
    }

    async fn history(&self, id: &TransactionId) -> Result<Vec<Entry>, StoreError> {
        self.before().await?;
        let history =
            |data: &mut crate::data::Data, _| data.kept(id).map(|kept| kept.history.clone());
        Ok(self.world.data(history).unwrap_or_default())
    }

    async fn prune(&self, _: Micros) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn job(&self, id: &JobId) -> Result<Option<(TransactionId, Job)>, StoreError> {
        self.before().await?;
        Ok(self
            .world
            .data(|data, _| data.jobs(|job| job.id == *id).pop()))
    }

    async fn leasable(
        &self,
        kind: AgentKind,
        name: &AgentName,
        projects: &[Project],
    ) -> Result<Vec<(TransactionId, JobId)>, StoreError> {
        self.before().await?;
        Ok(self.world.data(|data, _| {
            let mut found = Vec::new();
            for Whole { transaction, jobs } in data.transactions.iter().map(|k| &k.whole) {
                let fits = |job: &&Job| {
                    let queued = job.state == JobState::Queued && !transaction.cancelled;
                    let in_turn = match kind {
                        AgentKind::Builder => {
                            transaction.phase == Phase::Building
                                && projects.contains(&transaction.project)
                        }
                        AgentKind::Installer => {
                            transaction.phase == Phase::Installing
                                && job.wave == transaction.wave
                                && job.agent.as_ref() == Some(name)
                        }
                    };
                    job.kind == kind && queued && in_turn
                };
                let ids = jobs.iter().filter(fits);
                found.extend(ids.map(|job| (transaction.id.clone(), job.id.clone())));
            }
            found
        }))
    }

    async fn held_by(
        &self,
        kind: AgentKind,
        name: &AgentName,
    ) -> Result<Vec<(TransactionId, Job)>, StoreError> {
        self.before().await?;
        Ok(self.world.data(|data, _| {
            data.jobs(|job| {
                job.state.is_held() && job.kind == kind && job.agent.as_ref() == Some(name)
            })
        }))
    }

    async fn unknown_of(
        &self,
        kind: AgentKind,
        name: &AgentName,
    ) -> Result<Vec<(TransactionId, Job)>, StoreError> {
        self.before().await?;
        Ok(self.world.data(|data, _| {
            data.jobs(|job| {
                job.state == JobState::Unknown
                    && job.kind == kind
                    && job.agent.as_ref() == Some(name)
            })
        }))
    }

    async fn release(&self, id: &ReleaseId) -> Result<Option<Release>, StoreError> {
        self.before().await?;
        Ok(self.world.data(|data, _| data.releases.get(id).cloned()))
    }

    async fn releases(&self, _: Option<&Project>, _: u32) -> Result<Vec<Release>, StoreError> {
        self.before().await?;
        Ok(self
            .world
            .data(|data, _| data.releases.values().cloned().collect()))
    }

    async fn reject(&self, id: &ReleaseId, reason: &str, _: &Actor) -> Result<(), StoreError> {
        let unheard = self.before().await?;
        let found = self.world.data(|data, _| {
            let release = data.releases.get_mut(id);
            release.map(|release| release.rejected = Some(reason.to_owned()))
        });
        found.ok_or_else(|| StoreError::NotFound(format!("there is no release {id}")))?;
        self.after(unheard).await
    }

    async fn import(&self, index: &Index) -> Result<(), ChangeError> {
        let unheard = self.before().await?;
        let made = self.world.data(|data, now| data.import(index, None, now));
        made?;
        Ok(self.after(unheard).await?)
    }

    async fn add_blob(&self, digest: &Digest, size: u64) -> Result<(), StoreError> {
        let unheard = self.before().await?;
        self.world
            .data(|data, _| data.blobs.insert(digest.clone(), size));
        self.after(unheard).await
    }

    async fn blob(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        self.before().await?;
        Ok(self.world.data(|data, _| data.blobs.get(digest).copied()))
    }

    async fn installed(&self, filter: &InstalledFilter) -> Result<Vec<Installed>, StoreError> {
        self.before().await?;
        Ok(self.world.data(|data, _| {
            let fits = |row: &&Installed| {
                filter
                    .environment
                    .as_ref()
                    .is_none_or(|e| row.environment == *e)
                    && filter
                        .project
                        .as_ref()
                        .is_none_or(|p| row.release.project == *p)
                    && filter.target.as_ref().is_none_or(|t| row.target == *t)
                    && filter.agent.as_ref().is_none_or(|a| row.agent == *a)
            };
            data.installed.values().filter(fits).cloned().collect()
        }))
    }

    async fn register(
        &self,
        registration: Registration,
    ) -> Result<Option<AgentRecord>, StoreError> {
        let unheard = self.before().await?;
        let record = self
            .world
            .data(|data, now| data.register(registration, now));
        self.after(unheard).await?;
        Ok(record)
    }

    async fn registrations(&self) -> Result<Vec<AgentRecord>, StoreError> {
        self.before().await?;
        Ok(self
            .world
            .data(|data, _| data.agents.values().cloned().collect()))
    }

    async fn agent(
        &self,
        kind: AgentKind,
        name: &AgentName,
    ) -> Result<Option<AgentRecord>, StoreError> {
        self.before().await?;
        let key = (kind, name.clone());
        Ok(self.world.data(|data, _| data.agents.get(&key).cloned()))
    }

    async fn builder(&self, project: &Project) -> Result<Option<AgentRecord>, StoreError> {
        self.before().await?;
        Ok(self.world.data(|data, _| {
            let mut agents = data.agents.values();
            agents
                .find(|agent| agent.advertisement.builds(project))
                .cloned()
        }))
    }

    async fn installers(&self, environment: &Environment) -> Result<Vec<AgentRecord>, StoreError> {
        self.before().await?;
        let acts = |agent: &&AgentRecord| match &agent.advertisement {
            Advertisement::Environments(all) => all.contains_key(environment),
            Advertisement::Projects(_) => false,
        };
        Ok(self
            .world
            .data(|data, _| data.agents.values().filter(acts).cloned().collect()))
    }

    async fn seen(
        &self,
        kind: AgentKind,
        name: &AgentName,
        incarnation: &str,
    ) -> Result<bool, StoreError> {
        let unheard = self.before().await?;
        let key = (kind, name.clone());
        let seen = self.world.data(|data, now| {
            let agent = data.agents.get_mut(&key);
            let agent = agent.filter(|agent| agent.incarnation == incarnation);
            agent.map(|agent| agent.seen_at = now).is_some()
        });
        self.after(unheard).await?;
        Ok(seen)
    }

    async fn set_state(
        &self,
        kind: AgentKind,
        name: &AgentName,
        state: AgentState,
    ) -> Result<bool, StoreError> {
        let unheard = self.before().await?;
        let key = (kind, name.clone());
        let found = self.world.data(|data, _| {
            let agent = data.agents.get_mut(&key);
            agent.map(|agent| agent.state = state).is_some()
        });
        self.after(unheard).await?;
        Ok(found)
    }

    async fn remove(&self, kind: AgentKind, name: &AgentName) -> Result<bool, StoreError> {
        let unheard = self.before().await?;
        let key = (kind, name.clone());
        let found = self
            .world
            .data(|data, _| data.agents.remove(&key).is_some());
        self.after(unheard).await?;
        Ok(found)
    }

    async fn create_token(&self, _: &str, _: Duration) -> Result<String, StoreError> {
        Err(refused())
    }

    async fn take_token(&self, _: &str, _: &str, _: &str) -> Result<bool, StoreError> {
        Err(refused())
    }
}

fn refused() -> StoreError {
    StoreError::Failed("this world has no tokens".into())
}

/// A refusal of a change.
pub(crate) fn illegal(why: String) -> ChangeError {
    Refusal::Illegal(why).into()
}
