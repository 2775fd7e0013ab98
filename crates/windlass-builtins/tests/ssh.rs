//! Hosts over SSH, against a real sshd.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the functions that tests share are tests"
)]

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use windlass_builtins::hosts::{AllHosts, HostsOptions, PerHost, hosts};
use windlass_engine::host::{Batch, Conversation, Heard, HostError, HostErrorKind, Hosts};
use windlass_engine::secrets::Secrets;
use windlass_model::event::Stream;
use windlass_model::ids::{HostName, TaskId};
use windlass_model::step::{As, Dial, Endpoint, Http, Put, PutSource, Reply, Run, Step, Via};
use windlass_model::{SecretRef, SecretValue, Text};
use windlass_testkit::sshd::{Sshd, SshdOptions, is_root, keygen, make_user};

const PASSWORD: &str = "correct horse";

fn sshd(options: &SshdOptions) -> Sshd {
    Sshd::start(options).expect("an sshd starts")
}

fn options(config: &Path) -> HostsOptions {
    HostsOptions {
        ssh_config: Some(config.to_owned()),
        local_user: "nobody".into(),
        connect_timeout: Some(Duration::from_secs(10)),
        ..HostsOptions::default()
    }
}

fn all(sshd: &Sshd) -> Arc<AllHosts> {
    hosts(options(&sshd.file("ssh_config"))).unwrap()
}

fn name(host: &str) -> HostName {
    HostName::new(host)
}

async fn talk(all: &AllHosts) -> Box<dyn Conversation> {
    all.converse(&name("testhost"), None)
        .await
        .expect("it is reached")
}

async fn error(all: &AllHosts, host: &str) -> HostError {
    match all.converse(&name(host), None).await {
        Ok(_) => panic!("{host} must not be reached"),
        Err(error) => error,
    }
}

fn task(n: u32) -> TaskId {
    TaskId::new(1, 1, n)
}

fn run(script: &str) -> Step {
    Run::script(script).into()
}

fn sudo(user: &str, script: &str) -> Step {
    Step::Run(Run {
        user: As::Sudo(user.into()),
        ..Run::script(script)
    })
}

async fn send(talk: &mut dyn Conversation, n: u32, steps: Vec<Step>, ahead: bool) {
    let batch = Batch {
        task: task(n),
        steps,
        ahead,
        keep: None,
    };
    talk.send(batch, &Arc::default()).await.unwrap();
}

async fn hear(talk: &mut dyn Conversation) -> Result<Heard, HostError> {
    tokio::time::timeout(Duration::from_secs(60), talk.hear())
        .await
        .expect("it is heard in time")
}

async fn replies(talk: &mut dyn Conversation, n: usize) -> Vec<Reply> {
    let mut replies = Vec::new();
    while replies.len() < n {
        if let Heard::Reply(_, reply) = hear(talk).await.expect("no host error") {
            replies.push(reply);
        }
    }
    replies
}

async fn one(talk: &mut dyn Conversation, step: Step) -> Reply {
    send(talk, 1, vec![step], false).await;
    replies(talk, 1).await.remove(0)
}

async fn failure(talk: &mut dyn Conversation) -> HostError {
    loop {
        if let Err(error) = hear(talk).await {
            return error;
        }
    }
}

/// The first line that a program prints.
async fn printed(talk: &mut dyn Conversation) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\n") {
        if let Heard::Output(_, Stream::Stdout, bytes) = hear(talk).await.unwrap() {
            text.extend(bytes);
        }
    }
    String::from_utf8(text).unwrap().trim().to_owned()
}

fn ran(status: i32, stdout: &str, stderr: &str) -> Reply {
    Reply::Ran {
        status,
        stdout: stdout.into(),
        stderr: stderr.into(),
    }
}

