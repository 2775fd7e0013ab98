//! `tasklist`: any tasklist with the resource at hand, so that an install may go to hosts that run no installer.

use std::path::Path;

use async_trait::async_trait;
use windlass_engine::generator::{Generator, Help};
use windlass_model::diagnostic::{Diagnostic, Diagnostics, Source};
use windlass_model::release::InstallFacts;
use windlass_model::tasklist::{Tasklist, from_tree};
use windlass_model::tree::{Map, Node, parse_json};

use super::place::resource;
use super::variables::Variables;
use crate::behaviours::settings::{self, Settings};

/// Longest tasklist that is read, in bytes.
const LONGEST: u64 = 64 << 20;

/// The behaviour.
pub(in crate::behaviours) struct FromTasklist;

#[async_trait]
impl Generator for FromTasklist {
    fn name(&self) -> &str {
        "tasklist"
    }

    fn about(&self) -> String {
        "Runs a tasklist, of a file or the config itself, in which {resource}, {version} and more are put in.".into()
    }

    /// Which version is asked for is for the installer's own record to tell: a tasklist may do anything anywhere. Unless the config
    /// has `version_stages`, whose tasks give it as their output.
    async fn generate(&self, help: &dyn Help) -> Result<Tasklist, Diagnostics> {
        let facts = settings::install(help.config())?;
        let mut settings = Settings::new(help.config());
        let file = settings.text("tasklist");
        settings.faults.or(())?;
        let Some(resource) = resource(&facts)? else {
            let stages = help.config().get("version_stages");
            return inline(&facts, stages);
        };
        let variables = Variables::new(&facts, resource);
        match (file, help.config().get("stages")) {
            (Some(file), None) => read(&help.base().join(file), &variables).await,
            (None, Some(stages)) => inline(&facts, Some(&variables.fill(stages))),
            (Some(_), Some(_)) => {
                let fault =
                    Diagnostic::error("`tasklist` names a file, and `stages` stands here too");
                Err(fault.key("stages").hint("keep one of them").into())
            }
            (None, None) => {
                let fault = Diagnostic::error("there is neither `tasklist`, a file, nor `stages`");
                Err(fault.key("tasklist").into())
            }
        }
    }
}

fn inline(facts: &InstallFacts, stages: Option<&Node>) -> Result<Tasklist, Diagnostics> {
    let Some(stages) = stages else {
        return Ok(Tasklist::default());
    };
    let name = format!("Install {} into {}", facts.target, facts.environment);
    let tree = Map::from_iter([("name", Node::from(name)), ("stages", stages.clone())]);
    from_tree(tree.into(), None)
}

async fn read(path: &Path, variables: &Variables) -> Result<Tasklist, Diagnostics> {
    let shown = path.display().to_string();
    let wrong = |why: &dyn std::fmt::Display| {
        Diagnostics::from(
            Diagnostic::error(format!("{shown} cannot be read: {why}")).key("tasklist"),
        )
    };
    let size = tokio::fs::metadata(path)
        .await
        .map_err(|e| wrong(&e))?
        .len();
    if size > LONGEST {
        return Err(wrong(&"it is larger than 64 MiB"));
    }
    let text = tokio::fs::read_to_string(path)
        .await
        .map_err(|e| wrong(&e))?;
    let source = Source::new(shown, text);
    let tree = parse_json(&source)?;
    from_tree(variables.fill(&tree), Some(&source))
}
