//! What a run leaves: keys that are owed, receipts on hosts.

use serde_json::{Value, json};
use windlass_model::event::{RunEnd, What};
use windlass_model::receipt::Receipt;

use crate::support::*;

fn drains(key: &str) -> Value {
    with(last("drain"), json!({"opens": [key]}))
}

fn enables(key: &str) -> Value {
    with(last("enable"), json!({"closes": [key]}))
}

#[test]
fn what_is_opened_and_closed_is_owed_in_between() {
    let run = play(
        one_stage(json!([[drains("k"), last("work"), enables("k")]])),
        script(json!([])),
    );
    assert_eq!(run.owed(), ["+k", "-k"]);
    assert!(run.report.owed.is_empty());
}

#[test]
fn what_a_failure_leaves_open_stays_owed() {
    let run = play(
        one_stage(json!([[drains("k"), last("work"), enables("k")]])),
        script(json!([{"on": "work", "status": 1}])),
    );
    assert_eq!(
        (run.owed(), run.report.owed),
        (vec!["+k".to_owned()], vec!["k".to_owned()])
    );
    let again = with(drains("k"), json!({"retries": 2}));
    let run = play(
        one_stage(json!([again])),
        script(json!([{"on": "drain", "status": 1}])),
    );
    assert_eq!(
        run.owed(),
        ["+k"],
        "sent, so open; three attempts open it once"
    );
    let run = play(
        one_stage(json!([[last("work"), drains("k")]])),
        script(json!([{"on": "work", "status": 1}])),
    );
    assert!(run.owed().is_empty(), "never begun, so not open");
}

#[test]
fn what_one_job_opens_another_may_close() {
    let stages = json!([
        {"name": "A", "concurrency": 1, "tasks": [drains("k")]},
        {"name": "B", "concurrency": 1, "tasks": [enables("k"), enables("never opened")]}
    ]);
    let run = play(tasklist(stages), script(json!([])));
    assert_eq!(run.owed(), ["+k", "-k"]);
}

/// A chain that leaves a receipt for shop 2.0 in /srv.
fn shop(more: Value) -> Value {
    let mut list = one_stage(json!([[drains("k"), last("work"), enables("k")]]));
    let plan = json!({"job": "1.1", "service": "shop", "version": "2.0", "from": "0.9", "install_location": "/srv"});
    list["plan"] = json!({"receipts": [with(plan, more)]});
    list
}

/// What the probe for receipts prints.
fn stands(version: &str, receipt: &str) -> Value {
    json!({"on": "probe '/srv' 'shop'", "stdout": format!("S shop\nL shop_{version}\nR {receipt}\n")})
}

fn receipts(run: &Run) -> Vec<Receipt> {
    let of = |what: &What| match what {
        What::Receipt { receipt, .. } => Some((**receipt).clone()),
        _ => None,
    };
    run.events.iter().filter_map(of).collect()
}

const DONE: [&str; 3] = ["1.1.1", "1.1.2", "1.1.3"];

#[test]
fn where_the_version_runs_already_the_job_is_skipped() {
    let run = play(shop(json!({})), script(json!([stands("2.0", "")])));
    assert_eq!(run.words(&DONE), ["skipped"; 3]);
    assert!(
        run.outcome("1.1.1")
            .to_string()
            .contains("shop 2.0 already runs here")
    );
    assert_eq!(
        (run.hosts.done().len(), receipts(&run).len()),
        (1, 0),
        "only the question"
    );
    assert_eq!(run.end(), RunEnd::Succeeded);
    let again = play(
        shop(json!({"redeploy": true})),
        script(json!([stands("2.0", "")])),
    );
    assert_eq!(again.words(&DONE), ["changed"; 3]);
}

