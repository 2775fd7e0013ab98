//! Tokens: each opens one door to one comer. The store has their hashes only.

use std::time::Duration;

use crate::begin::hashed;
use crate::error::StoreError;
use crate::fresh;
use crate::sql::Session;
use crate::sql::dialect::insert;
use crate::sql::value::values;
use crate::store::Store;

/// Who took a token that nobody took yet.
const NOBODY: &str = "";

impl Store {
    /// Makes a token of a kind (`join`; at most 128 bytes), and gives it: it cannot be read again.
    pub async fn create_token(&self, kind: &str, ttl: Duration) -> Result<String, StoreError> {
        let token = fresh::random(40)?;
        let state = (hashed(&token), kind.to_owned(), ttl);
        self.database
            .write(state, |(hash, kind, ttl), session| {
                Box::pin(async move {
                    let now = session.now().await?;
                    let ttl = i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX);
                    // expired ones are of no use
                    let sql = "DELETE FROM token WHERE expires < ?";
                    session.execute(sql, values![now]).await?;
                    let columns = ["hash", "kind", "subject", "expires"];
                    let sql = insert("token", &columns, &[]);
                    let expires = now.saturating_add(ttl);
                    let values = values![&*hash, &*kind, NOBODY, expires];
                    session.execute(&sql, values).await.map(drop)
                })
            })
            .await?;
        Ok(token)
    }

    /// Gives whether a token is good for somebody (at most 128 bytes), who are the first to ask with it, or those who were: they may
    /// not have heard the answer. Until it expires.
    pub async fn take_token(&self, kind: &str, token: &str, by: &str) -> Result<bool, StoreError> {
        let state = (hashed(token), kind.to_owned(), by.to_owned());
        self.database
            .write(state, |(hash, kind, by), session| {
                Box::pin(take(session, hash, kind, by))
            })
            .await
    }
}

async fn take(session: &mut Session, hash: &str, kind: &str, by: &str) -> Result<bool, StoreError> {
    let now = session.now().await?;
    let sql = "SELECT subject FROM token WHERE hash = ? AND kind = ? AND expires >= ? {lock}";
    let Some(row) = session.row(sql, values![hash, kind, now]).await? else {
        return Ok(false);
    };
    let subject = row.text("subject")?;
    if subject != NOBODY {
        return Ok(subject == by);
    }
    let sql = "UPDATE token SET subject = ? WHERE hash = ?";
    session.execute(sql, values![by, hash]).await?;
    Ok(true)
}
