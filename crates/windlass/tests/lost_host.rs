//! A host is lost in the middle of a task that must not be done twice: its link is cut, its sshd ends, or it goes down. What is
//! told is true, or it is said that it is not known.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]
#![allow(clippy::panic, reason = "the functions that tests share are tests")]

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::Ran;
use support::site::Site;
use windlass_testkit::sshd::{SshdOptions, is_root};

/// Says which process serves the connection, then works for 3 s.
const WORK: &str =
    "echo x >>count; echo begun; echo $PPID >server; sleep 3; echo ended; echo y >>count";

/// A site whose user no other test has, with a deploy under way there.
struct Lost {
    site: Site,
    deploy: Option<Child>,
}

impl Lost {
    /// Starts a deploy and waits until its first task has begun.
    fn amid(user: &str) -> Self {
        let options = SshdOptions {
            user: user.into(),
            ..SshdOptions::default()
        };
        let site = Site::with(&["app1"], &options);
        let task = |line: &str| json!({"command": "execute_command", "remote_host": "app1", "run": line, "cwd": site.place.at("")});
        let list = json!({"name": "Work", "stages": [{"name": "Work", "concurrency": 1, "tasks": [[task(WORK), task("echo z >>count")]]}]});
        site.place.write("tasks.json", &list.to_string());
        let log = fs::File::create(site.place.at("log")).unwrap();
        let mut command = site.command(&["deploy", "--tasklist", "tasks.json", "--verbose"]);
        let deploy = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let lost = Self {
            site,
            deploy: Some(deploy),
        };
        lost.wait_for("the task", || lost.file("server").ends_with('\n'));
        lost
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.site.place.at(name)).unwrap_or_default()
    }

    fn count(&self) -> String {
        self.file("count").replace('\n', "")
    }

    fn wait_for(&self, what: &str, is_there: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(30);
        while !is_there() {
            assert!(
                Instant::now() < end,
                "{what} does not come: {}",
                self.file("log")
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Cuts the connection; what runs there goes on.
    fn cut(&self) {
        kill(&self.file("server"));
    }

    /// Ends every process of the host's user, as when the host goes down.
    fn end_all(&self) {
        let id = Command::new("id")
            .args(["-u", &self.site.sshd.user])
            .output()
            .unwrap();
        let id: u32 = String::from_utf8(id.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let name = process.file_name().into_string().unwrap();
            // one may have ended meanwhile
            if name.parse::<u32>().is_ok() && process.metadata().is_ok_and(|meta| meta.uid() == id)
            {
                let _ = Command::new("kill")
                    .args(["-KILL", &name])
                    .stderr(Stdio::null())
                    .status();
            }
        }
    }

    /// What the host keeps was written before another boot.
    fn boot(&self) {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let kept = self
            .site
            .sshd
            .file("state/windlass/kept")
            .join(format!("{}@app1", self.run()));
        let files: Vec<PathBuf> = fs::read_dir(kept)
            .unwrap()
            .flatten()
            .map(|file| file.path())
            .collect();
        assert!(!files.is_empty());
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            fs::write(
                &file,
                text.replace(boot.trim(), "00000000-0000-0000-0000-000000000000"),
            )
            .unwrap();
        }
    }

    /// The end of the deploy: its exit status and what it said.
    fn end(&mut self) -> (Option<i32>, String) {
        let status = self.deploy.take().unwrap().wait().unwrap();
        (status.code(), self.file("log"))
    }

    fn show(&self) -> Value {
        let shown = self.site.windlass(&["runs", "show", "--json"]).expect(0);
        serde_json::from_str(&shown.stdout).unwrap()
    }

    fn run(&self) -> String {
        self.show()["id"].as_str().unwrap().to_owned()
    }

    fn resume(&self, more: &[&str]) -> Ran {
        let run = self.run();
        let mut arguments = vec!["deploy", "--resume", &run, "--verbose"];
        arguments.extend(more);
        self.site.windlass(&arguments)
    }

    /// It is said to be unknown, with what to look at, and nothing behind it was begun.
    fn is_unknown(&self) {
        let show = self.show();
        assert_eq!(show["state"], "unknown", "{show}");
        assert_eq!(show["unknown"][0]["id"], "1.1.1", "{show}");
        assert!(
            show["next"].as_str().unwrap().contains("--resume"),
            "{show}"
        );
        assert!(!self.count().contains('z'));
    }
}

impl Drop for Lost {
    fn drop(&mut self) {
        if let Some(mut deploy) = self.deploy.take() {
            let _ = deploy.kill();
            let _ = deploy.wait();
        }
    }
}

fn kill(pid: &str) {
    let killed = Command::new("kill")
        .args(["-KILL", pid.trim()])
        .status()
        .unwrap();
    assert!(killed.success());
}

/// Only root can make a user all of whose processes may be killed.
fn may_not_run() -> bool {
    !is_root().unwrap()
}

#[test]
fn a_cut_link_leaves_the_task_alone_and_its_status_is_read_back() {
    if may_not_run() {
        return;
    }
    let mut lost = Lost::amid("windlass-cut");
    lost.cut();
    let (status, said) = lost.end();
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("ended"), "{said}");
    assert_eq!(lost.count(), "xyz");
    assert_eq!(lost.show()["state"], "succeeded");
}

