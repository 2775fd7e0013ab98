//! `source_version`: what a build of a source is called.

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, InitContext};
use windlass_model::diagnostic::Diagnostics;

use super::args::AbsolutePath;
use super::collect::inner_path;
use super::script::{RENAME, Script, TEMP};
use super::scripted::Scripted;

/// See [`Args`].
pub(super) struct SourceVersion;

/// Arguments of `source_version`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The directory with the source.
    source: AbsolutePath,
    /// The file that gets the version. Characters that no version may have become `-`.
    output: AbsolutePath,
    /// The file with the source's revision, as `checkout` writes it.
    revision_file: AbsolutePath,
    /// `tag`; `file`; `describe`: what `git describe --tags --always` says; `revision`: `r17` for svn's 17, the first 12
    /// digits of a commit or digest; `auto`: the tag if there is one, the file if one is named, else the revision.
    #[serde(default)]
    from: From,
    /// The tag that the source was had by.
    tag: Option<String>,
    /// A file in the source whose first line is the version.
    file: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum From {
    #[default]
    Auto,
    Tag,
    File,
    Describe,
    Revision,
}

impl CommandKind for SourceVersion {
    type Args = Args;

    fn name(&self) -> &'static str {
        "source_version"
    }

    fn about(&self) -> &'static str {
        "Tells what a build of a source is called, from its tag, a file, `git describe` or its revision."
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        let mut wrong = Diagnostics::new();
        if let Some(why) = args.file.as_deref().and_then(inner_path) {
            wrong.push(cx.wrong("file", why));
        }
        let from = match (args.from, &args.tag, &args.file) {
            (From::Tag, None, _) => {
                wrong.push(cx.wrong(
                    "from",
                    "the version is to be the tag, and no tag was asked for",
                ));
                "tag"
            }
            (From::File, _, None) => {
                wrong.push(cx.wrong("file", "which file has the version?"));
                "file"
            }
            (From::Tag, ..) | (From::Auto, Some(_), _) => "tag",
            (From::File, ..) | (From::Auto, None, Some(_)) => "file",
            (From::Describe, ..) => "describe",
            (From::Revision, ..) | (From::Auto, None, None) => "revision",
        };
        wrong.or(())?;
        let run = Script::new()
            .set("source", args.source.as_str())
            .set("out", args.output.as_str())
            .set("revisions", args.revision_file.as_str())
            .set("from", from)
            .set("tag", args.tag.as_deref().unwrap_or(""))
            .set("file", args.file.as_deref().unwrap_or(""))
            .run(
                &[TEMP, RENAME, INSIDE],
                include_str!("scripts/source_version.sh"),
            );
        let failing = format!("cannot tell the version of {}", args.source);
        Ok(Box::new(Scripted::safe(vec![run.into()], failing)))
    }
}

/// `inside DIR PATH`.
pub(super) const INSIDE: &str = include_str!("scripts/lib/inside.sh");
