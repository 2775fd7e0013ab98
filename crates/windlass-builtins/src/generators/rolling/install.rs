//! What is done before anything goes out of service: upload, unpack, properties, migrations.

use windlass_model::config::Share;
use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::tasklist::{Job, Task};
use windlass_model::tree::Node;

use super::stages::{Limits, Stages};
use super::target::{Choice, Target};

/// Every package to each of its hosts.
pub(super) fn upload(stages: &mut Stages<'_>, choice: &Choice<'_>) {
    let job = |target: &Target<'_>| {
        let source = target.package.path.to_string_lossy().into_owned();
        let destination = target.destination.clone();
        Job::Task(target.task("upload", [("source", source), ("destination", destination)]))
    };
    let jobs = choice.unpacked().map(job).collect();
    stages.push("Upload", limits(stages, choice), jobs);
}

/// Every package into a fresh directory of its own, with links to what releases share.
pub(super) fn unpack(stages: &mut Stages<'_>, choice: &Choice<'_>) -> Result<(), Diagnostics> {
    let mut jobs = Vec::new();
    for target in choice.unpacked() {
        let unpacked = target.unpacked();
        let archive = format!("{}/{}", target.destination, target.package.filename);
        let fresh = [
            ("source", Node::from(unpacked.clone())),
            ("clobber", true.into()),
        ];
        let mut chain = vec![
            target.task("createdirectory", fresh),
            target.task(
                "unpack",
                [
                    ("source", archive),
                    ("destination", unpacked),
                    ("strip", "single".into()),
                ],
            ),
        ];
        if !target.service.properties {
            share(target, &mut chain)?;
        }
        jobs.push(Job::Chain(chain));
    }
    stages.push("Unpack", limits(stages, choice), jobs);
    Ok(())
}

/// A host that fails is left out of later stages. The one that migrates must not be, or the others were deployed
/// without the migration.
fn limits(stages: &Stages<'_>, choice: &Choice<'_>) -> Limits {
    let limits = stages.non_deploy();
    match choice.migrations.is_empty() {
        true => limits,
        false => Limits {
            max_failures: Share::Count(0),
            ..limits
        },
    }
}

/// Links from the unpacked tree to what stays when releases change. What is not there becomes a directory.
fn share(target: &Target<'_>, chain: &mut Vec<Task>) -> Result<(), Diagnostics> {
    for path in &target.service.shared {
        let path = target.text("shared", path)?;
        let kept = format!("{}/shared/{path}", target.install_location);
        let link = format!("{}/{path}", target.unpacked());
        let make = format!("mkdir -p {}", crate::sh::quote(&kept));
        chain.push(target.task(
            "execute_command",
            [("run", make), ("creates", kept.clone())],
        ));
        if let Some((parent, _)) = path.rsplit_once('/') {
            let parent = format!("{}/{parent}", target.unpacked());
            chain.push(target.task("createdirectory", [("source", parent)]));
        }
        chain.push(target.task("removefile", [("source", link.clone())]));
        chain.push(target.task("symlink", [("source", kept), ("destination", link)]));
    }
    Ok(())
}

/// The files of this environment, from every package of properties.
pub(super) fn properties(stages: &mut Stages<'_>, choice: &Choice<'_>) -> Result<(), Diagnostics> {
    let mut jobs = Vec::new();
    for target in choice
        .targets
        .iter()
        .filter(|target| target.service.properties)
    {
        let Some(environment) = &stages.config.environment else {
            let message = format!(
                "`{}` is a package of properties, and the config has no environment",
                target.service.name
            );
            let fault = Diagnostic::error(message).key("environment");
            return Err(fault
                .hint("give the config an `environment`: the files of its name are copied")
                .into());
        };
        // The config says that there is a path whenever there are properties.
        let path = target
            .service
            .properties_path
            .as_deref()
            .unwrap_or_default();
        let args = [
            ("source", format!("{}/{environment}", target.unpacked())),
            ("destination", target.text("properties_path", path)?),
            ("version", target.package.version.clone()),
        ];
        jobs.push(Job::Task(target.task("deploy_properties", args)));
    }
    stages.push("Properties", stages.non_deploy(), jobs);
    Ok(())
}

/// One migration a service, on one host, recorded there.
pub(super) fn migrations(stages: &mut Stages<'_>, choice: &Choice<'_>) -> Result<(), Diagnostics> {
    let mut jobs = Vec::new();
    for target in &choice.migrations {
        let Some(command) = &target.service.migration_command else {
            continue;
        };
        let (unpacked, release) = (target.unpacked(), target.release_name());
        let mut args = vec![
            ("source", target.text("migration_command", command)?),
            ("cwd", unpacked.clone()),
            (
                "record",
                format!("{}/.windlass/migrations/{release}", target.install_location),
            ),
        ];
        if let Some(path) = &target.service.migration_path {
            let path = target.text("migration_path", path)?;
            let absolute = match path.starts_with('/') {
                true => path,
                false => format!("{unpacked}/{path}"),
            };
            args.push(("if_exists", absolute));
        }
        jobs.push(Job::Task(target.task("dbmigration", args)));
    }
    let one = Limits {
        concurrency: Share::Count(1),
        per_host: None,
        max_failures: Share::Count(0),
    };
    stages.push("Database migrations", one, jobs);
    Ok(())
}
