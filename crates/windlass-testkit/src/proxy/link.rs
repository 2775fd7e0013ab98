//! Bytes that pass as they come, while they may.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Gate, Way, connect};

/// Bytes held at once, each way; what is sent beyond them stays with the sender.
const CHUNK: usize = 64 << 10;

/// Connects the two, as soon as anything may go there.
pub(super) async fn through(
    client: TcpStream,
    upstream: SocketAddr,
    mut gate: Gate,
) -> io::Result<()> {
    gate.opens(Way::There).await;
    let server = connect(upstream).await?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = pump(from_client, to_server, gate.clone(), Way::There);
    let back = pump(from_server, to_client, gate, Way::Back);
    tokio::try_join!(there, back).map(drop)
}

/// One way. That the other end has closed passes as bytes do: while the way is cut it is not heard either.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut gate: Gate,
    way: Way,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = from.read(&mut chunk).await;
        gate.opens(way).await;
        let count = read?;
        let Some(bytes) = chunk.get(..count).filter(|bytes| !bytes.is_empty()) else {
            return to.shutdown().await;
        };
        to.write_all(bytes).await?;
    }
}
