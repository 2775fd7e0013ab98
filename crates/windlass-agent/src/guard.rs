//! Installs as an installer does them: one at a time into each target, written down before it begins, and how it ended before
//! anybody is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use windlass_model::release::machine::Verdict;
use windlass_model::release::{
    Environment, Epoch, InstallSpec, InstalledRow, JobId, Project, ReleaseId, TargetName,
};

use crate::fence::{Begin, End, Fence, Probe};
use crate::service::InstallEnd;
use crate::work::{FailureKind, InstallFailed, Installed, Row};

/// A place that one install has at a time.
type Turns = BTreeMap<(Environment, TargetName), Arc<tokio::sync::Mutex<()>>>;

/// The record of an installer, and whose turn it is.
pub struct Guard {
    fence: Mutex<Fence>,
    /// Several managers may ask for installs into one target at once.
    turns: Mutex<Turns>,
}

impl Guard {
    /// Over a record that is open.
    pub fn new(fence: Fence) -> Self {
        Self {
            fence: Mutex::new(fence),
            turns: Mutex::default(),
        }
    }

    fn fence(&self) -> MutexGuard<'_, Fence> {
        self.fence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does an install in its turn, unless the fence says that it comes too late. `act` is begun once that it begins is written
    /// down; it is not begun otherwise. Dropping the future drops `act`, and leaves the install begun and without an end.
    pub async fn install(
        &self,
        spec: &InstallSpec,
        (cluster, job, epoch): (&str, &JobId, Epoch),
        act: impl Future<Output = Result<Installed, InstallFailed>>,
    ) -> InstallEnd {
        let key = (spec.environment.clone(), spec.target.clone());
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.entry(key).or_default().clone()
        };
        let _turn = turn.lock().await;
        let begin = Begin {
            cluster: cluster.to_owned(),
            job: job.clone(),
            epoch,
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
        match self.fence().end(job, epoch, end) {
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
            },
            Probe::Unknown(why) => Verdict::Unknown {
                why: format!("{why}: look at the target, then settle it"),
            },
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
