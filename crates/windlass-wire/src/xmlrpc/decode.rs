//! From bytes to calls and responses. Nothing recurses: open elements stand on a stack that is bounded.

use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::error::{DecodeError, Wrong};
use super::frame::{Closed, Frame, is_blank, shown};
use super::limits::{Limits, MAX_DEPTH};
use super::text::{body, fits};
use super::{Call, Response};

/// Attributes mean nothing here; more than a few are an attack on whoever compares each with each.
const MOST_ATTRIBUTES: usize = 16;

/// Reads a call, as a server does. May be called again with other limits after an error.
pub fn decode_call(bytes: &[u8], limits: &Limits) -> Result<Call, DecodeError> {
    match document(bytes, limits)? {
        Closed::Call(call) => Ok(call),
        _ => Err(DecodeError::new(Wrong::Invalid(
            "a <methodResponse> where a <methodCall> is wanted".into(),
        ))),
    }
}

/// Reads a response, as a client does. A fault is no error of the reading.
pub fn decode_response(bytes: &[u8], limits: &Limits) -> Result<Response, DecodeError> {
    match document(bytes, limits)? {
        Closed::Response(response) => Ok(response),
        _ => Err(DecodeError::new(Wrong::Invalid(
            "a <methodCall> where a <methodResponse> is wanted".into(),
        ))),
    }
}

fn document(bytes: &[u8], limits: &Limits) -> Result<Closed, DecodeError> {
    if bytes.len() > limits.bytes {
        return Err(DecodeError::new(Wrong::TooLarge(limits.bytes)));
    }
    let body = body(bytes)?;
    let text = body.whole.get(body.start..).unwrap_or_default();
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.expand_empty_elements = true;
    config.check_comments = true;
    let mut state = State::new(limits);
    loop {
        let at = reader.buffer_position();
        let seen = match reader.read_event() {
            Ok(Event::Eof) => {
                return state
                    .end()
                    .map_err(|wrong| place(wrong, &body.whole, body.start, at));
            }
            Ok(event) => state.event(&event),
            Err(error) => {
                let at = reader.error_position();
                let wrong = Wrong::Malformed(error.to_string());
                return Err(place(wrong, &body.whole, body.start, at));
            }
        };
        seen.map_err(|wrong| place(wrong, &body.whole, body.start, at))?;
    }
}

fn place(wrong: Wrong, whole: &str, start: usize, at: u64) -> DecodeError {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    DecodeError::new(wrong).at(whole, start.saturating_add(at))
}

struct State {
    open: Vec<Frame>,
    done: Option<Closed>,
    depth: usize,
    values: usize,
    limits: Limits,
}

impl State {
    fn new(limits: &Limits) -> Self {
        Self {
            open: Vec::new(),
            done: None,
            depth: 0,
            values: 0,
            limits: Limits {
                depth: limits.depth.min(MAX_DEPTH),
                ..*limits
            },
        }
    }

