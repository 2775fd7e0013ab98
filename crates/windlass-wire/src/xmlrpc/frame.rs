//! Elements that are open while a message is read.

use super::datetime::DateTime;
use super::fault::Fault;
use super::number::Decimal;
use super::value::{Struct, Value};
use super::{Call, Response};

/// An open element and what it holds so far.
pub(super) enum Frame {
    Call(Option<String>, Option<Vec<Value>>),
    MethodName(String),
    Response(Option<Response>),
    Fault(Option<Value>),
    Params(Vec<Value>),
    Param(Option<Value>),
    Value(String, Option<Value>),
    Scalar(Scalar, String),
    Array(Option<Vec<Value>>),
    Data(Vec<Value>),
    Struct(Vec<(String, Value)>),
    Member(Option<String>, Option<Value>),
    Name(String),
}

/// Types that hold only text.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Scalar {
    Nil,
    Boolean,
    Integer,
    Double,
    Decimal,
    Text,
    DateTime,
    Base64,
}

/// What a closed element turned into.
pub(super) enum Closed {
    Value(Value),
    Values(Vec<Value>),
    Name(String),
    Member(String, Value),
    Fault(Fault),
    Call(Call),
    Response(Response),
}

impl Frame {
    /// The frame of the element `tag` within this one; `None` is the document itself.
    pub(super) fn open(within: Option<&mut Self>, tag: &str) -> Result<Self, String> {
        let Some(parent) = within else {
            return match tag {
                "methodCall" => Ok(Self::Call(None, None)),
                "methodResponse" => Ok(Self::Response(None)),
                _ => Err(format!(
                    "<{}> where <methodCall> or <methodResponse> is wanted",
                    shown(tag)
                )),
            };
        };
        match (&*parent, tag) {
            (Self::Call(None, None), "methodName") => Ok(Self::MethodName(String::new())),
            (Self::Call(Some(_), None) | Self::Response(None), "params") => {
                Ok(Self::Params(Vec::new()))
            }
            (Self::Response(None), "fault") => Ok(Self::Fault(None)),
            (Self::Params(_), "param") => Ok(Self::Param(None)),
            (
                Self::Param(None) | Self::Fault(None) | Self::Data(_) | Self::Member(_, None),
                "value",
            ) => Ok(Self::Value(String::new(), None)),
            // as Python: <data> may be left out
            (Self::Array(_), "value") => Ok(Self::Value(String::new(), None)),
            (Self::Array(None), "data") => Ok(Self::Data(Vec::new())),
            (Self::Struct(_), "member") => Ok(Self::Member(None, None)),
            (Self::Member(None, _), "name") => Ok(Self::Name(String::new())),
            (Self::Value(text, None), _) if is_blank(text) => Self::typed(tag),
            (Self::Value(_, None), _) => Err(format!("text and <{}> in one <value>", shown(tag))),
            (Self::Value(..), _) => {
                Err(format!("<{}> as a second type in one <value>", shown(tag)))
            }
            _ => Err(format!(
                "<{}> does not stand there in <{}>",
                shown(tag),
                parent.name()
            )),
        }
    }

    fn typed(tag: &str) -> Result<Self, String> {
        let scalar = match tag {
            "array" => return Ok(Self::Array(None)),
            "struct" => return Ok(Self::Struct(Vec::new())),
            "nil" => Scalar::Nil,
            "boolean" => Scalar::Boolean,
            "int" | "i1" | "i2" | "i4" | "i8" | "biginteger" => Scalar::Integer,
            "double" | "float" => Scalar::Double,
            "bigdecimal" => Scalar::Decimal,
            "string" => Scalar::Text,
            "dateTime.iso8601" => Scalar::DateTime,
            "base64" => Scalar::Base64,
            _ => return Err(format!("<{}> is no type", shown(tag))),
        };
        Ok(Self::Scalar(scalar, String::new()))
    }

    /// The buffer for text within this element, if it takes any.
    pub(super) fn text(&mut self) -> Option<&mut String> {
        match self {
            Self::MethodName(text)
            | Self::Value(text, None)
            | Self::Scalar(_, text)
            | Self::Name(text) => Some(text),
            _ => None,
        }
    }

    /// What this element turns into at its end.
    pub(super) fn close(self) -> Result<Closed, String> {
        match self {
            Self::Call(Some(method), params) => Ok(Closed::Call(Call {
                method,
                params: params.unwrap_or_default(),
            })),
            Self::Call(None, _) => Err("a call without <methodName>".into()),
            Self::Response(Some(response)) => Ok(Closed::Response(response)),
            Self::Response(None) => Err("a response without <params> or <fault>".into()),
            Self::Fault(Some(value)) => fault(&value).map(Closed::Fault),
            Self::Fault(None) => Err("<fault> without <value>".into()),
            Self::Params(values) | Self::Data(values) => Ok(Closed::Values(values)),
            Self::Param(Some(value)) | Self::Value(_, Some(value)) => Ok(Closed::Value(value)),
            Self::Param(None) => Err("<param> without <value>".into()),
            Self::Value(text, None) => Ok(Closed::Value(Value::Text(text))),
            Self::Scalar(scalar, text) => scalar.value(text).map(Closed::Value),
            Self::Array(values) => Ok(Closed::Value(Value::Array(values.unwrap_or_default()))),
            Self::Struct(members) => {
                let members: Struct = members.into_iter().collect();
                Ok(Closed::Value(Value::Struct(members)))
            }
            Self::Member(Some(name), Some(value)) => Ok(Closed::Member(name, value)),
            Self::Member(None, _) => Err("<member> without <name>".into()),
            Self::Member(Some(name), None) => {
                Err(format!("<member> {:?} without <value>", shown(&name)))
            }
            Self::MethodName(name) | Self::Name(name) => Ok(Closed::Name(name)),
        }
    }

