//! HTTP to a manager.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::HeaderMap;
use reqwest::{Body, Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::watch;
use windlass_model::release::Digest;

use crate::received::Received;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a manager may take to answer beyond the time that it was asked to wait.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a stream of bytes may stand still.
const STALL: Duration = Duration::from_secs(60);
/// How long a connection that nothing is asked over is kept: one that was cut off meanwhile without a word would cost whoever uses
/// it next the whole of their patience.
const KEPT: Duration = Duration::from_secs(1);
/// Longest answer that is read whole, in bytes.
const LONGEST_ANSWER: usize = 64 << 20;
/// Bytes read from a file at once: few, so that a slow link is seen to move.
const CHUNK: usize = 64 << 10;

/// How long one waits for a manager before the link counts as broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For an answer, beyond the time that the manager was asked to wait.
    pub answer: Duration,
    /// For the next bytes of a stream, either way.
    pub stall: Duration,
}

impl Default for Patience {
    /// 30 s and 60 s.
    fn default() -> Self {
        Self {
            answer: ANSWER,
            stall: STALL,
        }
    }
}

/// What went wrong between here and a manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireError {
    /// It was not reached, or the link broke: whether the call was taken is not known.
    Link(String),
    /// It refused the credentials.
    Denied(String),
    /// There is no such thing.
    NotFound(String),
    /// The right is an old one, or the transaction was taken back.
    Superseded(String),
    /// It is busy, or has a fault of its own: to be tried again.
    Unavailable(String),
    /// The call is at fault.
    Refused(String),
    /// A file here could not be read or written.
    File(String),
}

impl WireError {
    /// Whether the same call may succeed later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Link(_) | Self::Unavailable(_))
    }
}

impl std::fmt::Display for WireError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Link(text)
        | Self::Denied(text)
        | Self::NotFound(text)
        | Self::Superseded(text)
        | Self::Unavailable(text)
        | Self::Refused(text)
        | Self::File(text)) = self;
        f.write_str(text)
    }
}

impl std::error::Error for WireError {}

/// How calls are told apart from anybody's.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Login {
    /// As nobody.
    #[default]
    Anonymous,
    /// HTTP Basic.
    Basic {
        /// The user's name.
        username: String,
        /// The password.
        password: String,
    },
    /// A bearer token.
    Bearer(String),
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic",
            Self::Bearer(_) => "Bearer",
        })
    }
}

/// Calls to one manager. Cheap to clone; the clones share their HTTP connections.
#[derive(Clone, Debug)]
pub struct Connection {
    base: String,
    http: reqwest::Client,
    login: Login,
    patience: Patience,
}

