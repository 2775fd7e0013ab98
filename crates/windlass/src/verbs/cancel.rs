//! `windlass cancel`: takes a transaction back.

use clap::Args;
use windlass_model::release::TransactionId;

use crate::client::{ManagerOptions, ending};
use crate::ending::Ending;
use crate::output::{print, print_json};

/// Takes a transaction back; what runs ends first
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// Which
    transaction: TransactionId,
    /// Print JSON: the transaction
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    manager: ManagerOptions,
}

impl Cancel {
    /// Takes it back, and prints its status then.
    pub(crate) async fn run(self) -> Result<(), Ending> {
        let client = self.manager.client()?;
        let transaction = client.cancel(&self.transaction).await.map_err(ending)?;
        match self.json {
            true => print_json(&transaction),
            false => print(&format!("{}\n", transaction.status.as_str())),
        }
    }
}
