//! Asks by HTTP/1.1 as a host reaches the server: through the link, or by a program there when the host does not forward.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Uri;
use hyper::header::{HOST, HeaderValue, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use windlass_engine::host::HostError;
use windlass_model::step::{Endpoint, Reply};

use super::conversation::Context;
use super::dial::{self, Ran};
use super::transport::{DialError, Duplex, Transport};
use super::work::HttpWork;
use crate::sh::quote;

/// What is kept of a body.
const BODY: usize = 64 * 1024;
/// The longest answer of a proxy to CONNECT.
const CONNECT: usize = 8 * 1024;

const AGENT: &str = concat!("windlass/", env!("CARGO_PKG_VERSION"));

/// One request; redirects are not followed. Only the loss of the task's own link is an error.
pub(crate) async fn ask(cx: &Context, work: &HttpWork) -> Result<Reply, HostError> {
    match tokio::time::timeout(work.limit, try_ask(cx, work)).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(Wrong::Said(why))) => Ok(Reply::Impossible(why)),
        Ok(Err(Wrong::Host(error))) => dial::failed(&work.via, error),
        Err(_) => Ok(Reply::Impossible(format!(
            "no answer within {} s",
            work.limit.as_secs()
        ))),
    }
}

enum Wrong {
    Said(String),
    Host(HostError),
}

impl From<String> for Wrong {
    fn from(why: String) -> Self {
        Self::Said(why)
    }
}

/// Where a URL points.
struct Target {
    tls: bool,
    host: String,
    port: u16,
}

impl Target {
    /// `what` stands for the URL in messages: a secret may be in it.
    fn of(uri: &Uri, what: &str) -> Result<Self, String> {
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(format!("the {what} must begin with http:// or https://")),
        };
        let host = uri
            .host()
            .ok_or_else(|| format!("the {what} names no host"))?;
        Ok(Self {
            tls,
            host: host.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }),
        })
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Tcp(self.host.clone(), self.port)
    }
}

async fn try_ask(cx: &Context, work: &HttpWork) -> Result<Reply, Wrong> {
    let uri: Uri = work
        .url
        .expose()
        .parse()
        .map_err(|e| format!("the url is none: {e}"))?;
    let target = Target::of(&uri, "url")?;
    let proxy = work
        .proxy
        .as_ref()
        .map(|p| {
            let uri: Uri = p
                .expose()
                .parse()
                .map_err(|e| format!("the proxy is no URL: {e}"))?;
            let proxy = Target::of(&uri, "proxy")?;
            if proxy.tls {
                return Err("a proxy is spoken to by http://".to_owned());
            }
            Ok(proxy)
        })
        .transpose()?;
    let way = dial::way(cx, &work.via).await.map_err(Wrong::Host)?;
    let first = proxy.as_ref().unwrap_or(&target);
    let stream = match way.dial(&first.endpoint()).await {
        Ok(stream) => stream,
        Err(DialError::Refused(why)) => return Err(why.into()),
        Err(DialError::Host(error)) => return Err(Wrong::Host(error)),
        Err(DialError::Forbidden) => return ask_there(cx, way, work).await,
    };
    let stream = match (&proxy, target.tls) {
        (_, false) => stream,
        (None, true) => tls(stream, &target.host).await?,
        (Some(_), true) => tls(tunnel(stream, &target).await?, &target.host).await?,
    };
    let absolute = proxy.is_some() && !target.tls;
    let (status, body) = speak(stream, &uri, absolute, work).await?;
    Ok(Reply::Http { status, body })
}

async fn speak(
    stream: Box<dyn Duplex>,
    uri: &Uri,
    absolute: bool,
    work: &HttpWork,
) -> Result<(u16, String), String> {
    let line = if absolute {
        uri.to_string()
    } else {
        uri.path_and_query()
            .map_or("/".to_owned(), ToString::to_string)
    };
    let authority = uri.authority().map_or("", |a| a.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, h)| h);
    let mut request = hyper::Request::builder()
        .method(work.method.as_str())
        .uri(line)
        .header(HOST, host)
        .header(USER_AGENT, AGENT);
    for (name, value) in &work.headers {
        let mut value = HeaderValue::from_str(value.expose())
            .map_err(|_| format!("the header `{name}` has a value that no header may have"))?;
        value.set_sensitive(true);
        request = request.header(name.as_str(), value);
    }
    let body = work
        .body
        .as_ref()
        .map_or(Bytes::new(), |b| Bytes::from(b.expose().to_owned()));
    let request = request
        .body(Full::new(body))
        .map_err(|e| format!("the request is none: {e}"))?;
    let said = |e: hyper::Error| format!("no HTTP answer: {e}");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(said)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(said)?;
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let mut kept = Vec::new();
        while kept.len() < BODY {
            let Some(frame) = body.frame().await else {
                break;
            };
            if let Ok(data) = frame.map_err(said)?.into_data() {
                let room = BODY - kept.len();
                kept.extend_from_slice(data.get(..room).unwrap_or(&data));
            }
        }
        Ok((status, String::from_utf8_lossy(&kept).into_owned()))
    };
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // the connection ends by itself once the answer is read; when before, the answer says why
        _ = connection => answer.await,
    }
}

