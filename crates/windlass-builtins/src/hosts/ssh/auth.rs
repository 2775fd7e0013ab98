//! Lets ourselves in: the agent's keys, then the identity files. A password is never offered.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use tokio::net::UnixStream;
use tokio::sync::OnceCell;
use windlass_model::{SecretRef, SecretValue};

use super::config::HostConfig;
use super::host_key::{HostKey, fingerprint};

/// How long an agent may take to answer; it may ask its user.
const AGENT: Duration = Duration::from_secs(5);

type Read = Result<Arc<PrivateKey>, String>;

/// Identity files, each read once a run for a passphrase: opening an encrypted one takes long on purpose.
#[derive(Default)]
pub(crate) struct KeyFiles(Mutex<HashMap<Opening, Arc<OnceCell<Read>>>>);

/// A file, and by what it is opened.
type Opening = (PathBuf, Option<SecretRef>);

/// What opens an encrypted key: the reference by which it is known, and its value.
pub(crate) type Passphrase = (SecretRef, SecretValue);

impl KeyFiles {
    async fn read(&self, path: &Path, passphrase: Option<Passphrase>) -> Read {
        let (reference, passphrase) = passphrase.unzip();
        let cell = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry((path.to_owned(), reference))
            .or_default()
            .clone();
        let path = path.to_owned();
        cell.get_or_init(|| async {
            let read = tokio::task::spawn_blocking(move || {
                let open = |pass: Option<&str>| russh::keys::load_secret_key(&path, pass);
                match (open(None), passphrase) {
                    (Err(russh::keys::Error::KeyIsEncrypted), Some(pass)) => {
                        open(Some(pass.expose())).map_err(|_| "wrong passphrase".to_owned())
                    }
                    (Err(russh::keys::Error::KeyIsEncrypted), None) => {
                        Err("encrypted: add it to the agent, or give its passphrase".to_owned())
                    }
                    (Err(russh::keys::Error::IO(e)), _)
                        if e.kind() == std::io::ErrorKind::NotFound =>
                    {
                        Err("absent".to_owned())
                    }
                    (read, _) => read.map_err(|e| e.to_string()),
                }
            });
            match read.await {
                Ok(read) => read.map(Arc::new),
                Err(e) => Err(e.to_string()),
            }
        })
        .await
        .clone()
    }
}

/// What letting in came to.
pub(crate) enum Let {
    /// We are in.
    In,
    /// What was tried, each in a few words.
    Out(Vec<String>),
}

/// Lets `user` in. The caller limits the time.
pub(crate) async fn let_in(
    handle: &mut Handle<HostKey>,
    user: &str,
    config: &HostConfig,
    agent: Option<&Path>,
    files: &KeyFiles,
    passphrase: Option<Passphrase>,
) -> Let {
    let mut try_ = Try {
        handle,
        user,
        tried: Vec::new(),
        offered: Vec::new(),
        rsa: None,
    };
    let agent = match config.identity_agent.as_deref() {
        Some(path) if path == Path::new("none") => None,
        Some(path) => Some(path),
        None => agent,
    };
    if let Some(socket) = agent
        && try_.agent(socket, config).await
    {
        return Let::In;
    }
    for path in &config.identity_files {
        if try_.is_over() {
            break;
        }
        let key = match files.read(path, passphrase.clone()).await {
            Ok(key) => key,
            Err(why) => {
                try_.tried.push(format!("{} ({why})", path.display()));
                continue;
            }
        };
        if try_.file(path, key).await {
            return Let::In;
        }
    }
    if try_.is_over() {
        try_.tried.push(
            "then the server had enough: name the right key with IdentityFile and IdentitiesOnly"
                .into(),
        );
    }
    if try_.tried.is_empty() {
        try_.tried.push("no key at hand".into());
    }
    Let::Out(try_.tried)
}

struct Try<'a> {
    handle: &'a mut Handle<HostKey>,
    user: &'a str,
    tried: Vec<String>,
    offered: Vec<PublicKey>,
    rsa: Option<Option<HashAlg>>,
}

