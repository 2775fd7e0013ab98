//! Builds.

use std::time::Duration;

use serde_json::json;
use windlass_agent::work::{FailureKind, SourceConfig, VcsKind};

use crate::place::{Place, built_in, directory, trunk};

#[tokio::test]
async fn a_directory_becomes_an_archive_for_each_target_the_same_each_time() {
    let place = Place::new();
    place.put("src/index.html", "hello");
    place.put("src/bin/run", "#!/bin/sh\n");
    place.put("src/.git/config", "not part of it");
    let behaviour = built_in("build", "directory", json!({}));
    let source = directory(&place, "src");
    let first = place
        .build(&source, &behaviour, &["web", "static"], trunk())
        .await
        .unwrap();
    assert_eq!(first.files.len(), 2);
    let web = &first.files[&"web".parse().unwrap()];
    assert!(web.ends_with("web/web.zip"), "{web:?}");
    let names = place.sh(&format!("unzip -Z1 {}", web.display()));
    assert_eq!(names, "bin/\nbin/run\nindex.html");
    let version = first.index.version.to_string();
    assert_eq!(version.len(), 12);
    assert!(first.index.revision.as_ref().unwrap().starts_with(&version));
    assert!(
        !first.directory().join("source").exists(),
        "only the resources are left"
    );

    place.sh("sleep 1; touch src/index.html");
    let second = place
        .build(&source, &behaviour, &["web", "static"], trunk())
        .await
        .unwrap();
    assert_eq!(first.index, second.index, "the same files, the same bytes");
    drop((first, second));
    assert_eq!(place.left(), [""; 0]);
}

#[tokio::test]
async fn commands_make_files_that_are_collected() {
    let place = Place::new();
    place.put("src/a.txt", "a");
    place.put("src/VERSION", "1.2.3\n");
    place.put("src/docs/x.html", "x");
    place.put("src/docs/.svn/y", "y");
    let config = json!({
        "commands": ["echo built by $WHO for $WINDLASS_TARGETS > out.war", "cat \"$WINDLASS_VERSION_FILE\" >> out.war"],
        "env": {"WHO": "ann"},
        "version_file": "VERSION",
        "targets": {"web": "*.war", "static": {"files": ["docs", "a.txt"], "archive": "tar.gz", "name": "static.tar.gz"}},
    });
    let built = place
        .build(
            &directory(&place, "src"),
            &built_in("build", "commands", config),
            &["web", "static"],
            trunk(),
        )
        .await
        .unwrap();
    assert_eq!(built.index.release().to_string(), "shop@1.2.3");
    let web = &built.index.targets[&"web".parse().unwrap()];
    assert_eq!(web.name, "out.war");
    let file = std::fs::read_to_string(&built.files[&"web".parse().unwrap()]).unwrap();
    assert_eq!(file, "built by ann for web static\n1.2.3\n");
    assert_eq!(web.size, file.len() as u64);
    let archive = &built.files[&"static".parse().unwrap()];
    let names = place.sh(&format!("tar -tzf {}", archive.display()));
    assert_eq!(names, "a.txt\ndocs/\ndocs/x.html");
}

