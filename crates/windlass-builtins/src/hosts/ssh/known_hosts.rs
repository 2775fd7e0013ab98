//! Host keys that somebody vouched for: OpenSSH's known_hosts files, read and written.
//!
//! sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT": plain names, lists with wildcards and `!`, `[host]:port`, hashed names,
//! `@revoked` and `@cert-authority`. Verdicts are OpenSSH's own.

mod line;
#[cfg(test)]
mod tests;
mod write;

use std::collections::HashMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate, HashAlg};

use super::config::pattern::any_matches;
use line::{HashedName, Line, Mark, Names};

pub use russh::keys::PublicKey;
pub use write::{append, line_for, replace};

/// Bytes of one file.
const MAX_SIZE: u64 = 256 << 20;
/// What the files say of a key that a host showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the host's.
    Known,
    /// They have no key for the host.
    Unknown,
    /// They have other keys for the host, and not this one.
    Changed {
        /// The file that has it.
        file: PathBuf,
        /// Its line, from 1.
        line: usize,
    },
    /// The key is marked `@revoked`.
    Revoked {
        /// The file that says so.
        file: PathBuf,
        /// Its line, from 1.
        line: usize,
    },
}

/// Known keys, read once and looked up in constant time. Each hashed name has a salt of its own, so none can be looked up by a
/// name; but a host shows its key, and few lines have that key. Only what is wrong, to be explained, takes a look at all of them.
#[derive(Default)]
pub struct KnownHosts {
    files: Vec<PathBuf>,
    entries: Vec<Entry>,
    plain: HashMap<String, Vec<usize>>,
    /// Lists with a wildcard or `!`.
    patterned: Vec<(usize, Vec<String>)>,
    hashed: Vec<(usize, HashedName)>,
    /// By the key: places in `hashed`.
    by_key: HashMap<Box<[u8]>, Vec<usize>>,
    /// Hashed lines with a mark: too grave to be skipped, and few.
    hashed_marked: Vec<(usize, HashedName)>,
    notes: Vec<String>,
}

struct Entry {
    mark: Option<Mark>,
    algorithm: Box<str>,
    key: Box<[u8]>,
    file: usize,
    line: usize,
}

impl KnownHosts {
    /// Reads `files`; missing ones are empty. A file that is there and cannot be read is an error: it may hold
    /// `@revoked` lines. Lines that make no sense are passed over, with a note.
    pub fn load(files: &[PathBuf]) -> io::Result<Self> {
        let mut known = Self::default();
        for file in files {
            let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", file.display()));
            if let Some(text) = read(file).map_err(named)? {
                known.add(file, &text);
            }
        }
        Ok(known)
    }

    /// Lines that were passed over, each `file:line: why`.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What is known of `key` as that of `host` on `port`. With a HostKeyAlias: the alias, and port 22.
    ///
    /// As OpenSSH does, a host on another port than 22 is also known by a matching key without a port.
    pub fn check(&self, host: &str, port: u16, key: &PublicKey) -> Verdict {
        let Ok(bytes) = key.to_bytes() else {
            return Verdict::Unknown;
        };
        let verdict = self.check_name(&line::name(host, port), &key.algorithm(), &bytes);
        if verdict != Verdict::Unknown || port == 22 {
            return verdict;
        }
        match self.check_name(&line::name(host, 22), &key.algorithm(), &bytes) {
            Verdict::Changed { .. } => Verdict::Unknown,
            verdict => verdict,
        }
    }

    /// What is known of a host certificate at `now_unix`, seconds since 1970. It is `Known` when an authority that is
    /// known for the host signed it, for this host, for now; otherwise its bare key decides, as in OpenSSH.
    ///
    /// The caller has made sure that the host holds the private key.
    pub fn check_certificate(
        &self,
        host: &str,
        port: u16,
        certificate: &Certificate,
        now_unix: u64,
    ) -> Verdict {
        let bare = PublicKey::new(certificate.public_key().clone(), "");
        let authority = PublicKey::new(certificate.signature_key().clone(), "");
        let (Ok(key), Ok(signer)) = (bare.to_bytes(), authority.to_bytes()) else {
            return Verdict::Unknown;
        };
        let ports = if port == 22 {
            &[22][..]
        } else {
            &[port, 22][..]
        };
        for port in ports {
            let name = line::name(host, *port);
            let entries = self.near(&name);
            let with = |mark: Mark, bytes: &[u8]| {
                let same = |e: &&Entry| e.mark == Some(mark) && *e.key == *bytes;
                entries
                    .iter()
                    .filter_map(|i| self.entries.get(*i))
                    .find(same)
            };
            if let Some(entry) = with(Mark::Revoked, &key).or_else(|| with(Mark::Revoked, &signer))
            {
                return self.revoked(entry);
            }
            if with(Mark::Authority, &signer).is_some()
                && is_good(certificate, &authority, host, now_unix)
            {
                return Verdict::Known;
            }
        }
        self.check(host, port, &bare)
    }

