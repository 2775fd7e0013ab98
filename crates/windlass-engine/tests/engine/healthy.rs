//! Services of which so many hosts must stay healthy: proved before, asked before each job.

use serde_json::{Value, json};
use windlass_model::event::{RunEnd, What};
use windlass_testkit::fake::Script;
use windlass_testkit::play::Play;

use crate::support::*;

const HOSTS: [&str; 3] = ["h1", "h2", "h3"];

/// A chain that takes the shop on a host out for a second.
fn deploy(host: &str) -> Value {
    let task = |text: &str| {
        with(
            last(&format!("{text} {host}")),
            json!({"remote_host": host}),
        )
    };
    json!([
        with(task("stop"), json!({"takes_out": true, "tag": "shop"})),
        task("start"),
    ])
}

fn shop(keep: u32) -> Value {
    let ask = |host: &str| {
        let well = with(last(&format!("well {host}")), json!({"remote_host": host}));
        json!({"host": host, "ask": [well]})
    };
    json!({"shop": {"keep": keep, "wait": 10, "hosts": HOSTS.map(ask)}})
}

fn rolling(concurrency: u32, keep: u32, more: Value) -> Value {
    let stage = json!({"name": "Deploy", "concurrency": concurrency, "tasks": HOSTS.map(deploy)});
    let mut tasklist = tasklist(json!([with(stage, more)]));
    tasklist["plan"] = json!({"min_healthy": shop(keep)});
    tasklist
}

/// The work that was done, the looks left out.
fn work(run: &Run) -> Vec<String> {
    let texts = run.hosts.done_texts().into_iter();
    texts.filter(|text| !text.starts_with("well")).collect()
}

fn said(run: &Run, part: &str) -> usize {
    let has = |what: &&What| matches!(what, What::Log { message, .. } if message.contains(part));
    run.events.iter().filter(has).count()
}

fn refused(tasklist: Value) -> String {
    let played = Play::new(tasklist, Script::default())
        .unwrap()
        .play()
        .unwrap();
    assert!(played.hosts.sent().is_empty());
    played.report.unwrap_err().to_string()
}

