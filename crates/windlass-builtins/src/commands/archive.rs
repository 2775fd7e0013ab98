//! `archive`: what was deployed, kept with a manifest.

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, Facts, InitContext, Repeat, Seen, Turn};
use windlass_model::diagnostic::Diagnostics;

use super::args::AbsolutePath;
use super::script::{RENAME, Script, TEMP};
use super::scripted::Scripted;
use crate::sh::quote;

/// See [`Args`].
pub(super) struct Archive;

/// Arguments of `archive`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The directory that holds the archives, one a release; made when it is missing.
    archivedir: AbsolutePath,
    /// How many archives are kept, at least 1; -1 for all. The oldest are removed.
    #[serde(default = "all")]
    archivedepth: i64,
    /// The release directory on the host, all of which is kept, or just a name. The archive is called by its last part;
    /// without it by the id of the run.
    release: Option<String>,
    /// Files or directories on the host that are kept as well.
    #[serde(default)]
    components: Vec<AbsolutePath>,
}

fn all() -> i64 {
    -1
}

impl CommandKind for Archive {
    type Args = Args;

    fn name(&self) -> &'static str {
        "archive"
    }

    fn about(&self) -> &'static str {
        "Keeps what was deployed in a directory of its own, with the SHA-256 of every file in its MANIFEST."
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        let mut wrong = Diagnostics::default();
        if args.archivedepth < 1 && args.archivedepth != -1 {
            wrong.push(cx.wrong("archivedepth", "must be at least 1, or -1 to keep all"));
        }
        let (directory, name) = match args.release.as_deref() {
            Some(path) if path.starts_with('/') => match AbsolutePath::new(path) {
                Ok(path) => {
                    let name = path.as_str().rsplit('/').next().unwrap_or("").to_owned();
                    (Some(path), Some(name))
                }
                Err(why) => {
                    wrong.push(cx.wrong("release", why));
                    (None, None)
                }
            },
            name => (None, name.map(str::to_owned)),
        };
        if name.as_deref().is_some_and(|n| !is_name(n)) {
            wrong.push(cx.wrong(
                "release",
                "must be an absolute path of a directory, or a name that does not begin with a dot",
            ));
        }
        if directory.is_none() && args.components.is_empty() {
            wrong.push(cx.wrong(
                "components",
                "nothing to keep: give `components`, or a directory as `release`",
            ));
        }
        wrong.or(())?;
        Ok(Box::new(Kept {
            dir: args.archivedir,
            depth: args.archivedepth,
            name,
            release: directory,
            components: args.components,
        }))
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && !name.contains('/')
        && !name.chars().any(char::is_control)
}

/// The archive of a release. Its script is made when the run is known.
struct Kept {
    dir: AbsolutePath,
    depth: i64,
    name: Option<String>,
    release: Option<AbsolutePath>,
    components: Vec<AbsolutePath>,
}

impl Command for Kept {
    fn turn(&self, facts: &Facts, seen: &[Seen]) -> Turn {
        let name = self.name.as_deref().unwrap_or(facts.run.as_str());
        let components: Vec<String> = self.components.iter().map(AbsolutePath::quoted).collect();
        let run = Script::new()
            .set("dir", self.dir.as_str())
            .set("name", name)
            .line(&format!("depth={}", quote(&self.depth.to_string())))
            .set(
                "release",
                self.release.as_ref().map_or("", AbsolutePath::as_str),
            )
            .line(format!("set -- {}", components.join(" ")).trim_end())
            .run(&[TEMP, RENAME], include_str!("scripts/archive.sh"));
        let failing = format!("cannot archive to {}", self.dir.join(name));
        Scripted::safe(vec![run.into()], failing).turn(facts, seen)
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }
}
