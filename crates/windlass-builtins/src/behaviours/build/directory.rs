//! `directory`: the source as it is, as an archive for each target.

use async_trait::async_trait;
use windlass_engine::generator::{Generator, Help};
use windlass_model::diagnostic::Diagnostics;
use windlass_model::tasklist::Tasklist;

use super::resources::collect;
use crate::behaviours::settings::{self, Settings};
use crate::behaviours::tasklist;

/// The behaviour.
pub(in crate::behaviours) struct Directory;

#[async_trait]
impl Generator for Directory {
    fn name(&self) -> &str {
        "directory"
    }

    fn about(&self) -> String {
        "The source, or a part of it, archived for each target.".into()
    }

    async fn generate(&self, help: &dyn Help) -> Result<Tasklist, Diagnostics> {
        let facts = settings::build(help.config())?;
        let mut settings = Settings::new(help.config());
        let stage = collect(&facts, &mut settings, true);
        let made = tasklist(format!("Build {}", facts.project), vec![stage]);
        settings.faults.or(made)
    }
}
