//! What the generator is given: the config and nothing else.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use windlass_engine::generator::{Help, RemoteVersions};
use windlass_engine::host::{Conversation, HostError, HostErrorKind, Hosts};
use windlass_model::config::Config;
use windlass_model::diagnostic::Diagnostics;
use windlass_model::ids::HostName;
use windlass_model::package::Package;
use windlass_model::step::Level;
use windlass_model::tasklist::Stage;

/// The config and nothing else. Log lines go nowhere.
pub(crate) struct ConfigOnly(pub(crate) Config);

#[async_trait]
impl Help for ConfigOnly {
    fn config(&self) -> &Config {
        &self.0
    }

    fn base(&self) -> &Path {
        Path::new(".")
    }

    fn log(&self, _: Level, _: &str, _: Option<&HostName>, _: Option<&str>, _: &str) {}

    async fn packages(&self) -> Result<Vec<Package>, Diagnostics> {
        Ok(Vec::new())
    }

    async fn remote_versions(&self, _packages: &[Package]) -> RemoteVersions {
        RemoteVersions::new()
    }

    fn graphite_stage(&self, _suffix: &str) -> Option<Stage> {
        None
    }

    fn hosts(&self) -> Arc<dyn Hosts> {
        Arc::new(NoHosts)
    }
}

struct NoHosts;

#[async_trait]
impl Hosts for NoHosts {
    async fn converse(
        &self,
        host: &HostName,
        _user: Option<&str>,
    ) -> Result<Box<dyn Conversation>, HostError> {
        let message = format!("{host} is not asked while a tasklist is made");
        Err(HostError::new(HostErrorKind::Unreachable, message))
    }

    async fn check_keys(&self, _hosts: &[HostName]) -> Vec<(HostName, HostError)> {
        Vec::new()
    }

    async fn close(&self) {}
}
