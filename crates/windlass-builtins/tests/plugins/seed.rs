//! The seed's own example, and the same in Perl, file for file.

use std::path::PathBuf;

use serde_json::json;
use windlass_builtins::plugins::{Wanted, load};
use windlass_model::outcome::Outcome;
use windlass_model::step::Level;

use crate::fakes::{FakeHands, FakeHelp, repository, rig, run};

async fn the_example_gives_the_seeds_lines(base: PathBuf) {
    let mut rig = rig();
    let wanted = Wanted {
        platform: Some("test"),
        commands: ["test_command".to_owned()].into(),
    };
    let plugins = rig.plugins.clone();
    let used = load(&mut rig.registry, &plugins, &[base], &wanted)
        .await
        .unwrap();
    assert_eq!(used.len(), 2, "{used:?}");
    assert!(used[0].starts_with("Using generator test of generators/test"));

    let help = FakeHelp::new(json!({"platform": "test"}));
    let generator = rig.registry.find_generator("test").unwrap();
    assert_eq!(generator.component(), "TestGenerator");
    let tasklist = generator.generate(&help).await.unwrap();
    assert_eq!(tasklist.name, "Test Generator");
    assert_eq!(
        *help.logged.lock().unwrap(),
        ["Info TestGenerator None None: Generating test task list"]
    );

    let (_, task) = tasklist.tasks().next().unwrap();
    let command = rig.initialize(task).await.unwrap();
    let kind = rig.registry.find_command("test_command").unwrap();
    assert_eq!(kind.component(), "TestCommand");
    assert_eq!(
        command.said(),
        [(
            Level::Info,
            "Initializing test command: Hello World / None".to_owned()
        )]
    );
    let mut hands = FakeHands::default();
    let verdict = run(&*command, &mut hands).await.unwrap();
    assert_eq!(verdict.outcome, Outcome::Changed);
    assert_eq!(
        hands.logged,
        ["Info TestCommand: Executing test command: Hello World / None"]
    );
    plugins.close().await;
}

#[tokio::test]
async fn in_python() {
    the_example_gives_the_seeds_lines(repository().join("examples/seed")).await;
}

#[tokio::test]
async fn in_perl() {
    the_example_gives_the_seeds_lines(repository().join("examples/perl")).await;
}
