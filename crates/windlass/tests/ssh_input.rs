//! Bad input over SSH, with a real sshd: what, where, what to do.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod support;

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::Ran;
use support::site::{Site, closed_port};
use windlass_testkit::sshd::{SshdOptions, is_root, keygen};

fn line(host: &str, run: &str) -> Value {
    json!({"command": "execute_command", "remote_host": host, "run": run})
}

/// One stage that greets hosts one after the other.
fn greet(hosts: &[&str], max_failures: u32) -> Value {
    let tasks: Vec<Value> = hosts.iter().map(|h| line(h, "echo hello")).collect();
    json!([{"name": "Greet", "concurrency": 1, "max_failures": max_failures, "tasks": tasks}])
}

/// Where each task came to, as `host: outcome`.
fn outcomes(site: &Site) -> Vec<String> {
    let shown = site.place.windlass(&["runs", "show", "--json"]).expect(0);
    let run: Value = serde_json::from_str(&shown.stdout).unwrap();
    let tasks = run["tasks"].as_array().unwrap().iter();
    tasks
        .map(|t| {
            format!(
                "{}: {}",
                t["host"].as_str().unwrap(),
                t["outcome"].as_str().unwrap()
            )
        })
        .collect()
}

#[test]
fn a_host_that_refuses_stops_the_stage() {
    let site = Site::new(&["good"]);
    let port = closed_port();
    site.ssh_config(&format!("Host gone\n  HostName 127.0.0.1\n  Port {port}\n"));
    let ran = site.deploy(greet(&["gone", "good"], 0)).expect(1);
    assert_eq!(outcomes(&site), ["gone: failed", "good: not run"]);
    insta::assert_snapshot!(site.shown(&ran).replace(&port.to_string(), "PORT"));
}

#[test]
fn a_host_that_refuses_is_one_of_those_that_may_fail() {
    let site = Site::new(&["good"]);
    let port = closed_port();
    site.ssh_config(&format!("Host gone\n  HostName 127.0.0.1\n  Port {port}\n"));
    let mut stages = greet(&["gone", "good"], 1);
    let again = greet(&["gone", "good"], 0)[0].clone();
    stages.as_array_mut().unwrap().push(again);
    site.deploy(stages).expect(1);
    // left out of the later stage, and not counted again
    let wanted = [
        "gone: failed",
        "good: changed",
        "gone: not run",
        "good: changed",
    ];
    assert_eq!(outcomes(&site), wanted);
}

#[test]
fn a_silent_host() {
    let site = Site::new(&["good"]);
    // a connection is taken, and nothing is ever said
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let block = "Host silent\n  HostName 127.0.0.1\n  ConnectTimeout 1\n  Port";
    site.ssh_config(&format!("{block} {port}\n"));
    let ran = site.deploy(greet(&["silent", "good"], 1)).expect(1);
    assert_eq!(outcomes(&site), ["silent: failed", "good: changed"]);
    insta::assert_snapshot!(site.shown(&ran).replace(&port.to_string(), "PORT"));
}

/// Expects that nothing was begun.
fn refused(site: &Site, ran: Ran) -> String {
    let ran = ran.expect(2);
    assert!(!site.place.path().join(".state/windlass/runs").exists());
    let mut text = site.shown(&ran);
    while let Some(at) = text.find("SHA256:") {
        let end = text[at..].find(|c: char| c.is_whitespace() || "),;".contains(c));
        text.replace_range(at..end.map_or(text.len(), |end| at + end), "FINGERPRINT");
    }
    text
}

#[test]
fn wrong_host_keys_are_named_all_at_once() {
    let site = Site::new(&["first", "second", "third"]);
    keygen(&site.place.path().join("other")).unwrap();
    let other = std::fs::read_to_string(site.place.path().join("other.pub")).unwrap();
    let known = format!("[127.0.0.1]:{} {other}", site.sshd.port);
    std::fs::write(site.sshd.file("known_hosts"), known).unwrap();
    let ran = site.deploy(greet(&["first", "second", "third"], 2));
    insta::assert_snapshot!(refused(&site, ran));
}

#[test]
fn an_unknown_host_key_stops_a_deploy_of_many_before_it_begins() {
    let site = Site::new(&["good", "new"]);
    let known = site.place.write("known_hosts", "");
    site.ssh_config(&format!(
        "Host new\n  UserKnownHostsFile {}\n",
        known.display()
    ));
    let ran = site.deploy(greet(&["good", "new"], 0));
    insta::assert_snapshot!(refused(&site, ran));
}

#[test]
fn a_key_of_the_user_that_is_not_accepted() {
    let site = Site::new(&["app1"]);
    keygen(&site.sshd.file("stranger")).unwrap();
    site.edit_ssh_config("client_key", "stranger");
    let ran = site.deploy(greet(&["app1"], 0)).expect(1);
    insta::assert_snapshot!(site.shown(&ran));
}

