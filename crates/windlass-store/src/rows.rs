//! Transactions and jobs as rows.

use windlass_model::release::{
    Actor, AgentKind, End, Job, JobState, Phase, Transaction, TransactionId, Whole,
};

use crate::error::StoreError;
use crate::sql::value::values;
use crate::sql::{Row, Session};

/// The columns of a transaction, but for its request.
pub(crate) const TRANSACTION: &str = "t.id, t.seq, t.project, t.action, t.env, t.actor, t.address, t.phase, t.end_state, \
    t.installs, t.release_id, t.wave, t.max_failures, t.cancelled, t.why, t.created_at, t.ended_at";

/// The columns of a job; their names differ from those of a transaction.
pub(crate) const JOB: &str = "j.id AS job_id, j.kind, j.target, j.agent, j.wave AS job_wave, j.state, j.attempt, j.epoch, \
    j.lease_until, j.deadline, j.result";

/// The transaction of a row of [`TRANSACTION`] and `request`.
pub(crate) fn transaction(row: &Row) -> Result<Transaction, StoreError> {
    let request = serde_json::from_str(&row.text("request")?)
        .map_err(|e| StoreError::Corrupt(format!("column request: {e}")))?;
    let end = match row.opt_text("end_state")? {
        Some(_) => Some(row.one_of("end_state", End::from_name)?),
        None => None,
    };
    Ok(Transaction {
        id: row.name("id")?,
        sequence: row.count("seq")?,
        project: row.name("project")?,
        action: row.text("action")?,
        environment: row.opt_name("env")?,
        request,
        actor: actor(row)?,
        phase: row.one_of("phase", Phase::from_name)?,
        end,
        installs: row.flag("installs")?,
        release: row.opt_name("release_id")?,
        wave: row.count("wave")?,
        max_failures: row.count("max_failures")?,
        cancelled: row.flag("cancelled")?,
        why: row.opt_text("why")?,
        created_at: row.int("created_at")?,
        ended_at: row.opt_int("ended_at")?,
    })
}

/// The actor of a row that has `actor` and `address`.
pub(crate) fn actor(row: &Row) -> Result<Actor, StoreError> {
    Ok(Actor {
        name: row.text("actor")?,
        address: row.text("address")?,
    })
}

/// The job of a row of [`JOB`].
pub(crate) fn job(row: &Row) -> Result<Job, StoreError> {
    Ok(Job {
        id: row.name("job_id")?,
        kind: row.one_of("kind", AgentKind::from_name)?,
        target: row.opt_name("target")?,
        agent: row.opt_name("agent")?,
        wave: row.count("job_wave")?,
        state: row.one_of("state", JobState::from_name)?,
        attempt: row.count("attempt")?,
        epoch: row.count("epoch")?,
        lease_until: row.opt_int("lease_until")?,
        deadline: row.opt_int("deadline")?,
        result: row.opt_text("result")?,
    })
}

/// A transaction with its jobs, as they were at one time: it is one statement. With how many entries its history has.
pub(crate) async fn whole(
    session: &mut Session,
    id: &TransactionId,
) -> Result<Option<(Whole, i64)>, StoreError> {
    // a request may be long: it comes with the first job only
    let sql = format!(
        "SELECT {TRANSACTION}, {JOB}, t.entries, CASE WHEN j.n > 0 THEN NULL ELSE t.request END AS request \
         FROM tx t LEFT JOIN job j ON j.tx = t.id WHERE t.id = ? ORDER BY j.n"
    );
    let rows = session.rows(&sql, values![id]).await?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let has_jobs = first.opt_text("job_id")?.is_some();
    let jobs = match has_jobs {
        true => rows.iter().map(job).collect::<Result<_, _>>()?,
        false => Vec::new(),
    };
    let whole = Whole {
        transaction: transaction(first)?,
        jobs,
    };
    Ok(Some((whole, first.int("entries")?)))
}
