//! A database: sessions to read by, and changes as transactions.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::dialect::Dialect;
use super::pools::Connections;
use super::session::Session;
use super::writer::{self, Pending, Work};
use crate::error::{Failure, StoreError};
use crate::url::StoreUrl;

/// Changes that may wait for the writer.
const QUEUE: usize = 1024;

/// Bounds of a store's waits and connections.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections at most; a SQLite file has one more, which writes.
    pub connections: u32,
    /// How long to wait for a connection, a free one or a new one.
    pub connect: Duration,
    /// How long a statement, or the wait for a lock, may take.
    pub limit: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: 8,
            connect: Duration::from_secs(10),
            limit: Duration::from_secs(30),
        }
    }
}

/// Gives out connections. A cheap handle.
#[derive(Clone)]
pub(crate) struct Database {
    connections: Connections,
    writer: mpsc::Sender<Box<dyn Work>>,
}

impl Database {
    /// Connects. A SQLite file is made when it is missing, for its owner only.
    pub(crate) async fn connect(url: &StoreUrl, options: &Options) -> Result<Self, StoreError> {
        let (connections, writing) = Connections::to(&url.place, options)?;
        let (writer, queue) = mpsc::channel(QUEUE);
        tokio::spawn(writer::run(writing, queue));
        connections.reach().await?;
        Ok(Self {
            connections,
            writer,
        })
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.connections.dialect()
    }

    /// A connection to read by; what is not in a transaction is seen as it was at each statement's begin.
    pub(crate) async fn session(&self) -> Result<Session, StoreError> {
        self.connections.session().await
    }

    /// Runs `act` on `state` in one transaction, which is kept when it gives `Ok`. It is run again when another transaction
    /// was in its way. Once begun it goes on to its end, also when the caller goes away.
    pub(crate) async fn write<S, T, E, F>(&self, state: S, act: F) -> Result<T, E>
    where
        S: Send + 'static,
        T: Send + 'static,
        E: Failure,
        F: for<'a> Fn(&'a mut S, &'a mut Session) -> BoxFuture<'a, Result<T, E>>
            + Send
            + Sync
            + 'static,
    {
        if self.dialect() == Dialect::Sqlite {
            return self.write_in_turn(state, act).await?.await;
        }
        let connections = self.connections.clone();
        let done = tokio::spawn(async move { connections.attempts(state, act).await });
        done.await.unwrap_or_else(|_| Err(closed().into()))
    }

    /// The same, in the order of calls, several in one transaction: for what would wait for each other anyway. It has its turn
    /// when this returns; awaiting what it gives, which must not be dropped before, tells what came of it.
    pub(crate) async fn write_in_turn<S, T, E, F>(
        &self,
        state: S,
        act: F,
    ) -> Result<impl Future<Output = Result<T, E>> + Send + use<S, T, E, F>, E>
    where
        S: Send + 'static,
        T: Send + 'static,
        E: Failure,
        F: for<'a> Fn(&'a mut S, &'a mut Session) -> BoxFuture<'a, Result<T, E>>
            + Send
            + Sync
            + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let work = Box::new(Pending {
            state,
            act,
            outcome: None,
            reply,
        });
        let limit = self.connections.options.limit;
        let queued = self.writer.send_timeout(work, limit).await;
        queued.map_err(|_| StoreError::Busy("too many changes wait to be written".into()))?;
        Ok(async move { answer.await.unwrap_or_else(|_| Err(closed().into())) })
    }
}

fn closed() -> StoreError {
    StoreError::Unreachable("the store is closed".into())
}
