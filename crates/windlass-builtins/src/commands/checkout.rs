//! `checkout`: a source of version control becomes a directory.

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, InitContext};
use windlass_model::Text;
use windlass_model::diagnostic::Diagnostics;

use super::args::AbsolutePath;
use super::scripted::Scripted;
use crate::vcs::{Checkout as Source, Line, Vcs};

/// See [`Args`].
pub(super) struct Checkout;

/// Arguments of `checkout`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// `git`, `svn` or `directory`. The host needs the tool.
    vcs: Vcs,
    /// Where the source is: for git a URL (https, http, ssh, git, file), an absolute path or `user@host:path`; for svn a
    /// URL (https, http, svn, svn+ssh, file) that holds `trunk`, `branches` and `tags`, or is the source itself; for
    /// directory an absolute path. Nothing is ever asked at a terminal.
    url: String,
    /// A branch: svn has it below `branches`. Without branch and tag it is the main line: the remote's default branch, or
    /// `trunk`.
    branch: Option<String>,
    /// A tag: svn has it below `tags`.
    tag: Option<String>,
    /// A commit (at least 4 digits), which must be in the branch or tag if one is named; for svn a number. The newest if
    /// absent.
    revision: Option<String>,
    /// The user's name, for http and https, and svn.
    username: Option<Text>,
    /// The password or token: best a secret. It stands in no argument, and nothing keeps it.
    password: Option<Text>,
    /// Whether all of the history is fetched, which `git describe` needs; else as little as will do.
    #[serde(default)]
    history: bool,
    /// Whether svn's externals are had as well. Their hosts are given the password too.
    #[serde(default)]
    externals: bool,
    /// The directory that the source becomes, whole and at once. It must be absent, empty, or of an earlier attempt.
    directory: AbsolutePath,
    /// The file that gets the revision: the commit, svn's number (of the last change there, unless one was named), or the
    /// SHA-256 of all that is in a directory.
    revision_file: AbsolutePath,
}

impl CommandKind for Checkout {
    type Args = Args;

    fn name(&self) -> &'static str {
        "checkout"
    }

    fn about(&self) -> &'static str {
        "Has a source from git, svn or a directory, and tells its revision."
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        let line = match (args.branch, args.tag) {
            (Some(_), Some(_)) => {
                let why = "a branch and a tag cannot both be had";
                return Err(cx.wrong("tag", why).into());
            }
            (Some(branch), None) => Line::Branch(branch),
            (None, Some(tag)) => Line::Tag(tag),
            (None, None) => Line::Trunk,
        };
        let failing = format!("cannot check out {}", args.url);
        let source = Source {
            url: args.url,
            line,
            revision: args.revision,
            username: args.username,
            password: args.password,
            history: args.history,
            externals: args.externals,
            to: args.directory,
            revision_file: args.revision_file,
        };
        match source.program(args.vcs) {
            Ok(run) => Ok(Box::new(Scripted::safe(vec![run.into()], failing))),
            Err(faults) => {
                let wrong = faults.into_iter().map(|(key, why)| cx.wrong(key, why));
                Err(Diagnostics(wrong.collect()))
            }
        }
    }
}
