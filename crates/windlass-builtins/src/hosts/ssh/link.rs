//! A connection to a host: programs and sockets are channels of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use russh::client::{Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelOpenFailure, Disconnect, Sig};
use tokio::sync::{Mutex, Notify, mpsc};
use windlass_engine::host::{HostError, HostErrorKind};
use windlass_model::ids::HostName;
use windlass_model::step::Endpoint;

use super::host_key::{HostKey, Look};
use super::pace::paced;
use super::pool::{Spec, Ssh};
use crate::hosts::transport::{
    DialError, Duplex, OUTPUT_QUEUE, Patience, Process, Said, StartError, Transport,
};

/// How long a program waits for its turn at most.
const TURN: Duration = Duration::from_secs(3600);
/// How long to wait before a refused program is tried again, when none of ours has ended meanwhile.
const AGAIN: Duration = Duration::from_millis(500);
/// After this long without a program of ours running, a host that refuses them refuses all.
const REFUSES: Duration = Duration::from_secs(10);
/// How long a channel may take to open.
const OPEN: Duration = Duration::from_secs(30);
/// The same when something must be killed.
const OPEN_URGENT: Duration = Duration::from_secs(5);
/// How long the server may take to answer what it answers at once.
const ALIVE: Duration = Duration::from_secs(30);
/// How long the other side may take to close a channel that we closed.
const CLOSE: Duration = Duration::from_secs(10);
/// How long a goodbye may take until it is on its way, and until what it goes through has passed it on.
const GOODBYE: Duration = Duration::from_secs(3);

/// What lets us in, what it showed, and the connection that it goes through.
pub(super) type Ready = (Handle<HostKey>, Look, Option<Arc<Link>>);

/// A connection that let us in.
pub(crate) struct Link {
    handle: Handle<HostKey>,
    look: Look,
    /// The connection that it goes through.
    through: Option<Arc<Link>>,
    running: AtomicUsize,
    ended: Notify,
    turn: Mutex<()>,
}

impl Link {
    /// Takes an authenticated connection.
    pub(crate) fn new((handle, look, through): Ready) -> Self {
        Self {
            handle,
            look,
            through,
            running: AtomicUsize::new(0),
            ended: Notify::new(),
            turn: Mutex::new(()),
        }
    }

    /// Whether it is lost.
    pub(crate) fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// How many others it goes through.
    pub(crate) fn jumps(&self) -> usize {
        self.through.as_ref().map_or(0, |link| 1 + link.jumps())
    }

    /// Says [`goodbye`], and waits until it has come past what it goes through.
    pub(crate) async fn close(&self) {
        goodbye(&self.handle, &self.look).await;
        if let Some(through) = &self.through {
            // what answers has passed on what it was given before
            let _ = tokio::time::timeout(GOODBYE, through.clone().answer()).await;
        }
    }

    /// Waits for the server to answer what it answers at once.
    async fn answer(self: Arc<Self>) {
        let _ = tokio::time::timeout(ALIVE, self.handle.send_ping()).await;
    }

    /// A stream to a TCP port as the host reaches it.
    pub(crate) async fn tcp(&self, host: &str, port: u16) -> Result<Box<dyn Duplex>, Open> {
        let opening = self
            .handle
            .channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0);
        Ok(Box::new(opened(opening.await)?.into_stream()))
    }

    async fn unix(&self, path: &str) -> Result<Box<dyn Duplex>, Open> {
        let opening = self.handle.channel_open_direct_streamlocal(path);
        Ok(Box::new(opened(opening.await)?.into_stream()))
    }

    /// Starts a program, once.
    async fn try_start(self: &Arc<Self>, line: &str, limit: Duration) -> Result<Process, Open> {
        let opening = async {
            let asked = Instant::now();
            let channel = opened(self.handle.channel_open_session().await)?;
            let trip = asked.elapsed();
            channel.exec(true, line).await.map_err(|_| Open::Lost)?;
            Ok((channel, trip))
        };
        let (channel, trip) = tokio::time::timeout(limit, opening)
            .await
            .map_err(|_| Open::Lost)??;
        self.running.fetch_add(1, Ordering::SeqCst);
        let (mut read, write) = channel.split();
        let asked = self.clone();
        let (stdin, window) = paced(write.make_writer(), trip, move || asked.clone().answer());
        let (said, events) = mpsc::channel(OUTPUT_QUEUE);
        let link = self.clone();
        tokio::spawn(async move {
            let mut status = None;
            loop {
                let message = tokio::select! {
                    message = read.wait() => message,
                    () = said.closed() => {
                        // nobody listens: the program's pipes are closed, it goes on without
                        let _ = write.close().await;
                        let _ = tokio::time::timeout(CLOSE, async {
                            while read.wait().await.is_some() {}
                        }).await;
                        break;
                    }
                };
                let event = match message {
                    Some(ChannelMsg::Data { data }) => Said::Out(data),
                    Some(ChannelMsg::ExtendedData { data, .. }) => Said::Err(data),
                    Some(ChannelMsg::WindowAdjusted { new_size }) => {
                        window.is(new_size);
                        continue;
                    }
                    Some(ChannelMsg::ExitStatus { exit_status }) => {
                        status = i32::try_from(exit_status).ok();
                        continue;
                    }
                    Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                        status = Some(128 + number(&signal_name));
                        continue;
                    }
                    Some(ChannelMsg::Failure) => {
                        let refused: &[u8] = b"the server refuses to run programs\n";
                        let _ = said.send(Said::Err(refused.into())).await;
                        status = Some(255);
                        let _ = write.close().await;
                        continue;
                    }
                    Some(ChannelMsg::Close) | None => break,
                    Some(_) => continue,
                };
                if said.send(event).await.is_err() {
                    continue;
                }
            }
            link.running.fetch_sub(1, Ordering::SeqCst);
            link.ended.notify_one();
            let gone = link.is_closed() && status.is_none();
            let _ = said
                .send(Said::Exit(if gone {
                    None
                } else {
                    Some(status.unwrap_or(255))
                }))
                .await;
        });
        Ok(Process {
            stdin: Box::new(stdin),
            events,
        })
    }

    /// Starts a program once others have ended. Those that wait do so in order.
    async fn wait_start(self: &Arc<Self>, line: &str) -> Result<Process, Open> {
        let _turn = self.turn.lock().await;
        let mut alone = Duration::ZERO;
        loop {
            match self.try_start(line, OPEN).await {
                Err(Open::Refused(_)) => {}
                other => return other,
            }
            if self.running.load(Ordering::SeqCst) == 0 {
                alone += AGAIN;
                if alone > REFUSES {
                    return Err(Open::Refused(ChannelOpenFailure::ConnectFailed));
                }
                tokio::time::sleep(AGAIN).await;
            } else {
                // a program that we left running keeps its place there: its end is not told to us
                let _ = tokio::time::timeout(AGAIN, self.ended.notified()).await;
            }
        }
    }
}

