//! Does the work of a conversation: keeps its shells, sends programs ahead, and says what came of them in order.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use windlass_engine::host::{Heard, HostError, HostErrorKind};
use windlass_model::event::Stream;
use windlass_model::step::{As, Reply};

use super::conversation::{Context, Order};
use super::greeting::Greeting;
use super::item::Item;
use super::keep;
use super::marker::{Mark, Piece, Splitter};
use super::script::{self, Go};
use super::shell::Opened;
use super::transport::{Patience, Said, StartError};
use super::work::{RunWork, Work};
use super::{bundle, dial, http, put};

/// Steps that may wait here; more batches are not taken up until there is room. That is more than the executor has under way, so that
/// none of its batches waits for what is under way to end.
const STEPS: usize = 16 * 1024;
/// Pieces of text that wait to be written to a shell.
const WRITES: usize = 64;
/// How long shells may take to end when nothing runs in them.
const RELEASE: Duration = Duration::from_secs(3);

/// Why the actor ends before its work is done.
pub(crate) enum End {
    /// Nobody listens any more.
    Quit,
    /// The host failed.
    Failed(HostError),
}

impl From<HostError> for End {
    fn from(error: HostError) -> Self {
        Self::Failed(error)
    }
}

/// Both ends of what the shells say, with the number of the shell.
type Saids = (mpsc::Sender<(u64, Said)>, mpsc::Receiver<(u64, Said)>);

/// One shell of the conversation.
struct Shell {
    number: u64,
    nonce: String,
    writer: mpsc::Sender<String>,
    /// The directory that it can keep work in.
    keeps: Option<String>,
    /// What it has said until it has said hello on both streams.
    greeting: Option<Greeting>,
    out: Splitter,
    err: Splitter,
}

/// See the module.
pub(crate) struct Actor {
    cx: Arc<Context>,
    orders: mpsc::Receiver<Order>,
    heard: mpsc::Sender<Result<Heard, HostError>>,
    shells: HashMap<As, Shell>,
    /// What the shells say.
    said: Saids,
    /// Forwarders and writers of the shells; they end with the actor.
    tasks: JoinSet<()>,
    queue: VecDeque<Item>,
    next: u64,
    batch: u64,
    group: u64,
    group_failed: bool,
    live: Option<Live>,
}

/// What the kept step at the front prints while it runs.
struct Live {
    id: u64,
    found: mpsc::Receiver<(Stream, Vec<u8>)>,
    /// Ends with this.
    _following: JoinSet<()>,
}

impl Actor {
    /// Takes orders until nobody gives them.
    pub(crate) fn new(
        cx: Arc<Context>,
        orders: mpsc::Receiver<Order>,
        heard: mpsc::Sender<Result<Heard, HostError>>,
    ) -> Self {
        Self {
            cx,
            orders,
            heard,
            shells: HashMap::new(),
            said: mpsc::channel(super::transport::OUTPUT_QUEUE),
            tasks: JoinSet::new(),
            queue: VecDeque::new(),
            next: 0,
            batch: 0,
            group: 0,
            group_failed: false,
            live: None,
        }
    }

    /// Works until the orders end or the host fails; the failure is the last thing said.
    pub(crate) async fn run(mut self) {
        match self.work().await {
            Ok(()) => self.release().await,
            Err(End::Quit) => {}
            Err(End::Failed(error)) => {
                let _ = self.heard.send(Err(error)).await;
            }
        }
    }

    async fn work(&mut self) -> Result<(), End> {
        loop {
            match self.queue.front().map(|item| &item.work) {
                Some(Work::Run(run)) => {
                    let user = run.user.clone();
                    self.run_programs(&user).await?;
                }
                Some(_) => self.do_other().await?,
                None if self.orders.is_closed() && self.orders.is_empty() => return Ok(()),
                None => self.listen().await?,
            }
        }
    }

    /// Waits for one order or for one thing said by a shell.
    async fn listen(&mut self) -> Result<(), End> {
        let heard = self.heard.clone();
        tokio::select! {
            order = self.orders.recv(), if self.queue.len() < STEPS => match order {
                Some(order) => self.admit(order),
                None if self.queue.is_empty() => {}
                None => return Err(End::Quit),
            },
            Some((number, said)) = self.said.1.recv() => self.on_said(number, said).await?,
            Some((stream, bytes)) = next_of(&mut self.live) => self.on_live(stream, bytes).await?,
            () = overdue(&self.shells) => return Err(self.cx.door.silent_shell().into()),
            () = heard.closed() => return Err(End::Quit),
        }
        Ok(())
    }

