//! JSON to a tree.
//!
//! One pass over the bytes. Children are gathered on two stacks shared by all containers, so that every list and
//! map is allocated once, at its size; equal keys share their memory. A syntax fault ends the reading;
//! duplicate keys and malformed secret references are collected.

use std::collections::HashSet;
use std::sync::Arc;

use super::fault::{self, Fault};
use super::{Entry, MAX_DEPTH, Map, Node, Value, repeated_keys, secret};
use crate::diagnostic::{Diagnostics, Source, Span};

/// Parses RFC 8259 JSON. Duplicate keys, nesting deeper than 128 and text after the value are errors.
///
/// Whole numbers beyond 64 bits become floats; numbers beyond those are errors.
pub fn parse_json(source: &Arc<Source>) -> Result<Node, Diagnostics> {
    let mut parser = Parser {
        text: source.text(),
        bytes: source.text().as_bytes(),
        at: 0,
        depth: 0,
        keys: HashSet::new(),
        nodes: Vec::new(),
        entries: Vec::new(),
        faults: Vec::new(),
    };
    match parser.document() {
        Ok(node) if parser.faults.is_empty() => Ok(node),
        Ok(_) => Err(fault::diagnostics(parser.faults, source)),
        Err(last) => {
            parser.faults.push(last);
            Err(fault::diagnostics(parser.faults, source))
        }
    }
}

fn fault(start: usize, end: usize, message: impl Into<String>, hint: impl Into<String>) -> Fault {
    Fault::new(Span::new(start, end), message, hint)
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    keys: HashSet<Arc<str>>,
    nodes: Vec<Node>,
    entries: Vec<Entry>,
    faults: Vec<Fault>,
}

