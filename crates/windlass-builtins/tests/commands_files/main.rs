//! The commands that move files about, run for real in every shell.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    unreachable_pub,
    missing_docs
)]

mod archives;
mod files;
mod machine;
mod versions;
