//! What a URL of a repository may look like.

/// The scheme and, for those that have one, the part that names the host: `https://host:port`. `Err` says what is wrong with it:
/// a scheme that is not among `schemes`, a password in it, what would be taken for an option.
pub(super) fn check<'u>(url: &'u str, schemes: &[&str]) -> Result<Parts<'u>, String> {
    if url.is_empty() || url.starts_with('-') || url.chars().any(char::is_control) {
        return Err(format!("{url:?} is no URL"));
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return plain(url);
    };
    if !schemes.contains(&scheme) {
        return Err(format!(
            "`{url}`: its scheme must be one of {}",
            schemes.join(", ")
        ));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if let Some((user, host)) = authority.rsplit_once('@') {
        if user.contains(':') {
            return Err(
                "a password cannot stand in the URL: give `username` and `password`".into(),
            );
        }
        if user.starts_with('-') || host.starts_with('-') {
            return Err(format!("`{url}` names no host"));
        }
    }
    if authority.starts_with('-') || (authority.is_empty() && scheme != "file") {
        return Err(format!("`{url}` names no host"));
    }
    let end = scheme.len() + "://".len() + authority.len();
    Ok(Parts {
        scheme,
        base: url.get(..end).unwrap_or(url),
    })
}

/// What the checks and the credentials need of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts<'u> {
    /// `https`; `file` for a path, `ssh` for `host:path`.
    pub(super) scheme: &'u str,
    /// `https://host:port`; empty for what has no scheme.
    pub(super) base: &'u str,
}

/// A path, or `user@host:path` as ssh has it. What git calls a transport (`ext::...`) is neither.
fn plain(url: &str) -> Result<Parts<'static>, String> {
    if url.starts_with('/') {
        return Ok(Parts {
            scheme: "file",
            base: "",
        });
    }
    let host = |text: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-@[]".contains(c);
        !text.is_empty() && text.chars().all(fits) && !text.contains("@-")
    };
    match url.split_once(':') {
        Some((name, path)) if host(name) && !path.is_empty() && !path.starts_with(':') => {
            Ok(Parts {
                scheme: "ssh",
                base: "",
            })
        }
        _ => Err(format!(
            "`{url}` is neither a URL, nor an absolute path, nor `user@host:path`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_urls_are_taken() {
        let schemes = ["https", "ssh", "file"];
        let scheme = |url| check(url, &schemes).map(|parts| parts.scheme);
        assert_eq!(scheme("https://host/x"), Ok("https"));
        assert_eq!(scheme("file:///srv/x"), Ok("file"));
        assert_eq!(scheme("/srv/x"), Ok("file"));
        assert_eq!(scheme("git@host:x/y.git"), Ok("ssh"));
        assert_eq!(scheme("ssh://git@host:22/x"), Ok("ssh"));
        for wrong in [
            "",
            "-uc",
            "--upload-pack=x",
            "ext::sh -c id",
            "ftp://host/x",
            "https://u:p@host/x",
            "https://",
            "ssh://-oProxyCommand=x/y",
            "ssh://a@-oProxyCommand=x/y",
            "-oProxyCommand=x:y",
            "relative/path",
            "https://host/\n",
        ] {
            assert!(scheme(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(
            check("https://host:1/x", &schemes).map(|p| p.base),
            Ok("https://host:1")
        );
    }
}
