//! Archives that want out, or want more than is good for the machine: each way that is known, in each way of writing it.

mod bombs;
mod headers;
mod links;
mod members;
mod names;
mod zips;

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::tar::Tar;
use super::zip::{self, Entry};

/// What is to come of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// Refused, with nothing unpacked.
    Refused,
    /// Refused, or unpacked with everything inside.
    Inside,
}

/// One archive.
#[derive(Clone, Debug)]
pub struct Hostile {
    /// What it tries.
    pub what: String,
    /// How its name ends.
    pub ending: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What is to come of it.
    pub wants: Wants,
}

/// All of them. Absolute ones lead to `outside`, a directory with a file `victim`; relative ones climb to
/// `../../outside/victim`, or one level.
pub fn all(outside: &Path) -> Vec<Hostile> {
    let outside = outside.to_string_lossy();
    let mut all = List(Vec::new());
    names::add(&mut all, &outside);
    links::symlinks(&mut all, &outside);
    links::hardlinks(&mut all, &outside);
    members::kinds(&mut all);
    members::twice(&mut all);
    members::tricks(&mut all);
    headers::lies(&mut all, &outside);
    headers::lengths(&mut all);
    bombs::add(&mut all);
    zips::add(&mut all, &outside);
    all.0
}

struct List(Vec<Hostile>);

impl List {
    fn add(&mut self, wants: Wants, what: impl Into<String>, tar: Tar) {
        self.bytes(wants, what, ".tar", tar.end());
    }

    fn bytes(
        &mut self,
        wants: Wants,
        what: impl Into<String>,
        ending: &'static str,
        bytes: Vec<u8>,
    ) {
        let what = what.into();
        self.0.push(Hostile {
            what,
            ending,
            bytes,
            wants,
        });
    }

    fn zip(&mut self, wants: Wants, what: impl Into<String>, entries: &[Entry]) {
        self.bytes(wants, what, ".zip", zip::archive(entries));
    }
}

/// An archive with something harmless before what is not.
fn tar() -> Tar {
    Tar::new().file("innocent", b"innocent")
}

/// Names that lead outside.
fn climbing(outside: &str) -> Vec<String> {
    let mut all: Vec<String> = [
        "../evil",
        "../../outside/victim",
        "a/../../evil",
        "./../evil",
        ".//..//evil",
        "a/b/../../../evil",
        "a/./../../evil",
        "../",
        "..",
        "a/../..",
        "../../../../../../../../../../tmp/windlass-evil",
    ]
    .map(String::from)
    .into();
    all.extend([
        format!("{outside}/evil"),
        format!("/{outside}/evil"),
        format!("{outside}/victim"),
        "/".into(),
    ]);
    all
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // A Vec takes everything.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}
