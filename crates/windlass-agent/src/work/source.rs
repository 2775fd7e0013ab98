//! What is checked out: the source of a config, as a request wants it.

use serde::{Deserialize, Serialize};
use windlass_model::Text;
use windlass_model::release::{Request, Selector, Wanted};
use windlass_model::tasklist::Task;
use windlass_model::tree::{Map, Node};

use super::{Failure, FailureKind};
use std::path::Path;

/// What keeps a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VcsKind {
    /// git.
    Git,
    /// Subversion.
    Svn,
    /// A directory of this machine.
    Directory,
}

/// A project's source, as a builder's config has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceConfig {
    /// What keeps it.
    pub vcs: VcsKind,
    /// Where it is. A path is absolute.
    pub url: String,
    /// For http, https and svn.
    pub username: Option<Text>,
    /// The password or token.
    pub password: Option<Text>,
    /// Whether all of the history is fetched (git).
    pub history: bool,
    /// Whether externals are had (svn).
    pub externals: bool,
    /// What a request's `url` may begin with, besides the same host (for what is on this machine: the same path).
    pub allowed_urls: Vec<String>,
    /// Seconds that it may take; 3600 if absent.
    pub time_limit: Option<u32>,
}

impl SourceConfig {
    /// A source without credentials, and all else as it comes.
    pub fn new(vcs: VcsKind, url: impl Into<String>) -> Self {
        Self {
            vcs,
            url: url.into(),
            username: None,
            password: None,
            history: false,
            externals: false,
            allowed_urls: Vec::new(),
            time_limit: None,
        }
    }

    /// The task that checks it out into `to`.
    pub(super) fn task(
        &self,
        request: &Request,
        to: &Path,
        revision_file: &Path,
        history: bool,
    ) -> Result<Task, Failure> {
        let Wanted::Source { selector, revision } = &request.wanted else {
            let why = "the request names a release that is built already";
            return Err(Failure::new(FailureKind::Input, why));
        };
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let vcs = match self.vcs {
            VcsKind::Git => "git",
            VcsKind::Svn => "svn",
            VcsKind::Directory => "directory",
        };
        let mut args: Vec<(&str, Node)> = vec![("vcs", vcs.into())];
        let mut url = self.url.clone();
        let mut trusted = true;
        match selector {
            Selector::Trunk => {}
            Selector::Branch(name) => args.push(("branch", name.clone().into())),
            Selector::Tag(name) => args.push(("tag", name.clone().into())),
            Selector::Url(asked) => {
                trusted = same_place(&self.url, asked);
                let listed = |allowed: &String| is_below(asked, allowed);
                if !trusted && !self.allowed_urls.iter().any(listed) {
                    let why = format!(
                        "the builder of `{}` may not build from {asked}: list it in `allowed_urls` of its config",
                        request.project
                    );
                    return Err(Failure::new(FailureKind::Input, why));
                }
                url.clone_from(asked);
            }
        }
        args.push(("url", url.into()));
        if let Some(revision) = revision {
            args.push(("revision", revision.clone().into()));
        }
        // What the config's host is told is not told to another.
        let credentials = [("username", &self.username), ("password", &self.password)];
        for (key, text) in credentials.into_iter().filter(|_| trusted) {
            let Some(text) = text else { continue };
            let json = serde_json::to_value(text).map_err(|e| Failure::own("a credential", e))?;
            args.push((key, json.into()));
        }
        if history || self.history {
            args.push(("history", true.into()));
        }
        if self.externals {
            args.push(("externals", true.into()));
        }
        args.push(("directory", text(to).into()));
        args.push(("revision_file", text(revision_file).into()));
        Ok(Task {
            command: "checkout".into(),
            tag: Some(request.project.to_string()),
            time_limit: self.time_limit,
            args: Map::from_iter(args),
            ..Task::default()
        })
    }
}

/// Whether what may be had from one URL may be had from the other: on the same host by the same scheme; on this machine, below the same
/// path.
fn same_place(own: &str, asked: &str) -> bool {
    match (host_of(own), host_of(asked)) {
        (Some(own), Some(asked)) => own == asked,
        (None, None) => is_below(plain_path(asked), plain_path(own)),
        _ => false,
    }
}

/// Whether a URL is another one or lies below it.
fn is_below(asked: &str, allowed: &str) -> bool {
    let climbs =
        |part: &str| matches!(part, "." | "..") || part.to_ascii_lowercase().contains("%2e");
    let allowed = allowed.trim_end_matches('/');
    let rest = asked.strip_prefix(allowed);
    !allowed.is_empty()
        && !asked.split('/').any(climbs)
        && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The scheme and the host of a URL; none for a place on this machine.
fn host_of(url: &str) -> Option<(&str, &str)> {
    match url.split_once("://") {
        Some(("file", _)) => None,
        Some((scheme, rest)) => Some((scheme, rest.split(['/', '?', '#']).next().unwrap_or(""))),
        None if url.starts_with('/') => None,
        None => Some(("ssh", url.split(':').next().unwrap_or(url))),
    }
}

fn plain_path(url: &str) -> &str {
    url.strip_prefix("file://").unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_may_name_another_place_only_where_that_is_harmless() {
        for (own, asked) in [
            ("https://host/a", "https://host/b"),
            ("file:///svn/a", "file:///svn/a/branches/x"),
            ("file:///svn/a", "/svn/a/branches/x"),
            ("git@host:a.git", "git@host:b.git"),
        ] {
            assert!(same_place(own, asked), "{own} {asked}");
        }
        for (own, asked) in [
            ("https://host/a", "http://host/a"),
            ("https://host/a", "https://host.evil/a"),
            ("https://host/a", "https://host@evil/a"),
            ("https://host/a", "file:///etc"),
            ("/srv/a", "/etc"),
            ("/srv/a", "/srv/a/../../etc"),
            ("/srv/a", "/srv/ab"),
            ("file:///srv/a", "file:///srv/a/%2E%2e/b"),
            ("/srv/a", "git@host:/srv/a"),
        ] {
            assert!(!same_place(own, asked), "{own} {asked}");
        }
        assert!(is_below("https://other/x/y", "https://other/x/"));
        assert!(!is_below("https://other/xy", "https://other/x"));
        assert!(!is_below("anything", ""));
    }
}
