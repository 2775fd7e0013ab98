//! What an installer does.

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use windlass_agent::guard::Guard;
use windlass_agent::service::{BuiltFiles, InstallEnd, Work as Errand, Worker};
use windlass_agent::work::{InstallWork, Job, Limits, TargetConfig, Tools, install, run_id};
use windlass_model::ids::HostName;
use windlass_model::release::machine::Verdict;
use windlass_model::release::{BuildSpec, Environment, InstallSpec, JobId, TargetName};

use super::joblog;

/// An installer's work.
pub(super) struct Installer {
    pub(super) tools: Tools,
    pub(super) targets: BTreeMap<(Environment, TargetName), TargetConfig>,
    pub(super) guard: Guard,
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
            interrupt: errand.interrupt.clone(),
            limits: Limits::default(),
        };
        let act = install(&work, &self.tools, job);
        self.guard.install(spec, errand, act).await
    }

    async fn probe(&self, job: &JobId) -> Verdict {
        self.guard.probe(job)
    }
}
