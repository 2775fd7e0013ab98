//! `collect`: files of a directory become one file.

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, InitContext};
use windlass_model::diagnostic::Diagnostics;
use windlass_model::release::work::resource_name;
use windlass_model::step::Run;

use super::args::AbsolutePath;
use super::paths::quote_pattern;
use super::script::{ABSENT, RENAME, Script, TEMP};
use super::scripted::Scripted;
use super::source_version::INSIDE;

/// See [`Args`].
pub(crate) struct Collect;

/// Arguments of `collect`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// The directory that the files lie in.
    source: AbsolutePath,
    /// Files and directories in it, or patterns with `*`, `?`, `[...]`; each must match something, and nothing that leads
    /// outside. `.` is all of it. Directories of version control are left out.
    files: Vec<String>,
    /// Names that are left out wherever they stand in an archive, or patterns of names.
    #[serde(default)]
    exclude: Vec<String>,
    /// The directory that gets the file, made when it is missing, emptied when it is not.
    destination: AbsolutePath,
    /// `auto`: a single file as it is, anything else as a zip; `zip`; `tar.gz`; `none`: it must be a single file. The same
    /// files give the same archive. The host needs zip or python3, GNU tar or python3.
    #[serde(default)]
    archive: Format,
    /// What the file is called: letters, digits and `. _ + ~ - @ = , % :`. An archive is else called by the last part of
    /// `destination`, and a single file as it is.
    name: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
enum Format {
    #[default]
    #[serde(rename = "auto")]
    Auto,
    #[serde(rename = "zip")]
    Zip,
    #[serde(rename = "tar.gz")]
    TarGz,
    #[serde(rename = "none")]
    None,
}

impl CommandKind for Collect {
    type Args = Args;

    fn name(&self) -> &'static str {
        "collect"
    }

    fn about(&self) -> &'static str {
        "Collects files of a directory into one file: as it is, or a reproducible archive."
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        let mut wrong = Diagnostics::new();
        if args.files.is_empty() {
            wrong.push(cx.wrong("files", "no files are named"));
        }
        for why in args.files.iter().filter_map(|file| inner_path(file)) {
            wrong.push(cx.wrong("files", why));
        }
        let no_name = |name: &&String| {
            name.is_empty() || name.contains('/') || name.chars().any(char::is_control)
        };
        if let Some(name) = args.exclude.iter().find(no_name) {
            wrong.push(cx.wrong(
                "exclude",
                format!("{name:?} is no name and no pattern of names"),
            ));
        }
        if let Some(Err(why)) = args.name.as_deref().map(resource_name) {
            wrong.push(cx.wrong("name", why));
        }
        wrong.or(())?;
        let run = script_of(&args);
        let failing = format!("cannot collect the files of {}", args.destination);
        Ok(Box::new(Scripted::safe(vec![run.into()], failing)))
    }
}

/// The program that puts one file, or a directory as an archive, to where it belongs; `file` is relative to `source`.
pub(crate) fn program(source: &str, file: &str, destination: &str) -> Result<Run, String> {
    if let Some(why) = inner_path(file) {
        return Err(why);
    }
    Ok(script_of(&Args {
        source: AbsolutePath::new(source)?,
        files: vec![file.to_owned()],
        exclude: Vec::new(),
        destination: AbsolutePath::new(destination)?,
        archive: Format::Auto,
        name: None,
    }))
}

fn script_of(args: &Args) -> Run {
    let patterns: Vec<String> = args.files.iter().map(|f| rooted(f)).collect();
    let exclude: Vec<String> = args
        .exclude
        .iter()
        .map(|name| format!("-o -name {}", crate::sh::quote(name)))
        .collect();
    Script::new()
            .set("source", args.source.as_str())
            .set("to", args.destination.as_str())
            .set("name", args.name.as_deref().unwrap_or(""))
            .set(
                "archive",
                match args.archive {
                    Format::Auto => "auto",
                    Format::Zip => "zip",
                    Format::TarGz => "tar.gz",
                    Format::None => "none",
                },
            )
            .line(&format!("choose() {{ set -- {}; chosen \"$@\"; }}", patterns.join(" ")))
            .line(&format!(
                "walk() {{ find \"$@\" \\( -name .git -o -name .svn -o -name .hg {} \\) -prune -o -print; }}",
                exclude.join(" ")
            ))
            .run(
                &[ABSENT, TEMP, RENAME, INSIDE],
                include_str!("scripts/collect.sh"),
            )
}

/// A pattern of sh that begins with `./`, so that no name is taken for an option.
fn rooted(file: &str) -> String {
    match file.trim_end_matches('/') {
        "." | "" => ".".to_owned(),
        file => format!("./{}", quote_pattern(file.trim_start_matches("./"))),
    }
}

/// Why a path does not lie in a directory, as written.
pub(super) fn inner_path(path: &str) -> Option<String> {
    let wrong = path.is_empty()
        || path.starts_with('/')
        || path.chars().any(char::is_control)
        || path.split('/').any(|part| part == "..");
    wrong.then(|| format!("{path:?} is no path in the source: relative, and without `..`"))
}