#[test]
fn a_host_that_is_out_of_reach_is_asked_when_it_is_back() {
    if may_not_run() {
        return;
    }
    let mut lost = Lost::amid("windlass-away");
    lost.site.sshd.stop().unwrap();
    lost.cut();
    let (status, said) = lost.end();
    assert_eq!(status, Some(4), "{said}");
    assert!(said.contains("could not be asked again"), "{said}");
    let place = format!(
        "look at ~/.local/state/windlass/kept/{}@app1/1.1.1-1.* ",
        lost.run()
    );
    assert!(said.contains(&place), "{said}");
    assert!(said.contains("on app1 before you run it again"), "{said}");
    lost.is_unknown();
    // still away
    let ran = lost.resume(&[]);
    assert!([1, 4].contains(&ran.status), "{}", ran.stderr);
    lost.wait_for("its end", || lost.count() == "xy");
    lost.site.sshd.start_again().unwrap();
    let ran = lost.resume(&[]).expect(0);
    assert!(ran.stderr.contains("ended"), "{}", ran.stderr);
    assert_eq!(lost.count(), "xyz", "nothing was done twice");
}

#[test]
fn a_host_that_went_down_leaves_it_unknown_until_somebody_says() {
    if may_not_run() {
        return;
    }
    for is_back_at_once in [true, false] {
        let mut lost = Lost::amid("windlass-down");
        if !is_back_at_once {
            lost.site.sshd.stop().unwrap();
        }
        lost.end_all();
        let (status, said) = lost.end();
        assert_eq!(status, Some(4), "{said}");
        let wanted = if is_back_at_once {
            "left no exit status"
        } else {
            "could not be asked again"
        };
        assert!(said.contains(wanted), "{said}");
        lost.is_unknown();
        if !is_back_at_once {
            lost.boot();
            lost.site.sshd.start_again().unwrap();
        }
        let ran = lost.resume(&[]).expect(4);
        assert!(ran.stderr.contains("--run-again 1.1.1"), "{}", ran.stderr);
        assert!(ran.stderr.contains("--assume-done 1.1.1"), "{}", ran.stderr);
        lost.is_unknown();
        assert_eq!(lost.count(), "x");
        let mut again = vec!["--run-again", "1.1.1"];
        if !is_back_at_once {
            // of what was sent along nobody knows either, after a boot
            again.push("1.1.2");
        }
        lost.resume(&again).expect(0);
        assert_eq!(lost.count(), "xxyz");
        assert_eq!(lost.show()["state"], "succeeded");
        let kept = fs::read_dir(lost.site.sshd.file("state/windlass/kept"));
        assert_eq!(kept.into_iter().flatten().count(), 0, "nothing is kept");
    }
}
