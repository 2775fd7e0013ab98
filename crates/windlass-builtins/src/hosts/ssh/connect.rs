//! Shakes hands with a host over a stream: its key is looked at, then we let ourselves in.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, Handle};
use russh::keys::Algorithm;
use russh::{Preferred, cipher};
use tokio::net::TcpStream;
use windlass_engine::host::{HostError, HostErrorKind};
use windlass_model::ids::HostName;

use super::host_key::{self, HostKey, Look, Seen};
use super::known_hosts::{KnownHosts, Verdict};
use crate::hosts::transport::Duplex;

/// Silence after which the host is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Questions without an answer after which the link is lost.
const KEEPALIVES: usize = 3;

/// Fast ones first: both ends have AES in hardware.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_128_CTR,
    cipher::AES_192_CTR,
    cipher::AES_256_CTR,
];

/// The name and port under which known_hosts has a host.
pub(crate) struct Known {
    /// Its files.
    pub(crate) files: Arc<KnownHosts>,
    /// The alias, or the name connected to.
    pub(crate) name: String,
    /// 22 with an alias.
    pub(crate) port: u16,
}

/// Opens a TCP connection. Addresses of a name are tried in turn.
pub(crate) async fn tcp(
    host: &HostName,
    name: &str,
    port: u16,
) -> Result<Box<dyn Duplex>, HostError> {
    let fail =
        |message: String| HostError::new(HostErrorKind::Unreachable, format!("{host}: {message}"));
    let addresses: Vec<_> = tokio::net::lookup_host((name, port))
        .await
        .map_err(|e| fail(format!("no such host name: {name} ({e})")))?
        .collect();
    let mut last = fail(format!("no such host name: {name}"));
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // commands are small and many: without this each waits for the answer to the one before
                let _ = stream.set_nodelay(true);
                return Ok(Box::new(stream));
            }
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => {
                last = fail(format!(
                    "{address} refuses connections: is sshd running there?"
                ));
            }
            Err(e) => last = fail(format!("{address} cannot be reached: {e}")),
        }
    }
    Err(last)
}

/// How it is found out which of its keys a host is to be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// By what is found at once. A host that stands in hashed lines only may show a key of another kind than is known.
    AtOnce,
    /// By every line there is.
    Thoroughly,
}

impl Known {
    /// Whether a host that showed a key which is not known may have another one that is.
    pub(crate) fn has_another(&self, seen: &Seen) -> bool {
        let (name, port) = (&self.name, self.port);
        let is_wrong = matches!(seen.verdict, Verdict::Unknown | Verdict::Changed { .. });
        if !is_wrong || !self.files.likely_algorithms(name, port).is_empty() {
            return false;
        }
        let shown = seen.key.algorithm();
        let is_shown = |known: &Algorithm| match (known, &shown) {
            // what an RSA key signs with is no part of it
            (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
            (known, shown) => known == shown,
        };
        let usual = Preferred::default().key;
        let known = self.files.algorithms(name, port);
        let known: Vec<Algorithm> = known
            .iter()
            .filter_map(|name| Algorithm::from_str(name).ok())
            .filter(|algorithm| usual.contains(algorithm))
            .collect();
        !known.is_empty() && !known.iter().any(is_shown)
    }
}

/// The handshake, up to the key's approval.
pub(crate) async fn shake_hands(
    host: &HostName,
    address: &str,
    known: &Known,
    ask: Ask,
    stream: Box<dyn Duplex>,
) -> (Result<Handle<HostKey>, HostError>, Look) {
    let (handler, look) = HostKey::new(known.files.clone(), &known.name, known.port);
    let config = Arc::new(client::Config {
        nodelay: true,
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: KEEPALIVES,
        preferred: preferred(known, ask),
        ..client::Config::default()
    });
    let shaken = client::connect_stream(config, stream, handler).await;
    let handle = shaken.map_err(|e| {
        look.seen()
            .and_then(|seen| host_key::trouble(host, address, &seen))
            .unwrap_or_else(|| {
                let message = format!("{host}: {address} does not speak SSH with us: {e}");
                HostError::new(HostErrorKind::Unreachable, message)
            })
    });
    (handle, look)
}

/// Asks for a key that can be checked: a host shows one only.
fn preferred(known: &Known, ask: Ask) -> Preferred {
    let usual = Preferred::default();
    let (name, port) = (&known.name, known.port);
    let names = match ask {
        Ask::AtOnce => known.files.likely_algorithms(name, port),
        Ask::Thoroughly => known.files.algorithms(name, port),
    };
    let mut keys: Vec<Algorithm> = names
        .iter()
        .filter_map(|name| Algorithm::from_str(name).ok())
        .filter(|algorithm| usual.key.contains(algorithm))
        .collect();
    for algorithm in usual.key.iter() {
        if !keys.contains(algorithm) {
            keys.push(algorithm.clone());
        }
    }
    let certificates = if known.files.has_authority(name, port) {
        keys.clone()
    } else {
        Vec::new()
    };
    Preferred {
        key: Cow::Owned(keys),
        host_key_certificates: Cow::Owned(certificates),
        cipher: Cow::Borrowed(CIPHERS),
        ..usual
    }
}