impl Connection {
    /// To the manager at a URL: `http://localhost:10000`. `roots`: certificates in PEM that are trusted beside the system's.
    pub fn new(url: &str, login: Login, roots: Option<&[u8]>) -> Result<Self, WireError> {
        let wrong = |why: String| WireError::Refused(format!("{url:?} is no manager's URL: {why}"));
        let parsed = reqwest::Url::parse(url).map_err(|e| wrong(e.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
            return Err(wrong("it is http://HOST:PORT or https://HOST:PORT".into()));
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(wrong("credentials do not belong in it".into()));
        }
        let mut base = url.to_owned();
        if !base.ends_with('/') {
            base.push('/');
        }
        let builder = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .pool_idle_timeout(KEPT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tcp_nodelay(true);
        // Over plain HTTP no certificate is trusted, and none is loaded.
        let trusted = match parsed.scheme() {
            "https" => certificates(roots)?,
            _ => rustls::RootCertStore::empty(),
        };
        let http = builder
            .tls_backend_preconfigured(tls(trusted)?)
            .build()
            .map_err(|e| WireError::Refused(format!("HTTP cannot be set up: {e}")))?;
        Ok(Self {
            base,
            http,
            login,
            patience: Patience::default(),
        })
    }

    /// The same, waiting so long.
    pub fn with_patience(&self, patience: Patience) -> Self {
        Self {
            patience,
            ..self.clone()
        }
    }

    /// The manager's URL.
    pub fn url(&self) -> &str {
        self.base.trim_end_matches('/')
    }

    /// Whether nobody on the way can read what is sent: it is TLS, or does not leave this machine.
    pub fn is_private(&self) -> bool {
        let Ok(url) = reqwest::Url::parse(&self.base) else {
            return false;
        };
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let address: Option<std::net::IpAddr> = address.parse().ok();
        url.scheme() == "https"
            || host == "localhost"
            || address.is_some_and(|address| address.is_loopback())
    }

    /// The same with another bearer token; none: as it is.
    pub fn with_bearer(&self, token: Option<String>) -> Self {
        let login = token.map_or_else(|| self.login.clone(), Login::Bearer);
        Self {
            login,
            ..self.clone()
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.login {
            Login::Anonymous => request,
            Login::Basic { username, password } => request.basic_auth(username, Some(password)),
            Login::Bearer(token) => request.bearer_auth(token),
        }
    }

    /// Sends it; what is no success is an error.
    async fn send(&self, request: RequestBuilder) -> Result<Response, WireError> {
        let response = request.send().await.map_err(|e| self.link(&e))?;
        let status = response.status().as_u16();
        if status < 300 {
            return Ok(response);
        }
        let text = self.whole(response).await.unwrap_or_default();
        let told = serde_json::from_slice::<Fault>(&text).map(|fault| fault.error);
        let told = told.unwrap_or_else(|_| format!("{}: HTTP status {status}", self.url()));
        Err(match status {
            401 | 403 => WireError::Denied(told),
            404 => WireError::NotFound(told),
            409 => WireError::Superseded(told),
            408 | 425 | 429 | 500..=599 => WireError::Unavailable(told),
            _ => WireError::Refused(told),
        })
    }

    fn link(&self, error: &reqwest::Error) -> WireError {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(inner) = source {
            text = inner.to_string();
            source = inner.source();
        }
        let what = match error.is_timeout() {
            true => "no answer in time".to_owned(),
            false => text,
        };
        WireError::Link(format!("{}: {what}", self.url()))
    }

    /// The body, with a bound.
    async fn whole(&self, response: Response) -> Result<Vec<u8>, WireError> {
        let mut stream = response.bytes_stream();
        let mut body = Vec::new();
        while let Some(chunk) = stream.next().await {
            body.extend_from_slice(&chunk.map_err(|e| self.link(&e))?);
            if body.len() > LONGEST_ANSWER {
                return Err(WireError::Refused(format!(
                    "{}: the answer is too long",
                    self.url()
                )));
            }
        }
        Ok(body)
    }

    async fn answer<T: DeserializeOwned>(&self, response: Response) -> Result<T, WireError> {
        let body = self.whole(response).await?;
        serde_json::from_slice(&body).map_err(|e| {
            WireError::Refused(format!("{}: the answer is not understood: {e}", self.url()))
        })
    }

    /// `GET`, with an answer in JSON.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, WireError> {
        self.get_within(path, Duration::ZERO).await
    }

    /// As [`Connection::get`], where the manager may take so much longer.
    pub async fn get_within<T: DeserializeOwned>(
        &self,
        path: &str,
        wait: Duration,
    ) -> Result<T, WireError> {
        let request = self
            .request(Method::GET, path)
            .timeout(self.patience.answer + wait);
        self.answer(self.send(request).await?).await
    }

    /// `DELETE`, with an answer in JSON.
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, WireError> {
        let request = self
            .request(Method::DELETE, path)
            .timeout(self.patience.answer);
        self.answer(self.send(request).await?).await
    }

    /// `POST` of JSON, with an answer in JSON.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, WireError> {
        self.post_within(path, body, Duration::ZERO).await
    }

    /// As [`Connection::post`], where the manager may take so much longer.
    pub async fn post_within<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
        wait: Duration,
    ) -> Result<T, WireError> {
        let request = self
            .request(Method::POST, path)
            .json(body)
            .timeout(self.patience.answer + wait);
        self.answer(self.send(request).await?).await
    }

