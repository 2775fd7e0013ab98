//! Kept work with the shells of this machine; its home is a directory of the test's own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use windlass_engine::host::{Batch, Conversation, Heard, HostErrorKind, Keep, Kept};
use windlass_model::event::Stream;
use windlass_model::ids::{HostName, RunId, TaskId};
use windlass_model::step::{As, Reply, Run, Step, Want};

use crate::hosts::conversation::{Context, Groups, Talk};
use crate::hosts::local::Local;
use crate::hosts::shell::Door;
use crate::hosts::{HostsOptions, hosts};

const RUN: &str = "20261121-213500-4f2a9c";
/// Of that run on that host.
const DIRECTORY: &str = "20261121-213500-4f2a9c@h1";

/// A machine with one shell.
struct Machine {
    home: tempfile::TempDir,
    shell: &'static str,
}

/// One for every shell that is installed.
fn machines() -> Vec<Machine> {
    ["dash", "bash", "busybox sh", "mksh"]
        .into_iter()
        .filter(|shell| {
            let mut words = shell.split(' ');
            std::process::Command::new(words.next().unwrap())
                .args(words)
                .args(["-c", "exit 0"])
                .status()
                .is_ok_and(|s| s.success())
        })
        .map(|shell| Machine {
            home: tempfile::tempdir().unwrap(),
            shell,
        })
        .collect()
}

impl Machine {
    fn talk(&self) -> Talk {
        let (home, shell) = (self.home.path().display(), self.shell);
        Self::talk_of(format!("env XDG_STATE_HOME= HOME={home} {shell}"))
    }

    fn talk_of(shell: String) -> Talk {
        Talk::new(Context {
            door: Door {
                transport: Arc::new(Local::new(None)),
                shell,
                password: None,
            },
            reach: hosts(HostsOptions::default()).unwrap(),
            digests: Arc::default(),
            groups: Groups::default(),
        })
    }

    fn kept(&self) -> PathBuf {
        self.home.path().join(".local/state/windlass/kept")
    }

    /// A file of the run.
    fn file(&self, name: &str) -> PathBuf {
        self.kept().join(DIRECTORY).join(name)
    }

    fn there(&self, name: &str) -> bool {
        self.home.path().join(name).exists()
    }

    async fn recall(&self, n: u32, from: usize) -> Kept {
        let keep = Keep { from, ..keep() };
        self.talk().recall(&keep, task(n)).await.unwrap()
    }

    /// What it knows once it does not run any more.
    async fn recall_ended(&self, n: u32) -> Kept {
        wait_until(async || self.recall(n, 0).await != Kept::Running).await;
        self.recall(n, 0).await
    }
}

async fn wait_until(mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "it comes so");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn keep() -> Keep {
    Keep {
        run: RunId::new(RUN).unwrap(),
        host: HostName::new("h1"),
        attempt: 1,
        user: As::Login,
        from: 0,
    }
}

fn task(n: u32) -> TaskId {
    TaskId::new(1, 1, n)
}

fn run(script: &str) -> Step {
    Run::script(script).into()
}

fn ran(status: i32, stdout: &str, stderr: &str) -> Reply {
    Reply::Ran {
        status,
        stdout: stdout.into(),
        stderr: stderr.into(),
    }
}

fn batch(n: u32, steps: Vec<Step>, ahead: bool) -> Batch {
    Batch {
        task: task(n),
        steps,
        ahead,
        keep: Some(keep()),
    }
}

/// Makes a host ready for what is kept.
async fn ready(talk: &mut Talk, is_awaited: bool) {
    ready_as(talk, keep(), is_awaited).await;
}

async fn ready_as(talk: &mut Talk, keep: Keep, is_awaited: bool) {
    let step = talk.keeper(&keep, is_awaited).unwrap();
    let made = Batch {
        keep: None,
        ..batch(9, vec![step], false)
    };
    talk.send(made, &Arc::default()).await.unwrap();
    assert_eq!(replies(talk, 1).await.1, [ran(0, "", "")]);
}

/// Sends a batch to a host that is ready for it.
async fn send(talk: &mut Talk, batch: Batch) {
    if let Some(keep) = batch.keep.clone().filter(|_| !batch.ahead) {
        ready_as(talk, keep, false).await;
    }
    send_unready(talk, batch).await;
}

async fn send_unready(talk: &mut Talk, batch: Batch) {
    talk.send(batch, &Arc::default()).await.unwrap();
}

