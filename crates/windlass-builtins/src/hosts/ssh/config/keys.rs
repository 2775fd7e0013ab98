//! What each key of ssh_config means to Windlass. ssh_config(5) is the source.

use std::time::Duration;

use super::words::words as words_of;

/// A value that a line gives, if its block applies to the host.
#[derive(Clone, Debug)]
pub(super) enum Setting {
    HostName(String),
    Port(u16),
    User(String),
    IdentityFile(String),
    IdentitiesOnly(bool),
    Proxy(Proxy),
    UserKnownHosts(Vec<String>),
    GlobalKnownHosts(Vec<String>),
    ConnectTimeout(Duration),
    HostKeyAlias(String),
    IdentityAgent(String),
    /// Whether OpenSSH would look up the host's canonical name.
    Canonicalize(bool),
    /// A key that Windlass does not act on; the note says so, and is absent when nothing is lost by that.
    Other {
        key: String,
        note: Option<String>,
    },
}

/// How a host is reached; ProxyCommand and ProxyJump share one slot, the first of them wins.
#[derive(Clone, Debug)]
pub(super) enum Proxy {
    Direct,
    /// With its place, for the message.
    Command(String),
    /// Hops, outermost first.
    Jump(Vec<String>),
}

/// Keys that change nothing in what Windlass does: conveniences of an interactive session, forwarding, and methods of
/// authentication which it never uses.
const IGNORED: &[&str] = &[
    "addkeystoagent",
    "batchmode",
    "canonicaldomains",
    "canonicalizefallbacklocal",
    "canonicalizemaxdots",
    "canonicalizepermittedcnames",
    "challengeresponseauthentication",
    "channeltimeout",
    "checkhostip",
    "cipher",
    "clearallforwardings",
    "compression",
    "compressionlevel",
    "connectionattempts",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "dynamicforward",
    "enableescapecommandline",
    "enablesshkeysign",
    "escapechar",
    "exitonforwardfailure",
    "fingerprinthash",
    "forkafterauthentication",
    "forwardagent",
    "forwardx11",
    "forwardx11timeout",
    "forwardx11trusted",
    "gatewayports",
    "gssapiauthentication",
    "gssapiclientidentity",
    "gssapidelegatecredentials",
    "gssapikexalgorithms",
    "gssapikeyexchange",
    "gssapirenewalforcesrekey",
    "gssapiserveridentity",
    "gssapitrustdns",
    "hashknownhosts",
    "hostbasedacceptedalgorithms",
    "hostbasedauthentication",
    "hostbasedkeytypes",
    "ipqos",
    "kbdinteractiveauthentication",
    "kbdinteractivedevices",
    "localcommand",
    "localforward",
    "loglevel",
    "logverbose",
    "numberofpasswordprompts",
    "obscurekeystroketiming",
    "passwordauthentication",
    "permitlocalcommand",
    "permitremoteopen",
    "protocol",
    "proxyusefdpass",
    "rekeylimit",
    "remoteforward",
    "requesttty",
    "rhostsrsaauthentication",
    "rsaauthentication",
    "sendenv",
    "serveralivecountmax",
    "serveraliveinterval",
    "sessiontype",
    "setenv",
    "stdinnull",
    "streamlocalbindmask",
    "streamlocalbindunlink",
    "syslogfacility",
    "tag",
    "tcpkeepalive",
    "tunnel",
    "tunneldevice",
    "updatehostkeys",
    "useprivilegedport",
    "useroaming",
    "verifyhostkeydns",
    "versionaddendum",
    "visualhostkey",
    "warnweakcrypto",
    "xauthlocation",
];

/// Keys that would change the connection if Windlass heeded them, and what holds instead.
const NOTED: &[(&str, &str)] = &[
    ("addressfamily", "the resolver's order of addresses is used"),
    ("bindaddress", "the system chooses the local address"),
    ("bindinterface", "the system chooses the local interface"),
    ("casignaturealgorithms", "Windlass has its own list"),
    (
        "certificatefile",
        "user certificates are used from the agent only",
    ),
    ("ciphers", "Windlass has its own list"),
    ("hostkeyalgorithms", "Windlass has its own list"),
    ("kexalgorithms", "Windlass has its own list"),
    ("knownhostscommand", "known_hosts files are read only"),
    ("macs", "Windlass has its own list"),
    ("pkcs11provider", "load the key into an agent"),
    ("preferredauthentications", "keys and the agent are used"),
    ("pubkeyacceptedalgorithms", "Windlass has its own list"),
    ("pubkeyacceptedkeytypes", "Windlass has its own list"),
    ("refuseconnection", "the host is connected to"),
    ("remotecommand", "Windlass runs its own programs"),
    ("requiredrsasize", "Windlass has its own limit"),
    (
        "revokedhostkeys",
        "mark revoked keys with @revoked in known_hosts",
    ),
    ("securitykeyprovider", "load the key into an agent"),
    ("smartcarddevice", "load the key into an agent"),
];

