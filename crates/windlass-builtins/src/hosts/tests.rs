//! The conversation, held with the shells of this machine.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use windlass_engine::host::{Batch, Conversation, Heard, HostErrorKind};
use windlass_engine::secrets::Secrets;
use windlass_model::event::Stream;
use windlass_model::ids::TaskId;
use windlass_model::step::{
    As, Dial, Endpoint, Http, Put, PutSource, Reply, Run, Say, Step, Via, Want,
};
use windlass_model::{SecretRef, SecretValue, Text};

use super::conversation::{Context, Groups, Talk};
use super::local::Local;
use super::shell::Door;
use super::{HostsOptions, hosts};

/// Shells that this machine has.
fn shells() -> Vec<&'static str> {
    ["sh", "dash", "bash", "busybox sh", "mksh"]
        .into_iter()
        .filter(|s| {
            let mut words = s.split(' ');
            std::process::Command::new(words.next().unwrap())
                .args(words)
                .args(["-c", "exit 0"])
                .status()
                .is_ok_and(|s| s.success())
        })
        .collect()
}

fn talk(shell: &str) -> Talk {
    let all = hosts(HostsOptions::default()).unwrap();
    Talk::new(Context {
        door: Door {
            transport: Arc::new(Local::new(None)),
            shell: shell.into(),
            password: None,
        },
        reach: all,
        digests: Arc::default(),
        groups: Groups::default(),
    })
}

fn task(n: u32) -> TaskId {
    TaskId::new(1, 1, n)
}

fn run(script: &str) -> Step {
    Run::script(script).into()
}

fn batch(n: u32, steps: Vec<Step>, ahead: bool) -> Batch {
    Batch {
        task: task(n),
        steps,
        ahead,
        keep: None,
    }
}

async fn send(talk: &mut Talk, batch: Batch) {
    talk.send(batch, &Arc::default()).await.unwrap();
}

async fn hear(talk: &mut Talk) -> Heard {
    tokio::time::timeout(Duration::from_secs(20), talk.hear())
        .await
        .expect("it is heard in time")
        .expect("no host error")
}

/// Everything up to the `n`th reply.
async fn replies(talk: &mut Talk, n: usize) -> (Vec<Heard>, Vec<Reply>) {
    let (mut all, mut replies) = (Vec::new(), Vec::new());
    while replies.len() < n {
        let heard = hear(talk).await;
        if let Heard::Reply(_, reply) = &heard {
            replies.push(reply.clone());
        }
        all.push(heard);
    }
    (all, replies)
}

async fn one(talk: &mut Talk, step: Step) -> Reply {
    send(talk, batch(1, vec![step], false)).await;
    replies(talk, 1).await.1.remove(0)
}

fn ran(status: i32, stdout: &str, stderr: &str) -> Reply {
    Reply::Ran {
        status,
        stdout: stdout.into(),
        stderr: stderr.into(),
    }
}

#[tokio::test]
async fn steps_run_in_order_and_each_has_its_own_output() {
    for shell in shells() {
        let mut talk = talk(shell);
        let steps = vec![
            run("echo one; echo err >&2"),
            run("printf 'no newline'"),
            run("exit 80"),
            run("cat; echo stdin is empty"),
        ];
        send(&mut talk, batch(3, steps, false)).await;
        let (all, replies) = replies(&mut talk, 4).await;
        assert_eq!(
            replies,
            [
                ran(0, "one\n", "err\n"),
                ran(0, "no newline", ""),
                ran(80, "", ""),
                ran(0, "stdin is empty\n", ""),
            ],
            "{shell}"
        );
        assert_eq!(all[0], Heard::Begun(task(3)), "{shell}");
        let printed: Vec<u8> = all
            .iter()
            .filter_map(|h| match h {
                Heard::Output(_, Stream::Stdout, bytes) => Some(bytes.clone()),
                _ => None,
            })
            .flatten()
            .collect();
        assert_eq!(
            String::from_utf8_lossy(&printed),
            "one\nno newlinestdin is empty\n"
        );
        Box::new(talk).close().await;
    }
}

