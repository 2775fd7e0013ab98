//! The release system as it is used: generated directories, started by their own `serve`, asked by XML-RPC and JSON.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]
#![allow(clippy::panic, reason = "the functions that tests share are tests")]
#![allow(
    clippy::print_stderr,
    reason = "a failed test shows what its services said"
)]

mod again;
mod clients;
mod failures;
mod http;
mod lives;
mod over_ssh;
mod parts;
mod readers;
mod refused;
mod seed;
mod service;
mod sources;
mod two;
mod world;
