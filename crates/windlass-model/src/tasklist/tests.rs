//! Tests of reading and writing tasklists.

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::ids::HostName;
use crate::tree::{Value, parse_json};

fn errors(text: &str) -> String {
    match read(&Source::new("t.json", text)) {
        Ok(tasklist) => format!("no error: {tasklist:?}"),
        Err(errors) => errors.to_string(),
    }
}

/// A tasklist of one stage with these tasks.
fn stage(tasks: &str) -> String {
    format!(
        "{{\"name\": \"n\", \"stages\": [{{\"name\": \"Upload\", \"concurrency\": 1, \"tasks\": [\n{tasks}\n]}}]}}"
    )
}

fn written(tasklist: &Tasklist) -> String {
    let mut out = Vec::new();
    write(tasklist, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_design_example_is_read_and_written_back_the_same() {
    let text = include_str!("example.json");
    let tasklist = read(&Source::new("example.json", text)).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(written(&tasklist), text);
    let ids: Vec<String> = tasklist
        .tasks()
        .map(|(id, t)| format!("{id} {}", t.command))
        .collect();
    assert_eq!(
        ids,
        ["1.1.1 upload", "1.2.1 stop_service", "1.2.2 start_service"]
    );
    let task = &tasklist.stages[0].jobs[0].tasks()[0];
    assert_eq!(task.host().as_str(), "fe001");
    assert_eq!(
        task.args.get("password").unwrap().kind(),
        "a secret reference"
    );
}

#[test]
fn nothing_and_null_are_the_same() {
    let tasklist = read(&Source::new(
        "t",
        stage(r#"{"command": "x", "remote_host": null, "tag": null, "a": null}"#),
    ))
    .unwrap();
    let task = &tasklist.stages[0].jobs[0].tasks()[0];
    assert_eq!(task.host(), HostName::local());
    assert_eq!(task.args.get("a").map(|n| &n.value), Some(&Value::Null));
    assert!(read(&Source::new("t", r#"{"name": "n", "stages": []}"#)).is_ok());
    assert!(read(&Source::new("t", stage(""))).is_ok());
}

#[test]
fn all_errors_come_at_once() {
    assert_snapshot!(errors(r#"{"nam": "n", "stages": [
  {"name": "A", "concurrency": 0, "concurrency_per_hots": 2, "tasks": [
    {"comand": "upload"},
    {"command": "upload", "remote_host": "-oProxyCommand=x", "time_limit": -1, "use_sudo": "yes"},
    [],
    [{"command": "a"}, [{"command": "b"}]],
    7
  ]},
  {"concurrency": "many", "finally": 1}
]}"#), @r#"
error: t.json:1:2: unknown key `nam` of the tasklist
  |
1 | {"nam": "n", "stages": [
  |  ^^^^^
  = key: nam
  = hint: did you mean `name`?
error: t.json:2:32: `concurrency` is 0, but a whole number of at least 1 is wanted
  |
2 |   {"name": "A", "concurrency": 0, "concurrency_per_hots": 2, "tasks": [
  |                                ^
  = key: stages[0].concurrency
  = in: stage "A" (1)
error: t.json:2:35: unknown key `concurrency_per_hots` of a stage
  |
2 |   {"name": "A", "concurrency": 0, "concurrency_per_hots": 2, "tasks": [
  |                                   ^^^^^^^^^^^^^^^^^^^^^^
  = key: stages[0].concurrency_per_hots
  = in: stage "A" (1)
  = hint: did you mean `concurrency_per_host`?
error: t.json:3:5: the task lacks the key `command`
  |
3 |     {"comand": "upload"},
  |     ^^^^^^^^^^^^^^^^^^^^
  = key: stages[0].tasks[0]
  = in: stage "A", task 1.1.1 (?)
error: t.json:4:42: `remote_host` must not begin with `-`
  |
4 |     {"command": "upload", "remote_host": "-oProxyCommand=x", "time_limit": -1, "use_sudo": "yes"},
  |                                          ^^^^^^^^^^^^^^^^^^
  = key: stages[0].tasks[1].remote_host
  = in: stage "A", task 1.2.1 (upload)
error: t.json:4:76: `time_limit` is -1, but a whole number of at least 0 is wanted
  |
4 |     {"command": "upload", "remote_host": "-oProxyCommand=x", "time_limit": -1, "use_sudo": "yes"},
  |                                                                            ^^
  = key: stages[0].tasks[1].time_limit
  = in: stage "A", task 1.2.1 (upload)
error: t.json:4:92: `use_sudo` is a string, but true or false is wanted
  |
4 |     {"command": "upload", "remote_host": "-oProxyCommand=x", "time_limit": -1, "use_sudo": "yes"},
  |                                                                                            ^^^^^
  = key: stages[0].tasks[1].use_sudo
  = in: stage "A", task 1.2.1 (upload)
error: t.json:5:5: a chain must hold at least one task
  |
5 |     [],
  |     ^^
  = key: stages[0].tasks[2]
  = in: stage "A", chain 1.3
  = hint: take the empty list away
error: t.json:6:24: a chain cannot stand in a chain
  |
6 |     [{"command": "a"}, [{"command": "b"}]],
  |                        ^^^^^^^^^^^^^^^^^^
  = key: stages[0].tasks[3][1]
  = in: stage "A", chain 1.4
  = hint: put its tasks into the outer chain, one after the other
error: t.json:7:5: a task is a map and a chain a list, but here is a whole number
  |
7 |     7
  |     ^
  = key: stages[0].tasks[4]
  = in: stage "A", task 1.5.1 (?)
error: t.json:9:19: `concurrency` is a string, but a whole number of at least 1 is wanted
  |
9 |   {"concurrency": "many", "finally": 1}
  |                   ^^^^^^
  = key: stages[1].concurrency
  = in: stage "" (2)
error: t.json:9:38: `finally` is 1, but true or false is wanted
  |
9 |   {"concurrency": "many", "finally": 1}
  |                                      ^
  = key: stages[1].finally
  = in: stage "" (2)
error: t.json:9:3: the stage lacks the key `name`
  |
9 |   {"concurrency": "many", "finally": 1}
  |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = key: stages[1]
  = in: stage "" (2)
error: t.json:9:3: the stage lacks the key `tasks`
  |
9 |   {"concurrency": "many", "finally": 1}
  |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = key: stages[1]
  = in: stage "" (2)
error: t.json:1:1: the tasklist lacks the key `name`
  |
1 | {"nam": "n", "stages": [
  | ^^^^^^^^^^^^^^^^^^^^^^^^
"#);
}

#[test]
fn a_plan_is_checked() {
    assert_snapshot!(errors(r#"{"name": "n", "stages": [], "plan": {"lokcs": []}}"#), @r#"
error: t.json:1:38: unknown key `lokcs`
  |
1 | {"name": "n", "stages": [], "plan": {"lokcs": []}}
  |                                      ^^^^^^^
  = key: plan.lokcs
  = hint: did you mean `locks`?
"#);
    assert_snapshot!(errors(r#"{"name": "n", "stages": [], "plan": {"receipts": [{"job": 1}]}}"#), @r#"
error: t.json:1:59: here is `1`, but a string is wanted
  |
1 | {"name": "n", "stages": [], "plan": {"receipts": [{"job": 1}]}}
  |                                                           ^
  = key: plan.receipts[0].job
"#);
}

#[test]
fn no_secret_where_the_engine_reads() {
    assert_snapshot!(errors(&stage(r#"{"command": "x", "remote_user": {"$secret": {"env": "U"}}}"#)), @r#"
error: t.json:2:33: a secret reference cannot stand here; hand it over in `env`
  |
2 | {"command": "x", "remote_user": {"$secret": {"env": "U"}}}
  |                                 ^^^^^^^^^^^^^^^^^^^^^^^^^
  = key: stages[0].tasks[0].remote_user
  = in: stage "Upload", task 1.1.1 (x)
"#);
}

#[test]
fn many_errors_are_counted() {
    let tasks = vec!["{}"; 5000].join(",");
    assert!(errors(&stage(&tasks)).ends_with("error: and 4000 more errors\n"));
}

#[test]
fn what_cannot_be_read_back_is_not_written() {
    let mut tasklist = read(&Source::new("t", stage(r#"{"command": "x"}"#))).unwrap();
    let task = &mut tasklist.stages[0].jobs[0].tasks_mut()[0];
    task.args.set("tag", "t");
    assert!(write(&tasklist, &mut Vec::new()).is_err());
}

fn any_task() -> impl Strategy<Value = Task> {
    (
        (
            "[a-z_]{1,8}",
            proptest::option::of("[a-z0-9.]{1,6}"),
            proptest::option::of("[a-z]{1,4}"),
        ),
        (
            proptest::option::of(any::<String>()),
            any::<Option<bool>>(),
            any::<Option<u32>>(),
            any::<Option<u32>>(),
        ),
        proptest::collection::vec(("arg_[a-z]{1,3}", crate::tree::tests::any_node()), 0..3),
    )
        .prop_map(
            |((command, host, user), (tag, use_sudo, time_limit, retries), args)| Task {
                command,
                remote_host: host.map(|h| HostName::new(&h)),
                remote_user: user,
                tag,
                use_sudo,
                time_limit,
                retries,
                retry_delay: retries,
                args: args.into_iter().collect(),
                span: Span::default(),
            },
        )
}

fn any_tasklist() -> impl Strategy<Value = Tasklist> {
    let job = prop_oneof![
        any_task().prop_map(Job::Task),
        proptest::collection::vec(any_task(), 1..3).prop_map(Job::Chain),
    ];
    let stage = (
        any::<String>(),
        1..9u32,
        proptest::option::of(1..9u32),
        any::<Option<u32>>(),
        any::<bool>(),
        proptest::collection::vec(job, 0..4),
    )
        .prop_map(
            |(name, concurrency, concurrency_per_host, max_failures, finally, jobs)| Stage {
                name,
                concurrency,
                concurrency_per_host,
                max_failures,
                finally,
                jobs,
                span: Span::default(),
            },
        );
    let plan =
        proptest::collection::btree_map("[a-z/]{1,5}", "[0-9a-f]{4}", 0..3).prop_map(|files| {
            Plan {
                files,
                locks: vec!["h".into()],
                ..Plan::default()
            }
        });
    (
        any::<String>(),
        proptest::collection::vec(stage, 0..3),
        proptest::option::of(plan),
    )
        .prop_map(|(name, stages, plan)| Tasklist {
            name,
            stages,
            plan,
            source: None,
        })
}

/// Places differ between what was made and what was read.
fn without_places(mut tasklist: Tasklist) -> Tasklist {
    tasklist.source = None;
    for stage in &mut tasklist.stages {
        stage.span = Span::default();
        for job in &mut stage.jobs {
            job.tasks_mut()
                .iter_mut()
                .for_each(|t| t.span = Span::default());
        }
    }
    tasklist
}

proptest! {
    #[test]
    fn a_tasklist_is_read_as_it_was_written(tasklist in any_tasklist()) {
        let text = written(&tasklist);
        let again = read(&Source::new("t", text.clone())).unwrap_or_else(|e| panic!("{e}"));
        prop_assert_eq!(&written(&again), &text);
        prop_assert_eq!(without_places(again), tasklist);
    }

    #[test]
    fn no_tree_makes_the_reader_panic(node in crate::tree::tests::any_node()) {
        let _ = from_tree(node, None);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[\\[\\]{}\",:0-9a-c \\\\]{0,40}") {
        let _ = parse_json(&Source::new("t", text.clone()));
        let _ = read(&Source::new("t", stage(&text)));
    }
}
