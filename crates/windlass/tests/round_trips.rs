//! How often Windlass waits for a host: what it sends ahead waits for no answer of its own.
//!
//! A proxy between Windlass and an sshd counts turns: how often the one side speaks after the other did.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};
use support::Place;
use windlass_testkit::sshd::{Sshd, SshdOptions};

/// Counts the turns of all connections through it.
struct Counting {
    port: u16,
    turns: Arc<AtomicUsize>,
}

impl Counting {
    fn before(sshd: &Sshd) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, to) = (listener.local_addr().unwrap().port(), sshd.port);
        let turns = Arc::new(AtomicUsize::new(0));
        let counted = turns.clone();
        std::thread::spawn(move || {
            for here in listener.incoming() {
                let (here, there) = (
                    here.unwrap(),
                    TcpStream::connect(("127.0.0.1", to)).unwrap(),
                );
                let server_spoke = Arc::new(AtomicBool::new(false));
                for (mut from, mut to, is_server) in [
                    (here.try_clone().unwrap(), there.try_clone().unwrap(), false),
                    (there, here, true),
                ] {
                    let (turns, server_spoke) = (counted.clone(), server_spoke.clone());
                    std::thread::spawn(move || {
                        let _ = to.set_nodelay(true);
                        let mut buffer = [0; 65536];
                        while let Ok(read @ 1..) = from.read(&mut buffer) {
                            if server_spoke.swap(is_server, Ordering::SeqCst) && !is_server {
                                turns.fetch_add(1, Ordering::SeqCst);
                            }
                            if to.write_all(&buffer[..read]).is_err() {
                                break;
                            }
                        }
                        let _ = to.shutdown(std::net::Shutdown::Both);
                    });
                }
            }
        });
        Self { port, turns }
    }
}

/// The turns that a chain of so many tasks takes, and how many programs the host was asked to run for it.
fn chain(
    place: &Place,
    sshd: &Sshd,
    proxy: &Counting,
    tasks: usize,
    more: &Value,
) -> (usize, usize) {
    let key =
        sshd.known_line()
            .unwrap()
            .replacen(&sshd.port.to_string(), &proxy.port.to_string(), 1);
    place.write("known_hosts", &key);
    let block = format!(
        "Host far\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\n",
        proxy.port,
        sshd.user,
        sshd.file("client_key").display(),
        place.at("known_hosts"),
    );
    place.write("ssh_config", &block);
    let task = |n: usize| {
        let mut task = json!({"command": "execute_command", "remote_host": "far", "run": format!("echo step {n}")});
        for (key, value) in more.as_object().unwrap() {
            task[key] = value.clone();
        }
        task
    };
    let list = json!({"name": "Chain", "stages": [
        {"name": "Steps", "concurrency": 1, "tasks": [(0..tasks).map(task).collect::<Vec<_>>()]}
    ]});
    place.write("list.json", &list.to_string());
    let programs = || sshd.log().matches("Starting session").count();
    let (turns, begun) = (proxy.turns.load(Ordering::SeqCst), programs());
    let ran = place.windlass(&[
        "--ssh-config",
        "ssh_config",
        "deploy",
        "--tasklist",
        "list.json",
    ]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    (
        proxy.turns.load(Ordering::SeqCst) - turns,
        programs() - begun,
    )
}

#[test]
fn a_chain_costs_no_more_round_trips_than_its_first_task() {
    let sshd = Sshd::start(&SshdOptions::default()).unwrap();
    let proxy = Counting::before(&sshd);
    let place = Place::new();
    for more in [json!({}), json!({"safe_to_repeat": true})] {
        let (one, first) = chain(&place, &sshd, &proxy, 1, &more);
        // both may speak at once: a turn is counted then, though nobody waited. So the least of three counts; who waits for each
        // task makes sixty more each time.
        let tries = (0..3).map(|_| chain(&place, &sshd, &proxy, 60, &more));
        let (many, programs) = tries.min().unwrap();
        assert!(
            many < one + 30,
            "{more}: {one} turns for a task, {many} for sixty"
        );
        assert_eq!(
            (first, programs),
            (1, 1),
            "one shell does it all, what was kept is removed in it"
        );
    }
}
