//! Installs.

use serde_json::json;
use windlass_agent::work::{FailureKind, versions};
use windlass_model::ids::HostName;
use windlass_model::release::Ask;

use crate::place::{Place, target};

async fn version(
    place: &Place,
    ask: Ask,
    of: &windlass_agent::work::TargetConfig,
) -> Vec<(String, Option<String>)> {
    let (environment, name) = ("test".parse().unwrap(), "web".parse().unwrap());
    let machine = HostName::new("box");
    let rows = versions(
        ask,
        &environment,
        &name,
        of,
        &machine,
        &place.tools,
        place.job(),
    )
    .await
    .unwrap();
    rows.into_iter()
        .map(|row| (row.host.to_string(), row.version.map(|v| v.to_string())))
        .collect()
}

fn zip(place: &Place, name: &str, text: &str) -> std::path::PathBuf {
    place.sh(&format!("mkdir -p z && cd z && rm -rf * && echo {text} > index.html && mkdir only-{text} && zip -qr ../{name} ."));
    place.path(name)
}

#[tokio::test]
async fn unarchive_replaces_all_that_was_there() {
    let place = Place::new();
    let web = target(place.text("base/web"), "unarchive", json!({}));
    assert_eq!(
        version(&place, Ask::GetVersion, &web).await,
        [("box".into(), None)]
    );
    let one = place
        .install(&web, &zip(&place, "a.zip", "one"), "1.0")
        .await
        .unwrap();
    assert_eq!(one.rows.len(), 1);
    assert_eq!(one.rows[0].host.as_str(), "box");
    assert_eq!(place.read("base/web/index.html"), "one\n");
    place
        .install(&web, &zip(&place, "b.zip", "two"), "2.0")
        .await
        .unwrap();
    assert_eq!(place.sh("ls base/web"), "index.html\nonly-two");
    assert_eq!(
        place.sh("ls -A base base/.windlass"),
        "base:\n.windlass\nweb\n\nbase/.windlass:\nincoming\nreceipts"
    );
    assert_eq!(
        version(&place, Ask::GetVersion, &web).await,
        [("box".into(), Some("2.0".into()))]
    );
    assert_eq!(
        version(&place, Ask::ResetVersion, &web).await,
        [("box".into(), None)]
    );
    assert_eq!(
        version(&place, Ask::GetVersion, &web).await,
        [("box".into(), None)]
    );
    place
        .install(&web, &place.path("b.zip"), "2.0")
        .await
        .unwrap();
    assert_eq!(
        version(&place, Ask::GetVersion, &web).await,
        [("box".into(), Some("2.0".into()))]
    );
    assert_eq!(place.left(), [""; 0]);
}

#[tokio::test]
async fn what_somebody_else_put_there_is_left_alone() {
    let place = Place::new();
    place.put("base/web/precious", "x");
    let archive = zip(&place, "a.zip", "one");
    let mut web = target(place.text("base/web"), "unarchive", json!({}));
    let failed = place.install(&web, &archive, "1.0").await.unwrap_err();
    assert!(
        failed.failure.message.contains("not installed by Windlass"),
        "{:?}",
        failed
    );
    assert!(failed.rows.is_empty());
    assert_eq!(place.read("base/web/precious"), "x");
    web.behaviour.config.insert("replace".into(), "true".into());
    place.install(&web, &archive, "1.0").await.unwrap();
    assert_eq!(place.sh("ls base/web"), "index.html\nonly-one");
}

#[tokio::test]
async fn a_reader_never_sees_half_a_release() {
    let place = Place::new();
    for version in ["one", "two"] {
        place.sh(&format!("rm -rf r; mkdir r; for i in 1 2 3 4 5 6 7 8; do echo {version} > r/$i; done; cd r; zip -qr ../{version}.zip ."));
    }
    let web = target(place.text("base/web"), "unarchive", json!({}));
    place
        .install(&web, &place.path("one.zip"), "one")
        .await
        .unwrap();
    let path = place.path("base/web");
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let reader = std::thread::spawn({
        let stop = stop.clone();
        move || {
            let (mut reads, mut absent) = (0u64, 0u64);
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                // Through one handle, so that it is one tree that is read.
                let Ok(files) = std::fs::read_dir(&path) else {
                    absent += 1;
                    continue;
                };
                let names: Vec<_> = files.flatten().collect();
                assert!(names.len() == 8 || names.is_empty(), "half: {names:?}");
                reads += 1;
            }
            (reads, absent)
        }
    });
    for version in ["two", "one", "two", "one"] {
        place
            .install(&web, &place.path(&format!("{version}.zip")), version)
            .await
            .unwrap();
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let (reads, absent) = reader.join().unwrap();
    assert!(reads > 0);
    // This machine exchanges the two, with python3 at the latest.
    assert_eq!(absent, 0);
}

