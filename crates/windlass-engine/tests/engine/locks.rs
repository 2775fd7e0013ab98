//! A run whose hosts are locked: nothing is sent where the lock may be lost.

use serde_json::{Value, json};
use windlass_model::event::{RunEnd, What};
use windlass_model::ids::HostName;
use windlass_model::outcome::FailureKind;
use windlass_testkit::fake::Script;
use windlass_testkit::play::{Play, Played};

use crate::support::*;

/// What a host answers when its lock is asked for.
fn answer(is: &str, entry: &str) -> String {
    format!("now 1000\ndir /state/lock\nis {is}\nat 1000000001\nentry {entry}\n")
}

const FREE: &str = "- free 0 0 - 0 -";
const OTHERS: &str = "t2 held 1050 990 other-run 9 eve@there";

/// Rules, then those of locks that are had and kept.
fn with_locks(rules: Value) -> Script {
    let mut all = rules.as_array().unwrap().clone();
    for (on, is) in [
        ("take", "taken"),
        ("renew", "renewed"),
        ("release", "released"),
    ] {
        let on = format!("windlass-lock {on}");
        all.push(json!({"on": on, "stdout": answer(is, FREE)}));
    }
    script(Value::Array(all))
}

fn play_locked(tasklist: Value, script: Script, hosts: &[&str]) -> Played {
    let mut play = Play::new(tasklist, script).unwrap();
    play.locks = hosts.iter().map(|h| HostName::new(h)).collect();
    play.play().unwrap()
}

/// The texts of what hosts did, without what is about locks.
fn work(run: &Run) -> Vec<String> {
    let texts = run.hosts.done_texts().into_iter();
    texts.filter(|t| !t.contains("windlass-lock")).collect()
}

fn chain() -> Value {
    one_stage(json!([[last("one"), last("two"), last("three")]]))
}

#[test]
fn every_batch_begins_with_a_guard() {
    let run = Run::from(play_locked(chain(), with_locks(json!([])), &["h1"]));
    assert_eq!(work(&run), ["one", "two", "three"]);
    assert_eq!(run.end(), RunEnd::Succeeded);
    let done = run.hosts.done_texts();
    for (n, step) in done.iter().enumerate().filter(|(_, s)| s.len() < 6) {
        let before = &done[n - 1];
        assert!(before.contains("windlass-lock guard"), "{step}: {before}");
        assert!(before.contains("w_d='/state/lock'"), "{before}");
    }
    // all three went out together
    assert_eq!(run.ahead().len(), 5);
    assert!(done.last().unwrap().contains("windlass-lock release"));
}

#[test]
fn a_guard_that_says_no_ends_the_run() {
    let no = json!([
        {"on": "windlass-lock guard", "times": 1},
        {"on": "windlass-lock guard", "status": 75},
    ]);
    let tasks = json!([
        {"name": "First", "concurrency": 1, "tasks": [
            [last("one"), with(last("two"), json!({"retries": 3})), last("three")],
            with(last("four"), json!({"remote_host": "h2"})),
        ]},
        {"name": "Last", "concurrency": 1, "finally": true, "tasks": [last("last words")]},
    ]);
    let run = Run::from(play_locked(tasklist(tasks), with_locks(no), &["h1", "h2"]));
    assert_eq!(work(&run), ["one"]);
    assert_eq!(
        run.words(&["1.1.1", "1.1.2", "1.1.3", "1.2.1", "2.1.1"]),
        ["changed", "failed", "not run", "not run", "not run"]
    );
    assert_eq!(run.failure("1.1.2"), FailureKind::Lock);
    assert_eq!(run.end(), RunEnd::Failed);
    assert!(run.hosts.killed().is_empty());
    let released = |host| {
        let done = run.hosts.done();
        done.iter()
            .any(|d| d.host == HostName::new(host) && d.step.contains("windlass-lock release"))
    };
    assert_eq!((released("h1"), released("h2")), (false, true));
}

/// A task that no other is sent along with, for it does not say that this turn is its last.
fn alone(script: &str) -> Value {
    with(last(""), json!({"turns": [{"run": [script]}]}))
}

#[test]
fn a_lock_that_another_took_is_noticed_before_anything_is_sent() {
    let rules = json!([
        {"on": "alpha", "takes": 30_000},
        {"on": "windlass-lock renew", "host": "h1", "stdout": answer("lost", OTHERS)},
    ]);
    let tasks = one_stage(json!([[alone("alpha"), last("beta")]]));
    let run = Run::from(play_locked(tasks, with_locks(rules), &["h1"]));
    assert_eq!(work(&run), ["alpha"]);
    assert_eq!(run.words(&["1.1.1", "1.1.2"]), ["changed", "failed"]);
    let said = run.outcome("1.1.2").to_string();
    let because =
        "lock: h1: the lock of this run is lost, it is locked by eve@there: run other-run, since";
    assert!(said.contains(because), "{said}");
}

#[test]
fn a_lease_that_ran_out_is_asked_for_first() {
    let rules = json!([
        {"on": "alpha", "takes": 100_000},
        {"on": "windlass-lock renew", "times": 3, "lost": "before"},
        {"on": "windlass-lock renew", "times": 1, "hangs": true},
    ]);
    let tasks = one_stage(json!([[alone("alpha"), last("beta")]]));
    let run = Run::from(play_locked(tasks, with_locks(rules), &["h1"]));
    assert_eq!(work(&run), ["alpha", "beta"]);
    assert_eq!(run.end(), RunEnd::Succeeded);
}

#[test]
fn a_run_whose_hosts_are_locked_does_not_begin() {
    let held = json!([
        {"on": "windlass-lock take", "host": "h2", "stdout": answer("held", OTHERS)},
    ]);
    let played = play_locked(chain(), with_locks(held), &["h1", "h2", "h3"]);
    let why = played.report.unwrap_err().to_string();
    assert!(
        why.contains("h2 is locked by eve@there: run other-run, since 1970-01-01"),
        "{why}"
    );
    let done = played.hosts.done();
    let released: Vec<&str> = done
        .iter()
        .filter(|d| d.step.contains("windlass-lock release"))
        .map(|d| d.host.as_str())
        .collect();
    assert_eq!(released.len(), 2, "{released:?}");
    assert!(done.iter().all(|d| d.step.contains("windlass-lock")));
    assert!(
        !played
            .events
            .iter()
            .any(|e| matches!(e, What::RunStarted { .. }))
    );
}

#[test]
fn a_host_that_comes_back_is_locked_then() {
    let mut rules = with_locks(json!([]));
    rules.refuse = serde_json::from_value(json!([{"host": "h1", "times": 1}])).unwrap();
    let run = Run::from(play_locked(chain(), rules, &["h1", "h2"]));
    assert_eq!(work(&run), ["one", "two", "three"]);
    let done = run.hosts.done();
    let first = done.iter().find(|d| d.host == HostName::new("h1")).unwrap();
    assert!(first.step.contains("windlass-lock take"), "{}", first.step);
    // what another has by then is left alone
    let mut rules = with_locks(json!([
        {"on": "windlass-lock take", "host": "h1", "stdout": answer("held", OTHERS)},
    ]));
    rules.refuse = serde_json::from_value(json!([{"host": "h1", "times": 1}])).unwrap();
    let run = Run::from(play_locked(chain(), rules, &["h1", "h2"]));
    assert_eq!(work(&run), Vec::<String>::new());
    assert_eq!(run.failure("1.1.1"), FailureKind::Lock);
}
