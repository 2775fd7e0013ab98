//! Who may do what.
//!
//! An [`Auth`] says who somebody is, from credentials that only it understands, and what they may do. Agents are not asked
//! here: they hold a credential of their own, and act on the jobs that are leased to them only.

mod anonymous;
mod exec;
mod users;

use async_trait::async_trait;
use serde_json::{Map, Value};
use windlass_model::release::{Environment, Project, TargetName};

pub use anonymous::Anonymous;
pub use exec::Exec;
pub use users::Users;

/// What a client says about itself: an open struct. Handed to the plugin and to nobody else.
pub type Credentials = Map<String, Value>;

/// Somebody who was authenticated.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// What histories call them.
    pub name: String,
    /// Whatever else the plugin knows; given back to it when it authorizes.
    pub about: Map<String, Value>,
}

/// What somebody wants to do. In words of the release system: `build`, `install`, actions of a project's own; `query`,
/// `cancel`, `settle`, `reject`, `import`, `deploy` (to tell of one), `agents`, `reload`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ask<'a> {
    /// The action.
    pub action: &'a str,
    /// Of which project; none: of no one in particular.
    pub project: Option<&'a Project>,
    /// Into which environment.
    pub environment: Option<&'a Environment>,
    /// Into which of its targets.
    pub target: Option<&'a TargetName>,
}

/// Whether somebody may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// They may.
    Yes,
    /// They may not, for the reason given.
    No(String),
}

/// An auth plugin. One serves the whole manager; calls come concurrently. A call that is dropped is not wanted any more.
/// Repeating a call is safe.
#[async_trait]
pub trait Auth: Send + Sync {
    /// Who that is; `None`: nobody. An error when it could not be found out, which counts as nobody, and is logged.
    async fn authenticate(&self, credentials: &Credentials) -> Result<Option<Identity>, String>;
    /// Whether somebody may. An error when it could not be found out, which counts as no, and is logged.
    async fn authorize(&self, identity: &Identity, ask: Ask<'_>) -> Result<Decision, String>;
    /// Whether it lets everybody in: such a manager listens on loopback only, unless told.
    fn is_open(&self) -> bool {
        false
    }
}
