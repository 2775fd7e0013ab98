//! Values of secrets appear nowhere: not in what is said, recorded, listed or left behind, in whatever form they turn up.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]
#![allow(clippy::panic, reason = "the functions that tests share are tests")]

mod bird;
#[path = "../support/mod.rs"]
mod support;
mod watch;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use bird::{Bird, Flock};
use serde_json::{Value, json};
use support::Ran;
use support::shop::Shop;
use support::site::{Site, closed_port, open_to_all};
use watch::Processes;
use windlass_testkit::sshd::{SshdOptions, is_root};

/// Prints the variables BIRD and DENSE in every way that a program might.
const PRINTER: &str = include_str!("printer.py");

/// Tells all that it knows, and writes down what else it could have told.
const PLUGIN: &str = r#"
import os, sys
from deployerlib.command import Command


class TellTale(Command):
    """Tells all that it knows."""

    def initialize(self, key, wanted, file: str, know: str):
        self.log.info('asked with {0!r} {1!r}'.format(key, wanted))
        with open(know, 'w') as out:
            out.write(repr([key, wanted, sys.argv, dict(os.environ)]))
        return True

    def execute(self):
        text = str(self.remote_host.execute_remote('cat ' + self.file))
        self.log.info('it says ' + text)
        self.log.error('it says {0!r}'.format(text))
        sys.stderr.write('aside: ' + text + '\n')
        raise RuntimeError('cannot stand {0!r} nor {1}'.format(text, text))
"#;

/// A server that answers every request late, with an error and all that it was asked.
fn telltale_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    port
}

fn answer(mut stream: TcpStream) {
    stream
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let (mut asked, mut buffer) = (Vec::new(), [0; 4096]);
    // until nothing comes for a while; one who asks and listens may have gone
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        asked.extend_from_slice(&buffer[..count]);
    }
    let head = "HTTP/1.1 500 no\r\nConnection: close\r\nContent-Length: ";
    let _ = write!(stream, "{head}{}\r\n\r\n", asked.len());
    let _ = stream.write_all(&asked);
}

/// A host, and secrets for every place where one may stand.
struct Nest {
    site: Site,
    birds: Vec<Bird>,
    began: SystemTime,
}

impl Nest {
    fn new(options: &SshdOptions) -> Self {
        let site = Site::with(&["app1"], options);
        let place = &site.place;
        place.program("printer.py", PRINTER);
        place.program("commands/tell_tale.py", PLUGIN);
        place.write("template", "password = {{ password }}\n");
        fs::create_dir(place.path().join("host")).unwrap();
        open_to_all(&place.path().join("host"));
        let (server, closed) = (telltale_server(), closed_port());
        let mut birds: Vec<Bird> = [
            "env", "file", "command", "contents", "template", "body", "argument",
        ]
        .map(Bird::any)
        .into();
        birds.extend([
            Bird::header("header"),
            Bird::url("url", &format!("http://127.0.0.1:{server}/hook/")),
            Bird::url(
                "closed",
                &format!("http://me:pass@127.0.0.1:{closed}/hook/"),
            ),
            Bird::url("proxy", &format!("http://127.0.0.1:{server}/")),
            Bird::dense(place, "printer.py"),
        ]);
        for bird in &birds {
            place.write(&format!("nest/{}", bird.name), &format!("{}\n", bird.value));
        }
        Self {
            site,
            birds,
            began: SystemTime::now(),
        }
    }

