//! The cases, by what they are about, and what they share.

pub(crate) mod agents;
pub(crate) mod begin;
pub(crate) mod change;
pub(crate) mod queries;
pub(crate) mod random;
pub(crate) mod releases;

use std::collections::BTreeMap;

use serde_json::json;
use windlass_model::release::machine::{self, Planned};
use windlass_model::release::{
    Actor, AgentKind, Effect, Index, Item, JobId, Phase, Transaction, TransactionId,
};
use windlass_store::{Begun, ChangeError, NewBuild, NewTransaction, Store};

pub(crate) const LEASE: i64 = 30_000_000;

pub(crate) fn name<T: std::str::FromStr<Err = String>>(text: &str) -> T {
    text.parse().unwrap()
}

pub(crate) fn joe() -> Actor {
    Actor {
        name: "joe".into(),
        address: "10.0.0.7".into(),
    }
}

/// A request to build and install `project` into `test`.
pub(crate) fn install_of(project: &str) -> NewTransaction {
    let mut request = serde_json::Map::new();
    request.insert("project".into(), json!(project));
    NewTransaction {
        project: name(project),
        action: "install".into(),
        environment: Some(name("test")),
        request,
        actor: joe(),
        phase: Phase::Building,
        installs: true,
        release: None,
        max_failures: 0,
        why: None,
        build: Some(NewBuild::default()),
        request_key: None,
        fingerprint: None,
        effects: vec![Effect::History {
            actor: joe(),
            what: "requested",
            detail: String::new(),
        }],
    }
}

/// A request to install a release that is there.
pub(crate) fn install_release(release: &str) -> NewTransaction {
    let release: windlass_model::release::ReleaseId = release.parse().unwrap();
    NewTransaction {
        phase: Phase::Waiting,
        build: None,
        release: Some(release.clone()),
        ..install_of(release.project.as_str())
    }
}

pub(crate) async fn begin(store: &Store, new: NewTransaction) -> Transaction {
    match store.begin(new).await.unwrap() {
        Begun::New(transaction) => transaction,
        Begun::Known(known) => panic!("known: {known:?}"),
    }
}

/// `project@version` with one resource for `web`, whose blob has that letter as its digest.
pub(crate) fn index(project: &str, version: &str, letter: &str) -> Index {
    let item = Item {
        name: "web.tar.gz".into(),
        digest: name(&letter.repeat(64)),
        size: 17,
    };
    Index {
        format: 1,
        project: name(project),
        version: name(version),
        revision: Some("r1".into()),
        targets: BTreeMap::from([(name("web"), item)]),
    }
}

/// Leases and starts a job.
pub(crate) async fn start(
    store: &Store,
    id: &TransactionId,
    job: &JobId,
    kind: AgentKind,
    agent: &str,
) {
    let (job, agent) = (job.clone(), agent.to_owned());
    store
        .change(id, move |whole, now| {
            let who = name(&agent);
            let mut effects = machine::lease(whole, &job, (kind, &who, "a"), now, LEASE)?;
            let epoch = whole.job(&job).map_or(0, |job| job.epoch);
            effects.extend(machine::start(whole, &job, (&who, "a"), epoch, now, LEASE)?);
            Ok(((), effects))
        })
        .await
        .unwrap();
}

/// Plans an install of `web` by agents, all at once.
pub(crate) async fn plan(
    store: &Store,
    id: &TransactionId,
    agents: &[&str],
) -> Result<(), ChangeError> {
    let planned: Vec<Planned> = agents
        .iter()
        .map(|agent| Planned {
            id: windlass_store::fresh_id(0).unwrap(),
            target: name("web"),
            agent: name(agent),
            wave: 1,
        })
        .collect();
    store
        .change(id, move |whole, now| {
            let effects = machine::plan(whole, planned.clone(), 0, now + LEASE)?;
            Ok(((), effects))
        })
        .await
}

/// Starts and ends the first install of a transaction well.
pub(crate) async fn install(store: &Store, id: &TransactionId, agent: &str) {
    let whole = store.whole(id).await.unwrap().unwrap();
    let job = whole
        .jobs
        .iter()
        .find(|job| job.agent == Some(name(agent)))
        .unwrap();
    start(store, id, &job.id, AgentKind::Installer, agent).await;
    let (job, agent) = (job.id.clone(), agent.to_owned());
    store
        .change(id, move |whole, now| {
            let who = name(&agent);
            let effects = machine::installed(whole, &job, (&who, "a"), 1, Vec::new(), now)?;
            Ok(((), effects))
        })
        .await
        .unwrap();
}

/// A release that is there with its blob.
pub(crate) async fn imported(store: &Store, project: &str, version: &str, letter: &str) {
    let index = index(project, version, letter);
    for item in index.targets.values() {
        store.add_blob(&item.digest, item.size).await.unwrap();
    }
    store.import(&index).await.unwrap();
}
