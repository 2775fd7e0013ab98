//! What a plugin asks of Windlass during a call.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use windlass_model::step::Level;

use crate::message::{Params, RpcError};

/// A line that a plugin has for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How grave.
    pub level: Level,
    /// Who says it, as the plugin names itself; `None` when it does not.
    pub component: Option<String>,
    /// About which host.
    pub host: Option<String>,
    /// About what.
    pub tag: Option<String>,
    /// At most 64 KiB.
    pub message: String,
}

/// The longest message of a log line, in bytes; what is beyond is cut off.
pub const MAX_LOG_MESSAGE: usize = 64 * 1024;

/// Where lines go that belong to no call: what a plugin writes to stderr.
pub type Log = Arc<dyn Fn(LogLine) + Send + Sync>;

impl LogLine {
    /// A line of a plugin's process itself.
    pub fn new(level: Level, message: impl Into<String>) -> Self {
        Self {
            level,
            component: None,
            host: None,
            tag: None,
            message: message.into(),
        }
    }

    /// From the params of `log`. Lenient: an unknown level is INFO, a message that is no string is shown as JSON.
    pub(crate) fn from_params(params: &Params) -> Self {
        let text = |key: &str| params.get(key).and_then(Value::as_str).map(str::to_owned);
        let level = match params.get("level").and_then(Value::as_str) {
            Some("debug") => Level::Debug,
            Some("warning") => Level::Warning,
            Some("error") => Level::Error,
            _ => Level::Info,
        };
        let mut message = match params.get("message") {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        if message.len() > MAX_LOG_MESSAGE {
            message.truncate(message.floor_char_boundary(MAX_LOG_MESSAGE));
        }
        Self {
            level,
            component: text("component"),
            host: text("remote_host"),
            tag: text("tag"),
            message,
        }
    }
}

/// Serves what a plugin asks for during one call. Asked one after the other, in the order in which the plugin
/// asked. When the call is dropped, so is what is being served.
#[async_trait]
pub trait Callbacks: Send {
    /// Serves a request. The time that this takes is not counted as the plugin's.
    async fn call(&mut self, method: &str, params: Params) -> Result<Value, RpcError>;
    /// Takes a line for the log.
    fn log(&mut self, line: LogLine);
}

/// For calls during which nothing can be asked for; log lines go to the worker's log.
pub struct NoCallbacks(pub Log);

#[async_trait]
impl Callbacks for NoCallbacks {
    async fn call(&mut self, method: &str, _params: Params) -> Result<Value, RpcError> {
        Err(RpcError::no_method(method))
    }

    fn log(&mut self, line: LogLine) {
        (self.0)(line);
    }
}
