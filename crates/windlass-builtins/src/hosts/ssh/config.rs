//! How a host is reached, as the user's ssh_config(5) says.
//!
//! The files are read once, natively; [`SshConfig::resolve`] then finds the values of a host as OpenSSH would: the
//! first value of a key wins. What only OpenSSH can evaluate (`Match exec` and the like) is asked of `ssh -G`, and
//! what Windlass does not heed is said in [`HostConfig::unsupported`]: no line is passed over in silence.

mod apply;
mod ask;
mod keys;
pub(crate) mod pattern;
mod read;
mod words;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use windlass_model::Diagnostics;

use apply::{Found, apply, expand, real_name};
use keys::Proxy;
use read::{Blocks, Kind, Reader};

/// The system-wide file.
const SYSTEM_FILE: &str = "/etc/ssh/ssh_config";
/// How long a connection may take to come up where no ConnectTimeout is given.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Keys to try where no IdentityFile is named: those of them that exist.
const DEFAULT_IDENTITIES: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];
/// Answers of `ssh -G` that are kept.
const MAX_ANSWERS: usize = 20_000;

/// How one host is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostConfig {
    /// The name or address to connect to.
    pub host_name: String,
    /// The port, 22 unless configured.
    pub port: u16,
    /// The user to log in as, if one is configured.
    pub user: Option<String>,
    /// Private keys to try, in order. Configured ones need not exist; without any, the usual ones that do.
    pub identity_files: Vec<PathBuf>,
    /// Whether the agent's keys are limited to those of `identity_files`.
    pub identities_only: bool,
    /// Hosts to jump over, outermost first, each `[user@]host[:port]`; empty: connect directly. Each is a host of
    /// ssh_config too.
    pub proxy_jump: Vec<String>,
    /// The user's files first, then the system's. They need not exist.
    pub known_hosts_files: Vec<PathBuf>,
    /// How long the connection may take to come up; 10 s unless configured.
    pub connect_timeout: Duration,
    /// The name under which known_hosts has the host's keys, without a port, in the place of `host_name` and `port`.
    pub host_key_alias: Option<String>,
    /// The agent's socket. `None`: that of the environment (`SSH_AUTH_SOCK`). The path `none`: no agent.
    pub identity_agent: Option<PathBuf>,
    /// Lines that hold for the host and that Windlass does not heed, each `file:line: what`.
    pub unsupported: Vec<String>,
}

/// The ssh_config files of a user, read once.
pub struct SshConfig {
    blocks: Blocks,
    /// The only file, if one was named.
    file: Option<PathBuf>,
    home: Option<PathBuf>,
    local_user: String,
    default_identities: Vec<PathBuf>,
    answers: Mutex<HashMap<String, Result<HostConfig, String>>>,
}

