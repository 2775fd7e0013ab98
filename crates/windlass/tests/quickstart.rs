//! `windlass quickstart`, as README shows it.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]

mod support;

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use support::{Place, Ran, signal};

/// The lines of standard output that tell of a status.
fn statuses(ran: &str) -> Vec<&str> {
    let of = |line: &'_ str| {
        line.split_once(": ")
            .is_some_and(|(id, _)| !id.contains(' '))
    };
    let lines = ran.lines().filter(|line| of(line));
    lines
        .filter_map(|line| Some(line.split_once(": ")?.1))
        .collect()
}

/// It leaves nothing running.
fn once() {
    let place = Place::new();
    let ran = place.windlass(&["quickstart", "--once", "all"]).expect(0);
    assert!(
        ran.stdout.contains("says: the sample, release 1.0.0"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.contains("says: the sample, release 1.1.0"),
        "{}",
        ran.stdout
    );
    assert_eq!(
        statuses(&ran.stdout).last(),
        Some(&"INSTALL_COMPLETED"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("build completed"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("install_base/template/index.html"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stderr.contains("manager.request_action("),
        "{}",
        ran.stderr
    );
    let page = place
        .path()
        .join("all/installer/install_base/template/index.html");
    assert!(page.is_file());
    assert!(!place.path().join("all/sample.pid").exists());
    // The same directory again: what is there is taken as it is, and so is the page.
    let ran = place.windlass(&["quickstart", "--once", "all"]).expect(0);
    assert_eq!(
        statuses(&ran.stdout).last(),
        Some(&"INSTALL_COMPLETED"),
        "{}",
        ran.stdout
    );
}

#[test]
fn it_deploys_and_releases_and_stays_up_until_it_is_told_to_stop() {
    // One after the other: each would like to have port 10000.
    once();
    until_told();
}

fn until_told() {
    let place = Place::new();
    let mut child = place
        .command(&["quickstart", "all"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    for line in lines.by_ref() {
        said.push(line.unwrap());
        if said.iter().any(|l| l.contains("stays up until Ctrl-C")) {
            break;
        }
    }
    assert!(place.path().join("all/sample.pid").exists(), "{said:#?}");
    std::thread::sleep(Duration::from_millis(100));
    assert!(child.try_wait().unwrap().is_none(), "{said:#?}");
    signal(child.id(), "INT");
    let begun = Instant::now();
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let ended = child.wait_with_output().unwrap();
    Ran::of(ended).expect(0);
    assert!(begun.elapsed() < Duration::from_secs(20), "{rest:?}");
    assert!(!place.path().join("all/sample.pid").exists());
}