#[tokio::test]
async fn a_step_changes_nothing_for_the_next() {
    for shell in shells() {
        let mut talk = talk(shell);
        let steps = vec![
            Step::Run(Run {
                script: "echo $W_X$PWD; set -e; cd /usr; W_Y=1; exec 3>&-; trap '' TERM".into(),
                env: vec![("W_X".into(), Text::plain("it's \"$HOME\"\n"))],
                cwd: Some("/tmp".into()),
                ..Run::default()
            }),
            run("echo \"$W_X$W_Y\"; false; echo on"),
        ];
        send(&mut talk, batch(1, steps, false)).await;
        let (_, replies) = replies(&mut talk, 2).await;
        assert_eq!(replies[0], ran(0, "it's \"$HOME\" /tmp\n", ""), "{shell}");
        assert_eq!(replies[1], ran(0, "\non\n", ""), "{shell}");
    }
}

#[tokio::test]
async fn a_quote_that_is_not_closed_and_a_missing_directory_fail_that_step_alone() {
    for shell in shells() {
        let mut talk = talk(shell);
        for (step, wanted) in [
            (run("echo 'open"), None),
            (run("-x"), Some(127)),
            (
                Step::Run(Run {
                    cwd: Some("/does/not/exist".into()),
                    ..Run::script("echo no")
                }),
                Some(97),
            ),
            (run("kill -9 $(exec sh -c 'echo $PPID')"), None),
        ] {
            let Reply::Ran { status, stdout, .. } = one(&mut talk, step).await else {
                panic!("{shell}")
            };
            assert_ne!(status, 0, "{shell}");
            assert!(wanted.is_none_or(|w| w == status), "{shell}: {status}");
            assert_eq!(stdout, "", "{shell}");
        }
        assert_eq!(one(&mut talk, run("echo on")).await, ran(0, "on\n", ""));
    }
}

#[tokio::test]
async fn a_status_that_is_not_wanted_stops_the_batch_and_those_sent_ahead() {
    for shell in shells() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        let touch = |name: &str| run(&format!("touch {}", file(name).display()));
        let mut talk = talk(shell);
        let steps = vec![run("sleep 0.2; exit 3"), touch("a")];
        send(&mut talk, batch(1, steps, false)).await;
        send(&mut talk, batch(2, vec![touch("b")], true)).await;
        send(&mut talk, batch(3, vec![touch("c")], true)).await;
        send(&mut talk, batch(4, vec![touch("d")], false)).await;
        let (all, replies) = replies(&mut talk, 2).await;
        assert_eq!(replies, [ran(3, "", ""), ran(0, "", "")], "{shell}");
        assert!(!all.contains(&Heard::Begun(task(2))), "{shell}");
        for (name, there) in [("a", false), ("b", false), ("c", false), ("d", true)] {
            assert_eq!(file(name).exists(), there, "{shell} {name}");
        }
        // everything was heard: now `ahead` depends on nothing
        send(&mut talk, batch(5, vec![touch("e")], true)).await;
        hear(&mut talk).await;
        hear(&mut talk).await;
        assert!(file("e").exists());
    }
}

