//! Where a project's source is, and how a build gets its version.

use super::keys::Keys;
use crate::secret::SecretRef;

/// A repository or a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vcs {
    /// Of which kind.
    pub kind: VcsKind,
    /// Its URL, or a path: relative to the installation.
    pub url: String,
    /// Who asks; none: as the tool has it.
    pub username: Option<String>,
    /// The password or token.
    pub password: Option<SecretRef>,
    /// Whether externals are had as well (svn): false.
    pub externals: bool,
}

/// How the source is got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VcsKind {
    /// By `git`.
    Git,
    /// By `svn`.
    Svn,
    /// By copying a directory.
    Directory,
}

/// How a build gets its version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum VersionFrom {
    /// The tag that was asked for, if one was, else the revision.
    #[default]
    Auto,
    /// The revision that was built.
    Revision,
    /// The tag that was asked for, or that stands at what was built.
    Tag,
    /// The first line of a file in the source.
    File(String),
    /// What `git describe` says.
    Describe,
}

const KINDS: [(&str, VcsKind); 3] = [
    ("git", VcsKind::Git),
    ("svn", VcsKind::Svn),
    ("directory", VcsKind::Directory),
];
const HINT: &str = "one of `git: URL`, `svn: URL`, `directory: PATH`";

/// Reads `vcs`.
pub(super) fn vcs(keys: &mut Keys<'_>) -> Option<Vcs> {
    keys.below("vcs", |keys| {
        let mut found: Vec<(VcsKind, String)> = Vec::new();
        let mut is_said = false;
        for (key, kind) in KINDS {
            let Some(at) = keys.get(key) else { continue };
            if is_said {
                let message = "a project has one source".into();
                keys.error(at.node.span, &at.path, message, Some(HINT));
                continue;
            }
            is_said = true;
            if at.node.as_str().is_some_and(holds_password) {
                let message = format!("a password stands in the URL of `{key}`");
                let hint = keys.secret_hint("password");
                let hint = format!("take it out, and {hint}");
                keys.masked_error(&at, message, &hint);
            } else if let Some(url) = keys.text(key) {
                found.push((kind, url));
            }
        }
        if !is_said {
            keys.missing::<()>("git", HINT);
        }
        let read = Vcs {
            kind: VcsKind::Directory,
            url: String::new(),
            username: keys.text("username"),
            password: keys.secret("password"),
            externals: keys.truth("externals").unwrap_or(false),
        };
        let (kind, url) = found.pop()?;
        Some(Vcs { kind, url, ..read })
    })
    .flatten()
}

/// `https://user:password@host/...`
pub(super) fn holds_password(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or_default();
    authority
        .rsplit_once('@')
        .is_some_and(|(user, _)| user.contains(':'))
}

/// Reads `version`: a word, or `{file: PATH}`.
pub(super) fn version(keys: &mut Keys<'_>) -> VersionFrom {
    let words = [
        ("auto", VersionFrom::Auto),
        ("revision", VersionFrom::Revision),
        ("tag", VersionFrom::Tag),
        ("describe", VersionFrom::Describe),
    ];
    let Some(at) = keys.get("version") else {
        return VersionFrom::default();
    };
    let read = match at.node.as_map() {
        None => keys.word("version", &words),
        Some(_) => keys
            .below("version", |keys| match keys.text("file") {
                Some(path) => Some(VersionFrom::File(path)),
                None => keys.missing("file", "as in `version: {file: VERSION}`"),
            })
            .flatten(),
    };
    read.unwrap_or_default()
}
