//! `windlass history`: what is recorded about a transaction, or the newest transactions.

use clap::Args;
use windlass_model::release::{Project, TransactionId};

use crate::client::{ManagerOptions, ending, tables};
use crate::ending::Ending;
use crate::output::{print, print_json};

/// Shows everything that is recorded about a transaction, or the newest transactions
#[derive(Debug, Args)]
pub(crate) struct History {
    /// Which; the newest of all if left out
    transaction: Option<TransactionId>,
    /// Only transactions of this project
    #[arg(long, conflicts_with = "transaction")]
    project: Option<Project>,
    /// Transactions at most
    #[arg(long, default_value_t = 20, value_name = "N", conflicts_with = "transaction",
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Forget what is recorded about transactions that ended so many days ago or earlier; the transactions stay
    #[arg(long, value_name = "DAYS", conflicts_with_all = ["transaction", "project"])]
    prune: Option<u32>,
    /// Print JSON: an array of objects
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    manager: ManagerOptions,
}

impl History {
    /// Shows it: of one transaction oldest first, of all newest first.
    pub(crate) async fn run(self) -> Result<(), Ending> {
        let client = self.manager.client()?;
        if let Some(days) = self.prune {
            let pruned = client.prune(days).await.map_err(ending)?;
            return match self.json {
                true => print_json(&pruned),
                false => print(&format!("{} entries removed\n", pruned.entries)),
            };
        }
        let Some(id) = &self.transaction else {
            let newest = client.transactions(self.project.as_ref(), self.limit);
            let newest = newest.await.map_err(ending)?;
            return match self.json {
                true => print_json(&newest),
                false => print(&tables::transactions(&newest)),
            };
        };
        let entries = client.history(id).await.map_err(ending)?;
        if self.json {
            return print_json(&entries);
        }
        let rows = entries.into_iter().map(|entry| {
            let time = tables::time(&entry.time);
            let detail = tables::one_line(&entry.detail);
            [time, entry.actor, entry.address, entry.what, detail]
        });
        print(&tables::table(
            ["TIME", "WHO", "FROM", "WHAT", "DETAIL"],
            rows,
        ))
    }
}
