//! A manager that cannot be started says why, at once, with status 2.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]

mod support;

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use support::Place;

const FILE: &str = "m/conf/manager/release_manager_template.yaml";

/// A generated manager, with lines of its file replaced.
fn manager(changes: &[(&str, &str)]) -> Place {
    let place = Place::new();
    place.windlass(&["generate", "manager", "m"]).expect(0);
    let mut text = fs::read_to_string(place.path().join(FILE)).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{from:?} is not in {text}");
        text = text.replace(from, to);
    }
    place.write(FILE, &text);
    place
}

/// Serves, and gives what it says when it ends with status 2; it must end by itself, and say all of `words`.
fn refused(place: &Place, arguments: &[&str], words: &[&str]) {
    let arguments = [&["serve", "manager", "m"], arguments].concat();
    let mut child = place
        .command(&arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        if began.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    let _ = child.wait();
    assert_eq!(status, Some(2), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not said: {said}");
    }
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let place = manager(&[("listen_port: 10000", &format!("listen_port: {port}"))]);
    let where_to = format!("cannot listen on 127.0.0.1:{port}");
    refused(&place, &[], &[&where_to, "in use", "listen_port"]);
}

#[test]
fn anonymous_access_from_anywhere() {
    let place = manager(&[
        ("listen_port: 10000", "listen_port: 0"),
        ("listen_address: 127.0.0.1", "listen_address: 0.0.0.0"),
    ]);
    let words = ["access is anonymous", "0.0.0.0", "allow_anonymous_remote"];
    refused(&place, &[], &words);
}

#[test]
fn files_that_are_not_there() {
    let place = manager(&[("listen_port: 10000", "listen_port: 0")]);
    refused(&place, &["-n", "other"], &["release_manager_other"]);
    let place = Place::new();
    fs::create_dir(place.path().join("m")).unwrap();
    refused(&place, &[], &["m/conf is no directory"]);
    fs::create_dir(place.path().join("m/conf")).unwrap();
    refused(&place, &[], &["release_manager_template"]);
    let place = Place::new();
    refused(&place, &[], &["m"]);
    let place = manager(&[
        ("listen_port: 10000", "listen_port: 0"),
        (
            "#tls: {certificate: conf/manager.pem",
            "tls: {certificate: conf/manager.pem",
        ),
    ]);
    refused(&place, &[], &["conf/manager.pem", "certificate"]);
    place.write("m/conf/manager.pem", "no certificate");
    place.write("m/conf/manager.key", "no key");
    refused(&place, &[], &["certificate"]);
}

#[test]
fn users_that_make_no_sense() {
    let auth = "m/conf/plugins/auth/plugin_auth_staff.yaml";
    let place = manager(&[("listen_port: 10000", "listen_port: 0\nauth: staff")]);
    refused(&place, &[], &["staff"]);
    place.write(
        auth,
        "klass: users\nusers: {ann: {password: secret, roles: [admin]}}\nroles: {admin: [{}]}\n",
    );
    refused(
        &place,
        &[],
        &["plugin_auth_staff", "user ann", "no argon2 hash"],
    );
    let hash =
        "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0$GVcYwSjsDOAg42gQzpvBq6Hf0GnSB4RfkrTyBTCmuEs";
    place.write(
        auth,
        &format!(
            "klass: users\nusers: {{ann: {{password: \"{hash}\", roles: [boss]}}}}\nroles: {{}}\n"
        ),
    );
    refused(&place, &[], &["user ann", "no role \"boss\""]);
}
