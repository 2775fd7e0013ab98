//! `rolling`: releases are uploaded and unpacked everywhere, then taken into service host by host.

mod control;
mod deploy;
mod install;
pub mod look;
pub mod rollback;
mod service;
mod stages;
mod target;
mod tidy;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use windlass_engine::generator::{Generator, Help};
use windlass_model::config::Config;
use windlass_model::config::rolling::{PLATFORM, RollingConfig, RollingService};
use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::package::Package;
use windlass_model::step::Level;
use windlass_model::tasklist::{Plan, Tasklist};

use super::packages::{hex, some_of};
pub use service::service_tasklist;
use stages::Stages;
use target::{Choice, choose};

/// The generator.
pub struct Rolling;

#[async_trait]
impl Generator for Rolling {
    fn name(&self) -> &str {
        PLATFORM
    }

    fn about(&self) -> String {
        "Rolls releases out: everywhere unpacked first, then drained, switched, checked and enabled host by host.".into()
    }

    async fn generate(&self, help: &dyn Help) -> Result<Tasklist, Diagnostics> {
        let (config, warnings) = RollingConfig::read(help.config())?;
        let say = |level, host, tag, message: &str| {
            help.log(level, &self.component(), host, tag, message)
        };
        for warning in &warnings.0 {
            let hint = warning.hint.as_ref().map(|hint| format!(" ({hint})"));
            say(
                Level::Warning,
                None,
                None,
                &format!("{}{}", warning.message, hint.unwrap_or_default()),
            );
        }
        let redeploy = help.config().truth("redeploy")?.unwrap_or(false);
        let packages = help.packages().await?;
        let versions = help.remote_versions(&packages).await;
        let mut choice = choose(&config, &packages, &versions, redeploy)?;
        tidy::keep_those_with_leftovers(&mut choice, help.hosts(), config.user.as_deref()).await;
        for line in &choice.said {
            say(
                Level::Info,
                line.host.as_ref(),
                Some(&line.service),
                &line.message,
            );
        }
        let mut tasklist = Tasklist {
            name: name(&config, &packages),
            ..Tasklist::default()
        };
        if choice.hosts().is_empty() {
            say(Level::Info, None, None, "nothing to do");
            return Ok(tasklist);
        }
        let mut plan = plan(help.config(), &config, &packages, &choice);
        let mut stages = Stages::new(&config);
        let graphite = |suffix| {
            let is_deployed = !choice.targets.is_empty();
            is_deployed.then(|| help.graphite_stage(suffix)).flatten()
        };
        stages.push_ready(graphite("start"));
        install::upload(&mut stages, &choice);
        install::unpack(&mut stages, &choice)?;
        install::properties(&mut stages, &choice)?;
        install::migrations(&mut stages, &choice)?;
        plan.receipts = deploy::stages(&mut stages, &choice, redeploy)?;
        tidy::remove_temp(&mut stages, &choice);
        tidy::cleanup(&mut stages, &choice);
        stages.push_ready(graphite("end"));
        tasklist.stages = stages.finish();
        tasklist.plan = Some(plan);
        Ok(tasklist)
    }
}

fn name(config: &RollingConfig, packages: &[Package]) -> String {
    let what: Vec<String> = packages
        .iter()
        .map(|p| format!("{} {}", p.service, p.version))
        .collect();
    match &config.environment {
        Some(environment) => format!("Deploy {} to {environment}", some_of(&what)),
        None => format!("Deploy {}", some_of(&what)),
    }
}

/// Everything of the plan but the receipts.
fn plan(
    written: &Config,
    config: &RollingConfig,
    packages: &[Package],
    choice: &Choice<'_>,
) -> Plan {
    let deployed: HashSet<&str> = choice
        .targets
        .iter()
        .map(|target| target.service.name.as_str())
        .collect();
    let mut plan = Plan {
        config: digest_of(written),
        ..Plan::default()
    };
    for package in packages
        .iter()
        .filter(|p| deployed.contains(p.service.as_str()))
    {
        let path = package.path.to_string_lossy().into_owned();
        plan.files.insert(path, package.sha256.clone());
        let Some(service) = config
            .service(&package.service)
            .filter(|service| !service.properties)
        else {
            continue;
        };
        keep_healthy(&mut plan, config, service);
    }
    plan.locks = choice.hosts().iter().map(ToString::to_string).collect();
    plan
}

/// SHA-256 of the config's text.
fn digest_of(written: &Config) -> Option<String> {
    let source = written.source.as_ref()?;
    Some(hex(&Sha256::digest(source.text())))
}

/// How many hosts of a service must stay healthy.
fn keep_healthy(plan: &mut Plan, config: &RollingConfig, service: &RollingService) {
    if let Some(share) = service.min_healthy.or(config.min_healthy) {
        plan.min_healthy
            .insert(service.name.clone(), share.to_string());
    }
}

/// A package whose service is not in the config.
fn unknown_service(package: &Package) -> Diagnostic {
    let message = format!(
        "{} belongs to no service of the config",
        package.path.display()
    );
    Diagnostic::error(message).hint(format!("describe it under `service.{}`", package.service))
}
