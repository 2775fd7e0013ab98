//! Types of arguments that name files of a host: owners, patterns; and the paths that are never emptied or removed.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer};

use super::args::AbsolutePath;
use crate::sh::quote;

/// `user`, `user:group` or `:group`; names or numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner(String);

impl Owner {
    /// As chown takes it.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn new(text: String) -> Result<Self, String> {
        let name = |part: &str| {
            !part.starts_with('-')
                && part
                    .chars()
                    .all(|c| c.is_alphanumeric() || "_-.@+\\$".contains(c))
        };
        let (user, group) = text.split_once(':').unwrap_or((&text, "x"));
        if text.is_empty() || group.is_empty() || !name(user) || !name(group) {
            return Err(format!(
                "`{text}` is no owner; write user, user:group or :group"
            ));
        }
        Ok(Self(text))
    }
}

impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl JsonSchema for Owner {
    fn schema_name() -> Cow<'static, str> {
        "Owner".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string"})
    }
}

/// Whether the shell would look for files by this text: `*`, `?`, or `[` with a `]` after it.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?']) || text.find('[').is_some_and(|at| text[at..].contains(']'))
}

/// `text` as one word of sh in which only `*`, `?` and `[...]` keep their meaning.
pub(super) fn quote_pattern(text: &str) -> String {
    let mut word = String::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let bracket = if next == '[' {
            closing(rest)
        } else {
            matches!(next, '*' | '?').then_some(1)
        };
        let Some(length) = bracket else {
            plain.push(next);
            rest = &rest[next.len_utf8()..];
            continue;
        };
        flush(&mut word, &mut plain);
        word.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    flush(&mut word, &mut plain);
    word
}

fn flush(word: &mut String, plain: &mut String) {
    if !plain.is_empty() {
        word.push_str(&quote(plain));
        plain.clear();
    }
}

/// The length of the bracket expression that `text` begins with, if it is one of letters, digits, `.`, `_`, `-`, `!`.
fn closing(text: &str) -> Option<usize> {
    let end = text.find(']').filter(|end| *end > 1)?;
    let inner = &text[1..end];
    inner
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "._-!".contains(c))
        .then_some(end + 1)
}

/// Why this directory is never emptied, replaced or removed; `None` when it may be.
pub(super) fn guarded(path: &AbsolutePath) -> Option<String> {
    let parts: Vec<&str> = path
        .as_str()
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    match parts.as_slice() {
        [] => Some("`/` is never emptied or removed".into()),
        [_] => Some(format!(
            "`{path}` lies directly in `/`: such directories are never emptied or removed; name one below it"
        )),
        ["home" | "Users", _] => Some(format!(
            "`{path}` is a home directory, which is never emptied or removed"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_find_files_and_nothing_else_happens() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a b$x.tar", "a b$y.tar", "c.tar", "it's", "[z"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let found = |pattern: &str| {
            let out = std::process::Command::new("sh")
                .arg("-c")
                .arg(format!("printf '%s|' {}", quote_pattern(pattern)))
                .current_dir(dir.path())
                .output()
                .unwrap();
            String::from_utf8(out.stdout).unwrap()
        };
        assert_eq!(found("a b$?.tar"), "a b$x.tar|a b$y.tar|");
        assert_eq!(found("[c-d].tar"), "c.tar|");
        assert_eq!(found("it's*"), "it's|");
        assert_eq!(found("[z*"), "[z|");
        assert_eq!(found("*$(touch evil)"), "*$(touch evil)|");
        assert!(!dir.path().join("evil").exists());
    }

    #[test]
    fn owners_are_no_options() {
        for right in ["deploy", "deploy:www-data", ":wheel", "1000:1000"] {
            assert!(Owner::new(right.into()).is_ok(), "{right}");
        }
        for wrong in ["", ":", "-R", "a:", "a b", "a:-x", "a;b"] {
            assert!(Owner::new(wrong.into()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_everything_hangs_on_is_guarded() {
        let path = |text| AbsolutePath::new(text).unwrap();
        for kept in ["/", "/opt", "/home/ann", "//usr/"] {
            assert!(guarded(&path(kept)).is_some(), "{kept}");
        }
        assert_eq!(guarded(&path("/opt/webapps")), None);
    }
}
