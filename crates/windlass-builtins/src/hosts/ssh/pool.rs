//! The connections of a run: one for each (host, port, user, way there), made when first wanted and again when lost.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use russh::client::Handle;
use windlass_engine::host::{HostError, HostErrorKind};
use windlass_model::ids::HostName;

use super::auth::{self, KeyFiles, Let};
use super::config::{HostConfig, SshConfig};
use super::connect::{self, Ask, Known};
use super::host_key::{self, HostKey, Scanned};
use super::known_files::KnownFiles;
use super::link::{Link, Open, OverSsh, Ready, goodbye};
use super::listened::Listened;
use crate::hosts::HostsOptions;
use crate::hosts::transport::{Duplex, Transport};

/// Hosts over hosts over hosts.
const JUMPS: usize = 8;
/// Hosts whose keys are looked at at once.
const LOOKS: usize = 128;

/// How a host is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    host: String,
    user: Option<String>,
    port: Option<u16>,
    /// In the place of ssh_config's ProxyJump.
    jumps: Option<Vec<String>>,
}

/// Where a host is, resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// As it was asked for. Two names of one machine may differ in ssh_config: in the keys that are accepted, and in those
    /// that let us in.
    asked: String,
    name: String,
    port: u16,
    user: String,
    jumps: Vec<String>,
}

impl Key {
    fn address(&self) -> String {
        if self.name.contains(':') {
            format!("[{}]:{}", self.name, self.port)
        } else {
            format!("{}:{}", self.name, self.port)
        }
    }
}

struct Failed {
    at: Instant,
    /// The name by which it was tried; others may stand for the same.
    host: HostName,
    error: HostError,
}

impl Failed {
    /// The error as that of `host`.
    fn told_to(&self, host: &HostName) -> HostError {
        let mut error = self.error.clone();
        if let Some(rest) = error.message.strip_prefix(self.host.as_str()) {
            error.message = format!("{host}{rest}");
        }
        error
    }
}

#[derive(Default)]
struct Slot {
    link: Option<Arc<Link>>,
    /// The last attempt that failed: those who waited for it need not try as well.
    failed: Option<Failed>,
}

/// Where a connection is kept.
pub(super) struct Place {
    slot: tokio::sync::Mutex<Slot>,
    /// Whether the host has said anything since it was last tried. Of one behind others it is taken for granted.
    pub(super) spoke: Arc<AtomicBool>,
}

type Places = HashMap<Key, Arc<Place>>;
type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// See the module.
pub(crate) struct Ssh {
    config: Arc<SshConfig>,
    options: HostsOptions,
    files: KeyFiles,
    known: KnownFiles,
    places: Mutex<Places>,
    noted: Mutex<BTreeSet<String>>,
}

impl Ssh {
    /// Connects to none yet.
    pub(crate) fn new(config: SshConfig, options: HostsOptions) -> Self {
        Self {
            config: Arc::new(config),
            options,
            files: KeyFiles::default(),
            known: KnownFiles::default(),
            places: Mutex::default(),
            noted: Mutex::default(),
        }
    }

    /// The way to a host.
    pub(crate) async fn reach(
        self: &Arc<Self>,
        host: &HostName,
        user: Option<&str>,
    ) -> Result<Arc<dyn Transport>, HostError> {
        let spec = self.spec(host, user);
        let link = self.link(host, spec.clone(), Vec::new()).await?;
        Ok(Arc::new(OverSsh {
            host: host.clone(),
            spec,
            link,
            ssh: self.clone(),
        }))
    }

    /// How a host is asked for, by the name of a task and its user.
    pub(super) fn spec(&self, host: &HostName, user: Option<&str>) -> Spec {
        let user = user.or(self.options.default_user.as_deref());
        Spec {
            host: host.as_str().to_owned(),
            user: user.map(str::to_owned),
            port: None,
            jumps: None,
        }
    }

    /// A connection besides the shared one.
    pub(crate) async fn another(
        &self,
        host: &HostName,
        spec: &Spec,
    ) -> Result<Arc<Link>, HostError> {
        let (key, config) = self.resolve(host, spec).await?;
        let spoke = Arc::default();
        let ready = self.connect(host, &key, &config, Vec::new(), &spoke);
        Ok(Arc::new(Link::new(ready.await?)))
    }

