//! Receipts of a job: asked for before it begins, left when it ended.

use windlass_model::event::What;
use windlass_model::outcome::Failure;
use windlass_model::receipt::Receipt;
use windlass_model::step::{As, Level, Reply};

use super::JobRun;
use super::flight::with_rights;
use crate::executor::{JobEnd, receipts};

impl JobRun<'_> {
    /// Where the job's service stands on its host, if the job leaves a receipt.
    pub(super) async fn standing(&mut self) -> Result<Option<receipts::Standing>, Failure> {
        let (Some(plan), Some(task)) = (&self.job.receipt, self.job.tasks.first()) else {
            return Ok(None);
        };
        let target = (task.host.clone(), self.user_of(task));
        let probe =
            receipts::probe_script([(plan.install_location.as_str(), plan.service.as_str())]);
        let probe = with_rights(probe.into(), &self.rights_of_receipts());
        match self.ask(&target, probe).await? {
            Reply::Ran { stdout, .. } => Ok(receipts::read_probe(&stdout).remove(&plan.service)),
            _ => Ok(None),
        }
    }

    /// Root's when all of the job is done as root, for the releases are root's then; otherwise the user's own.
    fn rights_of_receipts(&self) -> As {
        match self.job.tasks.iter().all(|task| task.use_sudo) {
            true => As::root(),
            false => As::Login,
        }
    }

    /// Leaves the receipt of the job; false when that failed.
    pub(super) async fn leave_receipt(&mut self, end: JobEnd, from: Option<String>) -> bool {
        let (Some(plan), Some(task)) = (&self.job.receipt, self.job.tasks.first()) else {
            return true;
        };
        let receipt = Receipt {
            service: plan.service.clone(),
            time: crate::events::now_micros() / 1_000_000,
            run: self.shared.options.run.to_string(),
            by: self.shared.options.by.clone(),
            from: from.or_else(|| plan.from.clone()),
            to: plan.version.clone(),
            result: match end {
                JobEnd::Succeeded => "succeeded",
                JobEnd::Failed => "failed",
                JobEnd::Unknown => "unknown",
            }
            .to_owned(),
            owed: self.opened.iter().cloned().collect(),
        };
        let target = (task.host.clone(), self.user_of(task));
        let Some(script) = receipts::write_script(&plan.install_location, &receipt) else {
            return true;
        };
        let step = with_rights(script.into(), &self.rights_of_receipts());
        let left = match self.ask(&target, step.clone()).await {
            Ok(reply) if reply.is_wanted(&step) => Ok(()),
            Ok(Reply::Ran { stderr, .. }) => Err(stderr.trim().to_owned()),
            Ok(_) => Err("no shell answered".to_owned()),
            Err(failure) => Err(failure.message),
        };
        match left {
            Ok(()) => {
                let host = task.host.clone();
                self.emit(What::Receipt { host, receipt }).await;
                true
            }
            Err(why) => {
                self.emit(What::Log {
                    level: Level::Error,
                    component: "Executor".into(),
                    host: Some(task.host.clone()),
                    tag: task.tag.clone(),
                    message: format!(
                        "the receipt of {} {} could not be left in {}: {why}",
                        plan.service, plan.version, plan.install_location
                    ),
                })
                .await;
                false
            }
        }
    }
}
