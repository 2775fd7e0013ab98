//! `windlass environments`: where a manager can install to.

use clap::Args;

use crate::client::{ManagerOptions, ending, tables};
use crate::ending::Ending;
use crate::output::{print, print_json};

/// Lists a manager's environments, their targets, and who installs there
#[derive(Debug, Args)]
pub(crate) struct Environments {
    /// Print JSON: an array of objects
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    manager: ManagerOptions,
}

impl Environments {
    /// Lists them.
    pub(crate) async fn run(self) -> Result<(), Ending> {
        let environments = self.manager.client()?.environments().await;
        let environments = environments.map_err(ending)?;
        if self.json {
            return print_json(&environments);
        }
        let rows = environments.into_iter().map(|e| {
            let (from, targets) = (tables::or_dash(e.from), tables::list(e.targets));
            [
                e.environment.to_string(),
                from,
                targets,
                tables::list(e.installers),
            ]
        });
        let header = ["ENVIRONMENT", "FROM", "TARGETS", "INSTALLERS"];
        print(&tables::table(header, rows))
    }
}
