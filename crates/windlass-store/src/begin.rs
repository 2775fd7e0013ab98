//! New transactions.

use std::time::Duration;

use serde_json::{Map, Value as Json};
use sha2::{Digest as _, Sha256};
use windlass_model::release::{
    Actor, AgentKind, Effect, Environment, Job, JobState, Phase, Project, ReleaseId, Transaction,
    TransactionId, Whole,
};

use crate::change;
use crate::error::{ChangeError, StoreError};
use crate::fresh;
use crate::rows;
use crate::sql::dialect::insert;
use crate::sql::value::values;
use crate::sql::{Session, Value};
use crate::store::Store;

/// How long a request whose answer was not delivered counts as the same when it comes again, in microseconds.
const REPEATED_WITHIN: i64 = 15 * 60 * 1_000_000;

/// Answers that one statement writes down at most.
const ANSWERED: usize = 64;

/// A transaction that is to be. Ids, number and times are the store's.
#[derive(Clone, Debug)]
pub struct NewTransaction {
    /// Of what.
    pub project: Project,
    /// `build`, `install`, or one that the project declares; at most 255 bytes.
    pub action: String,
    /// Where to.
    pub environment: Option<Environment>,
    /// The client's request data, unchanged.
    pub request: Map<String, Json>,
    /// Who asked.
    pub actor: Actor,
    /// How far it is already: `Rejected`, `Building` with a `build`, `Waiting` with a `release`.
    pub phase: Phase,
    /// Whether more than a build was asked for.
    pub installs: bool,
    /// The release that it installs, when it is built already.
    pub release: Option<ReleaseId>,
    /// Installs that may fail.
    pub max_failures: u32,
    /// Why it is over, when it is.
    pub why: Option<String>,
    /// Its build.
    pub build: Option<NewBuild>,
    /// What the client calls its request; the same again is the same transaction, for ever. Of any length.
    pub request_key: Option<String>,
    /// What the request looks like, for clients that send again without knowing: the same again is the same transaction as
    /// long as its answer was not delivered ([`Store::answered`]), for 15 minutes. Of any length.
    pub fingerprint: Option<String>,
    /// The first entries of its history; other effects are done too.
    pub effects: Vec<Effect>,
}

/// The build of a new transaction.
#[derive(Clone, Debug, Default)]
pub struct NewBuild {
    /// Within what time it must begin.
    pub within: Option<Duration>,
}

/// What became of a new transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Begun {
    /// It was made.
    New(Transaction),
    /// The request came before.
    Known(Transaction),
}

impl Begun {
    /// The transaction, new or known.
    pub fn into_transaction(self) -> Transaction {
        match self {
            Self::New(transaction) | Self::Known(transaction) => transaction,
        }
    }
}

impl Store {
    /// Makes a transaction, with its build and its history, at once. Numbers only grow, in the order in which transactions
    /// become visible, and have no gaps. It may be called again after any failure when it has a `request_key`.
    pub async fn begin(&self, new: NewTransaction) -> Result<Begun, ChangeError> {
        let begun = self
            .database
            .write_in_turn(new, |new, session| Box::pin(begin(new, session)))
            .await?;
        begun.await
    }

    /// The answers to requests were delivered: the same request is a new one for every [`Store::begin`] that is called after this
    /// returns. Awaiting what it gives, which must not be dropped before, tells that this is on the disk.
    pub async fn answered(
        &self,
        ids: Vec<TransactionId>,
    ) -> Result<impl Future<Output = Result<(), StoreError>> + Send + use<>, StoreError> {
        self.database
            .write_in_turn(ids, |ids, session| Box::pin(answered(ids, session)))
            .await
    }
}

async fn answered(ids: &[TransactionId], session: &mut Session) -> Result<(), StoreError> {
    let now = session.about_now().await?;
    for ids in ids.chunks(ANSWERED) {
        let places = vec!["?"; ids.len()].join(", ");
        let sql = format!(
            "UPDATE tx SET fingerprint = NULL, answered_at = ? WHERE answered_at IS NULL AND id IN ({places})"
        );
        let mut values = values![now];
        values.extend(ids.iter().map(Value::from));
        session.execute(&sql, values).await?;
    }
    Ok(())
}

