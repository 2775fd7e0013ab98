//! What the manager keeps: transactions, jobs, history, releases, registrations, what is where; blobs and logs.
//!
//! One schema on SQLite, PostgreSQL and MySQL or MariaDB, chosen by a [`StoreUrl`]. A [`Store`] takes and gives types of the
//! model; each of its operations is one transaction of the database. What may happen to a transaction is not decided here:
//! [`Store::change`] reads it under a lock, hands it to a pure function of `windlass_model::release::machine`, and writes
//! what that made of it. Blobs and logs are files, beside the database.

mod agents;
mod begin;
mod blobs;
mod change;
mod counts;
mod error;
mod files;
mod fresh;
mod installed;
mod jobs;
mod logs;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod plans;
mod queries;
mod releases;
mod rows;
mod schema;
mod sql;
mod store;
mod tokens;
mod url;

pub use agents::{AgentRecord, AgentState, Registration};
pub use begin::{Begun, NewBuild, NewTransaction};
pub use blobs::{BlobReader, Blobs, Upload};
pub use counts::Counts;
pub use error::{ChangeError, StoreError};
pub use files::FileError;
pub use fresh::id as fresh_id;
pub use installed::{Installed, InstalledFilter};
pub use logs::{Appended, Logs};
pub use queries::{Entry, TransactionFilter};
pub use releases::Release;
pub use sql::database::Options;
pub use store::Store;
pub use url::StoreUrl;
