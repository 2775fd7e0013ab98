//! What a network loses: answers that nobody hears, connections that nobody closes.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use windlass_model::release::AgentKind::{Builder, Installer};
use windlass_model::release::JobState;
use windlass_wire::agent::{Finish, Given, Held, Outcome, Poll, credential};

use crate::support::{CONTENTS, Manager, Setup, denied, digest_of, given, poll, register, users};

fn holding(given: &Given) -> Poll {
    Poll {
        held: vec![Held {
            job: given.job.clone(),
            epoch: given.epoch,
        }],
        ..poll("x", 1, 0)
    }
}

fn failed(given: &Given) -> Finish {
    Finish {
        epoch: given.epoch,
        outcome: Outcome::Failed {
            why: "no".into(),
            rows: Vec::new(),
        },
    }
}

#[tokio::test]
async fn joining_again_after_a_lost_answer_is_the_same_joining() {
    let manager = Manager::start(Setup {
        auth: users(),
        tokens_on_loopback: true,
        ..Setup::default()
    })
    .await;
    let (token, _) = manager.app.agent_token().await.unwrap();
    let mut join = register(Builder, "b1", "x");
    join.token = Some(token);
    let agent = manager.agent(Some(credential(Builder, &join.name, &[7; 32])));
    for _ in 0..2 {
        let registered = agent.register(&join).await.unwrap();
        assert_eq!(registered.credential, None);
    }
    assert!(agent.poll(&poll("x", 0, 0)).await.is_ok());
    let other = manager.agent(Some(credential(Builder, &join.name, &[8; 32])));
    assert!(denied(&other.register(&join).await.unwrap_err()));
    // and two at once from this machine, where no token is wanted
    let manager = Manager::start(Setup::default()).await;
    join.token = None;
    let agent = manager.agent(Some(credential(Builder, &join.name, &[7; 32])));
    let (first, second) = futures_util::join!(agent.register(&join), agent.register(&join));
    assert!(first.is_ok() && second.is_ok());
    assert!(agent.poll(&poll("x", 0, 0)).await.is_ok());
}

#[tokio::test]
async fn a_job_whose_answer_was_lost_is_given_again_to_the_same_process() {
    let manager = Manager::start(Setup::default()).await;
    let agent = manager.joined(&register(Builder, "b1", "x")).await;
    let build = json!({"project": "shop", "action": "build"});
    manager.requested(build.clone()).await;
    let first = given(&agent, "x").await;
    let again = given(&agent, "x").await;
    assert_eq!((&again.job, again.epoch), (&first.job, first.epoch));
    // not to one that knows of it, and not once it has begun
    let known = agent.poll(&holding(&first)).await.unwrap();
    assert_eq!((known.jobs, known.revoked), (vec![], vec![]));
    agent.start(&first.job, first.epoch).await.unwrap();
    assert_eq!(agent.poll(&poll("x", 1, 0)).await.unwrap().jobs, vec![]);
    // nor to another process of the same name under the same right: the first may have heard it after all
    agent.finish(&first.job, &failed(&first)).await.unwrap();
    manager.requested(build).await;
    let second = given(&agent, "x").await;
    let newer = register(Builder, "b1", "y");
    agent.register(&newer).await.unwrap();
    let other = given(&agent, "y").await;
    assert!(other.job == second.job && other.epoch > second.epoch);
}

#[tokio::test]
async fn what_an_agent_has_under_an_older_right_is_not_given_to_it_again() {
    let manager = Manager::start(Setup {
        lease: Duration::from_secs(1),
        ..Setup::default()
    })
    .await;
    let agent = manager.joined(&register(Builder, "b1", "x")).await;
    manager
        .requested(json!({"project": "shop", "action": "build"}))
        .await;
    let old = given(&agent, "x").await;
    agent.start(&old.job, old.epoch).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    for _ in 0..2 {
        let polled = agent.poll(&holding(&old)).await.unwrap();
        assert_eq!(polled.jobs, vec![]);
        assert_eq!(polled.revoked, std::slice::from_ref(&old.job));
    }
    let new = given(&agent, "x").await;
    assert!(new.job == old.job && new.epoch > old.epoch);
}

#[tokio::test]
async fn an_upload_that_stands_still_gives_way_to_the_one_that_goes_on_with_it() {
    let manager = Manager::start(Setup::default()).await;
    let joined = manager
        .agent(None)
        .register(&register(Builder, "b1", "x"))
        .await;
    let own = joined.unwrap().credential.unwrap();
    let agent = manager.agent(Some(own.clone()));
    manager
        .requested(json!({"project": "shop", "action": "build"}))
        .await;
    let Given { job, epoch, .. } = given(&agent, "x").await;
    agent.start(&job, epoch).await.unwrap();
    let (digest, length) = (digest_of(CONTENTS), CONTENTS.len());
    let mut silent = TcpStream::connect(manager.serving.address).await.unwrap();
    let head = format!(
        "PUT /agent/v1/blobs/{digest}?job={job}&offset=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {own}\r\nContent-Length: {length}\r\n\r\n"
    );
    silent.write_all(head.as_bytes()).await.unwrap();
    silent.write_all(&CONTENTS[..4]).await.unwrap();
    while agent.blob_offset(&job, &digest).await.unwrap() != Some(4) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), CONTENTS).unwrap();
    let length = length as u64;
    agent
        .put_blob(&job, &digest, file.path(), length)
        .await
        .unwrap();
    assert_eq!(agent.blob_offset(&job, &digest).await, Ok(None));
}

#[tokio::test]
async fn an_install_that_counts_as_unknown_may_be_gone_on_with() {
    let manager = Manager::start(Setup {
        lease: Duration::from_secs(1),
        ..Setup::default()
    })
    .await;
    let digest = manager.release("shop", "1").await;
    let agent = manager.joined(&register(Installer, "i1", "x")).await;
    let ask = json!({"project": "shop", "action": "install", "env": "test", "release": "shop@1"});
    let id = manager.requested(ask).await;
    let taken = given(&agent, "x").await;
    agent.start(&taken.job, taken.epoch).await.unwrap();
    let client = manager.rest("x");
    let state = async || client.transaction(&id).await.unwrap().jobs[0].state;
    while state().await != JobState::Unknown {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("blob");
    agent.get_blob(&taken.job, &digest, &file).await.unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), CONTENTS);
    let sent = agent.log(&taken.job, taken.epoch, 0, "on".into()).await;
    assert_eq!(sent.unwrap().length, 2);
    let polled = agent.poll(&holding(&taken)).await.unwrap();
    assert_eq!(polled.revoked, vec![]);
    assert_eq!(state().await, JobState::Started);
}