#[tokio::test]
async fn a_batch_ahead_is_stopped_also_when_its_cause_ended_but_was_not_listened_to() {
    let mut talk = talk("sh");
    send(&mut talk, batch(1, vec![run("exit 9")], false)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    send(&mut talk, batch(2, vec![run("exit 0")], true)).await;
    send(&mut talk, batch(3, vec![run("exit 0")], false)).await;
    let (all, _) = replies(&mut talk, 2).await;
    assert!(!all.contains(&Heard::Begun(task(2))));
    assert!(all.contains(&Heard::Begun(task(3))));
}

#[tokio::test]
async fn batches_sent_ahead_keep_their_own_output() {
    for shell in shells() {
        let mut talk = talk(shell);
        for n in 1..=20 {
            let script = format!("echo {n}; echo e{n} >&2; [ {n} != 7 ] || exit 5");
            let step = Run::script(script).want(Want::Any).into();
            send(&mut talk, batch(n, vec![step], n > 1)).await;
        }
        let (all, replies) = replies(&mut talk, 20).await;
        for (n, reply) in (1..).zip(&replies) {
            let status = if n == 7 { 5 } else { 0 };
            assert_eq!(
                *reply,
                ran(status, &format!("{n}\n"), &format!("e{n}\n")),
                "{shell}"
            );
        }
        // what is heard of a task lies between the replies of its neighbours, and begins with its beginning
        let (mut current, mut begun) = (0, 0);
        for heard in all {
            match &heard {
                Heard::Begun(id) => begun = id.link,
                Heard::Output(id, ..) => assert_eq!(id.link, begun, "{shell}"),
                Heard::Reply(..) | Heard::Progress(..) => {}
            }
            let id = match heard {
                Heard::Begun(id) | Heard::Output(id, ..) | Heard::Reply(id, _) => id.link,
                Heard::Progress(..) => panic!(),
            };
            assert!(id >= current, "{shell}: {id} after {current}");
            current = id;
        }
    }
}

#[tokio::test]
async fn who_sends_without_listening_is_not_kept_waiting_for_ever() {
    for shell in shells() {
        let mut talk = talk(shell);
        let count = 300;
        for n in 1..=count {
            let sent = send(&mut talk, batch(n, vec![run("echo one")], n > 1));
            tokio::time::timeout(Duration::from_secs(60), sent)
                .await
                .unwrap();
            // more has ended by now than is kept for who listens
            if n == 120 {
                tokio::time::sleep(Duration::from_millis(1500)).await;
            }
        }
        let (_, replies) = replies(&mut talk, count as usize).await;
        assert!(
            replies.iter().all(|reply| *reply == ran(0, "one\n", "")),
            "{shell}"
        );
    }
}

#[tokio::test]
async fn a_child_in_the_background_delays_nothing() {
    for shell in shells() {
        let mut talk = talk(shell);
        let begun = Instant::now();
        let reply = one(&mut talk, run("sleep 30 & echo started")).await;
        assert_eq!(reply, ran(0, "started\n", ""));
        assert!(begun.elapsed() < Duration::from_secs(5), "{shell}");
        talk.kill().await;
    }
}

#[tokio::test]
async fn output_is_binary_bounded_and_complete_where_it_streams() {
    let mut talk = talk("sh");
    let step = run("printf '\\000\\036\\377'; head -c 3000000 /dev/zero");
    send(&mut talk, batch(1, vec![step], false)).await;
    let (all, replies) = replies(&mut talk, 1).await;
    let streamed: usize = all
        .iter()
        .map(|h| match h {
            Heard::Output(_, Stream::Stdout, bytes) => bytes.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(streamed, 3_000_003);
    let Reply::Ran { stdout, .. } = &replies[0] else {
        panic!()
    };
    assert!(stdout.starts_with("\0\x1e\u{fffd}"));
    assert!(stdout.len() <= 1024 * 1024 + 2);
}

#[tokio::test]
async fn killing_leaves_nothing() {
    for shell in shells() {
        let mut talk = talk(shell);
        let script = "echo $$; sleep 300 & sleep 301; sleep 302";
        // one of them goes on until KILL, 10 s later
        let deaf = if shell == "sh" { "trap '' TERM; " } else { "" };
        send(
            &mut talk,
            batch(1, vec![run(&format!("{deaf}{script}"))], false),
        )
        .await;
        let pid = loop {
            if let Heard::Output(_, Stream::Stdout, bytes) = hear(&mut talk).await {
                break String::from_utf8(bytes).unwrap().trim().to_owned();
            }
        };
        assert!(!members(&pid).is_empty(), "{shell}");
        let begun = Instant::now();
        talk.kill().await;
        assert_eq!(members(&pid), Vec::<String>::new(), "{shell}");
        assert!(begun.elapsed() < Duration::from_secs(16), "{shell}");
        if shell == "sh" {
            assert!(talk.hear().await.is_err());
        }
    }
}

/// The processes of a group that are no zombies.
fn members(group: &str) -> Vec<String> {
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|e| std::fs::read_to_string(e.path().join("stat")).ok())
        .filter(|stat| {
            let rest = stat.rsplit_once(") ").map_or("", |(_, r)| r);
            let mut words = rest.split(' ');
            words.next() != Some("Z") && words.nth(1) == Some(group)
        })
        .collect()
}

#[tokio::test]
async fn a_shell_that_dies_is_a_lost_link_not_an_answer() {
    for shell in shells() {
        let mut talk = talk(shell);
        send(&mut talk, batch(1, vec![run("kill -9 $$")], false)).await;
        let error = loop {
            match tokio::time::timeout(Duration::from_secs(10), talk.hear())
                .await
                .unwrap()
            {
                Ok(Heard::Reply(..)) => panic!("{shell}: no reply is due"),
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind, HostErrorKind::Lost, "{shell}");
        assert!(talk.hear().await.is_err());
    }
}

#[tokio::test]
async fn listening_may_be_broken_off() {
    let mut talk = talk("sh");
    send(
        &mut talk,
        batch(1, vec![run("sleep 0.3; echo done")], false),
    )
    .await;
    let mut all = Vec::new();
    while !matches!(all.last(), Some(Heard::Reply(..))) {
        if let Ok(heard) = tokio::time::timeout(Duration::from_millis(7), talk.hear()).await {
            all.push(heard.unwrap());
        }
    }
    assert_eq!(
        all.last(),
        Some(&Heard::Reply(task(1), ran(0, "done\n", "")))
    );
}

#[tokio::test]
async fn sudo_to_oneself_and_to_a_bad_name() {
    let mut talk = talk("sh");
    let sudo = |user: &str| {
        Step::Run(Run {
            user: As::Sudo(user.into()),
            ..Run::script("id -un; pwd")
        })
    };
    if rustix::process::geteuid().is_root() {
        let steps = vec![run("id -un"), sudo("nobody"), sudo("root"), run("echo end")];
        send(&mut talk, batch(1, steps, false)).await;
        let (_, replies) = replies(&mut talk, 4).await;
        assert_eq!(replies[0], ran(0, "root\n", ""));
        assert_eq!(replies[1], ran(0, "nobody\n/\n", ""));
        assert_eq!(replies[2], ran(0, "root\n/root\n", ""));
        assert_eq!(replies[3], ran(0, "end\n", ""));
    }
    send(&mut talk, batch(1, vec![sudo("a b")], false)).await;
    let error = talk.hear().await.unwrap_err();
    assert_eq!(error.kind, HostErrorKind::Denied);
    assert!(error.message.contains("`a b`"), "{error}");
}

fn put(to: &std::path::Path, text: &str) -> Put {
    Put {
        source: PutSource::Bytes(Text::plain(text)),
        to: to.display().to_string(),
        mode: None,
        owner: None,
        user: As::Login,
        replace: true,
    }
}

#[tokio::test]
async fn a_file_is_put_once_and_kept_as_wanted() {
    use std::os::unix::fs::PermissionsExt;
    for shell in shells() {
        let directory = tempfile::tempdir().unwrap();
        let to = directory.path().join("it's a file");
        let mut talk = talk(shell);
        let secret = SecretRef::Env("S".into());
        let secrets = Arc::new(Secrets::new(HashMap::from([(
            secret.clone(),
            SecretValue::new("s3cret".into()),
        )])));
        let mut first = put(&to, "");
        first.source = PutSource::Bytes(Text::plain("a ").then(Text::secret(secret)));
        first.mode = Some(0o600);
        let steps = vec![first.clone(), first.clone()];
        let steps = steps.into_iter().map(Step::Put).collect();
        talk.send(batch(1, steps, false), &secrets).await.unwrap();
        let (_, said) = replies(&mut talk, 2).await;
        let there = |sent| Reply::Put { sent, bytes: 8 };
        assert_eq!(said, [there(true), there(false)], "{shell}");
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "a s3cret");
        let mode = || std::fs::metadata(&to).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(), 0o600, "{shell}");
        // the mode is seen to though nothing is sent
        let mut again = put(&to, "a s3cret");
        again.mode = Some(0o644);
        assert_eq!(one(&mut talk, Step::Put(again)).await, there(false));
        assert_eq!(mode(), 0o644, "{shell}");
        let mut other = put(&to, "other");
        other.replace = false;
        let Reply::Impossible(why) = one(&mut talk, Step::Put(other)).await else {
            panic!("{shell}")
        };
        assert!(why.contains("exists with other contents"), "{shell}: {why}");
        let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{shell}");
    }
}

#[tokio::test]
async fn what_cannot_be_put_says_why_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path().join("source");
    std::fs::write(&here, "contents").unwrap();
    let mut talk = talk("sh");
    let mut pinned = put(&directory.path().join("x"), "");
    pinned.source = PutSource::File {
        path: here.clone(),
        sha256: Some("0".repeat(64)),
    };
    let mut gone = pinned.clone();
    gone.source = PutSource::File {
        path: directory.path().join("gone"),
        sha256: None,
    };
    for (put, wanted) in [
        (put(&directory.path().join("no/x"), "x"), "does not exist"),
        (put(directory.path(), "x"), "is a directory"),
        (
            put(std::path::Path::new("/proc/x"), "x"),
            "cannot create /proc/",
        ),
        (put(std::path::Path::new("relative"), "x"), "absolute path"),
        (pinned, "has changed since it was planned"),
        (gone, "gone"),
    ] {
        let Reply::Impossible(why) = one(&mut talk, Step::Put(put)).await else {
            panic!("{wanted}")
        };
        assert!(why.contains(wanted), "{why}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

/// A conversation that writes down the programs that it starts.
fn counted(shell: &str) -> (Talk, Arc<std::sync::Mutex<Vec<String>>>) {
    struct Counted(Local, Arc<std::sync::Mutex<Vec<String>>>);
    #[async_trait::async_trait]
    impl super::transport::Transport for Counted {
        fn host(&self) -> &windlass_model::ids::HostName {
            self.0.host()
        }
        async fn start(
            &self,
            line: &str,
            patience: super::transport::Patience,
        ) -> Result<super::transport::Process, super::transport::StartError> {
            self.1.lock().unwrap().push(line.to_owned());
            self.0.start(line, patience).await
        }
        async fn dial(
            &self,
            to: &Endpoint,
        ) -> Result<Box<dyn super::transport::Duplex>, super::transport::DialError> {
            self.0.dial(to).await
        }
    }
    let started = Arc::default();
    let talk = Talk::new(Context {
        door: Door {
            transport: Arc::new(Counted(Local::new(None), Arc::clone(&started))),
            shell: shell.into(),
            password: None,
        },
        reach: hosts(HostsOptions::default()).unwrap(),
        digests: Arc::default(),
        groups: Groups::default(),
    });
    (talk, started)
}

#[tokio::test]
async fn small_files_of_a_directory_are_put_together() {
    use std::os::unix::fs::PermissionsExt;
    for shell in shells() {
        let directory = tempfile::tempdir().unwrap();
        let name = |n: usize| directory.path().join(format!("it's - no. {n} *"));
        let text = |n: usize| format!("contents of {n}\n").repeat(n);
        let all = |mode: Option<u32>| -> Vec<Step> {
            let one = |n| {
                Step::Put(Put {
                    mode,
                    ..put(&name(n), &text(n))
                })
            };
            (0..300).map(one).collect()
        };
        let (mut talk, started) = counted(shell);
        // one is there, and one has other contents
        std::fs::write(name(7), text(7)).unwrap();
        std::fs::write(name(8), "other").unwrap();
        send(&mut talk, batch(1, all(None), false)).await;
        let (_, said) = replies(&mut talk, 300).await;
        for (n, reply) in said.iter().enumerate() {
            let bytes = text(n).len() as u64;
            assert_eq!(
                *reply,
                Reply::Put {
                    sent: n != 7,
                    bytes
                },
                "{shell} {n}"
            );
            assert_eq!(
                std::fs::read_to_string(name(n)).unwrap(),
                text(n),
                "{shell}"
            );
        }
        assert_eq!(started.lock().unwrap().len(), 1, "{shell}");
        let mode = |n| std::fs::metadata(name(n)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(9), mode(7), "{shell}: as the umask has it");
        // the mode of all is seen to though nothing is sent
        send(&mut talk, batch(1, all(Some(0o640)), false)).await;
        let (_, said) = replies(&mut talk, 300).await;
        assert!(
            said.iter()
                .all(|r| matches!(r, Reply::Put { sent: false, .. })),
            "{shell}"
        );
        assert!((0..300).all(|n| mode(n) == 0o640), "{shell}");
        assert_eq!(started.lock().unwrap().len(), 2, "{shell}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 300);
        // a directory in the place of one of them: that is said, and nothing is left
        std::fs::remove_file(name(5)).unwrap();
        std::fs::create_dir(name(5)).unwrap();
        std::fs::remove_file(name(6)).unwrap();
        send(&mut talk, batch(1, all(None), false)).await;
        let Reply::Impossible(why) = replies(&mut talk, 1).await.1.remove(0) else {
            panic!("{shell}")
        };
        assert!(why.contains("no. 5"), "{shell}: {why}");
        let left: Vec<_> = std::fs::read_dir(directory.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .filter(|n| n.starts_with('.'))
            .collect();
        assert!(left.is_empty(), "{shell}: {left:?}");
    }
}

#[tokio::test]
async fn a_host_without_tar_gets_small_files_one_by_one() {
    let directory = tempfile::tempdir().unwrap();
    let bin = directory.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    for program in ["sha256sum", "cat", "mv", "rm", "chmod", "sh"] {
        let path = ["/bin", "/usr/bin"].map(|d| std::path::Path::new(d).join(program));
        let path = path.iter().find(|p| p.exists()).unwrap();
        std::os::unix::fs::symlink(path, bin.join(program)).unwrap();
    }
    let (mut talk, started) = counted(&format!("env PATH={} sh", bin.display()));
    let steps = (0..5)
        .map(|n| Step::Put(put(&directory.path().join(n.to_string()), &n.to_string())))
        .collect();
    send(&mut talk, batch(1, steps, false)).await;
    let (_, said) = replies(&mut talk, 5).await;
    assert!(
        said.iter().all(|r| *r
            == Reply::Put {
                sent: true,
                bytes: 1
            }),
        "{said:?}"
    );
    assert_eq!(started.lock().unwrap().len(), 6);
    for n in 0..5 {
        let found = std::fs::read_to_string(directory.path().join(n.to_string()));
        assert_eq!(found.unwrap(), n.to_string());
    }
}

#[tokio::test]
async fn a_large_file_streams_with_progress() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path().join("source");
    std::fs::write(&here, vec![7; 64 * 1024 * 1024]).unwrap();
    let to = directory.path().join("to");
    let mut step = put(&to, "");
    step.source = PutSource::File {
        path: here.clone(),
        sha256: None,
    };
    let mut talk = talk("sh");
    send(&mut talk, batch(1, vec![Step::Put(step)], false)).await;
    let (all, _) = replies(&mut talk, 1).await;
    let size = 64 * 1024 * 1024;
    assert!(all.contains(&Heard::Progress(task(1), size, size)));
    assert_eq!(std::fs::read(&to).unwrap(), std::fs::read(&here).unwrap());
}

#[tokio::test]
async fn sockets_are_dialed_and_servers_asked() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut buffer = vec![0; 4096];
                let n = stream.read(&mut buffer).await.unwrap();
                let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
                let answer = if text.contains("HTTP/1.1") {
                    let line = text.lines().next().unwrap().to_owned();
                    format!(
                        "HTTP/1.1 404 No\r\nContent-Length: {}\r\n\r\n{line}",
                        line.len()
                    )
                } else {
                    format!("you said {text}")
                };
                stream.write_all(answer.as_bytes()).await.unwrap();
            });
        }
    });
    let mut talk = talk("sh");
    let dial = |port, answer| {
        Step::Dial(Dial {
            via: Via::Task,
            to: Endpoint::Tcp("127.0.0.1".into(), port),
            send: "hello\n".into(),
            answer,
            time_limit: 5,
        })
    };
    let answered = |answer: &str| Reply::Dialed {
        answer: answer.into(),
    };
    assert_eq!(
        one(&mut talk, dial(port, true)).await,
        answered("you said hello\n")
    );
    assert_eq!(one(&mut talk, dial(port, false)).await, answered(""));
    let Reply::Impossible(why) = one(&mut talk, dial(1, true)).await else {
        panic!()
    };
    assert_eq!(why, "connection refused by 127.0.0.1:1");
    let ask = Step::Http(Http {
        via: Via::Host(windlass_model::ids::HostName::local()),
        method: "GET".into(),
        url: Text::plain(format!("http://127.0.0.1:{port}/a?b=c")),
        headers: vec![("X-A".into(), "b".into())],
        body: None,
        proxy: None,
        time_limit: 5,
    });
    let not_there = Reply::Http {
        status: 404,
        body: "GET /a?b=c HTTP/1.1".into(),
    };
    assert_eq!(one(&mut talk, ask).await, not_there);
    let say = Step::Log(Say {
        level: windlass_model::step::Level::Info,
        message: "x".into(),
    });
    assert_eq!(one(&mut talk, say).await, Reply::Logged);
}

#[tokio::test]
async fn a_proxy_is_asked_by_the_whole_url_or_for_a_tunnel() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 4096];
            let n = stream.read(&mut buffer).await.unwrap();
            let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
            let line = text.lines().next().unwrap();
            let length = line.len();
            let answer = format!("HTTP/1.1 403 {line}\r\nContent-Length: {length}\r\n\r\n{line}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let ask = |url: &str| {
        Step::Http(Http {
            via: Via::Task,
            method: "GET".into(),
            url: Text::plain(url),
            headers: Vec::new(),
            body: None,
            proxy: Some(Text::plain(format!("http://127.0.0.1:{port}"))),
            time_limit: 5,
        })
    };
    let mut talk = talk("sh");
    let forbidden = Reply::Http {
        status: 403,
        body: "GET http://example.invalid/x HTTP/1.1".into(),
    };
    assert_eq!(
        one(&mut talk, ask("http://example.invalid/x")).await,
        forbidden
    );
    let Reply::Impossible(why) = one(&mut talk, ask("https://example.invalid/x")).await else {
        panic!()
    };
    assert_eq!(
        why,
        "the proxy refuses: HTTP/1.1 403 CONNECT example.invalid:443 HTTP/1.1"
    );
}