fn why(reply: Reply) -> String {
    match reply {
        Reply::Impossible(why) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn programs_run_under_every_login_shell() {
    for shell in [
        "/bin/sh",
        "/bin/bash",
        "/usr/bin/tcsh",
        "/usr/bin/fish",
        "/bin/mksh",
    ] {
        if !Path::new(shell).exists() {
            continue;
        }
        let sshd = sshd(&SshdOptions::default().shell(shell));
        let all = all(&sshd);
        let mut talk = talk(&all).await;
        let steps = vec![
            Step::Run(Run {
                script: "printf %s \"$W_A\"; echo err >&2; pwd; exit 80".into(),
                env: vec![("W_A".into(), Text::plain("it's\n$HOME"))],
                cwd: Some("/usr".into()),
                ..Run::default()
            }),
            run("cat; pwd; head -c 200000 /dev/zero | tr '\\0' x | wc -c"),
        ];
        send(talk.as_mut(), 1, steps, false).await;
        let replies = replies(talk.as_mut(), 2).await;
        assert_eq!(replies[0], ran(80, "it's\n$HOME/usr\n", "err\n"), "{shell}");
        let Reply::Ran { stdout, .. } = &replies[1] else {
            panic!("{shell}")
        };
        assert!(stdout.ends_with("200000\n"), "{shell}: {stdout}");
        talk.close().await;
        all.close().await;
    }
}

#[tokio::test]
async fn a_restricted_shell_is_named_as_such() {
    if !is_root().unwrap() || !Path::new("/bin/rbash").exists() {
        return;
    }
    let sshd = sshd(&SshdOptions::default().shell("/bin/rbash"));
    let all = all(&sshd);
    let mut talk = talk(&all).await;
    send(talk.as_mut(), 1, vec![run("true")], false).await;
    match hear(talk.as_mut()).await {
        // some restricted shells still start sh
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind, HostErrorKind::Shell, "{error}"),
    }
}

#[tokio::test]
async fn conversations_share_one_connection() {
    let sshd = sshd(&SshdOptions::default().line("MaxSessions 100"));
    let all = all(&sshd);
    let talks = (0..20).map(|_| async {
        let mut talk = talk(&all).await;
        let reply = one(talk.as_mut(), run("echo $SSH_CONNECTION")).await;
        talk.close().await;
        reply
    });
    let replies = futures_util::future::join_all(talks).await;
    assert!(replies.iter().all(|r| r == &replies[0]), "{replies:?}");
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 1);
}

/// The system of a server holds back what comes after an announcement until that is acknowledged, with the answer or 40 ms later.
#[tokio::test]
async fn what_a_server_announces_is_answered() {
    let sshd = sshd(&SshdOptions::default().line("LogLevel DEBUG1"));
    let mut talk = talk(&all(&sshd)).await;
    assert_eq!(one(talk.as_mut(), run("true")).await, ran(0, "", ""));
    let log = sshd.log();
    let answers = log.matches("rtype keepalive@openssh.com want_reply 0");
    assert_eq!(answers.count(), 1, "{log}");
}

/// A program that ends right afterwards must not look like a lost link to the hosts.
#[test]
fn every_host_is_told_goodbye_before_the_program_ends() {
    let [inner, outer, seen] = [(); 3].map(|()| sshd(&SshdOptions::default()));
    let config = outer.file("chain_config");
    let behind = inner.host_block("inner", "  ProxyJump outer\n");
    let direct = outer.host_block("outer", "") + &seen.host_block("seen", "");
    std::fs::write(&config, behind + &direct).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let all = hosts(options(&config)).unwrap();
        for host in ["inner", "outer"] {
            let mut talk = all.converse(&name(host), None).await.unwrap();
            assert_eq!(one(talk.as_mut(), run("true")).await, ran(0, "", ""));
            talk.close().await;
        }
        all.close().await;
        assert!(all.scan_keys(&[name("seen")]).await[0].1.is_ok());
    });
    drop(runtime);
    for sshd in [inner, outer, seen] {
        let end = Instant::now() + Duration::from_secs(20);
        while !sshd.log().contains("Received disconnect") {
            assert!(Instant::now() < end, "{}", sshd.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[tokio::test]
async fn what_is_sent_ahead_stops_with_what_it_depends_on() {
    let sshd = sshd(&SshdOptions::default());
    let all = all(&sshd);
    let mut talk = talk(&all).await;
    let directory = tempfile::tempdir().unwrap();
    open_to_all(directory.path());
    let touch = |name: &str| run(&format!("touch {}", directory.path().join(name).display()));
    send(
        talk.as_mut(),
        1,
        vec![run("sleep 0.3; exit 4"), touch("a")],
        false,
    )
    .await;
    send(talk.as_mut(), 2, vec![touch("b")], true).await;
    send(talk.as_mut(), 3, vec![touch("c")], false).await;
    let replies = replies(talk.as_mut(), 2).await;
    assert_eq!(replies, [ran(4, "", ""), ran(0, "", "")]);
    let there = |name: &str| directory.path().join(name).exists();
    assert!(!there("a") && !there("b") && there("c"));
}

#[tokio::test]
async fn when_the_link_is_lost_what_was_sent_ahead_is_not_run() {
    if !is_root().unwrap() {
        return;
    }
    let sshd = sshd(&SshdOptions::default());
    let all = all(&sshd);
    let mut talk = talk(&all).await;
    let directory = tempfile::tempdir().unwrap();
    open_to_all(directory.path());
    let touch = |name: &str| run(&format!("touch {}", directory.path().join(name).display()));
    send(
        talk.as_mut(),
        1,
        vec![run("echo $PPID; sleep 1"), touch("same")],
        false,
    )
    .await;
    send(talk.as_mut(), 2, vec![touch("next")], true).await;
    let server = printed(talk.as_mut()).await;
    kill(&server);
    let error = failure(talk.as_mut()).await;
    assert_eq!(error.kind, HostErrorKind::Lost, "{error}");
    assert!(talk.hear().await.is_err());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!directory.path().join("same").exists());
    assert!(!directory.path().join("next").exists());
    // a lost connection is made anew
    let mut talk = self::talk(&all).await;
    assert_eq!(
        one(talk.as_mut(), run("echo again")).await,
        ran(0, "again\n", "")
    );
}

fn kill(pid: &str) {
    let status = Command::new("kill").args(["-KILL", pid]).status().unwrap();
    assert!(status.success());
}

fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
}

/// The rights of the users for sudo, until it is dropped; the users themselves stay on the machine.
struct SudoUsers;

impl Drop for SudoUsers {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(sudoers());
    }
}