    /// Windlass with the variables that references name.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.site.command(arguments);
        command.envs(self.birds.iter().map(|bird| (bird.variable(), &bird.value)));
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    /// A tasklist with a secret at every place, and programs and servers that tell them.
    fn tasklist(&self) -> Value {
        let at = |name: &str| self.site.place.at(name);
        let env = |name: &str| json!({"$secret": {"env": format!("BIRD_{}", name.to_uppercase())}});
        let file = |name: &str| json!({"$secret": {"file": format!("nest/{name}")}});
        let command =
            |name: &str| json!({"$secret": {"command": ["cat", at(&format!("nest/{name}"))]}});
        let on = |name: &str, mut arguments: Value| {
            arguments["command"] = name.into();
            arguments["remote_host"] = "app1".into();
            arguments
        };
        let print = |secret: Value, end: u8| {
            let run = format!("python3 -I {}; exit {end}", at("printer.py"));
            on(
                "execute_command",
                json!({"run": run, "env": {"BIRD": secret, "DENSE": env("dense")}}),
            )
        };
        let traced = "set -x; : \"$BIRD\" \"$DENSE\"; printenv; sleep 0.3; (eval \"$DENSE\"); eval \"$BIRD\"";
        let asked = |more: Value| {
            let mut task = json!({"continue_on_fail": false, "headers": {"X-Key": env("header")}, "body": file("body")});
            task.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            on("http_notify", task)
        };
        json!({"name": "Birds", "stages": [
            {"name": "Write", "concurrency": 2, "tasks": [
                on("writefile", json!({"destination": at("host/contents"), "clobber": true, "contents": command("contents"), "mode": "644"})),
                on("template", json!({"source": "template", "destination": at("host/template"), "values": {"password": env("template")}})),
            ]},
            {"name": "Tell", "concurrency": 20, "max_failures": 100, "tasks": [
                print(env("env"), 0), print(file("file"), 0), print(command("command"), 7),
                on("execute_command", json!({"run": traced, "env": {"BIRD": env("env"), "DENSE": file("dense")}})),
                asked(json!({"url": env("url")})),
                asked(json!({"url": "http://127.0.0.1:1/", "proxy": env("proxy")})),
                asked(json!({"url": env("closed")})),
                on("check_service", json!({"url": env("url"), "want_text": "never", "want_status": 500, "timeout": 0})),
                on("check_service", json!({"url": env("closed"), "timeout": 0})),
                on("tell_tale", json!({
                    "key": env("argument"), "wanted": {"deep": [file("argument")]},
                    "file": at("host/contents"), "know": at("host/known"),
                })),
                {"command": "test_command", "message": env("env"), "optional_argument": file("file")},
                {"command": "execute_command", "run": "printenv; exit 3", "env": {"BIRD": env("env")}},
            ]},
        ]})
    }

    /// Panics when any of the birds is seen in `text`.
    fn unseen_in(&self, what: &str, text: &[u8]) {
        unseen_in(&Flock::of(&self.birds), what, text);
    }

    fn unseen(&self, what: &str, ran: &Ran) {
        self.unseen_in(what, format!("{}{}", ran.stdout, ran.stderr).as_bytes());
    }

    /// Panics when a file that was written since holds one, other than those that are meant to.
    fn unseen_in_files(&self, home: &Path) {
        let at = |name: &str| self.site.place.path().join(name);
        let flock = Flock::of(&self.birds);
        let but = [at("nest"), at("host/contents"), at("host/template")];
        let mut found = Vec::new();
        let places: Vec<PathBuf> = ["/tmp", "/var/tmp", "/dev/shm", "/run/user"]
            .map(PathBuf::from)
            .into();
        for directory in places.iter().map(PathBuf::as_path).chain([home]) {
            watch::files(directory, self.began, &but, &mut found);
        }
        assert!(
            found.iter().any(|path| path.ends_with("journal.jsonl")),
            "{found:?}"
        );
        for path in found {
            // one of another test may be gone
            if let Ok(text) = fs::read(&path) {
                unseen_in(&flock, &path.display().to_string(), &text);
            }
        }
    }
}

fn unseen_in(flock: &Flock<'_>, what: &str, text: &[u8]) {
    if let Some((name, piece)) = flock.seen(text) {
        panic!("{what} tells `{name}`: {piece}\n{}", around(text, &piece));
    }
}

