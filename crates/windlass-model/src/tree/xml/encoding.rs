//! From the bytes of a file to its text, by the encoding that it declares (XML 1.0, appendix F).

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Source};

/// So far an XML declaration is looked for.
const DECLARATION: usize = 256;

/// The text of a file. UTF-8 (also when nothing is declared), US-ASCII and ISO-8859-1 are read; a byte order mark of
/// UTF-8 is dropped.
pub fn source(name: &str, bytes: Vec<u8>) -> Result<Arc<Source>, Diagnostic> {
    let wrong = |what: String| {
        Diagnostic::error(format!("{name} cannot be read: {what}")).hint("save it as UTF-8")
    };
    let bytes = match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => rest.to_vec(),
        None => bytes,
    };
    if let [0xfe, 0xff, ..] | [0xff, 0xfe, ..] | [0, b'<', ..] | [b'<', 0, ..] = bytes.as_slice() {
        return Err(wrong("it is encoded as UTF-16".into()));
    }
    let declared = declared(&bytes).unwrap_or_else(|| "utf-8".into());
    let text = match declared.as_str() {
        "utf-8" | "utf8" | "us-ascii" | "ascii" => String::from_utf8(bytes).map_err(|e| {
            let at = e.utf8_error().valid_up_to();
            let as_declared = declared.to_uppercase();
            wrong(format!("byte {at} is no {as_declared}"))
        })?,
        "iso-8859-1" | "iso8859-1" | "latin1" | "latin-1" => {
            bytes.iter().map(|byte| char::from(*byte)).collect()
        }
        other => {
            let known = "known are UTF-8, US-ASCII and ISO-8859-1";
            return Err(wrong(format!(
                "it declares the encoding `{}`, and {known}",
                other.escape_default()
            )));
        }
    };
    Ok(Source::new(name, text))
}

/// What the declaration says, in small letters.
fn declared(bytes: &[u8]) -> Option<String> {
    let head = bytes.get(..bytes.len().min(DECLARATION))?;
    let head: String = head.iter().map(|byte| char::from(*byte)).collect();
    let declaration = head.strip_prefix("<?xml")?.split("?>").next()?;
    let (_, rest) = declaration.split_once("encoding")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (name, _) = rest.strip_prefix(quote)?.split_once(quote)?;
    Some(name.trim().to_ascii_lowercase())
}
