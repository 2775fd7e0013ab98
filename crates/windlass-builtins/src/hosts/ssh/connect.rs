//! Shakes hands with a host over a stream: its key is looked at, then we let ourselves in.

use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, Handle};
use russh::keys::Algorithm;
use russh::{AlgorithmKind, Preferred};
use tokio::net::TcpStream;
use windlass_engine::host::{HostError, HostErrorKind};
use windlass_model::ids::HostName;

use super::algorithms;
use super::host_key::{self, HostKey, Look, Seen};
use super::known_hosts::{KnownHosts, Verdict};
use crate::hosts::transport::Duplex;

/// Silence after which the host is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Questions without an answer after which the link is lost.
const KEEPALIVES: usize = 3;

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
    /// Whether a host that showed a key which is not known, or none of the kinds that it was asked for, may have another one that is.
    pub(crate) fn has_another(&self, seen: Option<&Seen>) -> bool {
        let (name, port) = (&self.name, self.port);
        let is_wrong =
            |seen: &Seen| matches!(seen.verdict, Verdict::Unknown | Verdict::Changed { .. });
        if !seen.is_none_or(is_wrong) || !self.files.likely_algorithms(name, port).is_empty() {
            return false;
        }
        let known = algorithms::taken(&self.files.algorithms(name, port));
        let Some(shown) = seen.map(|seen| seen.key.algorithm()) else {
            return !known.is_empty();
        };
        let is_shown = |known: &Algorithm| match (known, &shown) {
            // what an RSA key signs with is no part of it
            (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
            (known, shown) => known == shown,
        };
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
            .unwrap_or_else(|| no_handshake(host, address, &e))
    });
    (handle, look)
}

/// Why hands were not shaken, before any key was seen.
fn no_handshake(host: &HostName, address: &str, error: &russh::Error) -> HostError {
    let why = match error {
        russh::Error::NoCommonAlgo {
            kind: AlgorithmKind::Key,
            theirs,
            ..
        } => format!(
            "{address} has only host keys of kinds that are not taken of an unknown host ({}): put its key into known_hosts \
             yourself, after comparing it",
            theirs.join(", ")
        ),
        other => format!("{address} does not speak SSH with us: {other}"),
    };
    HostError::new(HostErrorKind::Unreachable, format!("{host}: {why}"))
}

/// What is offered to this host.
fn preferred(known: &Known, ask: Ask) -> Preferred {
    let (files, name, port) = (&known.files, &known.name, known.port);
    let kinds = match ask {
        Ask::AtOnce => files.likely_algorithms(name, port),
        Ask::Thoroughly => files.algorithms(name, port),
    };
    algorithms::offered(&kinds, files.has_authority(name, port))
}
