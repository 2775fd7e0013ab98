//! XML-RPC from outside: documents, hostile inputs, what comes back is what went, and Python.

#![expect(clippy::unwrap_used, reason = "all of this is tests")]

mod cases;
mod documents;
mod hostile;
mod python;
mod roundtrip;
mod values;
