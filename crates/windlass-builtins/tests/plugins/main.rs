//! Plugins as generators and commands, with real processes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod execute;
mod fakes;
mod initialize;
mod loading;
mod seed;
