//! A worker for the script of many talents, and callbacks that note what is asked.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use windlass_plugin::{
    CallError, Callbacks, Limits, Log, LogLine, Params, PluginSpec, RpcError, Worker,
};

/// A worker and its log.
pub struct Rig {
    pub worker: Arc<Worker>,
    pub logged: Arc<Mutex<Vec<LogLine>>>,
    pub directory: tempfile::TempDir,
}

pub fn limits() -> Limits {
    Limits {
        call_time: Duration::from_secs(10),
        close_time: Duration::from_millis(300),
        ..Limits::default()
    }
}

pub fn rig(limits: Limits, env: &[(&str, &str)]) -> Rig {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/plugin.pl");
    program(&["perl", &script.to_string_lossy()], limits, env)
}

pub fn program(argv: &[&str], limits: Limits, env: &[(&str, &str)]) -> Rig {
    let directory = tempfile::tempdir().unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut all = vec![("PATH".to_owned(), path)];
    all.extend(env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    let spec = PluginSpec {
        name: "commands/all".into(),
        program: argv.iter().map(|w| (*w).to_owned()).collect(),
        directory: directory.path().to_owned(),
        env: all,
        limits,
    };
    let logged = Arc::new(Mutex::new(Vec::new()));
    let sink = logged.clone();
    let log: Log = Arc::new(move |line| sink.lock().unwrap().push(line));
    Rig {
        worker: Arc::new(Worker::new(spec, log)),
        logged,
        directory,
    }
}

/// Answers `number` with ten times `n`, after a wait.
#[derive(Default)]
pub struct Notes {
    pub asked: Vec<i64>,
    pub logged: Vec<LogLine>,
    pub wait: Duration,
}

#[async_trait]
impl Callbacks for Notes {
    async fn call(&mut self, method: &str, params: Params) -> Result<Value, RpcError> {
        if method != "number" {
            return Err(RpcError::no_method(method));
        }
        let n = params.get("n").and_then(Value::as_i64).unwrap();
        self.asked.push(n);
        tokio::time::sleep(self.wait).await;
        Ok(json!(n * 10))
    }

    fn log(&mut self, line: LogLine) {
        self.logged.push(line);
    }
}

impl Rig {
    /// A call of `method` that does `what`.
    pub async fn call(&self, method: &str, what: Value) -> Result<Value, CallError> {
        self.call_with(method, what, &mut Notes::default()).await
    }

    pub async fn call_with(
        &self,
        method: &str,
        what: Value,
        notes: &mut Notes,
    ) -> Result<Value, CallError> {
        let params = what.as_object().unwrap().clone();
        tokio::time::timeout(
            Duration::from_secs(30),
            self.worker.call(method, params, notes),
        )
        .await
        .expect("the call ends")
    }

    /// The same, for a call that breaks the plugin: why.
    pub async fn broken(&self, method: &str, what: Value) -> String {
        match self.call(method, what).await {
            Err(CallError::Broken(why)) => why,
            other => panic!("{other:?}"),
        }
    }
}

/// Whether a process is there (a zombie is not).
pub fn lives(pid: i64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().next());
    !matches!(state, None | Some("Z" | "X"))
}

pub async fn gone(pid: i64) -> bool {
    for _ in 0..100 {
        if !lives(pid) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}
