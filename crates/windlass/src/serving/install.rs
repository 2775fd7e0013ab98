//! What an installer does.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use windlass_agent::fence::{Begin, End, Fence, Probe};
use windlass_agent::service::{BuiltFiles, InstallEnd, Work as Errand, Worker};
use windlass_agent::work::{
    FailureKind, InstallFailed, InstallWork, Job, Limits, Row, TargetConfig, Tools, install, run_id,
};
use windlass_model::ids::HostName;
use windlass_model::release::machine::Verdict;
use windlass_model::release::{
    BuildSpec, Environment, InstallSpec, InstalledRow, JobId, Project, ReleaseId, TargetName,
};

use super::joblog;

/// An installer's work.
pub(super) struct Installer {
    pub(super) tools: Tools,
    pub(super) targets: BTreeMap<(Environment, TargetName), TargetConfig>,
    pub(super) fence: Mutex<Fence>,
    /// Held during an install into a target: several managers may ask for one at once.
    pub(super) turns: BTreeMap<(Environment, TargetName), tokio::sync::Mutex<()>>,
}

impl Installer {
    fn fence(&self) -> MutexGuard<'_, Fence> {
        self.fence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn begin(&self, spec: &InstallSpec, errand: &Errand<'_>) -> Result<(), String> {
        let begin = Begin {
            cluster: errand.cluster.to_owned(),
            job: errand.job.clone(),
            epoch: errand.epoch,
            sequence: spec.sequence,
            environment: spec.environment.clone(),
            target: spec.target.clone(),
            release: spec.release.clone(),
        };
        self.fence().begin(&begin).map_err(|e| e.to_string())
    }
}

fn rows(project: &Project, rows: Vec<Row>) -> Vec<InstalledRow> {
    let row = |row: Row| InstalledRow {
        host: row.host.to_string(),
        release: row
            .version
            .map(|version| ReleaseId::new(project.clone(), version)),
    };
    rows.into_iter().map(row).collect()
}

fn failed(project: &Project, failed: InstallFailed) -> InstallEnd {
    let why = failed.failure.message;
    match failed.failure.kind {
        FailureKind::Unknown => InstallEnd::Unknown(why),
        _ => InstallEnd::Failed(why, rows(project, failed.rows)),
    }
}

#[async_trait]
impl Worker for Installer {
    async fn build(&self, _: &BuildSpec, _: Errand<'_>) -> Result<BuiltFiles, String> {
        Err("an installer builds nothing".into())
    }

    async fn act(&self, _: &BuildSpec, _: &str, _: Errand<'_>) -> Result<(), String> {
        Err("an installer does no actions of projects".into())
    }

    async fn install(&self, spec: &InstallSpec, resource: &Path, errand: Errand<'_>) -> InstallEnd {
        let refused = |why: String| InstallEnd::Failed(why, Vec::new());
        let key = (spec.environment.clone(), spec.target.clone());
        let Some(target) = self.targets.get(&key) else {
            return refused(format!(
                "target {} is not configured here in {}",
                spec.target, spec.environment
            ));
        };
        let Some(run) = run_id(errand.job, errand.epoch) else {
            return refused("no random numbers".into());
        };
        let sink = match joblog::sink(errand.log) {
            Ok(sink) => sink,
            Err(why) => return refused(why),
        };
        let _turn = match self.turns.get(&key) {
            Some(turn) => Some(turn.lock().await),
            None => None,
        };
        if let Err(why) = self.begin(spec, &errand).await {
            return refused(why);
        }
        let work = InstallWork {
            spec: spec.clone(),
            resource: resource.to_owned(),
            target: target.clone(),
            machine: HostName::local(),
        };
        let job = Job {
            run,
            sinks: vec![sink],
            interrupt: errand.interrupt,
            limits: Limits::default(),
        };
        let project = &spec.release.project;
        let (end, told) = match install(&work, &self.tools, job).await {
            Ok(installed) => {
                let told = InstallEnd::Installed(rows(project, installed.rows.clone()));
                (End::Done(installed), told)
            }
            Err(why) => (End::Failed(why.clone()), failed(project, why)),
        };
        // Nobody is told what would be forgotten.
        match self.fence().end(errand.job, errand.epoch, end) {
            Ok(()) => told,
            Err(e) => {
                InstallEnd::Unknown(format!("it ended, and that could not be written down: {e}"))
            }
        }
    }

    async fn probe(&self, job: &JobId) -> Verdict {
        let fence = self.fence();
        match fence.probe(job) {
            Probe::NotBegun => Verdict::NotBegun,
            Probe::Running => Verdict::Unknown {
                why: "it is under way in this installer".into(),
            },
            Probe::Done(installed) => Verdict::Done {
                rows: match fence.release_of(job) {
                    Some(release) => rows(&release.project, installed.rows),
                    None => Vec::new(),
                },
            },
            Probe::Failed(failed) => Verdict::Failed {
                why: failed.failure.message,
            },
            Probe::Unknown(why) => Verdict::Unknown {
                why: format!("{why}: look at the target, then settle it"),
            },
        }
    }
}
