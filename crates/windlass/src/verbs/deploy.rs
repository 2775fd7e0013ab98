//! `windlass deploy`: puts releases on hosts.

use clap::Args;

use crate::cli::Inputs;
use crate::ending::Ending;
use crate::locking::Locking;
use crate::making;
use crate::program::Program;
use crate::session::Session;

/// Puts releases on hosts
#[derive(Debug, Args)]
pub(crate) struct Deploy {
    #[command(flatten)]
    inputs: Inputs,
    /// Leave these hosts out; they are behind afterwards, and the run says so
    #[arg(long, value_name = "HOST", num_args = 1..)]
    without: Vec<String>,
    #[command(flatten)]
    locking: Locking,
}

impl Deploy {
    /// Makes the tasklist and runs it.
    pub(crate) async fn run(self, program: &Program) -> Result<(), Ending> {
        let mut session = Session::start(program)?;
        let result = self.deploy(&mut session).await;
        session.finish(result).await
    }

    async fn deploy(self, session: &mut Session) -> Result<(), Ending> {
        let mut made = making::make(session, &self.inputs).await?;
        made.locking = self.locking;
        making::run(session, made, &self.without).await
    }
}
