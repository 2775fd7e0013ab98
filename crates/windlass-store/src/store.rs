//! The handle of a store.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use windlass_model::release::Micros;

use crate::error::StoreError;
use crate::schema;
use crate::sql::Database;
use crate::sql::database::Options;
use crate::url::StoreUrl;

/// How long to wait before a file that others are making is opened again.
const AGAIN: Duration = Duration::from_millis(50);

/// A store that is open. A cheap handle: clones are of the same store.
///
/// Every operation is one transaction of the database, bounded in time, and may be called at once from many tasks. A
/// change that was begun goes on to its end when its caller goes away.
#[derive(Clone)]
pub struct Store {
    pub(crate) database: Database,
    cluster: std::sync::Arc<str>,
}

impl Store {
    /// Connects, makes the tables or brings them up to date. A SQLite file is made when it is missing.
    ///
    /// [`StoreError::Newer`] when a newer program has been here; several processes may open one store at once.
    pub async fn open(url: &StoreUrl, options: &Options) -> Result<Self, StoreError> {
        // Where many open a new file at once, one of them makes it, and the others find it locked without being made to wait.
        let end = Instant::now() + options.connect;
        loop {
            match Self::try_open(url, options).await {
                Err(StoreError::Busy(_)) if Instant::now() < end => sleep(AGAIN).await,
                opened => return opened,
            }
        }
    }

    async fn try_open(url: &StoreUrl, options: &Options) -> Result<Self, StoreError> {
        let database = Database::connect(url, options).await?;
        let cluster = schema::migrate(&database).await?;
        Ok(Self {
            database,
            cluster: cluster.into(),
        })
    }

    /// What tells this store from all others; made once, with its tables.
    pub fn cluster_id(&self) -> &str {
        &self.cluster
    }

    /// Now, by the clock of the database.
    pub async fn now(&self) -> Result<Micros, StoreError> {
        self.database.session().await?.now().await
    }

    /// Whether the database answers and has our tables.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let mut session = self.database.session().await?;
        let row = session.row("SELECT schema_number FROM meta", Vec::new());
        let found = row.await?.map_or(Ok(0), |row| row.int("schema_number"))?;
        let known = schema::newest();
        if found > known {
            return Err(StoreError::Newer { found, known });
        }
        Ok(())
    }
}
