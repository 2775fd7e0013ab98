//! Requests in every form that HTTP has, and hostile ones.

use std::io::Write;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use windlass_server::http::Bounds;
use windlass_wire::xmlrpc::{Value, request};

use crate::support::call::{code, post, raw, read, reqwest_client, response_in, xml};
use crate::support::{Manager, Setup};

const NO_LENGTH: &str = "";

fn length(bytes: &[u8]) -> String {
    format!("Content-Length: {}\r\n", bytes.len())
}

fn call() -> Vec<u8> {
    request("system.listMethods", vec![]).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// A call of a method with one argument, in XML.
fn with(argument: &str) -> Vec<u8> {
    let head =
        "<?xml version='1.0'?><methodCall><methodName>list_projects</methodName><params><param>";
    format!("{head}<value>{argument}</value></param></params></methodCall>").into_bytes()
}

async fn lives(manager: &Manager) {
    assert!(xml(&manager.url, "list_projects", vec![]).await.is_ok());
}

#[tokio::test]
async fn every_form_of_a_call_is_understood() {
    let manager = Manager::start(Setup::default()).await;
    let to = manager.serving.address;
    let body = call();
    for kind in [
        "",
        "Content-Type: text/xml\r\n",
        "Content-Type: application/json\r\n",
        "Content-Type: ;;;\r\n",
    ] {
        let headers = format!("{}{kind}", length(&body));
        assert!(
            response_in(&post(to, &headers, &body).await).is_ok(),
            "{kind}"
        );
    }
    let packed = gzip(&body);
    for coding in ["gzip", "x-gzip", "GZIP"] {
        let headers = format!("{}Content-Encoding: {coding}\r\n", length(&packed));
        assert!(
            response_in(&post(to, &headers, &packed).await).is_ok(),
            "{coding}"
        );
    }
    let mut chunked = Vec::new();
    for part in body.chunks(7) {
        chunked.extend(format!("{:x}\r\n", part.len()).bytes());
        chunked.extend(part);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    let answer = post(to, "Transfer-Encoding: chunked\r\n", &chunked).await;
    assert!(response_in(&answer).is_ok());

    let old = format!("POST /RPC2 HTTP/1.0\r\n{}\r\n", length(&body));
    let answer = raw(to, &[old.as_bytes(), &body].concat()).await;
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    assert!(response_in(&answer).is_ok());

    let one = format!("POST / HTTP/1.1\r\nHost: x\r\n{}\r\n", length(&body));
    let one = [one.as_bytes(), &body].concat();
    let last = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n",
        length(&body)
    );
    let three = [one.clone(), one, [last.as_bytes(), &body].concat()].concat();
    let answer = raw(to, &three).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
}

#[tokio::test]
async fn other_methods_and_paths_are_answered_plainly() {
    let manager = Manager::start(Setup::default()).await;
    for (method, path, status) in [
        ("HEAD", "/", 405),
        ("OPTIONS", "/", 405),
        ("GET", "/RPC2", 405),
        ("DELETE", "/api/v1/transactions", 405),
        ("GET", "/nothing", 404),
        ("HEAD", "/healthz", 200),
        ("GET", "/api/v1/transactions/../../x", 404),
        ("GET", "/api/v1/transactions/%2e%2e%2fx", 400),
        ("GET", "/api/v1/transactions/none", 404),
        ("GET", "/api/v1/transactions?limit=many", 400),
        ("GET", "/api/v1/transactions?project=..", 400),
        ("GET", "/api/v1/transactions?limit=4294967295", 200),
        ("GET", "/api/v1/releases/shop/1/web", 404),
        ("DELETE", "/api/v1/agents/cook/x", 400),
        ("PUT", "/api/v1/blobs/xyz", 400),
        ("POST", "/api/v1/transactions", 400),
        ("POST", "/agent/v1/register", 400),
    ] {
        let url = format!("{}{path}", manager.url);
        let call = reqwest_client().request(method.parse().unwrap(), url);
        let answer = call.send().await.unwrap();
        assert_eq!(answer.status(), status, "{method} {path}");
        if status == 405 && path == "/" {
            assert_eq!(answer.headers()["allow"], "POST");
        }
        let text = answer.text().await.unwrap();
        if status >= 400 && method != "HEAD" {
            let told: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert!(told["error"].is_string(), "{method} {path}: {text}");
        }
    }
}

#[tokio::test]
async fn a_body_is_as_long_as_it_may_be_and_no_longer() {
    let manager = Manager::start(Setup::default()).await;
    let to = manager.serving.address;
    let limit = 1 << 20;
    let frame = with("<string></string>").len();
    let fits = with(&format!("<string>{}</string>", "x".repeat(limit - frame)));
    assert_eq!(fits.len(), limit);
    let answer = response_in(&post(to, &length(&fits), &fits).await);
    assert_eq!(code(&answer), -32602);
    for size in [limit + 1, 8 * limit] {
        let long = vec![b' '; size];
        let answer = response_in(&post(to, &length(&long), &long).await);
        assert_eq!(code(&answer), -32400, "{size}");
        let url = format!("{}/api/v1/transactions", manager.url);
        let answer = reqwest_client().post(url).body(long).send().await.unwrap();
        assert_eq!(answer.status(), 413);
    }
    lives(&manager).await;
}

/// The most memory that this process had since it was asked last, in bytes; nextest runs each test in a process of its own.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    kib << 10
}