/// Asks a proxy for a tunnel.
async fn tunnel(mut stream: Box<dyn Duplex>, to: &Target) -> Result<Box<dyn Duplex>, String> {
    let said = |e: std::io::Error| format!("the proxy: {e}");
    let host = if to.host.contains(':') {
        format!("[{}]", to.host)
    } else {
        to.host.clone()
    };
    let ask = format!(
        "CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: {AGENT}\r\n\r\n",
        port = to.port
    );
    stream.write_all(ask.as_bytes()).await.map_err(said)?;
    stream.flush().await.map_err(said)?;
    let mut head = Vec::new();
    // byte by byte: what follows the head belongs to the tunnel
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > CONNECT {
            return Err("the proxy's answer to CONNECT does not end".into());
        }
        head.push(stream.read_u8().await.map_err(said)?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let first = head.lines().next().unwrap_or_default();
    match first.split(' ').nth(1) {
        Some(status) if status.starts_with('2') => Ok(stream),
        _ => Err(format!("the proxy refuses: {first}")),
    }
}

async fn tls(stream: Box<dyn Duplex>, host: &str) -> Result<Box<dyn Duplex>, String> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    let config = CONFIG.get_or_init(tls_config).clone()?;
    let name =
        ServerName::try_from(host.to_owned()).map_err(|_| format!("`{host}` is no server name"))?;
    let stream = TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|e| format!("TLS with {host}: {e}"))?;
    Ok(Box::new(stream))
}

fn tls_config() -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err("this machine has no root certificates: install ca-certificates".into());
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS: {e}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Has python3 or curl there ask. Headers and bodies go on standard input, where no list of processes shows them.
async fn ask_there(cx: &Context, way: Arc<dyn Transport>, work: &HttpWork) -> Result<Reply, Wrong> {
    let input = request_json(work);
    let program = format!(
        "if command -v python3 >/dev/null 2>&1; then exec python3 -c {python}; fi\n\
         if command -v curl >/dev/null 2>&1; then exec curl -q -sS -K - -w '\\n%{{http_code}}'; fi\n\
         echo 'the host forbids forwarding and has neither python3 nor curl' >&2\nexit 69\n",
        python = quote(PYTHON),
    );
    // curl reads its own language: which of the two is there is asked first
    let has = dial::run(
        cx,
        way.clone(),
        "command -v python3 >/dev/null 2>&1 && echo python\nexit 0\n",
        b"",
        64,
    )
    .await
    .map_err(Wrong::Host)?;
    let python = has.out.contains("python");
    let input = if python { input } else { curl_config(work) };
    let ran = dial::run(cx, way, &program, input.as_bytes(), BODY * 2)
        .await
        .map_err(Wrong::Host)?;
    let Ran { status, out, err } = ran;
    if status != 0 {
        let why = if err.is_empty() {
            format!("no answer (exit status {status})")
        } else {
            err
        };
        return Err(Wrong::Said(why));
    }
    let (body, code) = out.rsplit_once('\n').unwrap_or(("", &out));
    let code = code
        .trim()
        .parse()
        .map_err(|_| "no HTTP answer".to_owned())?;
    let mut body = body.to_owned();
    let mut end = BODY.min(body.len());
    while !body.is_char_boundary(end) {
        end -= 1;
    }
    body.truncate(end);
    Ok(Reply::Http { status: code, body })
}

fn request_json(work: &HttpWork) -> String {
    serde_json::json!({
        "method": work.method,
        "url": work.url.expose(),
        "headers": work.headers.iter().map(|(n, v)| (n.as_str(), v.expose())).collect::<Vec<_>>(),
        "body": work.body.as_ref().map(|b| b.expose()),
        "proxy": work.proxy.as_ref().map(|p| p.expose()),
        "limit": work.limit.as_secs(),
    })
    .to_string()
}

