//! `windlass deploy`: puts releases on hosts.

use std::path::PathBuf;

use clap::Args;
use windlass_model::config::rolling::{OnFailure, PLATFORM, RollingConfig};
use windlass_model::ids::RunId;
use windlass_model::step::Level;

use super::rollback::Rollback;
use crate::cli::Inputs;
use crate::ending::Ending;
use crate::making::{self, Made};
use crate::output::say;
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
}

impl Deploy {
    /// Makes the tasklist and runs it. Where the config says so, a deploy that fails is rolled back by a run of its own; the
    /// ending is that of the deploy all the same.
    pub(crate) async fn run(self, program: &Program) -> Result<(), Ending> {
        let mut session = Session::start(program)?;
        let mut rolls_back = false;
        let result = self.deploy(&mut session, &mut rolls_back).await;
        let config = session.config_path(self.inputs.config.as_deref());
        let failed = match (&result, session.begun.take(), config) {
            (Err(Ending::Failed), Some(run), Some(config)) if rolls_back => Some((run, config)),
            _ => None,
        };
        if let Some((run, _)) = &failed {
            let message = format!("run {run} failed, and the config says `on_failure: rollback`");
            session
                .events
                .log(Level::Warning, "Deploy", None, None, &message);
        }
        let result = session.finish(result).await;
        if let Some((run, config)) = failed {
            self.roll_back(program, &run, config).await;
        }
        result
    }

    async fn deploy(&self, session: &mut Session, rolls_back: &mut bool) -> Result<(), Ending> {
        let made = making::make(session, &self.inputs).await?;
        *rolls_back = rolls_back_on_failure(&made);
        making::run(session, made, &self.without).await
    }

    /// Takes the failed run back, as `windlass rollback RUN` does. What comes of it is said, and changes nothing else.
    async fn roll_back(&self, program: &Program, run: &RunId, config: PathBuf) {
        let rollback = Rollback::of_failed(run, config, self.without.clone());
        match Box::pin(rollback.run(program)).await {
            Ok(()) => say(&format!("run {run} was rolled back\n")),
            Err(why) => say(&format!(
                "{why}run {run} was not rolled back as a whole: `windlass where`\n"
            )),
        }
    }
}

fn rolls_back_on_failure(made: &Made) -> bool {
    let leaves_receipts = !made.prepared.plan.receipts.is_empty();
    made.config
        .as_ref()
        .filter(|config| leaves_receipts && config.platform == PLATFORM)
        .and_then(|config| RollingConfig::read(config).ok())
        .is_some_and(|(config, _)| config.on_failure == OnFailure::Rollback)
}
