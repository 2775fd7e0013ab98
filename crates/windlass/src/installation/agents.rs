//! The directories of builders and installers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::installation::{
    AuthPlugin, BuildHost, InstallBehavior, NamedTarget, ReleaseBuilder, ReleaseInstaller, prefix,
};
use windlass_model::release::{Environment, TargetName};

use super::files::Folder;
use super::{Loaded, Place, WithCode, auth, coded, ended};

/// What a builder is started with.
#[derive(Clone, Debug)]
pub(crate) struct BuilderSetup {
    /// Where it is.
    pub(crate) place: Place,
    /// The service.
    pub(crate) host: BuildHost,
    /// What it builds, by project.
    pub(crate) builders: Vec<WithCode<ReleaseBuilder>>,
    /// Who may have it do what; none: its managers.
    pub(crate) auth: Option<WithCode<AuthPlugin>>,
}

/// What an installer is started with.
#[derive(Clone, Debug)]
pub(crate) struct InstallerSetup {
    /// Where it is.
    pub(crate) place: Place,
    /// The service.
    pub(crate) installer: ReleaseInstaller,
    /// What it installs, in each environment.
    pub(crate) targets: BTreeMap<(Environment, TargetName), TargetSetup>,
    /// Who may have it do what; none: its managers.
    pub(crate) auth: Option<WithCode<AuthPlugin>>,
}

/// A target with its behaviour.
#[derive(Clone, Debug)]
pub(crate) struct TargetSetup {
    /// The target.
    pub(crate) target: NamedTarget,
    /// How it is installed.
    pub(crate) behavior: InstallBehavior,
    /// The program behind the behaviour; none for one that is built in.
    pub(crate) program: Option<PathBuf>,
}

/// Loads the builder `name`.
pub(crate) fn load_builder(place: &Place, name: &str) -> Loaded<BuilderSetup> {
    let mut told = Diagnostics::new();
    let folder = place.folder("builder");
    let wanted_by = format!("the builder `{name}`");
    let read = folder.one(
        prefix::BUILD_HOST,
        name,
        &wanted_by,
        BuildHost::read,
        &mut told,
    );
    let mut faults = Diagnostics::new();
    let items = folder.all(prefix::BUILDER, ReleaseBuilder::read, &mut faults);
    if items.is_empty() && !faults.has_errors() {
        let message = format!(
            "nothing can be built: {} holds no {}PROJECT",
            folder.0.display(),
            prefix::BUILDER
        );
        faults.push(Diagnostic::warning(message).hint("write one for each project"));
    }
    told.extend(faults);
    let mut builders = Vec::with_capacity(items.len());
    for (item, file) in items {
        if let Some(program) = coded(place, &item.code, &file, &mut told) {
            builders.push(WithCode { item, program });
        }
    }
    let loaded = read.map(|(host, file)| BuilderSetup {
        place: place.clone(),
        auth: auth(place, host.agent.service.auth.as_deref(), &file, &mut told),
        host,
        builders,
    });
    ended(loaded, told)
}

/// Loads the installer `name` and what it advertises.
pub(crate) fn load_installer(place: &Place, name: &str) -> Loaded<InstallerSetup> {
    let mut told = Diagnostics::new();
    let folder = place.folder("installer");
    let wanted_by = format!("the installer `{name}`");
    let read = folder.one(
        prefix::INSTALLER,
        name,
        &wanted_by,
        ReleaseInstaller::read,
        &mut told,
    );
    let loaded = read.map(|(installer, file)| InstallerSetup {
        place: place.clone(),
        auth: auth(
            place,
            installer.agent.service.auth.as_deref(),
            &file,
            &mut told,
        ),
        targets: targets(place, &installer, &file, &mut told),
        installer,
    });
    ended(loaded, told)
}

fn targets(
    place: &Place,
    installer: &ReleaseInstaller,
    file: &str,
    told: &mut Diagnostics,
) -> BTreeMap<(Environment, TargetName), TargetSetup> {
    let mut targets = BTreeMap::new();
    for (environment, advertised) in &installer.environments {
        let folder = place.folder(&format!("target/{environment}"));
        if !folder.exists() {
            let message = format!(
                "{file} advertises the environment `{environment}`, and there is no directory {}",
                folder.0.display()
            );
            told.push(Diagnostic::error(message).hint("make it, or take the environment out"));
            continue;
        }
        for (name, _) in &advertised.targets {
            if let Some(target) = target(place, &folder, environment, name, file, told) {
                targets.insert((environment.clone(), name.clone()), target);
            }
        }
    }
    targets
}

fn target(
    place: &Place,
    folder: &Folder,
    environment: &Environment,
    name: &TargetName,
    file: &str,
    told: &mut Diagnostics,
) -> Option<TargetSetup> {
    let wanted_by = format!("{file} advertises `{name}` in the environment `{environment}`");
    let (target, file) = folder.one(
        prefix::TARGET,
        name.as_str(),
        &wanted_by,
        NamedTarget::read,
        told,
    )?;
    let key = format!("`install_behavior: {}` of {file}", target.install_behavior);
    let (behavior, file) = folder.one(
        prefix::INSTALL_BEHAVIOR,
        &target.install_behavior,
        &key,
        InstallBehavior::read,
        told,
    )?;
    let program = coded(place, &behavior.code, &file, told)?;
    Some(TargetSetup {
        target,
        behavior,
        program,
    })
}
