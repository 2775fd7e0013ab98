//! Accepts connections, with and without TLS, until it is told to stop.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower_service::Service;

use super::guests::{Guest, Guests};
use super::patient::Patient;
use super::{Http, Remote, endpoints, room};
use crate::app::App;

/// Longest head of a request, in bytes; also what is read at once.
const LONGEST_HEAD: usize = 64 << 10;
/// How long no connection is accepted when one could not be.
const PAUSE: Duration = Duration::from_millis(50);
/// The same, where one goes to make room.
const SHORT_PAUSE: Duration = Duration::from_millis(2);
/// How long what is being answered may take once it is told to stop.
const GRACE: Duration = Duration::from_secs(30);

/// How much a listener takes on.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at once; more wait to be accepted, unless some have asked for nothing yet: the oldest of these goes. One address
    /// may have half of them. A poll of an agent takes one.
    pub connections: usize,
    /// How long the head of a request, the handshake of TLS, and a connection without a request may take; and how long a reader may
    /// take nothing of an answer.
    pub head: Duration,
}

impl Default for Bounds {
    /// 16,384 connections, 30 s.
    fn default() -> Self {
        Self {
            connections: 16_384,
            head: Duration::from_secs(30),
        }
    }
}

/// A certificate with its key.
#[derive(Clone)]
pub struct Tls(Arc<rustls::ServerConfig>);

impl Tls {
    /// From PEM: the chain, and the key. An error says which of them is wrong.
    pub fn new(chain: &[u8], key: &[u8]) -> Result<Self, String> {
        use rustls::pki_types::pem::PemObject;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(|e| format!("the certificate: {e}"))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| format!("the key: {e}"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|e| format!("the certificate and its key: {e}"))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

/// A listener that is being served. Dropping it ends nothing: see [`Serving::stop`].
pub struct Serving {
    /// Where it listens.
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Serving {
    /// Takes no more connections, lets what is being answered finish (30 s at most), and ends.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let _ = self.task.await;
    }
}

/// Serves a manager on a listener.
pub fn serve(
    app: App,
    listener: TcpListener,
    tls: Option<Tls>,
    bounds: Bounds,
) -> std::io::Result<Serving> {
    let address = listener.local_addr()?;
    let (stop, stopped) = watch::channel(false);
    let router = endpoints::router(Http {
        long: room::of_all(app.settings().request_limit),
        app,
        tls: tls.is_some(),
    });
    let acceptor = tls.map(|tls| TlsAcceptor::from(tls.0));
    let task = tokio::spawn(accept(listener, router, acceptor, bounds, stopped));
    Ok(Serving {
        address,
        stop,
        task,
    })
}

async fn accept(
    listener: TcpListener,
    router: axum::Router,
    tls: Option<TlsAcceptor>,
    bounds: Bounds,
    mut stopped: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(bounds.connections));
    let guests = Guests::new(bounds.connections);
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if room.available_permits() == 0 {
            guests.make_room();
        }
        let permit = tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => break,
            permit = room.clone().acquire_owned() => permit,
        };
        let Ok(permit) = permit else { break };
        let accepted = tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionAborted => continue,
            Err(_) => {
                // No file descriptors left.
                let pause = if guests.make_room() {
                    SHORT_PAUSE
                } else {
                    PAUSE
                };
                tokio::time::sleep(pause).await;
                continue;
            }
        };
        let Some(guest) = guests.enter(address.ip()) else {
            continue;
        };
        let (router, tls, stopped) = (router.clone(), tls.clone(), stopped.clone());
        let guest = Arc::new(guest);
        connections.spawn(async move {
            let talking = connection(
                (stream, address),
                router,
                tls,
                (bounds.head, guest.clone()),
                stopped,
            );
            tokio::select! {
                () = talking => {}
                () = guest.is_dismissed() => {}
            }
            drop(permit);
        });
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(GRACE, all).await;
}

async fn connection(
    (stream, address): (TcpStream, SocketAddr),
    router: axum::Router,
    tls: Option<TlsAcceptor>,
    (head, guest): (Duration, Arc<Guest>),
    stopped: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let stream = Patient::new(stream, head);
    let Some(tls) = tls else {
        return talk((stream, address), router, (head, guest), stopped).await;
    };
    if let Ok(Ok(stream)) = tokio::time::timeout(head, tls.accept(stream)).await {
        talk((stream, address), router, (head, guest), stopped).await;
    }
}

async fn talk(
    (stream, address): (
        impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        SocketAddr,
    ),
    router: axum::Router,
    (head, guest): (Duration, Arc<Guest>),
    mut stopped: watch::Receiver<bool>,
) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        guest.asks();
        let mut router = router.clone();
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Remote(address));
            let answer: Result<Response, Infallible> = router.call(request).await;
            answer
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.wait_for(|stop| *stop) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
