//! What is promised (`docs/promises.md`) is held against Windlass while it is killed, cut off, starved and lied to.
//!
//! A sample each time, all of it with `./test chaos`; every case replays from its seed (`windlass_testkit::chaos`).

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]
#![allow(clippy::panic, reason = "the functions that tests share are tests")]
#![allow(
    dead_code,
    reason = "what tests share with others is not all used here"
)]
#![allow(
    clippy::print_stderr,
    reason = "a failed test shows what its services said"
)]
#![allow(clippy::print_stdout, reason = "trials take minutes")]

mod archives;
mod clocks;
mod disk;
mod faults;
#[path = "../release/http.rs"]
mod http;
mod kills;
mod net;
#[path = "../release/service.rs"]
mod service;
mod slow;
mod small;
mod ssh_audit;
#[path = "../support/mod.rs"]
mod support;
mod trade;
#[path = "../release/world.rs"]
mod world;
