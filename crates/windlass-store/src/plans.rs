//! Every statement is found by an index: none reads a whole table that grows, however much was kept.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Map;
use windlass_model::release::machine;
use windlass_model::release::{
    Actor, Advertisement, AgentKind, Effect, Environment, Index, Item, Phase, TransactionId, Whole,
};

use crate::{
    AgentState, InstalledFilter, NewBuild, NewTransaction, Options, Registration, Store, StoreUrl,
    TransactionFilter,
};

/// What was asked of a database in this process.
static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// A statement that is about to be done.
pub(crate) fn saw(sql: &str) {
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    seen.insert(sql.to_owned());
}

/// Statements that read a whole table, and why they may: what they begin with, or with `$` at the end all of it.
const WHOLE: [(&str, &str); 7] = [
    ("SELECT phase AS what, COUNT(*)", "metrics count everything"),
    (
        "SELECT digest FROM blob_file",
        "blobs that nobody needs, asked for by hand",
    ),
    (
        "SELECT id, kind, name, credential_hash, incarnation, slots, state, registered_at, seen_at FROM agent ORDER BY",
        "a list of all agents",
    ),
    (
        "SELECT agent, project, env, target FROM advert$",
        "a list of all agents",
    ),
    (
        "SELECT env, project, target, agent, host",
        "the matrix as it is asked for",
    ),
    (
        "DELETE FROM token WHERE expires",
        "tokens that are no good are few",
    ),
    (
        "SELECT project, version, format",
        "the newest releases, as they are asked for",
    ),
];

fn name<T: std::str::FromStr<Err = String>>(text: &str) -> T {
    text.parse().unwrap()
}

fn joe() -> Actor {
    Actor {
        name: "joe".into(),
        address: "192.0.2.1".into(),
    }
}

fn request(phase: Phase) -> NewTransaction {
    NewTransaction {
        project: name("shop"),
        action: "install".into(),
        environment: Some(name("prod")),
        request: Map::new(),
        actor: joe(),
        phase,
        installs: true,
        release: None,
        max_failures: 0,
        why: None,
        build: (phase == Phase::Building).then(NewBuild::default),
        request_key: Some(format!("{phase:?}")),
        fingerprint: Some(format!("{phase:?}")),
        effects: vec![Effect::History {
            actor: joe(),
            what: "requested",
            detail: String::new(),
        }],
    }
}

async fn begun(store: &Store, phase: Phase) -> TransactionId {
    let begun = store.begin(request(phase)).await.unwrap();
    begun.into_transaction().id
}

/// Calls everything that a store can do, as a manager does.
async fn everything(store: &Store) {
    agents(store).await;
    let id = begun(store, Phase::Building).await;
    begun(store, Phase::Rejected).await;
    store
        .answered(vec![id.clone()])
        .await
        .unwrap()
        .await
        .unwrap();
    let job = store.whole(&id).await.unwrap().unwrap().jobs.remove(0).id;
    let (leased, started) = (job.clone(), job.clone());
    let lease = move |whole: &mut Whole, now| {
        let builder = name("b");
        let who = (AgentKind::Builder, &builder, "");
        machine::lease(whole, &leased, who, now, 1).map(|effects| ((), effects))
    };
    store.change(&id, lease).await.unwrap();
    let start = move |whole: &mut Whole, now| {
        machine::start(whole, &started, (&name("b"), ""), 1, now, 1).map(|effects| ((), effects))
    };
    store.change(&id, start).await.unwrap();
    let projects = [name("shop")];
    for kind in [AgentKind::Builder, AgentKind::Installer] {
        store.leasable(kind, &name("b"), &projects).await.unwrap();
        store.held_by(kind, &name("b")).await.unwrap();
        store.unknown_of(kind, &name("b")).await.unwrap();
    }
    store.job(&job).await.unwrap();
    store.due(0).await.unwrap();
    store.transaction(&id).await.unwrap();
    store.history(&id).await.unwrap();
    store.open_transactions().await.unwrap();
    store.waiting().await.unwrap();
    store.prune(0).await.unwrap();
    lists(store).await;
    releases(store).await;
}

