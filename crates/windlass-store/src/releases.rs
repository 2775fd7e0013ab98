//! Releases: what a build gave, kept for ever as it was.

use std::collections::BTreeMap;

use windlass_model::release::machine::Refusal;
use windlass_model::release::{
    Actor, Digest, Index, Item, Micros, Project, ReleaseId, TargetName, TransactionId,
};

use crate::error::{ChangeError, StoreError};
use crate::sql::dialect::insert;
use crate::sql::value::values;
use crate::sql::{Row, Session, Where};
use crate::store::Store;

/// A release and what became known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Release {
    /// Its table of contents.
    pub index: Index,
    /// Why it is not to be installed any more.
    pub rejected: Option<String>,
    /// The transaction that built it; none for one that was imported.
    pub transaction: Option<TransactionId>,
    /// Since when it is here.
    pub created_at: Micros,
}

const COLUMNS: &str = "project, version, format, revision, tx, created_at, rejected";

impl Store {
    /// A release.
    pub async fn release(&self, id: &ReleaseId) -> Result<Option<Release>, StoreError> {
        let mut session = self.database.session().await?;
        read(&mut session, id).await
    }

    /// Releases of a project, or of all, newest first; `limit` of them at most.
    pub async fn releases(
        &self,
        project: Option<&Project>,
        limit: u32,
    ) -> Result<Vec<Release>, StoreError> {
        let mut wanted = Where::default();
        wanted.when("project = ?", project);
        let sql = format!(
            "SELECT {COLUMNS} FROM releases{} ORDER BY created_at DESC, project, version LIMIT {limit}",
            wanted.sql()
        );
        let mut session = self.database.session().await?;
        let rows = session.rows(&sql, wanted.values).await?;
        let mut releases = Vec::with_capacity(rows.len());
        for row in rows {
            releases.push(with_items(&mut session, &row).await?);
        }
        Ok(releases)
    }

    /// Marks a release as not to be installed any more, and notes who did. [`StoreError::NotFound`] where it is none.
    pub async fn reject(
        &self,
        id: &ReleaseId,
        reason: &str,
        actor: &Actor,
    ) -> Result<(), StoreError> {
        let state = (id.clone(), reason.to_owned(), actor.clone());
        self.database
            .write(state, |(id, reason, actor), session| {
                Box::pin(reject(session, id, reason, actor))
            })
            .await
    }

    /// Takes in a release that was built elsewhere. The blobs must be there ([`Store::add_blob`]); the same again is no fault.
    pub async fn import(&self, index: &Index) -> Result<(), ChangeError> {
        self.database
            .write(index.clone(), |index, session| {
                Box::pin(async move {
                    let now = session.now().await?;
                    insert_release(session, index, None, now).await
                })
            })
            .await
    }

    /// A blob is on disk, whole and synced; repeated, it counts as used anew.
    pub async fn add_blob(&self, digest: &Digest, size: u64) -> Result<(), StoreError> {
        self.database
            .write((digest.clone(), size), |(digest, size), session| {
                Box::pin(async move {
                    let now = session.now().await?;
                    let columns = ["size", "used_at"];
                    let upsert = session.dialect().upsert("blob_file", &["digest"], &columns);
                    let values = values![&*digest, *size, now];
                    session.execute(&upsert, values).await.map(drop)
                })
            })
            .await
    }

    /// The size of a blob that is known to be here.
    pub async fn blob(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        let mut session = self.database.session().await?;
        let sql = "SELECT size FROM blob_file WHERE digest = ?";
        let row = session.row(sql, values![digest]).await?;
        row.map(|row| row.count("size")).transpose()
    }

    /// Forgets the blobs that no release has and that were not used since `before`; gives them, so that their files can be
    /// removed.
    pub async fn forget_blobs(&self, before: Micros) -> Result<Vec<Digest>, StoreError> {
        self.database
            .write(before, |before, session| {
                Box::pin(forget_blobs(session, *before))
            })
            .await
    }
}

async fn forget_blobs(session: &mut Session, before: Micros) -> Result<Vec<Digest>, StoreError> {
    let unused = "used_at < ? AND NOT EXISTS \
                  (SELECT 1 FROM release_item i WHERE i.digest = blob_file.digest)";
    let sql = format!("SELECT digest FROM blob_file WHERE {unused} ORDER BY digest");
    let rows = session.rows(&sql, values![before]).await?;
    let mut forgotten = Vec::new();
    // again with the condition: a release that comes in meanwhile uses its blobs anew
    let sql = format!("DELETE FROM blob_file WHERE digest = ? AND {unused}");
    for row in rows {
        let digest: Digest = row.name("digest")?;
        if session.execute(&sql, values![&digest, before]).await? > 0 {
            forgotten.push(digest);
        }
    }
    Ok(forgotten)
}

