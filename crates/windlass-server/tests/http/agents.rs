//! Agents: how they join, how they are told that they are not wanted any more.

use std::time::{Duration, Instant};

use serde_json::json;
use windlass_model::release::AgentKind::{Builder, Installer};
use windlass_model::release::Status;
use windlass_server::http::Endpoint;
use windlass_wire::agent::{Finish, Outcome};
use windlass_wire::connection::WireError;

use crate::support::call::reqwest_client;
use crate::support::{
    Manager, Setup, denied, given, index, job, joined_by_token, poll, register, users,
};

async fn strict() -> Manager {
    Manager::start(Setup {
        auth: users(),
        tokens_on_loopback: true,
        ..Setup::default()
    })
    .await
}

#[tokio::test]
async fn a_token_is_good_once() {
    let manager = strict().await;
    let (token, seconds) = manager.app.agent_token().await.unwrap();
    assert_eq!(seconds, 3600);
    let mut first = register(Builder, "b1", "x");
    first.token = Some(token.clone());
    let registered = manager.agent(None).register(&first).await.unwrap();
    let mut second = register(Builder, "b2", "x");
    second.token = Some(token);
    let refused = manager.agent(None).register(&second).await.unwrap_err();
    assert!(denied(&refused) && refused.to_string().contains("the token is not good"));
    second.token = Some("made up".into());
    assert!(denied(
        &manager.agent(None).register(&second).await.unwrap_err()
    ));
    second.token = None;
    assert!(denied(
        &manager.agent(None).register(&second).await.unwrap_err()
    ));

    // with its credential it comes again, and keeps it
    let agent = manager.agent(registered.credential);
    first.token = None;
    first.incarnation = "y".into();
    let again = agent.register(&first).await.unwrap();
    assert_eq!(again.credential, None);
    assert_eq!(again.cluster, registered.cluster);
    // but not under the name of another
    assert!(denied(&agent.register(&second).await.unwrap_err()));
    assert!(agent.poll(&poll("y", 0, 0)).await.is_ok());
}