    /// `POST` of bytes, with an answer in JSON.
    pub async fn post_bytes<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Bytes,
    ) -> Result<T, WireError> {
        let request = self
            .request(Method::POST, path)
            .body(body)
            .timeout(self.patience.answer);
        self.answer(self.send(request).await?).await
    }

    /// `HEAD`.
    pub async fn head(&self, path: &str) -> Result<HeaderMap, WireError> {
        let request = self
            .request(Method::HEAD, path)
            .timeout(self.patience.answer);
        Ok(self.send(request).await?.headers().clone())
    }

    /// `PUT` of a file from an offset; nothing of it is whole in memory. It breaks off when nothing more of it is taken.
    pub async fn put_file(
        &self,
        to: &str,
        path: &Path,
        offset: u64,
        length: u64,
    ) -> Result<(), WireError> {
        let here = |e: std::io::Error| WireError::File(format!("{}: {e}", path.display()));
        let mut file = tokio::fs::File::open(path).await.map_err(here)?;
        file.seek(std::io::SeekFrom::Start(offset))
            .await
            .map_err(here)?;
        let (handed, handing) = watch::channel(true);
        let state = (file, handed);
        let stream = futures_util::stream::try_unfold(state, |(mut file, handed)| async move {
            handed.send_replace(false);
            let mut chunk = vec![0; CHUNK];
            let count = file.read(&mut chunk).await?;
            chunk.truncate(count);
            handed.send_replace(true);
            Ok::<_, std::io::Error>((count > 0).then(|| (Bytes::from(chunk), (file, handed))))
        });
        let request = self
            .request(Method::PUT, to)
            .header("content-length", length.saturating_sub(offset))
            .body(Body::wrap_stream(stream));
        self.send_while(handing, request).await?;
        Ok(())
    }

    /// Sends a body for as long as it is taken, and then waits for the answer. `handing`: whether it is the link that is waited for,
    /// and not whoever brings the bytes.
    async fn send_while(
        &self,
        mut handing: watch::Receiver<bool>,
        request: RequestBuilder,
    ) -> Result<Response, WireError> {
        let stall = self.patience.stall;
        let mut sent = std::pin::pin!(self.send(request));
        loop {
            let is_handed = *handing.borrow_and_update();
            tokio::select! {
                answer = &mut sent => return answer,
                changed = handing.changed() => match changed {
                    Ok(()) => {}
                    // All of it is on its way.
                    Err(_) => break,
                },
                () = tokio::time::sleep(stall), if is_handed => return Err(self.stalled()),
            }
        }
        let answer = tokio::time::timeout(stall, sent).await;
        answer.unwrap_or_else(|_| Err(self.late()))
    }

    fn stalled(&self) -> WireError {
        WireError::Link(format!("{}: the bytes stand still", self.url()))
    }

    fn late(&self) -> WireError {
        WireError::Link(format!("{}: no answer in time", self.url()))
    }

    /// Sends what has a long answer; how long the answer takes is for its reader to bound.
    async fn open(&self, request: RequestBuilder) -> Result<Response, WireError> {
        let response = tokio::time::timeout(self.patience.answer, self.send(request)).await;
        response.unwrap_or_else(|_| Err(self.late()))
    }

    /// `PUT` of `length` bytes as they come. An error among the chunks breaks the call off, and so does a manager that takes no more.
    pub async fn put_chunks(&self, to: &str, length: u64, chunks: Chunks) -> Result<(), WireError> {
        let (handed, handing) = watch::channel(true);
        let state = (chunks, handed);
        let stream = futures_util::stream::unfold(state, |(mut chunks, handed)| async move {
            handed.send_replace(false);
            let chunk = chunks.recv().await;
            handed.send_replace(true);
            chunk.map(|chunk| (chunk, (chunks, handed)))
        });
        let request = self
            .request(Method::PUT, to)
            .header("content-length", length)
            .body(Body::wrap_stream(stream));
        self.send_while(handing, request).await?;
        Ok(())
    }

    /// `GET`, its bytes to be taken as they come.
    pub async fn download(&self, from: &str) -> Result<Download, WireError> {
        let response = self.open(self.request(Method::GET, from)).await?;
        let connection = self.clone();
        let stream = response.bytes_stream().boxed();
        Ok(Download { connection, stream })
    }

    /// `GET` into a file, going on where the file ends; gives the digest of the whole file.
    pub async fn get_file(&self, from: &str, path: &Path) -> Result<Digest, WireError> {
        let here = |e: std::io::Error| WireError::File(format!("{}: {e}", path.display()));
        let have = match tokio::fs::metadata(path).await {
            Ok(found) => found.len(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => 0,
            Err(e) => return Err(here(e)),
        };
        let mut request = self.request(Method::GET, from);
        if have > 0 {
            request = request.header("range", format!("bytes={have}-"));
        }
        let response = match self.open(request).await {
            // Nothing is left.
            Err(WireError::Refused(_)) if have > 0 => {
                return Received::open(path, have).finish().await.map_err(here);
            }
            response => response?,
        };
        let is_rest = response.status().as_u16() == 206;
        let received = Received::open(path, if is_rest { have } else { 0 });
        let mut stream = response.bytes_stream();
        loop {
            let next = tokio::time::timeout(self.patience.stall, stream.next()).await;
            let Some(chunk) = next.map_err(|_| self.stalled())? else {
                break;
            };
            if !received.add(chunk.map_err(|e| self.link(&e))?).await {
                break;
            }
        }
        received.finish().await.map_err(here)
    }
}

