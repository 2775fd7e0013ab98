//! `windlass projects`: what a manager can build and install.

use clap::Args;

use crate::client::{ManagerOptions, ending, tables};
use crate::ending::Ending;
use crate::output::{print, print_json};

/// Lists a manager's projects, their targets, and who builds them
#[derive(Debug, Args)]
pub(crate) struct Projects {
    /// Print JSON: an array of objects
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    manager: ManagerOptions,
}

impl Projects {
    /// Lists them.
    pub(crate) async fn run(self) -> Result<(), Ending> {
        let projects = self.manager.client()?.projects().await.map_err(ending)?;
        if self.json {
            return print_json(&projects);
        }
        let rows = projects.into_iter().map(|p| {
            let (targets, actions) = (tables::list(p.targets), tables::list(p.actions));
            [
                p.project.to_string(),
                targets,
                actions,
                tables::list(p.builders),
            ]
        });
        print(&tables::table(
            ["PROJECT", "TARGETS", "ACTIONS", "BUILDERS"],
            rows,
        ))
    }
}
