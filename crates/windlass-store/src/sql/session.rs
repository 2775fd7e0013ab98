//! A connection to any of the three databases.

use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::mysql::MySqlRow;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, MySql, Postgres, Row as _, Sqlite};
use windlass_model::release::Micros;

use super::dialect::Dialect;
use super::fault;
use super::numbers::Numbers;
use super::value::Value;
use crate::error::StoreError;

/// A connection. Each statement has a time limit. One that is dropped within a transaction is closed, so what it wrote
/// is taken back.
pub(crate) struct Session {
    link: Link,
    limit: Duration,
    /// Whether the next user could not trust it.
    spoilt: bool,
    /// Once asked for, until the transaction ends.
    pub(super) numbers: Option<Numbers>,
    /// As they were at the mark.
    marked: Option<Numbers>,
    /// When this transaction asked for the time.
    pub(super) asked_at: Option<Micros>,
}

enum Link {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
    MySql(PoolConnection<MySql>),
}

/// A row that was read.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
    MySql(MySqlRow),
}

macro_rules! query {
    ($sql:expr, $values:expr) => {{
        let mut query = sqlx::query(AssertSqlSafe($sql));
        for value in $values {
            query = match value {
                Value::Int(number) => query.bind(number),
                Value::Text(text) => query.bind(text),
            };
        }
        query
    }};
}

impl Session {
    pub(super) fn sqlite(link: PoolConnection<Sqlite>, limit: Duration) -> Self {
        Self::new(Link::Sqlite(link), limit)
    }

    pub(super) fn postgres(link: PoolConnection<Postgres>, limit: Duration) -> Self {
        Self::new(Link::Postgres(link), limit)
    }

    pub(super) fn mysql(link: PoolConnection<MySql>, limit: Duration) -> Self {
        Self::new(Link::MySql(link), limit)
    }

    fn new(link: Link, limit: Duration) -> Self {
        Self {
            link,
            limit,
            spoilt: false,
            numbers: None,
            marked: None,
            asked_at: None,
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self.link {
            Link::Sqlite(_) => Dialect::Sqlite,
            Link::Postgres(_) => Dialect::Postgres,
            Link::MySql(_) => Dialect::MySql,
        }
    }

    /// Does it; gives how many rows it found to change.
    pub(crate) async fn execute(
        &mut self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<u64, StoreError> {
        let sql = self.dialect().sql(sql);
        #[cfg(test)]
        crate::plans::saw(&sql);
        let limit = self.limit;
        let done = async {
            match &mut self.link {
                Link::Sqlite(c) => {
                    let done = query!(sql, values).execute(&mut **c).await;
                    done.map(|done| done.rows_affected())
                }
                Link::Postgres(c) => {
                    let done = query!(sql, values).execute(&mut **c).await;
                    done.map(|done| done.rows_affected())
                }
                Link::MySql(c) => {
                    let done = query!(sql, values).execute(&mut **c).await;
                    done.map(|done| done.rows_affected())
                }
            }
        };
        let done = tokio::time::timeout(limit, done).await;
        self.heard(done)
    }

    /// Does a statement without values that is not worth keeping prepared: of transactions and tables.
    pub(crate) async fn plain(&mut self, sql: &str) -> Result<(), StoreError> {
        if self.dialect() == Dialect::Sqlite {
            return self.execute(sql, Vec::new()).await.map(drop);
        }
        let sql = sqlx::raw_sql(AssertSqlSafe(self.dialect().sql(sql)));
        let limit = self.limit;
        let done = async {
            match &mut self.link {
                Link::Sqlite(c) => sql.execute(&mut **c).await.map(drop),
                Link::Postgres(c) => sql.execute(&mut **c).await.map(drop),
                Link::MySql(c) => sql.execute(&mut **c).await.map(drop),
            }
        };
        let done = tokio::time::timeout(limit, done).await;
        self.heard(done)
    }

    /// All rows.
    pub(crate) async fn rows(
        &mut self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        let sql = self.dialect().sql(sql);
        #[cfg(test)]
        crate::plans::saw(&sql);
        let limit = self.limit;
        let rows = async {
            Ok(match &mut self.link {
                Link::Sqlite(c) => {
                    let rows = query!(sql, values).fetch_all(&mut **c).await?;
                    rows.into_iter().map(Row::Sqlite).collect()
                }
                Link::Postgres(c) => {
                    let rows = query!(sql, values).fetch_all(&mut **c).await?;
                    rows.into_iter().map(Row::Postgres).collect()
                }
                Link::MySql(c) => {
                    let rows = query!(sql, values).fetch_all(&mut **c).await?;
                    rows.into_iter().map(Row::MySql).collect()
                }
            })
        };
        let rows = tokio::time::timeout(limit, rows).await;
        self.heard(rows)
    }

    /// The first row.
    pub(crate) async fn row(
        &mut self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    fn heard<T>(
        &mut self,
        heard: Result<Result<T, sqlx::Error>, tokio::time::error::Elapsed>,
    ) -> Result<T, StoreError> {
        match heard {
            Ok(done) => done.map_err(fault::of),
            Err(_) => {
                self.spoilt = true;
                let limit = self.limit.as_secs_f32();
                Err(StoreError::Unreachable(format!("no answer in {limit} s")))
            }
        }
    }

    /// Now, by the clock of the database.
    pub(crate) async fn now(&mut self) -> Result<Micros, StoreError> {
        let Some(now) = self.dialect().now() else {
            return Ok(clock());
        };
        let row = self
            .row(&format!("SELECT {now} AS now"), Vec::new())
            .await?;
        row.map_or(Ok(0), |row| row.int("now"))
    }

    /// The first row of `SELECT columns rest`, and now by the clock of the database.
    pub(crate) async fn row_and_now(
        &mut self,
        columns: &str,
        rest: &str,
    ) -> Result<Option<(Row, Micros)>, StoreError> {
        let Some(now) = self.dialect().now() else {
            let sql = format!("SELECT {columns} {rest}");
            let row = self.row(&sql, Vec::new()).await?;
            return Ok(row.map(|row| (row, clock())));
        };
        let sql = format!("SELECT {columns}, {now} AS now {rest}");
        let row = self.row(&sql, Vec::new()).await?;
        row.map(|row| row.int("now").map(|now| (row, now)))
            .transpose()
    }

    /// About now: all of a transaction that ask so are told the same, which saves asking for each.
    pub(crate) async fn about_now(&mut self) -> Result<Micros, StoreError> {
        let now = match self.asked_at {
            Some(now) => now,
            None => self.now().await?,
        };
        Ok(*self.asked_at.insert(now))
    }

    /// Begins a transaction.
    pub(crate) async fn begin(&mut self) -> Result<(), StoreError> {
        self.spoilt = true;
        (self.numbers, self.asked_at) = (None, None);
        self.plain(self.dialect().begin()).await
    }

    /// Marks where [`Session::turn_back`] leads, in the place of an earlier mark if there is one.
    pub(super) async fn mark(&mut self, is_first: bool) -> Result<(), StoreError> {
        self.marked = self.numbers;
        self.plain(match is_first {
            true => "SAVEPOINT turn",
            false => "RELEASE SAVEPOINT turn; SAVEPOINT turn",
        })
        .await
    }

    /// Takes back what was written since the mark.
    pub(super) async fn turn_back(&mut self) -> Result<(), StoreError> {
        // a row that was locked since then is free again
        self.numbers = self.marked;
        self.plain("ROLLBACK TO SAVEPOINT turn").await
    }

    /// Keeps what was written.
    pub(crate) async fn commit(&mut self) -> Result<(), StoreError> {
        self.write_numbers().await?;
        self.plain("COMMIT").await?;
        self.spoilt = false;
        Ok(())
    }

    /// Takes back what was written; where that fails the connection is closed, which does the same.
    pub(crate) async fn roll_back(&mut self) {
        if self.plain("ROLLBACK").await.is_ok() {
            self.spoilt = false;
        }
    }
}

/// The clock of this machine, in microseconds since 1970.
fn clock() -> Micros {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.unwrap_or_default().as_micros()).unwrap_or(i64::MAX)
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.spoilt {
            match &mut self.link {
                Link::Sqlite(c) => c.close_on_drop(),
                Link::Postgres(c) => c.close_on_drop(),
                Link::MySql(c) => c.close_on_drop(),
            }
        }
    }
}

impl Row {
    pub(crate) fn opt_int(&self, column: &str) -> Result<Option<i64>, StoreError> {
        let value = match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
            Self::MySql(row) => row.try_get(column),
        };
        value.map_err(fault::of)
    }

