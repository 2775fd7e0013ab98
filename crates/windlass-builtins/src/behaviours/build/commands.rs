//! `commands`: shell lines in the source, then the files that they made.

use async_trait::async_trait;
use windlass_engine::generator::{Generator, Help};
use windlass_model::diagnostic::Diagnostics;
use windlass_model::release::BuildFacts;
use windlass_model::tasklist::{Job, Tasklist};
use windlass_model::tree::{Map, Node};

use super::resources::collect;
use crate::behaviours::settings::{self, Settings};
use crate::behaviours::{stage, task, tasklist};

/// The behaviour.
pub(in crate::behaviours) struct Commands;

#[async_trait]
impl Generator for Commands {
    fn name(&self) -> &str {
        "commands"
    }

    fn about(&self) -> String {
        "Runs shell lines in the source, and collects the files that they made.".into()
    }

    async fn generate(&self, help: &dyn Help) -> Result<Tasklist, Diagnostics> {
        let facts = settings::build(help.config())?;
        let mut settings = Settings::new(help.config());
        let lines = settings.texts("commands");
        let limit = settings.whole("time_limit", 0);
        let env = environment(&facts, settings.map("env"));
        let chain: Vec<_> = lines
            .into_iter()
            .map(|line| {
                let args: [(&'static str, Node); 4] = [
                    ("run", line.into()),
                    ("cwd", facts.source.to_string_lossy().into_owned().into()),
                    ("env", env.clone().into()),
                    // A build that is begun again begins with a fresh source.
                    ("safe_to_repeat", true.into()),
                ];
                let mut task = task("execute_command", facts.project.as_str(), args);
                task.time_limit = limit;
                task
            })
            .collect();
        let jobs = match chain.is_empty() {
            true => Vec::new(),
            false => vec![Job::Chain(chain)],
        };
        let collected = collect(&facts, &mut settings, false);
        let stages = vec![stage("Build", 1, jobs), collected];
        let made = tasklist(format!("Build {}", facts.project), stages);
        settings.faults.or(made)
    }
}

/// What every line finds in its environment, and what the config adds.
fn environment(facts: &BuildFacts, own: Option<&Map>) -> Map {
    let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let targets: Vec<&str> = facts.targets.iter().map(|target| target.as_str()).collect();
    let mut env = Map::from_iter([
        ("WINDLASS_PROJECT", facts.project.to_string()),
        ("WINDLASS_TARGETS", targets.join(" ")),
        ("WINDLASS_TRANSACTION", facts.transaction.to_string()),
        ("WINDLASS_JOB", facts.job.to_string()),
        ("WINDLASS_EPOCH", facts.epoch.to_string()),
        ("WINDLASS_SOURCE", path(&facts.source)),
        ("WINDLASS_RESOURCES", path(&facts.resources)),
        ("WINDLASS_REVISION_FILE", path(&facts.revision_file)),
        ("WINDLASS_VERSION_FILE", path(&facts.version_file)),
    ]);
    for entry in own.into_iter().flat_map(Map::iter) {
        env.set(&entry.key, entry.value.clone());
    }
    env
}
