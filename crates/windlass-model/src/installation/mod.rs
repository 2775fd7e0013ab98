//! The configuration of managers, builders and installers, as their installation directories hold it.
//!
//! Each file is one item, in YAML or XML ([`Document`]). `name`, `klass` and `package` say what it is and which code is
//! behind it ([`Code`]); the other keys are the item's. Keys that nobody knows are kept: a behaviour gets them as its
//! config ([`Settings`]). A near miss of a known key is a warning.
//!
//! | file | item |
//! | --- | --- |
//! | `conf/manager/release_manager_*` | [`Manager`] |
//! | `conf/project/project_definition_*` | [`ProjectDefinition`] |
//! | `conf/builder/build_host_*` | [`BuildHost`] |
//! | `conf/builder/release_builder_*` | [`ReleaseBuilder`] |
//! | `conf/installer/release_installer_*` | [`ReleaseInstaller`] |
//! | `conf/target/ENV/named_target_*` | [`NamedTarget`] |
//! | `conf/target/ENV/install_behavior_*` | [`InstallBehavior`] |
//! | `conf/plugins/auth/plugin_auth_*` | [`AuthPlugin`] |
//! | `conf/plugins/persist/plugin_persist_*` | [`PersistPlugin`] |

mod agent;
mod builder;
mod code;
mod document;
mod installer;
mod keys;
mod manager;
mod plugin;
mod project;
mod service;
mod vcs;

#[cfg(test)]
mod tests;

pub use agent::Agent;
pub use builder::{BuildHost, Limits, OwnLimits, ReleaseBuilder};
pub use code::{Code, Settings, snake};
pub use document::{Document, Form, parse};
pub use installer::{Advertised, InstallBehavior, NamedTarget, ReleaseInstaller};
pub use manager::{EnvironmentRules, Manager, Tls};
pub use plugin::{AuthCode, AuthPlugin, Database, PersistPlugin};
pub use project::{OnFailure, ProjectDefinition, Rollout};
pub use service::{Listen, Logging, Service};
pub use vcs::{Vcs, VcsKind, VersionFrom};

use crate::diagnostic::Diagnostics;

/// What a file gave, and warnings; or all that is wrong with it.
pub type Read<T> = Result<(T, Diagnostics), Diagnostics>;

/// The prefixes of file names; what follows is the name by which an item is looked up.
pub mod prefix {
    /// [`super::Manager`]
    pub const MANAGER: &str = "release_manager_";
    /// [`super::ProjectDefinition`]
    pub const PROJECT: &str = "project_definition_";
    /// [`super::BuildHost`]
    pub const BUILD_HOST: &str = "build_host_";
    /// [`super::ReleaseBuilder`]
    pub const BUILDER: &str = "release_builder_";
    /// [`super::ReleaseInstaller`]
    pub const INSTALLER: &str = "release_installer_";
    /// [`super::NamedTarget`]
    pub const TARGET: &str = "named_target_";
    /// [`super::InstallBehavior`]
    pub const INSTALL_BEHAVIOR: &str = "install_behavior_";
    /// [`super::AuthPlugin`]
    pub const AUTH: &str = "plugin_auth_";
    /// [`super::PersistPlugin`]
    pub const PERSIST: &str = "plugin_persist_";
    /// All of them.
    pub const ALL: [&str; 9] = [
        MANAGER,
        PROJECT,
        BUILD_HOST,
        BUILDER,
        INSTALLER,
        TARGET,
        INSTALL_BEHAVIOR,
        AUTH,
        PERSIST,
    ];
}
