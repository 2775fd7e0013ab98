//! Releases, their blobs, and where they are.

use windlass_model::release::machine::Refusal;
use windlass_model::release::{Digest, ReleaseId};
use windlass_store::{ChangeError, InstalledFilter, StoreError};

use super::{begin, imported, index, install, install_release, joe, name, plan};
use crate::Place;

pub(crate) async fn releases_do_not_change(place: Place) {
    let store = place.open().await;
    let missing = store.import(&index("p", "1", "a")).await;
    assert!(
        matches!(missing, Err(ChangeError::Refused(Refusal::Illegal(_)))),
        "{missing:?}"
    );
    imported(&store, "p", "1", "a").await;
    imported(&store, "p", "1", "a").await;
    imported(&store, "p", "2", "b").await;
    imported(&store, "q", "1", "a").await;
    let other = store.import(&index("p", "1", "b")).await;
    let told = other.unwrap_err().to_string();
    assert!(told.contains("p@1 exists already"), "{told}");
    let p: windlass_model::release::Project = name("p");
    let list = |releases: Vec<windlass_store::Release>| {
        let ids = releases.iter().map(|r| r.index.release().to_string());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(
        list(store.releases(Some(&p), 10).await.unwrap()),
        ["p@2", "p@1"]
    );
    assert_eq!(list(store.releases(None, 1).await.unwrap()), ["q@1"]);
    let id: ReleaseId = "p@1".parse().unwrap();
    store.reject(&id, "breaks payments", &joe()).await.unwrap();
    store.reject(&id, "it does indeed", &joe()).await.unwrap();
    let release = store.release(&id).await.unwrap().unwrap();
    assert_eq!(release.rejected.as_deref(), Some("it does indeed"));
    assert_eq!(release.index, index("p", "1", "a"));
    let none = store.reject(&"p@9".parse().unwrap(), "", &joe()).await;
    assert!(matches!(none, Err(StoreError::NotFound(_))), "{none:?}");
}

pub(crate) async fn blobs_that_nobody_has_are_forgotten(place: Place) {
    let store = place.open().await;
    imported(&store, "p", "1", "a").await;
    let unused: Digest = name(&"c".repeat(64));
    store.add_blob(&unused, 5).await.unwrap();
    assert_eq!(store.blob(&unused).await.unwrap(), Some(5));
    let now = store.now().await.unwrap();
    assert!(
        store
            .forget_blobs(now - 60_000_000)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        store.forget_blobs(now + 60_000_000).await.unwrap(),
        std::slice::from_ref(&unused)
    );
    assert_eq!(store.blob(&unused).await.unwrap(), None);
    assert_eq!(store.blob(&name(&"a".repeat(64))).await.unwrap(), Some(17));
}

pub(crate) async fn what_was_there_before_is_known(place: Place) {
    let store = place.open().await;
    for (project, version, letter) in [("p", "1", "a"), ("p", "2", "b"), ("q", "1", "a")] {
        imported(&store, project, version, letter).await;
    }
    for release in ["p@1", "q@1", "p@2", "p@2"] {
        let t = begin(&store, install_release(release)).await;
        plan(&store, &t.id, &["i1"]).await.unwrap();
        install(&store, &t.id, "i1").await;
    }
    let rows = store.installed(&InstalledFilter::default()).await.unwrap();
    let shown: Vec<String> = rows
        .iter()
        .map(|r| {
            let previous = r.previous_good.as_ref().map(ToString::to_string);
            format!("{} before: {}", r.release, previous.unwrap_or_default())
        })
        .collect();
    assert_eq!(shown, ["p@2 before: p@1", "q@1 before: "]);
    let filter = InstalledFilter {
        project: Some(name("q")),
        target: Some(name("web")),
        environment: Some(name("test")),
        agent: Some(name("i1")),
    };
    assert_eq!(store.installed(&filter).await.unwrap(), rows[1..]);
}
