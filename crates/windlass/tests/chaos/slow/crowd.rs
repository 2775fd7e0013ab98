//! Connections that do as little as they can, all in one thread.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often each does something.
const EVERY: Duration = Duration::from_secs(1);

/// What a connection does.
#[derive(Clone, Debug)]
pub(super) enum Manner {
    /// Nothing.
    Nothing,
    /// Says this, a byte at a time.
    Drips(Vec<u8>),
    /// Says this, and nothing more.
    Stops(Vec<u8>),
    /// Says this, and then a byte at a time of what is after it.
    DripsAfter(Vec<u8>),
    /// Says this and reads a byte at a time.
    Sips(Vec<u8>),
    /// Says this and reads nothing.
    Ignores(Vec<u8>),
}

struct One {
    manner: Manner,
    stream: Option<TcpStream>,
    said: usize,
}

impl One {
    /// Connects where it is not connected, and does a little; gives false where the other end has hung up.
    fn acts(&mut self, port: u16) -> bool {
        let Some(stream) = &mut self.stream else {
            self.stream = connected(port, &self.manner);
            self.said = 0;
            return true;
        };
        let goes_on = match &self.manner {
            Manner::Drips(text) => {
                let byte = text[self.said % text.len()];
                self.said += 1;
                is_well(stream.write(&[byte]).map(|_| 1))
            }
            Manner::DripsAfter(_) => is_well(stream.write(b"x").map(|_| 1)),
            Manner::Sips(_) => is_well(stream.read(&mut [0])),
            // What it is told at last is not for it to read slowly.
            Manner::Nothing | Manner::Stops(_) => is_well(stream.read(&mut [0; 4096])),
            // Whether it was hung up on shows, at times, without taking anything.
            Manner::Ignores(_) => is_well(stream.peek(&mut [0])),
        };
        if !goes_on {
            self.stream = None;
        }
        goes_on
    }
}

fn connected(port: u16, manner: &Manner) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    match manner {
        Manner::Stops(text)
        | Manner::DripsAfter(text)
        | Manner::Sips(text)
        | Manner::Ignores(text) => {
            stream.write_all(text).ok()?;
        }
        Manner::Nothing | Manner::Drips(_) => {}
    }
    stream.set_nonblocking(true).ok()?;
    Some(stream)
}

fn is_well(done: std::io::Result<usize>) -> bool {
    match done {
        Ok(count) => count > 0,
        Err(e) => e.kind() == ErrorKind::WouldBlock,
    }
}

/// All of them, until it is dropped.
pub(super) struct Crowd {
    over: Arc<AtomicBool>,
    hung_up: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Crowd {
    /// Connects all; whoever is hung up on comes again.
    pub(super) fn gather(port: u16, manners: Vec<Manner>) -> Self {
        let (over, hung_up) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let mut all: Vec<One> = manners
            .into_iter()
            .map(|manner| One {
                stream: connected(port, &manner),
                manner,
                said: 0,
            })
            .collect();
        let (stop, counted) = (over.clone(), hung_up.clone());
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let begun = Instant::now();
                for one in &mut all {
                    if !one.acts(port) {
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                }
                std::thread::sleep(EVERY.saturating_sub(begun.elapsed()));
            }
        });
        Self {
            over,
            hung_up,
            thread: Some(thread),
        }
    }

    /// How often one was hung up on.
    pub(super) fn hung_up(&self) -> u64 {
        self.hung_up.load(Ordering::Relaxed)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