impl Parser<'_> {
    fn document(&mut self) -> Result<Node, Fault> {
        if self.bytes.starts_with(b"\xef\xbb\xbf") {
            self.at = 3;
        }
        self.space();
        let node = self.value()?;
        self.space();
        if self.at < self.bytes.len() {
            return Err(self.unexpected(
                "text after the end of the value",
                "one file holds one JSON value",
            ));
        }
        Ok(node)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// A fault at the character that stands here.
    fn unexpected(&self, what: &str, hint: &str) -> Fault {
        let width = self
            .text
            .get(self.at..)
            .and_then(|rest| rest.chars().next())
            .map_or(0, char::len_utf8);
        fault(self.at, self.at + width, what, hint)
    }

    fn value(&mut self) -> Result<Node, Fault> {
        let start = self.at;
        let value = match self.peek() {
            Some(b'{') => self.nested(Self::map)?,
            Some(b'[') => self.nested(Self::list)?,
            Some(b'"') => Value::String(self.string()?.into()),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true", Value::Bool(true))?,
            Some(b'f') => self.word("false", Value::Bool(false))?,
            Some(b'n') => self.word("null", Value::Null)?,
            Some(b'\'') => {
                return Err(
                    self.unexpected("a value is wanted", "JSON strings stand in double quotes")
                );
            }
            Some(_) => return Err(self.no_value()),
            None => return Err(self.ended("a value")),
        };
        Ok(Node {
            span: Span::new(start, self.at),
            value,
        })
    }

    fn no_value(&self) -> Fault {
        self.unexpected(
            "a value is wanted",
            "a value is a string in double quotes, a number, true, false, null, [...] or {...}",
        )
    }

    fn ended(&self, wanted: &str) -> Fault {
        fault(
            self.at,
            self.at,
            format!("the text ends where {wanted} is wanted"),
            "is the file cut off?",
        )
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let next = rest.get(word.len());
        if !rest.starts_with(word.as_bytes()) || next.is_some_and(u8::is_ascii_alphanumeric) {
            return Err(self.no_value());
        }
        self.at += word.len();
        Ok(value)
    }

    fn nested(&mut self, parse: fn(&mut Self) -> Result<Value, Fault>) -> Result<Value, Fault> {
        if self.depth == MAX_DEPTH {
            return Err(self.unexpected(
                "lists and maps are nested too deep",
                &format!("at most {MAX_DEPTH} levels are read"),
            ));
        }
        self.depth += 1;
        let value = parse(self);
        self.depth -= 1;
        value
    }

    fn list(&mut self) -> Result<Value, Fault> {
        let base = self.nodes.len();
        self.at += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::List(Vec::new()));
        }
        loop {
            self.space();
            if self.peek() == Some(b']') {
                return Err(self.unexpected(
                    "a value is wanted after the comma",
                    "take the comma before it away",
                ));
            }
            let node = self.value()?;
            self.nodes.push(node);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                Some(_) => {
                    return Err(self.unexpected(
                        "`,` or `]` is wanted",
                        "values of a list are separated by commas",
                    ));
                }
                None => return Err(self.ended("`,` or `]`")),
            }
        }
        self.at += 1;
        Ok(Value::List(self.nodes.drain(base..).collect()))
    }

    fn map(&mut self) -> Result<Value, Fault> {
        let base = self.entries.len();
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Map(Map::default()));
        }
        loop {
            self.space();
            let start = self.at;
            match self.peek() {
                Some(b'"') => {}
                Some(b'}') => {
                    return Err(self.unexpected(
                        "a key is wanted after the comma",
                        "take the comma before it away",
                    ));
                }
                Some(_) => {
                    return Err(self.unexpected("a key is wanted", "a key stands in double quotes"));
                }
                None => return Err(self.ended("a key")),
            }
            let key = self.key()?;
            let key_span = Span::new(start, self.at);
            self.space();
            match self.peek() {
                Some(b':') => self.at += 1,
                Some(_) => {
                    return Err(self.unexpected(
                        "`:` is wanted",
                        "a key is followed by a colon and its value",
                    ));
                }
                None => return Err(self.ended("`:`")),
            }
            self.space();
            let value = self.value()?;
            self.entries.push(Entry {
                key,
                key_span,
                value,
            });
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                Some(_) => {
                    return Err(self.unexpected(
                        "`,` or `}` is wanted",
                        "keys of a map are separated by commas",
                    ));
                }
                None => return Err(self.ended("`,` or `}`")),
            }
        }
        self.at += 1;
        let map = Map(self.entries.drain(base..).collect());
        for entry in repeated_keys(&map) {
            self.faults
                .push(Fault::repeated(&entry.key, entry.key_span));
        }
        match secret::from_map(&map) {
            None => Ok(Value::Map(map)),
            Some(Ok(secret)) => Ok(Value::Secret(Box::new(secret))),
            Some(Err((span, message))) => {
                self.faults
                    .push(Fault::new(span, message, secret::SECRET_HINT));
                Ok(Value::Map(map))
            }
        }
    }

    fn key(&mut self) -> Result<Arc<str>, Fault> {
        if let Some(end) = self.plain_end() {
            let text = self.text;
            let key = text.get(self.at + 1..end).unwrap_or_default();
            self.at = end + 1;
            return Ok(self.intern(key));
        }
        let key = self.string()?;
        Ok(self.intern(&key))
    }

    fn intern(&mut self, key: &str) -> Arc<str> {
        if let Some(known) = self.keys.get(key) {
            return known.clone();
        }
        let key: Arc<str> = key.into();
        self.keys.insert(key.clone());
        key
    }

    /// Where the string that begins here ends, if nothing in it is escaped or forbidden.
    fn plain_end(&self) -> Option<usize> {
        let from = self.at + 1;
        let rest = self.bytes.get(from..)?;
        let length = rest
            .iter()
            .position(|b| matches!(b, b'"' | b'\\' | 0..0x20))?;
        (rest.get(length) == Some(&b'"')).then_some(from + length)
    }

    fn string(&mut self) -> Result<String, Fault> {
        let open = self.at;
        if let Some(end) = self.plain_end() {
            self.at = end + 1;
            return Ok(self.text.get(open + 1..end).unwrap_or_default().to_owned());
        }
        let mut out = String::new();
        self.at += 1;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let plain = rest
                .iter()
                .position(|b| matches!(b, b'"' | b'\\' | 0..0x20))
                .unwrap_or(rest.len());
            out.push_str(self.text.get(self.at..self.at + plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(_) => {
                    return Err(self.unexpected(
                        "a line break or control character stands in a string",
                        "write it as \\n, \\t or \\u00XX; or is a closing quote missing?",
                    ));
                }
                None => {
                    return Err(fault(
                        open,
                        open + 1,
                        "this string is never closed",
                        "add a closing quote",
                    ));
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let start = self.at;
        let kind = self.bytes.get(self.at + 1).copied();
        self.at += 2;
        Ok(match kind {
            Some(plain @ (b'"' | b'\\' | b'/')) => char::from(plain),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(start),
            _ => {
                self.at = start + 1;
                let mut wrong = self.unexpected(
                    "unknown escape in a string",
                    "known are \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX; a backslash itself is \\\\",
                );
                wrong.span.start = Span::new(start, start).start;
                return Err(wrong);
            }
        })
    }

    fn unicode(&mut self, start: usize) -> Result<char, Fault> {
        let first = self.hex(start)?;
        let lone = |at: usize| {
            fault(
                start,
                at,
                "half of a surrogate pair",
                "characters above U+FFFF are two \\uXXXX in a row, or just the character itself",
            )
        };
        let code = match first {
            0xD800..=0xDBFF => {
                if self.bytes.get(self.at..self.at + 2) != Some(b"\\u") {
                    return Err(lone(self.at));
                }
                self.at += 2;
                let second = self.hex(self.at - 2)?;
                if !(0xDC00..=0xDFFF).contains(&second) {
                    return Err(lone(self.at));
                }
                0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
            }
            code => code,
        };
        char::from_u32(code).ok_or_else(|| lone(self.at))
    }

    fn hex(&mut self, start: usize) -> Result<u32, Fault> {
        let digits = self.bytes.get(self.at..self.at + 4);
        let code = digits.and_then(|digits| {
            digits.iter().try_fold(0, |code, digit| {
                Some(code * 16 + char::from(*digit).to_digit(16)?)
            })
        });
        let code = code.ok_or_else(|| {
            fault(
                start,
                start + 2,
                "\\u is not followed by four hex digits",
                "as in \\u00e9",
            )
        })?;
        self.at += 4;
        Ok(code)
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<Value, Fault> {
        let start = self.at;
        let wrong = |at: usize, hint: &str| fault(start, at, "this is not a number of JSON", hint);
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let whole_start = self.at;
        let whole = self.digits();
        if whole == 0 {
            return Err(wrong(self.at, "a digit is wanted after the minus"));
        }
        if whole > 1 && self.bytes.get(whole_start) == Some(&b'0') {
            return Err(wrong(
                self.at,
                "take the leading zero away, or write it as a string",
            ));
        }
        let mut is_whole = true;
        if self.peek() == Some(b'.') {
            is_whole = false;
            self.at += 1;
            if self.digits() == 0 {
                return Err(wrong(self.at, "a digit is wanted after the point"));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            is_whole = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(wrong(self.at, "a digit is wanted in the exponent"));
            }
        }
        if self
            .peek()
            .is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'))
        {
            while self
                .peek()
                .is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'))
            {
                self.at += 1;
            }
            return Err(wrong(
                self.at,
                "if it is no number, write it in double quotes",
            ));
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        if is_whole && let Ok(int) = text.parse() {
            return Ok(Value::Int(int));
        }
        match text.parse::<f64>() {
            Ok(float) if float.is_finite() => Ok(Value::Float(float)),
            _ => Err(fault(
                start,
                self.at,
                "this number is too large",
                "numbers go up to about 1.7e308",
            )),
        }
    }
}
