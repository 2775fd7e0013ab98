//! Agents and their tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use windlass_model::release::{Advertisement, AgentKind};
use windlass_store::{AgentState, Registration};

use super::name;
use crate::Place;

pub(crate) async fn registrations_are_kept(place: Place) {
    let store = place.open().await;
    let builder = Registration {
        name: name("a"),
        incarnation: "first".into(),
        slots: 2,
        advertisement: Advertisement::Projects(BTreeSet::from([name("p"), name("q")])),
        credential_hash: Some("hash".into()),
    };
    let targets = BTreeSet::from([name("web"), name("db")]);
    let installer = Registration {
        advertisement: Advertisement::Environments(BTreeMap::from([
            (name("test"), targets),
            (name("empty"), BTreeSet::new()),
        ])),
        ..builder.clone()
    };
    let first = store.register(builder.clone()).await.unwrap().unwrap();
    let other = store.register(installer.clone()).await.unwrap().unwrap();
    assert_ne!(first.id, other.id);
    assert_eq!(first.advertisement, builder.advertisement);
    assert_eq!(other.advertisement, installer.advertisement);
    let again = place.open().await.registrations().await.unwrap();
    assert_eq!(again, [first.clone(), other.clone()]);

    let (kind, who) = (AgentKind::Builder, name("a"));
    assert!(
        store
            .set_state(kind, &who, AgentState::Draining)
            .await
            .unwrap()
    );
    let fewer = Registration {
        incarnation: "second".into(),
        advertisement: Advertisement::Projects(BTreeSet::from([name("q")])),
        credential_hash: None,
        ..builder.clone()
    };
    let tasks: Vec<_> = (0..5)
        .map(|_| {
            let (store, fewer) = (store.clone(), fewer.clone());
            tokio::spawn(async move { store.register(fewer).await.unwrap().unwrap() })
        })
        .collect();
    for task in tasks {
        let record = task.await.unwrap();
        assert_eq!(record.id, first.id);
        assert_eq!(record.advertisement, fewer.advertisement);
        assert_eq!(record.credential_hash.as_deref(), Some("hash"));
        assert_eq!(record.state, AgentState::Draining);
    }
    // an earlier process, whose request comes late, takes nothing from the later one
    for credential_hash in [None, Some("hash".into())] {
        let late = Registration {
            credential_hash,
            ..builder.clone()
        };
        assert_eq!(store.register(late).await.unwrap(), None);
    }
    let before = store.agent(kind, &who).await.unwrap().unwrap().seen_at;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let newest = store.agent(kind, &who).await.unwrap().unwrap().incarnation;
    assert!(!store.seen(kind, &who, "an older one").await.unwrap());
    assert!(store.seen(kind, &who, &newest).await.unwrap());
    assert!(store.agent(kind, &who).await.unwrap().unwrap().seen_at > before);
    // who comes with another credential has begun anew, and counts from the beginning
    let anew = Registration {
        credential_hash: Some("another".into()),
        ..builder.clone()
    };
    let record = store.register(anew).await.unwrap().unwrap();
    assert_eq!(record.incarnation, "first");
    let newest = record.incarnation;
    assert!(store.remove(kind, &who).await.unwrap());
    assert!(!store.remove(kind, &who).await.unwrap());
    assert!(!store.seen(kind, &who, &newest).await.unwrap());
    assert_eq!(store.agent(kind, &who).await.unwrap(), None);
    assert_eq!(store.registrations().await.unwrap(), [other]);
}

pub(crate) async fn a_token_is_taken_by_one(place: Place) {
    let store = place.open().await;
    let hour = Duration::from_secs(3600);
    let token = store.create_token("join", hour).await.unwrap();
    assert!(!store.take_token("other", &token, "b0").await.unwrap());
    let tasks: Vec<_> = (0..6)
        .map(|n| {
            let (store, token, by) = (store.clone(), token.clone(), format!("b{n}"));
            tokio::spawn(async move {
                let taken = store.take_token("join", &token, &by).await.unwrap();
                // whoever was the first may not have heard it
                assert_eq!(store.take_token("join", &token, &by).await.unwrap(), taken);
                taken
            })
        })
        .collect();
    let mut taken = 0;
    for task in tasks {
        taken += u32::from(task.await.unwrap());
    }
    assert_eq!(taken, 1);
    let short = store.create_token("join", Duration::from_millis(1)).await;
    let short = short.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!store.take_token("join", &short, "b0").await.unwrap());
}
