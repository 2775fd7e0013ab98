//! Generators make tasklists from configuration.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use windlass_model::config::Config;
use windlass_model::diagnostic::Diagnostics;
use windlass_model::ids::HostName;
use windlass_model::package::Package;
use windlass_model::step::Level;
use windlass_model::tasklist::{Stage, Tasklist};

/// Makes a tasklist. Called once a plan; may ask hosts, changes nothing on them.
#[async_trait]
pub trait Generator: Send + Sync {
    /// The platform's name.
    fn name(&self) -> &str;
    /// What it does: one sentence.
    fn about(&self) -> String;
    /// Makes the tasklist. Cancelled by dropping.
    async fn generate(&self, help: &dyn Help) -> Result<Tasklist, Diagnostics>;
    /// The component of its log lines: `TestGenerator`.
    fn component(&self) -> String {
        format!("{}Generator", crate::command::camel_case(self.name()))
    }
}

/// Service -> host -> the version that runs there; `None` where not installed or not reached.
pub type RemoteVersions = BTreeMap<String, BTreeMap<HostName, Option<String>>>;

/// What a generator is given. The same for built-in ones and plugins.
#[async_trait]
pub trait Help: Send + Sync {
    /// The config, merged with the command line's options.
    fn config(&self) -> &Config;
    /// The folder of the config.
    fn base(&self) -> &Path;
    /// The log; `component` is the generator's.
    fn log(
        &self,
        level: Level,
        component: &str,
        host: Option<&HostName>,
        tag: Option<&str>,
        message: &str,
    );
    /// The packages that `--component` and `--directory` name, hashed. An unknown service, an empty directory, a missing
    /// file: errors.
    async fn packages(&self) -> Result<Vec<Package>, Diagnostics>;
    /// What runs where, of the services of these packages, asked from all their hosts at once. A host that is not
    /// reached gives a warning and `None`.
    async fn remote_versions(&self, packages: &[Package]) -> RemoteVersions;
    /// A stage that sends the metric `<metric_prefix>.<suffix>`; `None` without `graphite` in the config.
    fn graphite_stage(&self, suffix: &str) -> Option<Stage>;
    /// The hosts, to ask them more.
    fn hosts(&self) -> Arc<dyn crate::host::Hosts>;
}