/// The lines of a text that hold a piece, cut.
fn around(text: &[u8], piece: &str) -> String {
    let text = String::from_utf8_lossy(text);
    let lines = text.lines().filter(|line| line.contains(piece)).take(3);
    lines
        .map(|line| line.chars().take(2000).collect::<String>() + "\n")
        .collect()
}

/// Runs the tasklist in every way in which a run may be shown, and looks everywhere.
fn told_nowhere(options: &SshdOptions) {
    let nest = Nest::new(options);
    nest.site
        .place
        .write("tasks.json", &nest.tasklist().to_string());
    let processes = Processes::watch();
    for arguments in [
        ["--verbose"].as_slice(),
        &["--quiet"],
        &["--log-format", "json"],
        &[],
    ] {
        let mut all = vec!["deploy", "--tasklist", "tasks.json"];
        all.extend(arguments);
        let ran = nest.run(&all).expect(1);
        assert!(ran.stderr.contains("RuntimeError"), "{}", ran.stderr);
        nest.unseen(&format!("deploy {arguments:?}"), &ran);
        if arguments == ["--verbose"] {
            // it was printed, and taken out
            assert!(ran.stderr.matches("***").count() > 200, "{}", ran.stderr);
        }
    }
    // on a terminal there is progress
    let line = format!(
        "{} deploy --tasklist tasks.json --ssh-config ssh_config",
        env!("CARGO_BIN_EXE_windlass")
    );
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]);
    let like = nest.command(&[]);
    script.current_dir(nest.site.place.path());
    script.envs(
        like.get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    nest.unseen("a terminal", &Ran::of(script.output().unwrap()));
    let cmdlines = processes.end();
    assert!(cmdlines.iter().any(|line| line.ends_with(b"printer.py\0")));
    nest.unseen_in(
        "a command line",
        &cmdlines.into_iter().collect::<Vec<_>>().join(&b'\n'),
    );
    nest.unseen_in(
        "a plugin",
        &fs::read(nest.site.place.at("host/known")).unwrap(),
    );
    assert_eq!(
        fs::read_to_string(nest.site.place.at("host/contents")).unwrap(),
        nest.birds[3].value
    );

    for arguments in [
        ["plan", "--tasklist", "tasks.json", "--dump"].as_slice(),
        &["plan", "--tasklist", "tasks.json", "--show"],
        &["plan", "--tasklist", "tasks.json", "--save", "saved.json"],
        &["runs", "show"],
        &["runs", "show", "--json"],
        &["runs", "logs"],
        &["runs", "list", "--json"],
    ] {
        let ran = nest.run(arguments);
        assert!(ran.status == 0, "{arguments:?}: {}", ran.stderr);
        nest.unseen(&format!("{arguments:?}"), &ran);
    }
    let home = PathBuf::from(format!("/home/{}", nest.site.sshd.user));
    nest.unseen_in_files(&home);
}

#[test]
fn a_secret_is_told_nowhere() {
    told_nowhere(&SshdOptions::default());
}

#[test]
fn nor_where_the_host_itself_has_to_ask() {
    told_nowhere(&SshdOptions::default().line("AllowTcpForwarding no"));
}

/// Runs a program to its end, which is to be good.
fn done(program: &str, arguments: &[&str]) -> String {
    let ran = Command::new(program).args(arguments).output().unwrap();
    assert!(
        ran.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&ran.stderr)
    );
    String::from_utf8(ran.stdout).unwrap()
}

