//! What the use cases need of a store. [`Store`] gives it over a database; a simulated world gives it from memory, with faults.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use windlass_model::release::machine::Refusal;
use windlass_model::release::{
    Actor, AgentKind, AgentName, Digest, Effect, Environment, Index, Job, JobId, Micros, Project,
    ReleaseId, Transaction, TransactionId, Whole,
};
use windlass_store::{
    AgentRecord, AgentState, Begun, ChangeError, Counts, Entry, Installed, InstalledFilter,
    NewTransaction, Registration, Release, Store, StoreError, TransactionFilter,
};

/// A change of a transaction: gets it as it is, and now; gives the effects, or refuses. Pure: it may be called again.
pub type Change = Box<dyn FnMut(&mut Whole, Micros) -> Result<Vec<Effect>, Refusal> + Send>;

/// Tells that what was queued is on the disk; must be awaited.
pub type Written = BoxFuture<'static, Result<(), StoreError>>;

/// What a manager keeps of transactions, releases and agents. Each operation is whole or not at all, and says what the method
/// of [`Store`] of the same name says.
#[async_trait]
#[allow(
    missing_docs,
    reason = "each is the method of `Store` of the same name"
)]
pub trait Ledger: Send + Sync {
    fn cluster_id(&self) -> &str;
    async fn now(&self) -> Result<Micros, StoreError>;
    async fn ping(&self) -> Result<(), StoreError>;
    async fn counts(&self) -> Result<Counts, StoreError>;
    async fn begin(&self, new: NewTransaction) -> Result<Begun, ChangeError>;
    async fn answered(&self, ids: Vec<TransactionId>) -> Result<Written, StoreError>;
    /// [`Store::change`], whose value is left where the change keeps it.
    async fn apply(&self, id: &TransactionId, change: Change) -> Result<(), ChangeError>;
    async fn transaction(&self, id: &TransactionId) -> Result<Option<Transaction>, StoreError>;
    async fn transactions(
        &self,
        filter: &TransactionFilter,
    ) -> Result<Vec<Transaction>, StoreError>;
    async fn whole(&self, id: &TransactionId) -> Result<Option<Whole>, StoreError>;
    async fn waiting(&self) -> Result<Vec<TransactionId>, StoreError>;
    async fn due(&self, now: Micros) -> Result<Vec<TransactionId>, StoreError>;
    async fn history(&self, id: &TransactionId) -> Result<Vec<Entry>, StoreError>;
    async fn prune(&self, before: Micros) -> Result<u64, StoreError>;
    async fn job(&self, id: &JobId) -> Result<Option<(TransactionId, Job)>, StoreError>;
    async fn leasable(
        &self,
        kind: AgentKind,
        name: &AgentName,
        projects: &[Project],
    ) -> Result<Vec<(TransactionId, JobId)>, StoreError>;
    async fn held_by(
        &self,
        kind: AgentKind,
        name: &AgentName,
    ) -> Result<Vec<(TransactionId, Job)>, StoreError>;
    async fn unknown_of(
        &self,
        kind: AgentKind,
        name: &AgentName,
    ) -> Result<Vec<(TransactionId, Job)>, StoreError>;
    async fn release(&self, id: &ReleaseId) -> Result<Option<Release>, StoreError>;
    async fn releases(
        &self,
        project: Option<&Project>,
        limit: u32,
    ) -> Result<Vec<Release>, StoreError>;
    async fn reject(&self, id: &ReleaseId, reason: &str, actor: &Actor) -> Result<(), StoreError>;
    async fn import(&self, index: &Index) -> Result<(), ChangeError>;
    async fn add_blob(&self, digest: &Digest, size: u64) -> Result<(), StoreError>;
    async fn blob(&self, digest: &Digest) -> Result<Option<u64>, StoreError>;
    async fn installed(&self, filter: &InstalledFilter) -> Result<Vec<Installed>, StoreError>;
    async fn register(&self, registration: Registration)
    -> Result<Option<AgentRecord>, StoreError>;
    async fn registrations(&self) -> Result<Vec<AgentRecord>, StoreError>;
    async fn agent(
        &self,
        kind: AgentKind,
        name: &AgentName,
    ) -> Result<Option<AgentRecord>, StoreError>;
    async fn builder(&self, project: &Project) -> Result<Option<AgentRecord>, StoreError>;
    async fn installers(&self, environment: &Environment) -> Result<Vec<AgentRecord>, StoreError>;
    async fn seen(
        &self,
        kind: AgentKind,
        name: &AgentName,
        incarnation: &str,
    ) -> Result<bool, StoreError>;
    async fn set_state(
        &self,
        kind: AgentKind,
        name: &AgentName,
        state: AgentState,
    ) -> Result<bool, StoreError>;
    async fn remove(&self, kind: AgentKind, name: &AgentName) -> Result<bool, StoreError>;
    async fn create_token(&self, kind: &str, ttl: Duration) -> Result<String, StoreError>;
    async fn take_token(&self, kind: &str, token: &str, by: &str) -> Result<bool, StoreError>;
}

/// A ledger that is open. Cheap to clone.
#[derive(Clone)]
pub struct Books(Arc<dyn Ledger>);

impl Books {
    /// Kept by this ledger.
    pub fn new(ledger: Arc<dyn Ledger>) -> Self {
        Self(ledger)
    }

