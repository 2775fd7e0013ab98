//! `test`: the generator of the first seed's example, one task that logs.

use async_trait::async_trait;
use windlass_engine::generator::{Generator, Help};
use windlass_model::diagnostic::Diagnostics;
use windlass_model::step::Level;
use windlass_model::tasklist::{Job, Stage, Task, Tasklist};
use windlass_model::tree::Map;

/// The generator.
pub struct TestGenerator;

#[async_trait]
impl Generator for TestGenerator {
    fn name(&self) -> &str {
        "test"
    }

    fn about(&self) -> String {
        "One task that logs a greeting; touches no host.".into()
    }

    async fn generate(&self, help: &dyn Help) -> Result<Tasklist, Diagnostics> {
        let message = "Generating test task list";
        help.log(Level::Info, &self.component(), None, None, message);
        let task = Task {
            command: "test_command".into(),
            args: Map::from_iter([("message", "Hello World")]),
            ..Task::default()
        };
        let stage = Stage {
            name: "Test stage".into(),
            concurrency: 1,
            jobs: vec![Job::Task(task)],
            ..Stage::default()
        };
        Ok(Tasklist {
            name: "Test Generator".into(),
            stages: vec![stage],
            ..Tasklist::default()
        })
    }
}
