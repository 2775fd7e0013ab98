//! What stops a run, a stage, a job or a task: interrupts, panics, time limits, budgets.

use serde_json::{Value, json};
use windlass_model::event::{RunEnd, What};
use windlass_model::outcome::FailureKind;
use windlass_testkit::play::Play;

use crate::support::*;

fn task(host: &str, script: &str) -> Value {
    with(last(script), json!({"remote_host": host}))
}

fn stage(name: &str, concurrency: u32, tasks: Value) -> Value {
    json!({"name": name, "concurrency": concurrency, "tasks": tasks})
}

fn stages_begun(run: &Run) -> Vec<String> {
    let begun = |what: &What| match what {
        What::StageStarted { name, .. } => Some(name.clone()),
        _ => None,
    };
    run.events.iter().filter_map(begun).collect()
}

/// Two jobs one after the other, the first a chain; another stage; a `finally` one.
fn three_stages() -> Value {
    let finally = with(
        stage("Finally", 1, json!([task("h1", "last words")])),
        json!({"finally": true}),
    );
    let chain = json!([
        task("h1", "one"),
        with(task("h1", "two"), json!({"repeat": "ask"}))
    ]);
    tasklist(json!([
        stage("First", 1, json!([chain, task("h2", "waiting")])),
        stage("Second", 1, json!([task("h3", "second")])),
        finally
    ]))
}

#[test]
fn the_first_interrupt_lets_chains_finish_and_finally_run() {
    let run = play_until(
        three_stages(),
        script(json!([{"on": "one", "takes": 1000}])),
        &[501],
    );
    assert_eq!(run.hosts.done_texts(), ["one", "two", "last words"]);
    assert_eq!(
        run.words(&["1.1.1", "1.1.2", "1.2.1", "2.1.1", "3.1.1"]),
        ["changed", "changed", "not run", "not run", "changed"]
    );
    assert_eq!(stages_begun(&run), ["First", "Finally"]);
    assert_eq!((run.end(), run.report.failed), (RunEnd::Interrupted, 0));
    assert!(run.hosts.killed().is_empty());
}

#[test]
fn the_second_interrupt_kills_and_nothing_more_runs() {
    let run = play_until(
        three_stages(),
        script(json!([{"on": "one", "takes": 1000}])),
        &[501, 701],
    );
    assert_eq!(run.hosts.done_texts(), ["one"]);
    assert_eq!(
        run.words(&["1.1.1", "1.1.2", "1.2.1", "2.1.1", "3.1.1"]),
        ["failed", "not run", "not run", "not run", "not run"]
    );
    assert_eq!(run.failure("1.1.1"), FailureKind::Interrupted);
    assert_eq!(run.hosts.killed().len(), 1);
    assert_eq!(stages_begun(&run), ["First"]);
    assert_eq!(run.end(), RunEnd::Interrupted);
}

#[test]
fn a_finally_stage_is_cut_short_by_the_second_interrupt_only() {
    let finally = |tasks| {
        tasklist(json!([with(
            stage("Finally", 1, tasks),
            json!({"finally": true})
        )]))
    };
    let jobs = json!([task("h1", "one"), task("h1", "two")]);
    let rules = || script(json!([{"takes": 1000}]));
    let run = play_until(finally(jobs.clone()), rules(), &[501]);
    assert_eq!(run.hosts.done_texts(), ["one", "two"]);
    let run = play_until(finally(jobs), rules(), &[501, 503]);
    assert_eq!(run.words(&["1.1.1", "1.2.1"]), ["failed", "not run"]);
    assert_eq!(run.hosts.done_texts(), ["one"]);
}