/// Bytes on their way to a manager, from another task; an error says that no more can be read.
pub type Chunks = tokio::sync::mpsc::Receiver<std::io::Result<Bytes>>;

/// Bytes on their way from a manager.
pub struct Download {
    connection: Connection,
    stream: BoxStream<'static, reqwest::Result<Bytes>>,
}

impl Download {
    /// The next bytes; none at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, WireError> {
        let next = tokio::time::timeout(self.connection.patience.stall, self.stream.next()).await;
        let chunk = next.map_err(|_| self.connection.stalled())?.transpose();
        chunk.map_err(|e| self.connection.link(&e))
    }
}

/// What a manager says when it refuses.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct Fault {
    /// What is wrong, and what to do.
    pub error: String,
}

/// The system's roots and those given.
fn certificates(roots: Option<&[u8]>) -> Result<rustls::RootCertStore, WireError> {
    let mut store = rustls::RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(pem) = roots {
        use rustls::pki_types::{CertificateDer, pem::PemObject};
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let wrong = |e: &dyn std::fmt::Display| WireError::Refused(format!("certificates: {e}"));
        for certificate in certificates.map_err(|e| wrong(&e))? {
            store.add(certificate).map_err(|e| wrong(&e))?;
        }
    }
    Ok(store)
}

fn tls(roots: rustls::RootCertStore) -> Result<rustls::ClientConfig, WireError> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| WireError::Refused(format!("TLS cannot be set up: {e}")))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// A manager that accepts, and hears and says nothing more.
    async fn silent() -> (tokio::net::TcpListener, Connection) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let short = Duration::from_millis(200);
        let connection = Connection::new(&url, Login::Anonymous, None).unwrap();
        let connection = connection.with_patience(Patience {
            answer: short,
            stall: short,
        });
        (listener, connection)
    }

    #[tokio::test]
    async fn a_link_that_was_cut_without_a_word_is_given_up() {
        let (_listener, connection) = silent().await;
        let place = tempfile::tempdir().unwrap();
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        let length = 64 << 20;
        std::fs::File::create(&from)
            .unwrap()
            .set_len(length)
            .unwrap();
        let json = serde_json::Value::Null;
        let calls: [WireError; 6] = [
            connection.get::<()>("x").await.unwrap_err(),
            connection.post::<()>("x", &json).await.unwrap_err(),
            connection.head("x").await.unwrap_err(),
            connection
                .put_file("x", &from, 0, length)
                .await
                .unwrap_err(),
            connection
                .put_file("x", &from, length - 1, length)
                .await
                .unwrap_err(),
            connection.get_file("x", &to).await.unwrap_err(),
        ];
        for error in calls {
            assert!(matches!(error, WireError::Link(_)), "{error}");
        }
    }
}