    /// Follows the step at the front while it runs, if it is kept.
    fn follow(&mut self) {
        let front = self.queue.front().filter(|item| item.written);
        let Some((id, task, (kept, number))) =
            front.and_then(|i| Some((i.id, i.task, i.keep.as_ref()?)))
        else {
            self.live = None;
            return;
        };
        if self.live.as_ref().is_some_and(|live| live.id == id) {
            return;
        }
        let (found, taken) = mpsc::channel(WRITES);
        let mut following = JoinSet::new();
        following.spawn(keep::follow(
            self.cx.clone(),
            kept.clone(),
            keep::name(kept, task),
            *number,
            found,
        ));
        self.live = Some(Live {
            id,
            found: taken,
            _following: following,
        });
    }

    async fn on_live(&mut self, stream: Stream, bytes: Vec<u8>) -> Result<(), End> {
        let id = self.live.as_ref().map(|live| live.id);
        let Some(item) = self.queue.front_mut().filter(|item| Some(item.id) == id) else {
            return Ok(());
        };
        if !item.side_mut(stream).tell(&bytes) {
            return Ok(());
        }
        let task = item.task;
        self.say(Heard::Output(task, stream, bytes)).await
    }

    fn admit(&mut self, order: Order) {
        if !order.ahead {
            self.group += 1;
            self.group_failed = false;
        } else if self.group_failed {
            return;
        }
        // its digest is wanted first, and the host is busy with other things until then
        let file = order.work.iter().find_map(|(work, _)| work.file());
        if let Some(path) = file.map(Path::to_owned) {
            while self.tasks.try_join_next().is_some() {}
            let cx = self.cx.clone();
            // why it cannot be read is told when it is put
            self.tasks
                .spawn(async move { drop(cx.digests.of_file(&path).await) });
        }
        self.batch += 1;
        let mut number = order.keep.as_ref().map_or(0, |keep| keep.from);
        for (n, (work, rule)) in order.work.into_iter().enumerate() {
            self.next += 1;
            let place = (self.next, self.batch, self.group);
            let mut item = Item::new(place, order.task, n == 0, work, rule);
            if let (Some(keep), Work::Run(run)) = (&order.keep, &item.work)
                && run.user == keep.user
            {
                item.keep = Some((keep.clone(), number));
                number += 1;
            }
            self.queue.push_back(item);
        }
    }

    /// Writes what can be written to the shell of `user` and listens.
    async fn run_programs(&mut self, user: &As) -> Result<(), End> {
        if !self.shells.contains_key(user) {
            let opened = self.open(user).await?;
            self.take_in(user, opened);
        }
        self.write_ahead(user);
        self.follow();
        self.listen().await
    }

    /// Has a shell say hello. What it is to do follows at once: it says hello before it begins, and only then is it killed.
    fn take_in(&mut self, user: &As, opened: Opened) {
        self.next += 1;
        let number = self.next;
        self.cx.groups.expect(number);
        let (writer, mut texts) = mpsc::channel::<String>(WRITES);
        let Opened {
            process,
            nonce,
            out,
            err,
        } = opened;
        let (mut stdin, mut events) = (process.stdin, process.events);
        // there is room in a queue that is new
        let _ = writer.try_send(script::hello(&nonce));
        self.tasks.spawn(async move {
            while let Some(text) = texts.recv().await {
                // a shell that is gone says so on the other side
                if stdin.write_all(text.as_bytes()).await.is_err() || stdin.flush().await.is_err() {
                    return;
                }
            }
            let _ = stdin.shutdown().await;
        });
        let said = self.said.0.clone();
        self.tasks.spawn(async move {
            while let Some(event) = events.recv().await {
                let ended = matches!(event, Said::Exit(_));
                if said.send((number, event)).await.is_err() || ended {
                    return;
                }
            }
            let _ = said.send((number, Said::Exit(None))).await;
        });
        self.shells.insert(
            user.clone(),
            Shell {
                number,
                nonce,
                writer,
                keeps: None,
                greeting: Some(Greeting::default()),
                out,
                err,
            },
        );
    }