#[test]
fn interrupts_in_the_delay_of_a_retry() {
    let again = || {
        one_stage(json!([with(
            task("h1", "one"),
            json!({"retries": 1, "retry_delay": 60})
        )]))
    };
    let rules = || script(json!([{"on": "one", "status": 1, "times": 1}]));
    let run = play_until(again(), rules(), &[10_001]);
    assert_eq!(
        run.words(&["1.1.1"]),
        ["changed"],
        "a job that runs finishes, its retries with it"
    );
    let run = play_until(again(), rules(), &[10_001, 20_001]);
    assert_eq!(run.hosts.done_texts(), ["one"], "no new attempt");
    assert_eq!(
        run.failure("1.1.1"),
        FailureKind::Command,
        "what came of the first attempt stands"
    );
}

#[test]
fn a_second_interrupt_between_two_turns_ends_the_task() {
    let turns = json!({"turns": [{"run": ["one"]}, {"run": ["two"], "wait": 60}], "retries": 5});
    let run = play_until(
        one_stage(json!([with(last("x"), turns)])),
        script(json!([])),
        &[10_001, 20_001],
    );
    assert_eq!(run.hosts.done_texts(), ["one"]);
    assert_eq!(run.failure("1.1.1"), FailureKind::Interrupted);
}

#[test]
fn a_panic_in_initialize_is_a_diagnostic_and_nothing_starts() {
    let bad = with(last("b"), json!({"panics": "oh no"}));
    let worse = with(last("c"), json!({"refuses": "not like this"}));
    let play = Play::new(one_stage(json!([last("a"), bad, worse])), script(json!([]))).unwrap();
    let played = play.play().unwrap();
    let faults = format!("{:?}", played.report.unwrap_err());
    assert!(
        faults.contains("command `fake` panicked: oh no"),
        "{faults}"
    );
    assert!(faults.contains("not like this"), "all at once: {faults}");
    assert!(played.hosts.sent().is_empty());
    assert!(played.events.is_empty(), "{:?}", played.events);
}

#[test]
fn a_panic_is_the_failure_of_its_task_wherever_it_happens() {
    let turn = json!({"turns": [{"run": ["b"]}, {"panics": "oh no"}], "retries": 3});
    let plugin = json!({"turns": [{"run": ["b"], "call": true, "panics": "oh no"}]});
    for (more, killed) in [(turn, 0), (plugin, 1)] {
        let chain = json!([last("a"), with(last("b"), more), last("c")]);
        let run = play(
            one_stage(json!([chain, task("h2", "other")])),
            script(json!([])),
        );
        assert_eq!(
            run.words(&["1.1.1", "1.1.2", "1.1.3", "1.2.1"]),
            ["changed", "failed", "not run", "changed"]
        );
        assert_eq!(run.failure("1.1.2"), FailureKind::Panic);
        assert!(run.outcome("1.1.2").to_string().contains("oh no"));
        assert_eq!(run.hosts.killed().len(), killed);
        assert_eq!(run.report.failed, 1);
    }
}

#[test]
fn hosts_that_let_nobody_in_are_failures_of_their_jobs() {
    let kinds = [
        ("unreachable", FailureKind::Unreachable),
        ("denied", FailureKind::Denied),
        ("shell", FailureKind::Unreachable),
        ("host_key", FailureKind::Denied),
    ];
    for (kind, wanted) in kinds {
        let rules =
            serde_json::from_value(json!({"refuse": [{"host": "h1", "kind": kind}]})).unwrap();
        let run = play(one_stage(json!([task("h1", "a"), task("h2", "b")])), rules);
        assert_eq!(run.words(&["1.1.1", "1.2.1"]), ["failed", "changed"]);
        assert_eq!(run.failure("1.1.1"), wanted);
    }
}

#[test]
fn a_host_that_comes_back_is_reached_by_a_retry() {
    let rules = serde_json::from_value(json!({"refuse": [{"host": "h1", "times": 2}]})).unwrap();
    let run = play(
        one_stage(json!([with(task("h1", "a"), json!({"retries": 2}))])),
        rules,
    );
    assert_eq!(run.words(&["1.1.1"]), ["changed"]);
}

