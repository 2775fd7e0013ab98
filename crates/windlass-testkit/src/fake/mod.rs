//! Hosts that do nothing but what a script says, and remember everything that they were sent.

mod command;
mod keep;
mod script;
mod talk;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use windlass_engine::host::{Conversation, HostError, HostErrorKind, Hosts};
use windlass_model::ids::{HostName, TaskId};
use windlass_model::step::{Endpoint, Step};

pub use command::{FakeKind, register};
use keep::Keeping;
pub use script::{Chunk, Lost, Refusal, Remains, Rule, Script, Then};

/// A batch that was sent to a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When, in virtual time since the first use of the hosts.
    pub at: Duration,
    /// Where to.
    pub host: HostName,
    /// As whom.
    pub user: Option<String>,
    /// For which task.
    pub task: TaskId,
    /// Whether it continued the batch in flight.
    pub ahead: bool,
    /// The texts of its steps; see [`text_of`].
    pub steps: Vec<String>,
    /// Whether it outlives the link.
    pub kept: bool,
}

/// A step that a host did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// When it began.
    pub at: Duration,
    /// Where.
    pub host: HostName,
    /// For which task.
    pub task: TaskId,
    /// Its text.
    pub step: String,
}

/// Scripted hosts. Cloneable; clones are the same hosts. No two steps end in the same millisecond and every one of
/// them in an even one, so that a test knows the order in which things happen.
#[derive(Clone, Default)]
pub struct FakeHosts(Arc<Mutex<Record>>);

/// What the hosts know.
#[derive(Default)]
pub(crate) struct Record {
    pub(crate) script: Script,
    start: Option<Instant>,
    ends: BTreeSet<u64>,
    pub(crate) sent: Vec<Sent>,
    pub(crate) done: Vec<Done>,
    pub(crate) killed: Vec<HostName>,
    pub(crate) opened: Vec<HostName>,
    pub(crate) kept: Keeping,
    pub(crate) forgotten: Vec<HostName>,
    running: BTreeMap<HostName, usize>,
    most_on_host: BTreeMap<HostName, usize>,
    most: usize,
}

impl Record {
    pub(crate) fn now(&mut self) -> Duration {
        let now = Instant::now();
        now - *self.start.get_or_insert(now)
    }

    /// When something that takes so many milliseconds, and at least 1, ends.
    pub(crate) fn end_after(&mut self, millis: u64) -> Instant {
        let now = self.now().as_millis() as u64;
        let mut end = (now + millis.max(1)).next_multiple_of(2);
        while !self.ends.insert(end) {
            end += 2;
        }
        self.start.unwrap_or_else(Instant::now) + Duration::from_millis(end)
    }

    /// What the program `was done: TEXT` asks.
    pub(crate) fn was_done(&self, host: &HostName, text: &str) -> bool {
        self.done.iter().any(|d| d.host == *host && d.step == text)
    }

    pub(crate) fn begin(&mut self, host: &HostName) {
        let here = self.running.entry(host.clone()).or_default();
        *here += 1;
        let most = self.most_on_host.entry(host.clone()).or_default();
        *most = (*most).max(*here);
        self.most = self.most.max(self.running.values().sum());
    }

    pub(crate) fn end(&mut self, host: &HostName) {
        if let Some(here) = self.running.get_mut(host) {
            *here = here.saturating_sub(1);
        }
    }
}

impl FakeHosts {
    /// Hosts that follow a script; whatever it does not speak of succeeds in 2 ms.
    pub fn new(script: Script) -> Self {
        let hosts = Self::default();
        hosts.record().script = script;
        hosts
    }

    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Hosts that remember the same and from here on follow another script.
    pub fn then(&self, script: Script) {
        let mut record = self.record();
        record.script = script;
        // The clock of the next play starts anew.
        record.start = None;
        record.ends.clear();
        record.running.clear();
    }

    /// Every batch that was sent, in order.
    pub fn sent(&self) -> Vec<Sent> {
        self.record().sent.clone()
    }

    /// Every step that began on a host, in order. A link that is lost `before` leaves no trace here.
    pub fn done(&self) -> Vec<Done> {
        self.record().done.clone()
    }

    /// The texts of [`FakeHosts::done`].
    pub fn done_texts(&self) -> Vec<String> {
        self.done().into_iter().map(|d| d.step).collect()
    }

    /// The hosts of conversations that were killed, in order.
    pub fn killed(&self) -> Vec<HostName> {
        self.record().killed.clone()
    }

    /// The hosts of conversations that were opened, in order.
    pub fn opened(&self) -> Vec<HostName> {
        self.record().opened.clone()
    }

    /// The hosts that were told to forget what they keep of the run, in order.
    pub fn forgotten(&self) -> Vec<HostName> {
        self.record().forgotten.clone()
    }

    /// The most tasks that ran at once.
    pub fn most_at_once(&self) -> usize {
        self.record().most
    }

    /// The most tasks that ran at once on each host.
    pub fn most_on_hosts(&self) -> BTreeMap<HostName, usize> {
        self.record().most_on_host.clone()
    }
}

#[async_trait]
impl Hosts for FakeHosts {
    async fn converse(
        &self,
        host: &HostName,
        user: Option<&str>,
    ) -> Result<Box<dyn Conversation>, HostError> {
        let refused = {
            let mut record = self.record();
            let refusal = record.script.refusal(host);
            refusal.map(|r| (record.end_after(r.takes), r.error()))
        };
        if let Some((end, error)) = refused {
            tokio::time::sleep_until(end).await;
            return Err(error);
        }
        self.record().opened.push(host.clone());
        Ok(Box::new(talk::FakeTalk::open(
            self.clone(),
            host.clone(),
            user,
        )))
    }

    async fn check_keys(&self, hosts: &[HostName]) -> Vec<(HostName, HostError)> {
        let record = self.record();
        let wrong = |host: &HostName| {
            let refusals = record.script.refuse.iter();
            refusals
                .filter(|r| r.speaks_of(host))
                .map(Refusal::error)
                .find(|e| e.kind == HostErrorKind::HostKey)
        };
        hosts
            .iter()
            .filter_map(|host| Some((host.clone(), wrong(host)?)))
            .collect()
    }

    async fn close(&self) {}
}

/// What a script's `on` is looked for in: the program, `put PATH`, `dial ENDPOINT`, `METHOD URL`, the message.
pub fn text_of(step: &Step) -> String {
    match step {
        Step::Run(run) => run.script.clone(),
        Step::Put(put) => format!("put {}", put.to),
        Step::Dial(dial) => match &dial.to {
            Endpoint::Tcp(host, port) => format!("dial {host}:{port}"),
            Endpoint::Unix(path) => format!("dial {path}"),
        },
        Step::Http(http) => format!("{} {}", http.method, http.url),
        Step::Log(say) => say.message.to_string(),
    }
}
