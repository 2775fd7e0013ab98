//! The one writer of a SQLite file. What is asked for while it waits for the disk goes into its next transaction, each
//! change within a savepoint of its own: so one sync makes many changes durable, and none is told of before.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::SqlitePool;
use tokio::sync::{mpsc, oneshot};

use super::session::Session;
use super::{database, fault};
use crate::error::{Failure, StoreError};

/// Changes of one transaction at most.
const BATCH: usize = 128;

/// A change that waits for its turn.
pub(super) trait Work: Send {
    /// Whether somebody still waits for it.
    fn is_wanted(&self) -> bool;
    /// Does it; gives whether what it wrote is to be kept.
    fn run<'a>(&'a mut self, session: &'a mut Session) -> BoxFuture<'a, bool>;
    /// Tells what came of it, or why it was not kept.
    fn answer(self: Box<Self>, kept: Result<(), StoreError>);
}

/// A change with what it works on.
pub(super) struct Pending<S, F, T, E> {
    pub(super) state: S,
    pub(super) act: F,
    pub(super) outcome: Option<Result<T, E>>,
    pub(super) reply: oneshot::Sender<Result<T, E>>,
}

impl<S, F, T, E> Work for Pending<S, F, T, E>
where
    S: Send,
    F: for<'a> Fn(&'a mut S, &'a mut Session) -> BoxFuture<'a, Result<T, E>> + Send + Sync,
    T: Send,
    E: Failure,
{
    fn is_wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    fn run<'a>(&'a mut self, session: &'a mut Session) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let act = async { (self.act)(&mut self.state, session).await };
            let outcome = AssertUnwindSafe(act).catch_unwind().await;
            let outcome = outcome.unwrap_or_else(|_| Err(database::panicked().into()));
            let keep = outcome.is_ok();
            self.outcome = Some(outcome);
            keep
        })
    }

    fn answer(self: Box<Self>, kept: Result<(), StoreError>) {
        let outcome = match (kept, self.outcome) {
            (Ok(()), Some(outcome)) | (Err(_), Some(outcome @ Err(_))) => outcome,
            (Ok(()), None) => Err(StoreError::Failed("it was not begun".into()).into()),
            (Err(error), _) => Err(error.into()),
        };
        // whoever asked may have gone away
        let _ = self.reply.send(outcome);
    }
}

/// Writes until nobody can ask any more.
pub(super) async fn run(
    pool: SqlitePool,
    mut queue: mpsc::Receiver<Box<dyn Work>>,
    limit: std::time::Duration,
) {
    while let Some(first) = queue.recv().await {
        let mut done = Vec::new();
        let kept = match pool.acquire().await {
            Ok(link) => {
                let mut session = Session::sqlite(link, limit);
                batch(&mut session, first, &mut queue, &mut done).await
            }
            Err(error) => {
                done.push(first);
                Err(fault::of(error))
            }
        };
        for work in done {
            work.answer(kept.clone());
        }
    }
}

/// One transaction of what waits.
async fn batch(
    session: &mut Session,
    first: Box<dyn Work>,
    queue: &mut mpsc::Receiver<Box<dyn Work>>,
    done: &mut Vec<Box<dyn Work>>,
) -> Result<(), StoreError> {
    let mut next = Some(first);
    if let Err(error) = session.begin().await {
        done.extend(next);
        return Err(error);
    }
    let mut kept = Ok(());
    while let Some(mut work) = next {
        if work.is_wanted() {
            kept = one(session, &mut work).await;
            done.push(work);
        }
        if kept.is_err() || done.len() >= BATCH {
            break;
        }
        next = queue.try_recv().ok();
    }
    if kept.is_ok() {
        kept = session.commit().await;
    }
    if kept.is_err() {
        session.roll_back().await;
    }
    kept
}

async fn one(session: &mut Session, work: &mut Box<dyn Work>) -> Result<(), StoreError> {
    session.plain("SAVEPOINT change").await?;
    if !work.run(session).await {
        session.plain("ROLLBACK TO change").await?;
    }
    session.plain("RELEASE change").await
}
