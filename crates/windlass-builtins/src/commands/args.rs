//! Types of arguments that several commands take.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

/// An absolute path on a host, without `.` or `..` components and control characters; no `~`, no globs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct AbsolutePath(String);

impl AbsolutePath {
    /// Checks a path; the error says what is wrong with it.
    pub fn new(path: &str) -> Result<Self, String> {
        if !path.starts_with('/') {
            return Err(format!("`{path}` is not an absolute path"));
        }
        if path.chars().any(char::is_control) {
            return Err(format!("{path:?} holds a control character"));
        }
        if path.split('/').any(|part| part == ".." || part == ".") {
            return Err(format!("`{path}` holds a `.` or `..`; write the path out"));
        }
        let trimmed = path.trim_end_matches('/');
        Ok(Self(
            if trimmed.is_empty() { "/" } else { trimmed }.to_owned(),
        ))
    }

    /// The path, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as one word of sh.
    pub fn quoted(&self) -> String {
        crate::sh::quote(&self.0)
    }

    /// The path of `name` in it.
    pub fn join(&self, name: &str) -> String {
        format!("{}/{name}", self.0.trim_end_matches('/'))
    }
}

impl std::fmt::Display for AbsolutePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AbsolutePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let path = String::deserialize(deserializer)?;
        Self::new(&path).map_err(de::Error::custom)
    }
}

impl JsonSchema for AbsolutePath {
    fn schema_name() -> Cow<'static, str> {
        "AbsolutePath".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^/"})
    }
}

/// Permission bits: an octal string, `"0644"`, or a number whose digits are read as octal, `644`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

impl Mode {
    fn from_digits(digits: &str) -> Result<Self, String> {
        let bare = digits.strip_prefix("0o").unwrap_or(digits);
        u32::from_str_radix(bare, 8)
            .ok()
            .filter(|bits| *bits <= 0o7777)
            .map(Self)
            .ok_or_else(|| {
                format!("`{digits}` is no mode; write octal digits in quotes, as in \"0644\"")
            })
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ModeVisitor;
        impl Visitor<'_> for ModeVisitor {
            type Value = Mode;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an octal mode such as \"0644\"")
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Mode, E> {
                Mode::from_digits(v).map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Mode, E> {
                Mode::from_digits(&v.to_string()).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Mode, E> {
                Mode::from_digits(&v.to_string()).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(ModeVisitor)
    }
}

impl JsonSchema for Mode {
    fn schema_name() -> Cow<'static, str> {
        "Mode".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "integer"]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_absolute_and_plain() {
        assert_eq!(AbsolutePath::new("/opt/x/").unwrap().as_str(), "/opt/x");
        assert_eq!(AbsolutePath::new("/").unwrap().as_str(), "/");
        for wrong in ["", "opt", "~/x", "/a/../b", "/a/./b", "/a\nb"] {
            assert!(AbsolutePath::new(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn modes_are_octal() {
        let mode = |json| serde_json::from_str::<Mode>(json).map(|m| m.0).ok();
        assert_eq!(mode("\"0644\""), Some(0o644));
        assert_eq!(mode("644"), Some(0o644));
        assert_eq!(mode("\"0o755\""), Some(0o755));
        assert_eq!(mode("\"999\""), None);
        assert_eq!(mode("\"17777\""), None);
    }
}
