//! The directories of builders and installers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::installation::{
    BuildHost, InstallBehavior, NamedTarget, ReleaseBuilder, ReleaseInstaller, prefix,
};
use windlass_model::release::{Environment, TargetName};

use super::files::{Folder, Origin, Wanted};
use super::{Loaded, Place, WithCode, all_plugins, auth, coded, ended};

/// What a builder is started with.
#[derive(Clone, Debug)]
pub(crate) struct BuilderSetup {
    /// The service.
    pub(crate) host: BuildHost,
    /// What it builds, by project.
    pub(crate) builders: Vec<WithCode<ReleaseBuilder>>,
}

/// What an installer is started with.
#[derive(Clone, Debug)]
pub(crate) struct InstallerSetup {
    /// The service.
    pub(crate) installer: ReleaseInstaller,
    /// What it installs, in each environment.
    pub(crate) targets: BTreeMap<(Environment, TargetName), TargetSetup>,
}

/// A target with its behaviour.
#[derive(Clone, Debug)]
pub(crate) struct TargetSetup {
    /// The target.
    pub(crate) target: NamedTarget,
    /// How it is installed.
    pub(crate) behavior: InstallBehavior,
}

/// Loads the builder `name`.
pub(crate) fn load_builder(place: &Place, name: &str) -> Loaded<BuilderSetup> {
    let mut told = Diagnostics::new();
    let folder = place.folder("builder");
    let wanted = Wanted::by(format!("the builder `{name}`"));
    let read = folder.one(
        prefix::BUILD_HOST,
        name,
        &wanted,
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
    for (item, origin) in items {
        if let Some(program) = coded(place, &item.code, &origin, &mut told) {
            builders.push(WithCode { item, program });
        }
    }
    if read.is_none() {
        all_plugins(place, &mut told);
    }
    let loaded = read.map(|(host, origin)| {
        // An agent asks nobody who they are yet; what is written must be right all the same.
        auth(
            place,
            host.agent.service.auth.as_deref(),
            &origin,
            &mut told,
        );
        BuilderSetup { host, builders }
    });
    ended(loaded, told)
}

/// Loads the installer `name` and what it advertises.
pub(crate) fn load_installer(place: &Place, name: &str) -> Loaded<InstallerSetup> {
    let mut told = Diagnostics::new();
    let folder = place.folder("installer");
    let wanted = Wanted::by(format!("the installer `{name}`"));
    let read = folder.one(
        prefix::INSTALLER,
        name,
        &wanted,
        ReleaseInstaller::read,
        &mut told,
    );
    if read.is_none() {
        all_plugins(place, &mut told);
        all_targets(place, &mut told);
    }
    let loaded = read.map(|(installer, origin)| {
        let name = installer.agent.service.auth.as_deref();
        auth(place, name, &origin, &mut told);
        InstallerSetup {
            targets: targets(place, &installer, &origin, &mut told),
            installer,
        }
    });
    ended(loaded, told)
}

fn targets(
    place: &Place,
    installer: &ReleaseInstaller,
    origin: &Origin,
    told: &mut Diagnostics,
) -> BTreeMap<(Environment, TargetName), TargetSetup> {
    let mut targets = BTreeMap::new();
    for (environment, advertised) in &installer.environments {
        let folder = place.folder(&format!("target/{environment}"));
        if !folder.exists() {
            let wanted = Wanted {
                by: format!("the environment `{environment}` is advertised"),
                at: Some((&origin.source, advertised.span)),
            };
            let message = format!(", and there is no directory {}", folder.0.display());
            let fault = wanted.fault(&message);
            told.push(fault.hint("make it, or take the environment out"));
            continue;
        }
        for (name, span) in &advertised.targets {
            let wanted = Wanted {
                by: format!("`{name}` is advertised in the environment `{environment}`"),
                at: Some((&origin.source, *span)),
            };
            if let Some(target) = target(place, &folder, name, &wanted, told) {
                targets.insert((environment.clone(), name.clone()), target);
            }
        }
    }
    targets
}

fn target(
    place: &Place,
    folder: &Folder,
    name: &TargetName,
    wanted: &Wanted<'_>,
    told: &mut Diagnostics,
) -> Option<TargetSetup> {
    let name = name.as_str();
    let (target, origin) = folder.one(prefix::TARGET, name, wanted, NamedTarget::read, told)?;
    let wanted = Wanted::by(format!(
        "`install_behavior: {}` of {}",
        target.install_behavior, origin.file
    ));
    let (behavior, origin) = folder.one(
        prefix::INSTALL_BEHAVIOR,
        &target.install_behavior,
        &wanted,
        InstallBehavior::read,
        told,
    )?;
    coded(place, &behavior.code, &origin, told)?;
    Some(TargetSetup { target, behavior })
}

/// Reads the targets of every environment, for their faults, where it is not known which are advertised.
fn all_targets(place: &Place, told: &mut Diagnostics) {
    let Ok(environments) = std::fs::read_dir(place.folder("target").0) else {
        return;
    };
    let mut folders: Vec<PathBuf> = environments.flatten().map(|e| e.path()).collect();
    folders.sort();
    for folder in folders.into_iter().filter(|path| path.is_dir()) {
        let folder = Folder(folder);
        folder.all(prefix::TARGET, NamedTarget::read, told);
        let behaviors = folder.all(prefix::INSTALL_BEHAVIOR, InstallBehavior::read, told);
        for (behavior, origin) in behaviors {
            coded(place, &behavior.code, &origin, told);
        }
    }
}