    pub(crate) fn opt_text(&self, column: &str) -> Result<Option<String>, StoreError> {
        let value = match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
            Self::MySql(row) => row.try_get(column),
        };
        value.map_err(fault::of)
    }

    pub(crate) fn int(&self, column: &str) -> Result<i64, StoreError> {
        let number = self.opt_int(column)?;
        number.ok_or_else(|| corrupt(column, "is missing"))
    }

    /// A number that is not negative.
    pub(crate) fn count<T: TryFrom<i64>>(&self, column: &str) -> Result<T, StoreError> {
        let number = self.int(column)?;
        T::try_from(number).map_err(|_| corrupt(column, &format!("{number} is out of range")))
    }

    pub(crate) fn flag(&self, column: &str) -> Result<bool, StoreError> {
        Ok(self.int(column)? != 0)
    }

    pub(crate) fn text(&self, column: &str) -> Result<String, StoreError> {
        let text = self.opt_text(column)?;
        text.ok_or_else(|| corrupt(column, "is missing"))
    }

    /// A text that is of a type of the model.
    pub(crate) fn name<T: FromStr<Err = String>>(&self, column: &str) -> Result<T, StoreError> {
        self.text(column)?
            .parse()
            .map_err(|e: String| corrupt(column, &e))
    }

    pub(crate) fn opt_name<T: FromStr<Err = String>>(
        &self,
        column: &str,
    ) -> Result<Option<T>, StoreError> {
        let text = self.opt_text(column)?;
        let parsed = text.map(|text| text.parse()).transpose();
        parsed.map_err(|e: String| corrupt(column, &e))
    }

    /// A text that names one of a list.
    pub(crate) fn one_of<T>(
        &self,
        column: &str,
        from_name: impl Fn(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        let text = self.text(column)?;
        from_name(&text).ok_or_else(|| corrupt(column, &format!("{text:?} is not known")))
    }
}

fn corrupt(column: &str, why: &str) -> StoreError {
    StoreError::Corrupt(format!("column {column}: {why}"))
}
