//! Names of the release system. Each is safe as one part of a path and of a URL.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest name, in bytes.
pub const LONGEST: usize = 128;

/// Whether a text may name something: letters, digits, `.`, `_`, `+`, `~` and `-`, at most [`LONGEST`] of them, not
/// beginning with `.` or `-`.
fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '~' | '-');
    !text.is_empty()
        && text.len() <= LONGEST
        && text.chars().all(allowed)
        && !text.starts_with(['.', '-'])
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                if is_name(text) {
                    return Ok(Self(text.into()));
                }
                Err(format!(
                    "{text:?} is no {}: letters, digits and . _ + ~ -, at most {LONGEST}, not beginning with . or -",
                    $what
                ))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// What can be built and installed: `template`.
    Project,
    "name of a project"
);
name!(
    /// A destination with an install behaviour: `webapp_container`.
    TargetName,
    "name of a target"
);
name!(
    /// `prod`, `dev`, `qa`, `test`.
    Environment,
    "name of an environment"
);
name!(
    /// What tells the releases of a project apart: `1.4.0`, `r17`.
    Version,
    "version"
);
name!(
    /// A builder or an installer.
    AgentName,
    "name of an agent"
);
name!(
    /// A request and what came of it. Opaque; sorts by time.
    TransactionId,
    "transaction id"
);
name!(
    /// A unit of an agent's work. Opaque.
    JobId,
    "job id"
);

/// A release: `project@version`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReleaseId {
    /// What was built.
    pub project: Project,
    /// Which of its builds.
    pub version: Version,
}

impl ReleaseId {
    /// From its parts.
    pub fn new(project: Project, version: Version) -> Self {
        Self { project, version }
    }
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}@{}", self.project, self.version))
    }
}

impl FromStr for ReleaseId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (project, version) = text.split_once('@').ok_or_else(|| {
            format!("{text:?} is no release: it is PROJECT@VERSION, as in shop@1.4.0")
        })?;
        Ok(Self::new(project.parse()?, version.parse()?))
    }
}

impl Serialize for ReleaseId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ReleaseId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A SHA-256, as 64 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(Arc<str>);

impl Digest {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == 64 && text.bytes().all(digits) {
            return Ok(Self(text.into()));
        }
        Err(format!("{text:?} is no SHA-256: 64 digits of 0-9 and a-f"))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_paths() {
        for right in ["template", "1.4.0", "a_b-c+d~1"] {
            assert_eq!(
                right.parse::<Project>().map(|p| p.to_string()),
                Ok(right.to_owned())
            );
        }
        let long = "x".repeat(LONGEST + 1);
        for wrong in ["", ".", "..", "a/b", "-x", "a b", "é", long.as_str(), "a\n"] {
            assert!(wrong.parse::<Project>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn releases_read_what_they_write() {
        let text = "shop@1.4.0";
        assert_eq!(
            text.parse::<ReleaseId>().map(|r| r.to_string()),
            Ok(text.to_owned())
        );
        for wrong in ["shop", "@1", "shop@", "shop@1@2"] {
            assert!(wrong.parse::<ReleaseId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn digests_are_of_one_form() {
        assert!("a".repeat(64).parse::<Digest>().is_ok());
        for wrong in ["A".repeat(64), "a".repeat(63), "g".repeat(64)] {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
    }
}
