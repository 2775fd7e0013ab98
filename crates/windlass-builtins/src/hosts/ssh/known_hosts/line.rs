//! One line of a known_hosts file.

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

use crate::hosts::ssh::config::pattern::is_literal;

/// What a line says of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// `@revoked`: never to be accepted.
    Revoked,
    /// `@cert-authority`: signs certificates of the hosts.
    Authority,
}

/// For which hosts a line holds. In lower case.
pub(super) enum Names {
    Plain(Vec<String>),
    Patterns(Vec<String>),
    Hashed(HashedName),
}

/// A name that is known only by its HMAC-SHA1.
pub(super) struct HashedName {
    salt: [u8; 20],
    hash: [u8; 20],
}

pub(super) struct Line<'a> {
    pub(super) mark: Option<Mark>,
    pub(super) names: Names,
    /// The names as they stand there.
    pub(super) field: &'a str,
    pub(super) algorithm: &'a str,
    pub(super) key: Vec<u8>,
}

impl HashedName {
    /// From `|1|salt|hash`, both in base64.
    fn parse(field: &str) -> Option<Self> {
        let (salt, hash) = field.strip_prefix("|1|")?.split_once('|')?;
        let twenty = |text: &str| <[u8; 20]>::try_from(BASE64.decode(text.as_bytes()).ok()?).ok();
        Some(Self {
            salt: twenty(salt)?,
            hash: twenty(hash)?,
        })
    }

    /// Whether it is the hash of `name`.
    pub(super) fn is(&self, name: &str) -> bool {
        #[cfg(test)]
        super::tests::TRIED.with(|tried| tried.set(tried.get() + 1));
        Hmac::<Sha1>::new_from_slice(&self.salt)
            .is_ok_and(|mac| mac.chain_update(name).finalize().into_bytes()[..] == self.hash)
    }
}

impl<'a> Line<'a> {
    /// `Ok(None)` for a comment or an empty line; the error says what is wrong.
    pub(super) fn parse(text: &'a str) -> Result<Option<Self>, String> {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            return Ok(None);
        }
        let mut words = text.split([' ', '\t']).filter(|w| !w.is_empty()).peekable();
        let mark = match words.next_if(|w| w.starts_with('@')) {
            None => None,
            Some("@revoked") => Some(Mark::Revoked),
            Some("@cert-authority") => Some(Mark::Authority),
            Some(other) => return Err(format!("`{other}` is not a marker")),
        };
        let (Some(field), Some(algorithm), Some(key)) = (words.next(), words.next(), words.next())
        else {
            return Err("names, a kind of key and a key are wanted".into());
        };
        let key = BASE64
            .decode(key.as_bytes())
            .map_err(|_| "the key is not base64".to_owned())?;
        if !is_of(&key, algorithm) {
            return Err(format!("the key is not of the kind `{algorithm}`"));
        }
        let names = if field.starts_with('|') {
            Names::Hashed(HashedName::parse(field).ok_or("the hashed name is malformed")?)
        } else {
            let list: Vec<String> = field
                .split(',')
                .filter(|n| !n.is_empty())
                .map(str::to_ascii_lowercase)
                .collect();
            if list.iter().all(|n| is_literal(n)) {
                Names::Plain(list)
            } else {
                Names::Patterns(list)
            }
        };
        Ok(Some(Self {
            mark,
            names,
            field,
            algorithm,
            key,
        }))
    }
}

/// Whether the key's own first field names this algorithm.
fn is_of(key: &[u8], algorithm: &str) -> bool {
    let length = key
        .first_chunk::<4>()
        .map(|n| u32::from_be_bytes(*n) as usize);
    let named = length.and_then(|n| key.get(4..)?.get(..n));
    named == Some(algorithm.as_bytes())
}

/// A host as known_hosts names it: in lower case, with its port unless that is 22.
pub(super) fn name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    match port {
        22 => host,
        port => format!("[{host}]:{port}"),
    }
}
