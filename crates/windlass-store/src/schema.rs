//! The tables, and the steps that lead from an older schema to this one.
//!
//! A step is never changed once it was released; a new one is added. MySQL ends a transaction at each statement about
//! tables, so every statement of a step can be done again.

use crate::error::StoreError;
use crate::fresh;
use crate::sql::dialect::Dialect;
use crate::sql::value::values;
use crate::sql::{Database, Session};

/// What there is to know before the schema is known.
const META: &str = "CREATE TABLE IF NOT EXISTS meta (only_row {int} PRIMARY KEY, cluster_id {name} NOT NULL, \
    schema_number {int} NOT NULL, sequence {int} NOT NULL) {engine}";

/// Step `n` leads to schema `n + 1`.
const STEPS: &[&[&str]] = &[FIRST, SECOND];

/// What is asked for often is found by an index, however much there is.
const SECOND: &[&str] = &[
    "CREATE INDEX IF NOT EXISTS job_deadline ON job (state, deadline)",
    "CREATE INDEX IF NOT EXISTS advert_project ON advert (project)",
    "CREATE INDEX IF NOT EXISTS advert_env ON advert (env, target)",
    "CREATE INDEX IF NOT EXISTS installed_agent ON installed (agent, env, target)",
];

const FIRST: &[&str] = &[
    // fingerprint: of a request whose answer may not have been delivered yet
    "CREATE TABLE IF NOT EXISTS tx (id {name} PRIMARY KEY, seq {int} NOT NULL UNIQUE, project {name} NOT NULL, \
     action {long} NOT NULL, env {name}, request {text} NOT NULL, actor {text} NOT NULL, address {text} NOT NULL, \
     request_key {name} UNIQUE, fingerprint {name}, phase {name} NOT NULL, end_state {name}, installs {int} NOT NULL, \
     release_id {id}, wave {int} NOT NULL, max_failures {int} NOT NULL, cancelled {int} NOT NULL, why {text}, \
     created_at {int} NOT NULL, ended_at {int}, answered_at {int}, entries {int} NOT NULL) {engine}",
    "CREATE INDEX IF NOT EXISTS tx_phase ON tx (phase, seq)",
    "CREATE INDEX IF NOT EXISTS tx_project ON tx (project, seq)",
    "CREATE INDEX IF NOT EXISTS tx_env ON tx (env, seq)",
    "CREATE INDEX IF NOT EXISTS tx_fingerprint ON tx (fingerprint)",
    "CREATE TABLE IF NOT EXISTS job (id {name} PRIMARY KEY, tx {name} NOT NULL, n {int} NOT NULL, kind {name} NOT NULL, \
     target {name}, agent {name}, wave {int} NOT NULL, state {name} NOT NULL, attempt {int} NOT NULL, \
     epoch {int} NOT NULL, lease_until {int}, deadline {int}, result {text}, \
     UNIQUE (tx, n), UNIQUE (tx, kind, target, agent), FOREIGN KEY (tx) REFERENCES tx (id)) {engine}",
    "CREATE INDEX IF NOT EXISTS job_state ON job (state, kind, agent)",
    "CREATE TABLE IF NOT EXISTS history (tx {name} NOT NULL, n {int} NOT NULL, at {int} NOT NULL, actor {text} NOT NULL, \
     address {text} NOT NULL, what {text} NOT NULL, detail {text} NOT NULL, PRIMARY KEY (tx, n), \
     FOREIGN KEY (tx) REFERENCES tx (id)) {engine}",
    // `release` is a word of SQL
    "CREATE TABLE IF NOT EXISTS releases (project {name} NOT NULL, version {name} NOT NULL, format {int} NOT NULL, \
     revision {text}, tx {name}, created_at {int} NOT NULL, rejected {text}, PRIMARY KEY (project, version)) {engine}",
    "CREATE INDEX IF NOT EXISTS releases_time ON releases (project, created_at)",
    "CREATE TABLE IF NOT EXISTS release_item (project {name} NOT NULL, version {name} NOT NULL, target {name} NOT NULL, \
     name {text} NOT NULL, digest {name} NOT NULL, size {int} NOT NULL, PRIMARY KEY (project, version, target), \
     FOREIGN KEY (project, version) REFERENCES releases (project, version)) {engine}",
    "CREATE INDEX IF NOT EXISTS release_item_digest ON release_item (digest)",
    "CREATE TABLE IF NOT EXISTS release_note (project {name} NOT NULL, version {name} NOT NULL, n {int} NOT NULL, \
     at {int} NOT NULL, actor {text} NOT NULL, address {text} NOT NULL, what {text} NOT NULL, detail {text} NOT NULL, \
     PRIMARY KEY (project, version, n)) {engine}",
    "CREATE TABLE IF NOT EXISTS blob_file (digest {name} PRIMARY KEY, size {int} NOT NULL, used_at {int} NOT NULL) {engine}",
    "CREATE TABLE IF NOT EXISTS agent (id {name} PRIMARY KEY, kind {name} NOT NULL, name {name} NOT NULL, \
     credential_hash {long}, incarnation {long} NOT NULL, slots {int} NOT NULL, state {name} NOT NULL, \
     registered_at {int} NOT NULL, seen_at {int} NOT NULL, UNIQUE (kind, name)) {engine}",
    // a builder's rows name projects, an installer's environments and targets; what does not apply is empty
    "CREATE TABLE IF NOT EXISTS advert (agent {name} NOT NULL, project {name} NOT NULL, env {name} NOT NULL, \
     target {name} NOT NULL, PRIMARY KEY (agent, project, env, target), \
     FOREIGN KEY (agent) REFERENCES agent (id)) {engine}",
    "CREATE TABLE IF NOT EXISTS installed (env {name} NOT NULL, project {name} NOT NULL, target {name} NOT NULL, \
     agent {name} NOT NULL, host {long} NOT NULL, version {name} NOT NULL, previous_good {name}, tx {name} NOT NULL, \
     at {int} NOT NULL, PRIMARY KEY (env, project, target, agent, host)) {engine}",
    "CREATE TABLE IF NOT EXISTS env_lock (env {name} NOT NULL, target {name} NOT NULL, tx {name} NOT NULL, \
     at {int} NOT NULL, PRIMARY KEY (env, target)) {engine}",
    "CREATE INDEX IF NOT EXISTS env_lock_tx ON env_lock (tx)",
    "CREATE TABLE IF NOT EXISTS token (hash {name} PRIMARY KEY, kind {name} NOT NULL, subject {text} NOT NULL, \
     expires {int} NOT NULL) {engine}",
];

