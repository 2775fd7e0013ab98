//! A tar on a host: `unpack` takes it as GNU tar does, or refuses it; and nothing of it is found elsewhere.
//!
//! The fuzzer does not see into the programs that run here, so this one guesses; it is the slowest of all.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use windlass_builtins::commands::register;
use windlass_engine::command::{InitContext, Turn};
use windlass_engine::registry::Registry;
use windlass_model::diagnostic::Source;
use windlass_model::ids::{HostName, RunId, TaskId};
use windlass_model::step::{As, Step};
use windlass_model::tasklist::Task;
use windlass_model::tree::{Value, parse_json};
use windlass_testkit::archives::guard::Listing;

/// See the module.
pub fn check(data: &[u8]) {
    let root = crate::scratch().join("unpacking");
    let _ = fs::remove_dir_all(&root);
    for dir in ["reference", "outside"] {
        fs::create_dir_all(root.join(dir)).expect("a directory");
    }
    fs::write(root.join("in.tar"), data).expect("an archive");
    fs::write(root.join("outside/victim"), "victim").expect("a victim");
    let wanted = reference(&root.join("reference"), data);
    let look = || Listing::of(&root, &["to", "reference"]).expect("a listing");
    let before = look();
    let status = Command::new("sh")
        .args(["-c", program(&root)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("sh");
    let outside = before.differences(&look());
    assert!(outside.is_empty(), "{outside:?}");
    let to = root.join("to");
    if !status.success() {
        assert!(to.symlink_metadata().is_err(), "refused, and yet there");
        return;
    }
    let found = Listing::of(&to, &[]).expect("a listing").plain();
    let wanted = wanted.expect("taken, and GNU tar fails");
    let differences = wanted.differences(&found);
    assert!(differences.is_empty(), "{differences:?}");
}

fn reference(to: &Path, data: &[u8]) -> Option<Listing> {
    let mut child = Command::new("tar")
        .args(["-xof", "-", "-C"])
        .arg(to)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("tar");
    // It may have enough before it has all.
    let _ = child.stdin.take().expect("a pipe").write_all(data);
    let status = child.wait().expect("tar");
    status
        .success()
        .then(|| Listing::of(to, &[]).expect("a listing").plain())
}

/// What `unpack` makes a host run.
fn program(root: &Path) -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let mut registry = Registry::new();
        register(&mut registry);
        let text = format!(
            "{{\"source\": \"{0}/in.tar\", \"destination\": \"{0}/to\"}}",
            root.display()
        );
        let source = Source::new("args.json", text);
        let Ok(Value::Map(args)) = parse_json(&source).map(|node| node.value) else {
            panic!("arguments are a map");
        };
        let task = Task {
            command: "unpack".into(),
            args,
            ..Task::default()
        };
        let cx = InitContext {
            task: &task,
            id: TaskId::new(1, 1, 1),
            source: Some(&source),
            place: &"task 1.1",
            path: &"stages[0].tasks[0]",
            base: root,
            pinned: &Default::default(),
        };
        let kind = registry.find_command("unpack").expect("a command");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let command = runtime
            .block_on(kind.initialize(&cx))
            .expect("good arguments");
        let facts = windlass_engine::command::Facts {
            run: RunId::new("20261121-213500-4f2a9c").expect("a run's id"),
            task: TaskId::new(1, 1, 1),
            host: HostName::local(),
            now: 1_795_297_000,
            user: As::Login,
        };
        match command.turn(&facts, &[]) {
            Turn::Do(steps) | Turn::Last(steps) => match steps.as_slice() {
                [Step::Run(run)] => run.script.clone(),
                steps => panic!("{steps:?}"),
            },
            turn => panic!("{turn:?}"),
        }
    })
}
