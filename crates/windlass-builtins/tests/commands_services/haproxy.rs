//! A real HAProxy: drain, wait, enable.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use windlass_model::outcome::Outcome;

use crate::background::{Background, free_port, until};
use crate::drive::{Done, run};

/// HAProxy before a checked server (`app1`, where somebody listens), one without `check` (`app2`) and a checked one where
/// nobody listens (`app3`).
pub(crate) struct Balancer {
    dir: TempDir,
    front: u16,
    api: u16,
    _haproxy: Background,
}

impl Balancer {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Takes connections and never answers, so that a session lasts as long as its client wants.
        let app = TcpListener::bind("127.0.0.1:0").unwrap();
        let app1 = app.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in app.incoming().flatten() {
                std::thread::spawn(move || std::io::copy(&mut &stream, &mut std::io::sink()));
            }
        });
        let (front, api, nobody) = (free_port(), free_port(), free_port());
        let at = dir.path().display();
        let config = format!(
            "global\n stats socket {at}/admin level admin\n stats socket {at}/user level user\n\
             \x20stats socket ipv4@127.0.0.1:{api} level admin\n\
             defaults\n mode tcp\n timeout connect 1s\n timeout client 20s\n timeout server 20s\n\
             frontend front\n bind 127.0.0.1:{front}\n default_backend web\n\
             backend web\n\
             \x20server app1 127.0.0.1:{app1} check inter 200 rise 2 fall 2\n\
             \x20server app2 127.0.0.1:{app1} backup\n\
             \x20server app3 127.0.0.1:{nobody} check inter 100 fall 1\n"
        );
        let file = dir.path().join("haproxy.cfg");
        std::fs::write(&file, config).unwrap();
        let haproxy = Background::start("haproxy", &["-db", "-f", file.to_str().unwrap()]);
        let balancer = Self {
            dir,
            front,
            api,
            _haproxy: haproxy,
        };
        until(|| UnixStream::connect(balancer.socket("admin")).is_ok());
        until(|| balancer.status("app1").starts_with("UP") && balancer.status("app3") == "DOWN");
        balancer
    }

    pub(crate) fn socket(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn status(&self, server: &str) -> String {
        let mut socket = UnixStream::connect(self.socket("admin")).unwrap();
        socket.write_all(b"show stat\n").unwrap();
        let table = std::io::read_to_string(socket).unwrap();
        let row = table
            .lines()
            .find(|l| l.starts_with(&format!("web,{server},")));
        row.and_then(|row| row.split(',').nth(17))
            .unwrap_or("?")
            .to_owned()
    }

    fn act(&self, verb: &str, service: &str, more: Value) -> Done {
        let mut args = json!({"lb_hostname": "local", "lb_service": service, "timeout": 2});
        let args = match (&mut args, more) {
            (Value::Object(args), Value::Object(more)) => {
                args.extend(more);
                args
            }
            _ => panic!("maps"),
        };
        if !args.contains_key("lb_port") && !args.contains_key("lb_socket") {
            args.insert("lb_socket".into(), json!(self.socket("admin")));
        }
        run(&format!("{verb}_loadbalancer"), Value::Object(args.clone()))
    }
}

#[test]
fn a_server_is_drained_and_enabled() {
    let balancer = Balancer::start();
    for more in [json!({}), json!({"lb_port": balancer.api})] {
        for server in ["app1", "app2"] {
            let service = format!("web/{server}");
            let does = |verb| balancer.act(verb, &service, more.clone()).outcome;
            assert_eq!(does("enable"), Outcome::Unchanged);
            assert_eq!(does("disable"), Outcome::Changed);
            assert_eq!(balancer.status(server), "DRAIN");
            assert_eq!(does("disable"), Outcome::Unchanged);
            assert_eq!(does("enable"), Outcome::Changed);
            assert_eq!(does("enable"), Outcome::Unchanged);
        }
    }
}

#[test]
fn sessions_are_waited_for() {
    let balancer = Balancer::start();
    let session = TcpStream::connect(("127.0.0.1", balancer.front)).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let closer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(1500));
        drop(session);
    });
    let done = balancer.act("disable", "web/app1", json!({"timeout": 20}));
    closer.join().unwrap();
    assert_eq!(done.outcome, Outcome::Changed);
    let took = Duration::from_secs(1)..Duration::from_secs(5);
    assert!(
        done.said.is_empty() && took.contains(&done.took),
        "{done:?}"
    );
}

#[test]
fn a_drain_that_does_not_empty_goes_on_with_a_warning() {
    let balancer = Balancer::start();
    let _session = TcpStream::connect(("127.0.0.1", balancer.front)).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let done = balancer.act("disable", "web/app1", json!({}));
    assert_eq!(done.outcome, Outcome::Changed);
    assert_eq!(
        done.said,
        ["web/app1 still has 1 sessions after 2 s of draining; going on"]
    );
}

#[test]
fn a_server_that_stays_down_is_a_failure() {
    let balancer = Balancer::start();
    let done = balancer.act("enable", "web/app3", json!({}));
    assert!(
        done.failure()
            .starts_with("web/app3 is `DOWN` (its last check: L4CON) 2 s after"),
        "{done:?}"
    );
}

#[test]
fn maintenance_stays_until_it_is_enabled() {
    let balancer = Balancer::start();
    let mut socket = UnixStream::connect(balancer.socket("admin")).unwrap();
    socket
        .write_all(b"set server web/app1 state maint\n")
        .unwrap();
    until(|| balancer.status("app1") == "MAINT");
    assert_eq!(
        balancer.act("disable", "web/app1", json!({})).outcome,
        Outcome::Unchanged
    );
    assert_eq!(balancer.status("app1"), "MAINT");
    let done = balancer.act("enable", "web/app1", json!({"timeout": 10}));
    assert_eq!(done.outcome, Outcome::Changed);
    assert_eq!(balancer.status("app1"), "UP");
}

#[test]
fn what_haproxy_refuses_is_said_with_a_hint() {
    let balancer = Balancer::start();
    let said = |service: &str, more| balancer.act("disable", service, more).failure().to_owned();
    let text = said("web/app9", json!({}));
    assert!(
        text.contains("no such server; `web` has app1, app2, app3"),
        "{text}"
    );
    let text = said("shop/app1", json!({}));
    assert!(text.contains("is there a `backend shop`"), "{text}");
    let text = said("web/app1", json!({"lb_socket": balancer.socket("user")}));
    assert!(text.contains("level admin"), "{text}");
    let text = said("web/app1", json!({"lb_socket": "/no/such/socket"}));
    assert!(
        text.contains("cannot talk to HAProxy at /no/such/socket on local"),
        "{text}"
    );
}