#[test]
fn a_host_that_failed_is_left_out_of_later_stages_but_not_of_finally() {
    for host in ["h1", "local"] {
        let tolerant = with(
            stage("First", 2, json!([task(host, "bad"), task("h2", "good")])),
            json!({"max_failures": 1}),
        );
        let finally = with(
            stage("Last", 2, json!([task(host, "bye")])),
            json!({"finally": true}),
        );
        let later = stage(
            "Second",
            2,
            json!([
                task(host, "again"),
                task("h2", "good again"),
                [task("h2", "x"), task(host, "y")]
            ]),
        );
        let run = play(
            tasklist(json!([tolerant, later, finally])),
            script(json!([{"on": "bad", "status": 1}])),
        );
        assert_eq!(
            run.words(&[
                "1.1.1", "1.2.1", "2.1.1", "2.2.1", "2.3.1", "2.3.2", "3.1.1"
            ]),
            [
                "failed", "changed", "not run", "changed", "not run", "not run", "changed"
            ]
        );
        assert_eq!(
            (run.end(), run.report.failed),
            (RunEnd::Failed, 1),
            "{host}: counted once"
        );
    }
}

#[test]
fn a_host_that_is_left_out_by_hand_is_not_touched() {
    let finally = with(
        stage("Last", 2, json!([task("h1", "bye")])),
        json!({"finally": true}),
    );
    let tasks = json!([task("h1", "a"), task("h2", "b")]);
    let mut play = Play::new(
        tasklist(json!([stage("First", 1, tasks), finally])),
        script(json!([])),
    )
    .unwrap();
    play.without = vec![windlass_model::ids::HostName::new("h1")];
    let run = Run::from(play.play().unwrap());
    assert_eq!(
        run.words(&["1.1.1", "1.2.1", "2.1.1"]),
        ["not run", "changed", "not run"]
    );
    assert_eq!(run.hosts.done_texts(), ["b"]);
    let warned = |w: &What| matches!(w, What::Log { message, .. } if message.contains("left out, and behind now: h1"));
    assert!(run.events.iter().any(warned));
}

#[test]
fn a_time_limit_bounds_waiting_and_plugins_too() {
    let limited = |turns: Value| {
        one_stage(json!([with(
            last("x"),
            json!({"turns": turns, "time_limit": 5})
        )]))
    };
    let waits = json!([{"run": ["a"]}, {"run": ["b"], "wait": 60}]);
    let run = play(limited(waits), script(json!([])));
    assert_eq!(
        (run.failure("1.1.1"), run.hosts.done_texts()),
        (FailureKind::TimeLimit, vec!["a".into()])
    );
    let calls = json!([{"run": ["a", "b"], "call": true}]);
    let run = play(limited(calls), script(json!([{"on": "a", "takes": 6000}])));
    assert_eq!(
        (run.failure("1.1.1"), run.hosts.killed().len()),
        (FailureKind::TimeLimit, 1)
    );
    let slow: windlass_testkit::fake::Script =
        serde_json::from_value(json!({"refuse": [{"takes": 9000}]})).unwrap();
    let run = play(limited(json!([{"run": ["a"]}])), slow);
    assert_eq!(
        run.failure("1.1.1"),
        FailureKind::TimeLimit,
        "connecting counts"
    );
}

#[test]
fn a_plugin_is_told_of_before_and_a_link_lost_under_it_is_unknown() {
    let call = with(
        last("x"),
        json!({"turns": [{"run": ["a"], "call": true}], "opens": ["k"]}),
    );
    let run = play(one_stage(json!([call.clone()])), script(json!([])));
    assert_eq!(run.words(&["1.1.1"]), ["changed"]);
    assert!(
        run.events
            .iter()
            .any(|w| matches!(w, What::TaskSent { .. }))
    );
    assert_eq!(
        (run.owed(), run.report.owed),
        (vec!["+k".to_owned()], vec!["k".to_owned()])
    );
    let run = play(
        one_stage(json!([call])),
        script(json!([{"on": "a", "lost": "after"}])),
    );
    assert_eq!(run.words(&["1.1.1"]), ["unknown"]);
}
