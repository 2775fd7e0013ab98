//! Looks at hosts before a deploy does: whether they are reached, and have what it will need there.
//!
//! Every host is asked in one conversation, many hosts at once, and all that is wrong anywhere comes back as values.
//! Nothing is changed on any host.

mod ask;
mod balancer;
mod disk;
pub(crate) mod fault;
mod needs;
mod probe;
mod wanted;

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use serde::Serialize;
use windlass_engine::host::HostErrorKind;
use windlass_model::ids::HostName;

use crate::hosts::AllHosts;
pub use wanted::Wanted;

/// Hosts that are asked at once.
const AT_ONCE: usize = 32;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// A deploy would fail.
    Error,
    /// A deploy may fail, or not do all that is expected of it.
    Warning,
    /// Of use to know.
    Note,
}

impl Grade {
    /// `error`, `warning`, `note`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// Whether the host is reached.
    Link,
    /// Whether its key is known.
    Key,
    /// Whether the user is let in.
    Authentication,
    /// Whether there is a shell to talk to.
    Shell,
    /// Whether sudo works, where it is needed.
    Sudo,
    /// Programs.
    Tools,
    /// Room for files.
    Disk,
    /// Rights to write.
    Permission,
    /// What controls a service.
    Service,
    /// The time of day.
    Clock,
    /// HAProxy.
    Balancer,
}

impl Check {
    /// `link`, `key`, ...
    pub fn word(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Key => "key",
            Self::Authentication => "authentication",
            Self::Shell => "shell",
            Self::Sudo => "sudo",
            Self::Tools => "tools",
            Self::Disk => "disk",
            Self::Permission => "permission",
            Self::Service => "service",
            Self::Clock => "clock",
            Self::Balancer => "balancer",
        }
    }
}

/// What was found on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The host that it is about.
    pub host: HostName,
    /// How grave it is.
    #[serde(rename = "level")]
    pub grade: Grade,
    /// What was looked at.
    pub check: Check,
    /// One line: what is so.
    pub message: String,
    /// One line: what to do; may be empty.
    pub hint: String,
}

impl Finding {
    /// A finding without a hint.
    pub fn new(host: &HostName, grade: Grade, check: Check, message: impl Into<String>) -> Self {
        Self {
            host: host.clone(),
            grade,
            check,
            message: message.into(),
            hint: String::new(),
        }
    }

    /// With what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

/// Asks all hosts and gives what was found, by grade, check and host. At most a minute a host, besides 10 s for each
/// HAProxy; when it is dropped, what runs on hosts (programs that only look) is left alone. May be called again.
pub async fn check(hosts: &Arc<AllHosts>, wanted: &Wanted) -> Vec<Finding> {
    let asked = wanted.needs.iter().map(|(host, needs)| {
        let hosts = hosts.clone();
        // owned by each future: borrowed ones would tie their lifetimes to the closure
        let (host, needs) = (host.clone(), needs.clone());
        async move {
            let heard = ask::ask(&*hosts, &host, &needs.steps()).await;
            let mut found = needs.findings(&host, &heard);
            let key = heard.error.and_then(|(error, at)| {
                if error.kind == HostErrorKind::HostKey {
                    return Some((host.clone(), error));
                }
                found.push(fault::of(&host, &error, needs.is_sudo(at)));
                None
            });
            (found, key)
        }
    });
    let mut answers = stream::iter(asked).buffer_unordered(AT_ONCE);
    let mut found = Vec::new();
    let mut keys = HashMap::new();
    while let Some((findings, key)) = answers.next().await {
        found.extend(findings);
        keys.extend(key);
    }
    found.extend(fault::of_keys(hosts, keys).await);
    found.sort_by(|a, b| {
        (a.grade, a.check, &a.host, &a.message).cmp(&(b.grade, b.check, &b.host, &b.message))
    });
    found
}
