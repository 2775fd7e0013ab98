//! The conversation with a host, as the executor sees it. The work is done by an [`Actor`] of its own, so that
//! listening can be broken off at any time.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::AsyncWriteExt;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use windlass_engine::host::{Batch, Conversation, Heard, HostError, HostErrorKind, Keep, Kept};
use windlass_engine::secrets::Secrets;
use windlass_model::ids::TaskId;
use windlass_model::step::{As, Run, Step, Want};

use super::actor::Actor;
use super::digests::Digests;
use super::keep;
use super::script;
use super::shell::Door;
use super::transport::{Patience, Reach, Said};
use super::work::{Rule, Work};

/// Batches that wait to be taken up.
const BATCHES: usize = 16;
/// What was heard and not yet listened to; output comes in chunks of at most 64 KiB.
const HEARD: usize = 64;
/// How long an ended conversation may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);
/// How long killing may take: 10 s until KILL, and the way there.
const KILL: Duration = Duration::from_secs(25);

/// The number of a group that was recalled; those of a conversation's own count from 1.
const RECALLED: u64 = 0;

/// What a conversation needs.
pub(crate) struct Context {
    /// How shells are opened.
    pub(crate) door: Door,
    /// The way to other hosts.
    pub(crate) reach: Arc<dyn Reach>,
    /// Digests of local files.
    pub(crate) digests: Arc<Digests>,
    /// The process groups that were started, by a number of ours.
    pub(crate) groups: Groups,
}

/// Process groups, each with whose rights it has.
#[derive(Default)]
pub(crate) struct Groups {
    /// None: it has not been told yet.
    all: Mutex<HashMap<u64, Option<(As, i32)>>>,
    told: Notify,
}

impl Groups {
    /// One is about to be told.
    pub(crate) fn expect(&self, number: u64) {
        self.lock().insert(number, None);
    }

    /// Notes one.
    pub(crate) fn add(&self, number: u64, user: &As, group: i32) {
        // 0 and 1 would be ourselves and everything
        if group > 1 {
            self.lock().insert(number, Some((user.clone(), group)));
            self.told.notify_waiters();
        } else {
            self.remove(number);
        }
    }

    /// It ended.
    pub(crate) fn remove(&self, number: u64) {
        self.lock().remove(&number);
        self.told.notify_waiters();
    }

    /// Waits until none is about to be told.
    async fn all_told(&self) {
        loop {
            let mut told = std::pin::pin!(self.told.notified());
            told.as_mut().enable();
            if self.lock().values().all(Option::is_some) {
                return;
            }
            told.await;
        }
    }

