//! The sample service: an HTTP server of one answer, so that the quickstart needs nothing but this binary.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

use crate::ending::Ending;

/// Seconds that a client has for its request.
const PATIENCE: Duration = Duration::from_secs(5);
/// Clients at once.
const CLIENTS: usize = 64;

/// Answers every request with the version until SIGTERM.
pub(crate) async fn serve(address: &str, version: &str) -> Result<(), Ending> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|e| Ending::own(format!("cannot listen on {address}"), e))?;
    let mut term =
        signal(SignalKind::terminate()).map_err(|e| Ending::own("signals cannot be heard", e))?;
    let room = std::sync::Arc::new(Semaphore::new(CLIENTS));
    let body = format!("the sample, release {version}\n");
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    loop {
        let (mut stream, _) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(_) => continue,
            },
            _ = term.recv() => return Ok(()),
        };
        let Ok(place) = room.clone().acquire_owned().await else {
            return Ok(());
        };
        let answer = answer.clone();
        tokio::spawn(async move {
            let _place = place;
            let mut request = [0; 4096];
            let exchange = async {
                let _ = stream.read(&mut request).await?;
                stream.write_all(answer.as_bytes()).await?;
                stream.shutdown().await
            };
            // A client that goes away early is its own affair.
            let _ = tokio::time::timeout(PATIENCE, exchange).await;
        });
    }
}

/// An address of this machine that is free now.
pub(crate) async fn free_address() -> Result<String, Ending> {
    let wrong = |e| Ending::own("no free port", e);
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(wrong)?;
    Ok(listener.local_addr().map_err(wrong)?.to_string())
}

/// The body that the service answers with.
pub(crate) async fn ask(address: &str) -> Result<String, Ending> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
        let mut answer = String::new();
        stream.take(64 * 1024).read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(PATIENCE, exchange)
        .await
        .map_err(|_| Ending::Own(format!("http://{address}/ gave no answer within 5 s")))?
        .map_err(|e| Ending::own(format!("http://{address}/"), e))?;
    Ok(answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned())
        .unwrap_or_default())
}
