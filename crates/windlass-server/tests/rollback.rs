//! A project that says `on_failure: rollback`: what a failed install put somewhere goes back.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]
#![allow(clippy::panic, reason = "what tests share is a test, too")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use windlass_model::config::share::Share;
use windlass_model::release::rollout::OnFailure;
use windlass_model::release::{
    Advertisement, AgentKind, Index, Item, JobSpec, Rollout, Status, TransactionId,
};
use windlass_server::app::{AgentLogin, App, Parts, Requester};
use windlass_server::auth::{Anonymous, Identity};
use windlass_server::settings::{ProjectSettings, Settings};
use windlass_store::{Options, Store, StoreUrl};
use windlass_wire::agent::{Finish, Given, Outcome, PROTOCOL, Poll, Register};

fn name<T: std::str::FromStr<Err = String>>(text: &str) -> T {
    text.parse().unwrap()
}

fn settings() -> Settings {
    let rollout = Rollout {
        batch: Some(Share::Count(1)),
        on_failure: OnFailure::Rollback,
        ..Rollout::default()
    };
    let project = ProjectSettings {
        targets: vec![name("web")],
        rollout,
        ..ProjectSettings::default()
    };
    Settings {
        projects: BTreeMap::from([(name("p"), project)]),
        environments: BTreeMap::new(),
        auth: Arc::new(Anonymous),
        lease: Duration::from_secs(30),
        install_deadline: Duration::from_secs(60),
        build_deadline: Duration::from_secs(60),
        request_limit: 1 << 20,
        tokens_on_loopback: false,
    }
}

/// A client.
fn somebody() -> Identity {
    Identity {
        name: "me".into(),
        about: serde_json::Map::new(),
    }
}

/// A manager of the project `p` with the releases 1 and 2.
struct Manager {
    app: App,
    store: Store,
    directory: tempfile::TempDir,
}

