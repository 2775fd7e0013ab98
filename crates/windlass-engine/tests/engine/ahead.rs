//! Sending ahead: which tasks of a chain go out together, and what becomes of each when something is wrong.

use crate::support::*;
use serde_json::{Value, json};
use windlass_model::event::{RunEnd, What};
use windlass_model::outcome::FailureKind;

fn chain(links: Vec<Value>) -> Value {
    one_stage(json!([links]))
}

fn no_script() -> windlass_testkit::fake::Script {
    script(json!([]))
}

#[test]
fn a_chain_goes_out_together_and_each_task_has_its_own_events() {
    let run = play(
        chain(vec![last("a"), last("b"), last("c")]),
        script(json!([
            {"on": "a", "output": [{"stdout": "from a\n"}]},
            {"on": "b", "output": [{"stdout": "from b\n"}], "status": 80},
            {"on": "c", "output": [{"stderr": "from c"}]}
        ])),
    );
    assert_eq!(run.ahead(), ["1.1.2", "1.1.3"]);
    assert!(
        run.hosts.sent().iter().all(|s| s.at.is_zero()),
        "all went out at once"
    );
    assert_eq!(run.words(&["1.1.1", "1.1.2", "1.1.3"]), ["changed"; 3]);
    let said: Vec<(String, String)> = run
        .events
        .iter()
        .filter_map(|what| match what {
            What::Output { task, line, .. } => Some((task.id.to_string(), line.clone())),
            _ => None,
        })
        .collect();
    let said: Vec<(&str, &str)> = said.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(
        said,
        [
            ("1.1.1", "from a"),
            ("1.1.2", "from b"),
            ("1.1.3", "from c")
        ]
    );
    let count = |of: fn(&What) -> bool| run.events.iter().filter(|w| of(w)).count();
    assert_eq!(count(|w| matches!(w, What::TaskSent { .. })), 3);
    assert_eq!(count(|w| matches!(w, What::TaskStarted { .. })), 3);
    assert_eq!(run.hosts.opened().len(), 1, "one conversation");
}

#[test]
fn what_ends_the_batch() {
    let ask = json!({"repeat": "ask"});
    let not_last = json!({"turns": [{"run": ["b"]}]});
    let two_turns = json!({"turns": [{"run": ["b"]}, {"run": ["b2"], "last": true}]});
    let dials = json!({"turns": [{"dial": "x:1", "last": true}]});
    let says = json!({"turns": [{"run": ["b"], "log": "hello", "last": true}]});
    let calls = json!({"turns": [{"run": ["b"], "call": true}]});
    let nothing = json!({"turns": []});
    let cases: [(&str, Value, &[&str]); 12] = [
        ("the same", json!({}), &["1.1.2", "1.1.3"]),
        ("another host", json!({"remote_host": "h2"}), &[]),
        ("another user", json!({"remote_user": "www"}), &[]),
        ("other rights", json!({"use_sudo": true}), &[]),
        ("not safe to repeat, but fenced", ask, &["1.1.2", "1.1.3"]),
        ("its first turn is not its last", not_last, &["1.1.2"]),
        (
            "two turns; the next joins its last",
            two_turns,
            &["1.1.2", "1.1.3"],
        ),
        ("it dials", dials, &[]),
        ("it says something in between", says, &[]),
        ("a plugin", calls, &[]),
        ("nothing to do", nothing, &[]),
        (
            "it opens what must be closed",
            json!({"opens": ["x"]}),
            &["1.1.3"],
        ),
    ];
    for (name, more, wanted) in cases {
        let run = play(
            chain(vec![last("a"), with(last("b"), more), last("c")]),
            no_script(),
        );
        assert_eq!(run.ahead(), wanted, "{name}");
        assert_eq!(run.end(), RunEnd::Succeeded, "{name}");
        assert_eq!(
            run.words(&["1.1.1", "1.1.2", "1.1.3"]),
            ["changed"; 3],
            "{name}"
        );
    }
}