fn curl_config(work: &HttpWork) -> String {
    let say = |text: &str| {
        let mut said = String::from("\"");
        for c in text.chars() {
            match c {
                '"' => said.push_str("\\\""),
                '\\' => said.push_str("\\\\"),
                '\n' => said.push_str("\\n"),
                '\r' => said.push_str("\\r"),
                '\t' => said.push_str("\\t"),
                other => said.push(other),
            }
        }
        said.push('"');
        said
    };
    let mut config = format!(
        "url = {}\nrequest = {}\nmax-time = {}\nuser-agent = {}\n",
        say(work.url.expose()),
        say(&work.method),
        work.limit.as_secs(),
        say(AGENT),
    );
    for (name, value) in &work.headers {
        config.push_str(&format!(
            "header = {}\n",
            say(&format!("{name}: {}", value.expose()))
        ));
    }
    if let Some(body) = &work.body {
        config.push_str(&format!("data-raw = {}\n", say(body.expose())));
    }
    if work.method.eq_ignore_ascii_case("HEAD") {
        config.push_str("head\n");
    }
    match &work.proxy {
        Some(proxy) => config.push_str(&format!("proxy = {}\n", say(proxy.expose()))),
        None => config.push_str("noproxy = \"*\"\n"),
    }
    config
}

const PYTHON: &str = r#"
import json, sys, urllib.request, urllib.error
q = json.load(sys.stdin)
class Still(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *a): return None
p = {"http": q["proxy"], "https": q["proxy"]} if q["proxy"] else {}
o = urllib.request.build_opener(urllib.request.ProxyHandler(p), Still)
b = q["body"].encode() if q["body"] is not None else None
r = urllib.request.Request(q["url"], data=b, method=q["method"])
for n, v in q["headers"]: r.add_header(n, v)
try:
    try: a = o.open(r, timeout=q["limit"])
    except urllib.error.HTTPError as e: a = e
    sys.stdout.buffer.write(a.read(65536)); sys.stdout.write("\n%d" % a.getcode())
    sys.stdout.flush()
except (OSError, ValueError) as e:
    e = getattr(e, "reason", e)
    sys.stderr.write(str(getattr(e, "strerror", None) or e).lower() + "\n"); sys.exit(1)
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};
    use std::time::Duration;
    use windlass_model::SecretValue;
    use windlass_model::step::Via;

    #[test]
    fn curl_and_python_ask_as_we_would() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut text = String::new();
                let mut buffer = [0; 1024];
                while !text.ends_with("tail") {
                    let n = stream.read(&mut buffer).unwrap();
                    text.push_str(&String::from_utf8_lossy(&buffer[..n]));
                }
                let (head, body) = text.split_once("\r\n\r\n").unwrap();
                let head = head.to_lowercase();
                let same = head.contains("x-a: q\"\\'") && body == "{\"a\": \"\\\\\"}\n\ttail";
                let first = head.lines().next().unwrap();
                let said = format!("{first} {same}");
                let length = said.len();
                write!(
                    stream,
                    "HTTP/1.1 301 No\r\nLocation: /x\r\nContent-Length: {length}\r\n\r\n{said}"
                )
                .unwrap();
            }
        });
        let value = |text: &str| SecretValue::new(text.into());
        let work = HttpWork {
            via: Via::Task,
            method: "PUT".into(),
            url: value(&format!("http://127.0.0.1:{port}/p?q=1")),
            headers: vec![("X-A".into(), value("q\"\\'"))],
            body: Some(value("{\"a\": \"\\\\\"}\n\ttail")),
            proxy: None,
            limit: Duration::from_secs(5),
        };
        let curl = ["-q", "-sS", "-K", "-", "-w", "\\n%{http_code}"];
        for (name, args, input) in [
            ("curl", &curl[..], curl_config(&work)),
            ("python3", &["-c", PYTHON], request_json(&work)),
        ] {
            let Ok(mut child) = Command::new(name)
                .args(args)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
            else {
                continue;
            };
            child
                .stdin
                .take()
                .unwrap()
                .write_all(input.as_bytes())
                .unwrap();
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            assert_eq!(said, "put /p?q=1 http/1.1 true\n301", "{name}");
        }
    }
}
