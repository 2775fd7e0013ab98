//! Shell lines and checks.

use serde_json::json;
use windlass_model::outcome::Outcome;

use crate::background::{Server, free_port};
use crate::drive::run;

#[test]
fn a_line_runs_once_for_what_it_creates() {
    let dir = tempfile::tempdir().unwrap();
    let done = dir.path().join("it's done");
    let args = json!({
        "run": "echo \"$WHAT\" >>\"$TO\"; pwd", "cwd": "/tmp", "creates": done,
        "env": {"WHAT": "a 'b' $c", "TO": done}
    });
    assert_eq!(
        run("execute_command", args.clone()).outcome,
        Outcome::Changed
    );
    let second = run("execute_command", args).outcome;
    assert!(matches!(second, Outcome::Skipped(_)), "{second}");
    assert_eq!(std::fs::read_to_string(done).unwrap(), "a 'b' $c\n");
    let third = run("execute_command", json!({"run": "echo oops >&2; exit 4"}));
    assert_eq!(
        third.failure(),
        "`echo oops >&2; exit 4` failed: oops (exit status 4)"
    );
}

#[test]
fn a_migration_runs_where_there_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let args = json!({"source": "true", "if_exists": dir.path()});
    assert_eq!(run("dbmigration", args).outcome, Outcome::Changed);
    let args = json!({"source": "false", "if_exists": dir.path().join("x")});
    assert!(matches!(
        run("dbmigration", args).outcome,
        Outcome::Skipped(_)
    ));
}

#[test]
fn a_url_is_asked_until_it_is_well() {
    let server = Server::http(&[(503, "starting"), (200, "starting"), (200, "is ready")]);
    let args = json!({"url": server.url(), "want_text": "ready", "timeout": 10});
    let done = run("check_service", args);
    assert_eq!((done.outcome, done.steps), (Outcome::Unchanged, 3));
    assert!(
        server
            .heard
            .recv()
            .unwrap()
            .starts_with("GET /healthz HTTP/1.1\r\n")
    );
}

#[test]
fn a_check_that_never_passes_tells_its_last_result() {
    let server = Server::http(&[(500, "no database")]);
    let url = server.url();
    let args = json!({"url": url, "timeout": 2, "notify_interval": 1});
    let done = run("check_service", args);
    assert_eq!(
        done.failure(),
        format!("check `{url}` did not pass within 2 s: last: status 500, body `no database`")
    );
    assert!(!done.said.is_empty());
    let port = free_port();
    let done = run(
        "check_service",
        json!({"url": format!("http://127.0.0.1:{port}/"), "timeout": 0}),
    );
    assert!(done.failure().contains("refused"), "{}", done.failure());
}

#[test]
fn a_command_is_asked_until_it_is_well() {
    let dir = tempfile::tempdir().unwrap();
    let count = dir.path().join("n");
    let line = format!(
        "echo x >>{0}; [ $(wc -l <{0}) -ge 3 ] && exit 7",
        count.display()
    );
    let done = run(
        "check_service",
        json!({"check_command": line, "want_state": 7}),
    );
    assert_eq!((done.outcome, done.steps), (Outcome::Unchanged, 3));
    let done = run(
        "check_service",
        json!({"check_command": "echo bad >&2; false", "timeout": 1}),
    );
    assert_eq!(
        done.failure(),
        "check `echo bad >&2; false` did not pass within 1 s: last: bad (exit status 1)"
    );
}

#[test]
fn given_lines_are_believed_and_checks_more_so() {
    let dir = tempfile::tempdir().unwrap();
    let up = dir.path().join("up").display().to_string();
    let start = json!({
        "start_command": format!("(sleep 1; touch {up}) & true"),
        "check_command": format!("test -e {up}"), "timeout": 10
    });
    assert_eq!(
        run("start_service", start.clone()).outcome,
        Outcome::Changed
    );
    assert_eq!(run("start_service", start).outcome, Outcome::Unchanged);
    let stop =
        json!({"stop_command": format!("rm {up}"), "check_command": format!("test -e {up}")});
    assert_eq!(run("stop_service", stop.clone()).outcome, Outcome::Changed);
    assert_eq!(run("stop_service", stop).outcome, Outcome::Unchanged);
    let control = json!({
        "servicename": "shop", "action": "reload", "control_type": "command",
        "control_command": format!("echo $SERVICENAME $ACTION >{up}")
    });
    assert_eq!(run("control_service", control).outcome, Outcome::Changed);
    assert_eq!(std::fs::read_to_string(&up).unwrap(), "shop reload\n");
    let never = json!({"start_command": "true", "check_command": "false", "timeout": 1});
    let done = run("start_service", never);
    assert_eq!(
        done.failure(),
        "the service (`true`): check `false` does not pass 1 s after the start; last: exit status 1"
    );
}
