//! One job, from the lease to the answer that its end was heard.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use windlass_engine::interrupt::Interrupt;
use windlass_model::release::{BuildSpec, JobId, JobSpec};
use windlass_model::step::Level;
use windlass_wire::agent::{Finish, Given, Outcome};
use windlass_wire::connection::WireError;

use super::{InstallEnd, Manager, Shared, Work};

/// Pause between two tries of a call.
const PAUSE: Duration = Duration::from_secs(1);

/// Does a job. Every way out tells the manager, except where the manager said that the job is somebody else's.
pub(super) async fn run(
    shared: &Shared,
    (client, cluster): (Arc<dyn Manager>, &str),
    given: Given,
    interrupt: Interrupt,
    lease: Duration,
) {
    let Given { job, epoch, spec } = given;
    if let Err(error) = start(shared, &*client, &job, epoch, lease).await {
        return shared.log(Level::Warning, &format!("job {job} is not begun: {error}"));
    }
    shared.log(Level::Info, &format!("job {job} begins: {}", what(&spec)));
    let path = shared
        .agent
        .directory
        .join("logs")
        .join(format!("{job}.{epoch}"));
    let (ended, end) = watch::channel(false);
    let sending = {
        let (client, path, job) = (client.clone(), path.clone(), job.clone());
        tokio::spawn(async move { client.follow((job, epoch), &path, end).await })
    };
    let work = Work {
        cluster,
        job: &job,
        epoch,
        log: &path,
        interrupt,
    };
    let (outcome, keep) = perform(shared, &*client, &spec, work).await;
    drop(keep);
    let given_back = shared.is_stopping()
        && matches!(
            (&spec, &outcome),
            (JobSpec::Build(_), Outcome::Failed { .. })
        );
    ended.send_replace(true);
    let _ = sending.await;
    if given_back {
        let message = format!("job {job} is stopped, and built anew once its lease is over");
        return shared.log(Level::Warning, &message);
    }
    let level = match &outcome {
        Outcome::Failed { .. } | Outcome::Unknown { .. } => Level::Error,
        Outcome::Built { .. } | Outcome::Ran | Outcome::Installed { .. } => Level::Info,
    };
    shared.log(level, &format!("job {job}: {}", told(&outcome)));
    finish(shared, &*client, &job, Finish { epoch, outcome }).await;
}

fn what(spec: &JobSpec) -> String {
    match spec {
        JobSpec::Build(build) => match &build.generator {
            None => format!("build of {}", build.project),
            Some(generator) => format!("{generator} on the source of {}", build.project),
        },
        JobSpec::Install(install) => format!(
            "install of {} into {} in {}",
            install.release, install.target, install.environment
        ),
    }
}

fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Built { index } => format!("built {}", index.release()),
        Outcome::Ran => "done".into(),
        Outcome::Installed { .. } => "installed".into(),
        Outcome::Failed { why, .. } => format!("failed: {why}"),
        Outcome::Unknown { why } => format!("unknown: {why}"),
    }
}

/// Says that it begins. Only an answer gives the right to; it is asked for until the lease is over.
async fn start(
    shared: &Shared,
    client: &dyn Manager,
    job: &JobId,
    epoch: u64,
    lease: Duration,
) -> Result<(), WireError> {
    let end = Instant::now() + lease;
    loop {
        let asked = timeout_at(end, client.start(job, epoch)).await;
        match asked {
            Ok(Err(error))
                if error.is_passing() && !shared.is_stopping() && Instant::now() + PAUSE < end =>
            {
                sleep(PAUSE).await
            }
            Ok(answer) => return answer,
            Err(_) => {
                return Err(WireError::Link(
                    "no answer before the lease was over".into(),
                ));
            }
        }
    }
}

/// Says what came of it, until that is heard.
async fn finish(shared: &Shared, client: &dyn Manager, job: &JobId, finish: Finish) {
    let mut told = false;
    loop {
        match client.finish(job, &finish).await {
            Ok(()) => return,
            Err(error) if error.is_passing() && !shared.is_stopping() => {
                if !told {
                    let message =
                        format!("job {job}: its end is not heard, and is told again: {error}");
                    shared.log(Level::Warning, &message);
                    told = true;
                }
                sleep(PAUSE).await;
            }
            Err(error) => {
                return shared.log(
                    Level::Warning,
                    &format!("job {job}: its end is not taken: {error}"),
                );
            }
        }
    }
}

type Kept = Option<Box<dyn Send + Sync>>;

fn failed(why: String) -> Outcome {
    Outcome::Failed {
        why,
        rows: Vec::new(),
    }
}

async fn perform(
    shared: &Shared,
    client: &dyn Manager,
    spec: &JobSpec,
    work: Work<'_>,
) -> (Outcome, Kept) {
    let job = work.job.clone();
    let wanted = work.interrupt.clone();
    match spec {
        JobSpec::Build(build) => match &build.generator {
            None => release(shared, client, build, work).await,
            Some(generator) => match shared.agent.worker.act(build, generator, work).await {
                Ok(()) => (Outcome::Ran, None),
                Err(why) => (failed(why), None),
            },
        },
        JobSpec::Install(install) => {
            let directory = shared.agent.directory.join("resources").join(job.as_str());
            let fetched = client.fetch(&job, install, &directory, &wanted);
            let outcome = match fetched.await {
                Err(why) => failed(format!("the resource cannot be fetched: {why}")),
                Ok(fetched) => {
                    let worker = &shared.agent.worker;
                    match worker.install(install, &fetched.path, work).await {
                        InstallEnd::Installed(rows) => Outcome::Installed { rows },
                        InstallEnd::Failed(why, rows) => Outcome::Failed { why, rows },
                        InstallEnd::Unknown(why) => Outcome::Unknown { why },
                    }
                }
            };
            (outcome, None)
        }
    }
}

/// Builds, and uploads what was built.
async fn release(
    shared: &Shared,
    client: &dyn Manager,
    build: &BuildSpec,
    work: Work<'_>,
) -> (Outcome, Kept) {
    let (job, wanted) = (work.job.clone(), work.interrupt.clone());
    let built = match shared.agent.worker.build(build, work).await {
        Ok(built) => built,
        Err(why) => return (failed(why), None),
    };
    let outcome = match client.upload(&job, &built, &wanted).await {
        Ok(()) => Outcome::Built { index: built.index },
        Err(why) => failed(format!("the release cannot be uploaded: {why}")),
    };
    (outcome, Some(built.keep))
}
