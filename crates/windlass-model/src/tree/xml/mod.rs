//! XML to a tree, for the configuration of the release system.
//!
//! | XML | tree |
//! | --- | --- |
//! | the root element | the item; its name is the type of the item |
//! | an attribute, a child element | a key |
//! | elements of one name | one key with a list |
//! | text | a string; blanks around it are dropped, those in CDATA and of character references are kept |
//! | an element with nothing in it | null |
//! | text beside attributes | the key `text` |
//! | `<entry key="K">` | the key K, for keys that are no XML names |
//! | `<x secret="env:NAME"/>`, `file:PATH`, `command:PROGRAM ARGUMENT ...` | a secret reference |
//!
//! XML has no numbers: what wants one takes the text for one, as YAML would ([`fit`]). A DOCTYPE is refused, and with it
//! every entity but the five predefined ones and character references.

mod encoding;
mod fit;
mod frame;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use quick_xml::errors::{Error, IllFormedError};
use quick_xml::escape::EscapeError;
use quick_xml::events::attributes::AttrError;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader as Events;
use quick_xml::{XmlVersion, errors::SyntaxError};

pub use encoding::source;
pub use fit::{Plain, fit, fit_list};
use frame::Frame;

use super::fault::{self, Fault};
use super::{Entry, MAX_DEPTH, Node, Value};
use crate::diagnostic::{Diagnostics, Source, Span};

/// Longest text that is read, in bytes: 16 MiB.
pub const MAX_BYTES: usize = 16 << 20;
/// So many attributes and elements a text may have.
const MOST_NODES: usize = 1_000_000;

const ENTITY_HINT: &str =
    "known are &lt; &gt; &amp; &apos; &quot; and characters by number, as in &#233;";

/// What a text holds.
#[derive(Clone, Debug)]
pub struct Item {
    /// The name of the root element: `release_manager`.
    pub kind: Arc<str>,
    /// Where that stands.
    pub kind_span: Span,
    /// What is in it: a map, where it has attributes or elements.
    pub node: Node,
}