/// A file of this process's own: tests that want these rights run side by side.
fn sudoers() -> String {
    format!("/etc/sudoers.d/windlass-test-{}", std::process::id())
}

/// Users who may use sudo, with and without a password.
fn sudo_users() -> SudoUsers {
    make_user("windlass-sudo", "/bin/sh").unwrap();
    make_user("windlass-test", "/bin/sh").unwrap();
    let hash = Command::new("openssl")
        .args(["passwd", "-6", PASSWORD])
        .output()
        .unwrap();
    let hash = String::from_utf8(hash.stdout).unwrap();
    let set = Command::new("usermod")
        .args(["-p", hash.trim(), "windlass-sudo"])
        .status()
        .unwrap();
    assert!(set.success());
    std::fs::write(
        sudoers(),
        "windlass-sudo ALL=(ALL) ALL\nwindlass-test ALL=(ALL) NOPASSWD: ALL\n\
         Defaults:windlass-sudo timestamp_timeout=0\n",
    )
    .unwrap();
    SudoUsers
}

#[tokio::test]
async fn sudo_with_and_without_a_password() {
    if !is_root().unwrap() {
        return;
    }
    let _rights = sudo_users();
    let free = sshd(&SshdOptions::default());
    let all_free = all(&free);
    let mut free_talk = talk(&all_free).await;
    let steps = vec![
        run("id -un"),
        sudo("root", "id -un; pwd"),
        sudo("nobody", "id -un; pwd"),
        run("id -un"),
    ];
    send(free_talk.as_mut(), 1, steps, false).await;
    assert_eq!(
        replies(free_talk.as_mut(), 4).await,
        [
            ran(0, "windlass-test\n", ""),
            ran(0, "root\n/root\n", ""),
            ran(0, "nobody\n/\n", ""),
            ran(0, "windlass-test\n", "")
        ]
    );

    let asked = sshd(&SshdOptions {
        user: "windlass-sudo".into(),
        ..SshdOptions::default()
    });
    let with = |password: Option<&str>| {
        let secret = SecretRef::Env("PASSWORD".into());
        let values = password
            .map(|p| (secret.clone(), SecretValue::new(p.into())))
            .into_iter()
            .collect::<HashMap<_, _>>();
        hosts(HostsOptions {
            sudo_password: PerHost {
                default: password.map(|_| secret),
                ..PerHost::default()
            },
            secrets: Arc::new(Secrets::new(values)),
            ..options(&asked.file("ssh_config"))
        })
        .unwrap()
    };
    let right = with(Some(PASSWORD));
    let mut right_talk = talk(&right).await;
    let reply = one(right_talk.as_mut(), sudo("root", "id -un; ps -eo args")).await;
    let Reply::Ran { stdout, stderr, .. } = reply else {
        panic!()
    };
    assert!(stdout.starts_with("root\n"), "{stdout} {stderr}");
    assert!(!stdout.contains(PASSWORD));
    for (password, wanted) in [(Some("wrong"), "password is wrong"), (None, "NOPASSWD")] {
        let all = with(password);
        let mut talk = talk(&all).await;
        send(talk.as_mut(), 1, vec![sudo("root", "id -un")], false).await;
        let error = failure(talk.as_mut()).await;
        assert_eq!(error.kind, HostErrorKind::Denied, "{error}");
        assert!(error.message.contains(wanted), "{error}");
    }
}