    /// Takes what an element within this one turned into.
    pub(super) fn take(&mut self, closed: Closed) -> Result<(), String> {
        match (self, closed) {
            (Self::Call(method, _), Closed::Name(name)) => *method = Some(name),
            (Self::Call(_, params), Closed::Values(values)) => *params = Some(values),
            (Self::Response(response), Closed::Values(values)) => {
                let [value] = <[Value; 1]>::try_from(values)
                    .map_err(|values| format!("a response with {} values", values.len()))?;
                *response = Some(Ok(value));
            }
            (Self::Response(response), Closed::Fault(fault)) => *response = Some(Err(fault)),
            (
                Self::Fault(slot)
                | Self::Param(slot)
                | Self::Value(_, slot)
                | Self::Member(_, slot),
                Closed::Value(value),
            ) => *slot = Some(value),
            (Self::Params(values) | Self::Data(values), Closed::Value(value)) => {
                values.push(value);
            }
            (Self::Array(slot), Closed::Value(value)) => {
                slot.get_or_insert_default().push(value);
            }
            (Self::Array(slot), Closed::Values(values)) => *slot = Some(values),
            (Self::Struct(members), Closed::Member(name, value)) => members.push((name, value)),
            (Self::Member(slot, _), Closed::Name(name)) => *slot = Some(name),
            (frame, _) => return Err(format!("<{}> holds something else", frame.name())),
        }
        Ok(())
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Call(..) => "methodCall",
            Self::MethodName(_) => "methodName",
            Self::Response(_) => "methodResponse",
            Self::Fault(_) => "fault",
            Self::Params(_) => "params",
            Self::Param(_) => "param",
            Self::Value(..) => "value",
            Self::Scalar(scalar, _) => scalar.name(),
            Self::Array(_) => "array",
            Self::Data(_) => "data",
            Self::Struct(_) => "struct",
            Self::Member(..) => "member",
            Self::Name(_) => "name",
        }
    }
}

impl Scalar {
    fn name(self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Boolean => "boolean",
            Self::Integer => "int",
            Self::Double => "double",
            Self::Decimal => "bigdecimal",
            Self::Text => "string",
            Self::DateTime => "dateTime.iso8601",
            Self::Base64 => "base64",
        }
    }

    fn value(self, text: String) -> Result<Value, String> {
        let found = match self {
            Self::Text => return Ok(Value::Text(text)),
            Self::Nil => is_blank(&text).then_some(Value::Nil),
            Self::Boolean => match text.as_str() {
                "0" => Some(Value::Bool(false)),
                "1" => Some(Value::Bool(true)),
                _ => None,
            },
            Self::Integer => Value::integer(&text).ok(),
            Self::Double => Value::double(&text).ok(),
            Self::Decimal => Decimal::parse(&text).ok().map(Value::Decimal),
            Self::DateTime => DateTime::parse(&text).ok().map(Value::DateTime),
            Self::Base64 => base64(text).map(Value::Bytes),
        };
        found.ok_or_else(|| self.refusal())
    }

    fn refusal(self) -> String {
        let wanted = match self {
            Self::Nil => "nothing",
            Self::Boolean => "0 or 1",
            Self::Integer => "a whole number",
            Self::Double | Self::Decimal => "a number",
            Self::DateTime => "a date and time such as 20240131T23:59:00",
            Self::Base64 | Self::Text => "base64 with its padding",
        };
        format!("<{}> holds something else than {wanted}", self.name())
    }
}

fn base64(text: String) -> Option<Vec<u8>> {
    let mut bytes = text.into_bytes();
    bytes.retain(|b| !b.is_ascii_whitespace());
    // the decoder would take several texts, one behind the other
    let end = bytes.iter().position(|b| *b == b'=');
    let ends_once = end.is_none_or(|end| end + 2 >= bytes.len());
    let decoded = data_encoding::BASE64_MIME_PERMISSIVE.decode(&bytes);
    decoded.ok().filter(|_| ends_once)
}

fn fault(value: &Value) -> Result<Fault, String> {
    let code = match value.get("faultCode") {
        Some(Value::Int(code)) => Some(*code),
        Some(Value::Text(code)) => code.trim().parse().ok(),
        _ => None,
    };
    match (code, value.get("faultString")) {
        (Some(code), Some(Value::Text(text))) => Ok(Fault::new(code, text)),
        (Some(code), Some(Value::Nil)) => Ok(Fault::new(code, "")),
        _ => Err("a fault is a struct of faultCode, an int, and faultString, a string".into()),
    }
}

/// White space as XML has it.
pub(super) fn is_blank(text: &str) -> bool {
    text.bytes()
        .all(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'))
}

/// A name from the message, short enough for one of ours.
pub(super) fn shown(name: &str) -> &str {
    let end = name.char_indices().nth(40).map_or(name.len(), |(at, _)| at);
    name.get(..end).unwrap_or_default()
}