/// A file that is removed at the end.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn what_lets_in_is_told_nowhere() {
    if !is_root().unwrap() {
        eprintln!("skipped: the rights for sudo are given by root");
        return;
    }
    let options = SshdOptions {
        user: "windlass-canary".into(),
        ..SshdOptions::default()
    };
    let site = Site::with(&["app1"], &options);
    let birds = [
        Bird::header("sudo"),
        Bird::header("passphrase"),
        Bird::header("wrong"),
        Bird::any("env"),
    ];
    let began = SystemTime::now();
    let [sudo, passphrase, _, env] = &birds;
    for bird in &birds {
        site.place
            .write(&format!("nest/{}", bird.name), &format!("{}\n", bird.value));
    }
    let rule = Removed(format!("/etc/sudoers.d/windlass-canary-{}", std::process::id()).into());
    let text = "windlass-canary ALL=(ALL) ALL\nDefaults:windlass-canary timestamp_timeout=0\n";
    fs::write(&rule.0, text).unwrap();
    site.place
        .write("change", &format!("windlass-canary:{}\n", sudo.value));
    done(
        "sh",
        &[
            "-c",
            &format!("chpasswd <{0}; rm {0}", site.place.at("change")),
        ],
    );
    let key = site.sshd.file("client_key");
    done(
        "ssh-keygen",
        &[
            "-q",
            "-p",
            "-P",
            "",
            "-N",
            &passphrase.value,
            "-f",
            key.to_str().unwrap(),
        ],
    );

    let config = |sudo: &str, passphrase: &str| {
        let text = format!(
            "platform: rolling\nhostgroup: {{app: {{hosts: [app1], sudo_password: !file nest/{sudo}}}}}\n\
             ssh_key_passphrase: !command [cat, nest/{passphrase}]\nservice: {{}}\n"
        );
        site.place.write("windlass.yaml", &text);
    };
    // it tells what it was asked with, as far as it can
    let line = "id -un; printenv; echo \"$TOLD\"; ls -l /proc/$$/fd; sleep 0.3; exit 3";
    let tasks = json!({"name": "Root", "stages": [{"name": "Root", "concurrency": 1, "tasks": [{
        "command": "execute_command", "remote_host": "app1", "use_sudo": true, "run": line,
        "env": {"TOLD": {"$secret": {"env": "TOLD"}}},
    }]}]});
    site.place.write("tasks.json", &tasks.to_string());
    let processes = Processes::watch();
    let mut said = Vec::new();
    for (sudo, passphrase, tells) in [
        ("sudo", "passphrase", "root"),
        ("wrong", "passphrase", "denied"),
        ("sudo", "wrong", "passphrase"),
    ] {
        config(sudo, passphrase);
        for more in [["--verbose"].as_slice(), &["--log-format", "json"]] {
            let mut all = vec![
                "deploy",
                "--config",
                "windlass.yaml",
                "--tasklist",
                "tasks.json",
            ];
            all.extend(more);
            let mut command = site.command(&all);
            let ran = Ran::of(command.env("TOLD", &env.value).output().unwrap()).expect(1);
            assert!(ran.stderr.contains(tells), "{tells}: {}", ran.stderr);
            said.push(ran);
        }
        for arguments in [
            ["hosts", "check"].as_slice(),
            &["runs", "show", "--json"],
            &["runs", "logs"],
        ] {
            said.push(site.windlass(arguments));
        }
    }
    let flock = Flock::of(&birds);
    for ran in said {
        unseen_in(
            &flock,
            "windlass",
            format!("{}{}", ran.stdout, ran.stderr).as_bytes(),
        );
    }
    unseen_in(
        &flock,
        "a command line",
        &processes.end().into_iter().collect::<Vec<_>>().join(&b'\n'),
    );
    unseen_in(&flock, "sshd", site.sshd.log().as_bytes());
    let mut found = Vec::new();
    let but = [site.place.path().join("nest")];
    for directory in [
        "/tmp",
        "/var/tmp",
        "/home/windlass-canary",
        "/root/.local/state/windlass",
    ] {
        watch::files(Path::new(directory), began, &but, &mut found);
    }
    for path in found {
        unseen_in(
            &flock,
            &path.display().to_string(),
            &fs::read(&path).unwrap_or_default(),
        );
    }
}