fn put(to: &Path, source: &Path) -> Put {
    Put {
        source: PutSource::File {
            path: source.to_owned(),
            sha256: None,
        },
        to: to.display().to_string(),
        mode: None,
        owner: None,
        user: As::Login,
        replace: true,
    }
}

#[tokio::test]
async fn a_file_is_sent_once() {
    let sshd = sshd(&SshdOptions::default());
    let all = all(&sshd);
    let mut talk = talk(&all).await;
    let directory = tempfile::tempdir().unwrap();
    open_to_all(directory.path());
    let source = sshd.file("source");
    let bytes: Vec<u8> = (0..20_000_000u32)
        .flat_map(|i| (i as u8 ^ (i >> 8) as u8).to_le_bytes())
        .collect();
    std::fs::write(&source, &bytes).unwrap();
    let to = directory.path().join("to");
    let begun = Instant::now();
    let size = bytes.len() as u64;
    let first = one(talk.as_mut(), Step::Put(put(&to, &source))).await;
    assert_eq!(
        first,
        Reply::Put {
            sent: true,
            bytes: size
        }
    );
    println!(
        "{} MiB/s",
        size as f64 / 1048576.0 / begun.elapsed().as_secs_f64()
    );
    assert_eq!(std::fs::read(&to).unwrap(), bytes);
    let again = one(talk.as_mut(), Step::Put(put(&to, &source))).await;
    assert_eq!(
        again,
        Reply::Put {
            sent: false,
            bytes: size
        }
    );
    let mut other = put(&to, &sshd.file("known_hosts"));
    other.replace = false;
    let reply = one(talk.as_mut(), Step::Put(other)).await;
    assert!(why(reply).contains("exists with other contents"));
    if is_root().unwrap() {
        let nowhere = put(Path::new("/etc/windlass-no"), &source);
        let reply = one(talk.as_mut(), Step::Put(nowhere)).await;
        assert_eq!(why(reply), "no permission to write in /etc");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_full_disk_is_said_and_nothing_is_left() {
    if !is_root().unwrap() {
        return;
    }
    let sshd = sshd(&SshdOptions::default());
    let disk = sshd.file("disk");
    std::fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m,mode=777", "tmpfs"])
        .arg(&disk)
        .status();
    if !mounted.is_ok_and(|s| s.success()) {
        return;
    }
    let source = sshd.file("source");
    std::fs::write(&source, vec![1; 30_000_000]).unwrap();
    let all = all(&sshd);
    let mut talk = talk(&all).await;
    let reply = one(talk.as_mut(), Step::Put(put(&disk.join("to"), &source))).await;
    let left = std::fs::read_dir(&disk).unwrap().count();
    let unmounted = Command::new("umount").arg(&disk).status().unwrap();
    assert!(unmounted.success());
    assert!(why(reply).contains("No space left on device"));
    assert_eq!(left, 0);
}

#[tokio::test]
async fn killing_leaves_nothing_there() {
    if !is_root().unwrap() {
        return;
    }
    let _rights = sudo_users();
    let sshd = sshd(&SshdOptions::default().line("MaxSessions 2"));
    let all = all(&sshd);
    for step in [run, |s: &str| sudo("root", s)] {
        let mut talk = talk(&all).await;
        let script = "echo $(cut -d' ' -f5 /proc/$$/stat); sleep 300 & sleep 301; sleep 302";
        send(talk.as_mut(), 1, vec![run("true"), step(script)], false).await;
        let group = printed(talk.as_mut()).await;
        assert_ne!(members(&group), 0);
        let begun = Instant::now();
        talk.kill().await;
        assert_eq!(members(&group), 0);
        assert!(begun.elapsed() < Duration::from_secs(9));
    }
}

/// How many processes of a group are no zombies.
fn members(group: &str) -> usize {
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|e| std::fs::read_to_string(e.path().join("stat")).ok())
        .filter(|stat| {
            let rest = stat.rsplit_once(") ").map_or("", |(_, r)| r);
            let mut words = rest.split(' ');
            words.next() != Some("Z") && words.nth(1) == Some(group)
        })
        .count()
}

#[tokio::test]
async fn six_conversations_share_two_sessions() {
    let sshd = sshd(&SshdOptions::default().line("MaxSessions 2"));
    let all = all(&sshd);
    let directory = tempfile::tempdir().unwrap();
    open_to_all(directory.path());
    let talks = (0..6u32).map(|n| {
        let all = all.clone();
        let to = directory.path().join(n.to_string());
        let source = sshd.file("client_key.pub");
        async move {
            let mut talk = talk(&all).await;
            let steps = vec![
                run("echo a; sleep 0.2"),
                Step::Put(put(&to, &source)),
                run("echo b"),
            ];
            send(talk.as_mut(), n, steps, false).await;
            let replies = replies(talk.as_mut(), 3).await;
            talk.close().await;
            assert_eq!(replies[0], ran(0, "a\n", ""));
            assert!(matches!(replies[1], Reply::Put { sent: true, .. }));
            assert_eq!(replies[2], ran(0, "b\n", ""));
        }
    });
    futures_util::future::join_all(talks).await;
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 1);
}