    /// What ssh_config and known_hosts say that is not heeded.
    pub(crate) fn notes(&self) -> Vec<String> {
        let of_known = self.known.notes();
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut notes: Vec<String> = noted.iter().cloned().chain(of_known).collect();
        notes.sort();
        notes.dedup();
        notes
    }

    /// The keys that all these show, known or not.
    pub(crate) async fn scan_keys(
        &self,
        hosts: &[HostName],
    ) -> Vec<(HostName, Result<Scanned, HostError>)> {
        let looked = self.look_at(hosts).await;
        looked
            .into_iter()
            .map(|(host, result)| {
                let scanned = result.and_then(|(key, known, seen)| {
                    host_key::scanned(key.address(), known.name, known.port, seen)
                        .map_err(|e| unreachable(&host, e))
                });
                (host, scanned)
            })
            .collect()
    }

    /// Ends all connections.
    pub(crate) async fn close(&self) {
        let places: Vec<_> = self.lock_places().drain().map(|(_, place)| place).collect();
        // where one is just being made nobody is in yet
        let made = places
            .iter()
            .filter_map(|place| place.slot.try_lock().ok()?.link.take());
        let mut links: Vec<_> = made.collect();
        links.sort_by_key(|link| Reverse(link.jumps()));
        // those first that say goodbye by way of others
        for beside in links.chunk_by(|a, b| a.jumps() == b.jumps()) {
            futures_util::future::join_all(beside.iter().map(|link| link.close())).await;
        }
    }

    async fn look_at(
        &self,
        hosts: &[HostName],
    ) -> Vec<(HostName, Result<(Key, Known, host_key::Seen), HostError>)> {
        let looks = hosts
            .iter()
            .filter(|h| !h.is_local())
            .map(|host| async move { (host.clone(), self.look(host).await) });
        // as many futures as hosts, each small: only LOOKS of them run at once
        let mut looked: Vec<_> = futures_util::stream::iter(looks.collect::<Vec<_>>())
            .buffer_unordered(LOOKS)
            .collect()
            .await;
        looked.sort_by(|a, b| a.0.cmp(&b.0));
        looked
    }

    async fn look(&self, host: &HostName) -> Result<(Key, Known, host_key::Seen), HostError> {
        let spec = Spec {
            host: host.as_str().to_owned(),
            user: None,
            port: None,
            jumps: None,
        };
        let (key, config) = self.resolve(host, &spec).await?;
        let known = self.known(host, &key, &config).await?;
        let limit = self.limit(&config);
        let (mut ask, address) = (Ask::AtOnce, key.address());
        loop {
            let (stream, _through) = self.stream(host, &key, &config, Vec::new()).await?;
            let shaking = connect::shake_hands(host, &address, &known, ask, stream);
            let (handle, look) = tokio::time::timeout(limit, shaking)
                .await
                .map_err(|_| silent(host, &key, limit))?;
            match (look.seen(), handle) {
                (seen, _) if ask == Ask::AtOnce && known.has_another(seen.as_ref()) => {
                    ask = Ask::Thoroughly;
                }
                (Some(seen), handle) => {
                    if let Ok(handle) = handle {
                        goodbye(&handle, &look).await;
                    }
                    return Ok((key, known, seen));
                }
                (None, Err(error)) => return Err(error),
                (None, Ok(_)) => return Err(unreachable(host, "it showed no key")),
            }
        }
    }