/// What a line says, given its key in lower case, its words, and what stood behind the key as written.
/// `Ok(None)`: nothing of interest. `place` is `file:line`, for notes.
pub(super) fn setting(
    key: &str,
    words: &[String],
    rest: &str,
    place: &str,
) -> Result<Option<Setting>, String> {
    let value = match key {
        "hostname" => Setting::HostName(tokens(one(words)?, "h")?),
        "port" => Setting::Port(port(one(words)?)?),
        "user" => Setting::User(one(words)?.to_owned()),
        "identityfile" | "identityfile2" => {
            Setting::IdentityFile(tokens(one(words)?, PATH_TOKENS)?)
        }
        "identitiesonly" => Setting::IdentitiesOnly(flag(one(words)?)?),
        "identityagent" => Setting::IdentityAgent(tokens(one(words)?, PATH_TOKENS)?),
        "userknownhostsfile" => Setting::UserKnownHosts(list(words, PATH_TOKENS)?),
        "globalknownhostsfile" => Setting::GlobalKnownHosts(several(words)?),
        "hostkeyalias" => Setting::HostKeyAlias(one(words)?.to_ascii_lowercase()),
        // `none` is as if the line were not there: a later one counts.
        "connecttimeout" => return Ok(seconds(one(words)?)?.map(Setting::ConnectTimeout)),
        "proxyjump" => {
            // Here a comment needs no blank before it.
            let bare = rest.split('#').next().unwrap_or_default();
            let words = words_of(bare).ok_or("a quote is not closed")?;
            Setting::Proxy(jump(one(&words)?)?)
        }
        "proxycommand" => match rest {
            "" => return Err("the value is missing".into()),
            rest if rest.eq_ignore_ascii_case("none") => Setting::Proxy(Proxy::Direct),
            _ => Setting::Proxy(Proxy::Command(place.to_owned())),
        },
        "canonicalizehostname" => {
            let word = one(words)?;
            let known = ["yes", "true", "no", "false", "always", "none"];
            if !known.iter().any(|k| word.eq_ignore_ascii_case(k)) {
                return Err(format!("`{word}` is none of yes, no, always"));
            }
            let off = ["no", "false", "none"];
            Setting::Canonicalize(!off.iter().any(|k| word.eq_ignore_ascii_case(k)))
        }
        _ if IGNORED.contains(&key) => return Ok(None),
        _ => Setting::Other {
            key: key.to_owned(),
            note: note(key, words)?.map(|why| format!("{place}: {why}")),
        },
    };
    Ok(Some(value))
}

fn note(key: &str, words: &[String]) -> Result<Option<String>, String> {
    let is = |wanted: &[&str]| {
        let word = words.first().map_or("", String::as_str);
        wanted.iter().any(|w| word.eq_ignore_ascii_case(w))
    };
    Ok(match key {
        "stricthostkeychecking" => {
            one(words)?;
            is(&["no", "off", "false", "accept-new"]).then(|| {
                "StrictHostKeyChecking is always yes: approve new keys with `windlass hosts trust`".into()
            })
        }
        "nohostauthenticationforlocalhost" => is(&["yes", "true"]).then(|| {
            "NoHostAuthenticationForLocalhost is not heeded: host keys are always checked".into()
        }),
        "pubkeyauthentication" => is(&["no", "false"]).then(|| {
            "PubkeyAuthentication no is not heeded: keys are what Windlass logs in with".into()
        }),
        _ => match NOTED.iter().find(|(name, _)| *name == key) {
            Some(_) if is(&["none"]) => None,
            Some((_, instead)) => Some(format!("{key} is not heeded: {instead}")),
            None => Some(format!(
                "{key} is not a key that Windlass knows; it is not heeded"
            )),
        },
    })
}

/// Tokens that a path may hold.
const PATH_TOKENS: &str = "CdhijkLlnpru";

/// `text`, checked for tokens that are not allowed in it.
fn tokens(text: &str, allowed: &str) -> Result<String, String> {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            continue;
        }
        match chars.next() {
            Some(t) if t == '%' || allowed.contains(t) => {}
            Some(t) => return Err(format!("`%{t}` is not a token of this key")),
            None => return Err("a `%` at the end: write `%%` for the sign itself".into()),
        }
    }
    Ok(text.to_owned())
}

fn one(words: &[String]) -> Result<&str, String> {
    match words {
        [] => Err("the value is missing".into()),
        [word] if word.is_empty() => Err("the value is empty".into()),
        [word] => Ok(word),
        [_, second, ..] => Err(format!("one value is wanted; `{second}` is one too many")),
    }
}