fn dial(to: Endpoint) -> Step {
    Step::Dial(Dial {
        via: Via::Task,
        to,
        send: "hello\n".into(),
        answer: true,
        time_limit: 10,
    })
}

fn get(port: u16) -> Step {
    Step::Http(Http {
        via: Via::Task,
        method: "POST".into(),
        url: Text::plain(format!("http://127.0.0.1:{port}/a?b=c")),
        headers: vec![("X-Secret".into(), "it's".into())],
        body: Some("body".into()),
        proxy: None,
        time_limit: 10,
    })
}

/// Echoes a line; answers a request with its own text.
fn serve(stream: &mut (impl std::io::Read + std::io::Write)) {
    let mut buffer = vec![0; 65536];
    let mut text = String::new();
    while !text.ends_with('\n') && !text.ends_with("body") {
        let n = stream.read(&mut buffer).unwrap_or(0);
        if n == 0 {
            break;
        }
        text.push_str(&String::from_utf8_lossy(&buffer[..n]));
        if text.contains("HTTP/1.1") && !text.ends_with("body") {
            text.push(' ');
        }
    }
    let answer = if text.contains("HTTP/1.1") {
        let secret = text.to_lowercase().contains("x-secret: it's");
        let line = format!("{} {secret}", text.lines().next().unwrap());
        format!(
            "HTTP/1.1 302 No\r\nLocation: /\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{line}",
            line.len()
        )
    } else {
        format!("you said {text}")
    };
    let _ = stream.write_all(answer.as_bytes());
}

#[tokio::test]
async fn sockets_are_reached_whether_forwarding_is_allowed_or_not() {
    for line in ["AllowTcpForwarding yes", "DisableForwarding yes"] {
        let sshd = sshd(&SshdOptions::default().line(line));
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        std::thread::spawn(move || tcp.incoming().flatten().for_each(|mut s| serve(&mut s)));
        let path = sshd.file("socket");
        let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
        open_to_all(&path);
        std::thread::spawn(move || unix.incoming().flatten().for_each(|mut s| serve(&mut s)));
        let all = all(&sshd);
        let mut talk = talk(&all).await;
        let answer = Reply::Dialed {
            answer: "you said hello\n".into(),
        };
        let unix = Endpoint::Unix(path.display().to_string());
        let tcp = Endpoint::Tcp("127.0.0.1".into(), port);
        assert_eq!(one(talk.as_mut(), dial(unix)).await, answer, "{line}");
        assert_eq!(one(talk.as_mut(), dial(tcp)).await, answer, "{line}");
        let refused = Endpoint::Tcp("127.0.0.1".into(), 1);
        let reply = one(talk.as_mut(), dial(refused)).await;
        let reply = why(reply).to_lowercase();
        assert!(reply.contains("connection refused"), "{line}: {reply}");
        let missing = Endpoint::Unix("/does/not/exist".into());
        let reply = one(talk.as_mut(), dial(missing)).await;
        let reply = why(reply);
        // what says so may be a program of the host, in its own words
        assert!(
            reply.to_lowercase().contains("no such file"),
            "{line}: {reply}"
        );
        let reply = one(talk.as_mut(), get(port)).await;
        let wanted = Reply::Http {
            status: 302,
            body: "POST /a?b=c HTTP/1.1 true".into(),
        };
        assert_eq!(reply, wanted, "{line}");
        let reply = one(talk.as_mut(), get(1)).await;
        let reply = why(reply).to_lowercase();
        assert!(reply.contains("connection refused"), "{line}: {reply}");
    }
}

