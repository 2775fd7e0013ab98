//! What the three databases have in common, and the one place that knows how they differ.
//!
//! SQL is written once, with `?` for values and the words of [`dialect`]; a [`session::Session`] is a connection to any
//! of the three; [`database::Database`] gives them out and runs a change as one transaction.

pub(crate) mod database;
pub(crate) mod dialect;
mod fault;
mod numbers;
mod pools;
pub(crate) mod session;
pub(crate) mod value;
mod writer;

pub(crate) use database::Database;
pub(crate) use session::{Row, Session};
pub(crate) use value::{Value, Where};