#[test]
fn a_full_disk() {
    if !is_root().unwrap() {
        eprintln!("skipped: mounting a small tmpfs needs root");
        return;
    }
    let site = Site::new(&["app1"]);
    let disk = site.place.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let Some(_mounted) = Tmpfs::mount(&disk) else {
        eprintln!("skipped: a tmpfs cannot be mounted here");
        return;
    };
    std::fs::write(site.place.path().join("big_1.0.tar.gz"), vec![7; 3 << 20]).unwrap();
    let upload = json!({"command": "upload", "remote_host": "app1", "source": "big_1.0.tar.gz",
        "destination": disk});
    let ran = site.deploy(json!([{"name": "Upload", "concurrency": 1, "tasks": [upload]}]));
    let ran = ran.expect(1);
    assert_eq!(
        std::fs::read_dir(&disk).unwrap().count(),
        0,
        "something is left"
    );
    insta::assert_snapshot!(site.shown(&ran));
}

/// A file system of 1 MiB, unmounted when dropped.
struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        let options = ["-t", "tmpfs", "-o", "size=1m,mode=777", "tmpfs"];
        let mounted = Command::new("mount").args(options).arg(at).status();
        mounted.is_ok_and(|s| s.success()).then_some(Self(at))
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn sudo_wants_a_password_that_nobody_gave() {
    if !is_root().unwrap() {
        eprintln!("skipped: a user who may not use sudo is made by root");
        return;
    }
    let options = SshdOptions {
        user: "windlass-plain".into(),
        ..SshdOptions::default()
    };
    let site = Site::with(&["app1"], &options);
    let mut task = line("app1", "id");
    task["use_sudo"] = true.into();
    let ran = site.deploy(json!([{"name": "A", "concurrency": 1, "tasks": [task]}]));
    insta::assert_snapshot!(site.shown(&ran.expect(1)));
}

const ROLLING: &str = "platform: rolling\nservice:\n  shop:\n    hosts: [app1]\n    destination: @DIR@/host/tarballs\n    \
                       install_location: @DIR@/host/webapps\n";

/// An entry of an archive: path, type, target of a link or contents.
type Entry<'a> = (&'a str, tar::EntryType, &'a str);

/// Writes `shop_1.0.tar.gz` with names as they are given, however bad.
fn archive(path: &Path, entries: &[Entry<'_>]) {
    let file = std::fs::File::create(path).unwrap();
    let mut out = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    for (name, kind, contents) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        let raw = header.as_gnu_mut().unwrap();
        raw.name[..name.len()].copy_from_slice(name.as_bytes());
        let is_file = *kind == tar::EntryType::Regular;
        if !is_file {
            raw.linkname[..contents.len()].copy_from_slice(contents.as_bytes());
        }
        let size = if is_file { contents.len() } else { 0 };
        header.set_size(size as u64);
        header.set_cksum();
        out.write_all(header.as_bytes()).unwrap();
        if is_file {
            let mut block = contents.as_bytes().to_vec();
            block.resize(contents.len().next_multiple_of(512), 0);
            out.write_all(&block).unwrap();
        }
    }
    out.write_all(&[0; 1024]).unwrap();
    out.finish().unwrap();
}

/// Every path below a directory but what Windlass keeps for itself and what was there before.
fn written(place: &Path, below: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        let name = path
            .strip_prefix(place)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        if !path.is_symlink() && path.is_dir() {
            if name != ".state" && name != ".cache" {
                written(place, &path, found);
            }
        } else if !["ssh_config", "windlass.yaml", "shop_1.0.tar.gz"].contains(&name.as_str()) {
            found.push(name);
        }
    }
}

#[test]
fn archives_that_lead_outside_write_nothing_there() {
    use tar::EntryType::{Link, Regular, Symlink};
    let site = Site::new(&["app1"]);
    site.place.write("windlass.yaml", ROLLING);
    let outside = site.place.at("outside");
    let target = site.place.write("target", "as it was");
    let target = target.to_str().unwrap();
    let cases: [(&str, &[Entry<'_>]); 8] = [
        (
            "a path with ..",
            &[
                ("shop/a", Regular, "good"),
                ("shop/../../evil", Regular, "x"),
            ],
        ),
        ("a path that begins with ..", &[("../evil", Regular, "x")]),
        ("an absolute path", &[(&outside, Regular, "x")]),
        (
            "a link to an absolute path",
            &[("shop/link", Symlink, "/etc")],
        ),
        (
            "a link that climbs",
            &[("shop/link", Symlink, "../../../..")],
        ),
        (
            "a file through a link",
            &[
                ("shop/link", Symlink, "../.."),
                ("shop/link/evil", Regular, "x"),
            ],
        ),
        (
            "a hard link that climbs",
            &[
                ("shop/a", Regular, "x"),
                ("shop/link", Link, "../../../../../target"),
            ],
        ),
        (
            "a hard link to a file outside",
            &[("shop/a", Regular, "x"), ("shop/link", Link, target)],
        ),
    ];
    let mut text = String::new();
    for (name, entries) in cases {
        archive(&site.place.path().join("shop_1.0.tar.gz"), entries);
        let ran = site
            .windlass(&["deploy", "--component", "shop_1.0.tar.gz"])
            .expect(1);
        let shown = site.shown(&ran);
        let said = shown
            .lines()
            .find_map(|l| l.trim().strip_prefix("failed: "));
        text.push_str(&format!("{name}:\n  {}\n", said.unwrap_or(&shown)));
        let mut found = Vec::new();
        written(site.place.path(), site.place.path(), &mut found);
        found.sort();
        assert_eq!(found, ["host/tarballs/shop_1.0.tar.gz", "target"], "{name}");
        assert_eq!(std::fs::read_to_string(target).unwrap(), "as it was");
    }
    insta::assert_snapshot!(text);
}
