//! Changes that have their turn one after the other. What is asked for while the disk is waited for goes into the next transaction,
//! each change within a savepoint of its own: so one sync makes many changes durable, and none is told of before.
//!
//! All changes of a SQLite file are written so, and elsewhere those that have to wait for each other.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::dialect::Dialect;
use super::pools::{self, Connections};
use super::session::Session;
use crate::error::{Failure, StoreError};

/// Changes of one transaction at most.
const BATCH: usize = 128;

/// A change that waits for its turn.
pub(super) trait Work: Send {
    /// Whether somebody still waits for it.
    fn is_wanted(&self) -> bool;
    /// Does it; gives whether what it wrote is to be kept.
    fn run<'a>(&'a mut self, session: &'a mut Session) -> BoxFuture<'a, bool>;
    /// Tells what came of it, or why it was not kept. Where others were in its way it is first done by itself, with one of these
    /// connections.
    fn answer(self: Box<Self>, kept: Result<(), StoreError>, alone: Option<&Connections>);
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
    S: Send + 'static,
    F: for<'a> Fn(&'a mut S, &'a mut Session) -> BoxFuture<'a, Result<T, E>>
        + Send
        + Sync
        + 'static,
    T: Send + 'static,
    E: Failure,
{
    fn is_wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    fn run<'a>(&'a mut self, session: &'a mut Session) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let act = async { (self.act)(&mut self.state, session).await };
            let outcome = AssertUnwindSafe(act).catch_unwind().await;
            let outcome = outcome.unwrap_or_else(|_| Err(pools::panicked().into()));
            let keep = outcome.is_ok();
            self.outcome = Some(outcome);
            keep
        })
    }

    fn answer(self: Box<Self>, kept: Result<(), StoreError>, alone: Option<&Connections>) {
        let outcome = match (kept, self.outcome) {
            (Ok(()), Some(outcome)) | (Err(_), Some(outcome @ Err(_))) => outcome,
            (Ok(()), None) => Err(StoreError::Failed("it was not begun".into()).into()),
            (Err(error), _) => Err(error.into()),
        };
        let is_busy = matches!(&outcome, Err(error) if error.is_busy());
        let (state, act, reply) = (self.state, self.act, self.reply);
        match alone.filter(|_| is_busy).cloned() {
            Some(connections) => {
                tokio::spawn(async move {
                    let _ = reply.send(connections.attempts(state, act).await);
                });
            }
            // whoever asked may have gone away
            None => drop(reply.send(outcome)),
        }
    }
}

/// Writes until nobody can ask any more.
pub(super) async fn run(connections: Connections, mut queue: mpsc::Receiver<Box<dyn Work>>) {
    // A SQLite file has no other connection that writes.
    let alone = (connections.dialect() != Dialect::Sqlite).then(|| connections.clone());
    while let Some(first) = queue.recv().await {
        let mut done = Vec::new();
        let kept = match connections.session().await {
            Ok(mut session) => batch(&mut session, first, &mut queue, &mut done).await,
            Err(error) => {
                done.push(first);
                Err(error)
            }
        };
        for work in done {
            work.answer(kept.clone(), alone.as_ref());
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
            kept = one(session, &mut work, done.is_empty()).await;
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

async fn one(
    session: &mut Session,
    work: &mut Box<dyn Work>,
    is_first: bool,
) -> Result<(), StoreError> {
    session.mark(is_first).await?;
    match work.run(session).await {
        true => Ok(()),
        false => session.turn_back().await,
    }
}