    /// The shared connection, made when there is none. `trail` are the hosts that want it to jump over.
    fn link<'a>(
        &'a self,
        host: &'a HostName,
        spec: Spec,
        trail: Vec<Key>,
    ) -> Boxed<'a, Result<Arc<Link>, HostError>> {
        Box::pin(async move {
            let (key, config) = self.resolve(host, &spec).await?;
            if trail.contains(&key) || trail.len() >= JUMPS {
                let message = format!("ssh_config's ProxyJump of {} leads in a circle", spec.host);
                return Err(unreachable(host, message));
            }
            let asked = Instant::now();
            let place = self.place(&key);
            let mut slot = place.slot.lock().await;
            if let Some(link) = slot.link.as_ref().filter(|l| !l.is_closed()) {
                return Ok(link.clone());
            }
            if let Some(failed) = slot.failed.as_ref().filter(|failed| failed.at >= asked) {
                return Err(failed.told_to(host));
            }
            let mut trail = trail;
            trail.push(key.clone());
            match self.connect(host, &key, &config, trail, &place.spoke).await {
                Ok(ready) => {
                    let link = Arc::new(Link::new(ready));
                    slot.link = Some(link.clone());
                    slot.failed = None;
                    Ok(link)
                }
                Err(error) => {
                    slot.link = None;
                    slot.failed = Some(Failed {
                        at: Instant::now(),
                        host: host.clone(),
                        error: error.clone(),
                    });
                    Err(error)
                }
            }
        })
    }

    async fn connect(
        &self,
        host: &HostName,
        key: &Key,
        config: &HostConfig,
        trail: Vec<Key>,
        spoke: &Arc<AtomicBool>,
    ) -> Result<Ready, HostError> {
        let limit = self.limit(config);
        let begun = Instant::now();
        let mut ask = Ask::AtOnce;
        // one that is asked once more has said enough to be waited for
        spoke.store(!key.jumps.is_empty(), Ordering::Relaxed);
        loop {
            let (stream, through) = self.stream(host, key, config, trail.clone()).await?;
            let stream = Box::new(Listened::new(stream, spoke.clone()));
            let known = self.known(host, key, config).await?;
            let connecting = async {
                let (shaken, look) =
                    connect::shake_hands(host, &key.address(), &known, ask, stream).await;
                let was_refused = ask == Ask::AtOnce && shaken.is_err();
                if was_refused && known.has_another(look.seen().as_ref()) {
                    return Ok::<_, HostError>(None);
                }
                let mut handle = shaken?;
                self.let_in(host, key, config, &mut handle).await?;
                Ok(Some((handle, look)))
            };
            // What it took to get a stream counts, but the login after a jump gets its fair part.
            let left = limit.saturating_sub(begun.elapsed()).max(limit / 4);
            let connected = tokio::time::timeout(left, connecting)
                .await
                .map_err(|_| silent(host, key, limit))??;
            match connected {
                Some((handle, look)) => return Ok((handle, look, through)),
                None => ask = Ask::Thoroughly,
            }
        }
    }

    async fn let_in(
        &self,
        host: &HostName,
        key: &Key,
        config: &HostConfig,
        handle: &mut Handle<HostKey>,
    ) -> Result<(), HostError> {
        let options = &self.options;
        let passphrase = options
            .key_passphrase
            .of(host)
            .and_then(|secret| Some((secret.clone(), options.secrets.get(secret)?.clone())));
        let agent = options.agent_socket.as_deref();
        match auth::let_in(handle, &key.user, config, agent, &self.files, passphrase).await {
            Let::In => Ok(()),
            Let::Out(tried) => Err(HostError::new(
                HostErrorKind::Denied,
                format!(
                    "{host}: {} does not let {} in; tried: {}",
                    key.address(),
                    key.user,
                    tried.join("; ")
                ),
            )),
        }
    }

    /// A stream to the host's port: direct, or through the last host to jump over.
    async fn stream(
        &self,
        host: &HostName,
        key: &Key,
        config: &HostConfig,
        trail: Vec<Key>,
    ) -> Result<(Box<dyn Duplex>, Option<Arc<Link>>), HostError> {
        let limit = self.limit(config);
        let Some((last, before)) = key.jumps.split_last() else {
            let stream = tokio::time::timeout(limit, connect::tcp(host, &key.name, key.port))
                .await
                .map_err(|_| silent(host, key, limit))??;
            return Ok((stream, None));
        };
        let mut spec = jump(last).map_err(|e| unreachable(host, e))?;
        spec.jumps = (!before.is_empty()).then(|| before.to_vec());
        let jump_host = HostName::new(&spec.host);
        let through = self
            .link(&jump_host, spec, trail)
            .await
            .map_err(|e| HostError::new(e.kind, format!("{host}, by way of {}", e.message)))?;
        let stream = tokio::time::timeout(limit, through.tcp(&key.name, key.port))
            .await
            .map_err(|_| silent(host, key, limit))?
            .map_err(|e| {
                let why = match e {
                    Open::Lost => "the link to it was lost",
                    Open::Refused(russh::ChannelOpenFailure::AdministrativelyProhibited) => {
                        "it forbids forwarding"
                    }
                    Open::Refused(_) => "it was refused, or found no way",
                };
                unreachable(
                    host,
                    format!("{} by way of {jump_host}: {why}", key.address()),
                )
            })?;
        Ok((stream, Some(through)))
    }

    pub(super) async fn resolve(
        &self,
        host: &HostName,
        spec: &Spec,
    ) -> Result<(Key, HostConfig), HostError> {
        let resolved = match self.config.resolve_at_once(&spec.host) {
            Some(resolved) => resolved,
            None => {
                let (config, name) = (self.config.clone(), spec.host.clone());
                tokio::task::spawn_blocking(move || config.resolve(&name))
                    .await
                    .map_err(|e| unreachable(host, e))?
            }
        };
        let resolved = resolved.map_err(|e| unreachable(host, e))?;
        self.noted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(resolved.unsupported.iter().cloned());
        let user = spec
            .user
            .clone()
            .or_else(|| resolved.user.clone())
            .unwrap_or_else(|| self.options.local_user.clone());
        let key = Key {
            asked: spec.host.clone(),
            name: resolved.host_name.clone(),
            port: spec.port.unwrap_or(resolved.port),
            user,
            jumps: spec
                .jumps
                .clone()
                .unwrap_or_else(|| resolved.proxy_jump.clone()),
        };
        Ok((key, resolved))
    }

    async fn known(
        &self,
        host: &HostName,
        key: &Key,
        config: &HostConfig,
    ) -> Result<Known, HostError> {
        let files = self.known.get(&config.known_hosts_files).await;
        let files = files.map_err(|e| {
            HostError::new(
                HostErrorKind::HostKey,
                format!("{host}: its known_hosts cannot be read: {e}"),
            )
        })?;
        let (name, port) = match &config.host_key_alias {
            Some(alias) => (alias.clone(), 22),
            None => (key.name.clone(), key.port),
        };
        Ok(Known { files, name, port })
    }

    fn limit(&self, config: &HostConfig) -> Duration {
        self.options
            .connect_timeout
            .unwrap_or(config.connect_timeout)
    }

    pub(super) fn place(&self, key: &Key) -> Arc<Place> {
        let mut places = self.lock_places();
        let place = places.entry(key.clone()).or_insert_with(|| {
            Arc::new(Place {
                slot: tokio::sync::Mutex::default(),
                spoke: Arc::default(),
            })
        });
        place.clone()
    }

    fn lock_places(&self) -> std::sync::MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unreachable(host: &HostName, why: impl std::fmt::Display) -> HostError {
    HostError::new(HostErrorKind::Unreachable, format!("{host}: {why}"))
}

