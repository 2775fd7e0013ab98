//! Plugins that keep to the protocol.

mod common;

use std::time::Duration;

use common::{Notes, gone, limits, lives, program, rig};
use serde_json::{Value, json};
use windlass_model::step::Level;
use windlass_plugin::CallError;

#[tokio::test]
async fn it_is_described_and_answers_calls() {
    let rig = rig(limits(), &[]);
    let description = rig.worker.describe().await.unwrap();
    assert_eq!(description.commands[0].offer.name, "all");
    let value = json!({"a": [1, "ü", null]});
    let got = rig
        .call("execute", json!({"do": "echo", "value": value}))
        .await;
    assert_eq!(got, Ok(value));
    match rig.call("execute", json!({"do": "error"})).await {
        Err(CallError::Refused(error)) => {
            assert_eq!(error.message, "will not");
            assert_eq!(error.traceback(), Some("here"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn answers_out_of_order_reach_their_calls() {
    let rig = rig(limits(), &[]);
    rig.worker.describe().await.unwrap();
    let held = ["a", "b", "c"].map(|v| rig.call("execute", json!({"do": "hold", "value": v})));
    let release = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        rig.call("execute", json!({"do": "release"})).await
    };
    let [a, b, c] = held;
    let (a, b, c, all) = tokio::join!(a, b, c, release);
    assert_eq!([a, b, c], [Ok(json!("a")), Ok(json!("b")), Ok(json!("c"))]);
    assert_eq!(all, Ok(json!(true)));
}

#[tokio::test]
async fn callbacks_of_two_calls_at_once_reach_each_its_own() {
    let rig = rig(limits(), &[]);
    rig.worker.describe().await.unwrap();
    let mut first = Notes {
        wait: Duration::from_millis(20),
        ..Notes::default()
    };
    let mut second = Notes {
        wait: Duration::from_millis(15),
        ..Notes::default()
    };
    let (a, b) = tokio::join!(
        rig.call_with("execute", json!({"do": "ask", "times": 5}), &mut first),
        rig.call_with("execute", json!({"do": "ask", "times": 7}), &mut second),
    );
    assert_eq!((a, b), (Ok(json!(10)), Ok(json!(10))));
    assert_eq!(first.asked, [5, 4, 3, 2, 1]);
    assert_eq!(second.asked, [7, 6, 5, 4, 3, 2, 1]);
}

#[tokio::test]
async fn the_time_of_callbacks_is_not_the_plugins() {
    let limits = windlass_plugin::Limits {
        call_time: Duration::from_secs(1),
        ..limits()
    };
    let rig = rig(limits, &[]);
    rig.worker.describe().await.unwrap();
    let mut notes = Notes {
        wait: Duration::from_millis(700),
        ..Notes::default()
    };
    let got = rig
        .call_with("generate", json!({"do": "ask", "times": 3}), &mut notes)
        .await;
    assert_eq!(got, Ok(json!(10)));
}

#[tokio::test]
async fn log_lines_come_in_order_and_none_is_lost() {
    let rig = rig(limits(), &[]);
    let mut notes = Notes::default();
    let done = rig
        .call_with("execute", json!({"do": "log", "times": 5000}), &mut notes)
        .await;
    assert_eq!(done, Ok(json!(true)));
    assert_eq!(notes.logged.len(), 5000);
    assert_eq!(notes.logged[4999].message, "line 5000");
    assert_eq!(notes.logged[0].level, Level::Warning);
    assert_eq!(notes.logged[0].component.as_deref(), Some("Me"));
}

#[tokio::test]
async fn environment_and_directory_are_those_given() {
    let rig = rig(limits(), &[("EXTRA", "1")]);
    let env = rig
        .call("execute", json!({"do": "environment"}))
        .await
        .unwrap();
    let mut names: Vec<&str> = env
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    // The shell's own.
    names.retain(|n| !["PWD", "SHLVL", "_", "OLDPWD"].contains(n));
    names.sort_unstable();
    assert_eq!(names, ["EXTRA", "PATH"]);
    let directory = rig
        .call("execute", json!({"do": "directory"}))
        .await
        .unwrap();
    let wanted = rig.directory.path().canonicalize().unwrap();
    assert_eq!(directory, json!(wanted));
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_and_its_late_answer_ignored() {
    let rig = rig(limits(), &[]);
    rig.worker.describe().await.unwrap();
    let cancelled = tokio::time::timeout(
        Duration::from_millis(300),
        rig.call("execute", json!({"do": "hold", "value": "x"})),
    );
    assert!(cancelled.await.is_err());
    assert_eq!(
        rig.call("execute", json!({"do": "release"})).await,
        Ok(json!(true))
    );
    assert_eq!(
        rig.call("execute", json!({"do": "echo", "value": 1})).await,
        Ok(json!(1))
    );
}

#[tokio::test]
async fn many_calls_at_once_are_all_answered() {
    let rig = rig(limits(), &[]);
    let calls = (0..500).map(|n| rig.call("initialize", json!({"do": "echo", "value": n})));
    let answers: Vec<_> = futures_util::future::join_all(calls).await;
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer, Ok(json!(n)));
    }
}

#[tokio::test]
async fn big_messages_go_both_ways() {
    let rig = rig(limits(), &[]);
    let value = Value::String("x".repeat(8 << 20));
    let got = rig
        .call("execute", json!({"do": "echo", "value": value.clone()}))
        .await;
    assert_eq!(got, Ok(value));
    let too_big = Value::String("x".repeat(17 << 20));
    let why = rig
        .broken("execute", json!({"do": "echo", "value": too_big}))
        .await;
    assert!(why.contains("more than the 16777216 of a line"), "{why}");
    assert_eq!(
        rig.call("execute", json!({"do": "echo", "value": 1})).await,
        Ok(json!(1))
    );
}

#[tokio::test]
async fn closing_ends_it_gently_and_its_children_with_it() {
    let rig = rig(limits(), &[]);
    let pid = rig.call("execute", json!({"do": "pid"})).await.unwrap();
    let child = rig.call("execute", json!({"do": "child"})).await.unwrap();
    let (pid, child) = (pid.as_i64().unwrap(), child.as_i64().unwrap());
    assert!(lives(pid) && lives(child));
    rig.worker.close().await;
    assert!(gone(pid).await && gone(child).await);
    let why = rig
        .broken("execute", json!({"do": "echo", "value": 1}))
        .await;
    assert_eq!(why, "the plugin `commands/all` was closed");
}

#[tokio::test]
async fn one_that_ignores_its_end_is_killed() {
    let rig = rig(limits(), &[]);
    let pid = rig
        .call("execute", json!({"do": "stubborn"}))
        .await
        .unwrap();
    let began = std::time::Instant::now();
    rig.worker.close().await;
    assert!(gone(pid.as_i64().unwrap()).await);
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(600) && took < Duration::from_secs(5),
        "{took:?}"
    );
}

#[tokio::test]
async fn dropping_kills() {
    let rig = rig(limits(), &[]);
    let pid = rig
        .call("execute", json!({"do": "stubborn"}))
        .await
        .unwrap();
    drop(rig);
    assert!(gone(pid.as_i64().unwrap()).await);
}

#[tokio::test]
async fn a_plugin_in_plain_sh() {
    let script = r#"
        while read -r line; do
            id=$(printf '%s' "$line" | sed 's/.*"id":\([0-9]*\).*/\1/')
            case $line in
                *'"describe"'*) result='{"protocol":1,"generators":[{"name":"g"}]}' ;;
                *) result='"from sh"' ;;
            esac
            printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$result"
        done"#;
    let rig = program(&["sh", "-c", script], limits(), &[]);
    assert_eq!(rig.worker.describe().await.unwrap().generators[0].name, "g");
    assert_eq!(rig.call("generate", json!({})).await, Ok(json!("from sh")));
}
