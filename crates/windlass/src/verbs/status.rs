//! `windlass status`: a transaction and its jobs.

use clap::Args;
use windlass_model::release::TransactionId;

use crate::client::requesting::go_on;
use crate::client::{ManagerOptions, ending, tables, unless_interrupted, watching};
use crate::ending::Ending;
use crate::output::{print, print_json};
use crate::program::Program;

/// Shows a transaction and its jobs
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Which, as `windlass request` printed it
    transaction: TransactionId,
    /// Watch it to its end, and end as it does: 0 done, 1 failed or cancelled, 2 rejected, 4 unknown
    #[arg(long)]
    wait: bool,
    /// Print JSON: an object with the transaction and its jobs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    manager: ManagerOptions,
}

impl Status {
    /// Shows it, with `--wait` once it has ended.
    pub(crate) async fn run(self, program: &Program) -> Result<(), Ending> {
        let (client, id) = (self.manager.client()?, &self.transaction);
        let detail = match self.wait {
            false => client.transaction(id).await.map_err(ending)?,
            true => {
                let watch = watching::watch(&client, id, &program.common);
                let watched = unless_interrupted(watch).await;
                if let Err(Ending::Interrupted | Ending::Away(_)) = watched {
                    go_on(id.as_str(), &self.manager);
                }
                watched?
            }
        };
        match self.json {
            true => print_json(&detail)?,
            false => print(&tables::transaction(&detail))?,
        }
        match self.wait {
            true => watching::ended(&detail, &self.manager),
            false => Ok(()),
        }
    }
}
