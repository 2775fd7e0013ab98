//! Where steps are done: here, and over SSH, by one conversation with a shell.
//!
//! A conversation opens a shell for each user whose rights are wanted, at the first step that wants them. What a
//! program leaves behind in a process group of its own (`setsid`, a daemon) is out of reach of a kill.

mod actor;
mod bundle;
mod conversation;
mod dial;
mod digests;
mod greeting;
mod http;
mod item;
mod keep;
mod local;
mod marker;
mod put;
mod script;
mod shell;
pub mod ssh;
#[cfg(test)]
mod tests;
mod transport;
mod work;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use windlass_engine::host::{Begun, Conversation, HostError, HostErrorKind, Hosts};
use windlass_engine::secrets::Secrets;
use windlass_model::SecretRef;
use windlass_model::diagnostic::Diagnostics;
use windlass_model::ids::HostName;

use conversation::{Context, Groups, Talk};
use digests::Digests;
use local::Local;
use shell::Door;
use ssh::{Scanned, Ssh, config::SshConfig};
use transport::{Reach, Transport};

/// A secret for every host, or for some.
#[derive(Clone, Debug, Default)]
pub struct PerHost {
    /// For hosts that have none of their own.
    pub default: Option<SecretRef>,
    /// By the host's name in the config.
    pub hosts: HashMap<HostName, SecretRef>,
}

impl PerHost {
    fn of(&self, host: &HostName) -> Option<&SecretRef> {
        self.hosts.get(host).or(self.default.as_ref())
    }
}

/// What [`hosts`] needs; nothing is read from the environment.
#[derive(Clone, Debug, Default)]
pub struct HostsOptions {
    /// A file in the place of the user's `~/.ssh/config`.
    pub ssh_config: Option<PathBuf>,
    /// The user's home directory: where `.ssh` is, and where local programs start.
    pub home: Option<PathBuf>,
    /// The user who runs Windlass: the remote user when nothing else says one.
    pub local_user: String,
    /// The remote user that the config names; it goes before the one of ssh_config.
    pub default_user: Option<String>,
    /// The socket of the SSH agent: `SSH_AUTH_SOCK`.
    pub agent_socket: Option<PathBuf>,
    /// How long connecting may take, all of it; else ssh_config's `ConnectTimeout`, else 10 s.
    pub connect_timeout: Option<Duration>,
    /// What sudo is told when it asks. Without one it must not ask.
    pub sudo_password: PerHost,
    /// For encrypted identity files that no agent holds.
    pub key_passphrase: PerHost,
    /// The values of both.
    pub secrets: Arc<Secrets>,
}

/// The hosts of a run: see [`Hosts`].
pub struct AllHosts {
    options: HostsOptions,
    digests: Arc<Digests>,
    local: Arc<Local>,
    ssh: Arc<Ssh>,
    this: Weak<Self>,
}

/// The hosts of a run. Connects to none yet.
///
/// # Errors
///
/// An ssh_config that cannot be read, or that OpenSSH would refuse: all faults at once.
pub fn hosts(options: HostsOptions) -> Result<Arc<AllHosts>, Diagnostics> {
    let config = SshConfig::load(
        options.ssh_config.as_deref(),
        options.home.as_deref(),
        &options.local_user,
    )?;
    let ssh = Arc::new(Ssh::new(config, options.clone()));
    Ok(Arc::new_cyclic(|this| AllHosts {
        local: Arc::new(Local::new(options.home.clone())),
        digests: Arc::default(),
        options,
        ssh,
        this: this.clone(),
    }))
}

impl AllHosts {
    /// The keys that these hosts show now, known or not, by the host's name. Nobody logs in, but to hosts to jump over.
    pub async fn scan_keys(
        &self,
        hosts: &[HostName],
    ) -> Vec<(HostName, Result<Scanned, HostError>)> {
        self.ssh.scan_keys(hosts).await
    }
}

#[async_trait]
impl Reach for AllHosts {
    async fn reach(
        &self,
        host: &HostName,
        user: Option<&str>,
    ) -> Result<Arc<dyn Transport>, HostError> {
        if host.is_local() {
            return Ok(self.local.clone());
        }
        self.ssh.reach(host, user).await
    }
}

#[async_trait]
impl Hosts for AllHosts {
    async fn converse(
        &self,
        host: &HostName,
        user: Option<&str>,
    ) -> Result<Box<dyn Conversation>, HostError> {
        let transport = self.reach(host, user).await?;
        let password = self
            .options
            .sudo_password
            .of(host)
            .and_then(|secret| self.options.secrets.get(secret).cloned());
        let reach: Arc<dyn Reach> = self
            .this
            .upgrade()
            .ok_or_else(|| HostError::new(HostErrorKind::Lost, "the run is over"))?;
        Ok(Box::new(Talk::new(Context {
            door: Door {
                transport,
                shell: "sh".into(),
                password,
            },
            reach,
            digests: self.digests.clone(),
            groups: Groups::default(),
        })))
    }

    async fn check_keys(&self, hosts: &[HostName]) -> Vec<(HostName, HostError)> {
        self.ssh.check_keys(hosts).await
    }

    fn notes(&self) -> Vec<String> {
        self.ssh.notes()
    }

    fn telling(&self, begun: Begun) -> Option<Arc<dyn Hosts>> {
        let local = Arc::new(self.local.telling(begun));
        Some(Arc::new_cyclic(|this| Self {
            options: self.options.clone(),
            digests: self.digests.clone(),
            local,
            ssh: self.ssh.clone(),
            this: this.clone(),
        }))
    }

    async fn close(&self) {
        self.ssh.close().await;
    }
}
