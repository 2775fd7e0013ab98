//! Programs and servers that run beside a test and end with it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A program; killed when dropped.
pub(crate) struct Background(Child);

impl Background {
    pub(crate) fn start(program: &str, args: &[&str]) -> Self {
        Self(
            Command::new(program)
                .args(args)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until `what` holds, at most 10 s.
pub(crate) fn until(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < Duration::from_secs(10), "it never holds");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A server that gives each connection the next of `answers` (the last one for ever) and passes on what it was sent.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) heard: Receiver<String>,
}

impl Server {
    /// `until` is what a request ends with.
    pub(crate) fn start(until: &'static str, answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, heard) = channel();
        std::thread::spawn(move || {
            for (n, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let mut text = String::new();
                let mut buffer = [0; 4096];
                while !text.contains(until) {
                    match stream.read(&mut buffer) {
                        Ok(0) | Err(_) => break,
                        Ok(n) => text.push_str(&String::from_utf8_lossy(&buffer[..n])),
                    }
                }
                if let Some(answer) = answers.get(n).or(answers.last()) {
                    let _ = stream.write_all(answer.as_bytes());
                }
                if tell.send(text).is_err() {
                    return;
                }
            }
        });
        Self { port, heard }
    }

    /// Answers by HTTP: status and body.
    pub(crate) fn http(answers: &[(u16, &str)]) -> Self {
        let answer = |(status, body): &(u16, &str)| {
            let length = body.len();
            format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
        };
        Self::start("\r\n\r\n", answers.iter().map(answer).collect())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/healthz", self.port)
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
