//! Both Ctrl-C with a real sshd: what the first lets finish, and that the second leaves nothing on the host.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]

mod support;

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::Ran;
use support::site::Site;

/// How many processes sleep for exactly this long.
fn sleepers(seconds: &str) -> usize {
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = pids.filter_map(|pid| std::fs::read(pid.path().join("cmdline")).ok());
    lines
        .filter(|line| *line == format!("sleep\0{seconds}\0").as_bytes())
        .count()
}

fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_there() {
        assert!(Instant::now() < end, "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn start(site: &Site, stages: Value) -> Child {
    let tasklist = json!({"name": "law", "stages": stages});
    site.place.write("tasks.json", &tasklist.to_string());
    let mut command = site.command(&["deploy", "--tasklist", "tasks.json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn task(host: &str, run: &str) -> Value {
    json!({"command": "execute_command", "remote_host": host, "run": run})
}

#[test]
fn the_second_interrupt_leaves_nothing_on_the_hosts() {
    let site = Site::new(&["app1", "app2"]);
    let marker = format!("33{}", std::process::id());
    let witness = site.place.at("witness");
    // in the background, in a pipe, deaf to TERM, in the foreground
    let sleeper = format!(
        "sleep {marker} & sleep {marker} | cat & (trap '' TERM; sleep {marker}) & sleep {marker}; echo later >>{witness}"
    );
    let chain = |host| {
        json!([
            task(host, "true"),
            task(host, &sleeper),
            task(host, &format!("echo next >>{witness}"))
        ])
    };
    let stages = json!([
        {"name": "A", "concurrency": 2, "tasks": [chain("app1"), chain("app2")]},
        {"name": "B", "concurrency": 1, "finally": true, "tasks": [task("app1", &format!("echo finally >>{witness}"))]},
    ]);
    let child = start(&site, stages);
    wait_for("the sleepers", || sleepers(&marker) == 8);
    support::signal(child.id(), "INT");
    std::thread::sleep(Duration::from_millis(300));
    // the first one lets them be
    assert_eq!(sleepers(&marker), 8);
    support::signal(child.id(), "INT");
    let ran = Ran::of(child.wait_with_output().unwrap()).expect(130);
    // it does not end before they have
    assert_eq!(sleepers(&marker), 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("INTERRUPTED"), "{}", ran.stderr);
    assert!(!std::path::Path::new(&witness).exists());
}

#[test]
fn the_first_interrupt_lets_a_chain_on_a_host_finish() {
    let site = Site::new(&["app1"]);
    let witness = site.place.at("witness");
    let note = |word: &str| task("app1", &format!("echo {word} >>{witness}; sleep 0.5"));
    let stages = json!([
        {"name": "A", "concurrency": 1, "tasks": [[note("one"), note("two"), note("three")], note("later")]},
        {"name": "B", "concurrency": 1, "tasks": [note("next")]},
        {"name": "C", "concurrency": 1, "finally": true, "tasks": [note("finally")]},
    ]);
    let child = start(&site, stages);
    let said = || std::fs::read_to_string(&witness).unwrap_or_default();
    wait_for("the first task", || said() == "one\n");
    support::signal(child.id(), "TERM");
    Ran::of(child.wait_with_output().unwrap()).expect(130);
    assert_eq!(said(), "one\ntwo\nthree\nfinally\n");
}

#[test]
fn what_is_safe_to_repeat_keeps_nothing_on_its_host() {
    let site = Site::new(&["app1"]);
    let line = "ls \"${XDG_STATE_HOME:-$HOME/.local/state}/windlass/kept\" 2>/dev/null | sed 's/^/there is /'";
    let run = |options: &[&str]| {
        let arguments = [&["run"], options, &["--hosts", "app1", "--", line]].concat();
        let ran = site.windlass(&arguments).expect(0);
        (ran.stdout + &ran.stderr).contains("there is ")
    };
    assert!(run(&[]), "while a line runs its host keeps it");
    assert!(!run(&["--safe-to-repeat"]));
}
