//! From bytes in a declared encoding to text that holds only characters that XML has.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};

use super::error::{DecodeError, Wrong};

/// The text behind the XML declaration, its line ends made one (XML 1.0, 2.11), and the lines before it.
pub(super) struct Body<'a> {
    pub(super) whole: Cow<'a, str>,
    /// Where the declaration ends in `whole`.
    pub(super) start: usize,
}

/// Reads the encoding from the byte order mark or the declaration, and decodes.
pub(super) fn body(bytes: &[u8]) -> Result<Body<'_>, DecodeError> {
    let text = decoded(bytes)?;
    let start = match declaration(text.as_bytes()) {
        Some(declaration) => {
            let declaration = declaration?;
            let known = declared(declaration);
            known.map_err(|why| DecodeError::new(Wrong::Malformed(why)).at(&text, 0))?;
            declaration.len()
        }
        None => 0,
    };
    if let Some((at, character)) = unfit(&text) {
        let code = u32::from(character);
        let why = format!("the character U+{code:04X} does not exist in XML");
        return Err(DecodeError::new(Wrong::Character(why)).at(&text, at));
    }
    // a declaration may hold line ends as well
    let start = start - text[..start].matches("\r\n").count();
    Ok(Body {
        whole: one_line_end(text),
        start,
    })
}

/// The first character that XML 1.0 does not have, and where it is.
pub(super) fn unfit(text: &str) -> Option<(usize, char)> {
    text.char_indices().find(|(_, c)| !fits(*c))
}

/// Whether XML 1.0 has this character, be it as `&#n;`.
pub(super) fn fits(c: char) -> bool {
    !matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}')
}

fn one_line_end(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n").into()
    } else {
        text
    }
}

fn decoded(bytes: &[u8]) -> Result<Cow<'_, str>, DecodeError> {
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => {
            let name = name_of(rest)?.unwrap_or_else(|| "UTF-8".into());
            if !is_utf8(&name) {
                return Err(mismatch(&name, "UTF-8"));
            }
            utf8(rest)
        }
        [0xff, 0xfe, rest @ ..] | rest @ [b'<', 0, ..] => utf16(rest, UTF_16LE),
        [0xfe, 0xff, rest @ ..] | rest @ [0, b'<', ..] => utf16(rest, UTF_16BE),
        _ => match name_of(bytes)? {
            Some(name) => by_name(bytes, &name),
            None => utf8(bytes),
        },
    }
}

/// Bytes of an encoding in which ASCII is ASCII.
fn by_name<'a>(bytes: &'a [u8], name: &str) -> Result<Cow<'a, str>, DecodeError> {
    let lower = name.to_ascii_lowercase();
    match lower.as_str() {
        "iso-8859-1" | "iso8859-1" | "iso_8859-1" | "latin-1" | "latin1" | "l1" => {
            Ok(encoding_rs::mem::decode_latin1(bytes))
        }
        "us-ascii" | "ascii" => match bytes.iter().position(|b| !b.is_ascii()) {
            Some(at) => Err(no_such_byte(bytes, at, "US-ASCII")),
            None => utf8(bytes),
        },
        lower if is_utf8(lower) => utf8(bytes),
        lower if lower.starts_with("utf-16") => Err(mismatch(name, "a text of single bytes")),
        lower => match Encoding::for_label(lower.as_bytes()) {
            Some(encoding) if encoding.is_single_byte() && lower != "x-user-defined" => encoding
                .decode_without_bom_handling_and_without_replacement(bytes)
                .ok_or_else(|| {
                    let why = format!("a byte that {name} does not have");
                    DecodeError::new(Wrong::Character(why))
                }),
            _ => Err(DecodeError::new(Wrong::Encoding(format!(
                "the encoding {name:?} is not known here; send UTF-8"
            )))),
        },
    }
}

fn is_utf8(name: &str) -> bool {
    name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("utf8")
}

fn mismatch(declared: &str, found: &str) -> DecodeError {
    DecodeError::new(Wrong::Encoding(format!(
        "the encoding is declared as {declared:?}, but this is {found}"
    )))
}