async fn agents(store: &Store) {
    let environments = [(name::<Environment>("prod"), [name("web")].into())];
    let advertised = [
        Advertisement::Projects([name("shop")].into()),
        Advertisement::Environments(environments.into()),
    ];
    for advertisement in advertised {
        let kind = advertisement.kind();
        let registration = Registration {
            name: name("b"),
            incarnation: "1".into(),
            slots: 1,
            advertisement,
            credential_hash: None,
        };
        store.register(registration).await.unwrap();
        store.agent(kind, &name("b")).await.unwrap();
        store.seen(kind, &name("b"), "1").await.unwrap();
        let draining = AgentState::Draining;
        store.set_state(kind, &name("b"), draining).await.unwrap();
    }
    store.registrations().await.unwrap();
    assert!(store.builder(&name("shop")).await.unwrap().is_some());
    assert_eq!(store.installers(&name("prod")).await.unwrap().len(), 1);
    store
        .remove(AgentKind::Installer, &name("b"))
        .await
        .unwrap();
    let token = store.create_token("agent", Duration::from_secs(9));
    store
        .take_token("agent", &token.await.unwrap(), "b")
        .await
        .unwrap();
}

async fn lists(store: &Store) {
    let all = TransactionFilter::default();
    let filters = [
        all.clone(),
        TransactionFilter {
            project: Some(name("shop")),
            before: Some(7),
            ..all.clone()
        },
        TransactionFilter {
            environment: Some(name("prod")),
            ..all.clone()
        },
        TransactionFilter {
            phase: Some(Phase::Waiting),
            ..all
        },
    ];
    for filter in filters {
        store.transactions(&filter).await.unwrap();
    }
    store.installed(&InstalledFilter::default()).await.unwrap();
    let of_agent = InstalledFilter {
        environment: Some(name("prod")),
        target: Some(name("web")),
        agent: Some(name("i")),
        ..InstalledFilter::default()
    };
    store.installed(&of_agent).await.unwrap();
    store.counts().await.unwrap();
}

async fn releases(store: &Store) {
    let digest: windlass_model::release::Digest = name(&"a".repeat(64));
    store.add_blob(&digest, 1).await.unwrap();
    let item = Item {
        name: "web.tar".into(),
        digest: digest.clone(),
        size: 1,
    };
    let index = Index {
        format: 1,
        project: name("shop"),
        version: name("1"),
        revision: None,
        targets: [(name("web"), item)].into(),
    };
    store.import(&index).await.unwrap();
    store.reject(&index.release(), "bad", &joe()).await.unwrap();
    store.release(&index.release()).await.unwrap();
    store.releases(Some(&name("shop")), 10).await.unwrap();
    store.blob(&digest).await.unwrap();
    store.forget_blobs(0).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_reads_a_whole_table() {
    let folder = tempfile::tempdir().unwrap();
    let url = StoreUrl::sqlite(folder.path().join("store.db"));
    let store = Store::open(&url, &Options::default()).await.unwrap();
    everything(&store).await;
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let about_rows = ["SELECT", "UPDATE", "DELETE", "INSERT"];
    let mut session = store.database.session().await.unwrap();
    let mut looked_at = 0;
    let mut wrong = Vec::new();
    for sql in &seen {
        let is_about_rows = about_rows.iter().any(|word| sql.starts_with(word));
        let may = |(words, _): &(&str, &str)| match words.strip_suffix('$') {
            Some(all) => sql == all,
            None => sql.starts_with(words),
        };
        if !is_about_rows || WHOLE.iter().any(may) {
            continue;
        }
        looked_at += 1;
        let explain = format!("EXPLAIN QUERY PLAN {sql}");
        for row in session.rows(&explain, Vec::new()).await.unwrap() {
            let step = row.text("detail").unwrap();
            // the newest of all, as many as are wanted; and the table that has one row
            let is_bounded = sql.contains(" LIMIT ") && !sql.contains(" WHERE ");
            if step.starts_with("SCAN ") && step != "SCAN meta" && !is_bounded {
                wrong.push(format!("{step}: {sql}"));
            }
        }
    }
    assert!(looked_at > 30, "{looked_at} statements were looked at");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
