//! The program deploys with its own generator and command.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// Runs the program in the directory of the example, with state of its own.
fn run(arguments: &[&str]) -> Output {
    let state = TempDir::new().unwrap();
    Command::new(env!("CARGO_BIN_EXE_custom-binary"))
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .env("XDG_STATE_HOME", state.path())
        .env("XDG_CACHE_HOME", state.path())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn every_host_of_the_config_is_greeted() {
    let ran = run(&["deploy", "--verbose"]);
    let log = text(&ran.stderr);
    assert!(ran.status.success(), "{log}");
    assert!(
        log.contains("[GreetingGenerator] [*] [*] Greeting 1 hosts"),
        "{log}"
    );
    assert!(log.contains("[local] [*] | Hello, local"), "{log}");
    assert!(log.contains("Finished stage: Greet"), "{log}");
}

#[test]
fn the_plan_shows_its_steps() {
    let ran = run(&["plan", "--hosts", "it's", "--show"]);
    let shown = text(&ran.stdout);
    assert!(
        shown.contains(r"printf 'Hello, %s\n' 'it'\''s'"),
        "{shown}{}",
        text(&ran.stderr)
    );
}

#[test]
fn its_command_is_documented_and_its_arguments_are_checked() {
    let listed = text(&run(&["commands", "greet"]).stdout);
    assert!(listed.contains("Who is greeted."), "{listed}");

    let dir = TempDir::new().unwrap();
    let tasks = dir.path().join("tasks.json");
    let greet = r#"{"command": "greet", "name": "x", "times": 0}"#;
    let tasklist = format!(
        r#"{{"name": "T", "stages": [{{"name": "S", "concurrency": 1, "tasks": [{greet}]}}]}}"#
    );
    std::fs::write(&tasks, tasklist).unwrap();
    let ran = run(&["plan", "--tasklist", tasks.to_str().unwrap()]);
    assert_eq!(ran.status.code(), Some(2));
    let said = text(&ran.stderr);
    assert!(said.contains("`times` must be at least 1"), "{said}");
}
