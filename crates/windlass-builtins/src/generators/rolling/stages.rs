//! Stages in the making: limits, numbers, and none that is empty.

use std::collections::HashSet;

use windlass_model::config::Share;
use windlass_model::config::rolling::RollingConfig;
use windlass_model::tasklist::{Job, Stage};

/// The stages so far.
pub(super) struct Stages<'a> {
    pub(super) config: &'a RollingConfig,
    stages: Vec<Stage>,
}

/// How many jobs of a stage run at once, and how many may fail.
pub(super) struct Limits {
    pub(super) concurrency: Share,
    pub(super) per_host: Option<u32>,
    pub(super) max_failures: Share,
}

impl<'a> Stages<'a> {
    pub(super) fn new(config: &'a RollingConfig) -> Self {
        Self {
            config,
            stages: Vec::new(),
        }
    }

    /// Those of the stages that take nothing out of service.
    pub(super) fn non_deploy(&self) -> Limits {
        Limits {
            concurrency: self.config.non_deploy_concurrency,
            per_host: Some(self.config.non_deploy_concurrency_per_host),
            max_failures: self.config.max_failures,
        }
    }

    /// Those of the stages that take hosts out of service.
    pub(super) fn deploy(&self) -> Limits {
        Limits {
            concurrency: self.config.deploy_concurrency,
            per_host: Some(self.config.deploy_concurrency_per_host),
            max_failures: self.config.max_failures,
        }
    }

    /// The number that the next stage will have.
    pub(super) fn next_number(&self) -> usize {
        self.stages.len() + 1
    }

    /// Adds a stage, unless it has no jobs. Shares are taken of its hosts.
    pub(super) fn push(&mut self, name: impl Into<String>, limits: Limits, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        let hosts: HashSet<_> = jobs.iter().flat_map(Job::hosts).collect();
        let hosts = u32::try_from(hosts.len()).unwrap_or(u32::MAX);
        let max_failures = limits.max_failures.of(hosts);
        self.stages.push(Stage {
            name: name.into(),
            concurrency: limits.concurrency.limit_of(hosts),
            concurrency_per_host: limits.per_host,
            max_failures: (max_failures > 0).then_some(max_failures),
            jobs,
            ..Stage::default()
        });
    }

    /// Adds a stage as it is.
    pub(super) fn push_ready(&mut self, stage: Option<Stage>) {
        self.stages.extend(stage);
    }

    pub(super) fn finish(self) -> Vec<Stage> {
        self.stages
    }
}
