//! From calls and responses to bytes: UTF-8, always well-formed. Nothing recurses.

#[cfg(test)]
mod tests;

use super::fault::{Fault, code};
use super::number::double_text;
use super::text::{fits, unfit};
use super::value::Value;
use super::{Call, Response};

/// How values are written that XML or old readers cannot take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Integers beyond 32 bits.
    pub wide_integers: WideIntegers,
    /// Characters that XML does not have: control characters other than tab, line feed and carriage return; U+FFFE, U+FFFF.
    pub characters: Characters,
}

/// What is done with integers beyond 32 bits, which the specification does not have and Python reads but does not write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WideIntegers {
    /// Written as `i8`, beyond 64 bits as `biginteger`.
    #[default]
    Tagged,
    /// An error, as in Python.
    Refuse,
}

/// What is done with characters that XML does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Characters {
    /// An error: send such a text as [`Value::Bytes`].
    #[default]
    Refuse,
    /// U+FFFD in place of each.
    Replace,
}

/// A value that cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodeError {
    /// Where: `params[1].env`, `methodName`, `result[3]`.
    pub path: String,
    /// What is wrong with it.
    pub unfit: Unfit,
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// This character does not exist in XML.
    Character(char),
    /// An integer beyond 32 bits, when [`WideIntegers::Refuse`] is asked for.
    WideInteger,
}

impl std::fmt::Display for EncodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", self.path)?;
        match self.unfit {
            Unfit::Character(c) => write!(
                f,
                "the character U+{:04X} does not exist in XML; send the text as base64",
                u32::from(c)
            ),
            Unfit::WideInteger => f.write_str("an integer beyond 32 bits"),
        }
    }
}

impl std::error::Error for EncodeError {}

impl From<EncodeError> for Fault {
    fn from(error: EncodeError) -> Self {
        Self::new(code::INTERNAL, error.to_string())
    }
}

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// Writes a call. `<params>` stands there even when empty: some readers want it.
pub fn encode_call(call: &Call, options: &EncodeOptions) -> Result<Vec<u8>, EncodeError> {
    let mut out = Out::new(options);
    out.raw("<methodCall><methodName>");
    out.text(&call.method).map_err(|unfit| EncodeError {
        path: "methodName".into(),
        unfit,
    })?;
    out.raw("</methodName><params>");
    for (n, value) in call.params.iter().enumerate() {
        out.raw("<param>");
        out.value(value, &format!("params[{n}]"))?;
        out.raw("</param>");
    }
    out.raw("</params></methodCall>\n");
    Ok(out.text.into_bytes())
}

/// Writes a response. The text of a fault is always written, with unfit characters replaced.
pub fn encode_response(
    response: &Response,
    options: &EncodeOptions,
) -> Result<Vec<u8>, EncodeError> {
    match response {
        Ok(value) => {
            let mut out = Out::new(options);
            out.raw("<methodResponse><params><param>");
            out.value(value, "result")?;
            out.raw("</param></params></methodResponse>\n");
            Ok(out.text.into_bytes())
        }
        Err(fault) => Ok(encode_fault(fault)),
    }
}

/// Writes a response; one that cannot be written becomes a fault that says so.
pub fn encode_response_always(response: &Response, options: &EncodeOptions) -> Vec<u8> {
    encode_response(response, options).unwrap_or_else(|error| encode_fault(&error.into()))
}

fn encode_fault(fault: &Fault) -> Vec<u8> {
    let mut out = Out::new(&EncodeOptions {
        characters: Characters::Replace,
        ..EncodeOptions::default()
    });
    out.raw("<methodResponse><fault><value><struct><member><name>faultCode</name><value>");
    out.integer(fault.code);
    out.raw("</value></member><member><name>faultString</name><value><string>");
    out.replaced(&fault.text);
    out.raw("</string></value></member></struct></value></fault></methodResponse>\n");
    out.text.into_bytes()
}

struct Out {
    text: String,
    options: EncodeOptions,
}

/// An open array or struct: what is left of it, and the element that is being written.
enum Open<'a> {
    Array(std::iter::Enumerate<std::slice::Iter<'a, Value>>, usize),
    Struct(std::slice::Iter<'a, (String, Value)>, &'a str),
}

impl Out {
    fn new(options: &EncodeOptions) -> Self {
        Self {
            text: DECLARATION.to_owned(),
            options: *options,
        }
    }

