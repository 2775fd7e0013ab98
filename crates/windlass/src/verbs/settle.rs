//! `windlass settle`: says what came of a job whose outcome is not known.

use clap::{ArgGroup, Args};
use windlass_model::release::machine::Settled;
use windlass_model::release::{JobId, TransactionId};
use windlass_wire::rest;

use crate::client::{ManagerOptions, ending};
use crate::ending::Ending;
use crate::output::{print, print_json};

/// Says what came of a job whose outcome is not known
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("outcome").required(true).args(["done", "failed", "again"])))]
pub(crate) struct Settle {
    /// The job's transaction
    transaction: TransactionId,
    /// Which job, as `windlass status` shows it
    job: JobId,
    /// It was done
    #[arg(long)]
    done: bool,
    /// It failed
    #[arg(long)]
    failed: bool,
    /// It is to be done again
    #[arg(long)]
    again: bool,
    /// Print JSON: the transaction
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    manager: ManagerOptions,
}

impl Settle {
    /// Says so, and prints the transaction's status then.
    pub(crate) async fn run(self) -> Result<(), Ending> {
        let settled = match (self.done, self.failed) {
            (true, _) => Settled::Done,
            (_, true) => Settled::Failed,
            _ => Settled::Again,
        };
        let (client, settle) = (self.manager.client()?, rest::Settle { settled });
        let transaction = client.settle(&self.transaction, &self.job, settle).await;
        let transaction = transaction.map_err(ending)?;
        match self.json {
            true => print_json(&transaction),
            false => print(&format!("{}\n", transaction.status.as_str())),
        }
    }
}
