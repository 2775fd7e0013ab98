//! What must hold once everything was started again and left in peace.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use windlass_testkit::chaos::Numbers;

use super::clients::{Known, answered, same_again};
use super::stage::{ENVIRONMENTS, INSTALLERS, Stage};
use super::watcher;
use super::witness::{Counts, with_environment};
use crate::world::word;

/// How long everything may take to come to rest.
const REST: Duration = Duration::from_secs(120);
/// How long what is of no use any more may stay.
const TIDY: Duration = Duration::from_secs(20);

/// How transactions ended.
#[derive(Default)]
pub(crate) struct Ends {
    pub(crate) by_status: BTreeMap<String, u64>,
    pub(crate) settled: u64,
}

/// Comes to rest: everything ends, what is unknown is settled.
pub(crate) fn rest(stage: &Stage, known: &Known, numbers: &mut Numbers) {
    let port = stage.port();
    Stage::soon("everything ends", REST, || {
        let mut open = 0;
        for id in known.ids() {
            let told = known.told(&id);
            if told.ended.is_some_and(|ended| ended != "UNKNOWN") {
                continue;
            }
            let (status, seen) = known.observe(port, &id);
            let is_unknown = status == "UNKNOWN";
            if !seen["ended"].is_string() || is_unknown {
                open += 1;
            }
            if is_unknown {
                known.settle(port, &id, &stage.witness, numbers);
            }
        }
        open == 0
    });
}

/// All that is promised.
pub(crate) fn all_holds(stage: &Stage, known: &Known, numbers: &mut Numbers) -> (Ends, Counts) {
    let counts = stage.witness.nothing_twice();
    let ends = acknowledged(stage, known, numbers);
    shown_is_whole(stage);
    blobs_are_whole(stage);
    nothing_is_left(stage);
    (ends, counts)
}

/// What was told is true still, and of an install that succeeded the witness knows.
fn acknowledged(stage: &Stage, known: &Known, numbers: &mut Numbers) -> Ends {
    let port = stage.port();
    let mut ends = Ends::default();
    for id in known.ids() {
        let (status, seen) = known.observe(port, &id);
        let told = known.told(&id);
        if numbers.percent(10) {
            same_again(port, &id, &told.request);
        }
        if status == "INSTALL_COMPLETED" {
            let jobs = seen["jobs"].as_array().unwrap();
            let installs: Vec<&Value> = jobs.iter().filter(|j| j["kind"] == "installer").collect();
            assert_eq!(installs.len(), INSTALLERS, "{seen}");
            for job in installs {
                let of = stage.witness.of(&word(&job["job"]));
                let finished = of.is_some_and(|(_, finished)| finished);
                assert!(finished, "it did not finish: {job}");
            }
        }
        ends.settled += u64::from(told.settled);
        *ends.by_status.entry(status).or_default() += 1;
    }
    ends
}

/// What an installer shows is what it finished last, or what was cut off since.
fn shown_is_whole(stage: &Stage) {
    for (name, path) in stage.shown() {
        let good = stage.witness.shown_by(&name);
        let shown = watcher::shown(&path).unwrap();
        let fits = good.contains(&shown);
        assert!(fits, "{name} shows {shown:?}, and not one of {good:?}");
    }
}

/// Every file of a release is there, and has its digest.
fn blobs_are_whole(stage: &Stage) {
    let blobs = stage.kept().join("blobs");
    let (_, releases) = answered(stage.port(), "GET", "releases", &Value::Null);
    for release in releases.as_array().unwrap() {
        let item = &release["index"]["targets"]["template"];
        let digest = word(&item["digest"]);
        let path = blobs.join(&digest[..2]).join(&digest);
        assert_eq!(digest, sha256(&path), "{release}");
        assert_eq!(item["size"], path.metadata().unwrap().len(), "{release}");
    }
}

fn sha256(path: &Path) -> String {
    let mut bytes = Vec::new();
    let mut file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    file.read_to_end(&mut bytes).unwrap();
    let digest = Sha256::digest(&bytes);
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// No process, no file of a job, and no lock of a target is left behind.
fn nothing_is_left(stage: &Stage) {
    let home = format!("HOME={}", stage.world.path().join("home").display());
    let services = stage.processes();
    let mut left = Vec::new();
    let mut settled = || {
        left = with_environment(&home);
        left.retain(|(process, _)| !services.contains(process));
        left.is_empty()
    };
    let begun = std::time::Instant::now();
    while !settled() && begun.elapsed() < TIDY {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(left.is_empty(), "processes are left: {left:?}");
    let begun = std::time::Instant::now();
    while !stage.left().is_empty() && begun.elapsed() < TIDY {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(stage.left(), [""; 0], "files of jobs are left");
    // A lock of a target that nobody holds would make these wait for ever.
    for environment in ENVIRONMENTS {
        let wanted = json!({"trunk": true, "env": environment});
        stage.world.installed(&wanted);
    }
}
