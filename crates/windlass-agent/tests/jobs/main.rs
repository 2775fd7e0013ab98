//! Jobs done for real: sources of git, svn and directories; archives; plugins in Python.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    missing_docs
)]

mod builds;
mod installs;
mod place;
mod plugins;
