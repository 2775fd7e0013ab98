//! A manager's directory.

use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::installation::{AuthPlugin, Manager, PersistPlugin, ProjectDefinition, prefix};

use super::files::Wanted;
use super::{Loaded, Place, WithCode, all_plugins, auth, ended};

/// What a manager is started with.
#[derive(Clone, Debug)]
pub(crate) struct ManagerSetup {
    /// Where it is.
    pub(crate) place: Place,
    /// The service.
    pub(crate) manager: Manager,
    /// What it knows of, by name.
    pub(crate) projects: Vec<ProjectDefinition>,
    /// Who may do what; none: everybody.
    pub(crate) auth: Option<WithCode<AuthPlugin>>,
    /// Where it keeps what it knows; none: SQLite in the work directory.
    pub(crate) persist: Option<PersistPlugin>,
}

/// Loads the manager `name`.
pub(crate) fn load_manager(place: &Place, name: &str) -> Loaded<ManagerSetup> {
    let mut told = Diagnostics::new();
    let folder = place.folder("manager");
    let wanted = Wanted::by(format!("the manager `{name}`"));
    let read = folder.one(prefix::MANAGER, name, &wanted, Manager::read, &mut told);
    let projects = projects(place, &mut told);
    if read.is_none() {
        all_plugins(place, &mut told);
        let persist = place.folder("plugins/persist");
        persist.all(prefix::PERSIST, PersistPlugin::read, &mut told);
    }
    let loaded = read.map(|(manager, origin)| {
        let auth = auth(place, manager.service.auth.as_deref(), &origin, &mut told);
        let persist = manager.persist.as_ref().and_then(|persist| {
            let wanted = Wanted::by(format!("`persist: {persist}` of {}", origin.file));
            let folder = place.folder("plugins/persist");
            folder.one(
                prefix::PERSIST,
                persist,
                &wanted,
                PersistPlugin::read,
                &mut told,
            )
        });
        ManagerSetup {
            place: place.clone(),
            manager,
            projects,
            auth,
            persist: persist.map(|(persist, _)| persist),
        }
    });
    ended(loaded, told)
}

fn projects(place: &Place, told: &mut Diagnostics) -> Vec<ProjectDefinition> {
    let folder = place.folder("project");
    let mut faults = Diagnostics::new();
    let all = folder.all(prefix::PROJECT, ProjectDefinition::read, &mut faults);
    if all.is_empty() && !faults.has_errors() {
        let message = format!("no project is known: there is no {}", folder.0.display());
        let message = match folder.exists() {
            true => format!(
                "no project is known: {} holds no {}NAME",
                folder.0.display(),
                prefix::PROJECT
            ),
            false => message,
        };
        faults.push(Diagnostic::warning(message).hint("every request will be rejected"));
    }
    told.extend(faults);
    all.into_iter().map(|(project, _)| project).collect()
}
