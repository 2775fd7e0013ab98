//! HTTPS.

use std::net::SocketAddr;

use windlass_server::http::Tls;
use windlass_wire::connection::{Connection, WireError};

use crate::support::call::raw;
use crate::support::{Manager, PASSWORD, Setup, basic, users};

fn certificate() -> (String, String) {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[tokio::test]
async fn a_client_verifies_whom_it_talks_to() {
    let (chain, key) = certificate();
    let manager = Manager::start(Setup {
        auth: users(),
        tls: Some(Tls::new(chain.as_bytes(), key.as_bytes()).unwrap()),
        ..Setup::default()
    })
    .await;
    let login = || basic("admin", PASSWORD);
    let ask = async |url: &str, roots: Option<&str>| {
        let connection = Connection::new(url, login(), roots.map(str::as_bytes)).unwrap();
        connection.get::<serde_json::Value>("api/v1/projects").await
    };
    let projects = ask(&manager.url, Some(&chain)).await.unwrap();
    assert_eq!(projects.as_array().unwrap().len(), 2);

    let unknown = ask(&manager.url, None).await.unwrap_err();
    assert!(
        matches!(&unknown, WireError::Link(why) if why.contains("certificate")),
        "{unknown}"
    );
    let (another, _) = certificate();
    assert!(ask(&manager.url, Some(&another)).await.is_err());

    let plain = manager.url.replace("https", "http");
    assert!(matches!(ask(&plain, None).await, Err(WireError::Link(_))));
    let address: SocketAddr = manager.serving.address;
    let answer = raw(address, b"POST / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(!answer.contains("HTTP/1.1"), "{answer}");
    assert!(ask(&manager.url, Some(&chain)).await.is_ok());
}

#[test]
fn what_is_wrong_with_a_certificate_is_said() {
    let (chain, key) = certificate();
    let (_, another) = certificate();
    let wrong = |chain: &str, key: &str| Tls::new(chain.as_bytes(), key.as_bytes()).err().unwrap();
    assert!(wrong("nothing", &key).starts_with("the certificate"));
    assert!(wrong(&chain, "nothing").starts_with("the key"));
    assert!(wrong(&chain, &another).starts_with("the certificate and its key"));
}
