//! The connections to a database: how they are made, and transactions on them.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Executor, MySqlPool, PgPool, Sqlite, SqlitePool};

use super::database::Options;
use super::dialect::Dialect;
use super::fault;
use super::session::Session;
use crate::error::{Failure, StoreError};
use crate::url::Place;

/// How often a transaction is begun when others are in its way.
const ATTEMPTS: u32 = 10;

/// Connections. A cheap handle.
#[derive(Clone)]
pub(super) struct Connections {
    pool: Pool,
    pub(super) options: Options,
}

#[derive(Clone)]
enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
    MySql(MySqlPool),
}

impl Connections {
    /// To read by, and to write by; with SQLite the latter is one that nobody else has. A SQLite file is made when it is missing,
    /// for its owner only.
    pub(super) fn to(place: &Place, options: &Options) -> Result<(Self, Self), StoreError> {
        let of = |pool| Self {
            pool,
            options: options.clone(),
        };
        Ok(match place {
            Place::Sqlite(path) => {
                make_file(path)?;
                let (readers, writer) = sqlite(path, options);
                (of(Pool::Sqlite(readers)), of(Pool::Sqlite(writer)))
            }
            Place::Postgres(place) => {
                let all = of(Pool::Postgres(postgres(place, options)));
                (all.clone(), all)
            }
            Place::MySql(place) => {
                let all = of(Pool::MySql(mysql(place, options)));
                (all.clone(), all)
            }
        })
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self.pool {
            Pool::Sqlite(_) => Dialect::Sqlite,
            Pool::Postgres(_) => Dialect::Postgres,
            Pool::MySql(_) => Dialect::MySql,
        }
    }

    /// The first connection, whose error says more than that none became free.
    pub(super) async fn reach(&self) -> Result<(), StoreError> {
        let reached = async {
            match &self.pool {
                Pool::Sqlite(_) => return self.session().await.map(drop),
                Pool::Postgres(pool) => pool.connect_options().connect().await.map(drop),
                Pool::MySql(pool) => pool.connect_options().connect().await.map(drop),
            }
            .map_err(fault::of)
        };
        match tokio::time::timeout(self.options.connect, reached).await {
            Ok(reached) => reached,
            Err(_) => {
                let seconds = self.options.connect.as_secs_f32();
                Err(StoreError::Unreachable(format!(
                    "no connection in {seconds} s"
                )))
            }
        }
    }

    /// A connection; what is not in a transaction is seen as it was at each statement's begin.
    pub(super) async fn session(&self) -> Result<Session, StoreError> {
        let limit = self.options.limit;
        let session = match &self.pool {
            Pool::Sqlite(pool) => {
                let link = pool.acquire().await;
                link.map(|link| Session::sqlite(link, limit))
            }
            Pool::Postgres(pool) => {
                let link = pool.acquire().await;
                link.map(|link| Session::postgres(link, limit))
            }
            Pool::MySql(pool) => {
                let link = pool.acquire().await;
                link.map(|link| Session::mysql(link, limit))
            }
        };
        session.map_err(fault::of)
    }

    /// Runs `act` on `state` in one transaction, which is kept when it gives `Ok`; again when another one was in its way.
    pub(super) async fn attempts<S, T, E, F>(&self, mut state: S, act: F) -> Result<T, E>
    where
        S: Send + 'static,
        E: Failure,
        F: for<'a> Fn(&'a mut S, &'a mut Session) -> BoxFuture<'a, Result<T, E>>
            + Send
            + Sync
            + 'static,
    {
        let mut attempt = 1;
        loop {
            match self.attempt(&mut state, &act).await {
                Err(error) if error.is_busy() && attempt < ATTEMPTS => {
                    tokio::time::sleep(pause(attempt)).await;
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    async fn attempt<S, T, E, F>(&self, state: &mut S, act: &F) -> Result<T, E>
    where
        S: Send + 'static,
        E: Failure,
        F: for<'a> Fn(&'a mut S, &'a mut Session) -> BoxFuture<'a, Result<T, E>>
            + Send
            + Sync
            + 'static,
    {
        let mut session = self.session().await?;
        session.begin().await?;
        let act = async { act(state, &mut session).await };
        let done = AssertUnwindSafe(act).catch_unwind().await;
        match done.unwrap_or_else(|_| Err(panicked().into())) {
            Ok(value) => {
                session.commit().await?;
                Ok(value)
            }
            Err(error) => {
                session.roll_back().await;
                Err(error)
            }
        }
    }
}

/// Longer each time, and not the same for all who were in each other's way.
fn pause(attempt: u32) -> Duration {
    let mut random = [0];
    // without chance it is a pause all the same
    let _ = getrandom::fill(&mut random);
    Duration::from_millis(u64::from(1_u32 << attempt.min(7)) * (64 + u64::from(random[0])) / 128)
}

pub(super) fn panicked() -> StoreError {
    StoreError::Failed("the change panicked; nothing was written".into())
}

fn make_file(path: &std::path::Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt;
    let unreachable =
        |e: std::io::Error| StoreError::Unreachable(format!("{}: {e}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(unreachable)?;
    }
    let mut file = std::fs::OpenOptions::new();
    let made = file.append(true).create(true).mode(0o600).open(path);
    made.map(drop).map_err(unreachable)
}

/// Readers, and the one that writes.
fn sqlite(path: &std::path::Path, options: &Options) -> (SqlitePool, SqlitePool) {
    let file = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // what was acknowledged survives a power cut
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(options.limit.min(Duration::from_secs(10)))
        .disable_statement_logging();
    let pool = |connections: u32| {
        PoolOptions::<Sqlite>::new()
            .max_connections(connections)
            .acquire_timeout(options.connect)
            .test_before_acquire(false)
    };
    let readers = pool(options.connections.max(1)).connect_lazy_with(file.clone());
    let alone = pool(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(file);
    (readers, alone)
}

fn postgres(place: &PgConnectOptions, options: &Options) -> PgPool {
    let limit = options.limit.as_millis().to_string();
    let place = place.clone().disable_statement_logging().options([
        ("statement_timeout", limit.as_str()),
        ("lock_timeout", limit.as_str()),
        ("idle_in_transaction_session_timeout", "60000"),
        ("client_min_messages", "warning"),
        ("default_transaction_isolation", "read committed"),
    ]);
    PgPoolOptions::new()
        .max_connections(options.connections.max(1))
        .acquire_timeout(options.connect)
        .connect_lazy_with(place)
}

fn mysql(place: &MySqlConnectOptions, options: &Options) -> MySqlPool {
    let place = place
        .clone()
        .charset("utf8mb4")
        .collation("utf8mb4_bin")
        .disable_statement_logging();
    let statements = [
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
        format!(
            "SET SESSION innodb_lock_wait_timeout = {}, \
             SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')",
            options.limit.as_secs().max(1)
        ),
    ];
    MySqlPoolOptions::new()
        .max_connections(options.connections.max(1))
        .acquire_timeout(options.connect)
        .after_connect(move |connection, _| {
            let statements = statements.clone();
            Box::pin(async move {
                for statement in statements {
                    let statement = sqlx::raw_sql(sqlx::AssertSqlSafe(statement));
                    connection.execute(statement).await?;
                }
                Ok(())
            })
        })
        .connect_lazy_with(place)
}
