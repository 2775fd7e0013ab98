//! `cleanup`: old versions that nobody needs any more.

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, InitContext};
use windlass_model::diagnostic::Diagnostics;

use super::args::AbsolutePath;
use super::paths::quote_pattern;
use super::script::{RENAME, Script, TEMP};
use super::scripted::Scripted;

/// See [`Args`].
pub(super) struct Cleanup;

/// Arguments of `cleanup`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The directory whose entries are looked at. When it is missing there is nothing to do.
    path: AbsolutePath,
    /// Names of versions: a pattern with `*`, `?` or `[...]`, without `/`, such as `shop_*`. It must not match everything.
    filespec: String,
    /// More patterns of that kind: what they match is left alone and does not count.
    #[serde(default)]
    except: Vec<String>,
    /// How many stay. The oldest, by the time of their last change, go first; where receipts lie in
    /// `<path>/.windlass/receipts`, those whose last deploy did not succeed go before all others and never take the place
    /// of one that did. What a link in `path` points to always stays, and so does a link, and what
    /// ran well there before, by the receipts.
    keepversions: u32,
    /// A version that stays in any case: an entry of that name, or one that ends in `_` or `-` and the version, with or
    /// without an ending such as `.tar.gz`.
    currentversion: Option<String>,
    /// The directory in which the versions are installed, when `path` holds only what they were installed from: its
    /// receipts and links count. Names in `path` may have an ending such as `.tar.gz`; what was never installed counts as
    /// a deploy that did not succeed, once there are receipts of that service.
    releases: Option<AbsolutePath>,
}

impl CommandKind for Cleanup {
    type Args = Args;

    fn name(&self) -> &'static str {
        "cleanup"
    }

    fn about(&self) -> &'static str {
        "Removes the oldest versions of something, but never what a link points to."
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        if let Some(why) = wrong_filespec(&args.filespec) {
            return Err(cx.wrong("filespec", why).into());
        }
        if args.except.iter().any(|pattern| {
            pattern.is_empty() || pattern.contains('/') || pattern.chars().any(char::is_control)
        }) {
            let why = "`except` holds patterns of names, without `/`";
            return Err(cx.wrong("except", why).into());
        }
        let run = Script::new()
            .set("path", args.path.as_str())
            .set("keep", &args.keepversions.to_string())
            .set("current", args.currentversion.as_deref().unwrap_or(""))
            .set(
                "releases",
                args.releases.as_ref().map_or("", |path| path.as_str()),
            )
            .line(&format!(
                "matching() {{ for entry in {}; do consider \"$entry\"; done; }}",
                quote_pattern(&args.filespec)
            ))
            .line(&excepted(&args.except))
            .run(&[TEMP, RENAME], include_str!("scripts/cleanup.sh"));
        let failing = format!("cannot clean up {}", args.path);
        Ok(Box::new(Scripted::safe(vec![run.into()], failing)))
    }
}

/// The shell function that tells whether a name is left alone.
fn excepted(patterns: &[String]) -> String {
    let patterns: Vec<String> = patterns
        .iter()
        .map(|pattern| quote_pattern(pattern))
        .collect();
    match patterns.as_slice() {
        [] => "excepted() { return 1; }".to_owned(),
        some => format!(
            "excepted() {{ case $1 in {}) return 0 ;; esac; return 1; }}",
            some.join(" | ")
        ),
    }
}

fn wrong_filespec(filespec: &str) -> Option<&'static str> {
    if filespec.contains('/') || filespec.chars().any(char::is_control) {
        Some("a filespec is a pattern of names, without `/`; the directory goes into `path`")
    } else if filespec.starts_with('.') {
        Some("a filespec cannot begin with a dot: hidden entries are never removed")
    } else if !filespec.chars().any(char::is_alphanumeric) {
        Some("this filespec would match everything; name what it is about, as in `shop_*`")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filespec_says_what_it_is_about() {
        assert_eq!(wrong_filespec("shop_*.tar.gz"), None);
        for wrong in ["*", "", "?*", "../*", ".windlass*", "a/b", "_*"] {
            assert!(wrong_filespec(wrong).is_some(), "{wrong}");
        }
    }
}