#[tokio::test]
async fn bombs_are_faults_in_bounded_memory_and_time() {
    let manager = Manager::start(Setup::default()).await;
    let to = manager.serving.address;
    let bomb = gzip(&vec![b' '; 300 << 20]);
    let twice = gzip(&bomb);
    let lol = "<!DOCTYPE x [<!ENTITY a 'lol'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]>";
    let entities = [lol.as_bytes(), &with("&b;")].concat();
    let levels = 10_000;
    let deep = with(&format!(
        "{}{}",
        "<array><data><value>".repeat(levels),
        "</value></data></array>".repeat(levels)
    ));
    let structs = with(&format!(
        "{}{}",
        "<struct><member><name>a</name><value>".repeat(levels),
        "</value></member></struct>".repeat(levels)
    ));
    let values = with(&format!(
        "<array><data>{}</data></array>",
        "<value/>".repeat(125_000)
    ));
    let open = "<".repeat(1 << 20).into_bytes();
    let cases: [(&str, &[u8], &str, i64); 9] = [
        ("gzip", &bomb, "Content-Encoding: gzip\r\n", -32400),
        ("gzip in gzip", &twice, "Content-Encoding: gzip\r\n", 0),
        ("no gzip", b"abc", "Content-Encoding: gzip\r\n", -32300),
        ("br", b"abc", "Content-Encoding: br\r\n", -32300),
        ("entities", &entities, NO_LENGTH, 0),
        ("deep", &deep, NO_LENGTH, -32400),
        ("deep structs", &structs, NO_LENGTH, -32400),
        ("values", &values, NO_LENGTH, -32400),
        ("open", &open, NO_LENGTH, 0),
    ];
    memory();
    let before = memory();
    for (name, body, headers, wanted) in cases {
        let began = Instant::now();
        let headers = format!("{}{headers}", length(body));
        let answer = response_in(&post(to, &headers, body).await);
        assert!(answer.is_err(), "{name}");
        if wanted != 0 {
            assert_eq!(code(&answer), wanted, "{name}: {answer:?}");
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{name}");
    }
    let grown = memory() - before;
    assert!(grown < 64 << 20, "{grown} bytes more");
    lives(&manager).await;
}

#[tokio::test]
async fn millions_of_values_are_a_fault_where_long_requests_are_taken() {
    let manager = Manager::start(Setup {
        request_limit: 64 << 20,
        ..Setup::default()
    })
    .await;
    let values = with(&format!(
        "<array><data>{}</data></array>",
        "<value/>".repeat(4_000_000)
    ));
    memory();
    let before = memory();
    let began = Instant::now();
    let answer = post(manager.serving.address, &length(&values), &values).await;
    assert_eq!(code(&response_in(&answer)), -32400);
    assert!(began.elapsed() < Duration::from_secs(10));
    // the request itself, and its buffer while it grows
    assert!(memory() - before < 200 << 20);
    lives(&manager).await;
}

#[tokio::test]
async fn who_says_nothing_is_hung_up_on() {
    let head = Duration::from_secs(1);
    let manager = Manager::start(Setup {
        bounds: Bounds {
            connections: 8,
            head,
        },
        ..Setup::default()
    })
    .await;
    let to = manager.serving.address;
    let mut silent = Vec::new();
    for say in [
        "",
        "POST / HTTP/1.1\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    ] {
        for _ in 0..8 {
            let mut stream = TcpStream::connect(to).await.unwrap();
            stream.write_all(say.as_bytes()).await.unwrap();
            silent.push(stream);
        }
    }
    // a byte now and then does not help
    let mut slow = TcpStream::connect(to).await.unwrap();
    let trickle = tokio::spawn(async move {
        for byte in b"POST / HTTP/1.1\r\nHost: x\r\n".iter().cycle() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if slow.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    });
    let began = Instant::now();
    for mut stream in silent {
        let mut rest = Vec::new();
        let end = stream.read_to_end(&mut rest);
        let ended = tokio::time::timeout(Duration::from_secs(10), end).await;
        assert!(ended.is_ok(), "a silent connection is kept open");
    }
    lives(&manager).await;
    assert!(
        tokio::time::timeout(Duration::from_secs(15), trickle)
            .await
            .is_ok()
    );
    assert!(began.elapsed() < Duration::from_secs(20));

    // one that is kept alive and says nothing more
    let mut idle = TcpStream::connect(to).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut rest = Vec::new();
    let end = idle.read_to_end(&mut rest);
    assert!(
        tokio::time::timeout(Duration::from_secs(10), end)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_connection_that_breaks_off_harms_nobody() {
    let manager = Manager::start(Setup::default()).await;
    let to = manager.serving.address;
    for _ in 0..50 {
        let mut stream = TcpStream::connect(to).await.unwrap();
        let half = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n<?xml";
        stream.write_all(half).await.unwrap();
    }
    for broken in [
        &b"\x00\x01\x02"[..],
        b"POST / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    ] {
        let _ = raw(to, broken).await;
    }
    let long = format!(
        "GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "x".repeat(1 << 20)
    );
    let answer = raw(to, long.as_bytes()).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
    lives(&manager).await;
}

#[tokio::test]
async fn a_web_page_is_refused() {
    let manager = Manager::start(Setup::default()).await;
    let post = |path: &str| {
        let call = reqwest_client().post(format!("{}{path}", manager.url));
        call.header("origin", "http://elsewhere.example")
    };
    for path in [
        "/RPC2",
        "/api/v1/transactions",
        "/api/v1/reload",
        "/agent/v1/register",
    ] {
        let answer = post(path).body(call()).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{path}");
    }
}

#[tokio::test]
async fn a_call_without_credentials_has_three_forms() {
    let manager = Manager::start(Setup::default()).await;
    for params in [vec![], vec![Value::from(serde_json::json!({}))]] {
        assert!(xml(&manager.url, "list_projects", params).await.is_ok());
    }
    let body = request("query_transaction", vec!["none".into()]).unwrap();
    let answer = reqwest_client().post(&manager.url).body(body).send().await;
    let answer = answer.unwrap().bytes().await.unwrap();
    assert_eq!(code(&read(&answer)), 404);
}