#[tokio::test]
async fn hosts_behind_hosts_are_reached() {
    let inner = sshd(&SshdOptions::default());
    let middle = sshd(&SshdOptions::default());
    let outer = sshd(&SshdOptions::default());
    let config = outer.file("chain_config");
    let text = [
        inner.host_block("inner", "  ProxyJump outer,middle\n"),
        middle.host_block("middle", ""),
        outer.host_block("outer", ""),
        "Host round\n  HostName 127.0.0.1\n  ProxyJump square\nHost square\n  ProxyJump round\n"
            .into(),
    ]
    .concat();
    std::fs::write(&config, text).unwrap();
    let all = hosts(options(&config)).unwrap();
    let keys = all
        .check_keys(&[name("inner"), name("local"), name("outer")])
        .await;
    assert_eq!(keys, []);
    let mut talk = all.converse(&name("inner"), None).await.unwrap();
    let reply = one(talk.as_mut(), run("echo $SSH_CONNECTION")).await;
    let Reply::Ran { stdout, .. } = reply else {
        panic!()
    };
    assert!(stdout.trim().ends_with(&inner.port.to_string()), "{stdout}");
    for sshd in [&outer, &middle, &inner] {
        assert!(sshd.log().matches("Accepted publickey").count() >= 1);
    }
    let error = error(&all, "round").await;
    assert!(error.message.contains("circle"), "{error}");
    all.close().await;
}

#[tokio::test]
async fn keys_that_are_not_known_stop_everything() {
    let sshd = sshd(&SshdOptions::default());
    let known = sshd.file("known_hosts");
    std::fs::write(&known, "").unwrap();
    let unknown = all(&sshd);
    let found = error(&unknown, "testhost").await;
    assert_eq!(found.kind, HostErrorKind::HostKey, "{found}");
    assert!(found.message.contains("hosts trust testhost"), "{found}");
    let checked = unknown
        .check_keys(&[name("testhost"), name("nowhere.invalid"), name("local")])
        .await;
    assert_eq!(checked, [(name("testhost"), found)]);
    // nobody tried to log in
    assert_eq!(sshd.log().matches("Accepted").count(), 0);

    let scanned = unknown.scan_keys(&[name("testhost")]).await;
    let scanned = scanned[0].1.clone().unwrap();
    assert!(scanned.fingerprint.starts_with("ssh-ed25519 SHA256:"));
    std::fs::write(&known, format!("{}\n", scanned.line)).unwrap();
    talk(&all(&sshd)).await.close().await;

    keygen(&sshd.file("other")).unwrap();
    let other = std::fs::read_to_string(sshd.file("other.pub")).unwrap();
    std::fs::write(&known, format!("[127.0.0.1]:{} {other}", sshd.port)).unwrap();
    let found = error(&all(&sshd), "testhost").await;
    assert_eq!(found.kind, HostErrorKind::HostKey, "{found}");
    assert!(found.message.contains("CHANGED"), "{found}");
    assert!(found.message.contains("known_hosts:1"), "{found}");
}

#[tokio::test]
async fn a_kind_of_key_that_auditors_object_to_is_taken_of_a_known_host_only() {
    let mut sshd = sshd(&SshdOptions::default());
    sshd.stop().unwrap();
    for name in ["host_key", "host_key.pub"] {
        std::fs::remove_file(sshd.file(name)).unwrap();
    }
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ecdsa", "-N", "", "-f"])
        .arg(sshd.file("host_key"))
        .status()
        .unwrap();
    assert!(made.success());
    sshd.start_again().unwrap();
    std::fs::write(sshd.file("known_hosts"), sshd.known_line().unwrap()).unwrap();
    talk(&all(&sshd)).await.close().await;

    std::fs::write(sshd.file("known_hosts"), "").unwrap();
    let found = error(&all(&sshd), "testhost").await;
    assert_eq!(found.kind, HostErrorKind::Unreachable, "{found}");
    assert!(found.message.contains("ecdsa-sha2-nistp256"), "{found}");
    assert!(found.message.contains("known_hosts yourself"), "{found}");
}