async fn begin(new: &mut NewTransaction, session: &mut Session) -> Result<Begun, ChangeError> {
    let (last, now) = session.last_number().await?;
    let sequence = last + 1;
    let keys = [&new.request_key, &new.fingerprint].map(|key| key.as_deref().map(hashed));
    let [request_key, fingerprint] = &keys;
    if let Some(known) = known(session, request_key, fingerprint, now).await? {
        return Ok(Begun::Known(known));
    }
    let transaction = Transaction {
        id: fresh::id(now)?,
        sequence: u64::try_from(sequence).unwrap_or(0),
        project: new.project.clone(),
        action: new.action.clone(),
        environment: new.environment.clone(),
        request: new.request.clone(),
        actor: new.actor.clone(),
        phase: new.phase,
        end: None,
        installs: new.installs,
        release: new.release.clone(),
        wave: 0,
        max_failures: new.max_failures,
        cancelled: false,
        why: new.why.clone(),
        created_at: now,
        ended_at: new.phase.is_over().then_some(now),
    };
    session.give_out(sequence);
    let t = &transaction;
    let columns = [
        "id",
        "seq",
        "project",
        "action",
        "env",
        "request",
        "actor",
        "address",
        "request_key",
        "fingerprint",
        "phase",
        "installs",
        "release_id",
        "wave",
        "max_failures",
        "cancelled",
        "why",
        "created_at",
        "ended_at",
        "entries",
    ];
    let request = serde_json::to_string(&t.request)
        .map_err(|e| StoreError::Failed(format!("request: {e}")))?;
    let values = values![
        &t.id,
        t.sequence,
        &t.project,
        &t.action,
        &t.environment,
        request,
        &t.actor.name,
        &t.actor.address,
        request_key,
        fingerprint,
        t.phase.as_str(),
        t.installs,
        &t.release,
        t.wave,
        t.max_failures,
        t.cancelled,
        &t.why,
        t.created_at,
        t.ended_at,
        change::entries(&new.effects),
    ];
    session
        .execute(&insert("tx", &columns, &[]), values)
        .await?;
    let jobs = match &new.build {
        Some(build) => vec![build_job(build, now)?],
        None => Vec::new(),
    };
    let whole = Whole { transaction, jobs };
    change::insert_jobs(session, &whole, 0).await?;
    change::effects(session, &whole.transaction, 0, &new.effects, now).await?;
    Ok(Begun::New(whole.transaction))
}

async fn known(
    session: &mut Session,
    request_key: &Option<String>,
    fingerprint: &Option<String>,
    now: i64,
) -> Result<Option<Transaction>, StoreError> {
    let columns = rows::TRANSACTION;
    if request_key.is_some() {
        let sql = format!("SELECT {columns}, t.request FROM tx t WHERE t.request_key = ?");
        if let Some(row) = session.row(&sql, values![request_key]).await? {
            return rows::transaction(&row).map(Some);
        }
    }
    if fingerprint.is_some() {
        let sql = format!(
            "SELECT {columns}, t.request FROM tx t WHERE t.fingerprint = ? AND t.created_at > ? ORDER BY t.seq DESC"
        );
        let since = now.saturating_sub(REPEATED_WITHIN);
        if let Some(row) = session.row(&sql, values![fingerprint, since]).await? {
            return rows::transaction(&row).map(Some);
        }
    }
    Ok(None)
}

fn build_job(build: &NewBuild, now: i64) -> Result<Job, StoreError> {
    let within = |d: Duration| i64::try_from(d.as_micros()).unwrap_or(i64::MAX);
    Ok(Job {
        id: fresh::id(now)?,
        kind: AgentKind::Builder,
        target: None,
        agent: None,
        wave: 0,
        state: JobState::Queued,
        attempt: 0,
        epoch: 0,
        lease_until: None,
        deadline: build.within.map(|d| now.saturating_add(within(d))),
        result: None,
    })
}

/// A text of any length as one of 64 letters that is as good as it to compare.
pub(crate) fn hashed(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
