//! Lists.

use windlass_model::release::{AgentKind, Phase, Status};
use windlass_store::{NewBuild, NewTransaction, TransactionFilter};

use super::{LEASE, begin, imported, install_of, install_release, name, plan, start};
use crate::Place;

pub(crate) async fn pages_and_filters(place: Place) {
    let store = place.open().await;
    for n in 0..7 {
        begin(&store, install_of(if n % 2 == 0 { "p" } else { "q" })).await;
    }
    let rejected = NewTransaction {
        phase: Phase::Rejected,
        environment: None,
        build: None,
        why: Some("no builder".into()),
        ..install_of("p")
    };
    let rejected = begin(&store, rejected).await;
    assert_eq!(rejected.ended_at, Some(rejected.created_at));
    let list = |filter: TransactionFilter| {
        let store = store.clone();
        async move {
            let found = store.transactions(&filter).await.unwrap();
            found.iter().map(|t| t.sequence).collect::<Vec<_>>()
        }
    };
    let all = TransactionFilter::default();
    assert_eq!(list(all.clone()).await, [8, 7, 6, 5, 4, 3, 2, 1]);
    let page = TransactionFilter {
        before: Some(6),
        limit: 2,
        ..all.clone()
    };
    assert_eq!(list(page).await, [5, 4]);
    let of = TransactionFilter {
        project: Some(name("q")),
        environment: Some(name("test")),
        status: Some(Status::Started),
        ..all.clone()
    };
    assert_eq!(list(of).await, [6, 4, 2]);
    for status in [
        Status::Started,
        Status::BuildCompleted,
        Status::InstallCompleted,
        Status::Rejected,
        Status::BuildFailed,
        Status::InstallFailed,
        Status::Cancelled,
        Status::Unknown,
    ] {
        let filter = TransactionFilter {
            status: Some(status),
            ..all.clone()
        };
        let found = store.transactions(&filter).await.unwrap();
        assert!(found.iter().all(|t| t.status() == status), "{status:?}");
        let count = match status {
            Status::Started => 7,
            Status::Rejected => 1,
            _ => 0,
        };
        assert_eq!(found.len(), count, "{status:?}");
    }
    assert_eq!(store.open_transactions().await.unwrap().len(), 7);
}

pub(crate) async fn jobs_are_found_by_whom_they_concern(place: Place) {
    let store = place.open().await;
    let build = NewTransaction {
        build: Some(NewBuild {
            within: Some(std::time::Duration::from_secs(600)),
        }),
        ..install_of("p")
    };
    let built = begin(&store, build).await;
    imported(&store, "q", "1", "a").await;
    let installing = begin(&store, install_release("q@1")).await;
    plan(&store, &installing.id, &["i1", "i2"]).await.unwrap();
    let (p, q) = (name("p"), name("q"));
    let (b, i1) = (name("b"), name("i1"));

    let builds = store
        .leasable(AgentKind::Builder, &b, [&p, &q])
        .await
        .unwrap();
    assert_eq!(builds.len(), 1);
    assert_eq!(builds[0].0, built.id);
    assert!(
        store
            .leasable(AgentKind::Builder, &b, [&q])
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        store
            .leasable(AgentKind::Builder, &b, [])
            .await
            .unwrap()
            .is_empty()
    );
    let installs = store.leasable(AgentKind::Installer, &i1, []).await.unwrap();
    assert_eq!(installs.len(), 1);
    assert_eq!(installs[0].0, installing.id);
    let stranger = name("stranger");
    assert!(
        store
            .leasable(AgentKind::Installer, &stranger, [])
            .await
            .unwrap()
            .is_empty()
    );

    start(
        &store,
        &installing.id,
        &installs[0].1,
        AgentKind::Installer,
        "i1",
    )
    .await;
    assert!(
        store
            .leasable(AgentKind::Installer, &i1, [])
            .await
            .unwrap()
            .is_empty()
    );
    let held = store.held_by(AgentKind::Installer, &i1).await.unwrap();
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].1.id, installs[0].1);
    assert!(
        store
            .unknown_of(AgentKind::Installer, &i1)
            .await
            .unwrap()
            .is_empty()
    );
    let (id, job) = store.job(&installs[0].1).await.unwrap().unwrap();
    assert_eq!((id, job), held[0].clone());
    assert_eq!(store.job(&name("none")).await.unwrap(), None);

    let now = store.now().await.unwrap();
    assert!(store.due(now).await.unwrap().is_empty());
    assert_eq!(
        store.due(now + 2 * LEASE).await.unwrap(),
        vec![installing.id.clone()]
    );
    let all = vec![built.id, installing.id];
    assert_eq!(store.due(now + 700_000_000).await.unwrap(), all);
}

pub(crate) async fn history_is_pruned_only_when_told(place: Place) {
    let store = place.open().await;
    let open = begin(&store, install_of("p")).await;
    let over = NewTransaction {
        phase: Phase::Rejected,
        build: None,
        ..install_of("p")
    };
    let over = begin(&store, over).await;
    let ended = over.ended_at.unwrap();
    assert_eq!(store.prune(ended).await.unwrap(), 0);
    assert_eq!(store.prune(ended + 1).await.unwrap(), 1);
    assert!(store.history(&over.id).await.unwrap().is_empty());
    assert_eq!(store.history(&open.id).await.unwrap().len(), 1);
    assert_eq!(store.transaction(&over.id).await.unwrap(), Some(over));
}
