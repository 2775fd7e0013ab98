//! git: any branch, tag or commit; as little of the history as will do.

use windlass_model::Text;

use super::{Checkout, Made, USERNAME, name_fault, url};
use crate::commands::script::Script;

/// What a URL may begin with; no other is handed to git.
const SCHEMES: [&str; 5] = ["https", "http", "ssh", "git", "file"];

/// `trunk` is the remote's default branch.
pub(super) fn program(checkout: &Checkout) -> Made {
    let mut wrong = Vec::new();
    let parts = url::check(&checkout.url, &SCHEMES);
    if let Err(why) = &parts {
        wrong.push(("url", why.clone()));
    }
    wrong.extend(name_fault(&checkout.line));
    if let Some(revision) = &checkout.revision
        && (revision.len() < 4 || !revision.chars().all(|c| c.is_ascii_hexdigit()))
    {
        let why = format!("{revision:?} is no commit: at least 4 digits of 0-9 and a-f");
        wrong.push(("revision", why));
    }
    let asked = checkout.username.is_some() || checkout.password.is_some();
    let base = match parts {
        Ok(parts) if asked && !matches!(parts.scheme, "http" | "https") => {
            let why = "credentials are for http and https; over ssh the key of the user is used";
            wrong.push(("password", why.into()));
            ""
        }
        Ok(parts) if asked => parts.base,
        _ => "",
    };
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let script = Script::new()
        .set("url", &checkout.url)
        .set("base", base)
        .flag("history", checkout.history);
    let mut env = checkout.credentials();
    if asked && checkout.username.is_none() {
        // Forges take a token as the password of whatever user.
        env.push((USERNAME.to_owned(), Text::plain("token")));
    }
    Ok((script, env))
}
