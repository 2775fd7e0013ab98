//! Clients: they ask all the time, again where no answer comes, and hold what they were told against what they are told later.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use windlass_testkit::chaos::Numbers;

use super::stage::ENVIRONMENTS;
use super::witness::Witness;
use crate::http::ask;
use crate::world::word;

/// How long something may go unanswered.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two questions of one client.
const PAUSE: Duration = Duration::from_millis(150);

/// Asks below `/api/v1`; none where no whole answer comes. What comes is never anything but an answer or a passing fault.
pub(crate) fn call(port: u16, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    let answer = ask(port, method, &format!("/api/v1/{path}"), &body)?;
    // a manager that is killed may have answered by half
    let value = serde_json::from_str(&answer.body).ok()?;
    Some((answer.status, value))
}

/// The same until it is answered, and not with "try again".
pub(crate) fn answered(port: u16, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let begun = Instant::now();
    let mut last = None;
    while begun.elapsed() < PATIENCE {
        match call(port, method, path, body) {
            Some((status, value)) if status != 503 => return (status, value),
            other => last = other,
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{method} {path} is not answered: {last:?}");
}

/// What was told of a transaction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// What the client called its request.
    pub(crate) request: Value,
    /// Its status, if it was over.
    pub(crate) ended: Option<String>,
    /// Whether somebody had to say what came of it.
    pub(crate) settled: bool,
    history: Vec<Value>,
}

/// What all clients were told.
#[derive(Clone, Default)]
pub(crate) struct Known(Arc<Mutex<BTreeMap<String, Told>>>);

impl Known {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Told>> {
        self.0.lock().unwrap()
    }

    /// The ids.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.all().keys().cloned().collect()
    }

    /// What was told of one.
    pub(crate) fn told(&self, id: &str) -> Told {
        self.all().get(id).cloned().unwrap()
    }

    fn add(&self, id: &str, request: &Value) {
        let told = Told {
            request: request.clone(),
            ..Told::default()
        };
        let before = self.all().insert(id.to_owned(), told);
        assert!(before.is_none(), "one id for two requests: {id}");
    }

    /// Asks for a transaction, and holds it against what was told before. One observer at a time a transaction.
    pub(crate) fn observe(&self, port: u16, id: &str) -> (String, Value) {
        let path = format!("transactions/{id}");
        let (status, seen) = answered(port, "GET", &path, &Value::Null);
        assert_eq!(status, 200, "{id} was acknowledged, and is lost: {seen}");
        let (status, history) = answered(port, "GET", &format!("{path}/history"), &Value::Null);
        assert_eq!(status, 200, "the history of {id} is lost: {history}");
        let history = history.as_array().unwrap().clone();
        let now = word(&seen["status"]);
        let is_over = seen["ended"].is_string();
        let mut all = self.all();
        let told = all.get_mut(id).unwrap();
        assert!(
            history.starts_with(&told.history),
            "{id}: what was told has changed: {:?} {history:?}",
            told.history
        );
        if let Some(before) = told.ended.as_ref().filter(|before| *before != "UNKNOWN") {
            assert_eq!((before, is_over), (&now, true), "{id}: {history:?}");
        }
        told.ended = is_over.then(|| now.clone());
        told.history = history;
        (now, seen)
    }

    /// Says what came of the installs of a transaction that nobody knows about, by what the witness has seen. Each names what to look
    /// at.
    pub(crate) fn settle(&self, port: u16, id: &str, witness: &Witness, numbers: &mut Numbers) {
        let path = format!("transactions/{id}");
        let (_, seen) = answered(port, "GET", &path, &Value::Null);
        for job in seen["jobs"].as_array().unwrap() {
            if job["state"] != "unknown" {
                continue;
            }
            let (name, result) = (word(&job["job"]), word(&job["result"]));
            assert!(result.contains("look at"), "{id}: {job}");
            witness.quiet(&name);
            let settled = match witness.of(&name) {
                Some((_, true)) => "done",
                _ if numbers.percent(50) => "failed",
                _ => "again",
            };
            let settle = format!("{path}/jobs/{name}/settle");
            let (status, answer) = answered(port, "POST", &settle, &json!({"settled": settled}));
            // Its installer may have told meanwhile, or an answer was lost; or another install has the target now.
            assert!([200, 422].contains(&status), "{status} {answer}");
        }
        self.all().get_mut(id).unwrap().settled = true;
    }
}

