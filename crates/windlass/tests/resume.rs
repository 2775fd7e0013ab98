//! Runs that are gone on with, with real processes.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::Place;

/// A line that leaves its name, waits while a file `hold` is there, and ends as `NAME.status` says.
fn line(place: &Place, name: &str) -> String {
    let at = place.path().display();
    format!(
        "echo {name} >>{at}/witness; while [ -e {at}/hold.{name} ]; do sleep 0.05; done; \
         exit $(cat {at}/status.{name} 2>/dev/null || echo 0)"
    )
}

/// Not safe to repeat.
fn ask(place: &Place, name: &str) -> Value {
    json!({"command": "execute_command", "run": line(place, name)})
}

fn chain(place: &Place, names: &[&str]) {
    let tasks: Vec<Value> = names.iter().map(|name| ask(place, name)).collect();
    let list =
        json!({"name": "Resume", "stages": [{"name": "Work", "concurrency": 1, "tasks": [tasks]}]});
    place.write("tasks.json", &list.to_string());
}

fn deploy(place: &Place) -> support::Ran {
    place.windlass(&["deploy", "--tasklist", "tasks.json"])
}

fn start(place: &Place) -> Child {
    let mut command = place.command(&["deploy", "--tasklist", "tasks.json"]);
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn witness(place: &Place) -> Vec<String> {
    let text = fs::read_to_string(place.path().join("witness")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_there() {
        assert!(Instant::now() < end, "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The last run's id.
fn run_id(place: &Place) -> String {
    let ran = place.windlass(&["runs", "list", "--json"]).expect(0);
    let runs: Value = serde_json::from_str(&ran.stdout).unwrap();
    runs.as_array().unwrap().last().unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn shown(place: &Place) -> Value {
    let ran = place.windlass(&["runs", "show", "--json"]).expect(0);
    serde_json::from_str(&ran.stdout).unwrap()
}

fn journal(place: &Place) -> PathBuf {
    let runs = place.path().join(".state/windlass/runs");
    runs.join(run_id(place)).join("journal.jsonl")
}

/// Kills a run while its second task is under way, and lets what it left behind end.
fn killed(place: &Place) {
    chain(place, &["one", "two", "three"]);
    place.write("hold.two", "");
    let mut child = start(place);
    wait_for("the second task", || witness(place) == ["one", "two"]);
    child.kill().unwrap();
    child.wait().unwrap();
    fs::remove_file(place.path().join("hold.two")).unwrap();
}

/// The same, on a host that was started anew since, with what it kept of the task gone.
fn killed_and_forgotten(place: &Place) {
    killed(place);
    let kept = place
        .path()
        .join(".state/windlass/kept")
        .join(format!("{}@local", run_id(place)));
    let files = || {
        fs::read_dir(&kept)
            .unwrap()
            .flatten()
            .map(|file| file.path())
    };
    let is_over = |path: PathBuf| {
        path.to_str()
            .is_some_and(|p| p.contains("1.1.2") && p.ends_with("status"))
    };
    wait_for("the end of what was under way", || files().any(is_over));
    // Its shell finds that nobody listens, and ends; what it still renames must not come back.
    std::thread::sleep(Duration::from_millis(500));
    for path in files().filter(|path| path.is_file()) {
        let _ = fs::remove_file(path);
    }
}

#[test]
fn what_was_in_flight_when_it_was_killed_tells_how_it_ended() {
    let place = Place::new();
    killed(&place);
    let run = run_id(&place);
    place.windlass(&["deploy", "--resume", &run]).expect(0);
    assert_eq!(witness(&place), ["one", "two", "three"]);
    assert_eq!(shown(&place)["state"], json!("succeeded"));
}

#[test]
fn a_run_that_failed_goes_on_where_it_failed() {
    let place = Place::new();
    chain(&place, &["one", "two", "three"]);
    place.write("status.two", "7");
    let failed = deploy(&place).expect(1);
    let run = run_id(&place);
    assert!(
        failed
            .stderr
            .contains(&format!("next: windlass deploy --resume {run}")),
        "{}",
        failed.stderr
    );
    let show = place.windlass(&["runs", "show"]).expect(0).stdout;
    for wanted in [
        "(failed)",
        "1 done, 1 failed (1.1.2), 1 left",
        &format!("next: windlass deploy --resume {run}"),
    ] {
        assert!(show.contains(wanted), "{wanted}\n{show}");
    }
    place.write("status.two", "0");
    let resumed = place
        .windlass(&["deploy", "--resume", &run[..run.len() - 2]])
        .expect(0);
    assert!(
        resumed.stderr.contains("2 tasks are left"),
        "{}",
        resumed.stderr
    );
    assert_eq!(witness(&place), ["one", "two", "two", "three"]);
    let show = place.windlass(&["runs", "show"]).expect(0).stdout;
    assert!(
        show.contains("(succeeded)") && show.contains("resumed by tester@"),
        "{show}"
    );
    assert!(!show.contains("next:"), "{show}");
    let logs = place.windlass(&["runs", "logs"]).expect(0).stdout;
    assert!(logs.contains("Going on with run"), "{logs}");
}

#[test]
fn the_next_command_can_be_pasted() {
    let place = Place::new();
    chain(&place, &["one", "two"]);
    place.write("status.two", "7");
    place.write("my.yaml", "platform: test\n");
    let given = [
        "deploy",
        "--tasklist",
        "tasks.json",
        "--state-dir",
        "my runs",
        "--config",
        "my.yaml",
    ];
    let failed = place.windlass(&given).expect(1);
    let next = |text: &str| {
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("next: windlass "));
        line.unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    let (_, more) = failed.stderr.split_once("\n  more: windlass ").unwrap();
    let more = more.lines().next().unwrap().to_owned();
    let paste = |line: &str| {
        let mut command = place.command(&[]);
        let program = command.get_program().to_str().unwrap().to_owned();
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &format!("exec {program} {line}")]);
        shell.current_dir(place.path()).env_clear();
        shell.envs(
            command
                .env("PATH", std::env::var("PATH").unwrap())
                .get_envs()
                .filter_map(|(k, v)| Some((k, v?))),
        );
        support::Ran::of(shell.output().unwrap())
    };
    assert!(next(&failed.stderr).ends_with(" --state-dir 'my runs' --config my.yaml"));
    paste(&more).expect(0);
    let shown = paste("runs show --state-dir 'my runs'").expect(0).stdout;
    place.write("status.two", "0");
    paste(&next(&shown)).expect(0);
    assert_eq!(witness(&place), ["one", "two", "two"]);
}

#[test]
fn what_nobody_knows_of_is_asked_for() {
    for (option, wanted) in [
        ("--assume-done", ["one", "two", "three"].as_slice()),
        ("--run-again", &["one", "two", "two", "three"]),
    ] {
        let place = Place::new();
        killed_and_forgotten(&place);
        let run = run_id(&place);
        let show = shown(&place);
        assert_eq!(
            (&show["state"], &show["unknown"][0]["id"]),
            (&json!("cut off"), &json!("1.1.2"))
        );
        assert_eq!(
            show["next"],
            json!(format!("windlass deploy --resume {run}"))
        );
        let asked = place.windlass(&["deploy", "--resume", &run]).expect(4);
        assert!(
            asked.stderr.contains("--assume-done 1.1.2")
                && asked.stderr.contains("--run-again 1.1.2"),
            "{}",
            asked.stderr
        );
        assert_eq!(
            witness(&place),
            ["one", "two"],
            "nothing else of the chain runs"
        );
        let show = shown(&place);
        assert_eq!(show["state"], json!("unknown"));
        assert!(
            show["unknown"][0]["why"]
                .as_str()
                .unwrap()
                .contains("--run-again 1.1.2"),
            "{show}"
        );
        place
            .windlass(&[
                "deploy",
                "--resume",
                &run,
                option,
                "1.1.2",
                // Sent along with it; nobody knows of it either.
                "--run-again",
                "1.1.3",
            ])
            .expect(0);
        assert_eq!(witness(&place), wanted);
        assert_eq!(shown(&place)["state"], json!("succeeded"));
    }
}

/// Where what is kept here of the last run lies.
fn kept(place: &Place) -> PathBuf {
    place
        .path()
        .join(".state/windlass/kept")
        .join(format!("{}@local", run_id(place)))
}

#[test]
fn what_was_never_begun_is_done_without_asking() {
    let place = Place::new();
    killed(&place);
    // As if it had been killed when it had said that it sends the second task, and had not sent it yet.
    let text = fs::read_to_string(journal(&place)).unwrap();
    let sent = |line: &&str| line.contains("task_sent") && line.contains("1.1.2");
    let end = text.lines().position(|line| sent(&line)).unwrap();
    let lines: Vec<&str> = text.lines().take(end + 1).collect();
    fs::write(journal(&place), lines.join("\n") + "\n").unwrap();
    wait_for("the end of what was under way", || {
        kept(&place).join("1.1.2-1.0.status").exists()
    });
    std::thread::sleep(Duration::from_millis(500));
    for file in fs::read_dir(kept(&place)).unwrap().flatten() {
        if !["boot", "1.1.1"]
            .iter()
            .any(|begin| file.file_name().to_string_lossy().starts_with(begin))
        {
            fs::remove_file(file.path()).unwrap();
        }
    }
    fs::write(place.path().join("witness"), "one\n").unwrap();
    place
        .windlass(&["deploy", "--resume", &run_id(&place)])
        .expect(0);
    assert_eq!(witness(&place), ["one", "two", "three"]);
}

#[test]
fn what_was_kept_and_is_gone_is_asked_for_and_nothing_is_done_twice() {
    let place = Place::new();
    // A second chain on the same host makes it keep things anew.
    let one = |name: &str| vec![ask(&place, name)];
    let list = json!({"name": "Resume", "stages": [{"name": "Work", "concurrency": 2, "concurrency_per_host": 2, "tasks": [
        one("one"), [ask(&place, "other"), ask(&place, "last")]
    ]}]});
    place.write("tasks.json", &list.to_string());
    place.write("hold.one", "");
    place.write("status.other", "1");
    let mut child = start(&place);
    wait_for("both", || {
        witness(&place).len() == 2 && shown(&place)["failed"] != json!([])
    });
    child.kill().unwrap();
    child.wait().unwrap();
    fs::remove_file(place.path().join("hold.one")).unwrap();
    place.write("status.other", "0");
    std::thread::sleep(Duration::from_millis(500));
    fs::remove_dir_all(kept(&place)).unwrap();
    let run = run_id(&place);
    for _ in 0..2 {
        let asked = place.windlass(&["deploy", "--resume", &run]).expect(4);
        let place_of_it = format!("windlass/kept/{run}@local/1.1.1-1.");
        for wanted in [
            "what its host kept of this run is gone",
            &place_of_it,
            "--run-again 1.1.1",
        ] {
            assert!(asked.stderr.contains(wanted), "{wanted}\n{}", asked.stderr);
        }
        let done = witness(&place);
        assert_eq!(
            done.iter().filter(|name| *name == "one").count(),
            1,
            "{done:?}"
        );
        assert_eq!(
            done.iter().filter(|name| *name == "last").count(),
            1,
            "{done:?}"
        );
        assert!(kept(&place).exists(), "the other chain has made it anew");
    }
    place
        .windlass(&["deploy", "--resume", &run, "--assume-done", "1.1.1"])
        .expect(0);
    assert_eq!(witness(&place).len(), 4);
}

#[test]
fn what_windlass_ended_is_settled_by_what_is_kept_though_the_run_failed() {
    let place = Place::new();
    let mut task = ask(&place, "one");
    task["time_limit"] = json!(1);
    let list =
        json!({"name": "Limit", "stages": [{"name": "Work", "concurrency": 1, "tasks": [task]}]});
    place.write("tasks.json", &list.to_string());
    place.write("hold.one", "");
    deploy(&place).expect(1);
    fs::remove_file(place.path().join("hold.one")).unwrap();
    let asked = place
        .windlass(&["deploy", "--resume", &run_id(&place)])
        .expect(4);
    assert!(
        asked.stderr.contains("began there and was cut off"),
        "{}",
        asked.stderr
    );
    assert_eq!(witness(&place), ["one"]);
}

#[test]
fn a_run_that_was_killed_before_its_start_was_recorded_had_not_begun() {
    let place = Place::new();
    killed(&place);
    let path = journal(&place);
    let text = fs::read_to_string(&path).unwrap();
    let header = text.split_inclusive('\n').next().unwrap();
    fs::write(&path, header).unwrap();
    let run = shown(&place);
    assert_eq!(
        (&run["state"], &run["next"], &run["started"]),
        (&json!("not begun"), &json!(null), &json!(null))
    );
    let told = place.windlass(&["runs", "show"]).expect(0).stdout;
    assert!(
        told.ends_with(": not begun: Windlass ended before it did anything; deploy again\n"),
        "{told}"
    );
    let list = place.windlass(&["runs", "list"]).expect(0).stdout;
    assert!(list.trim_end().ends_with("not begun"), "{list}");
    let refused = place.windlass(&["deploy", "--resume", &run_id(&place)]);
    let said = refused.expect(2).stderr;
    assert!(
        said.contains("had not begun when Windlass ended: nothing was done"),
        "{said}"
    );
}

#[test]
fn a_torn_journal_is_mended() {
    let place = Place::new();
    killed(&place);
    let path = journal(&place);
    let mut text = fs::read(&path).unwrap();
    text.extend(b"{\"at\":17000000,\"event\":\"task_fin");
    fs::write(&path, &text).unwrap();
    assert_eq!(shown(&place)["state"], json!("cut off"));
    let run = run_id(&place);
    place
        .windlass(&["deploy", "--resume", &run, "--assume-done", "1.1.2"])
        .expect(0);
    let text = fs::read_to_string(&path).unwrap();
    for line in text.lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
    assert_eq!(shown(&place)["state"], json!("succeeded"));
}

#[test]
fn what_cannot_be_gone_on_with_is_refused() {
    let place = Place::new();
    let unknown = place.windlass(&["deploy", "--resume", "2030"]).expect(2);
    assert!(
        unknown.stderr.contains("there is no run `2030`"),
        "{}",
        unknown.stderr
    );
    chain(&place, &["one"]);
    deploy(&place).expect(0);
    let succeeded = place
        .windlass(&["deploy", "--resume", &run_id(&place)])
        .expect(2);
    assert!(
        succeeded
            .stderr
            .contains("succeeded: nothing of it is left"),
        "{}",
        succeeded.stderr
    );
    place.write("status.one", "1");
    deploy(&place).expect(1);
    let several = place.windlass(&["deploy", "--resume", "2"]).expect(2);
    assert!(
        several.stderr.contains("2 runs begin with `2`"),
        "{}",
        several.stderr
    );
    let run = run_id(&place);
    let misled = place
        .windlass(&[
            "deploy",
            "--resume",
            &run,
            "--assume-done",
            "1.1.2",
            "--redo",
            "loca",
        ])
        .expect(2);
    assert!(
        misled
            .stderr
            .contains("--assume-done 1.1.2: that task is not in the run"),
        "{}",
        misled.stderr
    );
    assert!(
        misled.stderr.contains("did you mean `local`?"),
        "{}",
        misled.stderr
    );
    let elsewhere = fs::read_to_string(journal(&place))
        .unwrap()
        .replace("tester@", "tester@far");
    fs::write(journal(&place), elsewhere).unwrap();
    let elsewhere = place.windlass(&["deploy", "--resume", &run]).expect(2);
    assert!(
        elsewhere.stderr.contains("was started on far"),
        "{}",
        elsewhere.stderr
    );
}

#[test]
fn a_run_that_is_running_is_left_alone() {
    let place = Place::new();
    chain(&place, &["one"]);
    place.write("hold.one", "");
    let mut child = start(&place);
    wait_for("the task", || witness(&place) == ["one"]);
    assert_eq!(shown(&place)["state"], json!("running"));
    let refused = place
        .windlass(&["deploy", "--resume", &run_id(&place)])
        .expect(2);
    let wanted = format!("is still running, as process {}", child.id());
    assert!(refused.stderr.contains(&wanted), "{}", refused.stderr);
    fs::remove_file(place.path().join("hold.one")).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(witness(&place), ["one"]);
}

#[test]
fn a_pinned_file_that_has_changed_stops_it_before_it_goes_on() {
    let place = Place::new();
    place.write("file", "1");
    place.write("status.one", "1");
    let list = json!({
        "name": "Pins", "stages": [{"name": "Work", "concurrency": 1, "tasks": [[
            ask(&place, "one"),
            {"command": "upload", "source": place.at("file"), "destination": place.at("")}
        ]]}],
        "plan": {"files": {place.at("file"): "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"}}
    });
    place.write("tasks.json", &list.to_string());
    deploy(&place).expect(1);
    place.write("file", "2");
    let refused = place
        .windlass(&["deploy", "--resume", &run_id(&place)])
        .expect(2);
    assert!(
        refused.stderr.contains("has changed since it was planned"),
        "{}",
        refused.stderr
    );
    assert_eq!(shown(&place)["resumed"], json!([]));
}

#[test]
fn a_host_that_is_left_out_is_behind_until_it_is_done() {
    let place = Place::new();
    chain(&place, &["one"]);
    let mut command = place.command(&["deploy", "--tasklist", "tasks.json", "--without", "local"]);
    assert!(command.output().unwrap().status.success());
    let show = shown(&place);
    assert_eq!(
        (&show["state"], &show["behind"]),
        (&json!("succeeded"), &json!(["local"]))
    );
    assert!(
        place
            .windlass(&["runs", "show"])
            .stdout
            .contains("left out, and behind: local")
    );
    place
        .windlass(&["deploy", "--resume", &run_id(&place)])
        .expect(0);
    assert_eq!(witness(&place), ["one"]);
    assert_eq!(shown(&place)["behind"], json!([]));
}

#[test]
fn a_distrusted_host_is_done_again() {
    let place = Place::new();
    chain(&place, &["one", "two"]);
    place.write("status.two", "1");
    deploy(&place).expect(1);
    place.write("status.two", "0");
    place
        .windlass(&["deploy", "--resume", &run_id(&place), "--redo", "local"])
        .expect(0);
    assert_eq!(witness(&place), ["one", "two", "one", "two"]);
}
