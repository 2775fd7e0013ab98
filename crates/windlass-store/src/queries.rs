//! What is asked about transactions and their history.

use windlass_model::release::{
    Actor, Environment, Micros, Phase, Project, Status, Transaction, TransactionId, Whole,
};

use crate::error::StoreError;
use crate::rows;
use crate::sql::value::values;
use crate::sql::{Session, Where};
use crate::store::Store;

/// Which transactions; what is none does not matter.
#[derive(Clone, Debug)]
pub struct TransactionFilter {
    /// Of this project.
    pub project: Option<Project>,
    /// Into this environment.
    pub environment: Option<Environment>,
    /// With this status.
    pub status: Option<Status>,
    /// In this phase.
    pub phase: Option<Phase>,
    /// With a lower sequence number than this: the next page.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: u32,
}

impl Default for TransactionFilter {
    fn default() -> Self {
        Self {
            project: None,
            environment: None,
            status: None,
            phase: None,
            before: None,
            limit: 100,
        }
    }
}

/// An entry of a transaction's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// From 1.
    pub number: u64,
    /// When.
    pub at: Micros,
    /// Who, from where.
    pub actor: Actor,
    /// A few words that stay the same: `leased`.
    pub what: String,
    /// More for people.
    pub detail: String,
}

impl Store {
    /// A transaction.
    pub async fn transaction(&self, id: &TransactionId) -> Result<Option<Transaction>, StoreError> {
        let columns = rows::TRANSACTION;
        let sql = format!("SELECT {columns}, t.request FROM tx t WHERE t.id = ?");
        let mut session = self.database.session().await?;
        let row = session.row(&sql, values![id]).await?;
        row.map(|row| rows::transaction(&row)).transpose()
    }

    /// A transaction with its jobs, as they are at one time.
    pub async fn whole(&self, id: &TransactionId) -> Result<Option<Whole>, StoreError> {
        let mut session = self.database.session().await?;
        let whole = rows::whole(&mut session, id).await?;
        Ok(whole.map(|(whole, _)| whole))
    }

    /// Transactions, newest first.
    pub async fn transactions(
        &self,
        filter: &TransactionFilter,
    ) -> Result<Vec<Transaction>, StoreError> {
        let mut wanted = Where::default();
        wanted.when("t.project = ?", filter.project.as_ref());
        wanted.when("t.env = ?", filter.environment.as_ref());
        wanted.when("t.phase = ?", filter.phase.map(Phase::as_str));
        wanted.when("t.seq < ?", filter.before);
        if let Some(status) = filter.status {
            wanted.also(of_status(status));
        }
        let sql = format!(
            "SELECT {}, t.request FROM tx t{} ORDER BY t.seq DESC LIMIT {}",
            rows::TRANSACTION,
            wanted.sql(),
            filter.limit
        );
        let mut session = self.database.session().await?;
        let rows = session.rows(&sql, wanted.values).await?;
        rows.iter().map(rows::transaction).collect()
    }

    /// Transactions that go on, oldest first.
    pub async fn open_transactions(&self) -> Result<Vec<TransactionId>, StoreError> {
        let sql =
            "SELECT id FROM tx WHERE phase IN ('building', 'waiting', 'installing') ORDER BY seq";
        self.ids(sql).await
    }

    /// Transactions whose install waits for its turn, oldest first.
    pub async fn waiting(&self) -> Result<Vec<TransactionId>, StoreError> {
        let sql = "SELECT id FROM tx WHERE phase = 'waiting' ORDER BY seq";
        self.ids(sql).await
    }

    async fn ids(&self, sql: &str) -> Result<Vec<TransactionId>, StoreError> {
        let mut session = self.database.session().await?;
        let rows = session.rows(sql, Vec::new()).await?;
        rows.iter().map(|row| row.name("id")).collect()
    }

    /// The history of a transaction, oldest first; empty where there is no such transaction.
    pub async fn history(&self, id: &TransactionId) -> Result<Vec<Entry>, StoreError> {
        let sql = "SELECT n, at, actor, address, what, detail FROM history WHERE tx = ? ORDER BY n";
        let mut session = self.database.session().await?;
        let rows = session.rows(sql, values![id]).await?;
        let entry = |row| {
            let row: &crate::sql::Row = row;
            Ok(Entry {
                number: row.count("n")?,
                at: row.int("at")?,
                actor: rows::actor(row)?,
                what: row.text("what")?,
                detail: row.text("detail")?,
            })
        };
        rows.iter().map(entry).collect()
    }

    /// Removes the history of the transactions that ended before then; gives how many entries. The transactions stay.
    pub async fn prune(&self, before: Micros) -> Result<u64, StoreError> {
        self.database
            .write(before, |before, session| Box::pin(prune(session, *before)))
            .await
    }
}

async fn prune(session: &mut Session, before: Micros) -> Result<u64, StoreError> {
    let sql = "DELETE FROM history WHERE tx IN \
               (SELECT id FROM tx WHERE phase IN ('rejected', 'ended') AND ended_at < ?)";
    session.execute(sql, values![before]).await
}

/// The rows of a status: [`Status::of`] the other way round.
fn of_status(status: Status) -> &'static str {
    match status {
        Status::Started => "t.phase = 'building'",
        Status::BuildCompleted => {
            "(t.phase IN ('waiting', 'installing') \
             OR (t.phase = 'ended' AND t.end_state = 'done' AND t.installs = 0))"
        }
        Status::InstallCompleted => "t.phase = 'ended' AND t.end_state = 'done' AND t.installs = 1",
        Status::Rejected => "t.phase = 'rejected'",
        Status::BuildFailed => "t.phase = 'ended' AND t.end_state = 'build_failed'",
        Status::InstallFailed => "t.phase = 'ended' AND t.end_state = 'install_failed'",
        Status::Cancelled => "t.phase = 'ended' AND t.end_state = 'cancelled'",
        Status::Unknown => "t.phase = 'ended' AND (t.end_state = 'unknown' OR t.end_state IS NULL)",
    }
}