#[test]
fn a_version_that_failed_or_owes_is_done_again() {
    let receipt = |result: &str, owed: &[&str]| {
        json!({"service": "shop", "time": 1, "run": "r", "by": "b", "to": "2.0", "result": result, "owed": owed}).to_string()
    };
    for (receipt, wanted) in [
        (receipt("succeeded", &[]), "skipped"),
        (receipt("failed", &[]), "changed"),
        (receipt("unknown", &[]), "changed"),
        (receipt("succeeded", &["drained web/a"]), "changed"),
        ("rubbish".to_owned(), "changed"),
    ] {
        let run = play(shop(json!({})), script(json!([stands("2.0", &receipt)])));
        assert_eq!(run.words(&DONE), [wanted; 3], "{receipt}");
    }
}

#[test]
fn success_and_failure_leave_a_receipt() {
    let run = play(shop(json!({})), script(json!([stands("1.0", "")])));
    let [receipt] = &receipts(&run)[..] else {
        panic!("{:?}", run.events)
    };
    assert_eq!(
        (receipt.from.as_deref(), &*receipt.to, &*receipt.result),
        (Some("1.0"), "2.0", "succeeded")
    );
    assert!(receipt.owed.is_empty());
    let script_sent = run.hosts.done_texts().pop().unwrap();
    assert!(
        script_sent.contains("/srv/.windlass/receipts/shop"),
        "{script_sent}"
    );

    let run = play(
        shop(json!({})),
        script(json!([{"on": "work", "status": 1}])),
    );
    let [receipt] = &receipts(&run)[..] else {
        panic!("{:?}", run.events)
    };
    assert_eq!(
        (receipt.from.as_deref(), &*receipt.result),
        (Some("0.9"), "failed"),
        "nothing there: as planned"
    );
    assert_eq!(receipt.owed, ["k"]);

    let run = play(
        shop(json!({})),
        script(json!([{"on": "work", "lost": "after"}])),
    );
    assert_eq!(receipts(&run)[0].result, "unknown");
}

#[test]
fn a_receipt_that_cannot_be_left_fails_the_job_and_never_hides_what_is_unknown() {
    let full =
        json!({"on": "mkdir -p '/srv/.windlass", "status": 1, "stderr": "No space left on device"});
    let run = play(shop(json!({})), script(json!([full])));
    assert_eq!(
        (run.words(&DONE), run.end()),
        (vec!["changed"; 3], RunEnd::Failed)
    );
    let said = |w: &What| matches!(w, What::Log { message, .. } if message.contains("No space left on device"));
    assert!(run.events.iter().any(said));
    let run = play(
        shop(json!({})),
        script(json!([full, {"on": "work", "lost": "after"}])),
    );
    assert_eq!(run.end(), RunEnd::Unknown);
}

#[test]
fn a_host_that_cannot_be_asked_fails_the_job_before_it_begins() {
    let run = play(
        shop(json!({})),
        script(json!([{"on": "probe", "hangs": true}])),
    );
    assert_eq!(run.words(&DONE), ["failed", "not run", "not run"]);
    assert_eq!(run.hosts.killed().len(), 1, "the question is ended");
    assert!(run.owed().is_empty() && receipts(&run).is_empty());
}

#[test]
fn a_job_that_is_killed_leaves_its_receipt_all_the_same() {
    let rules = script(json!([stands("1.0", ""), {"on": "work", "takes": 60000}]));
    let run = play_until(shop(json!({})), rules, &[1001, 2001]);
    assert_eq!(run.words(&DONE), ["changed", "failed", "not run"]);
    let [receipt] = &receipts(&run)[..] else {
        panic!("{:?}", run.events)
    };
    assert_eq!(
        (&*receipt.result, &receipt.owed[..]),
        ("failed", &["k".to_owned()][..])
    );
}

#[test]
fn a_job_that_never_began_leaves_no_receipt() {
    let slow = json!({"on": "probe", "takes": 5000, "stdout": "S shop\nL shop_1.0\nR \n"});
    let run = play_until(shop(json!({})), script(json!([slow])), &[1001, 2001]);
    assert_eq!(run.words(&DONE), ["not run"; 3]);
    assert!(receipts(&run).is_empty() && run.hosts.done().len() == 1);
}
