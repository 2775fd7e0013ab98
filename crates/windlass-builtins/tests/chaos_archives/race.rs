//! Somebody with the same rights puts links in the place of the destination's directories while it is unpacked to.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use windlass_model::outcome::Outcome;
use windlass_testkit::archives::guard::Listing;
use windlass_testkit::archives::tar::Tar;
use windlass_testkit::chaos::{Numbers, Trial};

use crate::machine::Machine;
use crate::{BUSYBOX, on_machines};

/// Directories of the destination, of which the archive has files for each.
const DIRS: [&str; 5] = ["a", "a/b", "a/b/c", "d", "d/e"];

fn archive() -> Vec<u8> {
    let mut tar = Tar::new();
    for dir in DIRS {
        for n in 0..6 {
            tar = tar.file(format!("{dir}/new-{n}"), b"new");
        }
        tar = tar
            .file(format!("{dir}/old"), b"new")
            .dir(format!("{dir}/made"))
            .file(format!("{dir}/made/x"), b"new");
    }
    tar.end()
}

/// Swaps directories below `to` and links to `outside` until it is stopped. Gives how often.
fn swap(to: &Path, outside: &Path, numbers: &mut Numbers, stop: &AtomicBool) -> u64 {
    let mut swaps = 0;
    while !stop.load(Ordering::Relaxed) {
        let dirs = dirs_below(to);
        let Some(dir) = numbers.pick(&dirs) else {
            continue;
        };
        let away = dir.with_extension("away");
        if fs::rename(dir, &away).is_err() {
            continue;
        }
        if symlink(outside, dir).is_ok() {
            swaps += 1;
            (0..numbers.below(3000)).for_each(|_| std::hint::spin_loop());
            let _ = fs::remove_file(dir);
        }
        // where something new is by now, it stays away
        let _ = fs::rename(&away, dir);
    }
    swaps
}

fn dirs_below(root: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let Ok(entries) = fs::read_dir(root) else {
        return all;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            all.extend(dirs_below(&entry.path()));
            all.push(entry.path());
        }
    }
    all
}

/// Stops the swapping when it is dropped.
struct Stopped<'a>(&'a AtomicBool);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Swaps, whether it was unpacked, what changed outside.
fn try_one(m: &Machine, numbers: &mut Numbers) -> (u64, bool, Vec<String>) {
    fs::remove_dir_all(m.dir()).unwrap();
    m.write("in.tar", archive());
    for dir in DIRS {
        // what a link leads to looks like what it takes the place of
        m.write(&format!("outside/{dir}/old"), "outside");
        m.write(&format!("site/to/{dir}/old"), "old");
    }
    let (to, outside, stop) = (
        m.dir().join("site/to"),
        m.dir().join("outside"),
        AtomicBool::new(false),
    );
    let look = || Listing::of(m.dir().parent().unwrap(), &["work/site/to"]).unwrap();
    let before = look();
    let (swaps, outcome) = std::thread::scope(|scope| {
        let racer = scope.spawn(|| swap(&to, &outside, numbers, &stop));
        // dropped also when this thread panics: the scope waits for the other one
        let stopped = Stopped(&stop);
        let verdict = m.end_of(
            "unpack",
            json!({"source": m.at("in.tar"), "destination": m.at("site/to")}),
        );
        drop(stopped);
        (racer.join().unwrap(), verdict.outcome)
    });
    let is_unpacked = match outcome {
        Outcome::Changed => true,
        Outcome::Failed(_) => false,
        other => panic!("{other}"),
    };
    (swaps, is_unpacked, before.differences(&look()))
}

#[test]
fn archives_do_not_leave_by_links_that_are_swapped_meanwhile() {
    let trial = Trial::begin("archives_race");
    let rounds = trial.count(15, 600);
    let shells = |case: u64| if case % 3 == 2 { BUSYBOX } else { 0 };
    let tried = on_machines(rounds, shells, |m, case| {
        (case, try_one(m, &mut trial.case(case)))
    });
    let (mut swaps, mut unpacked) = (0, 0);
    for (case, (count, is_unpacked, outside)) in &tried {
        assert!(
            outside.is_empty(),
            "case {case}, after {count} swaps: {outside:#?}"
        );
        swaps += count;
        unpacked += u64::from(*is_unpacked);
    }
    assert!(swaps > 10 * rounds, "{swaps} swaps: no race");
    trial.report(format_args!(
        "{swaps} swaps of directories and links in {rounds} rounds: 0 bytes outside; {unpacked} unpacked all the same, {} gave up",
        rounds - unpacked,
    ));
}