impl SshConfig {
    /// Reads `user_file` and nothing else, as `ssh -F` does; without it `home/.ssh/config` and `/etc/ssh/ssh_config`,
    /// either of which may be absent. `local_user` is who runs Windlass.
    ///
    /// All faults at once: a named file that is absent, an unreadable file, a line that OpenSSH would refuse.
    pub fn load(
        user_file: Option<&Path>,
        home: Option<&Path>,
        local_user: &str,
    ) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(home);
        match user_file {
            Some(file) => reader.named(file),
            None => {
                if let Some(home) = home {
                    reader.usual(&home.join(".ssh/config"), Kind::User);
                }
                reader.usual(Path::new(SYSTEM_FILE), Kind::System);
            }
        }
        let identities =
            home.map(|home| DEFAULT_IDENTITIES.map(|name| home.join(".ssh").join(name)));
        Ok(Self {
            blocks: reader.finish()?,
            file: user_file.map(Path::to_owned),
            home: home.map(Path::to_owned),
            local_user: local_user.to_owned(),
            default_identities: identities
                .into_iter()
                .flatten()
                .filter(|path| path.exists())
                .collect(),
            answers: Mutex::default(),
        })
    }

    /// How `host`, a name as it stands in a tasklist, is reached. The files are not read again.
    ///
    /// Where only OpenSSH can tell, this runs `ssh -G` and blocks for up to 5 s, once a host: call it where blocking is
    /// allowed. The error says what cannot be done and what to do instead.
    pub fn resolve(&self, host: &str) -> Result<HostConfig, String> {
        let found = self.find(host)?;
        if !found.ask {
            return self.finish(host, found);
        }
        if let Some(known) = self.answers.lock().ok().and_then(|a| a.get(host).cloned()) {
            return known;
        }
        let answer =
            ask::ask(self.file.as_deref(), host, &self.local_user).and_then(|mut answer| {
                answer.notes = found.notes;
                self.finish(host, answer)
            });
        if let Ok(mut answers) = self.answers.lock() {
            if answers.len() >= MAX_ANSWERS {
                answers.clear();
            }
            answers.insert(host.to_owned(), answer.clone());
        }
        answer
    }

    /// As [`SshConfig::resolve`], but `None` where OpenSSH would have to be asked: it never blocks.
    pub fn resolve_at_once(&self, host: &str) -> Option<Result<HostConfig, String>> {
        match self.find(host) {
            Ok(found) if found.ask => None,
            found => Some(found.and_then(|found| self.finish(host, found))),
        }
    }

    fn find(&self, host: &str) -> Result<Found, String> {
        if !is_host(host) {
            return Err(format!(
                "`{host}` is not a host name: no blanks, no quotes, no leading `-`"
            ));
        }
        Ok(apply(&self.blocks, host, &self.local_user))
    }

    fn finish(&self, host: &str, mut found: Found) -> Result<HostConfig, String> {
        let host_name = real_name(&found, host);
        let port = found.port.unwrap_or(22);
        let jump = match found.proxy.take() {
            None | Some(Proxy::Direct) => Vec::new(),
            Some(Proxy::Jump(hops)) => hops,
            Some(Proxy::Command(place)) => {
                return Err(format!(
                    "`{host}` is to be reached through a ProxyCommand ({place}), which Windlass does not run: use \
                     ProxyJump, or `ProxyCommand none` in a Host block above it"
                ));
            }
        };
        let mut notes = std::mem::take(&mut found.notes);
        let values = Values {
            host,
            host_name: &host_name,
            port,
            user: found.user.as_deref().unwrap_or(&self.local_user),
            alias: found.host_key_alias.as_deref(),
            config: self,
        };
        let proxy_jump = jump
            .iter()
            .map(|hop| {
                expand(hop, |t| values.token(t))
                    .map_err(|t| format!("ProxyJump {hop}: no value for %{t}"))
            })
            .collect::<Result<_, _>>()?;
        let mut paths = |key: &str, texts: &[String]| -> Vec<PathBuf> {
            let mut paths = Vec::new();
            for text in texts {
                match values.path(text) {
                    Ok(path) => paths.push(path),
                    Err(why) => notes.push(format!("{key} {text} is left out: {why}")),
                }
            }
            paths
        };
        let none = |t: &String| t.eq_ignore_ascii_case("none");
        let identity_files = if found.identity_files.is_empty() {
            self.default_identities.clone()
        } else {
            found.identity_files.retain(|t| !none(t));
            paths("IdentityFile", &found.identity_files)
        };
        let user_files = found.user_known_hosts.unwrap_or_else(|| match self.home {
            Some(_) => ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"]
                .map(str::to_owned)
                .into(),
            None => Vec::new(),
        });
        let mut known_hosts_files = paths("UserKnownHostsFile", &user_files);
        known_hosts_files.extend(match found.global_known_hosts {
            Some(files) => files.into_iter().map(PathBuf::from).collect(),
            None => default_global_known_hosts(),
        });
        let identity_agent = match found.identity_agent.as_deref() {
            None | Some("SSH_AUTH_SOCK" | "$SSH_AUTH_SOCK" | "${SSH_AUTH_SOCK}") => None,
            Some(text) if text.eq_ignore_ascii_case("none") => Some("none".into()),
            Some(text) => paths("IdentityAgent", &[text.to_owned()]).pop(),
        };
        Ok(HostConfig {
            host_name,
            port,
            identity_files,
            identities_only: found.identities_only.unwrap_or(false),
            proxy_jump,
            known_hosts_files,
            connect_timeout: found
                .connect_timeout
                .filter(|t| !t.is_zero())
                .unwrap_or(CONNECT_TIMEOUT),
            host_key_alias: found.host_key_alias,
            identity_agent,
            user: found.user,
            unsupported: notes,
        })
    }
}

