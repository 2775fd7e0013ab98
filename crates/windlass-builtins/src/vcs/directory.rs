//! A directory of this machine: copied as it is. Its revision is a digest of all that is in it.

use super::{Checkout, Line, Made, url};
use crate::commands::args::AbsolutePath;
use crate::commands::script::Script;

/// An absolute path, or `file://` before one.
pub(super) fn program(checkout: &Checkout) -> Made {
    let mut wrong = Vec::new();
    let path = path_of(&checkout.url);
    if let Err(why) = &path {
        wrong.push(("url", why.clone()));
    }
    match &checkout.line {
        Line::Trunk => {}
        Line::Branch(_) => wrong.push(("branch", "a directory has no branches".into())),
        Line::Tag(_) => wrong.push(("tag", "a directory has no tags".into())),
    }
    if checkout.revision.is_some() {
        wrong.push(("revision", "a directory has no revisions".into()));
    }
    match path {
        Ok(path) if wrong.is_empty() => Ok((Script::new().set("from", path.as_str()), Vec::new())),
        _ => Err(wrong),
    }
}

fn path_of(text: &str) -> Result<AbsolutePath, String> {
    let parts = url::check(text, &["file"])?;
    let path = text.strip_prefix("file://").unwrap_or(text);
    if parts.scheme != "file" {
        return Err(format!("`{text}` is no absolute path"));
    }
    AbsolutePath::new(path)
}