#[test]
fn bad_input_tells_none() {
    let nest = Nest::new(&SshdOptions::default());
    let secret = json!({"$secret": {"file": "nest/env"}});
    let line = format!(
        "set -x; B=$(cat {}); echo \"$B\" >&2; exit 3",
        nest.site.place.at("nest/env")
    );
    for task in [
        json!({"command": "writefile", "destination": secret, "contents": secret}),
        json!({"command": "execute_command", "run": "true", "env": {"A": secret}, "cwd": 3}),
        json!({"command": "execute_command", "run": "true", "env": {"A": secret, "B": {"$secret": {"file": "nest/none"}}}}),
        json!({"command": "execute_command", "run": "true", "env": {"A": secret, "B": {"$secret": {"command": ["sh", "-c", line]}}}}),
        json!({"command": "execute_command", "run": "true", "env": {"A": secret, "B": {"$secret": {"command": ["cat", "nest/env", "nest/none"]}}}}),
        json!({"command": "http_notify", "url": {"$secret": {"env": "BIRD_ENV"}}}),
        json!({"command": "http_notify", "url": "http://127.0.0.1:1/", "headers": {"A": {"$secret": {"env": "BIRD_ENV"}}}, "continue_on_fail": false}),
    ] {
        let list =
            json!({"name": "Bad", "stages": [{"name": "Bad", "concurrency": 1, "tasks": [task]}]});
        nest.site.place.write("bad.json", &list.to_string());
        for more in [["--verbose"], ["--log-format=json"]] {
            let mut all = vec!["deploy", "--tasklist", "bad.json"];
            all.extend(more);
            nest.unseen(&task.to_string(), &nest.run(&all));
        }
    }
}

#[test]
fn a_rolling_deploy_tells_none() {
    let shop = Shop::up();
    let birds = [Bird::any("balancer"), Bird::any("sudo")];
    for bird in &birds {
        shop.place.write(bird.name, &bird.value);
    }
    let at = |name: &str| shop.place.at(name);
    shop.edit_config(
        "    type: haproxy\n",
        &format!(
            "    type: haproxy\n    user: admin\n    password: !file {}\n",
            at("balancer")
        ),
    );
    shop.edit_config(
        "platform: rolling\n",
        &format!(
            "platform: rolling\nsudo_password: !command [cat, {}]\n",
            at("sudo")
        ),
    );
    let processes = Processes::watch();
    let (saved, json) = (at("saved.json"), ["--log-format", "json"]);
    let mut said = vec![
        shop.with_release("plan", "1.0.0", &["--dump"]).expect(0),
        shop.with_release("plan", "1.0.0", &["--show"]).expect(0),
        shop.with_release("plan", "1.0.0", &["--save", &saved])
            .expect(0),
        shop.with_release("deploy", "1.0.0", &["--verbose"])
            .expect(0),
        shop.with_release("deploy", "3.0.0", &json).expect(1),
        shop.place.windlass(&["runs", "show"]),
        shop.place.windlass(&["runs", "logs"]),
    ];
    said.push(
        shop.windlass("where", &["--config", &shop.at("windlass.yaml")])
            .expect(0),
    );
    said.push(shop.windlass("rollback", &["--config", &shop.at("windlass.yaml")]));
    let flock = Flock::of(&birds);
    for ran in said {
        unseen_in(
            &flock,
            "windlass",
            format!("{}{}", ran.stdout, ran.stderr).as_bytes(),
        );
    }
    unseen_in(
        &flock,
        "a command line",
        &processes.end().into_iter().collect::<Vec<_>>().join(&b'\n'),
    );
    let mut found = Vec::new();
    let but = [at("balancer").into(), at("sudo").into()];
    for directory in [shop.path(), shop.place.path()] {
        watch::files(directory, SystemTime::UNIX_EPOCH, &but, &mut found);
    }
    for path in found {
        unseen_in(
            &flock,
            &path.display().to_string(),
            &fs::read(&path).unwrap_or_default(),
        );
    }
}
