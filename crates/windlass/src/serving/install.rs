//! What an installer does.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use windlass_agent::fence::{Begin, End, Fence, Probe};
use windlass_agent::groups::Groups;
use windlass_agent::service::{BuiltFiles, InstallEnd, Log, Work as Errand, Worker};
use windlass_agent::work::{
    FailureKind, InstallFailed, InstallWork, Job, Limits, Row, TargetConfig, Tools, install, run_id,
};
use windlass_model::ids::HostName;
use windlass_model::release::machine::Verdict;
use windlass_model::release::{
    BuildSpec, Environment, InstallSpec, InstalledRow, JobId, Project, ReleaseId, TargetName,
};
use windlass_model::step::Level;

use super::joblog;

/// How long what a killed installer had begun is waited for.
const LEFTOVER: Duration = Duration::from_secs(600);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(200);

/// An installer's work.
pub(super) struct Installer {
    pub(super) tools: Tools,
    pub(super) targets: BTreeMap<(Environment, TargetName), TargetConfig>,
    pub(super) fence: Mutex<Fence>,
    /// Held during an install into a target: several managers may ask for one at once.
    pub(super) turns: BTreeMap<(Environment, TargetName), tokio::sync::Mutex<()>>,
    /// What installs began on this machine.
    pub(super) groups: Groups,
    /// Takes lines for the log.
    pub(super) log: Log,
}

impl Installer {
    fn fence(&self) -> MutexGuard<'_, Fence> {
        self.fence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes on of an install into the same target that was cut off: its job, a process group.
    fn leftover(&self, spec: &InstallSpec) -> Option<(JobId, i32)> {
        let fence = self.fence();
        let of_target = fence
            .cut_off()
            .into_iter()
            .filter(|begin| begin.environment == spec.environment && begin.target == spec.target);
        of_target.into_iter().find_map(|begin| {
            let group = self.groups.going_on(&begin.job, begin.epoch)?;
            Some((begin.job.clone(), group))
        })
    }

    /// Waits until this installer is alone at the target: what was sent to a shell goes on there when the installer is killed.
    async fn alone(&self, spec: &InstallSpec, errand: &mut Errand<'_>) -> Result<(), String> {
        let begun = Instant::now();
        let mut told = false;
        while let Some((job, group)) = self.leftover(spec) {
            let what = format!(
                "process group {group} goes on still, which install {job} had begun when its installer was killed"
            );
            if begun.elapsed() >= LEFTOVER {
                return Err(format!("{what}: end it, then ask again"));
            }
            if !told {
                told = true;
                let message = format!("job {} waits: {what}", errand.job);
                (self.log)(Level::Warning, &message);
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = errand.interrupt.reached(1) => return Err("it was stopped".into()),
            }
        }
        Ok(())
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

    async fn install(
        &self,
        spec: &InstallSpec,
        resource: &Path,
        mut errand: Errand<'_>,
    ) -> InstallEnd {
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
        if let Err(why) = self.alone(spec, &mut errand).await {
            return refused(why);
        }
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
            id: errand.job.clone(),
            epoch: errand.epoch,
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
            Probe::Unknown(why) => {
                let mut cut_off = fence.cut_off().into_iter();
                let begin = cut_off.find(|begin| begin.job == *job);
                let group = begin.and_then(|begin| self.groups.going_on(job, begin.epoch));
                let on = group.map_or_else(String::new, |group| {
                    format!(", and process group {group} of it goes on still")
                });
                Verdict::Unknown {
                    why: format!("{why}{on}: look at the target, then settle it"),
                }
            }
        }
    }
}