    /// Names of the algorithms for which a key of `host` is known, for use in a key exchange: a host shows one key
    /// only, and should be asked for one that can be checked. An RSA key gives `rsa-sha2-512` and `rsa-sha2-256`.
    ///
    /// Tries every hashed line: for a host whose key was not known, see [`KnownHosts::likely_algorithms`].
    pub fn algorithms(&self, host: &str, port: u16) -> Vec<String> {
        names_of(self.of(host, port, Self::all))
    }

    /// As [`KnownHosts::algorithms`], from the lines whose names are not hashed; none where the host is in hashed lines only.
    pub fn likely_algorithms(&self, host: &str, port: u16) -> Vec<String> {
        names_of(self.of(host, port, Self::near))
    }

    /// Whether a certificate authority is known for `host`: only then is it of use to ask for a certificate.
    pub fn has_authority(&self, host: &str, port: u16) -> bool {
        let mut marked = self.of(host, port, Self::near);
        marked.any(|e| e.mark == Some(Mark::Authority))
    }

    fn add(&mut self, file: &Path, text: &str) {
        self.files.push(file.to_owned());
        for (i, text) in text.lines().enumerate() {
            let line = match Line::parse(text) {
                Ok(Some(line)) => line,
                Ok(None) => continue,
                Err(why) => {
                    self.notes
                        .push(format!("{}:{}: passed over: {why}", file.display(), i + 1));
                    continue;
                }
            };
            let at = self.entries.len();
            match line.names {
                Names::Plain(names) => names.into_iter().for_each(|name| {
                    self.plain.entry(name).or_default().push(at);
                }),
                Names::Patterns(list) => self.patterned.push((at, list)),
                Names::Hashed(name) if line.mark.is_some() => self.hashed_marked.push((at, name)),
                Names::Hashed(name) => {
                    let lines = self.by_key.entry(line.key.as_slice().into()).or_default();
                    lines.push(self.hashed.len());
                    self.hashed.push((at, name));
                }
            }
            self.entries.push(Entry {
                mark: line.mark,
                algorithm: line.algorithm.into(),
                key: line.key.into(),
                file: self.files.len() - 1,
                line: i + 1,
            });
        }
    }

    fn check_name(&self, name: &str, algorithm: &Algorithm, key: &[u8]) -> Verdict {
        let near = self.near(name);
        let of = |indices: &[usize]| -> Vec<&Entry> {
            indices
                .iter()
                .filter_map(|i| self.entries.get(*i))
                .collect()
        };
        let known = |e: &&Entry| e.mark.is_none() && *e.key == *key;
        let entries = of(&near);
        if let Some(entry) = entries
            .iter()
            .find(|e| e.mark == Some(Mark::Revoked) && *e.key == *key)
        {
            return self.revoked(entry);
        }
        if entries.iter().any(known) || self.is_hashed_with(name, key) {
            return Verdict::Known;
        }
        let entries = of(&self.all(name));
        // As in OpenSSH a key of a kind that was not seen before is no less of a change. A line of its kind says more.
        let others = || entries.iter().filter(|e| e.mark.is_none());
        let alike = others().find(|e| *e.algorithm == *bare_name(algorithm));
        match alike.or_else(|| others().next()) {
            Some(entry) => Verdict::Changed {
                file: self.file(entry),
                line: entry.line,
            },
            None => Verdict::Unknown,
        }
    }

    fn revoked(&self, entry: &Entry) -> Verdict {
        Verdict::Revoked {
            file: self.file(entry),
            line: entry.line,
        }
    }