/// Everything up to the `n`th reply.
async fn replies(talk: &mut Talk, n: usize) -> (Vec<Heard>, Vec<Reply>) {
    let (mut all, mut replies) = (Vec::new(), Vec::new());
    while replies.len() < n {
        let heard = tokio::time::timeout(Duration::from_secs(20), talk.hear())
            .await
            .expect("it is heard in time")
            .expect("no host error");
        if let Heard::Reply(_, reply) = &heard {
            replies.push(reply.clone());
        }
        all.push(heard);
    }
    (all, replies)
}

fn printed(heard: &[Heard], of: Stream) -> Vec<u8> {
    let bytes = |heard: &Heard| match heard {
        Heard::Output(_, stream, bytes) if *stream == of => bytes.clone(),
        _ => Vec::new(),
    };
    heard.iter().flat_map(bytes).collect()
}

#[tokio::test]
async fn a_kept_step_is_as_any_other_and_is_recalled() {
    for machine in machines() {
        let shell = machine.shell;
        let mut talk = machine.talk();
        assert_eq!(machine.recall(1, 0).await, Kept::Nothing, "{shell}");
        ready(&mut talk, false).await;
        assert_eq!(machine.recall(1, 0).await, Kept::NotBegun, "{shell}");
        let steps = vec![
            run("echo one; echo err >&2; cat; umask >~/umask"),
            run("exit 80"),
            run("printf 'no newline'; exit 7"),
            run("touch ~/not-run"),
        ];
        send(&mut talk, batch(1, steps, false)).await;
        let (heard, replies) = replies(&mut talk, 3).await;
        let wanted = [
            ran(0, "one\n", "err\n"),
            ran(80, "", ""),
            ran(7, "no newline", ""),
        ];
        assert_eq!(replies, wanted, "{shell}");
        assert_eq!(heard[0], Heard::Begun(task(1)), "{shell}");
        assert_eq!(
            printed(&heard, Stream::Stdout),
            b"one\nno newline",
            "{shell}"
        );
        assert_eq!(printed(&heard, Stream::Stderr), b"err\n", "{shell}");
        assert!(!machine.there("not-run"), "{shell}");
        assert_eq!(
            machine.recall(1, 0).await,
            Kept::Ended(wanted.to_vec()),
            "{shell}"
        );
        assert_eq!(machine.recall(2, 0).await, Kept::NotBegun, "{shell}");
        let mode = {
            use std::os::unix::fs::PermissionsExt;
            machine.kept().metadata().unwrap().permissions().mode() & 0o777
        };
        assert_eq!(mode, 0o700, "{shell}");
        let umask = std::fs::read_to_string(machine.home.path().join("umask")).unwrap();
        assert!(
            umask.trim().ends_with("022"),
            "{shell}: the step has its own umask"
        );

        // what is kept and what is not share the shell, and a batch ahead goes on
        send(
            &mut talk,
            Batch {
                keep: None,
                ..batch(2, vec![run("kill -HUP $(exec sh -c 'echo $PPID')")], false)
            },
        )
        .await;
        assert!(
            matches!(
                self::replies(&mut talk, 1).await.1[..],
                [Reply::Ran { status: 129, .. }]
            ),
            "{shell}"
        );
        send(
            &mut talk,
            batch(3, vec![run("kill -HUP $(exec sh -c 'echo $PPID')")], false),
        )
        .await;
        assert!(
            matches!(
                self::replies(&mut talk, 1).await.1[..],
                [Reply::Ran { status: 129, .. }]
            ),
            "{shell}"
        );

        talk.forget(&keep()).await.unwrap();
        assert!(
            machine.kept().exists() && !machine.file("boot").exists(),
            "{shell}"
        );
    }
}

#[tokio::test]
async fn what_outlives_the_link_leaves_its_status_and_nothing_after_it_begins() {
    for machine in machines() {
        let shell = machine.shell;
        let mut talk = machine.talk();
        let steps = vec![
            run("echo begun; touch begun; sleep 1; echo done; echo err >&2; seq 9999 | tail -n 1"),
            run("touch second; exit 81"),
        ];
        send(&mut talk, batch(1, steps, false)).await;
        send(&mut talk, batch(2, vec![run("touch third")], true)).await;
        send(
            &mut talk,
            Batch {
                keep: None,
                ..batch(3, vec![run("touch fourth")], true)
            },
        )
        .await;
        wait_until(async || machine.there("begun")).await;
        drop(talk);
        assert_eq!(machine.recall(1, 0).await, Kept::Running, "{shell}");
        let replies = vec![ran(0, "begun\ndone\n9999\n", "err\n"), ran(81, "", "")];
        assert_eq!(
            machine.recall_ended(1).await,
            Kept::Ended(replies.clone()),
            "{shell}"
        );
        assert_eq!(
            machine.recall(1, 1).await,
            Kept::NotBegun,
            "{shell}: a batch from there on"
        );
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(machine.there("second") && !machine.there("third") && !machine.there("fourth"));
        assert_eq!(machine.recall(2, 0).await, Kept::NotBegun, "{shell}");
    }
}