#[test]
fn the_user_of_the_config_is_the_same_user() {
    let mut play = windlass_testkit::play::Play::new(
        chain(vec![
            last("a"),
            with(last("b"), json!({"remote_user": "deploy"})),
            last("c"),
        ]),
        no_script(),
    )
    .unwrap();
    play.user = Some("deploy".into());
    let run = Run::from(play.play().unwrap());
    assert_eq!(run.ahead(), ["1.1.2", "1.1.3"]);
    assert_eq!(run.hosts.sent()[0].user.as_deref(), Some("deploy"));
}

#[test]
fn a_failure_stops_what_was_sent_behind_it() {
    let run = play(
        chain(vec![last("a"), last("b"), last("c"), last("d")]),
        script(json!([{"on": "b", "status": 3}])),
    );
    assert_eq!(run.ahead(), ["1.1.2", "1.1.3", "1.1.4"]);
    assert_eq!(run.hosts.done_texts(), ["a", "b"]);
    assert_eq!(
        run.words(&["1.1.1", "1.1.2", "1.1.3", "1.1.4"]),
        ["changed", "failed", "not run", "not run"]
    );
    assert_eq!((run.end(), run.report.failed), (RunEnd::Failed, 1));
}

#[test]
fn a_task_in_the_middle_is_tried_again_and_those_behind_it_go_out_again() {
    let again = with(last("b"), json!({"retries": 2, "retry_delay": 5}));
    let run = play(
        chain(vec![last("a"), again, last("c")]),
        script(json!([{"on": "b", "status": 3, "times": 2}])),
    );
    assert_eq!(run.hosts.done_texts(), ["a", "b", "b", "b", "c"]);
    assert_eq!(run.words(&["1.1.1", "1.1.2", "1.1.3"]), ["changed"; 3]);
    let retried: Vec<u32> = run
        .events
        .iter()
        .filter_map(|w| match w {
            What::TaskRetried {
                attempt, delay: 5, ..
            } => Some(*attempt),
            _ => None,
        })
        .collect();
    assert_eq!(retried, [1, 2]);
    let sent: Vec<(String, bool)> = run
        .hosts
        .sent()
        .iter()
        .map(|s| (s.task.to_string(), s.ahead))
        .collect();
    let sent: Vec<(&str, bool)> = sent.iter().map(|(a, b)| (a.as_str(), *b)).collect();
    let (b, c) = ("1.1.2", "1.1.3");
    assert_eq!(
        sent,
        [
            ("1.1.1", false),
            (b, true),
            (c, true),
            (b, false),
            (c, true),
            (b, false),
            (c, true)
        ]
    );
}

#[test]
fn each_task_in_flight_has_its_own_time_limit() {
    let links = vec![
        with(last("slow"), json!({"time_limit": 10})),
        with(last("stuck"), json!({"time_limit": 10})),
        last("c"),
    ];
    let rules = json!([{"on": "slow", "takes": 9000}, {"on": "stuck", "hangs": true}]);
    let run = play(chain(links), script(rules));
    assert_eq!(
        run.words(&["1.1.1", "1.1.2", "1.1.3"]),
        ["changed", "failed", "not run"]
    );
    assert_eq!(run.failure("1.1.2"), FailureKind::TimeLimit);
    assert_eq!(run.hosts.killed().len(), 1);
    assert_eq!(run.hosts.done_texts(), ["slow", "stuck"]);
}

#[test]
fn a_lost_link_leaves_the_front_unknown_and_the_rest_not_run() {
    for lost in ["before", "after"] {
        let run = play(
            chain(vec![last("a"), last("b"), last("c")]),
            script(json!([{"on": "b", "lost": lost}])),
        );
        assert_eq!(
            run.words(&["1.1.1", "1.1.2", "1.1.3"]),
            ["changed", "unknown", "not run"]
        );
        assert_eq!((run.end(), run.report.failed), (RunEnd::Unknown, 1));
    }
}