    fn file(&self, entry: &Entry) -> PathBuf {
        self.files.get(entry.file).cloned().unwrap_or_default()
    }

    /// Whether a hashed line without a mark has this key for `name`.
    fn is_hashed_with(&self, name: &str, key: &[u8]) -> bool {
        let lines = self.by_key.get(key).into_iter().flatten();
        lines
            .filter_map(|place| self.hashed.get(*place))
            .any(|(_, hashed)| hashed.is(name))
    }

    /// Entries for a host as `find` has them: of its port, or else those without one.
    fn of(
        &self,
        host: &str,
        port: u16,
        find: fn(&Self, &str) -> Vec<usize>,
    ) -> impl Iterator<Item = &Entry> {
        let mut found = find(self, &line::name(host, port));
        if found.is_empty() && port != 22 {
            found = find(self, &line::name(host, 22));
        }
        found.into_iter().filter_map(|i| self.entries.get(i))
    }

    /// Entries for `name`, but for those that are hashed and have no mark.
    fn near(&self, name: &str) -> Vec<usize> {
        let mut found = self.plain.get(name).cloned().unwrap_or_default();
        let patterned = self.patterned.iter();
        found.extend(
            patterned
                .filter(|(_, list)| any_matches(name, list.iter().map(String::as_str)))
                .map(|(i, _)| *i),
        );
        let marked = self.hashed_marked.iter();
        found.extend(
            marked
                .filter(|(_, hashed)| hashed.is(name))
                .map(|(i, _)| *i),
        );
        found
    }

    /// All entries for `name`, in the order of the files. Tries every hashed line.
    fn all(&self, name: &str) -> Vec<usize> {
        let mut found = self.near(name);
        let hashed = self.hashed.iter();
        found.extend(
            hashed
                .filter(|(_, hashed)| hashed.is(name))
                .map(|(i, _)| *i),
        );
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The algorithms of the keys of entries without a mark, each once.
fn names_of<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for entry in entries.filter(|e| e.mark.is_none()) {
        let given: &[&str] = match &*entry.algorithm {
            "ssh-rsa" => &["rsa-sha2-512", "rsa-sha2-256"],
            other => &[other],
        };
        for name in given {
            if !names.iter().any(|n| n == name) {
                names.push((*name).to_owned());
            }
        }
    }
    names
}

/// The key in a line of a file, from 1: `ssh-ed25519 SHA256:...`. `None` when there is none, or none any more.
pub fn fingerprint_at(file: &Path, line: usize) -> Option<String> {
    let text = read(file).ok()??;
    let text = text.lines().nth(line.checked_sub(1)?)?;
    let line = Line::parse(text).ok()??;
    let key = PublicKey::from_bytes(&line.key).ok()?;
    Some(super::host_key::fingerprint(&key))
}

/// Whether a certificate holds for `host` now, given that its authority is trusted.
fn is_good(certificate: &Certificate, authority: &PublicKey, host: &str, now: u64) -> bool {
    let host = host.to_ascii_lowercase();
    let principals = certificate.valid_principals();
    let sha1 = matches!(
        certificate.signature().algorithm(),
        Algorithm::Rsa { hash: None } | Algorithm::Dsa
    );
    certificate.cert_type() == CertType::Host
        && (principals.is_empty() || principals.contains(&host))
        && certificate.critical_options().is_empty()
        && !sha1
        && certificate
            .validate_at(now, [&authority.fingerprint(HashAlg::Sha256)])
            .is_ok()
}

/// The name of the kind of key, as it stands in the key itself: RSA keys are `ssh-rsa` whatever they sign with.
fn bare_name(algorithm: &Algorithm) -> &str {
    match algorithm {
        Algorithm::Rsa { .. } => "ssh-rsa",
        other => other.as_str(),
    }
}

/// The text of a file; `None` when it is not there.
fn read(path: &Path) -> io::Result<Option<String>> {
    let absent = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(e) if absent.contains(&e.kind()) => return Ok(None),
        Err(e) => return Err(e),
    };
    if path == Path::new("/dev/null") {
        return Ok(None);
    }
    if !meta.is_file() || meta.len() > MAX_SIZE {
        let why = format!("not a regular file of at most {MAX_SIZE} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(MAX_SIZE)
        .read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}