fn no_such_byte(bytes: &[u8], at: usize, encoding: &str) -> DecodeError {
    let (before, rest) = bytes.split_at_checked(at).unwrap_or((bytes, &[]));
    let byte = rest.first().copied().unwrap_or_default();
    let why = format!("the byte 0x{byte:02x} does not stand like this in {encoding}");
    let before = String::from_utf8_lossy(before);
    DecodeError::new(Wrong::Character(why)).at(&before, before.len())
}

fn utf8(bytes: &[u8]) -> Result<Cow<'_, str>, DecodeError> {
    std::str::from_utf8(bytes)
        .map(Cow::Borrowed)
        .map_err(|error| no_such_byte(bytes, error.valid_up_to(), "UTF-8"))
}

fn utf16<'a>(bytes: &[u8], encoding: &'static Encoding) -> Result<Cow<'a, str>, DecodeError> {
    let text = encoding
        .decode_without_bom_handling_and_without_replacement(bytes)
        .ok_or_else(|| {
            let why = "half of a pair of surrogates, or of a character, in UTF-16";
            DecodeError::new(Wrong::Character(why.into()))
        })?
        .into_owned();
    match name_of(text.as_bytes())? {
        Some(name) if !name.to_ascii_lowercase().starts_with("utf-16") => {
            Err(mismatch(&name, "UTF-16"))
        }
        _ => Ok(text.into()),
    }
}

/// The declared encoding.
fn name_of(bytes: &[u8]) -> Result<Option<String>, DecodeError> {
    let Some(text) = declaration(bytes) else {
        return Ok(None);
    };
    declared(text?).map_err(|why| DecodeError::new(Wrong::Malformed(why)))
}

/// The XML declaration at the start, `<?xml` to `?>`.
fn declaration(bytes: &[u8]) -> Option<Result<&str, DecodeError>> {
    const LONGEST: usize = 512;
    if !bytes.starts_with(b"<?xml") || !bytes.get(5).is_some_and(u8::is_ascii_whitespace) {
        return None;
    }
    let head = bytes.get(..LONGEST.min(bytes.len())).unwrap_or(bytes);
    let end = head.windows(2).position(|pair| pair == b"?>");
    let text = end.and_then(|end| std::str::from_utf8(head.get(..end + 2)?).ok());
    let why = "the XML declaration does not end, or holds more than ASCII";
    Some(text.ok_or_else(|| DecodeError::new(Wrong::Malformed(why.into()))))
}

/// Checks a declaration (XML 1.0, 2.8) and gives its encoding.
fn declared(declaration: &str) -> Result<Option<String>, String> {
    let inner = declaration.strip_prefix("<?xml");
    let inner = inner.and_then(|text| text.strip_suffix("?>"));
    let mut rest = inner.unwrap_or_default();
    let mut encoding = None;
    let mut names = ["version", "encoding", "standalone"].as_slice();
    loop {
        let trimmed = rest.trim_start();
        if trimmed.is_empty() {
            break;
        }
        let no_space = trimmed.len() == rest.len();
        let parsed = attribute(trimmed).filter(|_| !no_space);
        let (name, value, after) = parsed.ok_or("its declaration cannot be read")?;
        let place = names.iter().position(|n| *n == name);
        let place =
            place.ok_or_else(|| format!("`{name}` does not stand there in a declaration"))?;
        let is_first = names.len() == 3;
        if is_first && place != 0 {
            break;
        }
        names = names.get(place + 1..).unwrap_or_default();
        match name {
            "encoding" if !is_encoding_name(value) => {
                return Err(format!("{value:?} is no name of an encoding"));
            }
            "encoding" => encoding = Some(value.to_owned()),
            "standalone" if value != "yes" && value != "no" => {
                return Err("`standalone` is \"yes\" or \"no\"".into());
            }
            _ => {}
        }
        rest = after;
    }
    if names.len() == 3 {
        return Err("its declaration names no version".into());
    }
    Ok(encoding)
}

/// `name = "value"` and what follows.
fn attribute(text: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = text.split_once('=')?;
    let rest = rest.trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (value, after) = rest.get(1..)?.split_once(quote)?;
    Some((name.trim_end(), value, after))
}

fn is_encoding_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}