    /// Sends the programs at the front of the queue that are for this shell, a batch at a time.
    fn write_ahead(&mut self, user: &As) {
        let Some(shell) = self.shells.get_mut(user) else {
            return;
        };
        fn program<'a>(item: &'a Item, user: &As) -> Option<&'a RunWork> {
            match &item.work {
                Work::Run(run) if run.user == *user => Some(run),
                _ => None,
            }
        }
        let ours = self
            .queue
            .iter()
            .take_while(|item| program(item, user).is_some())
            .count();
        let mut flying = None;
        let mut from = 0;
        while let Some(item) = self.queue.get(from).filter(|_| from < ours) {
            if item.written {
                flying = Some(item.group);
                from += 1;
                continue;
            }
            let (batch, group) = (item.batch, item.group);
            let programs: Vec<script::Program<'_>> = self
                .queue
                .iter()
                .take(ours)
                .skip(from)
                .take_while(|item| item.batch == batch)
                .filter_map(|item| {
                    let run = program(item, user)?;
                    Some(script::Program {
                        id: item.id,
                        first: item.first,
                        script: &run.script,
                        env: run
                            .env
                            .iter()
                            .map(|(n, v)| (n.as_str(), v.expose()))
                            .collect(),
                        cwd: run.cwd.as_deref(),
                        want: &run.want,
                    })
                })
                .collect();
            let go = if flying == Some(group) {
                Go::Unless
            } else {
                Go::Always
            };
            let count = programs.len();
            let kept = item.keep.as_ref().map(|(keep, from)| script::Kept {
                directory: Some(keep.directory()).filter(|of| shell.keeps.as_ref() != Some(of)),
                fence: keep::Fence {
                    name: keep::name(keep, item.task),
                    from: *from,
                    count,
                },
            });
            let text = script::batch(&shell.nonce, go, kept.as_ref(), &programs);
            if shell.writer.try_send(text).is_err() {
                return;
            }
            if let Some((keep, _)) = &item.keep {
                shell.keeps = Some(keep.directory());
            }
            for item in self.queue.iter_mut().skip(from).take(count) {
                item.written = true;
            }
            flying = Some(group);
            from += count;
        }
    }

    /// A step that is no program of the shell.
    async fn do_other(&mut self) -> Result<(), End> {
        let Some(item) = self.queue.front() else {
            return Ok(());
        };
        let task = item.task;
        if item.first {
            self.say(Heard::Begun(task)).await?;
        }
        if self.put_together().await? {
            return Ok(());
        }
        let cx = self.cx.clone();
        let reply = match self.queue.front().map(|item| &item.work) {
            Some(Work::Impossible(why)) => Reply::Impossible(why.clone()),
            Some(Work::Dial(work)) => {
                let work = work.clone();
                self.meanwhile(async move { dial::dial(&cx, &work).await })
                    .await??
            }
            Some(Work::Http(work)) => {
                let work = work.clone();
                self.meanwhile(async move { http::ask(&cx, &work).await })
                    .await??
            }
            Some(Work::Put(work)) => {
                let work = work.clone();
                self.put(work, task).await?
            }
            Some(Work::Run(_) | Work::Log) | None => Reply::Logged,
        };
        self.settle_front(reply).await
    }

    /// Puts the files at the front together, if there is more than one that may be; false when it has done nothing.
    async fn put_together(&mut self) -> Result<bool, End> {
        let mut works = bundle::front(&self.queue);
        if works.len() < 2 {
            return Ok(false);
        }
        let cx = self.cx.clone();
        let loading = async {
            let loads = bundle::load(&cx, &works).await;
            works.truncate(loads.len());
            (works, loads)
        };
        let (works, loads) = self.meanwhile(loading).await?;
        let count = works.len();
        let Some(user) = works
            .first()
            .filter(|_| count > 1)
            .map(|w| w.put.user.clone())
        else {
            return Ok(false);
        };
        let opened = self.open(&user).await?;
        self.next += 1;
        let (cx, number) = (self.cx.clone(), self.next);
        let sent = async move {
            let replies = bundle::send(&cx, opened, works, loads, number).await;
            cx.groups.remove(number);
            replies
        };
        let Some(replies) = self.meanwhile(sent).await?? else {
            self.queue
                .iter_mut()
                .take(count)
                .for_each(|item| item.alone = true);
            return Ok(false);
        };
        for reply in replies {
            self.settle_front(reply).await?;
        }
        Ok(true)
    }

    async fn put(
        &mut self,
        work: super::work::PutWork,
        task: windlass_model::ids::TaskId,
    ) -> Result<Reply, End> {
        let opened = self.open(&work.put.user).await?;
        let cx = self.cx.clone();
        let load = {
            let work = work.clone();
            async move { put::load(&cx, &work).await }
        };
        let load = match self.meanwhile(load).await? {
            Ok(load) => load,
            Err(why) => return Ok(Reply::Impossible(why)),
        };
        self.next += 1;
        let (cx, number, heard) = (self.cx.clone(), self.next, self.heard.clone());
        let sent = async move {
            let reply = put::send(&cx, opened, &work, load, number, |done, total| {
                // progress that nobody has room for is left out
                let _ = heard.try_send(Ok(Heard::Progress(task, done, total)));
            })
            .await;
            cx.groups.remove(number);
            reply
        };
        Ok(self.meanwhile(sent).await??)
    }

    /// Opens a shell. When the host has no room for one more, our own that do nothing make room.
    async fn open(&mut self, user: &As) -> Result<Opened, End> {
        for patience in [Patience::None, Patience::Turn] {
            let (cx, who) = (self.cx.clone(), user.clone());
            let opened = self
                .meanwhile(async move { cx.door.open(&who, patience).await })
                .await?;
            match opened {
                Ok(opened) => return Ok(opened),
                Err(StartError::Host(error)) => return Err(error.into()),
                Err(StartError::Busy) => self.release().await,
            }
        }
        let host = self.cx.door.transport.host();
        Err(HostError::new(
            HostErrorKind::Shell,
            format!("{host}: it runs as many programs as it allows, and none has ended"),
        )
        .into())
    }

    /// Ends the shells, in which nothing runs.
    async fn release(&mut self) {
        let mut waiting: Vec<u64> = Vec::new();
        for (_, shell) in self.shells.drain() {
            self.cx.groups.remove(shell.number);
            waiting.push(shell.number);
        }
        let ended = async {
            while !waiting.is_empty() {
                match self.said.1.recv().await {
                    Some((number, Said::Exit(_))) => waiting.retain(|n| *n != number),
                    Some(_) => {}
                    None => return,
                }
            }
        };
        let _ = tokio::time::timeout(RELEASE, ended).await;
        self.tasks.abort_all();
    }

    /// Waits for `doing` and drains the shells meanwhile: one that nobody reads would hold up the whole connection.
    async fn meanwhile<T>(&mut self, doing: impl Future<Output = T> + Send) -> Result<T, End> {
        tokio::pin!(doing);
        let heard = self.heard.clone();
        loop {
            tokio::select! {
                done = &mut doing => return Ok(done),
                Some((number, said)) = self.said.1.recv() => self.on_said(number, said).await?,
                () = heard.closed() => return Err(End::Quit),
            }
        }
    }

    async fn on_said(&mut self, number: u64, said: Said) -> Result<(), End> {
        let Some((user, shell)) = self.shells.iter_mut().find(|(_, s)| s.number == number) else {
            return Ok(());
        };
        let (stream, pieces) = match said {
            Said::Out(bytes) => (Stream::Stdout, shell.out.feed(&bytes)),
            Said::Err(bytes) => (Stream::Stderr, shell.err.feed(&bytes)),
            Said::Exit(status) => {
                let user = user.clone();
                return self.on_exit(&user, status);
            }
        };
        let user = user.clone();
        let pieces = match &mut shell.greeting {
            Some(greeting) => {
                let (pieces, group) = greeting.take(stream, pieces);
                if greeting.is_over() {
                    shell.greeting = None;
                }
                if let Some(group) = group {
                    self.cx.groups.add(number, &user, group);
                }
                pieces
            }
            None => pieces,
        };
        for piece in pieces {
            self.on_piece(&user, stream, piece).await?;
        }
        self.settle().await
    }

    fn on_exit(&mut self, user: &As, status: Option<i32>) -> Result<(), End> {
        let shell = self.shells.remove(user);
        if let Some(shell) = &shell {
            self.cx.groups.remove(shell.number);
        }
        if let Some(greeting) = shell.and_then(|shell| shell.greeting) {
            return Err(self.cx.door.no_shell(status, &greeting.noise).into());
        }
        let host = self.cx.door.transport.host();
        let flying = self.queue.front().is_some_and(|item| item.written);
        match status {
            None => Err(
                HostError::new(HostErrorKind::Lost, format!("{host}: the link was lost")).into(),
            ),
            Some(status) if flying => Err(HostError::new(
                HostErrorKind::Lost,
                format!("{host}: the shell ended (exit status {status}) before the step in it did"),
            )
            .into()),
            Some(_) => Ok(()),
        }
    }

    async fn on_piece(&mut self, user: &As, stream: Stream, piece: Piece) -> Result<(), End> {
        // only the shell of the step at the front has steps in flight; what others print belongs to no step
        let flying =
            |item: &Item| item.written && matches!(&item.work, Work::Run(run) if run.user == *user);
        let place = self
            .queue
            .iter()
            .position(|item| flying(item) && !item.side(stream).ended());
        let Some(item) = place.and_then(|place| self.queue.get_mut(place)) else {
            return Ok(());
        };
        let said = match piece {
            Piece::Bytes(mut bytes) => {
                item.side_mut(stream).capture(&bytes);
                if item.keep.is_some() {
                    bytes = item.side_mut(stream).untold(&bytes).to_vec();
                }
                (!bytes.is_empty()).then_some(Heard::Output(item.task, stream, bytes))
            }
            // on whichever stream it comes first: what is printed comes after it
            Piece::Mark(Mark::Begin(id)) if id == item.id && !item.begun => {
                item.begun = true;
                Some(Heard::Begun(item.task))
            }
            Piece::Mark(Mark::End(id, status)) if id == item.id => {
                item.side_mut(stream).status = Some(status);
                let cut = item.cut(stream);
                cut.map(|text| Heard::Output(item.task, stream, text.into_bytes()))
            }
            Piece::Mark(Mark::Refused(id)) if id == item.id => {
                item.refused = true;
                item.side_mut(stream).status = Some(script::DEAF);
                None
            }
            Piece::Mark(Mark::Fenced(id)) if id == item.id => {
                let host = self.cx.door.transport.host();
                let message = format!("{host}: task {} was begun there before", item.task);
                return Err(HostError::new(HostErrorKind::Lost, message).into());
            }
            Piece::Mark(_) => None,
        };
        let now = match said {
            Some(heard) if place == Some(0) || item.has_held_enough() => Some(heard),
            Some(heard) => {
                item.hold(heard);
                None
            }
            None => None,
        };
        match now {
            Some(heard) => self.say(heard).await,
            None => Ok(()),
        }
    }

    /// Says the replies of the steps that ended on both streams.
    async fn settle(&mut self) -> Result<(), End> {
        while let Some(reply) = self.queue.front_mut().and_then(Item::finished) {
            self.settle_front(reply).await?;
        }
        Ok(())
    }

    async fn settle_front(&mut self, reply: Reply) -> Result<(), End> {
        let Some(item) = self.queue.pop_front() else {
            return Ok(());
        };
        if !item.rule.admits(&reply) {
            self.queue.retain(|later| later.group != item.group);
            self.group_failed = self.group == item.group;
        }
        self.say(Heard::Reply(item.task, reply)).await?;
        let held = self.queue.front_mut().map(Item::take_held);
        for heard in held.into_iter().flatten() {
            self.say(heard).await?;
        }
        Ok(())
    }

    async fn say(&self, heard: Heard) -> Result<(), End> {
        self.heard.send(Ok(heard)).await.map_err(|_| End::Quit)
    }
}

/// When a shell has not said hello in time; never, when all have.
async fn overdue(shells: &HashMap<As, Shell>) {
    let greetings = shells.values().filter_map(|shell| shell.greeting.as_ref());
    match greetings.map(|greeting| greeting.until).min() {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// The next of what a step prints; never, when none is followed.
async fn next_of(live: &mut Option<Live>) -> Option<(Stream, Vec<u8>)> {
    match live {
        Some(live) => match live.found.recv().await {
            Some(found) => Some(found),
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}
