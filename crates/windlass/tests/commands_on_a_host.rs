//! Every built-in command once on a real host, over a real sshd; services under real runit, load balancing by a real HAProxy.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]

mod support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::Place;
use windlass_testkit::sshd::{Sshd, SshdOptions};

/// A child that is ended when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // TERM, so that a supervisor ends what it supervises.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

fn started(program: &str, arguments: &[&str]) -> Running {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Running(command.spawn().unwrap())
}

/// Takes every connection, answers as an HTTP server would, and keeps the first line that each one sent.
fn listener() -> (u16, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).unwrap_or(0);
            let _ = stream.write_all(
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwell\n",
            );
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            let _ = sender.send(text.lines().next().unwrap_or_default().to_owned());
        }
    });
    (port, receiver)
}

fn wait_for(path: &Path) {
    let end = Instant::now() + Duration::from_secs(10);
    while !path.exists() {
        assert!(Instant::now() < end, "{} did not come", path.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A runit service that sleeps, which whoever logs in may control.
fn supervised(place: &Place) -> Running {
    place.program("service/run", "#!/bin/sh\nexec sleep 1000\n");
    place.write("service/down", "");
    let runsv = started("runsv", &[&place.at("service")]);
    let supervise = place.path().join("service/supervise");
    wait_for(&supervise.join("ok"));
    open(&place.path().join("service"));
    for name in ["control", "ok", "status"] {
        std::fs::set_permissions(supervise.join(name), PermissionsExt::from_mode(0o666)).unwrap();
    }
    runsv
}

/// The user of the host writes here too.
fn open(path: &Path) {
    for entry in std::fs::read_dir(path).unwrap().flatten() {
        if entry.path().is_dir() {
            open(&entry.path());
        }
    }
    let mut mode = std::fs::metadata(path).unwrap().permissions();
    mode.set_mode(0o777);
    std::fs::set_permissions(path, mode).unwrap();
}

fn balancer(place: &Place) -> Running {
    let (port, _) = listener();
    place.write(
        "haproxy.cfg",
        &format!(
            "global\n  stats socket @DIR@/haproxy.sock mode 666 level admin\ndefaults\n  mode http\n  timeout connect 5s\n  \
             timeout client 5s\n  timeout server 5s\nbackend web\n  server app1 127.0.0.1:{port} check inter 200ms\n"
        ),
    );
    let haproxy = started("haproxy", &["-db", "-f", &place.at("haproxy.cfg")]);
    wait_for(&place.path().join("haproxy.sock"));
    haproxy
}

fn packed(place: &Place) {
    place.write("tree/shop_1.0/bin/serve", "#!/bin/sh\n");
    place.write("tree/shop_1.0/conf/prod/app.conf", "colour = blue\n");
    let tarball = place.at("local/shop_1.0.tar.gz");
    std::fs::create_dir_all(place.path().join("local")).unwrap();
    let tar = Command::new("tar")
        .args(["-C", &place.at("tree"), "-czf", &tarball, "shop_1.0"])
        .status()
        .unwrap();
    assert!(tar.success());
}

#[test]
fn every_command_works_on_a_real_host() {
    let place = Place::new();
    let sshd = Sshd::start(&SshdOptions::default()).unwrap();
    packed(&place);
    place.write("local/greeting.j2", "Hello, {{ name }}\n");
    std::fs::create_dir_all(place.path().join("host")).unwrap();
    let _runsv = supervised(&place);
    let _haproxy = balancer(&place);
    let (web, asked) = listener();
    let (carbon, metrics) = listener();
    open(place.path());
    let runit = json!({"servicename": "@DIR@/service", "control_type": "runit"});
    let lb = json!({"lb_hostname": "local", "lb_service": "web/app1", "lb_socket": "@DIR@/haproxy.sock"});
    let tasks = vec![
        ("test_command", json!({"message": "hello"}), "unchanged"),
        (
            "createdirectory",
            json!({"source": "@DIR@/host/unpacked/shop_1.0", "clobber": true, "mode": "0755"}),
            "changed",
        ),
        (
            "createdirectory",
            json!({"source": "@DIR@/host/webapps"}),
            "changed",
        ),
        (
            "upload",
            json!({"source": "local/*.tar.gz", "destination": "@DIR@/host/tarballs"}),
            "changed",
        ),
        (
            "upload",
            json!({"source": "local/*.tar.gz", "destination": "@DIR@/host/tarballs"}),
            "unchanged",
        ),
        (
            "unpack",
            json!({"source": "@DIR@/host/tarballs/shop_1.0.tar.gz", "destination": "@DIR@/host/unpacked/shop_1.0", "strip": 1}),
            "changed",
        ),
        (
            "listdirectory",
            json!({"directory": "@DIR@/host/unpacked/shop_1.0"}),
            "unchanged",
        ),
        (
            "deploy_properties",
            json!({"source": "@DIR@/host/unpacked/shop_1.0/conf/prod", "destination": "@DIR@/host/conf", "version": "1.0"}),
            "changed",
        ),
        (
            "dbmigration",
            json!({"source": "echo migrated >@DIR@/host/migrated"}),
            "changed",
        ),
        (
            "copyfile",
            json!({"source": "@DIR@/host/unpacked/shop_1.0", "destination": "@DIR@/host/unpacked/copy"}),
            "changed",
        ),
        (
            "movefile",
            json!({"source": "@DIR@/host/unpacked/copy", "destination": "@DIR@/host/webapps/shop_0.9"}),
            "changed",
        ),
        (
            "symlink",
            json!({"source": "shop_0.9", "destination": "@DIR@/host/webapps/shop"}),
            "changed",
        ),
        (
            "getremoteversions",
            json!({"install_location": "@DIR@/host/webapps"}),
            "unchanged",
        ),
        (
            "writefile",
            json!({"destination": "@DIR@/host/note", "contents": "noted\n", "mode": "0640"}),
            "changed",
        ),
        (
            "template",
            json!({"source": "local/greeting.j2", "destination": "@DIR@/host/greeting", "values": {"name": "host"}}),
            "changed",
        ),
        (
            "execute_command",
            json!({"run": "[ \"$A\" = 1 ] && [ \"$PWD\" = / ] && exit 4", "env": {"A": "1"}, "cwd": "/", "want_state": 4}),
            "changed",
        ),
        ("start_service", runit.clone(), "changed"),
        ("restart_service", runit.clone(), "changed"),
        (
            "reload_service",
            json!({"reload_command": "true"}),
            "changed",
        ),
        (
            "control_service",
            merged(&runit, json!({"action": "status"})),
            "unchanged",
        ),
        ("stop_service", runit.clone(), "changed"),
        (
            "check_service",
            json!({"url": format!("http://127.0.0.1:{web}/healthz"), "want_text": "well", "timeout": 5}),
            "unchanged",
        ),
        ("disable_loadbalancer", lb.clone(), "changed"),
        ("enable_loadbalancer", lb.clone(), "changed"),
        ("check_loadbalancer", lb.clone(), "unchanged"),
        (
            "deploy_and_restart",
            merged(
                &merged(&lb, runit),
                json!({
                    "source": "@DIR@/host/unpacked/shop_1.0", "destination": "@DIR@/host/webapps/shop_1.0",
                    "link_target": "@DIR@/host/webapps/shop", "check_command": "true",
                }),
            ),
            "changed",
        ),
        (
            "archive",
            json!({"archivedir": "@DIR@/host/archive", "release": "@DIR@/host/webapps/shop_1.0"}),
            "changed",
        ),
        (
            "cleanup",
            json!({"path": "@DIR@/host/webapps", "filespec": "shop_*", "keepversions": 1}),
            "changed",
        ),
        (
            "checkout",
            json!({"vcs": "directory", "url": "@DIR@/tree/shop_1.0", "directory": "@DIR@/host/source", "revision_file": "@DIR@/host/revision"}),
            "changed",
        ),
        (
            "source_version",
            json!({"source": "@DIR@/host/source", "output": "@DIR@/host/version", "revision_file": "@DIR@/host/revision"}),
            "changed",
        ),
        (
            "collect",
            json!({"source": "@DIR@/host/source", "files": ["."], "destination": "@DIR@/host/collected", "archive": "zip"}),
            "changed",
        ),
        (
            "replacedirectory",
            json!({"source": "@DIR@/host/source", "destination": "@DIR@/host/placed"}),
            "changed",
        ),
        (
            "putfile",
            json!({"source": "local/greeting.j2", "destination": "@DIR@/host/put"}),
            "changed",
        ),
        (
            "installed_version",
            json!({"install_location": "@DIR@/host", "service": "nothing"}),
            "unchanged",
        ),
        (
            "removefile",
            json!({"source": "@DIR@/host/note"}),
            "changed",
        ),
        (
            "send_graphite",
            json!({"carbon_host": "127.0.0.1", "carbon_port": carbon, "metric_name": "deploy.start"}),
            "changed",
        ),
        (
            "http_notify",
            json!({"url": format!("http://127.0.0.1:{web}/told"), "body": "done"}),
            "changed",
        ),
        (
            "pipeline_notify",
            json!({"url": format!("http://127.0.0.1:{web}/told-too")}),
            "changed",
        ),
    ];
    let chain: Vec<Value> = tasks
        .iter()
        .map(|(command, args, _)| {
            merged(args, json!({"command": command, "remote_host": "testhost"}))
        })
        .collect();
    let tasklist =
        json!({"name": "all", "stages": [{"name": "All", "concurrency": 1, "tasks": [chain]}]});
    place.write("tasks.json", &tasklist.to_string());
    let ssh_config = sshd.file("ssh_config");
    let ssh_config = ssh_config.to_str().unwrap();
    place
        .windlass(&[
            "deploy",
            "--tasklist",
            "tasks.json",
            "--ssh-config",
            ssh_config,
        ])
        .expect(0);
    let shown = place.windlass(&["runs", "show", "--json"]).expect(0).stdout;
    let run: Value = serde_json::from_str(&shown).unwrap();
    let outcomes: Vec<(&str, &str)> = run["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| {
            (
                task["command"].as_str().unwrap(),
                task["outcome"].as_str().unwrap(),
            )
        })
        .collect();
    let wanted: Vec<(&str, &str)> = tasks
        .iter()
        .map(|(command, _, outcome)| (*command, *outcome))
        .collect();
    assert_eq!(outcomes, wanted);
    let outputs: BTreeMap<&str, &str> = run["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|task| Some((task["command"].as_str()?, task["output"].as_str()?)))
        .collect();
    assert_eq!(outputs["getremoteversions"].trim(), "shop 0.9");
    assert_eq!(
        outputs["listdirectory"]
            .split_whitespace()
            .collect::<Vec<_>>(),
        ["bin", "conf"]
    );
    what_stands_there(&place);
    assert!(metrics.recv().unwrap().starts_with("deploy.start 1"));
    let lines: Vec<String> = asked.try_iter().collect();
    assert_eq!(
        lines,
        [
            "GET /healthz HTTP/1.1",
            "POST /told HTTP/1.1",
            "POST /told-too HTTP/1.1"
        ]
    );
    let known = place.windlass(&["commands", "--json"]).expect(0).stdout;
    let known: Vec<Value> = serde_json::from_str(&known).unwrap();
    for command in known.iter().map(|c| c["name"].as_str().unwrap()) {
        assert!(
            tasks.iter().any(|(name, ..)| *name == command),
            "{command} is not tried here"
        );
    }
}

fn what_stands_there(place: &Place) {
    let host = place.path().join("host");
    let text = |name: &str| std::fs::read_to_string(host.join(name)).unwrap();
    assert_eq!(text("greeting"), "Hello, host\n");
    assert_eq!(text("migrated"), "migrated\n");
    assert_eq!(text("conf/app.conf"), "colour = blue\n");
    assert_eq!(
        std::fs::read_link(host.join("webapps/shop")).unwrap(),
        host.join("webapps/shop_1.0")
    );
    assert!(host.join("webapps/shop_1.0/bin/serve").exists());
    assert!(
        !host.join("webapps/shop_0.9").exists(),
        "cleanup left the old release"
    );
    assert!(!host.join("note").exists());
    assert!(host.join("archive").read_dir().unwrap().next().is_some());
}

fn merged(one: &Value, other: Value) -> Value {
    let mut all = one.as_object().unwrap().clone();
    all.extend(other.as_object().unwrap().clone());
    all.into()
}
