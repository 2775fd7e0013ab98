//! What must hold of everything that reads bytes which others wrote, whatever the bytes.
//!
//! One module a target: its `check` ends when what was promised does not hold, and then the fuzzer keeps the bytes. The same
//! bytes are a case of a test once they lie in `seeds/TARGET`. `./test` reads all of them; `./test chaos fuzz` looks for new ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a target ends where an expectation does"
)]

pub mod agent;
pub mod config_xml;
pub mod config_yaml;
pub mod index;
pub mod journal;
pub mod known_hosts;
pub mod plugin;
pub mod ssh_config;
pub mod tar;
pub mod tasklist;
pub mod xmlrpc;
pub mod zip;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A directory of this process for what is read from files. `run` says where, and removes it.
fn scratch() -> &'static Path {
    static PLACE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let place = PLACE.get_or_init(|| tempfile::tempdir().expect("a directory for files"));
    place.path()
}

/// The bytes as a file of that directory.
fn file(name: &str, data: &[u8]) -> PathBuf {
    let path = scratch().join(name);
    std::fs::write(&path, data).expect("a file");
    path
}

/// What is taken as a `T` is written as JSON that is taken as the same.
fn json_stays<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(data: &[u8]) {
    let Ok(read) = serde_json::from_slice::<T>(data) else {
        return;
    };
    let written = serde_json::to_vec(&read).expect("what was read can be written");
    let again: T = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(again, read);
}