/// Says goodbye, and waits until that is on its way: the host would take it for a lost link if this process ended before.
pub(super) async fn goodbye(handle: &Handle<HostKey>, look: &Look) {
    let said = async {
        let saying = handle.disconnect(Disconnect::ByApplication, "", "");
        if saying.await.is_ok() {
            look.over().await;
        }
    };
    let _ = tokio::time::timeout(GOODBYE, said).await;
}

/// Why a channel did not open.
pub(crate) enum Open {
    /// The host said no.
    Refused(ChannelOpenFailure),
    /// The link is gone.
    Lost,
}

fn opened(result: Result<Channel<Msg>, russh::Error>) -> Result<Channel<Msg>, Open> {
    result.map_err(|e| match e {
        russh::Error::ChannelOpenFailure(why) => Open::Refused(why),
        _ => Open::Lost,
    })
}

fn number(signal: &Sig) -> i32 {
    match signal {
        Sig::HUP => 1,
        Sig::INT => 2,
        Sig::QUIT => 3,
        Sig::ILL => 4,
        Sig::ABRT => 6,
        Sig::FPE => 8,
        Sig::KILL => 9,
        Sig::USR1 => 10,
        Sig::SEGV => 11,
        Sig::PIPE => 13,
        Sig::ALRM => 14,
        Sig::TERM => 15,
        Sig::Custom(_) => 127,
    }
}

/// The way to one host, by the name that tasks call it.
pub(crate) struct OverSsh {
    /// The name.
    pub(crate) host: HostName,
    /// How it is reached, should another connection be wanted.
    pub(crate) spec: Spec,
    /// The connection.
    pub(crate) link: Arc<Link>,
    /// Makes others.
    pub(crate) ssh: Arc<Ssh>,
}

impl OverSsh {
    fn lost(&self) -> HostError {
        let host = &self.host;
        HostError::new(HostErrorKind::Lost, format!("{host}: the link was lost"))
    }
}

#[async_trait]
impl Transport for OverSsh {
    fn host(&self) -> &HostName {
        &self.host
    }

    async fn start(&self, line: &str, patience: Patience) -> Result<Process, StartError> {
        let started = match patience {
            Patience::None => self.link.try_start(line, OPEN).await,
            Patience::Turn => tokio::time::timeout(TURN, self.link.wait_start(line))
                .await
                .unwrap_or(Err(Open::Refused(ChannelOpenFailure::ResourceShortage))),
            Patience::Urgent => match self.link.try_start(line, OPEN_URGENT).await {
                Ok(process) => Ok(process),
                Err(_) => {
                    let link = self.ssh.another(&self.host, &self.spec).await?;
                    link.try_start(line, OPEN).await
                }
            },
        };
        started.map_err(|e| match (e, patience) {
            (Open::Refused(_), Patience::None) => StartError::Busy,
            (Open::Refused(_), _) => StartError::Host(HostError::new(
                HostErrorKind::Shell,
                format!(
                    "{}: the server starts no program for us (sshd's MaxSessions, or a limit of the account)",
                    self.host
                ),
            )),
            (Open::Lost, _) => self.lost().into(),
        })
    }

    async fn dial(&self, to: &Endpoint) -> Result<Box<dyn Duplex>, DialError> {
        let opened = match to {
            Endpoint::Tcp(host, port) => self.link.tcp(host, *port).await,
            Endpoint::Unix(path) => self.link.unix(path).await,
        };
        opened.map_err(|e| match (e, to) {
            (Open::Lost, _) => DialError::Host(self.lost()),
            // for a socket sshd says nothing else when it forbids them: a program there finds out
            (Open::Refused(ChannelOpenFailure::ConnectFailed), Endpoint::Tcp(..)) => {
                DialError::Refused(format!(
                    "connection refused by {to} as {} reaches it, or no way there",
                    self.host
                ))
            }
            (Open::Refused(_), _) => DialError::Forbidden,
        })
    }
}
