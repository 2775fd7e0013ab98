//! cleanup, archive, deploy_properties, getremoteversions.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use serde_json::json;
use windlass_model::outcome::Outcome;

use crate::machine::{Machine, on_all};

/// Directories of these versions, the first the oldest.
fn versions(m: &Machine, names: &[&str]) {
    for (age, name) in names.iter().rev().enumerate() {
        m.write(&format!("webapps/{name}/file"), name);
        let time = SystemTime::now() - Duration::from_secs(60 * (age as u64 + 1));
        let dir = File::open(m.at(&format!("webapps/{name}"))).unwrap();
        dir.set_modified(time).unwrap();
    }
}

fn names(m: &Machine, dir: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(m.at(dir))
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

#[test]
fn the_oldest_versions_go() {
    on_all(|m| {
        let none = json!({"path": m.at("none"), "filespec": "shop_*", "keepversions": 2});
        assert_eq!(m.run("cleanup", none), Outcome::Unchanged);
        versions(
            m,
            &[
                "shop_10",
                "shop_9 b",
                "shop_8",
                "shop_7",
                "shop-admin_1",
                "other_1",
            ],
        );
        m.write("webapps/shop_7.txt", "");
        let args = json!({"path": m.at("webapps"), "filespec": "shop_*", "keepversions": 2});
        m.changes_once("cleanup", args);
        assert_eq!(
            names(m, "webapps"),
            ["other_1", "shop-admin_1", "shop_7", "shop_7.txt"]
        );
    });
}

#[test]
fn what_is_excepted_stays_and_does_not_count() {
    on_all(|m| {
        versions(
            m,
            &["shop_1", "shop_admin_1", "shop_2", "shop_3", "shop-x_1"],
        );
        let args = json!({
            "path": m.at("webapps"), "filespec": "shop[_-]*", "keepversions": 2, "except": ["shop_admin[_-]*", "shop-x_*"]
        });
        m.changes_once("cleanup", args);
        assert_eq!(
            names(m, "webapps"),
            ["shop-x_1", "shop_2", "shop_3", "shop_admin_1"]
        );
    });
}

#[test]
fn what_a_link_points_to_stays_and_so_does_the_current_version() {
    on_all(|m| {
        versions(
            m,
            &["shop_1", "shop_2", "shop_3", "shop_4", "shop_5", "shop_6"],
        );
        m.link("webapps/shop", "shop_1");
        m.link("webapps/into", &m.at("webapps/shop_2/file"));
        m.link("webapps/shop_link", "shop_6");
        m.link("webapps/shop_nowhere", "nowhere");
        let args = json!({
            "path": m.at("webapps"), "filespec": "shop_*", "keepversions": 1, "currentversion": "3"
        });
        m.changes_once("cleanup", args);
        assert_eq!(
            names(m, "webapps"),
            [
                "into",
                "shop",
                "shop_1",
                "shop_2",
                "shop_3",
                "shop_6",
                "shop_link",
                "shop_nowhere"
            ]
        );
    });
}

#[test]
fn only_releases_that_succeeded_count() {
    on_all(|m| {
        versions(m, &["shop_1", "shop_2", "shop_3", "shop_4", "shop_5"]);
        m.link("webapps/shop", "shop_2");
        let receipt = |n: u32, to: &str, result: &str| {
            m.write(
                &format!("webapps/.windlass/receipts/shop/2026112{n}-000000.json"),
                format!(r#"{{"service":"shop","time":{n},"run":"r","by":"a@b","to":"{to}","result":"{result}"}}"#),
            );
        };
        receipt(1, "1", "failed");
        receipt(2, "1", "succeeded");
        receipt(3, "2", "succeeded");
        receipt(4, "3", "succeeded");
        receipt(5, "3", "failed");
        receipt(6, "4", "unknown");
        let keep =
            |n: u32| json!({"path": m.at("webapps"), "filespec": "shop_*", "keepversions": n});
        assert_eq!(m.run("cleanup", keep(5)), Outcome::Unchanged);
        m.changes_once("cleanup", keep(4));
        assert_eq!(
            names(m, "webapps"),
            ["shop", "shop_1", "shop_2", "shop_4", "shop_5"]
        );
        m.changes_once("cleanup", keep(3));
        assert_eq!(names(m, "webapps"), ["shop", "shop_1", "shop_2", "shop_5"]);
        m.changes_once("cleanup", keep(2));
        assert_eq!(names(m, "webapps"), ["shop", "shop_1", "shop_2"]);
        assert_eq!(
            m.run("cleanup", keep(1)),
            Outcome::Unchanged,
            "what ran well before stays"
        );
        fs::remove_file(m.at("webapps/shop")).unwrap();
        m.link("webapps/shop", "shop_1");
        m.changes_once("cleanup", keep(1));
        assert_eq!(names(m, "webapps"), ["shop", "shop_1"]);
    });
}

#[test]
fn what_a_release_that_failed_was_installed_from_does_not_count() {
    on_all(|m| {
        let receipt = |n: u32, to: &str, result: &str| {
            m.write(
                &format!("webapps/.windlass/receipts/shop/2026112{n}-000000.json"),
                format!(r#"{{"service":"shop","time":{n},"run":"r","by":"a@b","to":"{to}","result":"{result}"}}"#),
            );
        };
        let tarballs = |names: &[&str]| {
            for (age, name) in names.iter().rev().enumerate() {
                m.write(&format!("tarballs/{name}"), name);
                let time = SystemTime::now() - Duration::from_secs(60 * (age as u64 + 1));
                File::options()
                    .write(true)
                    .open(m.at(&format!("tarballs/{name}")))
                    .unwrap()
                    .set_modified(time)
                    .unwrap();
            }
        };
        tarballs(&[
            "shop_0.9.tar.gz",
            "shop-1.0.tgz",
            "shop_1.1.tar.gz",
            "shop_1.2.tar.gz",
            "shop_1.3.tar.gz",
            "shop_1.4.tar.gz",
        ]);
        // Nobody knows of receipts yet: all count.
        let args = |keep: u32| {
            json!({
                "path": m.at("tarballs"), "filespec": "shop[_-]*", "keepversions": keep, "currentversion": "1.4",
                "releases": m.at("webapps")
            })
        };
        m.changes_once("cleanup", args(5));
        assert_eq!(names(m, "tarballs").len(), 5);
        assert!(std::path::Path::new(&m.at("tarballs/shop-1.0.tgz")).exists());
        // 1.0 was there before receipts were left, 1.1 failed here, 1.2 was stopped before it came here.
        m.write("webapps/shop_1.0/file", "");
        m.link("webapps/shop", "shop_1.4");
        receipt(1, "1.1", "failed");
        receipt(2, "1.3", "succeeded");
        receipt(3, "1.4", "succeeded");
        m.changes_once("cleanup", args(4));
        assert_eq!(
            names(m, "tarballs"),
            [
                "shop-1.0.tgz",
                "shop_1.2.tar.gz",
                "shop_1.3.tar.gz",
                "shop_1.4.tar.gz"
            ]
        );
        m.changes_once("cleanup", args(3));
        assert_eq!(
            names(m, "tarballs"),
            ["shop-1.0.tgz", "shop_1.3.tar.gz", "shop_1.4.tar.gz"]
        );
        m.changes_once("cleanup", args(1));
        assert_eq!(
            names(m, "tarballs"),
            ["shop_1.3.tar.gz", "shop_1.4.tar.gz"],
            "what ran well before stays"
        );
    });
}

#[test]
fn a_release_is_archived_with_its_manifest() {
    on_all(|m| {
        m.write("release 1/shop.tar", "s");
        m.write("release 1/sub/x y", "x");
        m.write("extra", "e");
        let args = |release: &str, depth: i64| {
            json!({
                "archivedir": m.at("kept"), "release": m.at(release), "components": [m.at("extra")], "archivedepth": depth
            })
        };
        m.changes_once("archive", args("release 1", -1));
        assert_eq!(
            m.tree("kept/release 1"),
            ["MANIFEST", "extra", "shop.tar", "sub/", "sub/x y"]
        );
        let manifest = m.read("kept/release 1/MANIFEST");
        let sums = std::process::Command::new("sha256sum")
            .args(["-c", "MANIFEST"])
            .current_dir(m.at("kept/release 1"))
            .output()
            .unwrap();
        assert!(sums.status.success(), "{manifest}");
        assert_eq!(manifest.lines().count(), 3);

        m.write("release 1/shop.tar", "changed");
        let said = m.fails("archive", args("release 1", -1));
        assert!(said.contains("other contents"), "{said}");

        for (n, seconds) in [("release 1", 200), ("release 2", 100)] {
            if n == "release 2" {
                m.write("release 2/shop.tar", "s2");
                m.changes_once("archive", args(n, 2));
            }
            let manifest = File::options()
                .append(true)
                .open(m.at(&format!("kept/{n}/MANIFEST")))
                .unwrap();
            manifest
                .set_modified(SystemTime::now() - Duration::from_secs(seconds))
                .unwrap();
        }
        m.write("kept/not ours/x", "");
        m.write("release 3/shop.tar", "s3");
        m.changes_once("archive", args("release 3", 2));
        assert_eq!(names(m, "kept"), ["not ours", "release 2", "release 3"]);

        let by_run = json!({"archivedir": m.at("kept"), "components": [m.at("extra")]});
        m.changes_once("archive", by_run);
        assert!(m.has("kept/20261121-213500-4f2a9c/extra"));
        m.refuses(
            "archive",
            json!({"archivedir": m.at("kept"), "release": "x"}),
        );
        m.refuses(
            "archive",
            json!({"archivedir": m.at("kept"), "release": "../x", "components": ["/a/b"]}),
        );
        m.refuses("archive", args("release 1", 0));
    });
}

#[test]
fn properties_are_replaced_as_a_whole() {
    on_all(|m| {
        m.write("unpacked/test/a.properties", "1");
        m.write("unpacked/test/sub/b.properties", "1");
        let args = |version: &str| json!({"source": m.at("unpacked/test"), "destination": m.at("etc/shop props"), "version": version});
        m.changes_once("deploy_properties", args("1.0"));
        assert_eq!(
            m.tree("etc/shop props"),
            [".version", "a.properties", "sub/", "sub/b.properties"]
        );
        fs::remove_dir_all(m.at("unpacked/test/sub")).unwrap();
        m.changes_once("deploy_properties", args("1.1"));
        assert_eq!(m.tree("etc/shop props"), [".version", "a.properties"]);
        assert_eq!(m.read("etc/shop props/.version"), "1.1\n");

        m.write("etc/others/precious", "");
        let mut other = args("1");
        other["destination"] = m.at("etc/others").into();
        let said = m.fails("deploy_properties", other);
        assert!(said.contains("not deployed as properties"), "{said}");
        assert!(m.has("etc/others/precious"));
        let mut missing = args("1");
        missing["source"] = m.at("unpacked/prod").into();
        let said = m.fails("deploy_properties", missing);
        assert!(said.contains("no such directory"), "{said}");
    });
}

#[test]
fn versions_are_told_by_links() {
    on_all(|m| {
        let args = json!({"install_location": m.at("webapps")});
        let verdict = m.verdict("getremoteversions", args.clone());
        assert_eq!(
            (verdict.outcome, verdict.output.as_deref()),
            (Outcome::Unchanged, Some(""))
        );
        versions(m, &["shop_1.4.0", "shop-admin-2", "web_1_2", "odd_1"]);
        m.link("webapps/shop", "shop_1.4.0");
        m.link("webapps/shop-admin", &m.at("webapps/shop-admin-2/"));
        m.link("webapps/web", "./web_1_2");
        m.link("webapps/elsewhere", "odd_1");
        m.link("webapps/gone", "gone_1");
        let verdict = m.verdict("getremoteversions", args);
        assert_eq!(verdict.outcome, Outcome::Unchanged);
        assert_eq!(
            verdict.output.unwrap(),
            "shop 1.4.0\nshop-admin 2\nweb 1_2\n"
        );
    });
}
