//! `windlass deploy`: puts releases on hosts.

use clap::Args;
use windlass_model::ids::TaskId;

use crate::cli::Inputs;
use crate::ending::Ending;
use crate::locking::Locking;
use crate::making;
use crate::program::Program;
use crate::resuming::{self, Asked};
use crate::session::Session;

/// Puts releases on hosts
#[derive(Debug, Args)]
pub(crate) struct Deploy {
    #[command(flatten)]
    inputs: Inputs,
    /// Leave these hosts out; they are behind afterwards, and the run says so
    #[arg(long, value_name = "HOST", num_args = 1..)]
    without: Vec<String>,
    /// Go on with a run that failed, was interrupted or cut off: its id, or the beginning of it
    #[arg(long, value_name = "RUN", conflicts_with_all = ["component", "directory", "tasklist", "hosts", "hostgroups", "redeploy"])]
    resume: Option<String>,
    /// Do all of these hosts again, from the start
    #[arg(long, value_name = "HOST", num_args = 1.., requires = "resume")]
    redo: Vec<String>,
    /// Tasks of unknown end that were done, as STAGE.TASK.LINK
    #[arg(long, value_name = "TASK", num_args = 1.., requires = "resume")]
    assume_done: Vec<TaskId>,
    /// Tasks of unknown end to run again, as STAGE.TASK.LINK
    #[arg(long, value_name = "TASK", num_args = 1.., requires = "resume")]
    run_again: Vec<TaskId>,
    #[command(flatten)]
    locking: Locking,
}

impl Deploy {
    /// Makes the tasklist, or takes that of the run that goes on, and runs it.
    pub(crate) async fn run(self, program: &Program) -> Result<(), Ending> {
        let mut session = Session::start(program)?;
        let result = self.deploy(&mut session).await;
        session.finish(result).await
    }

    async fn deploy(self, session: &mut Session) -> Result<(), Ending> {
        let mut made = match self.resume {
            None => making::make(session, &self.inputs).await?,
            Some(run) => {
                let asked = Asked {
                    run,
                    config: self.inputs.config,
                    without: self.without.clone(),
                    redo: self.redo,
                    assume_done: self.assume_done,
                    run_again: self.run_again,
                };
                resuming::make(session, asked).await?
            }
        };
        made.locking = self.locking;
        making::run(session, made, &self.without).await
    }
}