#[tokio::test]
async fn a_host_is_asked_for_the_key_that_is_known_wherever_its_name_is_hashed() {
    let keys = tempfile::tempdir().unwrap();
    let rsa = keys.path().join("rsa");
    let run = |program: &mut Command| assert!(program.output().unwrap().status.success());
    run(Command::new("ssh-keygen")
        .args(["-q", "-t", "rsa", "-b", "2048", "-N", "", "-C", "", "-f"])
        .arg(&rsa));
    // ed25519, which is shown first to whoever does not mind, and RSA
    let sshd = sshd(&SshdOptions::default().line(&format!("HostKey {}", rsa.display())));
    let known = sshd.file("known_hosts");
    let hashed = |key: &Path| {
        let key = std::fs::read_to_string(key.with_extension("pub")).unwrap();
        let mut text: String = (0..50)
            .map(|n| {
                format!(
                    "other{n} {}\n",
                    std::fs::read_to_string(sshd.file("host_key.pub"))
                        .unwrap()
                        .trim()
                )
            })
            .collect();
        text.push_str(&format!("[127.0.0.1]:{} {}\n", sshd.port, key.trim()));
        std::fs::write(&known, text).unwrap();
        run(Command::new("ssh-keygen").arg("-H").arg("-f").arg(&known));
        assert!(
            !std::fs::read_to_string(&known)
                .unwrap()
                .contains("127.0.0.1")
        );
    };
    hashed(&rsa);
    talk(&all(&sshd)).await.close().await;
    let scanned = all(&sshd).scan_keys(&[name("testhost")]).await;
    let fingerprint = &scanned[0].1.as_ref().unwrap().fingerprint;
    assert!(
        fingerprint.contains("RSA") || fingerprint.contains("rsa"),
        "{fingerprint}"
    );
    // a key of that kind which is another one is a change, said of the line that has it
    let other = keys.path().join("other");
    run(Command::new("ssh-keygen")
        .args(["-q", "-t", "rsa", "-b", "2048", "-N", "", "-C", "", "-f"])
        .arg(&other));
    hashed(&other);
    let found = error(&all(&sshd), "testhost").await;
    assert_eq!(found.kind, HostErrorKind::HostKey, "{found}");
    assert!(found.message.contains("known_hosts:51"), "{found}");
}

#[tokio::test]
async fn a_silent_host_holds_nobody_up_and_is_tried_once() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let sshd = sshd(&SshdOptions::default());
    let block = format!("Host silent\n  HostName 127.0.0.1\n  Port {port}\n  ConnectTimeout 6\n");
    let config = sshd.file("with_silent");
    std::fs::write(&config, sshd.host_block("testhost", "") + &block).unwrap();
    let all = hosts(HostsOptions {
        connect_timeout: None,
        ..options(&config)
    })
    .unwrap();
    let checked = all.check_keys(&[name("silent"), name("testhost")]).await;
    assert!(checked.is_empty(), "{checked:?}");
    // it goes on being tried: who wants it waits for that, and does not begin anew
    let silent_host = name("silent");
    let reached = all.converse(&silent_host, None);
    tokio::pin!(reached);
    let (mut tries, mut held) = (0, Vec::new());
    let error = loop {
        tokio::select! {
            accepted = silent.accept() => {
                tries += 1;
                held.push(accepted.unwrap());
            }
            reached = &mut reached => break reached.err().unwrap(),
        }
    };
    assert!(error.message.contains("did not answer"), "{error}");
    assert_eq!(tries, 1);
    talk(&all).await.close().await;
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 1);
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_says_which_way() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config");
    let text = format!(
        "Host silent\n  HostName 127.0.0.1\n  Port {port}\nHost refusing\n  HostName 127.0.0.1\n  Port 1\n"
    );
    std::fs::write(&config, text).unwrap();
    let all = hosts(HostsOptions {
        connect_timeout: Some(Duration::from_secs(1)),
        ..options(&config)
    })
    .unwrap();
    let begun = Instant::now();
    // all who wait for it hear of one attempt
    let waiting = (0..10).map(|_| error(&all, "silent"));
    for error in futures_util::future::join_all(waiting).await {
        assert_eq!(error.kind, HostErrorKind::Unreachable);
        assert!(
            error.message.contains("did not answer within 1 s"),
            "{error}"
        );
    }
    assert!(begun.elapsed() < Duration::from_secs(3));
    let refused = error(&all, "refusing").await;
    assert_eq!(refused.kind, HostErrorKind::Unreachable);
    assert!(refused.message.contains("refuses connections"), "{refused}");
    let nameless = error(&all, "no-such-host.invalid").await;
    assert!(nameless.message.contains("no such host name"), "{nameless}");
}

