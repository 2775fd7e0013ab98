//! Installs as an installer does them: one at a time into each target, written down before it begins, and how it ended before
//! anybody is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use windlass_model::release::machine::Verdict;
use windlass_model::release::{
    Environment, InstallSpec, InstalledRow, JobId, Project, ReleaseId, TargetName,
};
use windlass_model::step::Level;

use crate::fence::{Begin, End, Fence, Probe};
use crate::groups::Groups;
use crate::service::{InstallEnd, Log, Work};
use crate::work::{FailureKind, InstallFailed, Installed, Row};

/// How long what a killed installer had begun is waited for.
const LEFTOVER: Duration = Duration::from_secs(600);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(200);

/// A place that one install has at a time.
type Turns = BTreeMap<(Environment, TargetName), Arc<tokio::sync::Mutex<()>>>;

/// The record of an installer, whose turn it is, and what goes on of installs that were cut off.
pub struct Guard {
    fence: Mutex<Fence>,
    /// Several managers may ask for installs into one target at once.
    turns: Mutex<Turns>,
    groups: Groups,
    log: Log,
}

impl Guard {
    /// Over a record that is open. `groups`: what installs began on this machine.
    pub fn new(fence: Fence, groups: Groups, log: Log) -> Self {
        Self {
            fence: Mutex::new(fence),
            turns: Mutex::default(),
            groups,
            log,
        }
    }

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
    async fn alone(&self, spec: &InstallSpec, work: &mut Work<'_>) -> Result<(), String> {
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
                let message = format!("job {} waits: {what}", work.job);
                (self.log)(Level::Warning, &message);
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep(LOOK) => {}
                () = work.interrupt.reached(1) => return Err("it was stopped".into()),
            }
        }
        Ok(())
    }

    /// Does an install in its turn, unless the fence says that it comes too late. `act` is begun once that it begins is written
    /// down; it is not begun otherwise. Dropping the future drops `act`, and leaves the install begun and without an end.
    pub async fn install(
        &self,
        spec: &InstallSpec,
        mut work: Work<'_>,
        act: impl Future<Output = Result<Installed, InstallFailed>>,
    ) -> InstallEnd {
        let key = (spec.environment.clone(), spec.target.clone());
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.entry(key).or_default().clone()
        };
        let _turn = turn.lock().await;
        if let Err(why) = self.alone(spec, &mut work).await {
            return InstallEnd::Failed(why, Vec::new());
        }
        let begin = Begin {
            cluster: work.cluster.to_owned(),
            job: work.job.clone(),
            epoch: work.epoch,
            sequence: spec.sequence,
            environment: spec.environment.clone(),
            target: spec.target.clone(),
            release: spec.release.clone(),
        };
        let begun = self.fence().begin(&begin);
        if let Err(why) = begun {
            return InstallEnd::Failed(why.to_string(), Vec::new());
        }
        let project = &spec.release.project;
        let (end, told) = match act.await {
            Ok(installed) => {
                let told = InstallEnd::Installed(rows(project, installed.rows.clone()));
                (End::Done(installed), told)
            }
            Err(why) => (End::Failed(why.clone()), failed(project, why)),
        };
        // Nobody is told what would be forgotten.
        match self.fence().end(work.job, work.epoch, end) {
            Ok(()) => told,
            Err(e) => {
                InstallEnd::Unknown(format!("it ended, and that could not be written down: {e}"))
            }
        }
    }

    /// What the record has of a job that is not in hand.
    pub fn probe(&self, job: &JobId) -> Verdict {
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
                rows: match fence.release_of(job) {
                    Some(release) => rows(&release.project, failed.rows),
                    None => Vec::new(),
                },
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