/// The user's files of known hosts where none are configured: `home/.ssh/known_hosts` and `known_hosts2`.
pub fn default_known_hosts(home: &Path) -> Vec<PathBuf> {
    ["known_hosts", "known_hosts2"]
        .map(|name| home.join(".ssh").join(name))
        .into()
}

fn default_global_known_hosts() -> Vec<PathBuf> {
    ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"]
        .map(PathBuf::from)
        .into()
}

/// Whether `text` is one of the names that OpenSSH tries by itself.
fn is_default_identity(text: &str) -> bool {
    let names = [
        "rsa",
        "ecdsa",
        "ecdsa_sk",
        "ed25519",
        "ed25519_sk",
        "xmss",
        "dsa",
    ];
    text.strip_prefix("~/.ssh/id_")
        .is_some_and(|kind| names.contains(&kind))
}

/// As OpenSSH's own check: nothing that a shell or an option parser would take for something else.
fn is_host(host: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "'`\"$\\;&<>|(){}".contains(c);
    !host.is_empty() && !host.starts_with('-') && !host.contains(odd)
}

/// What tokens stand for.
struct Values<'a> {
    host: &'a str,
    host_name: &'a str,
    port: u16,
    user: &'a str,
    alias: Option<&'a str>,
    config: &'a SshConfig,
}

impl Values<'_> {
    fn token(&self, token: char) -> Option<String> {
        Some(match token {
            'h' => self.host_name.to_owned(),
            'n' => self.host.to_owned(),
            'k' => self.alias.unwrap_or(self.host).to_owned(),
            'p' => self.port.to_string(),
            'r' => self.user.to_owned(),
            'u' => self.config.local_user.clone(),
            'd' => self.config.home.as_ref()?.to_str()?.to_owned(),
            'i' => rustix::process::getuid().as_raw().to_string(),
            _ => return None,
        })
    }

    /// `~`, tokens, and the variables whose values are known without the environment.
    fn path(&self, text: &str) -> Result<PathBuf, String> {
        let home = || self.token('d').ok_or("the home directory is not known");
        let text = match text.strip_prefix('~') {
            None => text.to_owned(),
            Some(tail) if tail.is_empty() || tail.starts_with('/') => {
                format!("{}{tail}", home()?.replace('%', "%%"))
            }
            Some(_) => return Err("only one's own ~ is supported: write an absolute path".into()),
        };
        let text = expand(&text, |t| self.token(t))
            .map_err(|t| format!("the token %{t} is not supported: write the path out"))?;
        let (mut out, mut rest) = (String::new(), text.as_str());
        while let Some((before, (name, after))) = rest
            .split_once("${")
            .and_then(|(before, tail)| Some((before, tail.split_once('}')?)))
        {
            out.push_str(before);
            match name {
                "HOME" => out.push_str(&home()?),
                "USER" | "LOGNAME" => out.push_str(&self.config.local_user),
                _ => {
                    return Err(format!(
                        "the variable {name} is not supported: write the path out"
                    ));
                }
            }
            rest = after;
        }
        out.push_str(rest);
        if out.starts_with('$') {
            return Err("variables are not supported: write the path out".into());
        }
        Ok(out.into())
    }
}
