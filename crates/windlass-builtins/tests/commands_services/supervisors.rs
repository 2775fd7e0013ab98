//! Services under a real runsv and a real supervise.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;
use windlass_model::outcome::Outcome;

use crate::background::{Background, until};
use crate::drive::{Done, run};

/// A service whose program writes a line when it starts and one on HUP.
fn service(ignores_term: bool) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("run");
    let term = if ignores_term { "trap '' TERM" } else { "" };
    let text = format!(
        "#!/bin/sh\necho started >>log.txt\n{term}\ntrap 'echo hup >>log.txt' HUP\n\
         while :; do sleep 0.1; done\n"
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    dir
}

fn log(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("log.txt")).unwrap_or_default()
}

fn act(verb: &str, kind: &str, name: &Path, timeout: u32) -> Done {
    run(
        &format!("{verb}_service"),
        json!({"servicename": name, "control_type": kind, "timeout": timeout}),
    )
}

/// From nothing over every state, and back.
fn whole_life(kind: &str, supervise: &str, end: &dyn Fn(&Path)) {
    let dir = service(false);
    let at = dir.path();
    let does = |verb: &str| act(verb, kind, at, 10).outcome;

    let absent = act("stop", kind, Path::new("/no/such/service"), 10);
    assert_eq!(absent.outcome, Outcome::Unchanged, "nothing to stop");
    assert_eq!(does("stop"), Outcome::Unchanged, "not supervised");
    let failed = act("start", kind, Path::new("/no/such/service"), 10);
    assert!(
        failed.failure().contains("there is no service directory"),
        "{failed:?}"
    );
    let failed = act("start", kind, at, 1);
    assert!(failed.failure().contains("looks after it"), "{failed:?}");

    let supervisor = Background::start(supervise, &[at.to_str().unwrap()]);
    until(|| log(at) == "started\n");
    assert_eq!(does("start"), Outcome::Unchanged);
    assert_eq!(does("reload"), Outcome::Changed);
    until(|| log(at) == "started\nhup\n");
    let status = json!({"servicename": at, "control_type": kind, "action": "status"});
    assert_eq!(
        run("control_service", status.clone()).outcome,
        Outcome::Unchanged
    );
    assert_eq!(does("stop"), Outcome::Changed);
    assert_eq!(does("stop"), Outcome::Unchanged);
    assert_eq!(run("control_service", status).outcome, Outcome::Unchanged);
    assert!(
        act("reload", kind, at, 2)
            .failure()
            .contains("it does not run")
    );
    assert_eq!(does("start"), Outcome::Changed);
    until(|| log(at) == "started\nhup\nstarted\n");
    assert_eq!(does("restart"), Outcome::Changed);
    until(|| log(at) == "started\nhup\nstarted\nstarted\n");
    assert_eq!(does("stop"), Outcome::Changed);
    assert_eq!(does("restart"), Outcome::Changed, "from down");
    until(|| log(at).lines().count() == 5);
    end(at);
    drop(supervisor);
    assert_eq!(does("stop"), Outcome::Unchanged, "the supervisor is gone");
}

/// A program that does not end in time is a failure that says so.
fn stubborn(kind: &str, supervise: &str, end: &dyn Fn(&Path)) {
    let dir = service(true);
    let at = dir.path();
    let _supervisor = Background::start(supervise, &[at.to_str().unwrap()]);
    until(|| log(at) == "started\n");
    std::thread::sleep(std::time::Duration::from_millis(1200));
    let done = act("stop", kind, at, 2);
    assert!(done.failure().starts_with("cannot stop `/"), "{done:?}");
    assert!(done.took.as_secs() < 6);
    // It is asked to be down, so it does not count as running.
    let done = act("start", kind, at, 2);
    assert_eq!(done.outcome, Outcome::Changed);
    end(at);
}

fn end_runit(at: &Path) {
    Command::new("sv")
        .arg("-w2")
        .arg("force-shutdown")
        .arg(at)
        .output()
        .unwrap();
}

fn end_daemontools(at: &Path) {
    Command::new("svc").arg("-dx").arg(at).status().unwrap();
    Command::new("svc").arg("-k").arg(at).status().unwrap();
    until(|| {
        let out = Command::new("svok").arg(at).output().unwrap();
        out.status.code() == Some(100)
    });
}

#[test]
fn runit() {
    whole_life("runit", "runsv", &end_runit);
}

#[test]
fn runit_stubborn() {
    stubborn("runit", "runsv", &end_runit);
}

#[test]
fn daemontools() {
    whole_life("daemontools", "supervise", &end_daemontools);
}

#[test]
fn daemontools_stubborn() {
    stubborn("daemontools", "supervise", &end_daemontools);
}

#[test]
fn a_new_service_is_waited_for() {
    let dir = service(false);
    let at = dir.path().to_owned();
    let later = std::thread::spawn({
        let at = at.clone();
        move || {
            std::thread::sleep(std::time::Duration::from_secs(1));
            Background::start("runsv", &[at.to_str().unwrap()])
        }
    });
    let outcome = act("start", "runit", &at, 10).outcome;
    assert!(outcome.lets_go_on(), "{outcome}");
    let _supervisor = later.join().unwrap();
    end_runit(&at);
}
