//! The command line of the release system, where no manager is needed: arguments, credentials, and a manager that is away.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use support::{Place, Ran};

/// Nobody listens there: the port is reserved.
const NOBODY: &str = "http://127.0.0.1:1";

fn run(place: &Place, arguments: &[&str]) -> Ran {
    let mut command = place.command(arguments);
    for name in ["MANAGER", "USERNAME", "PASSWORD", "TOKEN"] {
        command.env_remove(format!("WINDLASS_{name}"));
    }
    Ran::of(command.output().unwrap())
}

/// Exit status 2, and what was said.
fn refused(place: &Place, arguments: &[&str]) -> String {
    let ran = run(place, arguments).expect(2);
    assert_eq!(ran.stdout, "");
    place.normal(&ran.stderr)
}

#[test]
fn a_manager_that_is_away() {
    let place = Place::new();
    let verbs: [&[&str]; 7] = [
        &["projects"],
        &["status", "t1"],
        &["history"],
        &["agents", "drain", "builder", "b1"],
        &["where", "--project", "shop"],
        &["rollback", "--project", "shop", "--env", "qa"],
        &["request", "shop"],
    ];
    for verb in verbs {
        let ran = run(&place, &[verb, &["--manager", NOBODY]].concat()).expect(3);
        assert_eq!(ran.stdout, "");
        let why = format!("error: the manager is not reached: {NOBODY}: ");
        assert!(ran.stderr.starts_with(&why), "{verb:?}: {}", ran.stderr);
        assert!(
            ran.stderr.contains("= hint: is it running"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn the_environment_names_the_manager() {
    let place = Place::new();
    let mut command = place.command(&["projects"]);
    let ran = Ran::of(command.env("WINDLASS_MANAGER", NOBODY).output().unwrap()).expect(3);
    assert!(ran.stderr.contains(NOBODY), "{}", ran.stderr);
}

#[test]
fn arguments_at_fault() {
    let place = Place::new();
    let mut shown = String::new();
    let all: [&[&str]; 12] = [
        &["request", "shop", "--release", "1.0"],
        &["request", "shop", "--release", "till@1.0", "--env", "qa"],
        &["request", "shop", "--data", "a=1", "--data", "a=2"],
        &["request", "shop", "--data", "env=qa"],
        &["request", "../shop"],
        &["request", "shop", "--trunk", "--tag", "v1"],
        &["settle", "t1", "j1"],
        &["rollback", "--project", "shop"],
        &[
            "rollback",
            "--project",
            "shop",
            "--env",
            "qa",
            "--hosts",
            "a",
        ],
        &["where", "--manager", NOBODY],
        &["projects", "--manager", "shop.example:10000"],
        &["projects", "--manager", "http://ann:secret@localhost"],
    ];
    for arguments in all {
        let said = refused(&place, arguments);
        shown.push_str(&format!("$ windlass {}\n{said}\n", arguments.join(" ")));
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn credentials_are_for_nobody_else() {
    let place = Place::new();
    let path = place.write("credentials", "ann\nsecret\n");
    let arguments = [
        "projects",
        "--manager",
        NOBODY,
        "--credentials",
        "credentials",
    ];
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    insta::assert_snapshot!(refused(&place, &arguments), @r"
    error: credentials credentials can be read by others: its mode is 0640
      = hint: chmod 600 credentials
    ");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    run(&place, &arguments).expect(3);
    place.write("credentials", "username: ann\npassword: [secret\n");
    let said = refused(&place, &arguments);
    assert!(
        said.contains("it is no YAML") && !said.contains("secret"),
        "{said}"
    );
}

#[test]
fn no_password_over_plain_http() {
    let place = Place::new();
    let mut command = place.command(&["projects", "--manager", "http://192.0.2.1:10000"]);
    let ran = Ran::of(command.env("WINDLASS_TOKEN", "secret").output().unwrap()).expect(2);
    insta::assert_snapshot!(ran.stderr, @r"
    error: no password is sent over plain HTTP to another machine: http://192.0.2.1:10000
      = hint: name the manager with https://, and let it have a certificate
    ");
}

#[test]
fn archives_that_are_none() {
    let place = Place::new();
    place.write("a.zip", "no zip");
    let import = ["release", "import", "a.zip", "--manager", NOBODY];
    let said = refused(&place, &import);
    assert!(
        said.contains("a.zip is no release that can be imported"),
        "{said}"
    );
}