#[tokio::test]
async fn behind_a_proxy_nobody_is_on_this_machine() {
    let manager = Manager::start(Setup::default()).await;
    let url = format!("{}{}", manager.url, Endpoint::Register.path());
    let post = || {
        let body = serde_json::to_vec(&register(Builder, "b1", "x")).unwrap();
        reqwest_client().post(&url).body(body)
    };
    let forwarded = post().header("x-forwarded-for", "203.0.113.9");
    assert_eq!(forwarded.send().await.unwrap().status(), 401);
    assert_eq!(post().send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_removed_agent_is_nobody() {
    let manager = strict().await;
    let joined = joined_by_token(&manager, register(Builder, "b1", "x")).await;
    let agent = manager.agent(joined.credential);
    assert!(agent.poll(&poll("x", 0, 0)).await.is_ok());
    let waits = tokio::spawn({
        let agent = agent.clone();
        async move { agent.poll(&poll("x", 1, 2)).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let admin = manager.rest("admin");
    let name = "b1".parse().unwrap();
    assert_eq!(admin.remove_agent(Builder, &name).await, Ok(true));
    assert_eq!(admin.remove_agent(Builder, &name).await, Ok(false));
    assert!(denied(&waits.await.unwrap().unwrap_err()));
    assert!(denied(&agent.poll(&poll("x", 0, 0)).await.unwrap_err()));
    let again = agent.register(&register(Builder, "b1", "x")).await;
    assert!(denied(&again.unwrap_err()));
}

#[tokio::test]
async fn of_two_agents_of_one_name_the_older_is_told_at_once() {
    let manager = strict().await;
    let joined = joined_by_token(&manager, register(Builder, "b1", "1")).await;
    let agent = manager.agent(joined.credential);
    let waits = tokio::spawn({
        let agent = agent.clone();
        async move { agent.poll(&poll("1", 1, 30)).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    agent.register(&register(Builder, "b1", "2")).await.unwrap();
    let told = waits.await.unwrap().unwrap_err();
    assert!(
        matches!(&told, WireError::Superseded(why) if why.contains("registered since")),
        "{told}"
    );
    assert!(began.elapsed() < Duration::from_secs(5));
    manager
        .requested(json!({"project": "shop", "action": "build"}))
        .await;
    assert!(agent.poll(&poll("1", 1, 0)).await.is_err());
    given(&agent, "2").await;
    // what the older one said before comes late, or again: it takes nothing from the newer one
    let late = agent.register(&register(Builder, "b1", "1")).await;
    let told = late.unwrap_err();
    assert!(
        matches!(&told, WireError::Superseded(why) if why.contains("a later process of this builder registered already")
            && why.contains("`windlass agents remove builder b1`")),
        "{told}"
    );
    assert!(agent.poll(&poll("2", 0, 0)).await.is_ok());
}

#[tokio::test]
async fn a_builder_is_no_installer_of_its_name() {
    let manager = Manager::start(Setup::default()).await;
    manager.release("shop", "1").await;
    let builder = manager.joined(&register(Builder, "one", "x")).await;
    let installer = manager.joined(&register(Installer, "one", "x")).await;
    let ask = json!({"project": "shop", "action": "install", "env": "test", "release": "shop@1"});
    let id = manager.requested(ask).await;
    let theirs = given(&installer, "x").await;
    let failed = Finish {
        epoch: theirs.epoch,
        outcome: Outcome::Failed {
            why: "sabotage".into(),
            rows: Vec::new(),
        },
    };
    let superseded = |answer: Result<(), WireError>| {
        assert!(
            matches!(answer, Err(WireError::Superseded(_))),
            "{answer:?}"
        );
    };
    superseded(builder.start(&theirs.job, theirs.epoch).await);
    superseded(builder.finish(&theirs.job, &failed).await);
    let verdict = serde_json::from_value(json!({"verdict": "failed", "why": "x"})).unwrap();
    superseded(builder.probed(&theirs.job, theirs.epoch, verdict).await);
    let mut held = poll("x", 0, 0);
    held.held =
        serde_json::from_value(json!([{"job": theirs.job, "epoch": theirs.epoch}])).unwrap();
    let polled = builder.poll(&held).await.unwrap();
    assert_eq!(polled.revoked, std::slice::from_ref(&theirs.job));
    installer.start(&theirs.job, theirs.epoch).await.unwrap();
    let none = builder.start(&job("nothing"), 1).await.unwrap_err();
    assert!(matches!(none, WireError::NotFound(_)), "{none}");
    assert_eq!(
        manager.rest("x").transaction(&id).await.unwrap().jobs.len(),
        1
    );
}

#[tokio::test]
async fn a_poll_that_waits_ends_when_the_manager_stops() {
    let manager = Manager::start(Setup::default()).await;
    let agent = manager.joined(&register(Builder, "b1", "x")).await;
    let waits = tokio::spawn(async move { agent.poll(&poll("x", 1, 60)).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    manager.app.stop();
    manager.serving.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(waits.await.unwrap().unwrap().jobs, vec![]);
}

#[tokio::test]
async fn a_lease_is_renewed_while_a_poll_waits() {
    let manager = Manager::start(Setup {
        lease: Duration::from_secs(2),
        ..Setup::default()
    })
    .await;
    let agent = manager.joined(&register(Builder, "b1", "x")).await;
    let id = manager
        .requested(json!({"project": "shop", "action": "build"}))
        .await;
    let given = given(&agent, "x").await;
    agent.start(&given.job, given.epoch).await.unwrap();
    let mut waits = poll("x", 0, 6);
    waits.held = serde_json::from_value(json!([{"job": given.job, "epoch": given.epoch}])).unwrap();
    let polled = agent.poll(&waits).await.unwrap();
    assert_eq!(polled.revoked, vec![]);
    let detail = manager.rest("x").transaction(&id).await.unwrap();
    assert_eq!(
        serde_json::to_value(detail.jobs[0].state).unwrap(),
        "started"
    );
}

#[tokio::test]
async fn what_is_not_configured_any_more_fails_and_keeps_nobody_busy() {
    let manager = Manager::start(Setup {
        reloaded: |settings| settings.projects.clear(),
        ..Setup::default()
    })
    .await;
    let builder = manager.joined(&register(Builder, "b1", "x")).await;
    let build = json!({"project": "shop", "action": "build"});
    let begun = manager.requested(build.clone()).await;
    let taken = given(&builder, "x").await;
    builder.start(&taken.job, taken.epoch).await.unwrap();
    let queued = manager.requested(build).await;
    manager.app.reload().unwrap();
    let polled = builder.poll(&poll("x", 1, 0)).await.unwrap();
    assert!(polled.jobs.is_empty(), "{polled:?}");
    let outcome = Outcome::Built {
        index: index("shop", "7"),
    };
    builder
        .finish(
            &taken.job,
            &Finish {
                epoch: taken.epoch,
                outcome,
            },
        )
        .await
        .unwrap();
    for transaction in [&begun, &queued] {
        let detail = manager
            .rest("anybody")
            .transaction(transaction)
            .await
            .unwrap();
        assert_eq!(detail.transaction.status, Status::BuildFailed);
        let why = detail.transaction.why.unwrap();
        assert!(
            why.contains("project shop is not configured any more"),
            "{why}"
        );
    }
}
