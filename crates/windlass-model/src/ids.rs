//! Names and numbers that mean one thing each.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A host as the config or a task calls it. `local` is the host that Windlass runs on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostName(Arc<str>);

impl HostName {
    /// The host that Windlass itself runs on.
    pub const LOCAL: &'static str = "local";

    /// Any name; whether it can be reached is found out later.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// `local`.
    pub fn local() -> Self {
        Self::new(Self::LOCAL)
    }

    /// Whether it is the host that Windlass runs on.
    pub fn is_local(&self) -> bool {
        &*self.0 == Self::LOCAL
    }

    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name up to its first dot; an IP address stays whole.
    pub fn short(&self) -> &str {
        if self.0.parse::<std::net::IpAddr>().is_ok() {
            return &self.0;
        }
        self.0.split('.').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Where a task stands: `stage.task.link`, each from 1. A task that is in no chain is link 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    /// Number of the stage.
    pub stage: u32,
    /// Number of the task or chain in the stage: the job.
    pub task: u32,
    /// Number in the chain.
    pub link: u32,
}

impl TaskId {
    /// From numbers that count from 1.
    pub fn new(stage: u32, task: u32, link: u32) -> Self {
        Self { stage, task, link }
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.stage, self.task, self.link)
    }
}

impl std::str::FromStr for TaskId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no task id: it is STAGE.TASK.LINK, as in 2.1.1");
        let mut parts = text
            .split('.')
            .map(|p| p.parse::<u32>().ok().filter(|n| *n > 0));
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Some(stage)), Some(Some(task)), Some(Some(link)), None) => {
                Ok(Self::new(stage, task, link))
            }
            _ => Err(wrong()),
        }
    }
}

impl Serialize for TaskId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TaskId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One execution of a tasklist: `20261121-213500-0424f2a9`: UTC time of the start to the millisecond, and a random part.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Arc<str>);

impl RunId {
    /// Takes a name that is safe as a file name on every host: letters, digits and `-` only.
    pub fn new(text: &str) -> Option<Self> {
        let safe = !text.is_empty()
            && text.len() <= 64
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !text.starts_with('-');
        safe.then(|| Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_ids_read_what_they_write() {
        let id = TaskId::new(2, 10, 1);
        assert_eq!("2.10.1".parse(), Ok(id));
        assert_eq!(id.to_string(), "2.10.1");
        for wrong in ["", "1", "1.1", "0.1.1", "1.1.1.1", "a.1.1"] {
            assert!(wrong.parse::<TaskId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn short_names_keep_addresses_whole() {
        assert_eq!(HostName::new("fe001.example.org").short(), "fe001");
        assert_eq!(HostName::new("10.0.0.7").short(), "10.0.0.7");
    }

    #[test]
    fn run_ids_are_safe_file_names() {
        assert!(RunId::new("20261121-213500-4f2a9c").is_some());
        for wrong in ["", "../x", "a/b", "-x", "a b"] {
            assert!(RunId::new(wrong).is_none(), "{wrong}");
        }
    }
}