/// The schema that this program writes.
pub(crate) fn newest() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// Makes the tables or brings them up to date; gives the id of the cluster. Several processes may do so at once.
pub(crate) async fn migrate(database: &Database) -> Result<String, StoreError> {
    if database.dialect() == Dialect::MySql {
        return migrate_mysql(database).await;
    }
    let done = database.write((), |(), session| Box::pin(migrate_locked(session)));
    done.await
}

async fn migrate_locked(session: &mut Session) -> Result<String, StoreError> {
    // SQLite has one writer, and this is it
    if session.dialect() == Dialect::Postgres {
        // any number will do that no other program takes
        session
            .plain("SELECT pg_advisory_xact_lock(7309461732)")
            .await?;
    }
    steps(session).await
}

async fn migrate_mysql(database: &Database) -> Result<String, StoreError> {
    let mut session = database.session().await?;
    let lock = "SELECT GET_LOCK(CONCAT('windlass.', SHA1(DATABASE())), 20) AS got";
    let got = session.row(lock, Vec::new()).await?;
    if got.map(|row| row.opt_int("got")).transpose()?.flatten() != Some(1) {
        return Err(StoreError::Busy("another process migrates it".into()));
    }
    let done = steps(&mut session).await;
    let free = "SELECT RELEASE_LOCK(CONCAT('windlass.', SHA1(DATABASE()))) AS freed";
    session.row(free, Vec::new()).await?;
    done
}

async fn steps(session: &mut Session) -> Result<String, StoreError> {
    session.plain(META).await?;
    let read = "SELECT cluster_id, schema_number FROM meta WHERE only_row = 1";
    let (cluster, found) = match session.row(read, Vec::new()).await? {
        Some(row) => (row.text("cluster_id")?, row.int("schema_number")?),
        None => {
            let cluster = fresh::random(20)?;
            let insert = "INSERT INTO meta (only_row, cluster_id, schema_number, sequence) VALUES (1, ?, 0, 0)";
            session.execute(insert, values![&cluster]).await?;
            (cluster, 0)
        }
    };
    let known = newest();
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (step, number) in STEPS.iter().zip(1_i64..) {
        if number > found {
            for statement in *step {
                session.plain(statement).await?;
            }
            let update = "UPDATE meta SET schema_number = ? WHERE only_row = 1";
            session.execute(update, values![number]).await?;
        }
    }
    Ok(cluster)
}
