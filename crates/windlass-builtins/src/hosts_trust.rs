//! Approves host keys: shows those that are not known, and writes those that somebody said yes to.
//!
//! What is written is the key that was shown, not one that is fetched again.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use windlass_model::ids::HostName;

use crate::hosts::AllHosts;
use crate::hosts::ssh::Scanned;
use crate::hosts::ssh::config::SshConfig;
use crate::hosts::ssh::known_hosts::{self, Verdict};
use crate::hosts_check::{Check, Finding, Grade, fault};

/// A key that is to be approved.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Hosts of the config that have it: names for one and the same address.
    pub hosts: Vec<HostName>,
    /// `name:port` as connected to.
    pub address: String,
    /// `ssh-ed25519 SHA256:...`
    pub fingerprint: String,
    /// That of the key that was known until now, and where it is; when the key has changed.
    pub old: Option<OldKey>,
    /// The file of known hosts that it will be written to.
    pub file: PathBuf,
    scanned: Scanned,
}

/// A key that is to be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldKey {
    /// `ssh-ed25519 SHA256:...`; empty when the line is gone meanwhile.
    pub fingerprint: String,
    /// The file that has it.
    pub file: PathBuf,
    /// Its line there, from 1.
    pub line: usize,
}

/// What hosts show.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// Hosts whose key is known.
    pub known: Vec<HostName>,
    /// Keys to approve, each once.
    pub new: Vec<NewKey>,
    /// Hosts that showed no key, or one that cannot be approved: why.
    pub refused: Vec<Finding>,
}

/// Fetches the keys of all hosts at once, within the time-out of connecting. Nobody logs in, but to hosts to jump over,
/// whose keys must be known before. Changes nothing. `config` must be the one of `hosts`.
pub async fn look(hosts: &AllHosts, config: Arc<SshConfig>, names: &[HostName]) -> Shown {
    let mut shown = Shown::default();
    let mut by_name: BTreeMap<(String, u16, PathBuf), NewKey> = BTreeMap::new();
    // the machine itself has no key to show
    shown.known = names.iter().filter(|h| h.is_local()).cloned().collect();
    for (host, scanned) in hosts.scan_keys(names).await {
        let scanned = match scanned {
            Ok(scanned) => scanned,
            Err(error) => {
                shown.refused.push(fault::of(&host, &error, false));
                continue;
            }
        };
        let old = match &scanned.verdict {
            Verdict::Known => {
                shown.known.push(host);
                continue;
            }
            Verdict::Revoked { .. } => {
                shown
                    .refused
                    .extend(fault::of_verdict(&host, &scanned.verdict));
                continue;
            }
            Verdict::Unknown => None,
            Verdict::Changed { file, line } => Some((file.clone(), *line)),
        };
        let (config, name) = (config.clone(), host.clone());
        let prepared = tokio::task::spawn_blocking(move || {
            let file = file_of(&config, &name)?;
            let old = old.map(|(file, line)| OldKey {
                fingerprint: known_hosts::fingerprint_at(&file, line).unwrap_or_default(),
                file,
                line,
            });
            Ok((file, old))
        });
        match prepared.await.unwrap_or_else(|e| Err(e.to_string())) {
            Ok((file, old)) => {
                let id = (scanned.name.clone(), scanned.port, file.clone());
                let key = by_name.entry(id).or_insert_with(|| NewKey {
                    hosts: Vec::new(),
                    address: scanned.address.clone(),
                    fingerprint: scanned.fingerprint.clone(),
                    old,
                    file,
                    scanned: scanned.clone(),
                });
                if key.scanned.line == scanned.line {
                    key.hosts.push(host);
                } else {
                    let message = format!(
                        "{} showed two keys within a moment: {} and {}",
                        scanned.address, key.fingerprint, scanned.fingerprint
                    );
                    let fault = Finding::new(&host, Grade::Error, Check::Key, message);
                    shown.refused.push(fault.hint(
                        "several machines behind one address need keys of their own: HostKeyAlias in ssh_config",
                    ));
                }
            }
            Err(why) => {
                let fault = Finding::new(&host, Grade::Error, Check::Key, why);
                shown.refused.push(fault);
            }
        }
    }
    shown.new = by_name.into_values().collect();
    shown.new.sort_by(|a, b| a.hosts.cmp(&b.hosts));
    shown
}

/// Writes the keys. A changed one takes the place of the old one in the user's file; where the old one is in another
/// file it stays, and is given back for somebody to remove. Each file is changed whole or not at all. Blocks, for up to 10
/// s while another Windlass writes.
///
/// # Errors
///
/// A file that cannot be written; keys of the files before it are written.
pub fn approve(keys: &[NewKey]) -> io::Result<Vec<OldKey>> {
    let mut new: BTreeMap<&Path, Vec<String>> = BTreeMap::new();
    let mut left = Vec::new();
    let named = |file: &Path, e: io::Error| {
        io::Error::new(
            e.kind(),
            format!("{} cannot be written: {e}", file.display()),
        )
    };
    let mut written = HashSet::new();
    for key in keys {
        let Some(old) = &key.old else {
            new.entry(&key.file)
                .or_default()
                .push(key.scanned.line.clone());
            continue;
        };
        let (name, port, line) = (&key.scanned.name, key.scanned.port, &key.scanned.line);
        if written.insert((name, port, &key.file)) {
            known_hosts::replace(&key.file, name, port, std::slice::from_ref(line))
                .map_err(|e| named(&key.file, e))?;
        }
        if old.file != key.file {
            left.push(old.clone());
        }
    }
    for (file, lines) in new {
        known_hosts::append(file, &lines).map_err(|e| named(file, e))?;
    }
    Ok(left)
}

/// The user's own file, the first of those that ssh_config names. Blocks.
fn file_of(config: &SshConfig, host: &HostName) -> Result<PathBuf, String> {
    let resolved = config.resolve(host.as_str())?;
    let first = resolved.known_hosts_files.into_iter().next();
    match first {
        Some(file) if file == Path::new("/dev/null") => Err(
            "its UserKnownHostsFile is /dev/null, where nothing can be kept: name another one in ssh_config"
                .to_owned(),
        ),
        Some(file) => Ok(file),
        None => Err("ssh_config names no UserKnownHostsFile for it".to_owned()),
    }
}