impl Try<'_> {
    fn is_over(&self) -> bool {
        self.handle.is_closed()
    }

    /// The hash for an RSA key's signature; asking costs up to a second, so only when there is one.
    async fn hash(&mut self, key: &PublicKey) -> Option<HashAlg> {
        if !key.algorithm().is_rsa() {
            return None;
        }
        if self.rsa.is_none() {
            let best = self.handle.best_supported_rsa_hash().await.ok().flatten();
            self.rsa = Some(best.unwrap_or(Some(HashAlg::Sha256)));
        }
        self.rsa.flatten()
    }

    async fn agent(&mut self, socket: &Path, config: &HostConfig) -> bool {
        let listed = async {
            let mut agent = AgentClient::<UnixStream>::connect_uds(socket).await?;
            let keys = agent.request_identities().await?;
            Ok::<_, russh::keys::Error>((agent, keys))
        };
        let (mut agent, mut keys) = match tokio::time::timeout(AGENT, listed).await {
            Ok(Ok(listed)) => listed,
            Ok(Err(e)) => {
                self.tried.push(format!("agent {} ({e})", socket.display()));
                return false;
            }
            Err(_) => {
                self.tried
                    .push(format!("agent {} (no answer)", socket.display()));
                return false;
            }
        };
        let configured = public_keys(&config.identity_files);
        let is_configured = |identity: &AgentIdentity| {
            configured
                .iter()
                .any(|c| c.key_data() == identity.public_key().key_data())
        };
        if config.identities_only {
            keys.retain(is_configured);
        }
        // a server closes after a few wrong keys: those that are configured come first
        keys.sort_by_key(|identity| !is_configured(identity));
        for identity in keys {
            if self.is_over() {
                return false;
            }
            let public = identity.public_key().into_owned();
            let hash = self.hash(&public).await;
            let user = self.user;
            let answer = match &identity {
                AgentIdentity::PublicKey { key, .. } => {
                    self.handle
                        .authenticate_publickey_with(user, key.clone(), hash, &mut agent)
                        .await
                }
                AgentIdentity::Certificate { certificate, .. } => {
                    self.handle
                        .authenticate_certificate_with(user, certificate.clone(), hash, &mut agent)
                        .await
                }
            };
            self.tried
                .push(format!("{} of the agent", fingerprint(&public)));
            self.offered.push(public);
            if matches!(answer, Ok(AuthResult::Success)) {
                return true;
            }
        }
        false
    }

    async fn file(&mut self, path: &Path, key: Arc<PrivateKey>) -> bool {
        let public = key.public_key().clone();
        if self
            .offered
            .iter()
            .any(|o| o.key_data() == public.key_data())
        {
            return false;
        }
        if let Some(certificate) = certificate(path) {
            let answer = self
                .handle
                .authenticate_openssh_cert(self.user, key.clone(), certificate)
                .await;
            self.tried
                .push(format!("{}, with its certificate", path.display()));
            if matches!(answer, Ok(AuthResult::Success)) {
                return true;
            }
        }
        let hash = self.hash(&public).await;
        let key = PrivateKeyWithHashAlg::new(key, hash);
        let answer = self.handle.authenticate_publickey(self.user, key).await;
        self.tried.push(path.display().to_string());
        self.offered.push(public);
        matches!(answer, Ok(AuthResult::Success))
    }
}

/// The public keys that lie beside identity files.
fn public_keys(files: &[PathBuf]) -> Vec<PublicKey> {
    files
        .iter()
        .filter_map(|path| {
            let beside = with_suffix(path, ".pub");
            russh::keys::load_public_key(beside)
                // an identity file may itself be a public key, of a private one that only the agent has
                .or_else(|_| russh::keys::load_public_key(path))
                .ok()
        })
        .collect()
}

fn certificate(path: &Path) -> Option<Certificate> {
    russh::keys::load_openssh_certificate(with_suffix(path, "-cert.pub")).ok()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
