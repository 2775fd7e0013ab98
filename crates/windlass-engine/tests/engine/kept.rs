//! Work that outlives the link: which is, and what becomes of it when the link is lost.

use crate::support::*;
use serde_json::{Value, json};
use windlass_model::event::{RunEnd, What};
use windlass_model::outcome::{FailureKind, Outcome};

/// A task that must not be done twice.
fn ask(script: &str) -> Value {
    with(last(script), json!({"repeat": "ask"}))
}

fn chain(links: Vec<Value>) -> Value {
    one_stage(json!([links]))
}

fn why(outcome: Outcome) -> String {
    match outcome {
        Outcome::Unknown(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_safe_to_repeat_is_kept_and_forgotten_when_all_went_well() {
    let links = vec![
        last("safe"),
        ask("b"),
        with(last("c"), json!({"repeat": "check", "check": "is it done"})),
        last("safe too"),
    ];
    let run = play(chain(links), script(json!([])));
    let kept: Vec<bool> = run.hosts.sent().iter().map(|s| s.kept).collect();
    assert_eq!(kept, [false, true, true, false]);
    assert!(
        run.hosts.sent().iter().all(|s| s.at.is_zero()),
        "no round trip more than safe tasks need"
    );
    assert_eq!(run.hosts.forgotten().len(), 1);
    assert_eq!(run.end(), RunEnd::Succeeded);

    let run = play(
        one_stage(json!([[last("a"), last("b")]])),
        script(json!([])),
    );
    assert!(run.hosts.forgotten().is_empty() && run.hosts.opened().len() == 1);

    let run = play(
        chain(vec![ask("a")]),
        script(json!([{"on": "a", "status": 1}])),
    );
    assert_eq!(run.hosts.forgotten().len(), 1, "a failure is known");
}

#[test]
fn a_host_is_ready_before_anything_that_it_keeps_is_said_to_be_sent() {
    let ready = |rules: Value| {
        serde_json::from_value(json!({"steps": rules, "keeper": "make ready"})).unwrap()
    };
    let list = json!({"name": "Test", "stages": [
        {"name": "One", "concurrency": 1, "tasks": [[last("safe"), ask("a"), ask("b")], ask("c")]},
        {"name": "Two", "concurrency": 1, "tasks": [last("safe too"), ask("d")]},
    ]});
    let run = play(list.clone(), ready(json!([])));
    assert_eq!(
        run.hosts.done_texts(),
        ["make ready", "safe", "a", "b", "c", "safe too", "d"],
        "once for a host"
    );
    assert!(!run.hosts.sent()[0].kept && run.hosts.sent()[2].kept);

    let run = play(
        one_stage(json!([[last("safe"), last("too")]])),
        ready(json!([])),
    );
    assert_eq!(run.hosts.done_texts(), ["safe", "too"], "nothing is kept");

    // a lost link is made anew; where that does not help, nothing was sent
    let lost = |times: u32| json!([{"on": "make ready", "lost": "before", "times": times}]);
    let run = play(chain(vec![ask("a"), ask("b")]), ready(lost(1)));
    assert_eq!(run.words(&["1.1.1", "1.1.2"]), ["changed"; 2]);
    let run = play(chain(vec![ask("a"), ask("b")]), ready(lost(2)));
    assert_eq!(run.words(&["1.1.1", "1.1.2"]), ["failed", "not run"]);
    let is_sent = |what: &What| matches!(what, What::TaskSent { .. });
    assert!(!run.events.iter().any(is_sent), "{:?}", run.events);
    assert!(run.hosts.done_texts().is_empty());
}

#[test]
fn turns_with_other_than_programs_are_not_kept_nor_what_comes_after() {
    let turns =
        json!([{"run": ["a"]}, {"run": ["b"], "dial": "x:1"}, {"run": ["c"], "last": true}]);
    let task = with(last(""), json!({"repeat": "ask", "turns": turns}));
    let run = play(chain(vec![task, last("d")]), script(json!([])));
    let kept: Vec<bool> = run.hosts.sent().iter().map(|s| s.kept).collect();
    assert_eq!(kept, [true, false, false, false]);
    assert!(run.ahead().is_empty(), "c is not fenced: d waits for it");
    let says = with(
        last(""),
        json!({"repeat": "ask", "turns": [{"run": ["a"], "log": "hello"}]}),
    );
    let calls = with(
        last(""),
        json!({"repeat": "ask", "turns": [{"run": ["a"], "call": true}]}),
    );
    for task in [says, calls] {
        let run = play(chain(vec![task]), script(json!([])));
        assert!(run.hosts.sent().iter().all(|s| !s.kept));
    }
}

#[test]
fn the_true_status_is_had_when_the_link_is_lost() {
    for (status, wanted) in [(0, "changed"), (7, "failed")] {
        let rules = json!([{"on": "b", "lost": "after", "takes": 5000, "status": status, "stdout": "one\ntwo\n"}]);
        let links = vec![last("a"), ask("b"), last("c")];
        let run = play(chain(links), script(rules));
        let rest = if status == 0 { "changed" } else { "not run" };
        assert_eq!(
            run.words(&["1.1.1", "1.1.2", "1.1.3"]),
            ["changed", wanted, rest]
        );
        let done = ["a", "b", "c"];
        assert_eq!(
            run.hosts.done_texts(),
            done[..if status == 0 { 3 } else { 2 }]
        );
        let lines: Vec<&String> = run
            .events
            .iter()
            .filter_map(|what| match what {
                What::Output { line, .. } => Some(line),
                _ => None,
            })
            .collect();
        assert_eq!(lines, ["one", "two"]);
        let waits = run.events.iter().any(
            |what| matches!(what, What::Log { message, .. } if message.contains("still runs there")),
        );
        assert!(waits);
    }
}

#[test]
fn a_failure_that_was_recalled_is_tried_again_as_any_other() {
    let again = with(ask("b"), json!({"retries": 1}));
    let rules = json!([{"on": "b", "lost": "after", "status": 7, "times": 1}]);
    let run = play(chain(vec![again, last("c")]), script(rules));
    assert_eq!(run.hosts.done_texts(), ["b", "b", "c"]);
    assert_eq!(run.words(&["1.1.1", "1.1.2"]), ["changed"; 2]);
}

#[test]
fn what_was_not_begun_is_sent_again_a_few_times() {
    let rules = |times: u32| json!([{"on": "b", "lost": "before", "times": times}]);
    let links = || chain(vec![last("a"), ask("b"), last("c")]);
    let run = play(links(), script(rules(3)));
    assert_eq!(run.words(&["1.1.1", "1.1.2", "1.1.3"]), ["changed"; 3]);
    assert_eq!(run.hosts.done_texts(), ["a", "b", "c"]);
    let run = play(links(), script(rules(4)));
    assert_eq!(run.failure("1.1.2"), FailureKind::LinkLost);
    assert_eq!(run.hosts.done_texts(), ["a"]);
}

#[test]
fn several_turns_go_on_where_the_link_was_lost() {
    let turns = json!([{"run": ["a", "b"]}, {"run": ["c"]}, {"run": ["d"], "last": true}]);
    let task = with(last(""), json!({"repeat": "ask", "turns": turns}));
    for lost in ["a", "b", "c", "d"] {
        let rules = json!([{"on": lost, "lost": "after", "times": 1, "takes": 3000}]);
        let run = play(chain(vec![task.clone(), last("e")]), script(rules));
        assert_eq!(run.hosts.done_texts(), ["a", "b", "c", "d", "e"], "{lost}");
        assert_eq!(run.words(&["1.1.1", "1.1.2"]), ["changed"; 2], "{lost}");
    }
}

#[test]
fn what_is_cut_off_is_unknown_and_says_what_to_look_at() {
    let rules = || json!([{"on": "b", "lost": "down"}]);
    let run = play(chain(vec![last("a"), ask("b"), last("c")]), script(rules()));
    assert_eq!(
        run.words(&["1.1.1", "1.1.2", "1.1.3"]),
        ["changed", "unknown", "not run"]
    );
    let why = why(run.outcome("1.1.2"));
    assert!(
        why.contains("look at ~/.local/state/windlass/kept/run-1@h1/1.1.2-1.* ("),
        "{why}"
    );
    assert_eq!(run.end(), RunEnd::Unknown);
    // a check knows better
    let checked = with(last("b"), json!({"repeat": "check", "check": "is it done"}));
    let run = play(chain(vec![checked, last("c")]), script(rules()));
    assert_eq!(run.words(&["1.1.1", "1.1.2"]), ["changed"; 2]);
    assert_eq!(run.hosts.done_texts(), ["b", "is it done", "c"]);
}

#[test]
fn a_check_is_not_asked_while_the_work_still_runs() {
    let checked = with(last("b"), json!({"repeat": "check", "check": "is it done"}));
    let rules =
        json!([{"on": "is it done", "status": 1}, {"on": "b", "lost": "after", "takes": 9000}]);
    let run = play(chain(vec![checked]), script(rules));
    assert_eq!(run.words(&["1.1.1"]), ["changed"]);
    assert_eq!(run.hosts.done_texts(), ["b"]);
}

#[test]
fn a_host_that_stays_away_leaves_it_unknown() {
    let mut script = script(json!([{"on": "a", "lost": "after"}]));
    script.refuse = serde_json::from_value(json!([{"host": "h1", "after": 1}])).unwrap();
    let run = play(chain(vec![ask("a"), ask("b")]), script);
    assert_eq!(run.words(&["1.1.1", "1.1.2"]), ["unknown", "unknown"]);
    let why = why(run.outcome("1.1.1"));
    assert!(
        why.contains("could not be asked again")
            && why.contains("1.1.1-1.* (")
            && why.contains(" on h1 "),
        "{why}"
    );
}

#[test]
fn waiting_ends_with_the_time_limit_and_with_the_second_interrupt() {
    let rules = json!([{"on": "b", "lost": "after", "hangs": true}]);
    let limited = with(ask("b"), json!({"time_limit": 10}));
    let run = play(chain(vec![limited, last("c")]), script(rules.clone()));
    assert_eq!(run.failure("1.1.1"), FailureKind::TimeLimit);
    assert_eq!(run.hosts.killed().len(), 1);
    assert_eq!(run.words(&["1.1.2"]), ["not run"]);
    let run = play_until(chain(vec![ask("b")]), script(rules), &[3001, 5001]);
    assert_eq!(run.failure("1.1.1"), FailureKind::Interrupted);
    assert_eq!(run.hosts.killed().len(), 1);
}

#[test]
fn what_was_sent_along_is_asked_back_before_it_is_called_not_run() {
    // the first is safe and its link is lost; the host never got to the second
    let rules = json!([{"on": "a", "lost": "before"}]);
    let run = play(chain(vec![last("a"), ask("b")]), script(rules));
    assert_eq!(run.words(&["1.1.1", "1.1.2"]), ["unknown", "not run"]);
}
