//! The XML of installations: every kind of file can be asked for all that it may hold, and every fault can be told.

use windlass_model::installation::{
    AuthPlugin, BuildHost, Document, Form, InstallBehavior, Manager, NamedTarget, PersistPlugin,
    ProjectDefinition, Read, ReleaseBuilder, ReleaseInstaller, parse,
};

/// See the module.
pub fn check(data: &[u8]) {
    match parse("release_manager_x.xml", data.to_vec(), Form::Xml) {
        Ok(document) => ask(&document),
        Err(faults) => assert!(!faults.to_string().is_empty()),
    }
}

/// Reads a document as everything that it might be.
pub(crate) fn ask(document: &Document) {
    told(Manager::read(document, "x"));
    told(ProjectDefinition::read(document, "x"));
    told(BuildHost::read(document, "x"));
    told(ReleaseBuilder::read(document, "x"));
    told(ReleaseInstaller::read(document, "x"));
    told(NamedTarget::read(document, "x"));
    told(InstallBehavior::read(document, "x"));
    told(AuthPlugin::read(document, "x"));
    told(PersistPlugin::read(document, "x"));
}

fn told<T>(read: Read<T>) {
    match read {
        Ok((_, warnings)) => drop(warnings.to_string()),
        Err(faults) => assert!(!faults.to_string().is_empty()),
    }
}
