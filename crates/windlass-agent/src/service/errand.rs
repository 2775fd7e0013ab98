//! One job, from the lease to the answer that its end was heard.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use windlass_engine::interrupt::Interrupt;
use windlass_model::release::{BuildSpec, InstallSpec, JobId, JobSpec};
use windlass_model::step::Level;
use windlass_wire::agent::{AgentClient, Finish, Given, Outcome};
use windlass_wire::connection::WireError;

use super::{BuiltFiles, InstallEnd, Shared, Work, log};

/// Pause between two tries of a call.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a manager that cannot take or give bytes is asked again.
const TRIES: u32 = 20;

/// Does a job. Every way out tells the manager, except where the manager said that the job is somebody else's.
pub(super) async fn run(
    shared: &Shared,
    (client, cluster): (AgentClient, &str),
    given: Given,
    interrupt: Interrupt,
    lease: Duration,
) {
    let Given { job, epoch, spec } = given;
    if let Err(error) = start(shared, &client, &job, epoch, lease).await {
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
        tokio::spawn(async move { log::follow(client, (job, epoch), &path, end).await })
    };
    let work = Work {
        cluster,
        job: &job,
        epoch,
        log: &path,
        interrupt,
    };
    let (outcome, keep) = perform(shared, &client, &spec, work).await;
    drop(keep);
    let given_back = shared.is_stopping()
        && matches!(
            (&spec, &outcome),
            (JobSpec::Build(_), Outcome::Failed { .. })
        );
    ended.send_replace(true);
    let _ = sending.await;
    let _ = tokio::fs::remove_file(&path).await;
    if given_back {
        let message = format!("job {job} is stopped, and built anew once its lease is over");
        return shared.log(Level::Warning, &message);
    }
    let level = match &outcome {
        Outcome::Failed { .. } | Outcome::Unknown { .. } => Level::Error,
        Outcome::Built { .. } | Outcome::Ran | Outcome::Installed { .. } => Level::Info,
    };
    shared.log(level, &format!("job {job}: {}", told(&outcome)));
    finish(shared, &client, &job, Finish { epoch, outcome }).await;
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
    client: &AgentClient,
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
async fn finish(shared: &Shared, client: &AgentClient, job: &JobId, finish: Finish) {
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
    client: &AgentClient,
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
            let fetched = fetch(shared, (client, &wanted), &job, install, &directory).await;
            let outcome = match fetched {
                Err(why) => failed(format!("the resource cannot be fetched: {why}")),
                Ok(resource) => match shared.agent.worker.install(install, &resource, work).await {
                    InstallEnd::Installed(rows) => Outcome::Installed { rows },
                    InstallEnd::Failed(why, rows) => Outcome::Failed { why, rows },
                    InstallEnd::Unknown(why) => Outcome::Unknown { why },
                },
            };
            let _ = tokio::fs::remove_dir_all(&directory).await;
            (outcome, None)
        }
    }
}

/// Builds, and uploads what was built.
async fn release(
    shared: &Shared,
    client: &AgentClient,
    build: &BuildSpec,
    work: Work<'_>,
) -> (Outcome, Kept) {
    let (job, wanted) = (work.job.clone(), work.interrupt.clone());
    let built = match shared.agent.worker.build(build, work).await {
        Ok(built) => built,
        Err(why) => return (failed(why), None),
    };
    let outcome = match upload(shared, (client, &wanted), &job, &built).await {
        Ok(()) => Outcome::Built { index: built.index },
        Err(why) => failed(format!("the release cannot be uploaded: {why}")),
    };
    (outcome, Some(built.keep))
}

/// Whether a call about bytes is made again after an error, when it was made so often before. A link that is cut is waited for as
/// long as the job is wanted; anything else is not.
fn is_made_again(shared: &Shared, wanted: &Interrupt, error: &WireError, tries: &mut u32) -> bool {
    if !matches!(error, WireError::Link(_)) {
        *tries += 1;
    }
    *tries <= TRIES && !shared.is_stopping() && wanted.times() == 0
}

async fn upload(
    shared: &Shared,
    (client, wanted): (&AgentClient, &Interrupt),
    job: &JobId,
    built: &BuiltFiles,
) -> Result<(), WireError> {
    for (target, path) in &built.files {
        let Some(item) = built.index.targets.get(target) else {
            continue;
        };
        let mut tries = 0;
        loop {
            match client.put_blob(job, &item.digest, path, item.size).await {
                Ok(()) => break,
                // A conflict about where the upload stands is settled by asking again.
                Err(error)
                    if (error.is_passing() || matches!(error, WireError::Superseded(_)))
                        && is_made_again(shared, wanted, &error, &mut tries) =>
                {
                    sleep(PAUSE).await
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Fetches the resource of an install and verifies it.
async fn fetch(
    shared: &Shared,
    (client, wanted): (&AgentClient, &Interrupt),
    job: &JobId,
    spec: &InstallSpec,
    directory: &Path,
) -> Result<PathBuf, String> {
    let name = Path::new(&spec.resource.name);
    let plain = name.file_name().is_some_and(|file| Path::new(file) == name);
    if !plain {
        return Err(format!("{:?} is no name of a file", spec.resource.name));
    }
    let path = directory.join(name);
    let here = |e: std::io::Error| format!("{}: {e}", path.display());
    match tokio::fs::remove_dir_all(directory).await {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(here(e)),
        _ => {}
    }
    tokio::fs::create_dir_all(directory).await.map_err(here)?;
    let mut tries = 0;
    let found = loop {
        match client.get_blob(job, &spec.resource.digest, &path).await {
            Ok(found) => break found,
            Err(error)
                if error.is_passing() && is_made_again(shared, wanted, &error, &mut tries) =>
            {
                sleep(PAUSE).await
            }
            Err(error) => return Err(error.to_string()),
        }
    };
    if found != spec.resource.digest {
        return Err(format!(
            "{} has SHA-256 {found}, not {}",
            spec.resource.name, spec.resource.digest
        ));
    }
    Ok(path)
}