impl Manager {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = StoreUrl::sqlite(directory.path().join("store"));
        let store = Store::open(&url, &Options::default()).await.unwrap();
        for version in ["1", "2"] {
            let item = Item {
                name: "web.zip".into(),
                digest: name(&version.repeat(64)),
                size: 3,
            };
            store.add_blob(&item.digest, 3).await.unwrap();
            let index = Index {
                format: 1,
                project: name("p"),
                version: name(version),
                revision: None,
                targets: BTreeMap::from([(name("web"), item)]),
            };
            store.import(&index).await.unwrap();
        }
        let app = app(&store, &directory).await;
        Self {
            app,
            store,
            directory,
        }
    }

    async fn join(&self, agent: &str) {
        let targets = BTreeSet::from([name("web")]);
        let register = Register {
            protocol: PROTOCOL,
            kind: AgentKind::Installer,
            name: name(agent),
            incarnation: "1".into(),
            token: None,
            slots: 1,
            advertisement: Advertisement::Environments(BTreeMap::from([(name("test"), targets)])),
            held: Vec::new(),
        };
        let joined = self.app.register(register, None, "local", true);
        joined.await.unwrap();
    }

    async fn install(&self, version: &str) -> TransactionId {
        let identity = somebody();
        let who = Requester {
            identity: &identity,
            address: "127.0.0.1",
        };
        let number = self.transactions().await.len();
        let data = json!({
            "project": "p", "action": "install", "env": "test", "release": version, "request_id": number.to_string(),
        });
        let Value::Object(data) = data else {
            panic!("no map");
        };
        self.app.request(who, data).await.unwrap().transaction
    }

    /// The next job of an agent, begun.
    async fn begin(&self, agent: &str) -> (AgentLogin, Given) {
        let login = AgentLogin {
            kind: AgentKind::Installer,
            name: name(agent),
        };
        let poll = Poll {
            incarnation: "1".into(),
            free: 1,
            wait_seconds: 20,
            held: Vec::new(),
        };
        let polled = self.app.poll(&login, poll, "local").await.unwrap();
        let given = polled.jobs.into_iter().next().unwrap();
        let begun = self.app.start(&login, &given.job, given.epoch, "local");
        begun.await.unwrap();
        (login, given)
    }

    /// Has an agent do its next job; gives the release that it was about.
    async fn work(&self, agent: &str, outcome: Outcome) -> String {
        let (login, given) = self.begin(agent).await;
        let finish = Finish {
            epoch: given.epoch,
            outcome,
        };
        let finished = self.app.finish(&login, &given.job, finish, "local");
        finished.await.unwrap();
        match given.spec {
            JobSpec::Install(install) => install.release.to_string(),
            JobSpec::Build(_) => panic!("a build"),
        }
    }

    async fn ends(&self, id: &TransactionId) -> Status {
        let who = somebody();
        for _ in 0..100 {
            let detail = self.app.transaction(&who, id, None, Duration::ZERO);
            let transaction = detail.await.unwrap().transaction;
            if transaction.ended.is_some() {
                return transaction.status;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{id} does not end");
    }

    async fn history(&self, id: &TransactionId) -> String {
        let entries = self.app.history(&somebody(), id).await.unwrap();
        let lines = entries.iter().map(|e| format!("{} {}\n", e.what, e.detail));
        lines.collect()
    }

    /// What is on each installer.
    async fn there(&self) -> String {
        let rows = self.store.installed(&Default::default()).await.unwrap();
        let row = |r: &windlass_store::Installed| format!("{} {}", r.agent, r.release);
        rows.iter().map(row).collect::<Vec<_>>().join(", ")
    }

    /// The newest first.
    async fn transactions(&self) -> Vec<TransactionId> {
        let all = self
            .app
            .transactions(&somebody(), None, None, 100)
            .await
            .unwrap();
        all.into_iter().map(|t| t.transaction).collect()
    }
}

async fn app(store: &Store, directory: &tempfile::TempDir) -> App {
    let app = App::new(Parts {
        store: store.clone().into(),
        directory: directory.path().to_owned(),
        blob_limit: 1 << 20,
        log_limit: 1 << 20,
        settings: settings(),
        reload: Arc::new(|| Ok(settings())),
        log: Arc::new(|_, _, _| {}),
    })
    .await
    .unwrap();
    tokio::spawn(app.clone().schedule());
    app
}

fn done() -> Outcome {
    Outcome::Installed { rows: Vec::new() }
}

fn failed() -> Outcome {
    Outcome::Failed {
        why: "no room".into(),
        rows: Vec::new(),
    }
}

#[tokio::test]
async fn what_was_installed_goes_back_and_nothing_else_does() {
    let manager = Manager::new().await;
    manager.join("a").await;
    manager.join("b").await;
    let first = manager.install("1").await;
    manager.work("a", done()).await;
    manager.work("b", done()).await;
    assert_eq!(manager.ends(&first).await, Status::InstallCompleted);

    // `new` had nothing before, so nobody knows what it would go back to; `z` fails.
    manager.join("new").await;
    manager.join("z").await;
    let second = manager.install("2").await;
    for agent in ["a", "b", "new"] {
        assert_eq!(manager.work(agent, done()).await, "p@2");
    }
    manager.work("z", failed()).await;
    assert_eq!(manager.ends(&second).await, Status::InstallFailed);

    let all = manager.transactions().await;
    let [third, ..] = all.as_slice() else {
        panic!("none");
    };
    assert_eq!(all.len(), 3);
    assert_eq!(manager.work("a", done()).await, "p@1");
    assert_eq!(manager.work("b", done()).await, "p@1");
    assert_eq!(manager.ends(third).await, Status::InstallCompleted);
    assert_eq!(manager.there().await, "a p@1, b p@1, new p@2");

    let of = manager.history(&second).await;
    assert!(of.contains("rollback owed"), "{of}");
    let begun = format!("rollback begun to p@1 by {third}: web by a, web by b");
    assert!(of.contains(&begun), "{of}");
    let left = "rollback left web by new: what was there before is not known";
    assert!(of.contains(left), "{of}");
    let by = manager.history(third).await;
    let asked = format!("requested rollback of {second} to p@1: web by a, web by b");
    assert!(by.contains(&asked), "{by}");
    assert!(by.contains("2 installs in 2 waves"), "{by}");

    // A manager that starts again does not do it again.
    manager.app.stop();
    let _again = app(&manager.store, &manager.directory).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(manager.transactions().await.len(), 3);
}

#[tokio::test]
async fn a_rollback_that_fails_is_not_rolled_back_and_what_was_there_stays() {
    let manager = Manager::new().await;
    manager.join("a").await;
    manager.install("1").await;
    manager.work("a", done()).await;
    manager.join("z").await;
    let second = manager.install("2").await;
    manager.work("a", done()).await;
    manager.work("z", failed()).await;
    assert_eq!(manager.ends(&second).await, Status::InstallFailed);
    manager.work("a", failed()).await;
    let all = manager.transactions().await;
    let [third, ..] = all.as_slice() else {
        panic!("none");
    };
    assert_eq!(manager.ends(third).await, Status::InstallFailed);
    assert_eq!(manager.transactions().await.len(), 3);

    // The same release again, which fails elsewhere: it was there before, and stays.
    let fourth = manager.install("2").await;
    manager.work("a", done()).await;
    manager.work("z", failed()).await;
    assert_eq!(manager.ends(&fourth).await, Status::InstallFailed);
    let of = manager.history(&fourth).await;
    assert!(of.contains("the same release was there before"), "{of}");
    assert_eq!(manager.transactions().await.len(), 4);
    assert_eq!(manager.there().await, "a p@2");
}