#[tokio::test]
async fn the_batches_of_an_attempt_follow_each_other() {
    for machine in machines() {
        let shell = machine.shell;
        for (from, script) in [(0, "echo 0"), (1, "echo 1"), (2, "echo 2")] {
            // each in a conversation of its own, as after a lost link
            let mut talk = machine.talk();
            let keep = Keep { from, ..keep() };
            send(
                &mut talk,
                Batch {
                    keep: Some(keep),
                    ..batch(1, vec![run(script)], false)
                },
            )
            .await;
            replies(&mut talk, 1).await;
        }
        let all = [ran(0, "0\n", ""), ran(0, "1\n", ""), ran(0, "2\n", "")];
        assert_eq!(
            machine.recall(1, 0).await,
            Kept::Ended(all.to_vec()),
            "{shell}"
        );
        assert_eq!(
            machine.recall(1, 2).await,
            Kept::Ended(all[2..].to_vec()),
            "{shell}"
        );
        assert_eq!(machine.recall(1, 3).await, Kept::NotBegun, "{shell}");
    }
}

#[tokio::test]
async fn nothing_is_begun_twice() {
    for machine in machines() {
        let shell = machine.shell;
        let mut first = machine.talk();
        send(
            &mut first,
            batch(1, vec![run("echo x >>count; sleep 0.5")], false),
        )
        .await;
        wait_until(async || machine.there("count")).await;
        let mut second = machine.talk();
        send(&mut second, batch(1, vec![run("echo x >>count")], false)).await;
        send(&mut second, batch(2, vec![run("touch next")], true)).await;
        let error = loop {
            match second.hear().await {
                Ok(Heard::Reply(..)) => panic!("{shell}: no reply is due"),
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind, HostErrorKind::Lost, "{shell}: {error}");
        assert!(error.message.contains("begun there before"), "{error}");
        replies(&mut first, 1).await;
        let count = std::fs::read_to_string(machine.home.path().join("count")).unwrap();
        assert_eq!(count, "x\n", "{shell}");
        assert!(!machine.there("next"), "{shell}");
        // another attempt is another matter
        let again = Keep {
            attempt: 2,
            ..keep()
        };
        send(
            &mut first,
            Batch {
                keep: Some(again),
                ..batch(1, vec![run("echo y")], false)
            },
        )
        .await;
        assert_eq!(
            replies(&mut first, 1).await.1,
            [ran(0, "y\n", "")],
            "{shell}"
        );
    }
}

#[tokio::test]
async fn what_was_killed_or_rebooted_is_cut_off_and_no_status_is_invented() {
    for machine in machines() {
        let shell = machine.shell;
        let mut talk = machine.talk();
        send(
            &mut talk,
            batch(1, vec![run("touch begun; sleep 300")], false),
        )
        .await;
        wait_until(async || machine.there("begun")).await;
        let mut other = machine.talk();
        assert_eq!(
            other.recall(&keep(), task(1)).await.unwrap(),
            Kept::Running,
            "{shell}"
        );
        // the shell alone: its program goes on, but will leave no status
        let line = std::fs::read_to_string(machine.file("1.1.1-1.0.begun")).unwrap();
        let pid = line.split(' ').nth(3).unwrap().to_owned();
        let kill = std::process::Command::new("kill")
            .args(["-KILL", &pid])
            .status();
        assert!(kill.unwrap().success());
        assert!(talk.hear().await.is_ok());
        assert_eq!(
            talk.hear().await.unwrap_err().kind,
            HostErrorKind::Lost,
            "{shell}"
        );
        assert_eq!(machine.recall(1, 0).await, Kept::Running, "{shell}");
        other.kill().await;
        assert_eq!(machine.recall(1, 0).await, Kept::CutOff, "{shell}: {line}");

        // as if the machine had been started anew, whoever has that process id now
        let mut words: Vec<&str> = line.trim().split(' ').collect();
        let own = std::process::id().to_string();
        for (index, word) in [(1, own.as_str()), (3, own.as_str())] {
            words[index] = word;
        }
        std::fs::write(machine.file("1.1.1-1.0.begun"), words.join(" ") + "\n").unwrap();
        assert_eq!(
            machine.recall(1, 0).await,
            Kept::CutOff,
            "{shell}: the id is another's now"
        );
        std::fs::write(machine.file("1.1.1-1.0.status"), "0").unwrap();
        assert_eq!(
            machine.recall(1, 0).await,
            Kept::CutOff,
            "{shell}: half a line is none"
        );
        std::fs::write(machine.file("1.1.1-1.0.begun"), "").unwrap();
        assert_eq!(
            machine.recall(1, 0).await,
            Kept::CutOff,
            "{shell}: an empty fence is one"
        );
        assert_eq!(machine.recall(2, 0).await, Kept::NotBegun, "{shell}");
        std::fs::write(machine.file("boot"), "another\n").unwrap();
        assert_eq!(
            machine.recall(2, 0).await,
            Kept::CutOff,
            "{shell}: its fence may have gone down with the machine"
        );
    }
}

#[tokio::test]
async fn a_step_that_takes_long_is_seen_while_it_runs() {
    for machine in machines() {
        let shell = machine.shell;
        let mut talk = machine.talk();
        let script =
            "printf 'one\\n'; echo err >&2; while [ ! -e seen ]; do sleep 0.1; done; echo two";
        send(&mut talk, batch(1, vec![run(script)], false)).await;
        let mut heard = Vec::new();
        while printed(&heard, Stream::Stdout).is_empty()
            || printed(&heard, Stream::Stderr).is_empty()
        {
            heard.push(
                tokio::time::timeout(Duration::from_secs(15), talk.hear())
                    .await
                    .unwrap()
                    .unwrap(),
            );
        }
        std::fs::write(machine.home.path().join("seen"), "").unwrap();
        let (rest, replies) = replies(&mut talk, 1).await;
        heard.extend(rest);
        assert_eq!(printed(&heard, Stream::Stdout), b"one\ntwo\n", "{shell}");
        assert_eq!(printed(&heard, Stream::Stderr), b"err\n", "{shell}");
        assert_eq!(replies, [ran(0, "one\ntwo\n", "err\n")], "{shell}");
    }
}

#[tokio::test]
async fn what_is_shown_is_bounded_and_may_be_binary() {
    for machine in machines() {
        let shell = machine.shell;
        let mut talk = machine.talk();
        let step = run("printf '\\000\\036\\377'; head -c 3000000 /dev/zero");
        send(&mut talk, batch(1, vec![step], false)).await;
        let (heard, replies) = replies(&mut talk, 1).await;
        let shown = String::from_utf8_lossy(&printed(&heard, Stream::Stdout)).into_owned();
        assert!(
            shown.ends_with(
                "\n[the rest is in kept/20261121-213500-4f2a9c@h1/1.1.1-1.0.out there]\n"
            ),
            "{shell}"
        );
        assert!(shown.len() < 1024 * 1024 + 200, "{shell}");
        let text = |reply: &Reply| match reply {
            Reply::Ran { stdout, .. } => stdout.clone(),
            other => panic!("{other:?}"),
        };
        let Kept::Ended(kept) = machine.recall(1, 0).await else {
            panic!("{shell}")
        };
        for reply in [&replies[0], &kept[0]] {
            assert!(text(reply).starts_with("\0\x1e\u{fffd}"), "{shell}");
            assert!(text(reply).len() <= 1024 * 1024 + 2, "{shell}");
        }
        assert_eq!(
            machine.file("1.1.1-1.0.out").metadata().unwrap().len(),
            3_000_003
        );
    }
}

/// What is short is shown by the shell itself, which reads lines of text: all that is none must be found out.
#[tokio::test]
async fn what_is_short_is_shown_byte_for_byte() {
    let mut texts: Vec<Vec<u8>> = [
        "no end of line",
        "\n",
        "\n\n \n",
        "  blanks\t \n\tbefore and behind \n ",
        "back\\slash \\n \\\n%s %d\n-n -e\n",
        "-n",
        "$HOME `id` \"quoted\" 'too' *\n",
        "gr\u{fc}\u{df}e \u{1f980}\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    texts.extend([998, 999, 1000, 1001].map(|size| vec![b'x'; size]));
    let bytes = |step| (0..=255).step_by(step).map(|byte| vec![b'a', byte]);
    for machine in machines() {
        for (locale, first, step) in [("C", 1000, 1), ("C.UTF-8", 2000, 21)] {
            let (home, shell) = (machine.home.path(), machine.shell);
            let mut talk = Machine::talk_of(format!(
                "env LC_ALL={locale} XDG_STATE_HOME= HOME={} {shell}",
                home.display()
            ));
            for (n, bytes) in texts.iter().cloned().chain(bytes(step)).enumerate() {
                let file = home.join("bytes");
                std::fs::write(&file, &bytes).unwrap();
                let name = file.display();
                // by turns on either stream, by itself and by a program
                let step = match n % 3 {
                    0 => format!("cat {name}"),
                    1 => format!("cat {name} >&2"),
                    _ => format!("exec cat {name}"),
                };
                let number = first + n as u32;
                send(&mut talk, batch(number, vec![run(&step)], false)).await;
                let (heard, replies) = replies(&mut talk, 1).await;
                let (of, other) = match n % 3 {
                    1 => (Stream::Stderr, Stream::Stdout),
                    _ => (Stream::Stdout, Stream::Stderr),
                };
                assert!(matches!(replies[0], Reply::Ran { status: 0, .. }));
                assert_eq!(printed(&heard, of), bytes, "{shell}, {locale}");
                assert!(printed(&heard, other).is_empty(), "{shell}, {locale}");
            }
        }
    }
}

#[tokio::test]
async fn where_nothing_can_be_kept_nothing_is_begun() {
    for machine in machines() {
        let shell = machine.shell;
        // a file in the way; and the other place is not for others to prepare
        std::fs::write(machine.home.path().join(".local"), "").unwrap();
        let other = format!("/var/tmp/windlass-{}", rustix::process::geteuid().as_raw());
        let _ = std::fs::remove_file(&other);
        if Path::new(&other).exists() {
            // it is somebody's
            return;
        }
        std::os::unix::fs::symlink(machine.home.path(), &other).unwrap();
        let mut talk = machine.talk();
        let any = Step::Run(Run::script("touch ran").want(Want::Any));
        send(&mut talk, batch(1, vec![any], false)).await;
        send(&mut talk, batch(2, vec![run("touch ran")], true)).await;
        let (_, replies) = replies(&mut talk, 1).await;
        let Reply::Impossible(why) = &replies[0] else {
            panic!("{shell}: {replies:?}")
        };
        assert!(why.contains("nothing can be kept in"), "{shell}: {why}");
        send(
            &mut talk,
            Batch {
                keep: None,
                ..batch(3, vec![run("echo on")], false)
            },
        )
        .await;
        assert_eq!(
            self::replies(&mut talk, 1).await.1,
            [ran(0, "on\n", "")],
            "{shell}"
        );
        assert!(!machine.there("ran"), "{shell}");
        std::fs::remove_file(&other).unwrap();

        // without the trap the other place serves
        let mut talk = machine.talk();
        send(
            &mut talk,
            batch(1, vec![run("echo in the other place")], false),
        )
        .await;
        let wanted = ran(0, "in the other place\n", "");
        assert_eq!(
            self::replies(&mut talk, 1).await.1,
            std::slice::from_ref(&wanted),
            "{shell}"
        );
        assert_eq!(
            machine.recall(1, 0).await,
            Kept::Ended(vec![wanted]),
            "{shell}"
        );
        talk.forget(&keep()).await.unwrap();
        assert!(!Path::new(&other).join("kept").join(DIRECTORY).exists());
        std::fs::remove_dir_all(&other).unwrap();
    }
}

#[tokio::test]
async fn hosts_that_share_a_home_remove_only_what_is_their_own() {
    for machine in machines() {
        let shell = machine.shell;
        let mut talk = machine.talk();
        send(&mut talk, batch(1, vec![run("echo one")], false)).await;
        replies(&mut talk, 1).await;
        let other = Keep {
            host: HostName::new("h2"),
            ..keep()
        };
        machine.talk().forget(&other).await.unwrap();
        let wanted = vec![ran(0, "one\n", "")];
        assert_eq!(machine.recall(1, 0).await, Kept::Ended(wanted), "{shell}");
        assert_eq!(
            machine.talk().recall(&other, task(1)).await.unwrap(),
            Kept::Nothing,
            "{shell}"
        );
    }
}

#[tokio::test]
async fn what_was_kept_and_is_gone_does_not_count_as_not_begun() {
    for machine in machines() {
        let shell = machine.shell;
        let mut talk = machine.talk();
        send(&mut talk, batch(1, vec![run("echo x >>count")], false)).await;
        replies(&mut talk, 1).await;
        std::fs::remove_dir_all(machine.kept()).unwrap();
        assert_eq!(machine.recall(1, 0).await, Kept::Nothing, "{shell}");

        // no shell makes it come back empty: nothing more is begun
        for mut talk in [talk, machine.talk()] {
            send_unready(&mut talk, batch(2, vec![run("touch ran")], false)).await;
            let replies = replies(&mut talk, 1).await.1;
            assert!(
                matches!(&replies[..], [Reply::Impossible(why)] if why.contains("nothing can be kept in")),
                "{shell}: {replies:?}"
            );
        }
        assert!(!machine.there("ran") && !machine.kept().exists(), "{shell}");

        // who goes on with the run makes it anew, and it says so; what is begun from then on is known
        let mut talk = machine.talk();
        ready(&mut talk, true).await;
        assert_eq!(machine.recall(1, 0).await, Kept::Nothing, "{shell}");
        send(&mut talk, batch(2, vec![run("echo y")], false)).await;
        replies(&mut talk, 1).await;
        let known = Kept::Ended(vec![ran(0, "y\n", "")]);
        assert_eq!(machine.recall(2, 0).await, known, "{shell}");
        assert_eq!(machine.recall(1, 0).await, Kept::Nothing, "{shell}");
        assert_eq!(machine.recall(3, 0).await, Kept::Nothing, "{shell}");

        // where it is still there it stays as it is
        talk.forget(&keep()).await.unwrap();
        ready(&mut talk, false).await;
        ready(&mut talk, true).await;
        assert_eq!(machine.recall(1, 0).await, Kept::NotBegun, "{shell}");
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &machine
                .kept()
                .join(DIRECTORY)
                .metadata()
                .unwrap()
                .permissions(),
        );
        assert_eq!(mode & 0o777, 0o700, "{shell}");
    }
}

#[tokio::test]
async fn what_nobody_came_back_for_is_removed_after_a_month() {
    for machine in machines() {
        let shell = machine.shell;
        for (run, days) in [("old", "40"), ("young", "20")] {
            let directory = machine.kept().join(run);
            std::fs::create_dir_all(directory.join("below")).unwrap();
            let touched = std::process::Command::new("touch")
                .args(["-d", &format!("{days} days ago")])
                .arg(&directory)
                .status();
            assert!(touched.unwrap().success());
        }
        machine.talk().forget(&keep()).await.unwrap();
        let left = |run: &str| machine.kept().join(run).exists();
        assert!(!left("old") && left("young"), "{shell}");
    }
}

#[tokio::test]
async fn a_sudo_users_work_is_kept_in_that_users_home() {
    let can = std::process::Command::new("sudo")
        .args(["-n", "-u", "root", "true"])
        .status();
    if !rustix::process::geteuid().is_root() || !can.is_ok_and(|s| s.success()) {
        return;
    }
    let run_id = RunId::new(&format!("test-{}", std::process::id())).unwrap();
    let keep = Keep {
        run: run_id.clone(),
        user: As::root(),
        ..keep()
    };
    let talk = || Machine::talk_of("sh".into());
    let mut first = talk();
    let step = Step::Run(Run {
        user: As::root(),
        ..Run::script("pwd; sleep 1; exit 81")
    });
    send(
        &mut first,
        Batch {
            keep: Some(keep.clone()),
            ..batch(1, vec![step], false)
        },
    )
    .await;
    let begun = PathBuf::from(format!(
        "/root/.local/state/windlass/kept/{run_id}@h1/1.1.1-1.0.begun"
    ));
    wait_until(async || begun.metadata().is_ok_and(|m| m.len() > 0)).await;
    drop(first);
    let mut talk = talk();
    assert_eq!(talk.recall(&keep, task(1)).await.unwrap(), Kept::Running);
    wait_until(async || {
        Machine::talk_of("sh".into())
            .recall(&keep, task(1))
            .await
            .unwrap()
            != Kept::Running
    })
    .await;
    assert_eq!(
        talk.recall(&keep, task(1)).await.unwrap(),
        Kept::Ended(vec![ran(81, "/root\n", "")])
    );
    talk.forget(&keep).await.unwrap();
    assert!(!begun.exists());
}
