//! Plugins that break: each is named as such, and what is open fails with it.

mod common;

use std::time::{Duration, Instant};

use common::{Notes, gone, limits, program, rig};
use serde_json::json;
use windlass_plugin::{CallError, Limits};

#[tokio::test]
async fn rubbish_is_shown_and_the_plugin_killed() {
    let rig = rig(limits(), &[]);
    let pid = rig.call("execute", json!({"do": "pid"})).await.unwrap();
    let (held, why) = tokio::join!(
        rig.call("execute", json!({"do": "hold", "value": "x"})),
        async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            rig.broken("execute", json!({"do": "rubbish"})).await
        }
    );
    assert_eq!(
        why,
        "the plugin `commands/all` wrote a line to stdout that is no message of the protocol (it is not JSON): \
         hello \\u{1b}[31mthere"
    );
    assert_eq!(held, Err(CallError::Broken(why)));
    assert!(gone(pid.as_i64().unwrap()).await);
    // The next call finds a new process.
    let again = rig.call("execute", json!({"do": "pid"})).await.unwrap();
    assert_ne!(again, pid);
}

#[tokio::test]
async fn an_answer_to_nothing_is_a_fault() {
    let rig = rig(limits(), &[]);
    let why = rig.broken("execute", json!({"do": "stray"})).await;
    assert!(
        why.contains("wrote an answer to a call that was never made"),
        "{why}"
    );
}

#[tokio::test]
async fn silence_has_its_time() {
    let rig = rig(
        Limits {
            call_time: Duration::from_secs(1),
            ..limits()
        },
        &[],
    );
    let pid = rig.call("execute", json!({"do": "pid"})).await.unwrap();
    let began = Instant::now();
    let why = rig.broken("generate", json!({"do": "silence"})).await;
    assert_eq!(
        why,
        "the plugin `commands/all` gave no answer to `generate` within 1 s, and was killed"
    );
    assert!(began.elapsed() < Duration::from_secs(3));
    assert!(gone(pid.as_i64().unwrap()).await);
}

#[tokio::test]
async fn death_is_told_with_status_and_last_words() {
    let rig = rig(limits(), &[]);
    assert_eq!(
        rig.broken("execute", json!({"do": "die"})).await,
        "the plugin `commands/all` ended with exit status 3; last lines of its stderr: first words / last words"
    );
    let logged = rig.logged.lock().unwrap().clone();
    assert_eq!(logged.len(), 2);
    assert_eq!(logged[1].message, "last words");
    assert_eq!(
        rig.broken("execute", json!({"do": "signal"})).await,
        "the plugin `commands/all` was ended by signal 9"
    );
}

#[tokio::test]
async fn an_answer_before_death_counts() {
    let rig = rig(limits(), &[]);
    for _ in 0..5 {
        assert_eq!(
            rig.call("execute", json!({"do": "answer and die"})).await,
            Ok(json!("last"))
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test]
async fn a_plugin_that_dies_while_it_is_served_fails_its_call() {
    let rig = rig(limits(), &[]);
    let mut notes = Notes {
        wait: Duration::from_millis(800),
        ..Notes::default()
    };
    let got = rig
        .call_with("execute", json!({"do": "ask and die"}), &mut notes)
        .await;
    assert_eq!(
        got,
        Err(CallError::Broken(
            "the plugin `commands/all` ended with exit status 4".into()
        ))
    );
    assert_eq!(notes.asked, [1]);
}

#[tokio::test]
async fn memory_is_limited() {
    let rig = rig(
        Limits {
            memory_bytes: 64 << 20,
            ..limits()
        },
        &[],
    );
    let why = rig.broken("execute", json!({"do": "memory"})).await;
    assert!(
        why.contains("Out of memory") && why.ends_with("(it may use 64 MiB of memory)"),
        "{why}"
    );
}

#[tokio::test]
async fn a_line_without_end_is_cut_short() {
    let rig = rig(
        Limits {
            line_bytes: 1 << 20,
            ..limits()
        },
        &[],
    );
    let pid = rig.call("execute", json!({"do": "pid"})).await.unwrap();
    let why = rig.broken("execute", json!({"do": "flood"})).await;
    assert!(
        why.starts_with("the plugin `commands/all` wrote a line of more than 1048576 bytes: xxxx"),
        "{why}"
    );
    assert!(why.len() < 400);
    assert!(gone(pid.as_i64().unwrap()).await);
}

#[tokio::test]
async fn a_flood_of_stderr_is_not_all_logged() {
    let rig = rig(
        Limits {
            call_time: Duration::from_secs(3),
            ..limits()
        },
        &[],
    );
    let why = rig.broken("generate", json!({"do": "stderr"})).await;
    assert!(why.contains("gave no answer to `generate`"), "{why}");
    let logged = rig.logged.lock().unwrap();
    let bytes: usize = logged.iter().map(|l| l.message.len()).sum();
    assert!(bytes <= 17 << 20, "{bytes}");
    assert!(logged.iter().all(|l| l.message.len() <= 8 * 1024));
}

#[tokio::test]
async fn one_that_closes_its_stdout_is_killed() {
    let rig = rig(limits(), &[]);
    assert_eq!(
        rig.broken("execute", json!({"do": "close stdout"})).await,
        "the plugin `commands/all` closed its stdout"
    );
}

#[tokio::test]
async fn children_of_a_dead_plugin_are_killed_too() {
    let rig = rig(limits(), &[]);
    let began = Instant::now();
    let why = rig.broken("execute", json!({"do": "child and die"})).await;
    let child = why.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(why.contains("ended with exit status 5"), "{why}");
    assert!(gone(child).await);
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn one_that_dies_and_dies_again_is_given_up() {
    let rig = rig(limits(), &[]);
    for _ in 0..3 {
        let why = rig.broken("initialize", json!({"do": "die"})).await;
        assert!(!why.contains("3 times"), "{why}");
    }
    let why = rig
        .broken("initialize", json!({"do": "echo", "value": 1}))
        .await;
    assert!(
        why.ends_with("(3 times; it is not started again for 60 s)"),
        "{why}"
    );
}

#[tokio::test]
async fn another_version_of_the_protocol_is_refused() {
    let rig = rig(limits(), &[("SPEAKS", "2")]);
    let why = rig.worker.describe().await.unwrap_err().to_string();
    assert_eq!(
        why,
        "the plugin `commands/all` cannot be used: it speaks version 2 of the protocol, and this Windlass speaks 1"
    );
}

#[tokio::test]
async fn a_program_that_is_not_there_says_so() {
    let rig = program(&["/no/such/program"], limits(), &[]);
    let why = rig.worker.describe().await.unwrap_err().to_string();
    assert!(
        why.contains("exit status 127") && why.contains("/no/such/program"),
        "{why}"
    );
}

#[tokio::test]
async fn one_that_never_reads_is_silent() {
    let rig = program(
        &["sleep", "60"],
        Limits {
            call_time: Duration::from_millis(500),
            ..limits()
        },
        &[],
    );
    let why = rig.worker.describe().await.unwrap_err().to_string();
    assert!(
        why.contains("gave no answer to `describe` within 0.5 s"),
        "{why}"
    );
}

#[tokio::test]
async fn closing_does_not_wait_for_one_that_never_gets_started() {
    let rig = program(&["sleep", "60"], limits(), &[]);
    let began = Instant::now();
    let (described, ()) = tokio::join!(rig.worker.describe(), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        rig.worker.close().await;
    });
    assert_eq!(
        described.unwrap_err().to_string(),
        "the plugin `commands/all` was closed"
    );
    assert!(began.elapsed() < Duration::from_secs(3));
}
