//! The calls of a process that are not answered yet.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::callbacks::LogLine;
use crate::message::{Params, RpcError};

/// How many messages may wait for a call to take them.
const QUEUE: usize = 1024;

/// The open calls, and why there will be no more.
pub(crate) struct OpenCalls {
    state: Mutex<State>,
    /// Bytes of messages that may wait, of all calls.
    room: Arc<Semaphore>,
}

struct State {
    last_id: u64,
    open: HashMap<u64, Open>,
    ended: Option<String>,
}

struct Open {
    queue: CallQueue,
    answer: oneshot::Sender<Result<Value, RpcError>>,
}

/// Where messages for a call go.
#[derive(Clone)]
pub(crate) struct CallQueue {
    messages: mpsc::Sender<Queued>,
    traffic: Arc<Traffic>,
    room: Arc<Semaphore>,
}

/// What a call and its queue know of each other.
#[derive(Default)]
pub(crate) struct Traffic {
    /// The call is busy with something that the plugin asked for.
    pub(crate) busy: AtomicBool,
    /// Log lines that found no room.
    pub(crate) dropped: AtomicU64,
}

/// A message that waits for its call.
pub(crate) struct Queued {
    pub(crate) what: Asked,
    _room: OwnedSemaphorePermit,
}

/// What a plugin wants of a call.
pub(crate) enum Asked {
    Log(LogLine),
    Request {
        id: Value,
        method: String,
        params: Params,
    },
}

/// The call's side. Dropping it forgets the call: an answer that still comes is ignored.
pub(crate) struct Opened {
    pub(crate) id: u64,
    pub(crate) messages: mpsc::Receiver<Queued>,
    pub(crate) answer: oneshot::Receiver<Result<Value, RpcError>>,
    pub(crate) traffic: Arc<Traffic>,
    calls: Arc<OpenCalls>,
}

/// What an answer is to us.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Somebody waited for it.
    Taken,
    /// Nobody waits for it any longer.
    Late,
    /// Nobody ever asked.
    Stray,
}

impl OpenCalls {
    /// With this many bytes of waiting messages.
    pub(crate) fn new(room: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                last_id: 0,
                open: HashMap::new(),
                ended: None,
            }),
            room: Arc::new(Semaphore::new(room.min(Semaphore::MAX_PERMITS))),
        })
    }

    /// A new call; else why there are no more.
    pub(crate) fn open(self: &Arc<Self>) -> Result<Opened, String> {
        let mut state = self.state();
        if let Some(why) = &state.ended {
            return Err(why.clone());
        }
        state.last_id += 1;
        let id = state.last_id;
        let (sender, messages) = mpsc::channel(QUEUE);
        let (answer_sender, answer) = oneshot::channel();
        let traffic = Arc::new(Traffic::default());
        let queue = CallQueue {
            messages: sender,
            traffic: traffic.clone(),
            room: self.room.clone(),
        };
        state.open.insert(
            id,
            Open {
                queue,
                answer: answer_sender,
            },
        );
        Ok(Opened {
            id,
            messages,
            answer,
            traffic,
            calls: self.clone(),
        })
    }

    /// Where messages go for the call that `params` name; none if it is not open.
    pub(crate) fn queue(&self, params: &Params) -> Option<CallQueue> {
        let id = params.get("call")?.as_u64()?;
        Some(self.state().open.get(&id)?.queue.clone())
    }

    /// Hands an answer over.
    pub(crate) fn answer(&self, id: &Value, result: Result<Value, RpcError>) -> Heard {
        let mut state = self.state();
        match id.as_u64() {
            Some(id) if (1..=state.last_id).contains(&id) => match state.open.remove(&id) {
                Some(open) => {
                    let _ = open.answer.send(result);
                    Heard::Taken
                }
                None => Heard::Late,
            },
            _ => Heard::Stray,
        }
    }

    /// Fails every open call and all to come. The first reason stays; true if this is it.
    pub(crate) fn end(&self, why: impl FnOnce() -> String) -> bool {
        let mut state = self.state();
        let first = state.ended.is_none();
        if first {
            state.ended = Some(why());
            state.open.clear();
        }
        first
    }

    /// Why there are no more calls, when that is so.
    pub(crate) fn ended(&self) -> Option<String> {
        self.state().ended.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.calls.state().open.remove(&self.id);
    }
}

impl CallQueue {
    /// Queues a message that came as `bytes` bytes. While there is no room it waits, as long as the call is about to make
    /// room; while the call is busy with something else, or gone, the message is given back instead.
    pub(crate) async fn put(&self, mut what: Asked, bytes: usize) -> Result<(), Asked> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        loop {
            if let Ok(room) = self.room.clone().try_acquire_many_owned(bytes) {
                match self.messages.try_send(Queued { what, _room: room }) {
                    Ok(()) => return Ok(()),
                    Err(mpsc::error::TrySendError::Closed(back)) => return Err(back.what),
                    Err(mpsc::error::TrySendError::Full(back)) => what = back.what,
                }
            }
            if self.messages.is_closed() || self.traffic.busy.load(Ordering::SeqCst) {
                return Err(what);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Counts a log line that found no room.
    pub(crate) fn dropped_one(&self) {
        self.traffic.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_find_their_calls_or_nobody() {
        let calls = OpenCalls::new(100);
        let mut first = calls.open().unwrap();
        let second = calls.open().unwrap();
        assert_eq!(calls.answer(&Value::from(1), Ok(Value::Null)), Heard::Taken);
        assert_eq!(first.answer.try_recv(), Ok(Ok(Value::Null)));
        assert_eq!(calls.answer(&Value::from(1), Ok(Value::Null)), Heard::Late);
        drop(second);
        assert_eq!(calls.answer(&Value::from(2), Ok(Value::Null)), Heard::Late);
        for stray in [
            Value::from(3),
            Value::from(0),
            Value::from("1"),
            Value::from(-1),
        ] {
            assert_eq!(calls.answer(&stray, Ok(Value::Null)), Heard::Stray);
        }
    }

    #[tokio::test]
    async fn a_busy_call_with_a_full_queue_gives_messages_back() {
        let calls = OpenCalls::new(10);
        let mut opened = calls.open().unwrap();
        let params = serde_json::json!({"call": 1}).as_object().unwrap().clone();
        let queue = calls.queue(&params).unwrap();
        let log = || Asked::Log(LogLine::from_params(&Params::new()));
        assert!(queue.put(log(), 8).await.is_ok());
        opened.traffic.busy.store(true, Ordering::SeqCst);
        assert!(queue.put(log(), 8).await.is_err());
        drop(opened.messages.recv().await);
        assert!(queue.put(log(), 8).await.is_ok());
    }

    #[test]
    fn the_first_reason_stays() {
        let calls = OpenCalls::new(1);
        let opened = calls.open().unwrap();
        assert!(calls.end(|| "died".into()));
        assert!(!calls.end(|| "closed".into()));
        assert_eq!(calls.ended().as_deref(), Some("died"));
        assert_eq!(calls.open().err().as_deref(), Some("died"));
        drop(opened);
    }
}
