//! The seed's own example: config, generator and command as printed there give its log lines.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]

mod support;

use std::path::Path;

use support::Place;

/// What the seed shows, less the times.
const LINES: &str = "\
TIME [INFO    ] [Config         ] [*] [*] Loading configuration from test.conf
TIME [INFO    ] [TestGenerator  ] [*] [*] Generating test task list
TIME [INFO    ] [TestCommand    ] [*] [*] Initializing test command: Hello World / None
TIME [INFO    ] [Executor       ] [*] [*] Starting stage: Test stage
TIME [INFO    ] [TestCommand    ] [local] [*] Executing test command: Hello World / None
TIME [INFO    ] [Executor       ] [*] [*] Finished stage: Test stage
";

fn example(name: &str) -> Place {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples")
        .join(name);
    let place = Place::new();
    for path in walk(&from) {
        let to = place.path().join(path.strip_prefix(&from).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(&path, &to).unwrap();
    }
    place
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn built_in() {
    let place = Place::new();
    place.write("test.conf", "platform: test\n");
    let ran = place
        .windlass(&["deploy", "--config", "test.conf"])
        .expect(0);
    assert_eq!(place.normal(&ran.stderr), LINES);
}

#[test]
fn in_python_as_printed() {
    let place = example("seed");
    let ran = place
        .windlass(&["deploy", "--config", "test.conf"])
        .expect(0);
    assert_eq!(place.normal(&ran.stderr), LINES);
}

#[test]
fn in_perl() {
    let place = example("perl");
    let ran = place
        .windlass(&["deploy", "--config", "test.conf"])
        .expect(0);
    assert_eq!(place.normal(&ran.stderr), LINES);
}

#[test]
fn by_the_top_level_script() {
    let place = example("seed");
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../python");
    let output = std::process::Command::new("python3")
        .args(["test.py", "--config", "test.conf"])
        .current_dir(place.path())
        .env("PYTHONPATH", python)
        .env("WINDLASS_BIN", env!("CARGO_BIN_EXE_windlass"))
        .env("XDG_STATE_HOME", place.path().join(".state"))
        .env("XDG_CACHE_HOME", place.path().join(".cache"))
        .output()
        .unwrap();
    let ran = support::Ran::of(output).expect(0);
    assert_eq!(place.normal(&ran.stderr), LINES, "stdout: {}", ran.stdout);
}

#[test]
fn by_the_seeds_names() {
    let place = Place::new();
    place.write("test.conf", "platform: test\n");
    for name in ["deploy.py", "build_tasklist.py", "deploy", "build_tasklist"] {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_windlass"), place.path().join(name))
            .unwrap();
    }
    let run = |name: &str, arguments: &[&str]| {
        let mut command = std::process::Command::new(place.path().join(name));
        command.args(arguments).current_dir(place.path());
        command
            .env("XDG_STATE_HOME", place.at(".state"))
            .env("XDG_CACHE_HOME", place.at(".cache"));
        support::Ran::of(command.output().unwrap()).expect(0)
    };
    assert_eq!(
        run("build_tasklist.py", &["--config", "test.conf"]).stdout,
        "Syntax ok\n"
    );
    run(
        "build_tasklist",
        &["--config", "test.conf", "--save", "tasklist.json"],
    );
    let ran = run("deploy.py", &["--tasklist", "tasklist.json"]);
    assert!(
        ran.stderr
            .contains("Executing test command: Hello World / None"),
        "{}",
        ran.stderr
    );
    let dumped = run("build_tasklist.py", &["--config", "test.conf", "--dump"]).stdout;
    assert_eq!(
        dumped,
        std::fs::read_to_string(place.path().join("tasklist.json")).unwrap()
    );
    run("deploy", &["--config", "test.conf"]);
}

#[test]
fn a_hand_edited_tasklist_runs() {
    let place = Place::new();
    place.write("test.conf", "platform: test\n");
    place
        .windlass(&["plan", "--config", "test.conf", "--save", "t.json"])
        .expect(0);
    let text = std::fs::read_to_string(place.path().join("t.json")).unwrap();
    place.write("t.json", &text.replace("Hello World", "Hello yourself"));
    let ran = place
        .windlass(&["deploy", "--tasklist", "t.json"])
        .expect(0);
    assert!(
        ran.stderr
            .contains("Executing test command: Hello yourself / None")
    );
}
