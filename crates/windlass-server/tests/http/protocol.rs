//! Whatever is sent twice, lost or sent late: the same report has the same answer, and an old right is none.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use windlass_model::release::{AgentKind, Status};
use windlass_wire::agent::{AgentClient, Finish, Given, Held, Outcome};
use windlass_wire::connection::WireError;

use crate::support::{Manager, Setup, given, poll, register};

/// What an agent, or what is between it and the manager, does with a call.
#[derive(Clone, Copy, Debug)]
enum Sent {
    /// Sent, answered.
    Once,
    /// Sent again after its answer.
    Twice,
    /// Two at the same time.
    Together,
    /// The agent hung up before the answer, and sends again.
    HungUp,
}

fn sent() -> impl Strategy<Value = Sent> {
    prop_oneof![
        Just(Sent::Once),
        Just(Sent::Twice),
        Just(Sent::Together),
        Just(Sent::HungUp)
    ]
}

/// Makes a call in some way; the answers, which must be the same, as one.
async fn sends<F>(how: Sent, call: impl Fn() -> F) -> Result<(), WireError>
where
    F: Future<Output = Result<(), WireError>>,
{
    match how {
        Sent::Once => call().await,
        Sent::Twice => {
            let first = call().await;
            assert_eq!(call().await, first);
            first
        }
        Sent::Together => {
            let (first, second) = futures_util::join!(call(), call());
            assert_eq!(first, second);
            first
        }
        Sent::HungUp => {
            let _ = tokio::time::timeout(Duration::from_millis(2), call()).await;
            call().await
        }
    }
}

fn superseded(answer: Result<(), WireError>) {
    assert!(
        matches!(answer, Err(WireError::Superseded(_))),
        "{answer:?}"
    );
}

fn failed(epoch: u64, why: &str) -> Finish {
    Finish {
        epoch,
        outcome: Outcome::Failed {
            why: why.into(),
            rows: Vec::new(),
        },
    }
}

/// One build, begun and ended in some way.
async fn build(manager: &Manager, agent: &AgentClient, start: Sent, finish: Sent, late: bool) {
    let id = manager
        .requested(json!({"project": "shop", "action": "build"}))
        .await;
    let Given { job, epoch, .. } = given(agent, "x").await;
    superseded(agent.start(&job, epoch + 1).await);
    superseded(agent.start(&job, epoch - 1).await);
    assert_eq!(sends(start, || agent.start(&job, epoch)).await, Ok(()));
    superseded(agent.finish(&job, &failed(epoch + 1, "old")).await);
    let told = failed(epoch, "no file");
    assert_eq!(sends(finish, || agent.finish(&job, &told)).await, Ok(()));
    if late {
        // a start that comes after the end is not the right to begin again
        superseded(agent.start(&job, epoch).await);
        assert_eq!(agent.finish(&job, &told).await, Ok(()));
    }
    let client = manager.rest("x");
    let detail = client.transaction(&id).await.unwrap();
    assert_eq!(detail.transaction.status, Status::BuildFailed);
    let history = client.history(&id).await.unwrap();
    for what in ["leased", "started", "build failed"] {
        let count = history.iter().filter(|e| e.what == what).count();
        assert_eq!(count, 1, "{what}: {history:#?}");
    }
}

#[test]
fn repeated_and_lost_calls_change_nothing_twice() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (manager, agent) = runtime.block_on(async {
        let manager = Manager::start(Setup::default()).await;
        let agent = manager
            .joined(&register(AgentKind::Builder, "b1", "x"))
            .await;
        (Arc::new(manager), agent)
    });
    let mut runner = TestRunner::new(Config {
        cases: 32,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&(sent(), sent(), any::<bool>()), |(start, finish, late)| {
            runtime.block_on(build(&manager, &agent, start, finish, late));
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn an_expired_lease_is_an_old_right() {
    let manager = Manager::start(Setup {
        lease: Duration::from_secs(1),
        ..Setup::default()
    })
    .await;
    let slow = manager
        .joined(&register(AgentKind::Builder, "b1", "x"))
        .await;
    let quick = manager
        .joined(&register(AgentKind::Builder, "b2", "x"))
        .await;
    let id = manager
        .requested(json!({"project": "shop", "action": "build"}))
        .await;
    let old = given(&slow, "x").await;
    slow.start(&old.job, old.epoch).await.unwrap();
    // it is silent for longer than its lease, and another has the job
    let new = given(&quick, "x").await;
    assert_eq!(new.job, old.job);
    assert!(new.epoch > old.epoch);
    superseded(slow.start(&old.job, old.epoch).await);
    superseded(slow.finish(&old.job, &failed(old.epoch, "late")).await);
    superseded(slow.finish(&old.job, &failed(new.epoch, "guessed")).await);
    let late = slow.log(&old.job, old.epoch, 0, "late".into()).await;
    assert!(matches!(late, Err(WireError::Superseded(_))));
    let mut held = poll("x", 0, 0);
    held.held = vec![Held {
        job: old.job.clone(),
        epoch: old.epoch,
    }];
    let revoked = slow.poll(&held).await.unwrap().revoked;
    assert_eq!(revoked, std::slice::from_ref(&old.job));
    quick.start(&new.job, new.epoch).await.unwrap();
    quick
        .finish(&new.job, &failed(new.epoch, "no"))
        .await
        .unwrap();
    let detail = manager.rest("x").transaction(&id).await.unwrap();
    assert_eq!(detail.transaction.status, Status::BuildFailed);
}

#[tokio::test]
async fn a_log_has_every_byte_once() {
    let manager = Manager::start(Setup::default()).await;
    let agent = manager
        .joined(&register(AgentKind::Builder, "b1", "x"))
        .await;
    let id = manager
        .requested(json!({"project": "shop", "action": "build"}))
        .await;
    let Given { job, epoch, .. } = given(&agent, "x").await;
    agent.start(&job, epoch).await.unwrap();
    let send = async |offset, text: &'static str| {
        let sent = agent.log(&job, epoch, offset, text.into()).await;
        sent.unwrap().length
    };
    assert_eq!(send(0, "one ").await, 4);
    assert_eq!(send(0, "one ").await, 4);
    assert_eq!(send(0, "one two ").await, 8);
    assert_eq!(send(100, "lost").await, 8);
    assert_eq!(send(u64::MAX, "lost").await, 8);
    assert_eq!(send(8, "three").await, 13);
    let client = manager.rest("x");
    let part = client.log(&id, &job, 0).await.unwrap();
    assert_eq!(
        (part.text.as_str(), part.next, part.ended),
        ("one two three", 13, false)
    );
    let beyond = client.log(&id, &job, u64::MAX).await.unwrap();
    assert_eq!(beyond.text, "");
    agent.finish(&job, &failed(epoch, "no")).await.unwrap();
    assert!(client.log(&id, &job, 13).await.unwrap().ended);
}
