//! The executor on fake hosts.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod ahead;
mod healthy;
mod kept;
mod law;
mod locks;
mod resume;
mod scenarios;
mod stops;
mod support;
mod traces;
