//! Calls and messages of one process: what is sent, what comes back, who is given it.

use std::future::Future;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use windlass_model::step::Level;

use crate::callbacks::{Callbacks, LogLine};
use crate::error::CallError;
use crate::message::{INVALID_PARAMS, Message, Params, RpcError, shown};
use crate::open::{Asked, Heard, Opened};
use crate::process::{Process, Supervisor};

impl Supervisor {
    /// Serves a line that the plugin wrote. An error, what it did wrong, ends the plugin.
    pub(crate) async fn take(&self, line: &[u8]) -> Result<(), String> {
        let message = Message::parse(line).map_err(|why| {
            let line = shown(line);
            format!("wrote a line to stdout that is no message of the protocol ({why}): {line}")
        })?;
        match message {
            Message::Answer { id, result } => match self.shared.calls.answer(&id, result) {
                Heard::Taken | Heard::Late => Ok(()),
                Heard::Stray => Err(format!(
                    "wrote an answer to a call that was never made: {}",
                    shown(line)
                )),
            },
            Message::Notification { method, params } if method == "log" => {
                self.log(&params, line.len()).await;
                Ok(())
            }
            // JSON-RPC lets one ignore a notification that one does not know.
            Message::Notification { .. } => Ok(()),
            Message::Request { id, method, params } if method == "log" => {
                self.log(&params, line.len()).await;
                self.answer(id, Ok(Value::Null))
            }
            Message::Request { id, method, params } => {
                let Some(queue) = self.shared.calls.queue(&params) else {
                    let text = format!("{method}: `call` does not name a call that is under way");
                    return self.answer(id, Err(RpcError::new(INVALID_PARAMS, text)));
                };
                let asked = Asked::Request { id, method, params };
                match queue.put(asked, line.len()).await {
                    Err(Asked::Request { id, method, .. }) => {
                        let text = format!("{method}: too much is asked for at once");
                        self.answer(id, Err(RpcError::not_done(text)))
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    async fn log(&self, params: &Params, bytes: usize) {
        let line = LogLine::from_params(params);
        match self.shared.calls.queue(params) {
            Some(queue) => {
                if queue.put(Asked::Log(line), bytes).await.is_err() {
                    queue.dropped_one();
                }
            }
            None => (self.shared.log)(line),
        }
    }

    /// Answers from here must not wait: the plugin may be waiting for us to read.
    fn answer(&self, id: Value, result: Result<Value, RpcError>) -> Result<(), String> {
        let Some(answers) = self.answers.upgrade() else {
            return Ok(());
        };
        match answers.try_send(Message::Answer { id, result }.line()) {
            Err(tokio::sync::mpsc::error::TrySendError::Full(_)) => {
                Err("asks for more than it reads answers".to_owned())
            }
            _ => Ok(()),
        }
    }
}

impl Process {
    /// Makes a call; see [`crate::Worker::call`]. `limit` is how long the plugin may take.
    pub(crate) async fn call(
        &self,
        method: &str,
        params: Params,
        callbacks: &mut dyn Callbacks,
        limit: Option<Duration>,
    ) -> Result<Value, CallError> {
        let mut opened = self.shared.calls.open().map_err(CallError::Broken)?;
        let request = Message::Request {
            id: opened.id.into(),
            method: method.to_owned(),
            params,
        };
        let line = request.line();
        self.check_length(&line).map_err(CallError::Broken)?;
        let mut deadline = limit.map(|limit| Instant::now() + limit);
        let talked = match within(deadline, self.requests.send(line)).await {
            Ok(_) => self.converse(&mut opened, callbacks, &mut deadline).await,
            Err(silent) => Err(silent),
        };
        if talked.is_err() {
            let seconds = limit.unwrap_or_default().as_secs_f64();
            let what = format!("gave no answer to `{method}` within {seconds} s, and was killed");
            self.shared.break_with(&what);
        }
        let dropped = opened.traffic.dropped.load(Ordering::SeqCst);
        if dropped > 0 {
            let message = format!("{dropped} log lines came too fast and were dropped");
            callbacks.log(LogLine::new(Level::Warning, message));
        }
        match (&mut opened.answer).await {
            Ok(result) => result.map_err(CallError::Refused),
            Err(_) => Err(CallError::Broken(self.why_ended())),
        }
    }

    /// Serves what the plugin asks of the call, until it has answered or ended.
    async fn converse(
        &self,
        opened: &mut Opened,
        callbacks: &mut dyn Callbacks,
        deadline: &mut Option<Instant>,
    ) -> Result<(), Silent> {
        while let Some(queued) = within(*deadline, opened.messages.recv()).await? {
            match queued.what {
                Asked::Log(line) => callbacks.log(line),
                Asked::Request { id, method, params } => {
                    if !self.is_alive() {
                        return Ok(());
                    }
                    let began = Instant::now();
                    opened.traffic.busy.store(true, Ordering::SeqCst);
                    let result = callbacks.call(&method, params).await;
                    opened.traffic.busy.store(false, Ordering::SeqCst);
                    *deadline = deadline.map(|d| d + began.elapsed());
                    let mut line = Message::Answer {
                        id: id.clone(),
                        result,
                    }
                    .line();
                    if let Err(why) = self.check_length(&line) {
                        let result = Err(RpcError::not_done(format!("{method}: {why}")));
                        line = Message::Answer { id, result }.line();
                    }
                    if within(*deadline, self.requests.send(line)).await?.is_err() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn check_length(&self, line: &[u8]) -> Result<(), String> {
        let most = self.shared.limits.line_bytes;
        if line.len() <= most.saturating_add(1) {
            return Ok(());
        }
        Err(format!(
            "a message to the plugin `{}` would be {} bytes long, more than the {most} of a line",
            self.shared.name,
            line.len()
        ))
    }

    fn why_ended(&self) -> String {
        let ended = self.shared.calls.ended();
        ended.unwrap_or_else(|| format!("the plugin `{}` gave no answer", self.shared.name))
    }
}

/// The time of a call is over.
struct Silent;

async fn within<T>(
    deadline: Option<Instant>,
    future: impl Future<Output = T>,
) -> Result<T, Silent> {
    match deadline {
        Some(deadline) => timeout_at(deadline, future).await.map_err(|_| Silent),
        None => Ok(future.await),
    }
}
