//! Changes of a transaction with its jobs: read under a lock, changed by a pure function, written with all its effects.

use windlass_model::release::machine::Refusal;
use windlass_model::release::{
    Effect, Environment, Job, Micros, TargetName, Transaction, TransactionId, Whole,
};

use crate::error::{ChangeError, StoreError};
use crate::releases;
use crate::rows;
use crate::sql::Session;
use crate::sql::dialect::{Dialect, insert};
use crate::sql::value::values;
use crate::store::Store;

impl Store {
    /// Changes a transaction. `change` gets it as it is, and now; what it makes of it, and the effects that it gives, are
    /// written at once, or nothing is. It must be pure: it may be called again when another change was in the way.
    ///
    /// A refusal of `change` comes back as [`ChangeError::Refused`], and so does a release whose blobs are not all there or
    /// that exists with another index; a lock that another has as [`ChangeError::Busy`].
    pub async fn change<T, F>(&self, id: &TransactionId, change: F) -> Result<T, ChangeError>
    where
        T: Send + 'static,
        F: FnMut(&mut Whole, Micros) -> Result<(T, Vec<Effect>), Refusal> + Send + 'static,
    {
        self.database
            .write((id.clone(), change), |(id, change), session| {
                Box::pin(apply(session, id, change))
            })
            .await
    }
}

async fn apply<T, F>(
    session: &mut Session,
    id: &TransactionId,
    change: &mut F,
) -> Result<T, ChangeError>
where
    F: FnMut(&mut Whole, Micros) -> Result<(T, Vec<Effect>), Refusal>,
{
    if session.dialect() != Dialect::Sqlite {
        let sql = "SELECT id FROM tx WHERE id = ? {lock}";
        session.row(sql, values![id]).await?;
    }
    let Some((before, entries)) = rows::whole(session, id).await? else {
        return Err(ChangeError::NoTransaction);
    };
    let now = session.now().await?;
    let mut after = before.clone();
    let (value, told) = change(&mut after, now)?;
    let all = entries + self::entries(&told);
    if after.transaction != before.transaction || all != entries {
        update_transaction(session, &after.transaction, all).await?;
    }
    for job in &before.jobs {
        match after.job(&job.id) {
            Some(now) if now == job => {}
            Some(now) => update_job(session, now).await?,
            None => {
                let why = format!("job {} was lost by a change", job.id);
                return Err(StoreError::Failed(why).into());
            }
        }
    }
    insert_jobs(session, &after, before.jobs.len()).await?;
    effects(session, &after.transaction, entries, &told, now).await?;
    Ok(value)
}

/// How many entries of the history there are among effects.
pub(crate) fn entries(effects: &[Effect]) -> i64 {
    let entries = effects
        .iter()
        .filter(|effect| matches!(effect, Effect::History { .. }));
    i64::try_from(entries.count()).unwrap_or(i64::MAX)
}

async fn update_transaction(
    session: &mut Session,
    t: &Transaction,
    entries: i64,
) -> Result<(), StoreError> {
    let sql = "UPDATE tx SET phase = ?, end_state = ?, installs = ?, release_id = ?, wave = ?, max_failures = ?, \
               cancelled = ?, why = ?, ended_at = ?, entries = ? WHERE id = ?";
    let values = values![
        t.phase.as_str(),
        t.end.map(|end| end.as_str()),
        t.installs,
        &t.release,
        t.wave,
        t.max_failures,
        t.cancelled,
        &t.why,
        t.ended_at,
        entries,
        &t.id,
    ];
    session.execute(sql, values).await.map(drop)
}

async fn update_job(session: &mut Session, job: &Job) -> Result<(), StoreError> {
    let sql = "UPDATE job SET agent = ?, wave = ?, state = ?, attempt = ?, epoch = ?, lease_until = ?, deadline = ?, \
               result = ? WHERE id = ?";
    let values = values![
        &job.agent,
        job.wave,
        job.state.as_str(),
        job.attempt,
        job.epoch,
        job.lease_until,
        job.deadline,
        &job.result,
        &job.id,
    ];
    session.execute(sql, values).await.map(drop)
}

/// Writes the jobs from the one of that number on.
pub(crate) async fn insert_jobs(
    session: &mut Session,
    whole: &Whole,
    from: usize,
) -> Result<(), StoreError> {
    let columns = [
        "id",
        "tx",
        "n",
        "kind",
        "target",
        "agent",
        "wave",
        "state",
        "attempt",
        "epoch",
        "lease_until",
        "deadline",
        "result",
    ];
    let sql = insert("job", &columns, &[]);
    for (n, job) in whole.jobs.iter().enumerate().skip(from) {
        let values = values![
            &job.id,
            &whole.transaction.id,
            n,
            job.kind.as_str(),
            &job.target,
            &job.agent,
            job.wave,
            job.state.as_str(),
            job.attempt,
            job.epoch,
            job.lease_until,
            job.deadline,
            &job.result,
        ];
        session.execute(&sql, values).await?;
    }
    Ok(())
}

/// Does the effects of a change; the history has `entries` before them, and the row of the transaction tells how many then.
pub(crate) async fn effects(
    session: &mut Session,
    transaction: &Transaction,
    entries: i64,
    effects: &[Effect],
    now: Micros,
) -> Result<(), ChangeError> {
    let id = &transaction.id;
    let columns = ["tx", "n", "at", "actor", "address", "what", "detail"];
    let mut last = entries;
    for effect in effects {
        match effect {
            Effect::History {
                actor,
                what,
                detail,
            } => {
                last += 1;
                let values = values![id, last, now, &actor.name, &actor.address, *what, detail];
                session
                    .execute(&insert("history", &columns, &[]), values)
                    .await?;
            }
            Effect::Release { index } => {
                releases::insert_release(session, index, Some(id), now).await?;
            }
            Effect::Installed { .. } => {
                crate::installed::put(session, transaction, effect, now).await?;
            }
            Effect::Lock {
                environment,
                target,
            } => lock(session, id, environment, target, now).await?,
            Effect::Unlock => {
                let sql = "DELETE FROM env_lock WHERE tx = ?";
                session.execute(sql, values![id]).await?;
            }
        }
    }
    Ok(())
}

async fn lock(
    session: &mut Session,
    id: &TransactionId,
    environment: &Environment,
    target: &TargetName,
    now: Micros,
) -> Result<(), ChangeError> {
    let insert = session
        .dialect()
        .insert_new("env_lock", &["env", "target", "tx", "at"]);
    let values = values![environment, target, id, now];
    if session.execute(&insert, values).await? > 0 {
        return Ok(());
    }
    let sql = "SELECT tx FROM env_lock WHERE env = ? AND target = ?";
    match session.row(sql, values![environment, target]).await? {
        Some(row) => match row.name::<TransactionId>("tx")? {
            by if by == *id => Ok(()),
            by => Err(ChangeError::Busy { by }),
        },
        // given back just now
        None => Err(StoreError::Busy(format!("the lock of {target} in {environment}")).into()),
    }
}