    /// [`Store::change`].
    pub async fn change<T, F>(&self, id: &TransactionId, mut change: F) -> Result<T, ChangeError>
    where
        T: Send + 'static,
        F: FnMut(&mut Whole, Micros) -> Result<(T, Vec<Effect>), Refusal> + Send + 'static,
    {
        let given = Arc::new(Mutex::new(None));
        let to = given.clone();
        let change = move |whole: &mut Whole, now| {
            let (value, effects) = change(whole, now)?;
            *to.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
            Ok(effects)
        };
        self.0.apply(id, Box::new(change)).await?;
        let value = given.lock().unwrap_or_else(PoisonError::into_inner).take();
        value.ok_or_else(|| StoreError::Failed("a change was taken and not made".into()).into())
    }
}

impl Deref for Books {
    type Target = dyn Ledger;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl From<Store> for Books {
    fn from(store: Store) -> Self {
        Self::new(Arc::new(store))
    }
}

#[async_trait]
impl Ledger for Store {
    fn cluster_id(&self) -> &str {
        self.cluster_id()
    }

    async fn now(&self) -> Result<Micros, StoreError> {
        self.now().await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.ping().await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.counts().await
    }

    async fn begin(&self, new: NewTransaction) -> Result<Begun, ChangeError> {
        self.begin(new).await
    }

    async fn answered(&self, ids: Vec<TransactionId>) -> Result<Written, StoreError> {
        let written = self.answered(ids).await?;
        Ok(Box::pin(written))
    }

    async fn apply(&self, id: &TransactionId, mut change: Change) -> Result<(), ChangeError> {
        let change = move |whole: &mut Whole, now| Ok(((), change(whole, now)?));
        self.change(id, change).await
    }

    async fn transaction(&self, id: &TransactionId) -> Result<Option<Transaction>, StoreError> {
        self.transaction(id).await
    }

    async fn transactions(
        &self,
        filter: &TransactionFilter,
    ) -> Result<Vec<Transaction>, StoreError> {
        self.transactions(filter).await
    }

    async fn whole(&self, id: &TransactionId) -> Result<Option<Whole>, StoreError> {
        self.whole(id).await
    }

    async fn waiting(&self) -> Result<Vec<TransactionId>, StoreError> {
        self.waiting().await
    }

    async fn due(&self, now: Micros) -> Result<Vec<TransactionId>, StoreError> {
        self.due(now).await
    }

    async fn history(&self, id: &TransactionId) -> Result<Vec<Entry>, StoreError> {
        self.history(id).await
    }

    async fn prune(&self, before: Micros) -> Result<u64, StoreError> {
        self.prune(before).await
    }

    async fn job(&self, id: &JobId) -> Result<Option<(TransactionId, Job)>, StoreError> {
        self.job(id).await
    }

    async fn leasable(
        &self,
        kind: AgentKind,
        name: &AgentName,
        projects: &[Project],
    ) -> Result<Vec<(TransactionId, JobId)>, StoreError> {
        self.leasable(kind, name, projects).await
    }

    async fn held_by(
        &self,
        kind: AgentKind,
        name: &AgentName,
    ) -> Result<Vec<(TransactionId, Job)>, StoreError> {
        self.held_by(kind, name).await
    }

    async fn unknown_of(
        &self,
        kind: AgentKind,
        name: &AgentName,
    ) -> Result<Vec<(TransactionId, Job)>, StoreError> {
        self.unknown_of(kind, name).await
    }

    async fn release(&self, id: &ReleaseId) -> Result<Option<Release>, StoreError> {
        self.release(id).await
    }

    async fn releases(
        &self,
        project: Option<&Project>,
        limit: u32,
    ) -> Result<Vec<Release>, StoreError> {
        self.releases(project, limit).await
    }

    async fn reject(&self, id: &ReleaseId, reason: &str, actor: &Actor) -> Result<(), StoreError> {
        self.reject(id, reason, actor).await
    }

    async fn import(&self, index: &Index) -> Result<(), ChangeError> {
        self.import(index).await
    }

    async fn add_blob(&self, digest: &Digest, size: u64) -> Result<(), StoreError> {
        self.add_blob(digest, size).await
    }

    async fn blob(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        self.blob(digest).await
    }

    async fn installed(&self, filter: &InstalledFilter) -> Result<Vec<Installed>, StoreError> {
        self.installed(filter).await
    }

    async fn register(
        &self,
        registration: Registration,
    ) -> Result<Option<AgentRecord>, StoreError> {
        self.register(registration).await
    }

    async fn registrations(&self) -> Result<Vec<AgentRecord>, StoreError> {
        self.registrations().await
    }

    async fn agent(
        &self,
        kind: AgentKind,
        name: &AgentName,
    ) -> Result<Option<AgentRecord>, StoreError> {
        self.agent(kind, name).await
    }

    async fn builder(&self, project: &Project) -> Result<Option<AgentRecord>, StoreError> {
        self.builder(project).await
    }

    async fn installers(&self, environment: &Environment) -> Result<Vec<AgentRecord>, StoreError> {
        self.installers(environment).await
    }

    async fn seen(
        &self,
        kind: AgentKind,
        name: &AgentName,
        incarnation: &str,
    ) -> Result<bool, StoreError> {
        self.seen(kind, name, incarnation).await
    }

    async fn set_state(
        &self,
        kind: AgentKind,
        name: &AgentName,
        state: AgentState,
    ) -> Result<bool, StoreError> {
        self.set_state(kind, name, state).await
    }

    async fn remove(&self, kind: AgentKind, name: &AgentName) -> Result<bool, StoreError> {
        self.remove(kind, name).await
    }

    async fn create_token(&self, kind: &str, ttl: Duration) -> Result<String, StoreError> {
        self.create_token(kind, ttl).await
    }

    async fn take_token(&self, kind: &str, token: &str, by: &str) -> Result<bool, StoreError> {
        self.take_token(kind, token, by).await
    }
}
