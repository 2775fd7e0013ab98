//! What an agent says that it can do.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ids::{Environment, Project, TargetName};
use super::whole::AgentKind;

/// What a manager routes by; survives the manager's restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Advertisement {
    /// The projects that a builder can build.
    Projects(BTreeSet<Project>),
    /// The targets that an installer can install into, by environment.
    Environments(BTreeMap<Environment, BTreeSet<TargetName>>),
}

impl Advertisement {
    /// Whose it is.
    pub fn kind(&self) -> AgentKind {
        match self {
            Self::Projects(_) => AgentKind::Builder,
            Self::Environments(_) => AgentKind::Installer,
        }
    }

    /// Whether a project can be built.
    pub fn builds(&self, project: &Project) -> bool {
        matches!(self, Self::Projects(projects) if projects.contains(project))
    }

    /// Whether a target can be installed into, in an environment.
    pub fn installs(&self, environment: &Environment, target: &TargetName) -> bool {
        let Self::Environments(environments) = self else {
            return false;
        };
        environments
            .get(environment)
            .is_some_and(|targets| targets.contains(target))
    }
}

impl std::fmt::Display for Advertisement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |names: Vec<&str>| names.join(", ");
        match self {
            Self::Projects(projects) => {
                f.write_str(&list(projects.iter().map(Project::as_str).collect()))
            }
            Self::Environments(environments) => {
                for (n, (environment, targets)) in environments.iter().enumerate() {
                    let separator = if n > 0 { "; " } else { "" };
                    let targets = list(targets.iter().map(TargetName::as_str).collect());
                    write!(f, "{separator}{environment}: {targets}")?;
                }
                Ok(())
            }
        }
    }
}
