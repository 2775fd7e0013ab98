//! How many there are of what, for monitoring.

use std::collections::BTreeMap;

use crate::error::StoreError;
use crate::store::Store;

/// Numbers of things by the state that they are in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Transactions by phase.
    pub transactions: BTreeMap<String, u64>,
    /// Jobs of transactions that are not over, by state.
    pub jobs: BTreeMap<String, u64>,
}

impl Store {
    /// Counts what there is.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        let mut session = self.database.session().await?;
        let sql = "SELECT phase AS what, COUNT(*) AS number FROM tx GROUP BY phase";
        let mut counts = Counts::default();
        for row in session.rows(sql, Vec::new()).await? {
            counts
                .transactions
                .insert(row.text("what")?, row.count("number")?);
        }
        let sql = "SELECT j.state AS what, COUNT(*) AS number FROM job j JOIN tx t ON t.id = j.tx \
                   WHERE t.phase IN ('building', 'waiting', 'installing') GROUP BY j.state";
        for row in session.rows(sql, Vec::new()).await? {
            counts.jobs.insert(row.text("what")?, row.count("number")?);
        }
        Ok(counts)
    }
}
