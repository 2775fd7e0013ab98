//! Receipts of a job: asked for before it begins, left when it ended.

use windlass_model::event::What;
use windlass_model::outcome::{Failure, FailureKind};
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

    /// Why the job must not begin: somebody has changed the service since it was planned.
    pub(super) fn overtaken(&self, before: Option<&receipts::Standing>) -> Option<Failure> {
        let plan = self.job.receipt.as_ref()?;
        let expected = plan.only_after.as_ref()?;
        let last = before.and_then(|before| before.receipt.as_ref());
        let run = last.map_or("", |last| last.run.as_str());
        if run == expected || run == self.shared.options.run.as_str() {
            return None;
        }
        let by = last.map_or("nobody knows who", |last| last.by.as_str());
        Some(Failure::new(
            FailureKind::Command,
            format!(
                "{} was changed here since this was planned, by {by} in run {run}: left alone",
                plan.service
            ),
        ))
    }

    /// Root's when all of the job is done as root, for the releases are root's then; otherwise the user's own.
    fn rights_of_receipts(&self) -> As {
        match self.job.tasks.iter().all(|task| task.use_sudo) {
            true => As::root(),
            false => As::Login,
        }
    }

    /// Leaves the receipt of the job; false when that failed.
    pub(super) async fn leave_receipt(
        &mut self,
        end: JobEnd,
        before: Option<receipts::Standing>,
    ) -> bool {
        let (Some(plan), Some(task)) = (&self.job.receipt, self.job.tasks.first()) else {
            return true;
        };
        let before = before.unwrap_or_default();
        let time = crate::events::now_micros() / 1_000_000;
        // The last one must sort last, whatever the clock of the machine that left the one before.
        let after = before.receipt.as_ref().map(|last| last.place() + 1);
        let from = self.stood_before(&before);
        let good = match &before.receipt {
            Some(_) => before.good(&plan.service).map(str::to_owned),
            None => from.clone(),
        };
        let receipt = Receipt {
            service: plan.service.clone(),
            time,
            order: after.filter(|after| *after > time),
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
            previous_good: good,
            migrated: plan.migrated,
            undoes: plan.undoes.clone(),
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
                let receipt = Box::new(receipt);
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