    fn by_user(&self) -> HashMap<As, Vec<i32>> {
        let mut users: HashMap<As, Vec<i32>> = HashMap::new();
        for (user, group) in self.lock().values().flatten() {
            users.entry(user.clone()).or_default().push(*group);
        }
        users
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Option<(As, i32)>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A batch with its secrets put in.
pub(crate) struct Order {
    /// Of the task.
    pub(crate) task: TaskId,
    /// In order.
    pub(crate) work: Vec<(Work, Rule)>,
    /// Whether it depends on what is in flight.
    pub(crate) ahead: bool,
    /// Whether its programs outlive the link.
    pub(crate) keep: Option<Keep>,
}

/// See [`Conversation`].
pub(crate) struct Talk {
    cx: Arc<Context>,
    orders: Option<mpsc::Sender<Order>>,
    heard: mpsc::Receiver<Result<Heard, HostError>>,
    /// What was heard while a batch waited to be taken up: the few things until it is.
    early: VecDeque<Result<Heard, HostError>>,
    actor: JoinHandle<()>,
    /// What was sent and not heard of, with whether it begins a batch that depends on nothing.
    open: VecDeque<(bool, Rule)>,
    ended: Option<HostError>,
}

impl Talk {
    /// Begins one; shells are opened when they are needed.
    pub(crate) fn new(cx: Context) -> Self {
        let cx = Arc::new(cx);
        let (orders, taken) = mpsc::channel(BATCHES);
        let (said, heard) = mpsc::channel(HEARD);
        let actor = tokio::spawn(Actor::new(cx.clone(), taken, said).run());
        Self {
            cx,
            orders: Some(orders),
            heard,
            early: VecDeque::new(),
            actor,
            open: VecDeque::new(),
            ended: None,
        }
    }

    fn lost(&self) -> HostError {
        self.ended.clone().unwrap_or_else(|| {
            let host = self.cx.door.transport.host();
            HostError::new(
                HostErrorKind::Lost,
                format!("{host}: the conversation ended"),
            )
        })
    }
}

#[async_trait]
impl Conversation for Talk {
    async fn send(&mut self, batch: Batch, secrets: &Arc<Secrets>) -> Result<(), HostError> {
        let ahead = batch.ahead && !self.open.is_empty();
        let rules: Vec<Rule> = batch.steps.iter().map(Rule::of).collect();
        let work = batch
            .steps
            .into_iter()
            .map(|step| {
                let rule = Rule::of(&step);
                (Work::new(step, secrets), rule)
            })
            .collect();
        let order = Order {
            task: batch.task,
            work,
            ahead,
            keep: batch.keep,
        };
        let Some(orders) = &self.orders else {
            return Err(self.lost());
        };
        // Whoever takes up batches may wait to be listened to, and both would wait for ever. Listened to, it takes up the next one.
        let room = loop {
            tokio::select! {
                room = orders.reserve() => break room,
                Some(heard) = self.heard.recv() => self.early.push_back(heard),
            }
        };
        match room {
            Ok(room) => room.send(order),
            Err(_) => return Err(self.lost()),
        }
        for (n, rule) in rules.into_iter().enumerate() {
            self.open.push_back((n == 0 && !ahead, rule));
        }
        Ok(())
    }

    async fn hear(&mut self) -> Result<Heard, HostError> {
        if self.ended.is_some() {
            return Err(self.lost());
        }
        let heard = match self.early.pop_front() {
            Some(heard) => Some(heard),
            None => self.heard.recv().await,
        };
        match heard {
            Some(Ok(heard)) => {
                if let Heard::Reply(_, reply) = &heard
                    && let Some((_, rule)) = self.open.pop_front()
                    && !rule.admits(reply)
                {
                    while self.open.front().is_some_and(|(begins, _)| !begins) {
                        self.open.pop_front();
                    }
                }
                Ok(heard)
            }
            Some(Err(error)) => {
                self.ended = Some(error.clone());
                Err(error)
            }
            None => {
                self.ended = Some(self.lost());
                Err(self.lost())
            }
        }
    }

    fn keeper(&self, keep: &Keep, is_awaited: bool) -> Option<Step> {
        let script = keep::make(&keep.directory(), is_awaited);
        let user = keep.user.clone();
        Some(Step::Run(Run {
            user,
            ..Run::script(script).want(Want::Any)
        }))
    }

    async fn recall(&mut self, keep: &Keep, task: TaskId) -> Result<Kept, HostError> {
        let answer = keep::recall(&self.cx.door, keep, task).await?;
        self.cx.groups.remove(RECALLED);
        if let Some(group) = answer.group {
            self.cx.groups.add(RECALLED, &keep.user, group);
        }
        Ok(answer.kept)
    }

    async fn forget(&mut self, keep: &Keep) -> Result<(), HostError> {
        let script = keep::forget(&keep.directory());
        let batch = Batch {
            task: TaskId::new(0, 0, 0),
            steps: vec![Step::Run(Run {
                user: keep.user.clone(),
                ..Run::script(script).want(Want::Any)
            })],
            ahead: false,
            keep: None,
        };
        self.send(batch, &Arc::default()).await?;
        while !matches!(self.hear().await?, Heard::Reply(..)) {}
        Ok(())
    }

    async fn kill(&mut self) {
        // what was sent may have begun: its group is known as soon as its shell says hello
        if !self.actor.is_finished() {
            let told = async {
                tokio::select! {
                    () = self.cx.groups.all_told() => {}
                    _ = &mut self.actor => {}
                }
            };
            let _ = tokio::time::timeout(GOODBYE, told).await;
        }
        self.orders = None;
        self.actor.abort();
        if !self.actor.is_finished() {
            let _ = tokio::time::timeout(GOODBYE, &mut self.actor).await;
        }
        let users = self.cx.groups.by_user();
        let kills = users
            .iter()
            .map(|(user, groups)| kill(&self.cx.door, user, groups));
        let _ = tokio::time::timeout(KILL, futures_util::future::join_all(kills)).await;
    }

    async fn close(mut self: Box<Self>) {
        // the shells end by themselves: nobody has to wait until they have
        self.orders = None;
    }
}

/// Kills groups through a second shell with the same rights.
async fn kill(door: &Door, user: &As, groups: &[i32]) {
    let Ok(mut opened) = door.open(user, Patience::Urgent).await else {
        return;
    };
    let text = script::kill(&opened.nonce, groups);
    let _ = opened.process.stdin.write_all(text.as_bytes()).await;
    let _ = opened.process.stdin.shutdown().await;
    while let Some(said) = opened.process.events.recv().await {
        if matches!(said, Said::Exit(_)) {
            return;
        }
    }
}