async fn read(session: &mut Session, id: &ReleaseId) -> Result<Option<Release>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM releases WHERE project = ? AND version = ?");
    let row = session.row(&sql, values![&id.project, &id.version]).await?;
    match row {
        Some(row) => with_items(session, &row).await.map(Some),
        None => Ok(None),
    }
}

async fn with_items(session: &mut Session, row: &Row) -> Result<Release, StoreError> {
    let mut index = Index {
        format: row.count("format")?,
        project: row.name("project")?,
        version: row.name("version")?,
        revision: row.opt_text("revision")?,
        targets: BTreeMap::new(),
    };
    let sql =
        "SELECT target, name, digest, size FROM release_item WHERE project = ? AND version = ?";
    let items = values![&index.project, &index.version];
    for item in session.rows(sql, items).await? {
        let target: TargetName = item.name("target")?;
        let item = Item {
            name: item.text("name")?,
            digest: item.name("digest")?,
            size: item.count("size")?,
        };
        index.targets.insert(target, item);
    }
    Ok(Release {
        index,
        rejected: row.opt_text("rejected")?,
        transaction: row.opt_name("tx")?,
        created_at: row.int("created_at")?,
    })
}

/// Writes a release. One that is there is no fault when it is the same.
pub(crate) async fn insert_release(
    session: &mut Session,
    index: &Index,
    transaction: Option<&TransactionId>,
    now: Micros,
) -> Result<(), ChangeError> {
    let id = index.release();
    let columns = [
        "project",
        "version",
        "format",
        "revision",
        "tx",
        "created_at",
    ];
    let sql = session.dialect().insert_new("releases", &columns);
    let transaction = transaction.map(|id| id.as_str());
    let values = values![
        &index.project,
        &index.version,
        index.format,
        &index.revision,
        transaction,
        now,
    ];
    if session.execute(&sql, values).await? == 0 {
        let there = read(session, &id).await?;
        if there.is_some_and(|release| release.index == *index) {
            return Ok(());
        }
        let why = format!(
            "release {id} exists already and is another one: releases do not change, give it another version"
        );
        return Err(Refusal::Illegal(why).into());
    }
    let columns = ["project", "version", "target", "name", "digest", "size"];
    let sql = insert("release_item", &columns, &[]);
    for (target, item) in &index.targets {
        let touch = "UPDATE blob_file SET used_at = ? WHERE digest = ? AND size = ?";
        let touched = session.execute(touch, values![now, &item.digest, item.size]);
        if touched.await? == 0 {
            let why = format!(
                "the blob {} of {target} ({} bytes) of release {id} is not here: upload it first",
                item.digest, item.size
            );
            return Err(Refusal::Illegal(why).into());
        }
        let values = values![
            &index.project,
            &index.version,
            target,
            &item.name,
            &item.digest,
            item.size,
        ];
        session.execute(&sql, values).await?;
    }
    Ok(())
}

async fn reject(
    session: &mut Session,
    id: &ReleaseId,
    reason: &str,
    actor: &Actor,
) -> Result<(), StoreError> {
    let now = session.now().await?;
    let sql = "UPDATE releases SET rejected = ? WHERE project = ? AND version = ?";
    let values = values![reason, &id.project, &id.version];
    if session.execute(sql, values).await? == 0 {
        return Err(StoreError::NotFound(format!("there is no release {id}")));
    }
    let sql = "SELECT COALESCE(MAX(n), 0) AS n FROM release_note WHERE project = ? AND version = ?";
    let row = session.row(sql, values![&id.project, &id.version]).await?;
    let n = row.map_or(Ok(0), |row| row.int("n"))? + 1;
    let columns = [
        "project", "version", "n", "at", "actor", "address", "what", "detail",
    ];
    let values = values![
        &id.project,
        &id.version,
        n,
        now,
        &actor.name,
        &actor.address,
        "rejected",
        reason,
    ];
    let sql = insert("release_note", &columns, &[]);
    session.execute(&sql, values).await.map(drop)
}
