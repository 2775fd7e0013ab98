//! `unpack`: an archive that is already on the host becomes a directory; nothing leaves that directory.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use windlass_engine::command::{Command, CommandKind, InitContext};
use windlass_model::diagnostic::Diagnostics;

use super::args::AbsolutePath;
use super::script::{ABSENT, GUARD, RENAME, Script, TEMP};
use super::scripted::Scripted;

/// See [`Args`].
pub(super) struct Unpack;

/// Arguments of `unpack`.
///
/// Refused, before anything is at the destination: names that are absolute or hold `..`, symbolic links that are
/// absolute or climb out, hard links to files outside, devices, pipes, names with control characters or of more than 3,000
/// bytes, and what becomes too much. Files belong to the user that unpacks; set-user and set-group bits are dropped.
///
/// The tree is made in a directory of its own, mode 0700, beside the destination. Nothing is safe there from somebody with
/// the same user's rights; from there on nothing follows a link, whoever changes the destination meanwhile.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The archive on the host: tar (also .gz, .bz2, .xz, .zst) or zip (also .jar, .war, .ear), by its name, else by its
    /// first bytes. The host needs the tools: tar, and gzip, bzip2, xz or zstd; unzip or python3. Refused are names and links
    /// that lead outside, devices, more than 1,000,000 entries, and what becomes more than a hundred times the archive's size
    /// (64 MiB of a small one) or half of what is free on the disk.
    source: AbsolutePath,
    /// The directory that it is unpacked to. When it is missing it appears whole, by a rename; into an existing one
    /// entries are moved, replacing files and links of the same names, never going through a link.
    destination: AbsolutePath,
    /// How many leading directories of each name are dropped (0 to 64), or `single`: one, if all of the archive lies in
    /// one directory. Entries with fewer are left out.
    #[serde(default)]
    strip: Strip,
}

/// What is dropped of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strip {
    Levels(u64),
    Single,
}

impl Default for Strip {
    fn default() -> Self {
        Self::Levels(0)
    }
}

impl<'de> Deserialize<'de> for Strip {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StripVisitor;
        impl Visitor<'_> for StripVisitor {
            type Value = Strip;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number from 0 to 64, or \"single\"")
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Strip, E> {
                if v > 64 {
                    return Err(E::invalid_value(de::Unexpected::Unsigned(v), &self));
                }
                Ok(Strip::Levels(v))
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Strip, E> {
                u64::try_from(v)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(v), &self))
                    .and_then(|v| self.visit_u64(v))
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Strip, E> {
                if v == "single" {
                    return Ok(Strip::Single);
                }
                Err(E::invalid_value(de::Unexpected::Str(v), &self))
            }
        }
        deserializer.deserialize_any(StripVisitor)
    }
}

impl JsonSchema for Strip {
    fn schema_name() -> Cow<'static, str> {
        "Strip".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"type": "integer", "minimum": 0, "maximum": 64}, {"enum": ["single"]}]})
    }
}

impl CommandKind for Unpack {
    type Args = Args;

    fn name(&self) -> &'static str {
        "unpack"
    }

    fn about(&self) -> &'static str {
        "Unpacks a tar or zip archive that is on the host; nothing leaves the destination."
    }

    fn initialize(
        &self,
        args: Args,
        _cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        let strip = match args.strip {
            Strip::Levels(levels) => levels.to_string(),
            Strip::Single => "single".to_owned(),
        };
        let run = Script::new()
            .set("archive", args.source.as_str())
            .set("to", args.destination.as_str())
            .set("strip", &strip)
            .run(
                &[ABSENT, TEMP, RENAME, GUARD],
                include_str!("scripts/unpack.sh"),
            );
        let failing = format!("cannot unpack {} to {}", args.source, args.destination);
        Ok(Box::new(Scripted::safe(vec![run.into()], failing)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strip_is_a_number_or_single() {
        let strip = |json| serde_json::from_str::<Strip>(json).ok();
        assert_eq!(strip("2"), Some(Strip::Levels(2)));
        assert_eq!(strip("\"single\""), Some(Strip::Single));
        for wrong in ["-1", "65", "\"1\"", "true"] {
            assert_eq!(strip(wrong), None, "{wrong}");
        }
    }
}
