//! What is asked about jobs. These are candidates: only a [`Store::change`] decides.

use windlass_model::release::{AgentKind, AgentName, Job, JobId, Micros, Project, TransactionId};

use crate::error::StoreError;
use crate::rows;
use crate::sql::value::values;
use crate::sql::{Value, Where};
use crate::store::Store;

/// Candidates that are given at once, at most.
const CANDIDATES: u32 = 256;

impl Store {
    /// Jobs that an agent could have now, oldest transactions first. A builder gets those of `projects`; what belongs to an
    /// installer is in the jobs themselves, and `projects` does not matter.
    pub async fn leasable<'a>(
        &self,
        kind: AgentKind,
        name: &AgentName,
        projects: impl IntoIterator<Item = &'a Project>,
    ) -> Result<Vec<(TransactionId, JobId)>, StoreError> {
        let mut wanted = Where::default();
        wanted.also("j.state = 'queued' AND t.cancelled = 0");
        wanted.when("j.kind = ?", Some(kind.as_str()));
        match kind {
            AgentKind::Builder => {
                let projects: Vec<Value> = projects.into_iter().map(Value::from).collect();
                if projects.is_empty() {
                    return Ok(Vec::new());
                }
                let places = vec!["?"; projects.len()].join(", ");
                wanted.also(format!("t.phase = 'building' AND t.project IN ({places})"));
                wanted.values.extend(projects);
            }
            AgentKind::Installer => {
                wanted.also("t.phase = 'installing' AND j.wave = t.wave");
                wanted.when("j.agent = ?", Some(name));
            }
        }
        let sql = format!(
            "SELECT t.id, j.id AS job_id FROM job j JOIN tx t ON t.id = j.tx{} ORDER BY t.seq, j.n LIMIT {CANDIDATES}",
            wanted.sql()
        );
        let mut session = self.database.session().await?;
        let rows = session.rows(&sql, wanted.values).await?;
        let pair = |row: &crate::sql::Row| Ok((row.name("id")?, row.name("job_id")?));
        rows.iter().map(pair).collect()
    }

    /// The jobs that an agent has: leased or started.
    pub async fn held_by(
        &self,
        kind: AgentKind,
        name: &AgentName,
    ) -> Result<Vec<(TransactionId, Job)>, StoreError> {
        let wanted = "j.state IN ('leased', 'started') AND j.kind = ? AND j.agent = ?";
        self.jobs(wanted, values![kind.as_str(), name]).await
    }

    /// The jobs of an agent whose outcome is not known: what it is to be asked about.
    pub async fn unknown_of(
        &self,
        kind: AgentKind,
        name: &AgentName,
    ) -> Result<Vec<(TransactionId, Job)>, StoreError> {
        let wanted = "j.state = 'unknown' AND j.kind = ? AND j.agent = ?";
        self.jobs(wanted, values![kind.as_str(), name]).await
    }

    /// A job and the transaction that it belongs to.
    pub async fn job(&self, id: &JobId) -> Result<Option<(TransactionId, Job)>, StoreError> {
        let found = self.jobs("j.id = ?", values![id]).await?;
        Ok(found.into_iter().next())
    }

    async fn jobs(
        &self,
        wanted: &str,
        values: Vec<Value>,
    ) -> Result<Vec<(TransactionId, Job)>, StoreError> {
        let sql = format!(
            "SELECT t.id, {} FROM job j JOIN tx t ON t.id = j.tx WHERE {wanted} ORDER BY t.seq, j.n",
            rows::JOB
        );
        let mut session = self.database.session().await?;
        let rows = session.rows(&sql, values).await?;
        let pair = |row: &crate::sql::Row| Ok((row.name("id")?, rows::job(row)?));
        rows.iter().map(pair).collect()
    }

    /// Transactions with a lease that ran out, or a job that nobody began in time: those that a tick changes. Oldest first.
    pub async fn due(&self, now: Micros) -> Result<Vec<TransactionId>, StoreError> {
        // two questions, so that each has its index
        let sql = "SELECT t.id, t.seq FROM job j JOIN tx t ON t.id = j.tx \
                   WHERE j.state IN ('leased', 'started') AND j.lease_until < ? \
                   UNION SELECT t.id, t.seq FROM job j JOIN tx t ON t.id = j.tx \
                   WHERE j.state IN ('queued', 'leased') AND j.deadline < ? AND j.wave <= t.wave ORDER BY seq";
        let mut session = self.database.session().await?;
        let rows = session.rows(sql, values![now, now]).await?;
        rows.iter().map(|row| row.name("id")).collect()
    }
}
