//! What a host's error says, as a finding.

use std::collections::HashMap;

use windlass_engine::host::{HostError, HostErrorKind};
use windlass_model::ids::HostName;

use super::{Check, Finding, Grade};
use crate::hosts::AllHosts;
use crate::hosts::ssh::known_hosts::Verdict;

/// An error of a conversation; `sudo`: while sudo was asked for.
pub(crate) fn of(host: &HostName, error: &HostError, sudo: bool) -> Finding {
    let (check, hint) = match error.kind {
        HostErrorKind::Unreachable | HostErrorKind::Lost => (Check::Link, ""),
        HostErrorKind::HostKey => (Check::Key, ""),
        HostErrorKind::Denied if sudo => (
            Check::Sudo,
            "the config says `sudo: true` of a service there; `sudo_password` says what to answer",
        ),
        HostErrorKind::Denied => (
            Check::Authentication,
            "add a key that it knows to the agent, or name one with IdentityFile in ssh_config",
        ),
        HostErrorKind::Shell => (Check::Shell, ""),
    };
    let prefix = format!("{host}: ");
    let message = error.message.strip_prefix(&prefix);
    let message = message.unwrap_or(&error.message).to_owned();
    Finding::new(host, Grade::Error, check, message).hint(hint)
}

/// What is wrong with the keys of these hosts, said without what differs from host to host.
pub(super) async fn of_keys(
    hosts: &AllHosts,
    mut errors: HashMap<HostName, HostError>,
) -> Vec<Finding> {
    if errors.is_empty() {
        return Vec::new();
    }
    let names: Vec<HostName> = errors.keys().cloned().collect();
    let mut found = Vec::new();
    for (host, scanned) in hosts.scan_keys(&names).await {
        // where the key is known now, it was that of a host to jump over
        let finding = scanned
            .ok()
            .and_then(|scanned| of_verdict(&host, &scanned.verdict));
        if let Some(finding) = finding {
            errors.remove(&host);
            found.push(finding);
        }
    }
    found.extend(errors.iter().map(|(host, error)| of(host, error, false)));
    found
}

/// `None` for a key that is known.
pub(crate) fn of_verdict(host: &HostName, verdict: &Verdict) -> Option<Finding> {
    let trust = format!("`windlass hosts trust {host}`");
    let error = |message: String| Finding::new(host, Grade::Error, Check::Key, message);
    Some(match verdict {
        Verdict::Known => return None,
        Verdict::Unknown => error("the host key is not known".into())
            .hint(format!("look at it, and approve it, with {trust}")),
        Verdict::Changed { file, line } => {
            let place = format!("{}:{line}", file.display());
            error(format!(
                "the host key has CHANGED: another one is in {place}; somebody may be in between"
            ))
            .hint(format!("if the host was set up anew: {trust}"))
        }
        Verdict::Revoked { file, line } => {
            let place = format!("{}:{line}", file.display());
            error(format!("the host key is revoked by {place}"))
                .hint("do not talk to it; it needs a new key")
        }
    })
}
