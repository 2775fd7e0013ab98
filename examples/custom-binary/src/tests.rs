//! The program's own command and generator.

use std::collections::BTreeMap;
use std::path::Path;

use windlass_engine::command::{Command, InitContext, Turn};
use windlass_model::diagnostic::Diagnostics;
use windlass_model::ids::TaskId;
use windlass_model::step::Step;
use windlass_model::tasklist::Task;

use super::{config, generate, registry};

async fn initialize(task: &Task) -> Result<Box<dyn Command>, Diagnostics> {
    let registry = registry();
    let kind = registry.find_command(&task.command).unwrap();
    let cx = InitContext {
        task,
        id: TaskId::new(1, 1, 1),
        source: None,
        place: "stage \"Greet\", task 1.1.1 (greet)",
        path: "stages[0].tasks[0]",
        base: Path::new("/"),
        pinned: &BTreeMap::new(),
    };
    kind.initialize(&cx).await
}

fn steps(command: &dyn Command) -> Vec<Step> {
    let facts = windlass_engine::command::Facts {
        run: windlass_model::RunId::new("r").unwrap(),
        task: TaskId::new(1, 1, 1),
        host: windlass_model::HostName::local(),
        now: 0,
        user: windlass_model::step::As::Login,
    };
    match command.turn(&facts, &[]) {
        Turn::Last(steps) => steps,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_host_of_the_config_is_greeted() {
    let tasklist = generate(&registry(), config(&["local", "it's"]))
        .await
        .unwrap();
    let mut scripts = Vec::new();
    for (_, task) in tasklist.tasks() {
        let command = initialize(task).await.unwrap();
        for step in steps(&*command) {
            let Step::Run(run) = step else {
                panic!("{step:?}");
            };
            scripts.push((task.host().to_string(), run.script));
        }
    }
    assert_eq!(
        scripts,
        [
            ("local".to_owned(), r"printf 'Hello, %s\n' local".to_owned()),
            (
                "it's".to_owned(),
                r"printf 'Hello, %s\n' 'it'\''s'".to_owned()
            ),
        ]
    );
}

#[tokio::test]
async fn wrong_arguments_are_told() {
    let tasklist = generate(&registry(), config(&["local"])).await.unwrap();
    let mut task = tasklist.tasks().next().unwrap().1.clone();
    task.args.set("times", 0i64);
    let wrong = initialize(&task).await.err().unwrap().to_string();
    assert!(wrong.contains("`times` must be at least 1"), "{wrong}");
    task.args.set("tmies", 2i64);
    let wrong = initialize(&task).await.err().unwrap().to_string();
    assert!(
        wrong.contains("tmies") && wrong.contains("times"),
        "{wrong}"
    );
}