#[tokio::test]
async fn what_goes_wrong_is_named() {
    let place = Place::new();
    place.put("src/a.txt", "a");
    place.put("secret", "private");
    place.sh("ln -s $PWD/secret src/link; ln -s $PWD src/up; mkdir src/empty");
    let source = directory(&place, "src");
    for (config, targets, said) in [
        (
            json!({"commands": "echo oops >&2; exit 3", "targets": {"web": "a.txt"}}),
            "web",
            "oops (exit status 3)",
        ),
        (
            json!({"targets": {"web": "*.war"}}),
            "web",
            "there is no *.war",
        ),
        (
            json!({"targets": {"web": "a.txt"}}),
            "other",
            "which files are the resource of target `other`",
        ),
        (json!({"targets": {"web": "link"}}), "web", "leads outside"),
        (
            json!({"targets": {"web": "up/secret"}}),
            "web",
            "leads outside",
        ),
        (
            json!({"targets": {"web": "../secret"}}),
            "web",
            "no path in the source",
        ),
        (
            json!({"targets": {"web": "/etc/passwd"}}),
            "web",
            "no path in the source",
        ),
        (
            json!({"targets": {"web": "empty"}, "archive": "none"}),
            "web",
            "no single file",
        ),
        (
            json!({"targets": {"web": "a.txt"}, "version_file": "link"}),
            "web",
            "leads outside",
        ),
        (
            json!({"targets": {"web": "a.txt"}, "version_file": "none"}),
            "web",
            "no file none",
        ),
        (
            json!({"targets": {"web": "a.txt"}, "commands": "echo '!/' > $WINDLASS_VERSION_FILE"}),
            "web",
            "is no version",
        ),
        (
            json!({"targets": {"web": "a.txt"}, "commands": "ln -sf $PWD/a.txt $WINDLASS_VERSION_FILE"}),
            "web",
            "it is no file",
        ),
        (
            json!({"targets": {"web": {"files": "a.txt", "archive": "rar"}}}),
            "web",
            "rar",
        ),
    ] {
        let behaviour = built_in("build", "commands", config.clone());
        let failure = place
            .build(&source, &behaviour, &[targets], trunk())
            .await
            .unwrap_err();
        assert!(failure.message.contains(said), "{config}: {failure}");
    }
    // A behaviour that makes nothing for a target.
    let behaviour = built_in(
        "build",
        "directory",
        json!({"targets": {"web": {"from": "nowhere"}}}),
    );
    let failure = place
        .build(&source, &behaviour, &["web"], trunk())
        .await
        .unwrap_err();
    assert!(
        failure.message.contains("src") || failure.message.contains("nowhere"),
        "{failure}"
    );
    let behaviour = built_in("build", "comands", json!({}));
    let failure = place
        .build(&source, &behaviour, &["web"], trunk())
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Input);
    assert!(
        failure.message.contains("did you mean `commands`"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_source_that_is_not_there() {
    let place = Place::new();
    let behaviour = built_in("build", "directory", json!({}));
    let failure = place
        .build(&directory(&place, "none"), &behaviour, &["web"], trunk())
        .await
        .unwrap_err();
    assert!(failure.message.contains("no such directory"), "{failure}");
    let request = json!({"branch": "b"});
    let failure = place
        .build(&directory(&place, "none"), &behaviour, &["web"], request)
        .await
        .unwrap_err();
    assert!(
        failure.message.contains("a directory has no branches"),
        "{failure}"
    );
    assert_eq!(failure.kind, FailureKind::Input);
    let request = json!({"url": "/etc"});
    let failure = place
        .build(&directory(&place, "none"), &behaviour, &["web"], request)
        .await
        .unwrap_err();
    assert!(failure.message.contains("allowed_urls"), "{failure}");
}

#[tokio::test]
async fn limits_end_a_build_that_uses_too_much() {
    let mut place = Place::new();
    place.put("src/a.txt", "a");
    let source = directory(&place, "src");
    let run = |line: &str| {
        built_in(
            "build",
            "commands",
            json!({"commands": line, "targets": {"web": "a.txt"}}),
        )
    };

    place.limits.time = Duration::from_secs(2);
    let failure = place
        .build(&source, &run("sleep 60"), &["web"], trunk())
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Limit);
    assert!(failure.message.contains("longer than 2 s"), "{failure}");

    place.limits.time = Duration::from_secs(60);
    place.limits.output = 10_000;
    let failure = place
        .build(
            &source,
            &run("while :; do echo yyyyyyyyyyyyyyyy; done"),
            &["web"],
            trunk(),
        )
        .await
        .unwrap_err();
    assert!(
        failure.message.contains("printed more than 10000 bytes"),
        "{failure}"
    );

    place.limits.disk = 1 << 20;
    let line = "dd if=/dev/zero of=big bs=1M count=3 2>/dev/null; sleep 60";
    let failure = place
        .build(&source, &run(line), &["web"], trunk())
        .await
        .unwrap_err();
    assert!(
        failure.message.contains("1048576 bytes of disk"),
        "{failure}"
    );
}

fn git(place: &Place) -> SourceConfig {
    place.sh(
        "git init -q -b main repo; cd repo; echo one > a; git add a; git commit -qm one; git tag v1.0; \
         git checkout -qb feature/x; echo two > a; git commit -qam two; git checkout -q main; \
         echo three > a; git commit -qam three",
    );
    SourceConfig::new(VcsKind::Git, format!("file://{}", place.text("repo")))
}

fn svn(place: &Place) -> SourceConfig {
    place.sh(
        "svnadmin create svn; U=file://$PWD/svn; svn mkdir -q -m m --parents $U/p/trunk $U/p/branches $U/p/tags; \
         svn co -q $U/p/trunk wc; cd wc; echo one > a; mkdir 'd ü'; echo x > 'd ü/y@z'; svn add -q a 'd ü'; svn ci -qm one; \
         svn cp -q -m tag $U/p/trunk $U/p/tags/1.0; svn cp -q -m branch $U/p/trunk $U/p/branches/x; \
         svn sw -q $U/p/branches/x; echo two > a; svn ci -qm two; svn sw -q $U/p/trunk; echo three > a; svn ci -qm three; \
         svn mkdir -q -m other $U/other",
    );
    SourceConfig::new(VcsKind::Svn, format!("file://{}/p", place.text("svn")))
}

async fn made(
    place: &Place,
    source: &SourceConfig,
    request: serde_json::Value,
) -> Result<(String, String, String), String> {
    let config = json!({"targets": {"web": "a"}});
    let built = place
        .build(
            source,
            &built_in("build", "commands", config),
            &["web"],
            request,
        )
        .await
        .map_err(|e| e.message)?;
    let text = std::fs::read_to_string(&built.files[&"web".parse().unwrap()]).unwrap();
    let index = &built.index;
    Ok((
        text.trim().into(),
        index.version.to_string(),
        index.revision.clone().unwrap(),
    ))
}

#[tokio::test]
async fn git_sources() {
    let place = Place::new();
    let source = git(&place);
    let commit = |of: &str| place.sh(&format!("git -C repo rev-parse {of}"));
    let short = |of: &str| commit(of)[..12].to_owned();
    let main = made(&place, &source, trunk()).await.unwrap();
    assert_eq!(main, ("three".into(), short("main"), commit("main")));
    let branch = made(&place, &source, json!({"branch": "feature/x"}))
        .await
        .unwrap();
    assert_eq!(
        branch,
        ("two".into(), short("feature/x"), commit("feature/x"))
    );
    let tag = made(&place, &source, json!({"tag": "v1.0"})).await.unwrap();
    assert_eq!(tag, ("one".into(), "v1.0".into(), commit("v1.0")));
    for revision in [commit("v1.0"), short("v1.0")] {
        let old = made(&place, &source, json!({"revision": revision}))
            .await
            .unwrap();
        assert_eq!(old, ("one".into(), short("v1.0"), commit("v1.0")));
    }
    let other = json!({"branch": "main", "revision": commit("feature/x")});
    let wrong = made(&place, &source, other).await.unwrap_err();
    assert!(wrong.contains("is not in branch main"), "{wrong}");
    let wrong = made(&place, &source, json!({"branch": "nope"}))
        .await
        .unwrap_err();
    assert!(
        wrong.contains("couldn't find remote ref refs/heads/nope"),
        "{wrong}"
    );
    let wrong = made(&place, &source, json!({"revision": "0123456789"}))
        .await
        .unwrap_err();
    assert!(wrong.contains("no commit 0123456789"), "{wrong}");
    for odd in ["--upload-pack=touch x", "a..b", "-x"] {
        let wrong = made(&place, &source, json!({"branch": odd}))
            .await
            .unwrap_err();
        assert!(wrong.contains("no name of a branch"), "{wrong}");
    }
    // The default branch is the remote's.
    place.sh("git -C repo checkout -q feature/x");
    let main = made(&place, &source, trunk()).await.unwrap();
    assert_eq!(main.0, "two");
    let path = SourceConfig::new(VcsKind::Git, place.text("repo"));
    assert_eq!(
        made(&place, &path, json!({"branch": "main"}))
            .await
            .unwrap()
            .0,
        "three"
    );
}

#[tokio::test]
async fn git_describe_has_the_history() {
    let place = Place::new();
    let source = git(&place);
    let config = json!({"targets": {"web": "a"}, "version_from": "describe"});
    let behaviour = built_in("build", "commands", config);
    place.sh("git -C repo tag -am note v2.0 v1.0");
    let built = place
        .build(&source, &behaviour, &["web"], trunk())
        .await
        .unwrap();
    let version = built.index.version.to_string();
    assert!(version.starts_with("v2.0-1-g"), "{version}");
}

#[tokio::test]
async fn svn_sources() {
    let place = Place::new();
    let source = svn(&place);
    let main = made(&place, &source, trunk()).await.unwrap();
    assert_eq!(main, ("three".into(), "r6".into(), "6".into()));
    let branch = made(&place, &source, json!({"branch": "x"})).await.unwrap();
    assert_eq!(branch, ("two".into(), "r5".into(), "5".into()));
    let tag = made(&place, &source, json!({"tag": "1.0"})).await.unwrap();
    assert_eq!(tag, ("one".into(), "1.0".into(), "3".into()));
    let old = made(&place, &source, json!({"revision": 2})).await.unwrap();
    assert_eq!(old, ("one".into(), "r2".into(), "2".into()));
    let url = format!("{}/branches/x", source.url);
    let by_url = made(&place, &source, json!({"url": url})).await.unwrap();
    assert_eq!(by_url.0, "two");
    let mut direct = source.clone();
    direct.url.push_str("/trunk");
    assert_eq!(made(&place, &direct, trunk()).await.unwrap().0, "three");
    assert_eq!(
        made(&place, &direct, json!({"branch": "x"}))
            .await
            .unwrap()
            .0,
        "two"
    );
    let wrong = made(&place, &source, json!({"branch": "nope"}))
        .await
        .unwrap_err();
    assert!(wrong.contains("svn: "), "{wrong}");
    let wrong = made(&place, &source, json!({"revision": 99}))
        .await
        .unwrap_err();
    assert!(wrong.contains("No such revision"), "{wrong}");
    let odd = built_in("build", "commands", json!({"targets": {"web": "d ü/y@z"}}));
    let built = place.build(&source, &odd, &["web"], trunk()).await.unwrap();
    assert_eq!(built.index.targets[&"web".parse().unwrap()].name, "y@z");
}