#[tokio::test]
async fn hostile_archives_change_nothing() {
    let place = Place::new();
    let web = target(place.text("base/web"), "unarchive", json!({}));
    place
        .install(&web, &zip(&place, "a.zip", "one"), "1.0")
        .await
        .unwrap();
    place.sh("mkdir h && cd h && ln -s /etc/passwd link && tar -cf ../link.tar link");
    place.sh("mkdir -p t/x && cd t/x && echo evil > ../evil && tar -P -cf ../../climb.tar ../evil");
    place.put("broken.zip", "PK\u{3}\u{4}nonsense");
    for (archive, said) in [
        ("link.tar", "leads outside"),
        ("climb.tar", "leads outside"),
        ("broken.zip", "broken.zip"),
    ] {
        let failed = place
            .install(&web, &place.path(archive), "2.0")
            .await
            .unwrap_err();
        assert_eq!(failed.failure.kind, FailureKind::Failed);
        assert!(
            failed.failure.message.contains(said),
            "{archive}: {:?}",
            failed.failure
        );
        assert!(failed.rows.is_empty());
    }
    assert_eq!(place.read("base/web/index.html"), "one\n");
    assert_eq!(
        version(&place, Ask::GetVersion, &web).await,
        [("box".into(), Some("1.0".into()))]
    );
}

#[tokio::test]
async fn put_file_puts_to_a_path_or_into_a_directory() {
    let place = Place::new();
    place.put("shop-1.war", "one");
    place.put("shop-2.war", "two");
    let exact = target(
        place.text("opt/shop.war"),
        "put_file",
        json!({"mode": "0640"}),
    );
    for (file, version) in [("shop-1.war", "1"), ("shop-2.war", "2")] {
        place
            .install(&exact, &place.path(file), version)
            .await
            .unwrap();
    }
    assert_eq!(place.read("opt/shop.war"), "two");
    assert_eq!(place.sh("stat -c %a opt/shop.war"), "640");
    assert_eq!(
        version(&place, Ask::GetVersion, &exact).await,
        [("box".into(), Some("2".into()))]
    );
    let into = target(place.text("deploy/"), "put_file", json!({}));
    place
        .install(&into, &place.path("shop-1.war"), "1")
        .await
        .unwrap();
    assert_eq!(place.read("deploy/shop-1.war"), "one");
    assert_eq!(
        version(&place, Ask::GetVersion, &into).await,
        [("box".into(), Some("1".into()))]
    );
}

#[tokio::test]
async fn release_symlink_keeps_some_and_swaps_the_link() {
    let place = Place::new();
    let web = target(
        place.text("opt/web"),
        "release_symlink",
        json!({"keep": "2"}),
    );
    for version in ["1", "2", "3", "4"] {
        place
            .install(&web, &zip(&place, "a.zip", version), version)
            .await
            .unwrap();
        assert_eq!(place.sh("readlink opt/web"), format!("web_{version}"));
        assert_eq!(place.read("opt/web/index.html"), format!("{version}\n"));
        place.sh("sleep 1.1");
    }
    assert_eq!(place.sh("ls opt"), "web\nweb_3\nweb_4");
    assert_eq!(
        version(&place, Ask::GetVersion, &web).await,
        [("box".into(), Some("4".into()))]
    );
    place
        .install(&web, &zip(&place, "a.zip", "3"), "3")
        .await
        .unwrap();
    assert_eq!(
        version(&place, Ask::GetVersion, &web).await,
        [("box".into(), Some("3".into()))]
    );
    assert_eq!(
        version(&place, Ask::ResetVersion, &web).await,
        [("box".into(), None)]
    );
}

#[tokio::test]
async fn a_tasklist_with_the_resource_at_hand() {
    let place = Place::new();
    place.put("shop.war", "war");
    place.put("go.json", &json!({"name": "Go", "stages": [{"name": "Go", "concurrency": 1, "tasks": [
        {"command": "upload", "source": "{resource}", "destination": place.text("opt/{environment}")},
        {"command": "execute_command", "run": "echo {target} {version} ${version} > $OUT", "env": {"OUT": place.text("opt/said")}},
    ]}]}).to_string());
    let web = target(String::new(), "tasklist", json!({"tasklist": "go.json"}));
    let done = place
        .install(&web, &place.path("shop.war"), "1.0")
        .await
        .unwrap();
    assert_eq!(done.rows[0].version.as_ref().unwrap().as_str(), "1.0");
    assert_eq!(place.read("opt/test/shop.war"), "war");
    assert_eq!(place.read("opt/said"), "web 1.0\n");
    let nothing = target(String::new(), "tasklist", json!({}));
    let failed = place
        .install(&nothing, &place.path("shop.war"), "1.0")
        .await
        .unwrap_err();
    assert_eq!(failed.failure.kind, FailureKind::Input);
}
