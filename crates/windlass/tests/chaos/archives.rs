//! Hostile archives where Windlass reads them itself, and on a host over SSH.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};
use windlass_testkit::archives::guard::Listing;
use windlass_testkit::archives::hostile::{self, Wants};
use windlass_testkit::archives::zip::{self, Entry};
use windlass_testkit::chaos::{Trial, is_full};

use crate::support::Place;
use crate::support::site::{Site, open_to_all};

/// SHA-256 of nothing.
const OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// An index of one resource.
fn index(target: &str, name: &str, digest: &str, size: Value) -> Vec<u8> {
    let item = json!({"name": name, "digest": digest, "size": size});
    let index = json!({"format": 1, "project": "shop", "version": "1", "revision": null, "targets": {target: item}});
    index.to_string().into_bytes()
}

/// Files that say to be releases.
fn releases() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut add =
        |what: &str, entries: &[Entry]| all.push((what.to_owned(), zip::archive(entries)));
    let indexed = |index: Vec<u8>, more: &[Entry]| {
        let mut entries = vec![Entry::file("index.json", &index)];
        entries.extend_from_slice(more);
        entries
    };
    let empty = Entry::file("web/x", b"");
    for name in ["../x", "/x", "..", ".", "", "a/b", "web/../x", "x\0y"] {
        let entry = Entry::file(format!("web/{name}"), b"");
        add(
            &format!("a resource called {name:?}"),
            &indexed(index("web", name, OF_NOTHING, 0.into()), &[entry]),
        );
    }
    for target in ["..", "../..", "/etc", "", "a/b", "."] {
        let entry = Entry::file(format!("{target}/x"), b"");
        add(
            &format!("a target called {target:?}"),
            &indexed(index(target, "x", OF_NOTHING, 0.into()), &[entry]),
        );
    }
    let sizes = [
        json!(1),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!("0"),
        json!(null),
    ];
    for size in sizes {
        add(
            &format!("a size of {size}"),
            &indexed(
                index("web", "x", OF_NOTHING, size),
                std::slice::from_ref(&empty),
            ),
        );
    }
    let good = || index("web", "x", OF_NOTHING, 0.into());
    add(
        "another digest",
        &indexed(
            index("web", "x", &"0".repeat(64), 0.into()),
            std::slice::from_ref(&empty),
        ),
    );
    add(
        "a digest that climbs",
        &indexed(
            index("web", "x", "../../../../etc/passwd", 0.into()),
            std::slice::from_ref(&empty),
        ),
    );
    add("no resource", &indexed(good(), &[]));
    add(
        "a stray file",
        &indexed(good(), &[empty.clone(), Entry::file("../evil", b"x")]),
    );
    add(
        "a resource that is longer",
        &indexed(good(), &[Entry::file("web/x", b"more")]),
    );
    add(
        "a resource of an unknown method",
        &indexed(
            good(),
            &[Entry {
                method: 99,
                ..empty.clone()
            }],
        ),
    );
    add("no JSON", &indexed(b"{".to_vec(), &[]));
    add("no UTF-8", &indexed(vec![0xff; 100], &[]));
    add(
        "deep JSON",
        &indexed("[".repeat(1_000_000).into_bytes(), &[]),
    );
    add(
        "an index of a gigabyte",
        &[Entry::zeros("index.json", 64), empty.clone()],
    );
    let zeros = Entry::zeros("web/x", 64);
    let sized = index("web", "x", &"0".repeat(64), zeros.size.into());
    add(
        "a resource of a gigabyte out of a megabyte",
        &indexed(sized, &[zeros]),
    );
    if is_full() {
        let long = Entry {
            extra: [&[0xfe, 0xca, 0xfc, 0x07][..], &[0; 2044]].concat(),
            ..empty
        };
        let table: Vec<Entry> = (0..65_000)
            .map(|n| Entry {
                name: format!("{n}").into(),
                shares: n > 0,
                ..long.clone()
            })
            .collect();
        add("a table of contents of 130 MB", &table);
    }
    all
}

#[test]
fn archives_that_are_no_releases_are_not_imported() {
    let trial = Trial::begin("archives_import");
    let mut all = releases();
    let crafted = all.len();
    let others = hostile::all(Path::new("/nonesuch")).into_iter();
    all.extend(
        others
            .filter(|one| one.ending == ".zip")
            .map(|one| (one.what, one.bytes)),
    );
    let others = trial.count(40, all.len() as u64) as usize;
    if let Some(zips) = all.get_mut(crafted..) {
        trial.case(0).shuffle(zips);
    }
    all.truncate(crafted + others);
    let place = Place::new();
    for (what, bytes) in &all {
        std::fs::write(place.path().join("evil.zip"), bytes).unwrap();
        let look = || Listing::of(place.path(), &[".state", ".cache"]).unwrap();
        let before = look();
        // Nobody is asked: it is at fault by itself.
        let ran = place.windlass(&[
            "release",
            "import",
            "evil.zip",
            "--manager",
            "http://127.0.0.1:9",
        ]);
        assert_eq!(ran.status, 2, "{what}: {}", ran.stderr);
        assert!(
            ran.stderr.contains("no release that can be imported"),
            "{what}: {}",
            ran.stderr
        );
        assert!(!ran.stderr.contains("panicked"), "{what}: {}", ran.stderr);
        let differences = before.differences(&look());
        assert!(differences.is_empty(), "{what}: {differences:?}");
    }
    trial.report(format_args!(
        "{} files that say to be releases: all refused before a manager was asked",
        all.len()
    ));
}

#[test]
fn archives_that_are_hostile_stay_inside_on_a_host() {
    let trial = Trial::begin("archives_over_ssh");
    let site = Site::new(&["web"]);
    let place = site.place.path();
    for dir in ["in", "site", "outside"] {
        std::fs::create_dir(place.join(dir)).unwrap();
        open_to_all(&place.join(dir));
    }
    site.place.write("outside/victim", "victim");
    std::fs::set_permissions(
        place.join("outside/victim"),
        std::fs::Permissions::from_mode(0o666),
    )
    .unwrap();
    let mut all = hostile::all(&place.join("outside"));
    trial.case(0).shuffle(&mut all);
    all.truncate(trial.count(40, all.len() as u64) as usize);
    let mut tasks = Vec::new();
    for (n, one) in all.iter().enumerate() {
        let archive = format!("in/{n}{}", one.ending);
        std::fs::write(place.join(&archive), &one.bytes).unwrap();
        tasks.push(json!({"command": "unpack", "remote_host": "web", "source": site.place.at(&archive), "destination": site.place.at(&format!("site/to/{n}"))}));
    }
    let without = [".state", ".cache", "tasks.json", "site/to"];
    let look = || Listing::of(place, &without).unwrap();
    let before = look();
    let stages =
        json!([{"name": "Unpack", "concurrency": 4, "max_failures": all.len(), "tasks": tasks}]);
    let ran = site.deploy(stages).expect(1);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    let differences = before.differences(&look());
    assert!(differences.is_empty(), "{differences:#?}");
    let mut taken = 0;
    for (n, one) in all.iter().enumerate() {
        let is_taken = place
            .join(format!("site/to/{n}"))
            .symlink_metadata()
            .is_ok();
        assert!(
            !is_taken || one.wants == Wants::Inside,
            "{} was taken",
            one.what
        );
        taken += usize::from(is_taken);
    }
    trial.report(format_args!(
        "{} hostile archives unpacked over SSH: 0 bytes outside, {} refused, {taken} stayed inside",
        all.len(),
        all.len() - taken
    ));
}
