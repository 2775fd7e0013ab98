//! Changes: all or nothing, one after the other.

use std::time::Duration;

use windlass_model::release::machine::{self, Refusal};
use windlass_model::release::{AgentKind, Effect, Phase, Status};
use windlass_store::{ChangeError, InstalledFilter};

use super::{begin, imported, index, install, install_of, install_release, name, plan, start};
use crate::Place;

pub(crate) async fn the_seeds_way(place: Place) {
    let store = place.open().await;
    let t = begin(&store, install_of("p")).await;
    let whole = store.whole(&t.id).await.unwrap().unwrap();
    let build = whole.jobs[0].id.clone();
    start(&store, &t.id, &build, AgentKind::Builder, "b1").await;

    let built = |index: windlass_model::release::Index| {
        let build = build.clone();
        store.change(&t.id, move |whole, now| {
            let effects = machine::built(whole, &build, (&name("b1"), "a"), 1, index.clone(), now)?;
            Ok(((), effects))
        })
    };
    let refused = built(index("p", "1", "a")).await.unwrap_err();
    assert!(
        matches!(&refused, ChangeError::Refused(Refusal::Illegal(why)) if why.contains("upload")),
        "{refused}"
    );
    let before = store.whole(&t.id).await.unwrap().unwrap();
    assert_eq!(before.transaction.phase, Phase::Building);
    assert_eq!(store.release(&name_of("p@1")).await.unwrap(), None);

    store.add_blob(&name(&"a".repeat(64)), 17).await.unwrap();
    built(index("p", "1", "a")).await.unwrap();
    let release = store.release(&name_of("p@1")).await.unwrap().unwrap();
    assert_eq!(release.index, index("p", "1", "a"));
    assert_eq!(release.transaction, Some(t.id.clone()));
    assert_eq!(store.waiting().await.unwrap(), vec![t.id.clone()]);

    plan(&store, &t.id, &["i1", "i2"]).await.unwrap();
    install(&store, &t.id, "i1").await;
    install(&store, &t.id, "i2").await;
    let t = store.transaction(&t.id).await.unwrap().unwrap();
    assert_eq!(t.status(), Status::InstallCompleted);
    let history = store.history(&t.id).await.unwrap();
    let what: Vec<&str> = history.iter().map(|entry| entry.what.as_str()).collect();
    assert_eq!(
        what,
        [
            "requested",
            "leased",
            "started",
            "build completed",
            "install planned",
            "leased",
            "started",
            "installed",
            "leased",
            "started",
            "installed",
            "ended"
        ]
    );
    let numbers: Vec<u64> = history.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
    assert_eq!(history[1].actor.name, "builder b1");
    let rows = store.installed(&InstalledFilter::default()).await.unwrap();
    let rows: Vec<String> = rows
        .iter()
        .map(|r| {
            format!(
                "{} {} {} {} {}",
                r.environment, r.target, r.agent, r.host, r.release
            )
        })
        .collect();
    assert_eq!(rows, ["test web i1 local p@1", "test web i2 local p@1"]);
    assert!(store.open_transactions().await.unwrap().is_empty());
}

fn name_of(release: &str) -> windlass_model::release::ReleaseId {
    release.parse().unwrap()
}

pub(crate) async fn a_refusal_writes_nothing(place: Place) {
    let store = place.open().await;
    let t = begin(&store, install_of("p")).await;
    let before = store.whole(&t.id).await.unwrap();
    let refused = store.change(&t.id, |whole, _| {
        whole.transaction.wave = 9;
        whole.jobs[0].attempt = 9;
        Err::<((), Vec<Effect>), _>(Refusal::Cancelled)
    });
    assert_eq!(refused.await, Err(ChangeError::Refused(Refusal::Cancelled)));
    assert_eq!(store.whole(&t.id).await.unwrap(), before);
    let nobody = name("none");
    let none = store.change(&nobody, |_, _| Ok(((), Vec::new())));
    assert_eq!(none.await, Err(ChangeError::NoTransaction));
}