#[test]
fn a_tasklist_that_could_take_too_many_out_is_refused() {
    insta::assert_snapshot!(refused(rolling(2, 2, json!({}))), @r#"
error: stage "Deploy" (1) could take 2 of the 3 hosts of service `shop` out of service at once, and `min_healthy` keeps 2: at most 1 may be out
  = key: plan.min_healthy.shop
  = hint: `concurrency` 2 at once; set `deploy_concurrency: 1`
"#);
    insta::assert_snapshot!(refused(rolling(1, 2, json!({"max_failures": 1}))), @r#"
error: stage "Deploy" (1) could take 2 of the 3 hosts of service `shop` out of service at once, and `min_healthy` keeps 2: at most 1 may be out
  = key: plan.min_healthy.shop
  = hint: `concurrency` 1 at once, and `max_failures` 1 that failed and stay out; set `deploy_concurrency: 1` and `max_failures: 0`
"#);
    insta::assert_snapshot!(refused(rolling(1, 3, json!({}))), @r#"
error: stage "Deploy" (1) could take 1 of the 3 hosts of service `shop` out of service at once, and `min_healthy` keeps 3: none may be out
  = key: plan.min_healthy.shop
  = hint: set `min_healthy` below 3, or add a host: one at a time is out
"#);
}

#[test]
fn one_at_a_time_each_batch_is_looked_at_once() {
    let run = play(rolling(1, 2, json!({})), script(json!([])));
    assert_eq!(run.end(), RunEnd::Succeeded);
    let texts = run.hosts.done_texts();
    assert_eq!(
        work(&run),
        [
            "stop h1", "start h1", "stop h2", "start h2", "stop h3", "start h3"
        ]
    );
    assert_eq!(texts.len() - 6, 3 * 3, "{texts:?}");
}

#[test]
fn without_the_key_nobody_is_asked() {
    let mut plain = rolling(1, 2, json!({}));
    plain["plan"] = json!({});
    let run = play(plain, script(json!([])));
    assert_eq!(run.hosts.done_texts().len(), 6);
}

#[test]
fn broken_hosts_go_first_and_count_as_out() {
    // Broken until it has been started again.
    let rules = json!([{"on": "well h3", "times": 1, "status": 1}]);
    let run = play(rolling(1, 2, json!({})), script(rules));
    assert_eq!(run.end(), RunEnd::Succeeded);
    assert_eq!(
        work(&run)[..4],
        ["stop h3", "start h3", "stop h1", "start h1"]
    );
    assert_eq!(
        said(&run, "hosts that are not healthy go first: h3 (shop: "),
        1
    );
}

#[test]
fn a_job_waits_for_others_to_become_healthy() {
    let rules = json!([{"on": "well h3", "times": 3, "status": 1}]);
    let mut two = rolling(1, 2, json!({}));
    two["stages"][0]["tasks"] = json!([deploy("h1"), deploy("h2")]);
    let run = play(two, script(rules));
    assert_eq!(run.end(), RunEnd::Succeeded);
    assert_eq!(
        said(&run, "waiting: without this host 1 of the 3 hosts of shop"),
        1
    );
}

#[test]
fn a_job_that_waits_too_long_fails_and_names_the_broken_hosts() {
    let rules = json!([{"on": "well h3", "status": 1, "stderr": "down"}]);
    let mut two = rolling(1, 2, json!({}));
    two["stages"][0]["tasks"] = json!([deploy("h1"), deploy("h2")]);
    let run = play(two, script(rules));
    assert_eq!(run.end(), RunEnd::Failed);
    assert_eq!(work(&run), Vec::<String>::new());
    assert_eq!(
        run.words(&["1.1.1", "1.1.2", "1.2.1", "1.2.2"]),
        ["failed", "not run", "not run", "not run"]
    );
    insta::assert_snapshot!(run.outcome("1.1.1").to_string(), @"failed: without this host 1 of the 3 hosts of shop would be healthy, and `min_healthy` keeps 2: h3 is not healthy: exit status 1; waited 10 s");
}

#[test]
fn a_host_out_of_reach_is_not_healthy() {
    let mut two = rolling(1, 2, json!({}));
    two["stages"][0]["tasks"] = json!([deploy("h1"), deploy("h2")]);
    let mut rules = script(json!([]));
    rules.refuse = serde_json::from_value(json!([{"host": "h3"}])).unwrap();
    let run = play(two, rules);
    assert_eq!(work(&run), Vec::<String>::new());
    let why = run.outcome("1.1.1").to_string();
    assert!(
        why.contains("h3 is not healthy: connection refused"),
        "{why}"
    );
}

#[test]
fn with_all_broken_the_deploy_heals_them() {
    let rules = json!([
        {"on": "well h1", "times": 1, "status": 1},
        {"on": "well h2", "times": 2, "status": 1},
        {"on": "well h3", "times": 3, "status": 1},
    ]);
    let run = play(rolling(1, 2, json!({})), script(rules));
    assert_eq!(run.end(), RunEnd::Succeeded);
    assert_eq!(work(&run).len(), 6);
}

#[test]
fn what_failed_in_the_run_stays_out() {
    // Two may be out: one that failed and one at work.
    let rules = json!([{"on": "start h1", "status": 1}]);
    let run = play(rolling(1, 1, json!({"max_failures": 1})), script(rules));
    assert_eq!(
        run.words(&["1.1.1", "1.1.2", "1.2.1", "1.2.2", "1.3.1", "1.3.2"]),
        [
            "changed", "failed", "changed", "changed", "changed", "changed"
        ]
    );
    // One more is broken by then: the others wait in vain.
    let rules = json!([
        {"on": "start h1", "status": 1},
        {"on": "well h3", "times": 1},
        {"on": "well h3", "status": 1},
    ]);
    let mut two = rolling(1, 1, json!({"max_failures": 1}));
    two["stages"][0]["tasks"] = json!([deploy("h1"), deploy("h2")]);
    let run = play(two, script(rules));
    assert_eq!(run.words(&["1.1.2", "1.2.1"]), ["failed", "failed"]);
    let why = run.outcome("1.2.1").to_string();
    assert!(
        why.contains("h1 failed in this run; h3 is not healthy"),
        "{why}"
    );
}

#[test]
fn two_at_once_wait_for_each_other_when_one_more_is_broken() {
    let mut four = rolling(2, 2, json!({}));
    let h4 = json!({"host": "h4", "ask": [with(last("well h4"), json!({"remote_host": "h4"}))]});
    let hosts = four["plan"]["min_healthy"]["shop"]["hosts"]
        .as_array_mut()
        .unwrap();
    hosts.push(h4);
    let rules = json!([
        {"on": "well h4", "status": 1},
        {"on": "stop", "takes": 1000},
    ]);
    let run = play(four, script(rules));
    assert_eq!(run.end(), RunEnd::Succeeded);
    assert_eq!(
        work(&run)
            .iter()
            .filter(|text| text.starts_with("stop"))
            .count(),
        3
    );
    let done = run.hosts.done();
    let at = |text: &str| done.iter().find(|d| d.step == text).unwrap().at;
    assert!(at("stop h2") > at("start h1"), "{done:?}");
    assert!(at("stop h3") > at("start h2"), "{done:?}");
}

#[test]
fn an_interrupt_ends_the_waiting() {
    let rules = json!([{"on": "well h3", "status": 1}]);
    let mut two = rolling(1, 2, json!({}));
    two["stages"][0]["tasks"] = json!([deploy("h1"), deploy("h2")]);
    let run = play_until(two, script(rules), &[3001]);
    assert_eq!(run.end(), RunEnd::Interrupted);
    assert_eq!(run.words(&["1.1.1", "1.2.1"]), ["not run", "not run"]);
    assert_eq!(work(&run), Vec::<String>::new());
}

#[test]
fn new_hosts_take_nobody_out() {
    let mut first = rolling(3, 2, json!({}));
    for host in first["plan"]["min_healthy"]["shop"]["hosts"]
        .as_array_mut()
        .unwrap()
    {
        host["new"] = true.into();
    }
    let rules = json!([{"on": "well", "status": 1}]);
    let run = play(first, script(rules));
    assert_eq!(run.end(), RunEnd::Succeeded);
    assert_eq!(work(&run).len(), 6);
}

#[test]
fn a_question_that_is_wrong_is_an_error_before_anything_starts() {
    let mut wrong = rolling(1, 2, json!({}));
    wrong["plan"]["min_healthy"]["shop"]["hosts"][1]["ask"] = json!([{"command": "fakee"}, 5]);
    insta::assert_snapshot!(refused(wrong), @r#"
error: a task is a map and a chain a list, but here is a whole number
  = key: plan.min_healthy.shop.hosts[1].ask[1]
  = in: the health of shop on h2
"#);
}
