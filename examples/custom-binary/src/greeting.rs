//! The generator of `platform: greeting`: one task for each host of the config's `hosts`.

use async_trait::async_trait;
use windlass_engine::generator::{Generator, Help};
use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::ids::HostName;
use windlass_model::step::Level;
use windlass_model::tasklist::{Job, Stage, Task, Tasklist};
use windlass_model::tree::{Map, Node};

/// The generator.
pub(crate) struct Greeting;

#[async_trait]
impl Generator for Greeting {
    fn name(&self) -> &str {
        "greeting"
    }

    fn about(&self) -> String {
        "Greets every host".to_owned()
    }

    async fn generate(&self, help: &dyn Help) -> Result<Tasklist, Diagnostics> {
        let hosts = help.config().tree.get("hosts").and_then(Node::as_list);
        let Some(hosts) = hosts else {
            let wrong = Diagnostic::error("the config has no list `hosts`").key("hosts");
            return Err(wrong.into());
        };
        let message = format!("Greeting {} hosts", hosts.len());
        help.log(Level::Info, &self.component(), None, None, &message);
        let jobs = hosts.iter().filter_map(Node::as_str).map(greet).collect();
        let stage = Stage {
            name: "Greet".to_owned(),
            concurrency: 10,
            jobs,
            ..Stage::default()
        };
        Ok(Tasklist {
            name: "Greetings".to_owned(),
            stages: vec![stage],
            ..Tasklist::default()
        })
    }
}

fn greet(host: &str) -> Job {
    let mut args = Map::default();
    args.set("name", host);
    Job::Task(Task {
        command: "greet".to_owned(),
        remote_host: (host != HostName::LOCAL).then(|| HostName::new(host)),
        args,
        ..Task::default()
    })
}
