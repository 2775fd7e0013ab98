//! The messages of the protocol: JSON-RPC 2.0, each on a line of its own.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The params of a call: always an object.
pub type Params = Map<String, Value>;

/// The version of the protocol that is spoken here.
pub const PROTOCOL: u64 = 1;

/// JSON-RPC: there is no such method.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// JSON-RPC: the params are wrong.
pub const INVALID_PARAMS: i64 = -32602;
/// It could not be done.
pub const NOT_DONE: i64 = -32000;

/// An error as an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RpcError {
    /// JSON-RPC's codes, or -32000 for anything else.
    #[serde(default)]
    pub code: i64,
    /// What is wrong.
    pub message: String,
    /// More about it: `{"traceback": "..."}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl RpcError {
    /// An error without data.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// What was asked could not be done.
    pub fn not_done(message: impl Into<String>) -> Self {
        Self::new(NOT_DONE, message)
    }

    /// The params are wrong.
    pub fn params(message: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    /// There is no such method, or not during this call.
    pub fn no_method(method: &str) -> Self {
        Self::new(
            METHOD_NOT_FOUND,
            format!("`{method}` cannot be asked for here"),
        )
    }

    /// The traceback in its data, if it brings one.
    pub fn traceback(&self) -> Option<&str> {
        self.data.as_ref()?.get("traceback")?.as_str()
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Wants an answer with its id (a number or a string).
    Request {
        /// The asking side's.
        id: Value,
        /// What is asked.
        method: String,
        /// With what.
        params: Params,
    },
    /// Wants no answer.
    Notification {
        /// What is told.
        method: String,
        /// With what.
        params: Params,
    },
    /// Answers a request.
    Answer {
        /// The request's.
        id: Value,
        /// What came of it.
        result: Result<Value, RpcError>,
    },
}

impl Message {
    /// The message of a line; else why it is none: a few words.
    pub fn parse(line: &[u8]) -> Result<Self, &'static str> {
        let value: Value = serde_json::from_slice(line).map_err(|_| "it is not JSON")?;
        let Value::Object(mut object) = value else {
            return Err("it is not an object");
        };
        if object.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Err("it has no `\"jsonrpc\": \"2.0\"`");
        }
        let id = object.remove("id");
        if !matches!(id, None | Some(Value::Number(_) | Value::String(_))) {
            return Err("its id is neither a number nor a string");
        }
        match object.remove("method") {
            Some(Value::String(method)) => {
                let params = match object.remove("params") {
                    None => Params::new(),
                    Some(Value::Object(params)) => params,
                    Some(_) => return Err("its params are not an object"),
                };
                Ok(match id {
                    Some(id) => Self::Request { id, method, params },
                    None => Self::Notification { method, params },
                })
            }
            Some(_) => Err("its method is not a string"),
            None => {
                let id = id.ok_or("it has neither a method nor an id")?;
                let result = match (object.remove("result"), object.remove("error")) {
                    (Some(result), None | Some(Value::Null)) => Ok(result),
                    (None | Some(Value::Null), Some(error)) => {
                        Err(serde_json::from_value(error)
                            .map_err(|_| "its error is not a JSON-RPC error object")?)
                    }
                    (None, None) => return Err("it has neither a result nor an error"),
                    (Some(_), Some(_)) => return Err("it has both a result and an error"),
                };
                Ok(Self::Answer { id, result })
            }
        }
    }

    /// The message as a line, its line break included.
    pub fn line(&self) -> Vec<u8> {
        let value = match self {
            Self::Request { id, method, params } => {
                json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
            }
            Self::Notification { method, params } => {
                json!({"jsonrpc": "2.0", "method": method, "params": params})
            }
            Self::Answer { id, result: Ok(ok) } => {
                json!({"jsonrpc": "2.0", "id": id, "result": ok})
            }
            Self::Answer {
                id,
                result: Err(error),
            } => json!({"jsonrpc": "2.0", "id": id, "error": error}),
        };
        let mut line = value.to_string().into_bytes();
        line.push(b'\n');
        line
    }
}

/// A line as an error message shows it: control characters escaped, at most 200 characters.
pub fn shown(line: &[u8]) -> String {
    const MOST: usize = 200;
    let head = line.get(..4 * MOST).unwrap_or(line);
    let text = String::from_utf8_lossy(head);
    let mut shown: String = text
        .chars()
        .take(MOST)
        .flat_map(|c| {
            let escaped = if c.is_control() {
                Some(c.escape_default())
            } else {
                None
            };
            let plain = if escaped.is_none() { Some(c) } else { None };
            escaped.into_iter().flatten().chain(plain)
        })
        .collect();
    if head.len() < line.len() || text.chars().count() > MOST {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_read_what_they_write() {
        let params = json!({"call": 3}).as_object().unwrap().clone();
        for message in [
            Message::Request {
                id: json!("p1"),
                method: "file_exists".into(),
                params: params.clone(),
            },
            Message::Notification {
                method: "log".into(),
                params,
            },
            Message::Answer {
                id: json!(7),
                result: Ok(Value::Null),
            },
            Message::Answer {
                id: json!(7),
                result: Err(RpcError::not_done("no\nspace")),
            },
        ] {
            let line = message.line();
            assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1);
            assert_eq!(Message::parse(&line), Ok(message));
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for wrong in [
            "hello",
            "[]",
            "1",
            "{}",
            r#"{"jsonrpc":"1.0","id":1,"result":1}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"2.0","result":1}"#,
            r#"{"jsonrpc":"2.0","id":null,"result":1}"#,
            r#"{"jsonrpc":"2.0","id":[1],"result":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{"message":"x"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":"x"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[1]}"#,
        ] {
            assert!(Message::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lines_are_shown_escaped_and_cut() {
        assert_eq!(shown(b"a\x1b[31mb\t\xff"), "a\\u{1b}[31mb\\t\u{fffd}");
        let long = shown(&[b'x'; 5000]);
        assert_eq!(long.chars().count(), 201);
        assert!(long.ends_with('…'));
    }
}