/// Clients that ask until they are ended.
pub(crate) struct Clients {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// One of them.
struct Client {
    port: u16,
    name: String,
    known: Known,
    witness: Arc<Witness>,
    numbers: Numbers,
    stop: Arc<AtomicBool>,
    again: Arc<AtomicU64>,
    asked: u64,
}

impl Clients {
    /// Starts them. `again` counts requests that were sent more than once.
    pub(crate) fn start(
        port: u16,
        known: &Known,
        witness: &Arc<Witness>,
        again: &Arc<AtomicU64>,
        numbers: Vec<Numbers>,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = numbers.into_iter().map(|mut numbers| {
            let mut client = Client {
                port,
                name: format!("{:016x}", numbers.any()),
                known: known.clone(),
                witness: witness.clone(),
                numbers,
                stop: stop.clone(),
                again: again.clone(),
                asked: 0,
            };
            std::thread::spawn(move || {
                while !client.is_over() {
                    client.go();
                }
            })
        });
        Self {
            threads: threads.collect(),
            stop,
        }
    }

    /// Ends them: no more is asked for.
    pub(crate) fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

impl Client {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// What is wanted next: mostly installs of what is to be built, some builds, some installs of what is built.
    fn wanted(&mut self) -> Value {
        self.asked += 1;
        let request = format!("{}-{}", self.name, self.asked);
        let mut data = json!({"project": "template", "request_id": request});
        let environment = self.numbers.pick(&ENVIRONMENTS).copied();
        let more = match self.numbers.below(10) {
            0..2 => json!({"action": "build", "trunk": true}),
            2..6 => {
                let (_, all) = answered(self.port, "GET", "releases", &Value::Null);
                let all = all.as_array().unwrap().clone();
                match self.numbers.pick(&all) {
                    Some(one) => {
                        json!({"action": "install", "env": environment, "release": one["release"]})
                    }
                    None => json!({"action": "build", "trunk": true}),
                }
            }
            _ => json!({"action": "install", "env": environment, "trunk": true}),
        };
        let more = more.as_object().unwrap().clone();
        data.as_object_mut().unwrap().extend(more);
        data
    }

    /// Asks for something, until that is answered; sometimes once more.
    fn ask(&mut self) -> String {
        let data = self.wanted();
        let begun = Instant::now();
        let id = loop {
            assert!(begun.elapsed() < PATIENCE, "not answered: {data}");
            match call(self.port, "POST", "transactions", &data) {
                Some((200, answer)) => break word(&answer["transaction"]),
                Some((503, _)) | None => {}
                Some(other) => panic!("{data}: {other:?}"),
            }
            self.again.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(50));
        };
        self.known.add(&id, &data);
        if self.numbers.percent(20) {
            self.again.fetch_add(1, Ordering::Relaxed);
            same_again(self.port, &id, &data);
        }
        id
    }

    /// Follows what it asked for to its end.
    fn go(&mut self) {
        let id = self.ask();
        while !self.is_over() {
            let (status, seen) = self.known.observe(self.port, &id);
            if seen["ended"].is_string() {
                if status != "UNKNOWN" || self.numbers.percent(50) {
                    return;
                }
                let numbers = &mut self.numbers;
                self.known.settle(self.port, &id, &self.witness, numbers);
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// A request that comes again is the same transaction.
pub(crate) fn same_again(port: u16, id: &str, request: &Value) {
    let (status, answer) = answered(port, "POST", "transactions", request);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(word(&answer["transaction"]), id, "{request}");
}
