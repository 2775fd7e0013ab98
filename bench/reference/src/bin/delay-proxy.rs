//! Links that take their time: a proxy that delays what passes, each way by half the round trip.
//!
//! `delay-proxy RTT-MS LISTEN=TO ...` listens on every LISTEN and passes each connection on to its TO, order kept and as fast as
//! it comes. Where connecting would take one round trip more than on loopback, so it does here: the connection there is begun one
//! and a half round trips after the one here, as the first byte over such a link could not be there before. Prints `ready`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, sleep_until};

/// What may be under way in one direction of one connection, in KiB: enough for a fast link of 200 ms.
const UNDER_WAY: usize = 64 * 1024;

#[tokio::main]
async fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let wrong = |what: &str| io::Error::other(what.to_owned());
    let rtt: u64 = args
        .next()
        .and_then(|rtt| rtt.parse().ok())
        .ok_or_else(|| wrong("no round trip"))?;
    let rtt = Duration::from_millis(rtt);
    for pair in args {
        let (listen, to) = pair
            .split_once('=')
            .ok_or_else(|| wrong("write LISTEN=TO"))?;
        let listener = TcpListener::bind(listen).await?;
        let to = to.to_owned();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let to = to.clone();
                tokio::spawn(async move { pass(stream, &to, rtt).await });
            }
        });
    }
    println!("ready");
    std::future::pending().await
}

async fn pass(here: TcpStream, to: &str, rtt: Duration) -> io::Result<()> {
    sleep(rtt * 3 / 2).await;
    let there = TcpStream::connect(to).await?;
    here.set_nodelay(true)?;
    there.set_nodelay(true)?;
    let (from_here, to_here) = here.into_split();
    let (from_there, to_there) = there.into_split();
    tokio::spawn(one_way(from_there, to_here, rtt / 2, Duration::ZERO));
    // What was written while the connection was on its way arrives with it.
    one_way(from_here, to_there, rtt / 2, rtt / 2).await;
    Ok(())
}

/// Passes bytes on, each `delay` after it came; the first of them are `head` on their way already.
async fn one_way(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration, head: Duration) {
    let (sent, mut coming) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let room = Arc::new(Semaphore::new(UNDER_WAY));
    let free = room.clone();
    let writing = tokio::spawn(async move {
        while let Some((due, bytes)) = coming.recv().await {
            if due > Instant::now() {
                sleep_until(due).await;
            }
            if to.write_all(&bytes).await.is_err() {
                return;
            }
            free.add_permits(bytes.len().div_ceil(1024));
        }
        let _ = to.shutdown().await;
    });
    let mut buffer = vec![0; 256 * 1024];
    let mut first = true;
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let took = if std::mem::take(&mut first) {
            head
        } else {
            Duration::ZERO
        };
        let Ok(permits) = room.acquire_many(read.div_ceil(1024) as u32).await else {
            break;
        };
        permits.forget();
        if sent
            .send((
                Instant::now() + delay.saturating_sub(took),
                buffer[..read].to_vec(),
            ))
            .is_err()
        {
            break;
        }
    }
    drop(sent);
    let _ = writing.await;
}
