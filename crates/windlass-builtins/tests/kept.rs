//! Work that outlives the link, from the executor to a real sshd: what the operator is told is what happened.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the functions that tests share are tests"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use windlass_builtins::hosts::{HostsOptions, hosts};
use windlass_engine::events::{Events, Sink};
use windlass_engine::executor::{Options, prepare, run};
use windlass_engine::interrupt::{Interrupter, interrupt};
use windlass_engine::registry::Registry;
use windlass_model::event::{Event, RunEnd, What};
use windlass_model::ids::RunId;
use windlass_model::outcome::{FailureKind, Outcome};
use windlass_model::tasklist::from_tree;
use windlass_model::tree::Node;
use windlass_testkit::sshd::{Sshd, SshdOptions, is_root};

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<What>>>);

impl Sink for Kept {
    fn accept(&mut self, events: &[Event]) -> std::io::Result<()> {
        let mut kept = self.0.lock().unwrap();
        kept.extend(events.iter().map(|e| e.what.clone()));
        Ok(())
    }
}

/// A host, and a directory that its programs and the test share.
struct Site {
    sshd: Option<Sshd>,
    config: PathBuf,
    shared: tempfile::TempDir,
    run: RunId,
}

impl Site {
    fn new(name: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let sshd = Sshd::start(&SshdOptions::default()).expect("an sshd starts");
        let shared = tempfile::tempdir().unwrap();
        fs::set_permissions(shared.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let config = shared.path().join("ssh_config");
        fs::copy(sshd.file("ssh_config"), &config).unwrap();
        Self {
            sshd: Some(sshd),
            config,
            shared,
            run: RunId::new(&format!("test-{}-{name}", std::process::id())).unwrap(),
        }
    }

    /// A shell line in the shared directory, that must not be done twice.
    fn task(&self, line: &str) -> Value {
        json!({"command": "execute_command", "remote_host": "testhost", "run": line, "cwd": self.shared.path()})
    }

    /// What a program wrote there, once it has.
    async fn written(&self, name: &str) -> String {
        let path = self.shared.path().join(name);
        let begun = Instant::now();
        loop {
            match fs::read_to_string(&path) {
                Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
                _ => assert!(
                    begun.elapsed() < Duration::from_secs(30),
                    "{name} is written"
                ),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn there(&self, name: &str) -> bool {
        self.shared.path().join(name).exists()
    }

    /// Where the host keeps work of the run, if it does.
    fn kept(&self) -> Option<PathBuf> {
        let user = SshdOptions::default().user;
        let id = Command::new("id").args(["-u", &user]).output().ok()?;
        let id = String::from_utf8_lossy(&id.stdout).trim().to_owned();
        [
            format!("/home/{user}/.local/state/windlass"),
            format!("/var/tmp/windlass-{id}"),
        ]
        .map(|place| Path::new(&place).join("kept").join(self.run.as_str()))
        .into_iter()
        .find(|kept| kept.exists())
    }

    /// Runs a chain; `meanwhile` happens to it.
    async fn play(&self, chain: Vec<Value>, meanwhile: impl AsyncFnOnce(Interrupter)) -> Played {
        let list = json!({"name": "Test", "stages": [{"name": "Only", "concurrency": 1, "tasks": [chain]}]});
        let list = from_tree(Node::from(list), None).unwrap();
        let mut registry = Registry::new();
        windlass_builtins::commands::register(&mut registry);
        let kept = Kept::default();
        let (events, done) = Events::start(vec![Box::new(kept.clone())]);
        let prepared = prepare(&list, &registry, Path::new("/"), &events)
            .await
            .unwrap();
        let hosts = hosts(HostsOptions {
            ssh_config: Some(self.config.clone()),
            local_user: "nobody".into(),
            connect_timeout: Some(Duration::from_secs(5)),
            ..HostsOptions::default()
        })
        .unwrap();
        let (interrupter, interrupt) = interrupt();
        let options = Options {
            run: self.run.clone(),
            by: "tester@here".into(),
            hosts,
            secrets: Arc::default(),
            events: events.clone(),
            interrupt,
            user: None,
            without: Vec::new(),
            resume: None,
            locks: None,
        };
        let (report, ()) = tokio::join!(run(&prepared, options), meanwhile(interrupter));
        events.end().await;
        done.await.unwrap().unwrap();
        let events = kept.0.lock().unwrap().clone();
        Played {
            end: report.end,
            events,
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(kept) = self.kept() {
            let _ = fs::remove_dir_all(kept);
        }
    }
}

struct Played {
    end: RunEnd,
    events: Vec<What>,
}

impl Played {
    fn outcome(&self, link: u32) -> &Outcome {
        self.events
            .iter()
            .find_map(|what| match what {
                What::TaskFinished { task, outcome, .. } if task.id.link == link => Some(outcome),
                _ => None,
            })
            .expect("it has an outcome")
    }

    fn why(&self, link: u32) -> &str {
        match self.outcome(link) {
            Outcome::Unknown(why) => why,
            other => panic!("{other}"),
        }
    }

    fn lines(&self) -> Vec<&str> {
        self.events
            .iter()
            .filter_map(|what| match what {
                What::Output { line, .. } => Some(line.as_str()),
                _ => None,
            })
            .collect()
    }
}

fn kill(target: &str) {
    let status = Command::new("kill").args(["-KILL", "--", target]).status();
    assert!(status.unwrap().success());
}

/// Says which process serves the connection, then works for 3 s.
const WORK: &str =
    "echo x >>count; echo begun; echo $PPID >server; sleep 3; echo ended; echo y >>count";

#[tokio::test]
async fn the_link_is_cut_in_the_middle_and_the_true_status_is_told() {
    if !is_root().unwrap() {
        return;
    }
    for (name, end, is_good) in [("good", "", true), ("bad", "; exit 7", false)] {
        let site = Site::new(name);
        let chain = vec![
            site.task(&format!("{WORK}{end}")),
            site.task("echo z >>count"),
        ];
        let played = site
            .play(chain, async |_| kill(&site.written("server").await))
            .await;
        let count = site.written("count").await;
        if is_good {
            assert_eq!(played.outcome(1), &Outcome::Changed);
            assert_eq!(played.outcome(2), &Outcome::Changed);
            assert_eq!(count, "x\ny\nz");
            assert_eq!(played.end, RunEnd::Succeeded);
        } else {
            let Outcome::Failed(failure) = played.outcome(1) else {
                panic!("{}", played.outcome(1))
            };
            assert_eq!(
                (failure.kind, failure.status),
                (FailureKind::Command, Some(7))
            );
            assert!(matches!(played.outcome(2), Outcome::NotRun(_)));
            assert_eq!(count, "x\ny");
        }
        assert_eq!(played.lines(), ["begun", "ended"]);
        // what is known is forgotten
        assert!(site.kept().is_none());
    }
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_again_leaves_it_unknown() {
    if !is_root().unwrap() {
        return;
    }
    let mut site = Site::new("gone");
    let sshd = Mutex::new(site.sshd.take());
    let chain = vec![site.task(WORK), site.task("touch next")];
    let played = site
        .play(chain, async |_| {
            let server = site.written("server").await;
            drop(sshd.lock().unwrap().take());
            kill(&server);
        })
        .await;
    let why = played.why(1);
    let place = format!(
        "look at ~/.local/state/windlass/kept/{}@testhost/1.1.1-1.* ",
        site.run
    );
    assert!(
        why.contains(&place) && why.contains("could not be asked again"),
        "{why}"
    );
    assert!(played.why(2).contains("1.1.2-1.*"), "{}", played.why(2));
    assert_eq!(played.end, RunEnd::Unknown);
    // it has ended well by itself, and the next was not begun
    assert_eq!(site.written("count").await, "x\ny");
    assert!(!site.there("next"));
}

#[tokio::test]
async fn a_host_whose_processes_are_all_gone_leaves_it_unknown() {
    if !is_root().unwrap() {
        return;
    }
    let site = Site::new("rebooted");
    let work = format!("cut -d' ' -f5 /proc/self/stat >group; {WORK}");
    let chain = vec![site.task(&work), site.task("touch next")];
    let played = site
        .play(chain, async |_| {
            let server = site.written("server").await;
            kill(&server);
            kill(&format!("-{}", site.written("group").await));
        })
        .await;
    let why = played.why(1);
    assert!(
        why.contains("runs no more, and left no exit status"),
        "{why}"
    );
    assert!(
        matches!(played.outcome(2), Outcome::NotRun(_)),
        "{}",
        played.outcome(2)
    );
    assert_eq!(site.written("count").await, "x");
    assert!(!site.there("next"));
}

#[tokio::test]
async fn what_still_runs_after_a_lost_link_is_ended_by_time_and_by_the_operator() {
    if !is_root().unwrap() {
        return;
    }
    let endless = "echo $PPID >server; sleep 60; touch after";
    for name in ["limit", "operator"] {
        let site = Site::new(name);
        let mut task = site.task(endless);
        if name == "limit" {
            task["time_limit"] = json!(4);
        }
        let begun = Instant::now();
        let played = site
            .play(vec![task], async |interrupter| {
                kill(&site.written("server").await);
                if name == "operator" {
                    tokio::time::sleep(Duration::from_secs(2)).await;
                    interrupter.again();
                    interrupter.again();
                }
            })
            .await;
        let Outcome::Failed(failure) = played.outcome(1) else {
            panic!("{name}: {}", played.outcome(1))
        };
        let wanted = match name {
            "limit" => FailureKind::TimeLimit,
            _ => FailureKind::Interrupted,
        };
        assert_eq!(failure.kind, wanted);
        assert!(begun.elapsed() < Duration::from_secs(25), "{name}");
        let sleeping = Command::new("pgrep")
            .args(["-f", "-U", "windlass-test", "^sleep 60$"])
            .output();
        let left = sleeping.map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
        assert_eq!(left.unwrap_or_default(), "", "{name}");
        assert!(!site.there("after"));
    }
}