fn several(words: &[String]) -> Result<Vec<String>, String> {
    match words {
        [] => Err("the value is missing".into()),
        words if words.iter().any(String::is_empty) => Err("a value is empty".into()),
        [word] if word.eq_ignore_ascii_case("none") => Ok(Vec::new()),
        words if words.iter().any(|w| w.eq_ignore_ascii_case("none")) => {
            Err("`none` stands alone or not at all".into())
        }
        words => Ok(words.to_vec()),
    }
}

fn list(words: &[String], allowed: &str) -> Result<Vec<String>, String> {
    let words = several(words)?;
    words
        .iter()
        .try_for_each(|w| tokens(w, allowed).map(drop))?;
    Ok(words)
}

fn flag(word: &str) -> Result<bool, String> {
    match word.to_ascii_lowercase().as_str() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err(format!("`{word}` is neither yes nor no")),
    }
}

fn port(word: &str) -> Result<u16, String> {
    match word.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("`{word}` is not a port: a number from 1 to 65535")),
    }
}

/// Seconds, or a time like `1m30s`; `none` is `None`.
fn seconds(word: &str) -> Result<Option<Duration>, String> {
    if word.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    let wrong = || format!("`{word}` is not a time: seconds, or like 1m30s");
    let mut total = 0u64;
    let mut number = String::new();
    let add = |number: &mut String, unit: u64, total: &mut u64| {
        let count: u64 = number.parse().map_err(|_| wrong())?;
        number.clear();
        *total = count
            .checked_mul(unit)
            .and_then(|s| s.checked_add(*total))
            .filter(|s| *s <= i32::MAX as u64)
            .ok_or_else(wrong)?;
        Ok::<(), String>(())
    };
    for c in word.chars() {
        let unit = match c.to_ascii_lowercase() {
            '0'..='9' => {
                number.push(c);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return Err(wrong()),
        };
        add(&mut number, unit, &mut total)?;
    }
    if !number.is_empty() {
        add(&mut number, 1, &mut total)?;
    }
    Ok(Some(Duration::from_secs(total)))
}

/// `[user@]host[:port]`, several with commas between them, or `none`.
pub(super) fn jump(text: &str) -> Result<Proxy, String> {
    if text.is_empty() {
        return Err("the value is missing".into());
    }
    if text.eq_ignore_ascii_case("none") {
        return Ok(Proxy::Direct);
    }
    let hops: Result<Vec<String>, String> = text.split(',').map(|h| hop(h.trim())).collect();
    hops.map(Proxy::Jump)
}

fn hop(text: &str) -> Result<String, String> {
    let wrong = |why: &str| format!("`{text}` is not a host to jump over: {why}");
    let bare = text
        .strip_prefix("ssh://")
        .unwrap_or(text)
        .trim_end_matches('/');
    if bare.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(wrong("it holds a blank"));
    }
    let (user, address) = match bare.rsplit_once('@') {
        Some((user, address)) => (Some(user), address),
        None => (None, bare),
    };
    let (host, number) = match address.strip_prefix('[').and_then(|a| a.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, tail)) => (
            host,
            Some(
                tail.strip_prefix(':')
                    .ok_or_else(|| wrong("write [address]:port"))?,
            ),
        ),
        None => match address.split_once(':') {
            Some((_, number)) if number.contains(':') => {
                return Err(wrong("put an IPv6 address in [ ]"));
            }
            Some((host, number)) => (host, Some(number)),
            None => (address, None),
        },
    };
    if host.is_empty()
        || host.starts_with('-')
        || user.is_some_and(|u| u.is_empty() || u.starts_with('-'))
    {
        return Err(wrong("write [user@]host[:port]"));
    }
    if let Some(number) = number {
        port(number).map_err(|why| wrong(&why))?;
    }
    tokens(bare, "hnpr")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(seconds("10"), Ok(Some(Duration::from_secs(10))));
        assert_eq!(seconds("1m30s"), Ok(Some(Duration::from_secs(90))));
        assert_eq!(seconds("none"), Ok(None));
        for wrong in ["", "x", "-1", "10x", "99999999999999999999", "m"] {
            assert!(wrong.is_empty() || seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn hops() {
        let hops = |text| match jump(text) {
            Ok(Proxy::Jump(hops)) => hops,
            other => panic!("{other:?}"),
        };
        assert_eq!(hops("a,u@b:23,[::1]:24"), ["a", "u@b:23", "[::1]:24"]);
        assert_eq!(hops("ssh://u@b:23"), ["u@b:23"]);
        for wrong in ["", "a,", "a:0", "a:b", "@a", "::1", "a b", "-oX", "u@-x"] {
            assert!(jump(wrong).is_err(), "{wrong}");
        }
    }
}
