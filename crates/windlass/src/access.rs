//! What a config says of how to get onto its hosts.

use std::collections::HashSet;

use windlass_builtins::hosts::PerHost;
use windlass_model::SecretRef;
use windlass_model::config::Config;
use windlass_model::diagnostic::Diagnostics;

/// The remote user, and the secrets that sudo and keys ask for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// The user of tasks that name none.
    pub(crate) user: Option<String>,
    /// What sudo is told.
    pub(crate) sudo_password: PerHost,
    /// What opens encrypted keys.
    pub(crate) key_passphrase: PerHost,
}

impl Access {
    /// Reads it from a config: the values at the top, those of hostgroups before them.
    pub(crate) fn of(config: &Config) -> Result<Self, Diagnostics> {
        let mut access = Self {
            user: config.user()?,
            ..Self::default()
        };
        access.sudo_password.default = config.secret("sudo_password")?;
        access.key_passphrase.default = config.secret("ssh_key_passphrase")?;
        for group in config.hostgroups()? {
            for host in &group.hosts {
                if let Some(secret) = &group.sudo_password {
                    access
                        .sudo_password
                        .hosts
                        .insert(host.clone(), secret.clone());
                }
                if let Some(secret) = &group.ssh_key_passphrase {
                    access
                        .key_passphrase
                        .hosts
                        .insert(host.clone(), secret.clone());
                }
            }
        }
        Ok(access)
    }

    /// Every secret in it.
    pub(crate) fn secrets(&self) -> HashSet<SecretRef> {
        [&self.sudo_password, &self.key_passphrase]
            .into_iter()
            .flat_map(|per| per.default.iter().chain(per.hosts.values()))
            .cloned()
            .collect()
    }
}
