#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::*;

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nheard";

/// A server that answers each request with the same, and says what it heard.
fn server() -> (u16, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (heard, hears) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, heard) = (stream.unwrap(), heard.clone());
            std::thread::spawn(move || {
                let (mut all, mut chunk) = (Vec::new(), [0; 4096]);
                while !all.ends_with(b"END") {
                    match stream.read(&mut chunk) {
                        Ok(count) if count > 0 => all.extend_from_slice(&chunk[..count]),
                        _ => return,
                    }
                }
                let _ = heard.send(all);
                let _ = stream.write_all(ANSWER.as_bytes());
            });
        }
    });
    (port, hears)
}

fn send(port: u16, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

fn hear(mut stream: TcpStream, wait: Duration) -> String {
    stream.set_read_timeout(Some(wait)).unwrap();
    let (mut all, mut chunk) = (Vec::new(), [0; 4096]);
    while let Ok(count) = stream.read(&mut chunk) {
        if count == 0 {
            break;
        }
        all.extend_from_slice(&chunk[..count]);
    }
    String::from_utf8(all).unwrap()
}

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(300);

#[test]
fn what_is_doubled_arrives_twice_and_is_answered_once_or_not_wholly() {
    let (port, hears) = server();
    let proxy = Proxy::start(port, 7).unwrap();
    proxy.set(Mode::Doubled { lost: 40 });
    let mut big =
        b"PUT /a HTTP/1.1\r\nConnection: keep-alive\r\nContent-Length: 700003\r\n\r\n".to_vec();
    big.extend(std::iter::repeat_n(b'x', 700_000));
    big.extend_from_slice(b"END");
    let small = b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nEND";
    let mut chunked = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    chunked.extend_from_slice(b"4\r\nbody\r\n0\r\n\r\n");
    let mut whole = 0;
    for n in 0..20 {
        let request = if n % 5 == 0 { &big[..] } else { &small[..] };
        let answer = hear(send(proxy.port(), request), LONG);
        whole += u64::from(answer == ANSWER);
        assert!(ANSWER.starts_with(&answer));
        for _ in 0..2 {
            let heard = hears.recv_timeout(LONG).unwrap();
            let (head, body) =
                request.split_at(request.len() - if n % 5 == 0 { 700_003 } else { 3 });
            assert!(heard.ends_with(body), "{}", String::from_utf8_lossy(head));
            assert!(heard.windows(17).any(|w| w == b"connection: close"));
        }
    }
    assert_eq!(proxy.doubled(), 20);
    assert_eq!(whole, 20 - proxy.lost());
    assert!((1..20).contains(&whole));
    // this one is never answered, but it is read to its end
    drop(send(proxy.port(), &chunked));
}

#[test]
fn what_is_cut_is_held_and_arrives_late_or_never() {
    let (port, hears) = server();
    let proxy = Proxy::start(port, 1).unwrap();
    assert_eq!(hear(send(proxy.port(), b"END"), LONG), ANSWER);
    hears.recv_timeout(LONG).unwrap();

    proxy.set(Mode::Cut(Cut::Requests));
    let held = send(proxy.port(), b"one END");
    assert!(hears.recv_timeout(SHORT).is_err());
    proxy.heal(Healing::Late);
    assert_eq!(hears.recv_timeout(LONG).unwrap(), b"one END");
    assert_eq!(hear(held, LONG), ANSWER);

    proxy.set(Mode::Cut(Cut::Answers));
    let held = send(proxy.port(), b"two END");
    assert_eq!(hears.recv_timeout(LONG).unwrap(), b"two END");
    assert_eq!(hear(held.try_clone().unwrap(), SHORT), "");
    proxy.heal(Healing::Never);
    assert_eq!(hear(held, SHORT), "");

    proxy.set(Mode::Cut(Cut::Both));
    let held = send(proxy.port(), b"three END");
    assert!(hears.recv_timeout(SHORT).is_err());
    proxy.heal(Healing::Never);
    assert!(hears.recv_timeout(SHORT).is_err());
    drop(held);
    assert_eq!(hear(send(proxy.port(), b"END"), LONG), ANSWER);

    proxy.set(Mode::Closed);
    let mut closed = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
    closed.set_read_timeout(Some(LONG)).unwrap();
    assert!(!matches!(closed.read(&mut [0; 1]), Ok(1)));
}