fn silent(host: &HostName, key: &Key, limit: Duration) -> HostError {
    let seconds = limit.as_secs_f32();
    unreachable(
        host,
        format!("{} did not answer within {seconds} s", key.address()),
    )
}

/// `[user@]host[:port]`, the host perhaps in brackets.
fn jump(text: &str) -> Result<Spec, String> {
    let wrong = || format!("`{text}` is no host to jump over: write user@host:port");
    let text_ = text.strip_prefix("ssh://").unwrap_or(text);
    let (user, rest) = match text_.rsplit_once('@') {
        Some((user, rest)) => (Some(user.to_owned()), rest),
        None => (None, text_),
    };
    let (host, port) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or_else(wrong)?;
            (host, after.strip_prefix(':'))
        }
        None => match rest.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (rest, None),
        },
    };
    let port = port.map(|p| p.parse().map_err(|_| wrong())).transpose()?;
    if host.is_empty() {
        return Err(wrong());
    }
    Ok(Spec {
        host: host.to_owned(),
        user,
        port,
        jumps: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_to_jump_over_are_read() {
        let spec = |host: &str, user: Option<&str>, port| Spec {
            host: host.into(),
            user: user.map(str::to_owned),
            port,
            jumps: None,
        };
        assert_eq!(jump("a").unwrap(), spec("a", None, None));
        assert_eq!(jump("u@a:23").unwrap(), spec("a", Some("u"), Some(23)));
        assert_eq!(jump("[::1]:23").unwrap(), spec("::1", None, Some(23)));
        assert_eq!(jump("::1").unwrap(), spec("::1", None, None));
        assert!(jump("u@").is_err());
        assert!(jump("a:x").is_err());
    }
}