#[tokio::test]
async fn a_key_that_is_not_accepted_is_named() {
    let sshd = sshd(&SshdOptions::default());
    keygen(&sshd.file("stranger")).unwrap();
    let config = std::fs::read_to_string(sshd.file("ssh_config")).unwrap();
    std::fs::write(
        sshd.file("ssh_config"),
        config.replace("client_key", "stranger"),
    )
    .unwrap();
    let found = error(&all(&sshd), "testhost").await;
    assert_eq!(found.kind, HostErrorKind::Denied, "{found}");
    assert!(found.message.contains("stranger"), "{found}");
    assert!(found.message.contains(&sshd.user), "{found}");
}

#[tokio::test]
async fn an_encrypted_key_wants_its_passphrase_or_the_agent() {
    let sshd = sshd(&SshdOptions::default());
    let key = sshd.file("client_key");
    let changed = Command::new("ssh-keygen")
        .args(["-q", "-p", "-P", "", "-N", PASSWORD, "-f"])
        .arg(&key)
        .status()
        .unwrap();
    assert!(changed.success());
    let found = error(&all(&sshd), "testhost").await;
    assert_eq!(found.kind, HostErrorKind::Denied);
    assert!(found.message.contains("encrypted"), "{found}");

    let secret = SecretRef::Env("P".into());
    let with_secret = hosts(HostsOptions {
        key_passphrase: PerHost {
            default: Some(secret.clone()),
            ..PerHost::default()
        },
        secrets: Arc::new(Secrets::new(HashMap::from([(
            secret,
            SecretValue::new(PASSWORD.into()),
        )]))),
        ..options(&sshd.file("ssh_config"))
    })
    .unwrap();
    talk(&with_secret).await.close().await;

    let socket = sshd.file("agent");
    let mut agent = Command::new("ssh-agent")
        .args(["-D", "-a"])
        .arg(&socket)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let ask = sshd.file("askpass");
    std::fs::write(&ask, format!("#!/bin/sh\necho '{PASSWORD}'\n")).unwrap();
    open_to_all(&ask);
    for _ in 0..100 {
        if socket.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let added = Command::new("ssh-add")
        .arg(&key)
        .env("SSH_AUTH_SOCK", &socket)
        .env("SSH_ASKPASS", &ask)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(added.status.success(), "{added:?}");
    let with_agent = hosts(HostsOptions {
        agent_socket: Some(socket),
        ..options(&sshd.file("ssh_config"))
    })
    .unwrap();
    talk(&with_agent).await.close().await;
    agent.kill().unwrap();
    agent.wait().unwrap();
}

#[tokio::test]
async fn killing_a_transfer_leaves_no_part_of_the_file() {
    let sshd = sshd(&SshdOptions::default());
    let all = all(&sshd);
    let mut talk = talk(&all).await;
    let directory = tempfile::tempdir().unwrap();
    open_to_all(directory.path());
    let source = sshd.file("source");
    std::fs::File::create(&source)
        .unwrap()
        .set_len(400 << 20)
        .unwrap();
    let step = Step::Put(put(&directory.path().join("to"), &source));
    send(talk.as_mut(), 1, vec![step], false).await;
    while !matches!(hear(talk.as_mut()).await.unwrap(), Heard::Progress(..)) {}
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    talk.kill().await;
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn many_small_steps_do_not_wait_for_the_network() {
    let sshd = sshd(&SshdOptions::default());
    let all = all(&sshd);
    let mut talk = talk(&all).await;
    one(talk.as_mut(), run("true")).await;
    let begun = Instant::now();
    for _ in 0..200 {
        assert_eq!(one(talk.as_mut(), run("true")).await, ran(0, "", ""));
    }
    let rate = 200.0 / begun.elapsed().as_secs_f64();
    println!("{rate} steps/s");
    // with Nagle's algorithm it would be about 20
    assert!(rate > 60.0, "{rate} steps/s");
}
