//! A manager in this process, called over HTTP as everybody calls it.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]
#![allow(
    clippy::panic,
    clippy::expect_used,
    reason = "what tests share is a test, too"
)]

mod agents;
mod audit;
mod bodies;
mod lost;
mod matrix;
mod own_auth;
mod protocol;
mod sight;
mod support;
mod tls;
mod validator1;
