//! Which settings hold for one host: the first value of each key, in the blocks that apply.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::keys::{Proxy, Setting};
use super::pattern::any_matches;
use super::read::{Block, Blocks, Condition, Criterion, Subject};

/// What was found for a host, as written: tokens stand.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) host_name: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) user: Option<String>,
    pub(super) identity_files: Vec<String>,
    pub(super) identities_only: Option<bool>,
    pub(super) proxy: Option<Proxy>,
    pub(super) user_known_hosts: Option<Vec<String>>,
    pub(super) global_known_hosts: Option<Vec<String>>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) host_key_alias: Option<String>,
    pub(super) identity_agent: Option<String>,
    pub(super) notes: Vec<String>,
    /// Something depends on what only OpenSSH can tell.
    pub(super) ask: bool,
    canonicalize: Option<bool>,
    others: HashSet<String>,
}

/// Whether a block holds. In rising order of what `and` keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Holds {
    No,
    Unknown,
    Yes,
}

/// Finds the settings of `host`.
pub(super) fn apply(blocks: &Blocks, host: &str, local_user: &str) -> Found {
    let mut found = Found::default();
    pass(blocks, host, host, local_user, false, &mut found);
    if blocks.wants_final && !found.ask {
        // OpenSSH reads everything again, with the real name in the place of the given one.
        let real = real_name(&found, host);
        found.host_name = Some(real.replace('%', "%%"));
        pass(blocks, &real, host, local_user, true, &mut found);
    }
    found
}

/// The name to connect to: HostName with its tokens, or the host itself. In lower case, as OpenSSH has it.
pub(super) fn real_name(found: &Found, host: &str) -> String {
    match &found.host_name {
        Some(name) => expand(name, |token| (token == 'h').then(|| host.to_owned()))
            .unwrap_or_else(|_| name.clone()),
        None => host.to_owned(),
    }
    .to_ascii_lowercase()
}

/// `text` with its `%` tokens replaced; the token that `value` does not have as an error.
pub(super) fn expand(text: &str, value: impl Fn(char) -> Option<String>) -> Result<String, char> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => match chars.next() {
                Some('%') => out.push('%'),
                Some(token) => out.push_str(&value(token).ok_or(token)?),
                None => return Err('%'),
            },
            _ => out.push(c),
        }
    }
    Ok(out)
}

fn pass(
    blocks: &Blocks,
    host: &str,
    original: &str,
    local_user: &str,
    last: bool,
    found: &mut Found,
) {
    let mut held: HashMap<usize, Holds> = HashMap::new();
    for i in blocks.candidates(host) {
        let Some(block) = blocks.all.get(i) else {
            continue;
        };
        let before = |i: usize| held.get(&i).copied().unwrap_or(Holds::No);
        let own = match &block.condition {
            Condition::Always => Holds::Yes,
            Condition::As(i) => before(*i),
            Condition::Host(list) => known(any_matches(host, list.iter().map(String::as_str))),
            Condition::Match(criteria) => {
                let all = criteria
                    .iter()
                    .map(|c| criterion(c, host, original, local_user, last, found));
                all.min().unwrap_or(Holds::No)
            }
        };
        let holds = block.within.map_or(Holds::Yes, before).min(own);
        held.insert(i, holds);
        match holds {
            Holds::No => {}
            Holds::Yes => take(block, found),
            Holds::Unknown if block.settings.is_empty() => {}
            Holds::Unknown => {
                found.ask = true;
                // For the notes: OpenSSH's own answer has the values.
                take(block, found);
            }
        }
    }
}

fn known(holds: bool) -> Holds {
    if holds { Holds::Yes } else { Holds::No }
}

fn criterion(
    criterion: &Criterion,
    host: &str,
    original: &str,
    local_user: &str,
    last: bool,
    found: &Found,
) -> Holds {
    let lower = criterion.list.to_ascii_lowercase();
    let list = |text: &str, list: &str| any_matches(text, list.split(','));
    let host_list = |text: &str| list(&text.to_ascii_lowercase(), &lower);
    let matched = match criterion.of {
        Subject::All => true,
        Subject::Final | Subject::Canonical => last,
        Subject::Host => {
            let name = found.host_name.as_ref().map(|name| {
                expand(name, |token| (token == 'h').then(|| host.to_owned()))
                    .unwrap_or_else(|_| name.clone())
            });
            host_list(name.as_deref().unwrap_or(host))
        }
        Subject::OriginalHost => host_list(original),
        Subject::User => list(found.user.as_deref().unwrap_or(local_user), &criterion.list),
        Subject::LocalUser => list(local_user, &criterion.list),
        Subject::Other => return Holds::Unknown,
    };
    known(matched != criterion.negated)
}

fn take(block: &Block, found: &mut Found) {
    for setting in &block.settings {
        match setting {
            Setting::HostName(v) => first(&mut found.host_name, v),
            Setting::Port(v) => first(&mut found.port, v),
            Setting::User(v) => first(&mut found.user, v),
            Setting::IdentityFile(v) => {
                if !found.identity_files.contains(v) {
                    found.identity_files.push(v.clone());
                }
            }
            Setting::IdentitiesOnly(v) => first(&mut found.identities_only, v),
            Setting::Proxy(v) => first(&mut found.proxy, v),
            Setting::UserKnownHosts(v) => first(&mut found.user_known_hosts, v),
            Setting::GlobalKnownHosts(v) => first(&mut found.global_known_hosts, v),
            Setting::ConnectTimeout(v) => first(&mut found.connect_timeout, v),
            Setting::HostKeyAlias(v) => first(&mut found.host_key_alias, v),
            Setting::IdentityAgent(v) => first(&mut found.identity_agent, v),
            Setting::Canonicalize(v) => {
                first(&mut found.canonicalize, v);
                found.ask |= found.canonicalize == Some(true);
            }
            Setting::Other { key, note } => {
                if found.others.insert(key.clone()) {
                    found.notes.extend(note.clone());
                }
            }
        }
    }
}

fn first<T: Clone>(slot: &mut Option<T>, value: &T) {
    if slot.is_none() {
        *slot = Some(value.clone());
    }
}
