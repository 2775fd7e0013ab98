//! The law of the job queue from outside, with real processes: each task writes when it began and ended.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]

mod support;

use std::io::Write;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Place, Ran};

/// A task that writes `NAME begin` and `NAME end` around a sleep, and then exits with a status.
fn task(place: &Place, name: &str, seconds: f32, status: i32) -> Value {
    let witness = place.at("witness");
    json!({
        "command": "execute_command",
        "run": format!("echo {name} begin >>{witness}; sleep {seconds}; echo {name} end >>{witness}; exit {status}"),
    })
}

fn stage(name: &str, concurrency: u32, tasks: Vec<Value>) -> Value {
    json!({"name": name, "concurrency": concurrency, "tasks": tasks})
}

fn write(place: &Place, stages: Vec<Value>) {
    let tasklist = json!({"name": "law", "stages": stages});
    place.write("tasks.json", &tasklist.to_string());
}

/// What the tasks wrote, in order.
fn witness(place: &Place) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(place.path().join("witness")).unwrap_or_default();
    let words = |line: &str| {
        line.split_once(' ')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
    };
    text.lines().filter_map(words).collect()
}

fn begun(place: &Place) -> Vec<String> {
    let lines = witness(place).into_iter();
    lines
        .filter(|(_, what)| what == "begin")
        .map(|(name, _)| name)
        .collect()
}

fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_there() {
        assert!(Instant::now() < end, "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn start(place: &Place) -> Child {
    let mut command = place.command(&["deploy", "--tasklist", "tasks.json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn no_more_than_concurrency_run_at_once() {
    let place = Place::new();
    let tasks = (0..9)
        .map(|n| task(&place, &format!("t{n}"), 0.2, 0))
        .collect();
    write(&place, vec![stage("A", 3, tasks)]);
    place
        .windlass(&["deploy", "--tasklist", "tasks.json"])
        .expect(0);
    let (mut running, mut most) = (0, 0);
    for (_, what) in witness(&place) {
        running += if what == "begin" { 1 } else { -1 };
        most = most.max(running);
    }
    assert_eq!((running, most), (0, 3));
}

#[test]
fn after_a_failure_nothing_new_starts_and_what_runs_is_awaited() {
    let place = Place::new();
    let mut tasks = vec![task(&place, "bad", 0.1, 3), task(&place, "slow", 1.0, 0)];
    tasks.extend((0..4).map(|n| task(&place, &format!("later{n}"), 0.1, 0)));
    let mut last = stage("finally", 1, vec![task(&place, "tidy", 0.0, 0)]);
    last["finally"] = true.into();
    let next = stage("next", 1, vec![task(&place, "next", 0.0, 0)]);
    write(&place, vec![stage("A", 2, tasks), next, last]);
    let ran = place
        .windlass(&["deploy", "--tasklist", "tasks.json"])
        .expect(1);
    let mut first = begun(&place);
    let rest = first.split_off(2.min(first.len()));
    first.sort();
    assert_eq!(
        (first, rest),
        (vec!["bad".into(), "slow".into()], vec!["tidy".into()])
    );
    assert!(witness(&place).contains(&("slow".into(), "end".into())));
    assert!(ran.stderr.contains("exit status 3"), "{}", ran.stderr);
    assert!(ran.stderr.contains("5 not run"), "{}", ran.stderr);
}

#[test]
fn failures_within_the_budget_let_the_run_go_on_and_still_count() {
    let place = Place::new();
    let mut first = stage(
        "A",
        1,
        vec![task(&place, "bad", 0.0, 1), task(&place, "good", 0.0, 0)],
    );
    first["max_failures"] = 1.into();
    write(&place, vec![first]);
    place
        .windlass(&["deploy", "--tasklist", "tasks.json"])
        .expect(1);
    assert_eq!(begun(&place), ["bad", "good"]);
}

#[test]
fn the_first_interrupt_lets_running_chains_finish() {
    let place = Place::new();
    let chain = json!([task(&place, "one", 1.0, 0), task(&place, "two", 0.1, 0)]);
    let mut last = stage("finally", 1, vec![task(&place, "tidy", 0.0, 0)]);
    last["finally"] = true.into();
    write(
        &place,
        vec![
            stage("A", 1, vec![chain, task(&place, "later", 0.0, 0)]),
            last,
        ],
    );
    let child = start(&place);
    wait_for("the first task", || begun(&place) == ["one"]);
    signal(&child, "INT");
    let ran = Ran::of(child.wait_with_output().unwrap()).expect(130);
    assert_eq!(begun(&place), ["one", "two", "tidy"]);
    assert!(ran.stderr.contains("INTERRUPTED"), "{}", ran.stderr);
}

#[test]
fn the_second_interrupt_ends_what_runs_and_nothing_is_left() {
    let place = Place::new();
    let marker = format!("31{}", std::process::id());
    let mut last = stage("finally", 1, vec![task(&place, "tidy", 0.0, 0)]);
    last["finally"] = true.into();
    let sleeper =
        json!({"command": "execute_command", "run": format!("sleep {marker} & sleep {marker}")});
    write(
        &place,
        vec![
            stage("A", 1, vec![json!([task(&place, "one", 0.0, 0), sleeper])]),
            last,
        ],
    );
    let child = start(&place);
    wait_for("the sleepers", || sleepers(&marker) == 2);
    signal(&child, "TERM");
    std::thread::sleep(Duration::from_millis(200));
    signal(&child, "TERM");
    Ran::of(child.wait_with_output().unwrap()).expect(130);
    wait_for("the end of the sleepers", || sleepers(&marker) == 0);
    assert_eq!(begun(&place), ["one"]);
}

/// How many processes sleep for exactly this long.
fn sleepers(seconds: &str) -> usize {
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = pids.filter_map(|pid| std::fs::read(pid.path().join("cmdline")).ok());
    lines
        .filter(|line| *line == format!("sleep\0{seconds}\0").as_bytes())
        .count()
}

#[test]
fn a_time_limit_ends_the_program_and_is_named() {
    let place = Place::new();
    let marker = format!("32{}", std::process::id());
    let slow =
        json!({"command": "execute_command", "run": format!("sleep {marker}"), "time_limit": 1});
    write(&place, vec![stage("A", 1, vec![slow])]);
    let ran = place
        .windlass(&["deploy", "--tasklist", "tasks.json"])
        .expect(1);
    assert!(
        ran.stderr.contains("time limit: not done within 1 s"),
        "{}",
        ran.stderr
    );
    wait_for("the end of the sleeper", || sleepers(&marker) == 0);
}

#[test]
fn a_retried_task_counts_its_attempts() {
    let place = Place::new();
    let counter = place.at("count");
    let flaky = json!({
        "command": "execute_command", "retries": 2, "retry_delay": 0,
        "run": format!("echo x >>{counter}; [ $(wc -l <{counter}) -ge 3 ]"),
    });
    write(&place, vec![stage("A", 1, vec![flaky])]);
    place
        .windlass(&["deploy", "--tasklist", "tasks.json"])
        .expect(0);
    assert_eq!(std::fs::read_to_string(counter).unwrap().lines().count(), 3);
}

#[test]
fn a_run_is_recorded_and_shown() {
    let place = Place::new();
    let shouting = json!({"command": "execute_command", "run": "echo to be seen; echo aside >&2", "tag": "loud"});
    write(&place, vec![stage("A", 1, vec![shouting])]);
    let run = place
        .windlass(&["deploy", "--tasklist", "tasks.json"])
        .expect(0);
    assert!(
        run.stderr.contains("[local] [loud] | to be seen"),
        "{}",
        run.stderr
    );
    let list: Value =
        serde_json::from_str(&place.windlass(&["runs", "list", "--json"]).expect(0).stdout)
            .unwrap();
    assert_eq!(list[0]["name"], "law");
    assert_eq!(list[0]["state"], "succeeded");
    for key in ["id", "name", "started", "state"] {
        assert!(list[0][key].is_string(), "{key} in {list}");
    }
    let show: Value =
        serde_json::from_str(&place.windlass(&["runs", "show", "--json"]).expect(0).stdout)
            .unwrap();
    assert_eq!(show["tasks"][0]["outcome"], "changed");
    let logs = place.windlass(&["runs", "logs"]).expect(0).stdout;
    assert!(
        logs.contains("| to be seen") && logs.contains("| aside"),
        "{logs}"
    );
}

#[test]
fn events_are_json_lines_when_asked() {
    let place = Place::new();
    write(&place, vec![stage("A", 1, vec![task(&place, "x", 0.0, 0)])]);
    let ran = place
        .windlass(&["deploy", "--tasklist", "tasks.json", "--log-format", "json"])
        .expect(0);
    let events: Vec<Value> = ran
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let names: Vec<&str> = events.iter().filter_map(|e| e["event"].as_str()).collect();
    assert_eq!(
        names,
        [
            "run_started",
            "stage_started",
            "task_started",
            "task_sent",
            "task_finished",
            "stage_finished",
            "run_finished"
        ]
    );
}

#[test]
fn a_secret_is_seen_by_the_program_and_by_nobody_else() {
    let place = Place::new();
    let canary = "canary-5f1e9c";
    std::fs::File::create(place.path().join("secret"))
        .unwrap()
        .write_all(canary.as_bytes())
        .unwrap();
    let seen = place.at("seen");
    let task = json!({
        "command": "execute_command", "env": {"TOKEN": {"$secret": {"file": "secret"}}},
        "run": format!("printf %s \"$TOKEN\" >{seen}; echo \"the token is $TOKEN\"; exit 1"),
    });
    write(&place, vec![stage("A", 1, vec![task])]);
    let ran = place
        .windlass(&["deploy", "--tasklist", "tasks.json", "--verbose"])
        .expect(1);
    assert_eq!(std::fs::read_to_string(seen).unwrap(), canary);
    assert!(ran.stderr.contains("the token is ***"), "{}", ran.stderr);
    let logs = place.windlass(&["runs", "logs"]).expect(0).stdout;
    for text in [
        ran.stderr,
        ran.stdout,
        logs,
        everything_below(&place.path().join(".state")),
    ] {
        assert!(!text.contains(canary), "{text}");
    }
}

fn everything_below(dir: &std::path::Path) -> String {
    let entries = std::fs::read_dir(dir).unwrap().flatten().map(|e| e.path());
    entries
        .map(|path| {
            if path.is_dir() {
                everything_below(&path)
            } else {
                std::fs::read_to_string(path).unwrap()
            }
        })
        .collect()
}