    fn raw(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn value(&mut self, value: &Value, root: &str) -> Result<(), EncodeError> {
        let mut open = Vec::new();
        let mut next = Some(value);
        loop {
            if let Some(value) = next {
                self.begin(value, &mut open)
                    .map_err(|unfit| unfit_at(root, &open, unfit))?;
            }
            next = match open.last_mut() {
                None => return Ok(()),
                Some(Open::Array(rest, at)) => rest.next().map(|(n, value)| {
                    *at = n;
                    value
                }),
                Some(Open::Struct(rest, at)) => match rest.next() {
                    Some((name, value)) => {
                        *at = name;
                        self.raw("<member><name>");
                        self.text(name)
                            .map_err(|unfit| unfit_at(root, &open, unfit))?;
                        self.raw("</name>");
                        Some(value)
                    }
                    None => None,
                },
            };
            if next.is_none() {
                let end = match open.pop() {
                    Some(Open::Array(..)) => "</data></array></value>",
                    _ => "</struct></value>",
                };
                self.raw(end);
                self.member_end(&open);
            }
        }
    }

    /// Writes a value that holds no others, or the start of one that does.
    fn begin<'a>(&mut self, value: &'a Value, open: &mut Vec<Open<'a>>) -> Result<(), Unfit> {
        self.raw("<value>");
        match value {
            Value::Array(values) => {
                self.raw("<array><data>");
                open.push(Open::Array(values.iter().enumerate(), 0));
                return Ok(());
            }
            Value::Struct(members) => {
                self.raw("<struct>");
                open.push(Open::Struct(members.iter(), ""));
                return Ok(());
            }
            Value::Nil => self.raw("<nil/>"),
            Value::Bool(value) => self.element("boolean", if *value { "1" } else { "0" }),
            Value::Int(number) if i32::try_from(*number).is_err() => {
                self.wide("i8", &number.to_string())?;
            }
            Value::Int(number) => self.integer(*number),
            Value::BigInteger(number) => self.wide("biginteger", number.as_str())?,
            Value::Double(number) => self.element("double", &double_text(*number)),
            Value::Decimal(number) => self.element("bigdecimal", number.as_str()),
            Value::Text(text) => {
                self.raw("<string>");
                self.text(text)?;
                self.raw("</string>");
            }
            Value::DateTime(date) => self.element("dateTime.iso8601", date.as_str()),
            Value::Bytes(bytes) => {
                self.raw("<base64>");
                data_encoding::BASE64.encode_append(bytes, &mut self.text);
                self.raw("</base64>");
            }
        }
        self.raw("</value>");
        self.member_end(open);
        Ok(())
    }

    /// Closes the member whose value was just written, if it was one.
    fn member_end(&mut self, open: &[Open<'_>]) {
        if matches!(open.last(), Some(Open::Struct(..))) {
            self.raw("</member>");
        }
    }

    /// An element whose text needs no escapes.
    fn element(&mut self, tag: &str, text: &str) {
        for part in ["<", tag, ">", text, "</", tag, ">"] {
            self.raw(part);
        }
    }

    fn integer(&mut self, number: i64) {
        let tag = if i32::try_from(number).is_ok() {
            "int"
        } else {
            "i8"
        };
        self.element(tag, &number.to_string());
    }

    fn wide(&mut self, tag: &str, digits: &str) -> Result<(), Unfit> {
        match self.options.wide_integers {
            WideIntegers::Tagged => {
                self.element(tag, digits);
                Ok(())
            }
            WideIntegers::Refuse => Err(Unfit::WideInteger),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), Unfit> {
        if self.options.characters == Characters::Refuse
            && let Some((_, c)) = unfit(text)
        {
            return Err(Unfit::Character(c));
        }
        self.replaced(text);
        Ok(())
    }

    /// A text with escapes, and U+FFFD for what XML does not have. A carriage return would be read as a line feed.
    fn replaced(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.raw("&amp;"),
                '<' => self.raw("&lt;"),
                '>' => self.raw("&gt;"),
                '\r' => self.raw("&#13;"),
                c if fits(c) => self.text.push(c),
                _ => self.text.push('\u{fffd}'),
            }
        }
    }
}

fn unfit_at(root: &str, open: &[Open<'_>], unfit: Unfit) -> EncodeError {
    let mut path = root.to_owned();
    for open in open {
        match open {
            Open::Array(_, at) => path.push_str(&format!("[{at}]")),
            Open::Struct(_, name) => {
                path.push('.');
                path.extend(name.chars().map(|c| if fits(c) { c } else { '\u{fffd}' }));
            }
        }
    }
    EncodeError { path, unfit }
}
