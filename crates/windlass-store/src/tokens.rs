//! Tokens: each opens one door once. The store has their hashes only.

use std::time::Duration;

use crate::begin::hashed;
use crate::error::StoreError;
use crate::fresh;
use crate::sql::Session;
use crate::sql::dialect::insert;
use crate::sql::value::values;
use crate::store::Store;

impl Store {
    /// Makes a token of a kind (`join`; at most 128 bytes) for a subject, and gives it: it cannot be read again.
    pub async fn create_token(
        &self,
        kind: &str,
        subject: &str,
        ttl: Duration,
    ) -> Result<String, StoreError> {
        let token = fresh::random(40)?;
        let state = (hashed(&token), kind.to_owned(), subject.to_owned(), ttl);
        self.database
            .write(state, |(hash, kind, subject, ttl), session| {
                Box::pin(async move {
                    let now = session.now().await?;
                    let ttl = i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX);
                    // expired ones are of no use
                    let sql = "DELETE FROM token WHERE expires < ?";
                    session.execute(sql, values![now]).await?;
                    let columns = ["hash", "kind", "subject", "expires"];
                    let sql = insert("token", &columns, &[]);
                    let expires = now.saturating_add(ttl);
                    let values = values![&*hash, &*kind, &*subject, expires];
                    session.execute(&sql, values).await.map(drop)
                })
            })
            .await?;
        Ok(token)
    }

    /// Uses a token up; gives its subject to the first who asks, before it expires.
    pub async fn take_token(&self, kind: &str, token: &str) -> Result<Option<String>, StoreError> {
        let state = (hashed(token), kind.to_owned());
        self.database
            .write(state, |(hash, kind), session| {
                Box::pin(take(session, hash, kind))
            })
            .await
    }
}

async fn take(session: &mut Session, hash: &str, kind: &str) -> Result<Option<String>, StoreError> {
    let now = session.now().await?;
    let sql = "SELECT subject FROM token WHERE hash = ? AND kind = ? AND expires >= ? {lock}";
    let Some(row) = session.row(sql, values![hash, kind, now]).await? else {
        return Ok(None);
    };
    let sql = "DELETE FROM token WHERE hash = ?";
    let taken = session.execute(sql, values![hash]).await? > 0;
    let subject = row.text("subject")?;
    Ok(taken.then_some(subject))
}
