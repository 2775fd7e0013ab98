//! What builders and installers have in common.

use super::Service;
use super::keys::Keys;
use super::manager::port;
use super::service::service;
use crate::secret::SecretRef;

const MANAGER: &str = "http://localhost:10000";
const LISTEN: &str = "an agent does not listen yet: it calls its managers, and needs no port";

/// A builder or an installer.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Name, logging, auth, directory of work.
    pub service: Service,
    /// URLs of the managers that it works for: `http://localhost:10000`.
    pub managers: Vec<String>,
    /// Jobs at once: 1.
    pub slots: u32,
    /// The token with which it joins managers beyond this machine.
    pub token: Option<SecretRef>,
    /// A PEM file with the authorities that managers' certificates are held against; none: the system's.
    pub ca_certificate: Option<String>,
}

/// Reads it.
pub(super) fn agent(keys: &mut Keys<'_>, file: &str) -> Agent {
    let service = service(keys, file);
    for key in ["listen_port", "listen_address"] {
        if let Some(at) = keys.get(key) {
            keys.warning(at.node.span, &at.path, format!("`{key}`: {LISTEN}"), None);
        }
    }
    port(keys);
    Agent {
        service,
        managers: managers(keys),
        slots: keys.count("slots", 1..=1024, 1),
        token: keys.secret("token"),
        ca_certificate: keys.text("ca_certificate"),
    }
}

fn managers(keys: &mut Keys<'_>) -> Vec<String> {
    let Some(at) = keys.get("managers") else {
        return vec![MANAGER.into()];
    };
    let Some(urls) = keys.texts("managers") else {
        return Vec::new();
    };
    if urls.is_empty() && at.node.as_list().is_some_and(<[_]>::is_empty) {
        let message = "an agent needs a manager at least".into();
        let hint = format!("leave the key out for {MANAGER}");
        keys.error(at.node.span, &at.path, message, Some(&hint));
    }
    let mut managers: Vec<String> = Vec::new();
    for (url, span) in urls {
        let url = url.trim_end_matches('/').to_owned();
        let fault = if !is_manager(&url) {
            Some(format!("{url:?} is no URL of a manager"))
        } else if managers.contains(&url) {
            Some(format!("`{url}` stands in `managers` twice"))
        } else {
            None
        };
        match fault {
            Some(message) => {
                let hint = "as in `http://localhost:10000`, each manager once";
                keys.error(span, &at.path, message, Some(hint));
            }
            None => managers.push(url),
        }
    }
    managers
}

/// `http[s]://HOST[:PORT]`
fn is_manager(url: &str) -> bool {
    let Some(rest) = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"))
    else {
        return false;
    };
    let (host, port) = match rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').unwrap_or(port))),
        None => match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    let in_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    !host.is_empty()
        && host.chars().all(in_host)
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}
