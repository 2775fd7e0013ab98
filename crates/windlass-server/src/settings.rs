//! What a manager is told when it starts, and again at a reload.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use windlass_model::release::{Environment, Project, Rollout, TargetName};
use windlass_model::step::Level;

use crate::auth::Auth;

/// A manager's settings.
#[derive(Clone)]
pub struct Settings {
    /// Projects that it knows.
    pub projects: BTreeMap<Project, ProjectSettings>,
    /// Environments that its config says something about; others are known by what installers advertise.
    pub environments: BTreeMap<Environment, EnvironmentSettings>,
    /// Who may do what.
    pub auth: Arc<dyn Auth>,
    /// How long an agent has a job without renewing it.
    pub lease: Duration,
    /// How long an installer may be away before its install fails.
    pub install_deadline: Duration,
    /// How long a build waits for a builder before it fails.
    pub build_deadline: Duration,
    /// Longest XML-RPC or JSON request, in bytes; inflated, where it is compressed.
    pub request_limit: u64,
    /// Whether agents need a one-time token to join from loopback too.
    pub tokens_on_loopback: bool,
}

/// A project.
#[derive(Clone, Debug, Default)]
pub struct ProjectSettings {
    /// Its named targets, in the order of its config.
    pub targets: Vec<TargetName>,
    /// Actions of its own: name -> generator.
    pub actions: BTreeMap<String, String>,
    /// How its installs go out.
    pub rollout: Rollout,
}

/// An environment.
#[derive(Clone, Debug, Default)]
pub struct EnvironmentSettings {
    /// Where a release must be installed before it may come here.
    pub from: Option<Environment>,
}

/// Reads the settings again; an error says what is wrong with them.
pub type Reload = Arc<dyn Fn() -> Result<Settings, String> + Send + Sync>;

/// Takes lines for the log: level, component, message.
pub type Log = Arc<dyn Fn(Level, &str, &str) + Send + Sync>;
