//! Subversion: `trunk`, `branches/X`, `tags/X` below the URL.

use super::{Checkout, Made, name_fault, url};
use crate::commands::script::Script;

/// What a URL may begin with.
const SCHEMES: [&str; 5] = ["https", "http", "svn", "svn+ssh", "file"];

/// Where there is no `trunk` below the URL, the URL itself is the trunk. The source is exported: it is no working copy.
pub(super) fn program(checkout: &Checkout) -> Made {
    let mut wrong = Vec::new();
    match url::check(&checkout.url, &SCHEMES) {
        Ok(parts) if parts.base.is_empty() => {
            let why = format!("`{}` is no URL: a path is file:///path", checkout.url);
            wrong.push(("url", why));
        }
        Ok(_) => {}
        Err(why) => wrong.push(("url", why)),
    }
    wrong.extend(name_fault(&checkout.line));
    let revision = checkout.revision.as_deref().unwrap_or("");
    let number = revision.strip_prefix('r').unwrap_or(revision);
    if !number.chars().all(|c| c.is_ascii_digit()) || (number.is_empty() && !revision.is_empty()) {
        wrong.push(("revision", format!("{revision:?} is no number")));
    }
    let plain = checkout.username.as_ref().map(|name| name.as_plain());
    let user = match &plain {
        None => "",
        Some(Some(name)) if !name.starts_with('-') => name.as_ref(),
        Some(_) => {
            let why = "the name of a user is an argument of svn, so it cannot be a secret; its password can";
            wrong.push(("username", why.into()));
            ""
        }
    };
    if checkout.password.is_some() && user.is_empty() {
        wrong.push(("username", "svn wants it beside `password`".into()));
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let script = Script::new()
        .set("url", checkout.url.trim_end_matches('/'))
        .set("user", user)
        .set("number", number)
        .flag("password", checkout.password.is_some())
        .flag("externals", checkout.externals);
    let mut env = checkout.credentials();
    env.retain(|(name, _)| name == super::PASSWORD);
    Ok((script, env))
}