pub(crate) async fn a_target_that_another_has_is_busy(place: Place) {
    let store = place.open().await;
    imported(&store, "p", "1", "a").await;
    imported(&store, "q", "1", "a").await;
    let first = begin(&store, install_release("p@1")).await;
    let second = begin(&store, install_release("q@1")).await;
    plan(&store, &first.id, &["i1"]).await.unwrap();
    let busy = plan(&store, &second.id, &["i2"]).await;
    assert_eq!(
        busy,
        Err(ChangeError::Busy {
            by: first.id.clone()
        })
    );
    let whole = store.whole(&second.id).await.unwrap().unwrap();
    assert_eq!(
        (whole.transaction.phase, whole.jobs.len()),
        (Phase::Waiting, 0)
    );
    assert_eq!(store.history(&second.id).await.unwrap().len(), 1);
    install(&store, &first.id, "i1").await;
    plan(&store, &second.id, &["i2"]).await.unwrap();

    // many who want it at once: one gets it
    install(&store, &second.id, "i2").await;
    let mut tasks = Vec::new();
    for _ in 0..5 {
        let t = begin(&store, install_release("p@1")).await;
        let store = store.clone();
        tasks.push(tokio::spawn(
            async move { plan(&store, &t.id, &["i1"]).await },
        ));
    }
    let mut planned = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => planned += 1,
            Err(error) => assert!(matches!(error, ChangeError::Busy { .. }), "{error}"),
        }
    }
    assert_eq!(planned, 1);
}

pub(crate) async fn nothing_is_lost_when_many_change_at_once(place: Place) {
    let store = place.open().await;
    let other = place.open().await;
    let one = begin(&store, install_of("p")).await;
    let two = begin(&store, install_of("p")).await;
    let mut tasks = Vec::new();
    for n in 0..8 {
        let store = if n % 2 == 0 {
            store.clone()
        } else {
            other.clone()
        };
        let id = if n < 6 {
            one.id.clone()
        } else {
            two.id.clone()
        };
        tasks.push(tokio::spawn(async move {
            for _ in 0..15 {
                let change = store.change(&id, |whole, _| {
                    whole.transaction.wave += 1;
                    whole.jobs[0].attempt += 1;
                    let effect = Effect::History {
                        actor: super::joe(),
                        what: "counted",
                        detail: whole.transaction.wave.to_string(),
                    };
                    Ok(((), vec![effect]))
                });
                change.await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    for (id, count) in [(&one.id, 90), (&two.id, 30)] {
        let whole = store.whole(id).await.unwrap().unwrap();
        assert_eq!(
            (whole.transaction.wave, whole.jobs[0].attempt),
            (count, count)
        );
        let history = store.history(id).await.unwrap();
        let told: Vec<String> = history.iter().skip(1).map(|e| e.detail.clone()).collect();
        let counted: Vec<String> = (1..=count).map(|n| n.to_string()).collect();
        assert_eq!(told, counted);
    }
}

pub(crate) async fn a_caller_who_goes_away_leaves_no_half(place: Place) {
    let store = place.open().await;
    let t = begin(&store, install_of("p")).await;
    for n in 0..30 {
        let (store, id) = (store.clone(), t.id.clone());
        let task = tokio::spawn(async move {
            let change = store.change(&id, |whole, _| {
                whole.transaction.wave += 1;
                whole.jobs[0].attempt += 1;
                Ok(((), Vec::new()))
            });
            change.await.unwrap();
        });
        tokio::time::sleep(Duration::from_micros(n * 60)).await;
        task.abort();
        let _ = task.await;
    }
    // what was begun may go on for a moment; nothing of it is in the way
    let done = store.change(&t.id, |whole, _| {
        Ok(((whole.transaction.wave, whole.jobs[0].attempt), Vec::new()))
    });
    let (wave, attempt) = done.await.unwrap();
    assert_eq!(wave, attempt);
}

pub(crate) async fn a_panic_harms_nobody_else(place: Place) {
    let store = place.open().await;
    let t = begin(&store, install_of("p")).await;
    let before = store.whole(&t.id).await.unwrap();
    let (good, bad) = tokio::join!(
        store.begin(install_of("q")),
        store.change(&t.id, |whole, _| {
            whole.transaction.wave = 7;
            if whole.transaction.wave == 7 {
                panic!("a fault of ours");
            }
            Ok(((), Vec::new()))
        })
    );
    good.unwrap();
    assert!(matches!(bad, Err(ChangeError::Store(_))), "{bad:?}");
    assert_eq!(store.whole(&t.id).await.unwrap(), before);
}
