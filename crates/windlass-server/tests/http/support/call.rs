//! Calls: XML-RPC by HTTP, and bytes as they are.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use windlass_wire::xmlrpc::{Limits, Response, Value, parse_response, request};

use super::PASSWORD;

/// Credentials of a user.
pub(crate) fn credentials(username: &str) -> Value {
    Value::from(json!({"username": username, "password": PASSWORD}))
}

/// A call by XML-RPC.
pub(crate) async fn xml(url: &str, method: &str, params: Vec<Value>) -> Response {
    let body = request(method, params).unwrap();
    let sent = reqwest_client().post(format!("{url}/RPC2")).body(body);
    let answer = sent.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/xml");
    read(&answer.bytes().await.unwrap())
}

/// A call with data in the form that is usual.
pub(crate) async fn asked(url: &str, method: &str, username: &str, data: Json) -> Response {
    xml(url, method, vec![credentials(username), Value::from(data)]).await
}

pub(crate) fn read(body: &[u8]) -> Response {
    let limits = Limits {
        bytes: 64 << 20,
        ..Limits::default()
    };
    parse_response(body, &limits).unwrap()
}

/// The code of a fault; 200 for an answer.
pub(crate) fn code(response: &Response) -> i64 {
    match response {
        Ok(_) => 200,
        Err(fault) => fault.code,
    }
}

pub(crate) fn reqwest_client() -> reqwest::Client {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let builder = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(60));
    builder.tls_backend_preconfigured(tls).build().unwrap()
}

/// Sends bytes, and reads until the other end closes; what came within 20 s.
pub(crate) async fn raw(to: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(20), read).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// A POST of a body to `/RPC2` with further header lines, each with its line end; the connection is closed after it.
pub(crate) async fn post(to: SocketAddr, headers: &str, body: &[u8]) -> String {
    let head =
        format!("POST /RPC2 HTTP/1.1\r\nHost: manager\r\nConnection: close\r\n{headers}\r\n");
    raw(to, &[head.as_bytes(), body].concat()).await
}

/// The response in what came back.
pub(crate) fn response_in(answer: &str) -> Response {
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {answer:?}"));
    assert!(head.contains(" 200 "), "{answer}");
    read(body.as_bytes())
}