#[test]
fn a_lost_link_is_made_again_for_what_is_safe_to_repeat() {
    let again = with(last("b"), json!({"retries": 1}));
    let run = play(
        chain(vec![last("a"), again, last("c")]),
        script(json!([{"on": "b", "lost": "after", "times": 1}])),
    );
    assert_eq!(run.words(&["1.1.1", "1.1.2", "1.1.3"]), ["changed"; 3]);
    assert_eq!(run.hosts.done_texts(), ["a", "b", "b", "c"]);
    assert_eq!(run.hosts.opened().len(), 2);
}

#[test]
fn a_check_settles_a_lost_link_and_the_rest_goes_out_again() {
    let checked = with(last("b"), json!({"check": "is it done"}));
    let links = || chain(vec![last("a"), checked.clone(), last("c")]);
    let run = play(
        links(),
        script(json!([{"on": "b", "lost": "after", "times": 1}])),
    );
    assert_eq!(run.words(&["1.1.1", "1.1.2", "1.1.3"]), ["changed"; 3]);
    assert_eq!(run.hosts.done_texts(), ["a", "b", "is it done", "c"]);
    let rules =
        json!([{"on": "is it done", "status": 1}, {"on": "b", "lost": "before", "times": 1}]);
    let run = play(links(), script(rules));
    assert_eq!(
        run.words(&["1.1.1", "1.1.2", "1.1.3"]),
        ["changed", "failed", "not run"]
    );
    assert_eq!(run.failure("1.1.2"), FailureKind::LinkLost);
}

#[test]
fn a_command_that_goes_on_after_its_last_turn_is_a_defect() {
    let turns = json!({"turns": [{"run": ["a"], "last": true}, {"run": ["a2"]}]});
    let run = play(
        chain(vec![with(last("a"), turns.clone()), last("b"), last("c")]),
        no_script(),
    );
    assert_eq!(run.failure("1.1.1"), FailureKind::Panic);
    assert!(!run.hosts.done_texts().contains(&"a2".to_owned()));
    assert_eq!(run.hosts.killed().len(), 1, "what was sent along is ended");
    let run = play(chain(vec![with(last("a"), turns)]), no_script());
    assert_eq!(
        run.failure("1.1.1"),
        FailureKind::Panic,
        "also when nothing was sent along"
    );
}

#[test]
fn a_command_that_breaks_its_promise_leaves_those_behind_unknown() {
    let breaks = with(last("a"), json!({"ends": "failed", "retries": 1}));
    let run = play(
        chain(vec![breaks, last("b")]),
        script(json!([{"on": "b", "takes": 5000}])),
    );
    assert_eq!(run.words(&["1.1.1", "1.1.2"]), ["failed", "unknown"]);
    assert_eq!(run.hosts.killed().len(), 2, "one an attempt");
    assert_eq!(run.end(), RunEnd::Unknown);
}

#[test]
fn a_command_that_asks_for_no_step_is_a_defect() {
    let run = play(
        one_stage(json!([with(last("a"), json!({"turns": [{}]}))])),
        no_script(),
    );
    assert_eq!(run.failure("1.1.1"), FailureKind::Panic);
}

#[test]
fn a_long_chain_goes_out_in_bounded_parts() {
    let links: Vec<Value> = (0..600).map(|n| last(&format!("step {n}"))).collect();
    let run = play(chain(links), no_script());
    assert_eq!(run.end(), RunEnd::Succeeded);
    assert_eq!(run.hosts.done().len(), 600);
    assert_eq!(run.ahead().len(), 600 - 3, "three parts of at most 256");
}

#[test]
fn a_command_that_makes_do_with_a_bad_reply_does_not_hold_those_behind_up() {
    let tolerant = with(last("a"), json!({"tolerates": true}));
    let links = vec![tolerant, last("b"), last("c")];
    let run = play(chain(links), script(json!([{"on": "a", "status": 9}])));
    assert_eq!(
        run.words(&["1.1.1", "1.1.2", "1.1.3"]),
        ["unchanged", "changed", "changed"]
    );
    assert_eq!(run.hosts.done_texts(), ["a", "b", "c"]);
}