    fn event(&mut self, event: &Event<'_>) -> Result<(), Wrong> {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(_) => self.close(),
            Event::Text(text) if text.contains("]]>") => Err(malformed("]]> in a text")),
            Event::Text(text) => self.text(text),
            Event::CData(text) if self.open.is_empty() => Err(malformed(format!(
                "text outside of the document: {:?}",
                shown(text)
            ))),
            Event::CData(text) => self.text(text),
            Event::GeneralRef(reference) => {
                self.text(reference_text(reference)?.encode_utf8(&mut [0; 4]))
            }
            Event::Comment(_) | Event::Eof => Ok(()),
            Event::PI(instruction) if is_xml(instruction.target()) => {
                Err(malformed("an XML declaration that is not at the start"))
            }
            Event::PI(_) => Ok(()),
            Event::Decl(_) => Err(malformed("an XML declaration that is not at the start")),
            Event::DocType(_) => Err(Wrong::Invalid("DOCTYPE is refused".into())),
            Event::Empty(_) => Err(malformed("an empty element was not expanded")),
        }
    }

    fn start(&mut self, tag: &BytesStart<'_>) -> Result<(), Wrong> {
        attributes(tag)?;
        if self.done.is_some() {
            return Err(malformed("a second element after the document's"));
        }
        let name = tag.name().into_inner();
        // as Python: a prefix (`ex:nil`) means nothing
        let local = name.rsplit_once(':').map_or(name, |(_, local)| local);
        let frame = Frame::open(self.open.last_mut(), local).map_err(Wrong::Invalid)?;
        if matches!(frame, Frame::Value(..)) {
            self.depth += 1;
            self.values += 1;
            if self.depth > self.limits.depth {
                return Err(Wrong::TooDeep(self.limits.depth));
            }
            if self.values > self.limits.values {
                return Err(Wrong::TooMany(self.limits.values));
            }
        }
        self.open.push(frame);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Wrong> {
        let Some(frame) = self.open.pop() else {
            return Err(malformed("an end without a start"));
        };
        if matches!(frame, Frame::Value(..)) {
            self.depth -= 1;
        }
        let closed = frame.close().map_err(Wrong::Invalid)?;
        match self.open.last_mut() {
            Some(parent) => parent.take(closed).map_err(Wrong::Invalid),
            None => {
                self.done = Some(closed);
                Ok(())
            }
        }
    }

    fn text(&mut self, text: &str) -> Result<(), Wrong> {
        match self.open.last_mut() {
            Some(frame) => {
                let name = frame.name();
                match frame.text() {
                    Some(buffer) => buffer.push_str(text),
                    None if is_blank(text) => {}
                    None => {
                        return Err(Wrong::Invalid(format!(
                            "text does not stand there in <{name}>: {:?}",
                            shown(text)
                        )));
                    }
                }
                Ok(())
            }
            None if is_blank(text) => Ok(()),
            None => Err(malformed(format!(
                "text outside of the document: {:?}",
                shown(text)
            ))),
        }
    }

    fn end(&mut self) -> Result<Closed, Wrong> {
        if let Some(frame) = self.open.last() {
            return Err(malformed(format!("it ends within <{}>", frame.name())));
        }
        self.done
            .take()
            .ok_or_else(|| malformed("it holds no element"))
    }
}

fn malformed(why: impl Into<String>) -> Wrong {
    Wrong::Malformed(why.into())
}

fn is_xml(target: &str) -> bool {
    target.is_empty() || target.eq_ignore_ascii_case("xml")
}

/// The character that `&...;` stands for: the five entities of XML, or a number.
fn reference_text(reference: &BytesRef<'_>) -> Result<char, Wrong> {
    let numeric = reference
        .resolve_char_ref()
        .map_err(|error| malformed(error.to_string()))?;
    match (numeric, &**reference) {
        (Some(character), _) if fits(character) => Ok(character),
        (Some(character), _) => Err(Wrong::Character(format!(
            "the character U+{:04X} does not exist in XML",
            u32::from(character)
        ))),
        (None, "lt") => Ok('<'),
        (None, "gt") => Ok('>'),
        (None, "amp") => Ok('&'),
        (None, "apos") => Ok('\''),
        (None, "quot") => Ok('"'),
        (None, name) => Err(malformed(format!(
            "the entity &{}; is not declared",
            shown(name)
        ))),
    }
}

/// Attributes mean nothing, but must be well-formed.
fn attributes(tag: &BytesStart<'_>) -> Result<(), Wrong> {
    for (n, attribute) in tag.attributes().enumerate() {
        if n == MOST_ATTRIBUTES {
            return Err(Wrong::Invalid(format!(
                "more than {MOST_ATTRIBUTES} attributes in one element"
            )));
        }
        let attribute = attribute.map_err(|error| malformed(error.to_string()))?;
        if attribute.value.contains('<') {
            return Err(malformed("`<` in an attribute"));
        }
        unescape(&attribute.value).map_err(|error| malformed(error.to_string()))?;
    }
    Ok(())
}