/// Parses one document. All that is wrong with its contents is told at once; the first fault of its markup ends it.
pub fn parse_xml(source: &Arc<Source>) -> Result<Item, Diagnostics> {
    let text = source.text();
    if text.len() > MAX_BYTES {
        let fault = Fault::new(
            Span::default(),
            format!("this text is longer than {MAX_BYTES} bytes"),
            "no configuration is that long; is it another file?",
        );
        return Err(fault::diagnostics(vec![fault], source));
    }
    let mut reader = Reader {
        text,
        nodes: 0,
        keys: HashSet::new(),
        open: Vec::new(),
        root: None,
        faults: Vec::new(),
        hidden: Vec::new(),
    };
    match reader.document() {
        Ok(()) => {}
        Err(last) => reader.faults.push(last),
    }
    match reader.root {
        Some(item) if reader.faults.is_empty() => Ok(item),
        _ => {
            let masked = reader
                .hidden
                .iter()
                .fold(source.clone(), |s, span| s.masked(*span));
            Err(fault::diagnostics(reader.faults, &masked))
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    nodes: usize,
    keys: HashSet<Arc<str>>,
    open: Vec<Frame>,
    root: Option<Item>,
    faults: Vec<Fault>,
    /// Values that no message may show.
    hidden: Vec<Span>,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<(), Fault> {
        let mut events = Events::from_str(self.text);
        loop {
            let start = offset(events.buffer_position());
            let event = match events.read_event() {
                Ok(event) => event,
                Err(error) => return Err(self.broken(&error, offset(events.error_position()))),
            };
            let span = Span::new(start, offset(events.buffer_position()));
            match event {
                Event::Eof => break,
                Event::Start(tag) => self.begin(&tag, span)?,
                Event::Empty(tag) => {
                    self.begin(&tag, span)?;
                    self.end(span);
                }
                Event::End(_) => self.end(span),
                Event::Text(text) => self.text(&text.xml10_content(), span, false)?,
                Event::CData(text) => self.text(&text.xml10_content(), span, true)?,
                Event::GeneralRef(reference) => {
                    let resolved = self.reference(&reference, span);
                    self.text(resolved.encode_utf8(&mut [0; 4]), span, true)?;
                }
                Event::Decl(_) if start == 0 => {}
                Event::Decl(_) => {
                    let message = "the XML declaration stands behind something else";
                    let hint = "it must be the very first thing of the file, or be left out";
                    return Err(Fault::new(span, message, hint));
                }
                Event::DocType(_) => {
                    let message = "a DOCTYPE is not read";
                    let hint = "take it away; a configuration needs none, and entities could make it endless";
                    return Err(Fault::new(span, message, hint));
                }
                Event::Comment(_) | Event::PI(_) => {}
            }
        }
        let end = Span::new(self.text.len(), self.text.len());
        if let Some(open) = self.open.last() {
            let message = format!("the text ends, and `<{}>` is not closed", open.name);
            let hint = format!("is `</{}>` missing?", open.name);
            return Err(Fault::new(open.name_span, message, hint));
        }
        if self.root.is_none() && self.faults.is_empty() {
            let hint = "it begins with an element, as in `<release_manager name=\"template\">`";
            return Err(Fault::new(end, "there is no element in this text", hint));
        }
        Ok(())
    }

    fn begin(&mut self, tag: &BytesStart<'_>, span: Span) -> Result<(), Fault> {
        let name_span = self.place(tag.name().as_ref(), span);
        if self.open.is_empty() && self.root.is_some() {
            let hint = "a file holds one item; make two files of it";
            return Err(Fault::new(
                name_span,
                "a second root element begins here",
                hint,
            ));
        }
        if self.open.len() == MAX_DEPTH {
            let hint = format!("at most {MAX_DEPTH} levels are read");
            return Err(Fault::new(name_span, "elements are nested too deep", hint));
        }
        self.count(name_span)?;
        let name = self.name(tag.name().as_ref(), name_span);
        let mut frame = Frame::new(name, name_span, span);
        for attribute in tag.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| bad_attribute(&error, span))?;
            let key_span = self.place(attribute.key.as_ref(), span);
            self.count(key_span)?;
            let key = attribute.key.as_ref();
            if key == "xmlns" || key.starts_with("xmlns:") {
                continue;
            }
            let key = self.name(key, key_span);
            let value_span = match &attribute.value {
                Cow::Borrowed(value) => self.place(value, span),
                Cow::Owned(_) => key_span,
            };
            let value = match attribute.normalized_value(XmlVersion::Explicit1_0) {
                Ok(value) => self.proper(&value, value_span).to_owned(),
                Err(error) => {
                    self.faults.push(bad_value(&error, value_span));
                    String::new()
                }
            };
            frame.attributes.push(Entry {
                key,
                key_span,
                value: Node {
                    span: value_span,
                    value: Value::String(value.into()),
                },
            });
        }
        self.open.push(frame);
        Ok(())
    }

    fn end(&mut self, span: Span) {
        let Some(frame) = self.open.pop() else { return };
        let (name, name_span) = (frame.name.clone(), frame.name_span);
        let entry = frame.close(span, &mut self.faults, &mut self.hidden);
        match self.open.last_mut() {
            Some(parent) => parent.children.push(entry),
            None => {
                self.root = Some(Item {
                    kind: name,
                    kind_span: name_span,
                    node: entry.value,
                });
            }
        }
    }

    fn text(&mut self, text: &str, span: Span, is_kept: bool) -> Result<(), Fault> {
        let text = self.proper(text, span);
        let Some(frame) = self.open.last_mut() else {
            if text.chars().all(is_blank) {
                return Ok(());
            }
            let place = self.first_word(span);
            let hint = "everything stands in one element";
            return Err(Fault::new(
                place,
                "text stands outside of the root element",
                hint,
            ));
        };
        frame.text(text, span, is_kept);
        Ok(())
    }

    fn reference(&mut self, reference: &BytesRef<'_>, span: Span) -> char {
        let named = match reference.resolve_char_ref() {
            Ok(Some(character)) => Some(character),
            Ok(None) => match &**reference {
                "lt" => Some('<'),
                "gt" => Some('>'),
                "amp" => Some('&'),
                "apos" => Some('\''),
                "quot" => Some('"'),
                _ => None,
            },
            Err(_) => None,
        };
        named.unwrap_or_else(|| {
            let message = format!("unknown entity `&{};`", &**reference);
            self.faults.push(Fault::new(span, message, ENTITY_HINT));
            '\u{fffd}'
        })
    }

    /// The text, told if it holds what XML does not allow.
    fn proper<'t>(&mut self, text: &'t str, span: Span) -> &'t str {
        let is_allowed =
            |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r' | '\u{7f}'..='\u{9f}');
        if let Some(wrong) = text.chars().find(|c| !is_allowed(*c)) {
            let message = format!("the character {wrong:?} cannot stand in XML");
            let hint = "take it away";
            self.faults.push(Fault::new(span, message, hint));
        }
        text
    }

    fn name(&mut self, name: &str, span: Span) -> Arc<str> {
        if let Some(known) = self.keys.get(name) {
            return known.clone();
        }
        if name.contains(':') {
            let message = format!("`{name}` has a namespace");
            let hint = "names of a configuration have none";
            self.faults.push(Fault::new(span, message, hint));
        }
        let starts = name.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == ':');
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '\u{b7}');
        if !starts || !name.chars().all(fits) {
            let message = format!("{name:?} is no name in XML");
            let hint = "write `<entry key=\"...\">` for a key that is no name";
            self.faults.push(Fault::new(span, message, hint));
        }
        let name: Arc<str> = name.into();
        self.keys.insert(name.clone());
        name
    }

    fn count(&mut self, span: Span) -> Result<(), Fault> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            let message = format!("this text has more than {MOST_NODES} elements and attributes");
            return Err(Fault::new(span, message, "is it another file?"));
        }
        Ok(())
    }

    /// Where a part of the text stands; `within` if it is none.
    fn place(&self, part: &str, within: Span) -> Span {
        let start = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        match self.text.get(start..start.saturating_add(part.len())) {
            Some(found) if found == part => Span::new(start, start + part.len()),
            _ => within,
        }
    }

    fn first_word(&self, span: Span) -> Span {
        let text = self.text.get(span.start as usize..span.end as usize);
        let blanks = text.map_or(0, |text| text.len() - text.trim_start().len());
        Span::new(span.start as usize + blanks, span.end as usize)
    }

    /// The parser's own error.
    fn broken(&self, error: &Error, at: usize) -> Fault {
        let here = Span::new(at, at + 1);
        match error {
            Error::IllFormed(IllFormedError::MismatchedEndTag { expected, found }) => Fault::new(
                here,
                format!("`</{found}>` stands where `</{expected}>` is wanted"),
                match self.open.last() {
                    Some(open) => {
                        let (line, _) =
                            Source::new("", self.text).line_column(open.name_span.start);
                        format!("`<{}>` was opened on line {line}", open.name)
                    }
                    None => "close what was opened last".into(),
                },
            ),
            Error::IllFormed(IllFormedError::UnmatchedEndTag(name)) => Fault::new(
                here,
                format!("`</{name}>` closes what was never opened"),
                "take it away, or open it before",
            ),
            Error::IllFormed(IllFormedError::UnclosedReference) => Fault::new(
                here,
                "`&` begins an entity that does not end with `;`",
                "write `&amp;` for the sign itself",
            ),
            Error::Syntax(SyntaxError::InvalidBangMarkup) => Fault::new(
                here,
                "`<!` begins neither a comment nor CDATA",
                "a comment is `<!-- ... -->`",
            ),
            other => Fault::new(
                here,
                format!("this is not XML: {other}"),
                "look for a quote, a `>` or a `<` that is missing; a `<` in text is written `&lt;`",
            ),
        }
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn offset(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

fn bad_attribute(error: &AttrError, tag: Span) -> Fault {
    let (at, message) = match error {
        AttrError::ExpectedEq(at) => (*at, "an attribute lacks its value"),
        AttrError::ExpectedValue(at) => (*at, "a value is missing behind `=`"),
        AttrError::UnquotedValue(at) => (*at, "the value of an attribute is not quoted"),
        AttrError::ExpectedQuote(at, _) => (*at, "a closing quote is missing"),
        AttrError::Duplicated(at, _) => (*at, "this attribute stands here for the second time"),
    };
    // Places count from behind the `<`.
    let start = tag.start as usize + 1 + at;
    let start = start.min((tag.end as usize).saturating_sub(1));
    Fault::new(
        Span::new(start, start + 1),
        message,
        "an attribute is written `name=\"value\"`",
    )
}

fn bad_value(error: &Error, span: Span) -> Fault {
    match error {
        Error::Escape(EscapeError::UnrecognizedEntity(_, name)) => {
            Fault::new(span, format!("unknown entity `&{name};`"), ENTITY_HINT)
        }
        Error::Escape(EscapeError::UnterminatedEntity(_)) => Fault::new(
            span,
            "`&` begins an entity that does not end with `;`",
            "write `&amp;` for the sign itself",
        ),
        other => Fault::new(span, format!("this is not XML: {other}"), ENTITY_HINT),
    }
}
