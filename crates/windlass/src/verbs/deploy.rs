//! `windlass deploy`: puts releases on hosts.

use std::path::PathBuf;

use clap::Args;
use windlass_model::config::rolling::{OnFailure, PLATFORM, RollingConfig};
use windlass_model::event::RunEnd;
use windlass_model::ids::{RunId, TaskId};
use windlass_model::release::ReleaseId;
use windlass_model::step::Level;
use windlass_wire::rest::{Client, Deployed};

use super::rollback::Rollback;
use crate::cli::Inputs;
use crate::client::{ManagerOptions, releases, unless_interrupted};
use crate::ending::Ending;
use crate::locking::Locking;
use crate::making::{self, Made};
use crate::output::say;
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
    /// A release that a manager keeps: its packages are deployed, and the run is told there
    #[arg(long, value_name = "PROJECT@VERSION", conflicts_with_all = ["component", "directory", "tasklist", "resume"])]
    release: Option<ReleaseId>,
    #[command(flatten)]
    manager: ManagerOptions,
    #[command(flatten)]
    locking: Locking,
}

impl Deploy {
    /// Makes the tasklist, or takes that of the run that goes on, and runs it. Where the config says so, a deploy that fails
    /// is rolled back by a run of its own; the ending is that of the deploy all the same.
    pub(crate) async fn run(mut self, program: &Program) -> Result<(), Ending> {
        let released = self.take(program).await?;
        let mut session = Session::start(program)?;
        session.given_config.clone_from(&self.inputs.config);
        let without = self.without.clone();
        let mut way_back = None;
        let result = self.deploy(&mut session, &mut way_back).await;
        let begun = session.begun.take();
        let failed = match (&result, &begun, way_back) {
            (Err(Ending::Failed), Some(run), Some(config)) => Some((run.clone(), config)),
            _ => None,
        };
        if let Some((run, _)) = &failed {
            let message = format!("run {run} failed, and the config says `on_failure: rollback`");
            let events = &session.events;
            events.log(Level::Warning, "Deploy", None, None, &message);
        }
        let mut program = program.clone();
        program.common.clone_from(&session.common);
        let by = session.surroundings.by();
        let result = session.finish(result).await;
        if let (Some((client, release)), Some(run)) = (released, begun) {
            tell(&client, &release, run, by, &result).await;
        }
        if let Some((run, config)) = failed {
            roll_back(&program, &run, config, without).await;
        }
        result
    }

    /// Takes the packages of the release that is asked for, if one is. Gives the manager, to be told of the run.
    async fn take(&mut self, program: &Program) -> Result<Option<(Client, ReleaseId)>, Ending> {
        let Some(release) = self.release.clone() else {
            self.manager.not_without("--release")?;
            return Ok(None);
        };
        let client = self.manager.client()?;
        let cache = program.state_dir().join("releases");
        let packages = releases::packages(&client, &release, &cache);
        self.inputs.component = unless_interrupted(packages).await?;
        Ok(Some((client, release)))
    }

    /// Sets `way_back` to the config when a failure is to be rolled back.
    async fn deploy(
        self,
        session: &mut Session,
        way_back: &mut Option<PathBuf>,
    ) -> Result<(), Ending> {
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
        *way_back = rolls_back_by(&made);
        making::run(session, made, &self.without).await
    }
}

/// Tells the manager of a run. That it does not hear is said, and changes nothing.
async fn tell(
    client: &Client,
    release: &ReleaseId,
    run: RunId,
    by: String,
    result: &Result<(), Ending>,
) {
    let end = match result {
        Ok(()) => RunEnd::Succeeded,
        Err(Ending::Unknown) => RunEnd::Unknown,
        Err(Ending::Interrupted) => RunEnd::Interrupted,
        Err(_) => RunEnd::Failed,
    };
    let deployed = Deployed { run, by, end };
    if let Err(error) = client.deployed(release, &deployed).await {
        say(&format!(
            "warning: the manager does not have this run of {release}: {error}\n"
        ));
    }
}

/// Takes a failed run back, as `windlass rollback RUN` does. What comes of it is said, and changes nothing else.
async fn roll_back(program: &Program, run: &RunId, config: PathBuf, without: Vec<String>) {
    let rollback = Rollback::of_failed(run, config, without);
    match Box::pin(rollback.run(program)).await {
        Ok(()) => say(&format!("run {run} was rolled back\n")),
        Err(why) => say(&format!(
            "{why}run {run} was not rolled back as a whole: `windlass where`\n"
        )),
    }
}

/// The config by which a failure is rolled back; `None` when it is not to be.
fn rolls_back_by(made: &Made) -> Option<PathBuf> {
    let config = made.config.as_ref()?;
    if made.prepared.plan.receipts.is_empty() || config.platform != PLATFORM {
        return None;
    }
    let (rolling, _) = RollingConfig::read(config).ok()?;
    let source = config.source.as_ref()?;
    (rolling.on_failure == OnFailure::Rollback).then(|| source.name().into())
}
