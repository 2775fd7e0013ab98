//! Requests of HTTP that arrive twice, and answers that are lost.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::spool::Spool;
use super::{Counts, connect};
use crate::chaos::Numbers;

/// Longest head of a request, in bytes.
const LONGEST_HEAD: usize = 64 << 10;
/// The latest that a second one arrives after the answer to the first, in milliseconds.
const LATEST: u64 = 2000;

/// When the second one arrives, and whose answer is given back.
enum Second {
    Together { answers: bool },
    After { answers: bool },
    Late(Duration),
}

/// One request of a client, and its answer; then the connection ends.
pub(super) async fn one(
    client: TcpStream,
    upstream: SocketAddr,
    lost: u64,
    mut numbers: Numbers,
    counts: &Counts,
) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let Some(mut request) = read(&mut client).await? else {
        return Ok(());
    };
    let second = match numbers.below(3) {
        0 => Second::Together {
            answers: numbers.percent(50),
        },
        1 => Second::After {
            answers: numbers.percent(50),
        },
        _ => Second::Late(Duration::from_millis(numbers.below(LATEST))),
    };
    let mut answer = match second {
        Second::Together { answers } => {
            let mut other = again(&mut request).await?;
            let both = (
                sent(&mut request, upstream),
                tokio::spawn(async move { sent(&mut other, upstream).await }),
            );
            match answers {
                false => both.0.await?,
                true => {
                    let (_, second) = tokio::join!(both.0, both.1);
                    second.map_err(io::Error::other)??
                }
            }
        }
        Second::After { answers } => {
            let first = sent(&mut request, upstream).await?;
            let second = sent(&mut request, upstream).await?;
            if answers { second } else { first }
        }
        Second::Late(wait) => {
            let first = sent(&mut request, upstream).await?;
            tokio::spawn(async move {
                sleep(wait).await;
                sent(&mut request, upstream).await
            });
            first
        }
    };
    counts.requests.fetch_add(1, Ordering::SeqCst);
    let mut length = answer.length();
    if numbers.percent(lost) {
        counts.lost.fetch_add(1, Ordering::SeqCst);
        // Half of those that are lost break off; of the others nothing is heard.
        length = match numbers.percent(50) {
            true => numbers.below(length),
            false => 0,
        };
    }
    answer.write(client.get_mut(), length).await?;
    client.get_mut().shutdown().await
}

/// A copy of a request.
async fn again(request: &mut Spool) -> io::Result<Spool> {
    let mut copy = Spool::default();
    let (mut near, mut far) = tokio::io::duplex(64 << 10);
    let length = request.length();
    let writing = async {
        let written = request.write(&mut near, length).await;
        drop(near);
        written
    };
    let reading = async {
        let mut chunk = vec![0; 64 << 10];
        loop {
            let count = far.read(&mut chunk).await?;
            match chunk.get(..count).filter(|bytes| !bytes.is_empty()) {
                None => return Ok::<_, io::Error>(()),
                Some(bytes) => copy.add(bytes).await?,
            }
        }
    };
    tokio::try_join!(writing, reading)?;
    Ok(copy)
}

/// Sends a request over a connection of its own; gives the whole answer.
async fn sent(request: &mut Spool, upstream: SocketAddr) -> io::Result<Spool> {
    let (mut from, mut to) = connect(upstream).await?.into_split();
    let length = request.length();
    let sending = async {
        // A server may answer, and close, before it has heard everything.
        let _ = request.write(&mut to, length).await;
        to
    };
    let hearing = async {
        let (mut answer, mut chunk) = (Spool::default(), vec![0; 64 << 10]);
        loop {
            // A connection that is reset after the answer has been heard is as good as closed.
            let count = from.read(&mut chunk).await.unwrap_or(0);
            match chunk.get(..count).filter(|bytes| !bytes.is_empty()) {
                None => return Ok::<_, io::Error>(answer),
                Some(bytes) => answer.add(bytes).await?,
            }
        }
    };
    let (_to, answer) = tokio::join!(sending, hearing);
    answer
}

/// A request, to be sent over a connection that ends with its answer; none: the client has nothing to say.
async fn read(client: &mut BufReader<TcpStream>) -> io::Result<Option<Spool>> {
    let mut head = Vec::new();
    let (mut length, mut is_chunked) = (0, false);
    loop {
        let begun = head.len();
        let count = client.read_until(b'\n', &mut head).await?;
        if count == 0 {
            return Ok(None);
        }
        if head.len() > LONGEST_HEAD {
            return Err(io::Error::other("the head is too long"));
        }
        let line = String::from_utf8_lossy(head.get(begun..).unwrap_or_default()).into_owned();
        let line = line.trim_end();
        if line.is_empty() {
            head.truncate(begun);
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().map_err(io::Error::other)?,
            "transfer-encoding" => is_chunked = value.to_ascii_lowercase().contains("chunked"),
            "connection" => head.truncate(begun),
            _ => {}
        }
    }
    head.extend_from_slice(b"connection: close\r\n\r\n");
    let mut request = Spool::default();
    request.add(&head).await?;
    match is_chunked {
        true => read_chunks(client, &mut request).await?,
        false => read_bytes(client, &mut request, length).await?,
    }
    Ok(Some(request))
}

async fn read_bytes(
    client: &mut BufReader<TcpStream>,
    request: &mut Spool,
    mut left: u64,
) -> io::Result<()> {
    while left > 0 {
        let bytes = client.fill_buf().await?;
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        let bytes = bytes.get(..most).unwrap_or(bytes).to_vec();
        client.consume(bytes.len());
        left -= bytes.len() as u64;
        request.add(&bytes).await?;
    }
    Ok(())
}

/// Chunks as they are written, to the empty line after the last one.
async fn read_chunks(client: &mut BufReader<TcpStream>, request: &mut Spool) -> io::Result<()> {
    loop {
        let mut line = Vec::new();
        if client.read_until(b'\n', &mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        request.add(&line).await?;
        let text = String::from_utf8_lossy(&line);
        let digits = text.trim().split(';').next().unwrap_or_default();
        let size = u64::from_str_radix(digits.trim(), 16).map_err(io::Error::other)?;
        // The bytes and the end of their line; after the last one, with no trailers, the end of a line alone.
        read_bytes(client, request, size + 2).await?;
        if size == 0 {
            return Ok(());
        }
    }
}
