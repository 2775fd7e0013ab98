//! Looks at the key that a host shows, before anything is said to it.

use std::sync::Arc;

use russh::client;
use russh::keys::{HashAlg, PublicKey, PublicKeyOrCertificate};
use tokio::sync::watch;
use windlass_engine::host::{HostError, HostErrorKind};
use windlass_model::ids::HostName;

use super::known_hosts::{KnownHosts, Verdict, line_for};

/// The key that a host shows, for `hosts trust`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// `name:port` as connected to.
    pub address: String,
    /// The name under which known_hosts has it.
    pub name: String,
    /// The port under which known_hosts has it.
    pub port: u16,
    /// The line that makes it known.
    pub line: String,
    /// `ssh-ed25519 SHA256:...`
    pub fingerprint: String,
    /// What the files of known hosts say of it now.
    pub verdict: Verdict,
}

/// What was seen of a key.
#[derive(Clone)]
pub(crate) struct Seen {
    /// The key; of a certificate, the one that it certifies.
    pub(crate) key: PublicKey,
    /// What the files say.
    pub(crate) verdict: Verdict,
}

/// The client's side of the handshake: refuses every key that is not known.
pub(crate) struct HostKey {
    known: Arc<KnownHosts>,
    name: String,
    port: u16,
    /// Goes with the connection.
    seen: watch::Sender<Option<Seen>>,
}

/// Reads what [`HostKey`] saw.
#[derive(Clone)]
pub(crate) struct Look(watch::Receiver<Option<Seen>>);

impl Look {
    /// The key, once it was shown.
    pub(crate) fn seen(&self) -> Option<Seen> {
        self.0.borrow().clone()
    }

    /// Waits until the connection is over, and all that was said on it is on its way.
    pub(crate) async fn over(&self) {
        let mut seen = self.0.clone();
        while seen.changed().await.is_ok() {}
    }
}

impl HostKey {
    /// For the host that known_hosts calls `name`, on `port`.
    pub(crate) fn new(known: Arc<KnownHosts>, name: &str, port: u16) -> (Self, Look) {
        let (seen, look) = watch::channel(None);
        let name = name.to_owned();
        let this = Self {
            known,
            name,
            port,
            seen,
        };
        (this, Look(look))
    }
}

impl client::Handler for HostKey {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let (key, verdict) = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                (key.clone(), self.known.check(&self.name, self.port, key))
            }
            PublicKeyOrCertificate::Certificate(certificate) => {
                let now = std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .map_or(0, |t| t.as_secs());
                let verdict = self
                    .known
                    .check_certificate(&self.name, self.port, certificate, now);
                let key = PublicKey::new(certificate.public_key().clone(), "");
                (key, verdict)
            }
        };
        let good = verdict == Verdict::Known;
        self.seen.send_replace(Some(Seen { key, verdict }));
        Ok(good)
    }

    /// OpenSSH says which keys it has as soon as it has let somebody in, and its system holds back what it says next, which is that
    /// a channel is open, until that has arrived. Where nothing is said in return, ours tells that 40 ms later only.
    async fn openssh_ext_host_keys_announced(
        &mut self,
        _keys: Vec<PublicKey>,
        session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        session.send_global_request(None, "keepalive@openssh.com", &[])
    }
}

/// What is wrong with a key, and what to do. None when it is known.
pub(crate) fn trouble(host: &HostName, address: &str, seen: &Seen) -> Option<HostError> {
    let print = fingerprint(&seen.key);
    let message = match &seen.verdict {
        Verdict::Known => return None,
        Verdict::Unknown => format!(
            "{host}: the host key of {address} is not known ({print}); when it is the right one, approve it with \
             `windlass hosts trust {host}`"
        ),
        Verdict::Changed { file, line } => format!(
            "{host}: the host key of {address} has CHANGED: it shows {print}, another one is in {}:{line}. Somebody may \
             be in between. When the host was set up anew, approve it with `windlass hosts trust {host}`",
            file.display()
        ),
        Verdict::Revoked { file, line } => format!(
            "{host}: the host key of {address} ({print}) is revoked by {}:{line}: do not talk to it",
            file.display()
        ),
    };
    Some(HostError::new(HostErrorKind::HostKey, message))
}

/// `ssh-ed25519 SHA256:...`
pub(crate) fn fingerprint(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

/// What is told of a key for approval.
pub(crate) fn scanned(
    address: String,
    name: String,
    port: u16,
    seen: Seen,
) -> Result<Scanned, String> {
    let line = line_for(&name, port, &seen.key);
    Ok(Scanned {
        fingerprint: fingerprint(&seen.key),
        address,
        name,
        port,
        line,
        verdict: seen.verdict,
    })
}
