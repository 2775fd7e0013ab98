//! Opening, and new transactions.

use std::collections::BTreeSet;

use serde_json::json;
use windlass_model::release::Effect;
use windlass_store::{Begun, ChangeError, NewTransaction, Store};

use super::{begin, install_of, name};
use crate::Place;

pub(crate) async fn many_at_once_open_one_store(place: Place) {
    let opened = (0..6).map(|_| {
        let place = place.clone();
        tokio::spawn(async move { place.open().await.cluster_id().to_owned() })
    });
    let mut clusters = BTreeSet::new();
    for cluster in opened.collect::<Vec<_>>() {
        clusters.insert(cluster.await.unwrap());
    }
    assert_eq!(clusters.len(), 1);
    place.open().await.ping().await.unwrap();
}

pub(crate) async fn numbers_only_grow_and_have_no_gaps(place: Place) {
    let store = place.open().await;
    let other = place.open().await;
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let store: Store = if n % 2 == 0 {
                store.clone()
            } else {
                other.clone()
            };
            tokio::spawn(async move {
                let mut made = Vec::new();
                for _ in 0..10 {
                    made.push(begin(&store, install_of("p")).await);
                }
                made
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        let made = task.await.unwrap();
        assert!(
            made.windows(2)
                .all(|w| w[0].sequence < w[1].sequence && w[0].id < w[1].id)
        );
        all.extend(made);
    }
    let numbers: BTreeSet<u64> = all.iter().map(|t| t.sequence).collect();
    assert_eq!(numbers, (1..=80).collect());
    let ids: BTreeSet<_> = all.iter().map(|t| t.id.clone()).collect();
    assert_eq!(ids.len(), 80);
}

/// Many are begun in one transaction of the database; what one of them wrote is taken back alone, its number too.
pub(crate) async fn what_is_taken_back_leaves_no_gap(place: Place) {
    let store = place.open().await;
    let begun: Vec<_> = (0..64)
        .map(|n| {
            let (store, mut new) = (store.clone(), install_of("p"));
            if n % 2 == 0 {
                new.effects.push(Effect::Lock {
                    environment: name("prod"),
                    target: name("web"),
                });
            }
            tokio::spawn(async move { store.begin(new).await })
        })
        .collect();
    let (mut numbers, mut refused) = (BTreeSet::new(), 0);
    for begun in begun {
        match begun.await.unwrap() {
            Ok(begun) => assert!(numbers.insert(begun.into_transaction().sequence)),
            Err(ChangeError::Busy { .. }) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    // one has the lock
    assert_eq!((numbers.len(), refused), (33, 31));
    assert_eq!(numbers, (1..=33).collect());
    assert_eq!(begin(&store, install_of("p")).await.sequence, 34);
}

pub(crate) async fn a_request_that_comes_again_is_known(place: Place) {
    let store = place.open().await;
    let keyed = NewTransaction {
        request_key: Some("k".repeat(5000)),
        ..install_of("p")
    };
    // all at once: one is new
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let (store, keyed) = (store.clone(), keyed.clone());
            tokio::spawn(async move { store.begin(keyed).await.unwrap() })
        })
        .collect();
    let mut new = Vec::new();
    let mut known = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            Begun::New(t) => new.push(t),
            Begun::Known(t) => known.push(t),
        }
    }
    assert_eq!((new.len(), known.len()), (1, 5));
    assert!(known.iter().all(|t| *t == new[0]));
    assert_eq!(store.history(&new[0].id).await.unwrap().len(), 1);

    let unanswered = NewTransaction {
        fingerprint: Some("the same bytes".into()),
        ..install_of("p")
    };
    let first = begin(&store, unanswered.clone()).await;
    let again = store.begin(unanswered.clone()).await.unwrap();
    assert_eq!(again, Begun::Known(first.clone()));
    let answered = store.answered(vec![first.id.clone()]).await.unwrap();
    // it stands before what comes now, on the disk or not
    let (later, written) = tokio::join!(begin(&store, unanswered), answered);
    written.unwrap();
    assert_eq!(later.sequence, first.sequence + 1);
}

pub(crate) async fn what_was_asked_comes_back_unchanged(place: Place) {
    let store = place.open().await;
    let mut new = install_of("p");
    let odd = "☃ 🚀 é ' \" \\ \\0 % _ ? $1 {lock} \u{7f}\n\ttrailing ";
    new.request.insert("odd".into(), json!(odd));
    new.request
        .insert(odd.into(), json!([1, -7, 2.5, null, true, {"deep": [[]]}]));
    new.request
        .insert("long".into(), json!("x🚀".repeat(200_000)));
    new.actor.name = odd.into();
    new.why = Some(odd.into());
    let made = begin(&store, new.clone()).await;
    let read = store.transaction(&made.id).await.unwrap().unwrap();
    assert_eq!(read, made);
    assert_eq!(read.request, new.request);
    assert_eq!(read.actor.name, odd);
    let whole = store.whole(&made.id).await.unwrap().unwrap();
    assert_eq!(whole.transaction, made);
    assert_eq!(whole.jobs.len(), 1);
    // another handle sees the same
    let other = place.open().await;
    assert_eq!(other.whole(&made.id).await.unwrap(), Some(whole));
}

pub(crate) async fn the_clock_is_right(place: Place) {
    let store = place.open().await;
    let local = || {
        let now = std::time::SystemTime::now();
        let now = now.duration_since(std::time::UNIX_EPOCH).unwrap();
        i64::try_from(now.as_micros()).unwrap()
    };
    let (before, now, after) = (local(), store.now().await.unwrap(), local());
    let slack = 2_000;
    assert!(
        before - slack <= now && now <= after + slack,
        "{before} {now} {after}"
    );
}
