//! A plugin for the length of a run: started when first needed, started again when it died.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::time::Instant;

use crate::callbacks::{Callbacks, Log, NoCallbacks};
use crate::describe::Description;
use crate::error::CallError;
use crate::message::{PROTOCOL, Params};
use crate::process::Process;
use crate::spec::PluginSpec;

/// How many calls with a time limit are under way at once; the others wait, and their time has not begun.
const TIMED_CALLS: usize = 16;
/// After how many processes in a row that died without answering a call none is started for a while.
const FRUITLESS_STARTS: u32 = 3;
/// For how long.
const REST: Duration = Duration::from_secs(60);

/// A plugin. Calls may be made concurrently. A process that died is replaced by the next call; calls that were
/// under way then have failed. Dropping it kills the process group.
pub struct Worker {
    spec: PluginSpec,
    log: Log,
    state: Mutex<State>,
    timed: Semaphore,
    closed: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    current: Option<Arc<Running>>,
    fruitless: u32,
    last_fault: Option<String>,
    rests_until: Option<Instant>,
}

impl State {
    fn failed(&mut self, why: String) {
        self.fruitless += 1;
        self.last_fault = Some(why);
        self.rests_until = Some(Instant::now() + REST);
    }
}

struct Running {
    process: Process,
    description: Arc<Description>,
    fruitful: AtomicBool,
}

impl Worker {
    /// A plugin that is not started yet. `log` takes what its processes write to stderr.
    pub fn new(spec: PluginSpec, log: Log) -> Self {
        Self {
            spec,
            log,
            state: Mutex::default(),
            timed: Semaphore::new(TIMED_CALLS),
            closed: watch::Sender::new(false),
        }
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// What it offers. Starts it if it does not run.
    pub async fn describe(&self) -> Result<Arc<Description>, CallError> {
        Ok(self.running().await?.description.clone())
    }

    /// Makes a call, starting the process if it does not run; `callbacks` serve what the plugin asks meanwhile.
    ///
    /// `execute`, `build` and `install` may take as long as the caller waits; any other call has the plugin's
    /// limit, and when that is over the plugin is killed. When the plugin dies during the call, what is being served to it
    /// is finished first. Dropping the future cancels the call: an answer is ignored, the plugin goes on.
    pub async fn call(
        &self,
        method: &str,
        params: Params,
        callbacks: &mut dyn Callbacks,
    ) -> Result<Value, CallError> {
        let limit = self.limit_of(method);
        let _turn = match limit {
            Some(_) => self.timed.acquire().await.ok(),
            None => None,
        };
        let running = self.running().await?;
        let called = running.process.call(method, params, callbacks, limit).await;
        if !matches!(called, Err(CallError::Broken(_))) {
            running.fruitful.store(true, Ordering::SeqCst);
        }
        called
    }

    /// Ends it: stdin is closed, then TERM, then KILL, with the close time between them. Open calls fail at once, and no
    /// call can be made after this.
    pub async fn close(&self) {
        // A process that is being started is dropped by this, and lets go of the state.
        self.closed.send_replace(true);
        let running = self.state.lock().await.current.take();
        if let Some(running) = running {
            running.process.close().await;
        }
    }

    fn limit_of(&self, method: &str) -> Option<Duration> {
        match method {
            "execute" | "build" | "install" => None,
            _ => Some(self.spec.limits.call_time),
        }
    }

    async fn running(&self) -> Result<Arc<Running>, CallError> {
        let mut state = self.state.lock().await;
        if *self.closed.borrow() {
            return Err(self.was_closed());
        }
        if let Some(running) = &state.current {
            match running.process.shared.calls.ended() {
                None => return Ok(running.clone()),
                Some(_) if running.fruitful.load(Ordering::SeqCst) => state.fruitless = 0,
                Some(why) => state.failed(why),
            }
            state.current = None;
        }
        let rests = state
            .rests_until
            .is_some_and(|until| Instant::now() < until);
        if state.fruitless >= FRUITLESS_STARTS && rests {
            let why = state.last_fault.as_deref().unwrap_or_default();
            let rest = REST.as_secs();
            let text =
                format!("{why} ({FRUITLESS_STARTS} times; it is not started again for {rest} s)");
            return Err(CallError::Broken(text));
        }
        let mut closed = self.closed.subscribe();
        let started = tokio::select! {
            started = self.start() => started,
            _ = closed.wait_for(|closed| *closed) => return Err(self.was_closed()),
        };
        match started {
            Ok(running) => {
                let running = Arc::new(running);
                state.current = Some(running.clone());
                Ok(running)
            }
            Err(error) => {
                state.failed(error.to_string());
                Err(error)
            }
        }
    }

    fn was_closed(&self) -> CallError {
        CallError::Broken(format!("the plugin `{}` was closed", self.spec.name))
    }

    async fn start(&self) -> Result<Running, CallError> {
        let process = Process::start(&self.spec, &self.log).map_err(CallError::Broken)?;
        let wrong = |why: String| {
            CallError::Broken(format!(
                "the plugin `{}` cannot be used: {why}",
                self.spec.name
            ))
        };
        let mut params = Params::new();
        params.insert("protocol".into(), PROTOCOL.into());
        params.insert("directory".into(), json!(self.spec.directory));
        let limit = self.limit_of("describe");
        let mut callbacks = NoCallbacks(self.log.clone());
        let answer = process
            .call("describe", params, &mut callbacks, limit)
            .await?;
        let description: Description = serde_json::from_value(answer)
            .map_err(|e| wrong(format!("its answer to `describe` is wrong: {e}")))?;
        if description.protocol != PROTOCOL {
            let theirs = description.protocol;
            return Err(wrong(format!(
                "it speaks version {theirs} of the protocol, and this Windlass speaks {PROTOCOL}"
            )));
        }
        Ok(Running {
            process,
            description: Arc::new(description),
            fruitful: AtomicBool::new(false),
        })
    }
}
