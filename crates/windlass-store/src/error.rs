//! What can go wrong in a store. No text holds a URL, so none holds its password.

use windlass_model::release::TransactionId;
use windlass_model::release::machine::Refusal;

/// Why a store could not do what it was asked to do. Nothing was written, unless [`StoreError::Unreachable`] says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The text is no URL of a store.
    BadUrl(String),
    /// The database does not answer, or the link to it was lost. A change that was under way may have been written.
    Unreachable(String),
    /// The database lets nobody in who says this of themselves, or has no database of that name.
    Denied(String),
    /// Others have what is needed for longer than the time limit. It may be tried again.
    Busy(String),
    /// What is in the database cannot be, or its file is damaged.
    Corrupt(String),
    /// The database was written by a newer Windlass.
    Newer {
        /// The schema that it has.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// There is no such thing.
    NotFound(String),
    /// The database refuses: rights, disk, limits.
    Failed(String),
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BadUrl(what) => f.write_str(what),
            Self::Unreachable(what) => write!(f, "the database does not answer: {what}"),
            Self::Denied(what) => write!(f, "the database does not let us in: {what}"),
            Self::Busy(what) => write!(f, "the database is busy, try again: {what}"),
            Self::Corrupt(what) => write!(f, "the database is damaged: {what}"),
            Self::Newer { found, known } => write!(
                f,
                "the database has schema {found}, and this program knows {known} at most: use the newer program"
            ),
            Self::NotFound(what) => f.write_str(what),
            Self::Failed(what) => write!(f, "the database refuses: {what}"),
        }
    }
}

impl std::error::Error for StoreError {}

/// Why a change of a transaction was not made. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeError {
    /// There is no such transaction.
    NoTransaction,
    /// The state machine refuses, or the release that it makes cannot be.
    Refused(Refusal),
    /// Another transaction installs into one of the targets.
    Busy {
        /// Which.
        by: TransactionId,
    },
    /// The store failed.
    Store(StoreError),
}

impl std::fmt::Display for ChangeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoTransaction => f.write_str("there is no such transaction"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Busy { by } => write!(f, "transaction {by} installs there"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ChangeError {}

impl From<StoreError> for ChangeError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Refusal> for ChangeError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// An error of a database transaction, which is begun again when others were in its way.
pub(crate) trait Failure: From<StoreError> + Send + 'static {
    /// Whether others were in its way.
    fn is_busy(&self) -> bool;
}

impl Failure for StoreError {
    fn is_busy(&self) -> bool {
        matches!(self, Self::Busy(_))
    }
}

impl Failure for ChangeError {
    fn is_busy(&self) -> bool {
        matches!(self, Self::Store(StoreError::Busy(_)))
    }
}
