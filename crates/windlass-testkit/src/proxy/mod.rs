//! A proxy that does to its connections what networks do: they are cut without a word, one way or both; what was sent arrives twice;
//! answers are lost.
//!
//! It is switched while it runs. Every choice that it makes comes from its seed and the number of the connection.

mod doubled;
mod link;
mod spool;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::chaos::Numbers;

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It arrives.
    Pass,
    /// Each request arrives twice, over connections of their own: together, one after the other, or the second one late. One
    /// answer is given back; of a hundred so many break off before their end.
    Doubled {
        /// Answers of a hundred.
        lost: u64,
    },
    /// It goes nowhere; connections stay open.
    Cut(Cut),
    /// Connections are closed, and new ones too.
    Closed,
}

/// What is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nothing passes.
    Both,
    /// Answers pass.
    Requests,
    /// Requests pass.
    Answers,
}

/// What a cut leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Healing {
    /// What was held back arrives now, late: as TCP sends it again.
    Late,
    /// Connections that there were stay silent for ever and open: as when a firewall has forgotten them.
    Never,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

/// What connections look at before they let something pass.
#[derive(Clone, Copy, Debug)]
struct State {
    mode: Mode,
    /// Connections of a lower number are silent for ever.
    silent_below: u64,
}

/// One connection's view of that.
#[derive(Clone, Debug)]
struct Gate {
    number: u64,
    state: watch::Receiver<State>,
}

impl Gate {
    fn mode(&self) -> Mode {
        self.state.borrow().mode
    }

    /// Waits until bytes may go that way; for ever where the connection is silent.
    async fn opens(&mut self, way: Way) {
        let number = self.number;
        let is_open = |state: &State| {
            let cut = match state.mode {
                Mode::Cut(Cut::Both) => true,
                Mode::Cut(Cut::Requests) => way == Way::There,
                Mode::Cut(Cut::Answers) => way == Way::Back,
                Mode::Pass | Mode::Doubled { .. } | Mode::Closed => false,
            };
            !cut && number >= state.silent_below
        };
        if self.state.wait_for(is_open).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until a connection that bytes simply pass through is to be closed.
    async fn closes(&mut self) {
        let number = self.number;
        let is_over = |state: &State| {
            matches!(state.mode, Mode::Closed | Mode::Doubled { .. })
                && number >= state.silent_below
        };
        let _ = self.state.wait_for(is_over).await;
    }
}

/// What came through.
#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    lost: AtomicU64,
}

/// A proxy before one server. Dropped, it closes everything.
pub struct Proxy {
    port: u16,
    state: watch::Sender<State>,
    connections: Arc<AtomicU64>,
    counts: Arc<Counts>,
    runtime: Option<Runtime>,
}

/// How long a server may take to accept.
const CONNECT: Duration = Duration::from_secs(5);

impl Proxy {
    /// Listens on a free port of loopback, before a port of loopback. Everything passes at first.
    pub fn start(upstream: u16, seed: u64) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0)))?;
        let port = listener.local_addr()?.port();
        let (state, seen) = watch::channel(State {
            mode: Mode::Pass,
            silent_below: 0,
        });
        let connections = Arc::new(AtomicU64::new(0));
        let counts = Arc::new(Counts::default());
        let upstream = SocketAddr::from(([127, 0, 0, 1], upstream));
        let (numbered, counting) = (connections.clone(), counts.clone());
        runtime.spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                };
                let number = numbered.fetch_add(1, Ordering::SeqCst);
                let gate = Gate {
                    number,
                    state: seen.clone(),
                };
                let numbers = Numbers::of_case(seed, number);
                tokio::spawn(one(client, upstream, gate, numbers, counting.clone()));
            }
        });
        Ok(Self {
            port,
            state,
            connections,
            counts,
            runtime: Some(runtime),
        })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on.
    pub fn set(&self, mode: Mode) {
        self.state.send_modify(|state| state.mode = mode);
    }

    /// Lets everything pass again after a cut.
    pub fn heal(&self, healing: Healing) {
        let next = self.connections.load(Ordering::SeqCst);
        self.state.send_modify(|state| {
            state.mode = Mode::Pass;
            if healing == Healing::Never {
                state.silent_below = next;
            }
        });
    }

    /// Requests that arrived twice so far.
    pub fn doubled(&self) -> u64 {
        self.counts.requests.load(Ordering::SeqCst)
    }

    /// Answers to them that were lost.
    pub fn lost(&self) -> u64 {
        self.counts.lost.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// One connection. What breaks in it is for its two ends to notice.
async fn one(
    client: TcpStream,
    upstream: SocketAddr,
    mut gate: Gate,
    numbers: Numbers,
    counts: Arc<Counts>,
) {
    let _ = client.set_nodelay(true);
    match gate.mode() {
        Mode::Closed => {}
        Mode::Doubled { lost } => {
            let _ = doubled::one(client, upstream, lost, numbers, &counts).await;
        }
        Mode::Pass | Mode::Cut(_) => {
            let passing = link::through(client, upstream, gate.clone());
            tokio::select! {
                _ = passing => {}
                () = gate.closes() => {}
            }
        }
    }
}

/// A connection to the server.
async fn connect(upstream: SocketAddr) -> io::Result<TcpStream> {
    let connected = tokio::time::timeout(CONNECT, TcpStream::connect(upstream)).await;
    let stream = connected.map_err(|_| io::ErrorKind::TimedOut)??;
    stream.set_nodelay(true)?;
    Ok(stream)
}
