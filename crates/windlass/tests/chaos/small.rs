//! A deploy that is over in a second: two hosts of one sshd, an archive each, something that must be done once, a link.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use windlass_testkit::sshd::SshdOptions;

use crate::support::Ran;
use crate::support::site::{Site, open_to_all};

/// Its hosts.
pub(crate) const HOSTS: [&str; 2] = ["h1", "h2"];
/// Files of a release.
const FILES: usize = 5;
/// Lines of each.
const LINES: usize = 400;

/// The hosts, and where their releases lie.
pub(crate) struct Small {
    pub(crate) site: Site,
    /// The state directory of who logs in.
    pub(crate) state: PathBuf,
}

impl Small {
    pub(crate) fn up() -> Self {
        Self::with(&SshdOptions::default())
    }

    pub(crate) fn with(options: &SshdOptions) -> Self {
        let site = Site::with(&HOSTS, options);
        let small = Self {
            state: site.sshd.file("state"),
            site,
        };
        for host in HOSTS {
            let directory = small.opt(host);
            fs::create_dir_all(&directory).unwrap();
            open_to_all(&directory);
        }
        fs::create_dir(small.at("witness")).unwrap();
        open_to_all(&small.at("witness"));
        small.pause("0.1");
        small
    }

    /// How long, in seconds, what must be done once takes from now on.
    pub(crate) fn pause(&self, seconds: &str) {
        fs::write(self.at("pause"), seconds).unwrap();
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.site.place.path().join(name)
    }

    /// Where a host keeps its releases.
    pub(crate) fn opt(&self, host: &str) -> PathBuf {
        self.at("opt").join(host)
    }

    /// Makes a release and the tasklist that deploys it.
    pub(crate) fn make(&self, version: &str) {
        let folder = self.at(&format!("releases/shop_{version}"));
        fs::create_dir_all(&folder).unwrap();
        for n in 0..FILES {
            fs::write(folder.join(format!("f{n}")), contents(version, n)).unwrap();
        }
        let mut tar = Command::new("tar");
        tar.current_dir(self.at("releases"))
            .arg("-cf")
            .arg(format!("shop_{version}.tar"))
            .arg(format!("shop_{version}"));
        assert!(tar.status().unwrap().success());
        let pause = self.at("pause").display().to_string();
        let chain = |host: &str| {
            let opt = self.opt(host).display().to_string();
            let witness = self.at("witness").join(host).display().to_string();
            json!([
                {"command": "unpack", "remote_host": host, "strip": 1,
                 "source": format!("{opt}/shop_{version}.tar"), "destination": format!("{opt}/shop_{version}")},
                {"command": "execute_command", "remote_host": host,
                 "run": format!("echo {version} begins >>{witness} && sleep $(cat {pause}) && echo {version} ends >>{witness}")},
                {"command": "symlink", "remote_host": host,
                 "source": format!("shop_{version}"), "destination": format!("{opt}/shop")},
            ])
        };
        let upload = |host: &str| {
            json!({"command": "upload", "remote_host": host, "source": format!("releases/shop_{version}.tar"),
                   "destination": self.opt(host)})
        };
        let receipt = |job: &str, host: &str| json!({"job": job, "service": "shop", "version": version, "install_location": self.opt(host)});
        let tasklist = json!({
            "name": "Small",
            "plan": {"locks": HOSTS, "receipts": [receipt("2.1", "h1"), receipt("2.2", "h2")]},
            "stages": [
                {"name": "Upload", "concurrency": 2, "tasks": [upload("h1"), upload("h2")]},
                {"name": "Install", "concurrency": 2, "tasks": [chain("h1"), chain("h2")]},
            ],
        });
        let name = format!("tasks-{version}.json");
        self.site.place.write(&name, &tasklist.to_string());
    }

    /// Deploys it; waits for locks that the dead have.
    pub(crate) fn deploy(&self, version: &str) -> Command {
        let tasklist = format!("tasks-{version}.json");
        let words = ["deploy", "--tasklist", &tasklist, "--lock-lease", "3"];
        let mut command = self.site.command(&words);
        command.args(["--wait", "20"]);
        command
    }

    pub(crate) fn resume(&self, run: &str, told: &[String]) -> Command {
        let mut command = self.site.command(&["deploy", "--resume", run]);
        command.args(["--wait", "20"]).args(told);
        command
    }

    /// The runs that were begun here, the oldest first; the journal of one may not be there yet.
    pub(crate) fn runs(&self) -> Vec<String> {
        crate::service::list(&self.at(".state/windlass/runs"))
    }

    /// What `runs show` says of a run; nothing where it has no journal.
    pub(crate) fn shown(&self, run: &str) -> Option<Value> {
        let journal = self.at(".state/windlass/runs").join(run);
        let journal = fs::read(journal.join("journal.jsonl")).unwrap_or_default();
        // a header that was cut off is none
        if !journal.contains(&b'\n') {
            return None;
        }
        let ran = self.site.windlass(&["runs", "show", run, "--json"]);
        let shown = ran.expect(0).stdout;
        Some(serde_json::from_str(&shown).unwrap())
    }

    /// How often the work of a version began on a host, and how often it ended.
    pub(crate) fn done(&self, host: &str, version: &str) -> (usize, usize) {
        let text = fs::read_to_string(self.at("witness").join(host)).unwrap_or_default();
        let count = |what: &str| {
            let line = format!("{version} {what}");
            text.lines().filter(|l| **l == line).count()
        };
        (count("begins"), count("ends"))
    }

    /// What is to be seen at a host's link: the version, all of whose files must be whole.
    pub(crate) fn visible(&self, host: &str) -> String {
        let link = self.opt(host).join("shop");
        let Ok(target) = fs::read_link(&link) else {
            return String::new();
        };
        let version = target.to_str().unwrap().replace("shop_", "");
        for n in 0..FILES {
            let found = fs::read_to_string(link.join(format!("f{n}"))).unwrap_or_default();
            assert_eq!(found, contents(&version, n), "{host} is half {version}");
        }
        version
    }

    /// Goes on with a run, told of what is unknown what the witness knows, until it is well; gives how often it asked.
    pub(crate) fn go_on(&self, run: &str, version: &str) -> usize {
        let mut told = Vec::new();
        for asked in 0..5 {
            let ran = Ran::of(self.resume(run, &told).output().unwrap());
            if ran.status != 4 {
                ran.expect(0);
                return asked;
            }
            told = self.told(run, version);
            println!("  asked: {told:?}");
            assert!(
                !told.is_empty(),
                "it asks, and does not say what: {}",
                ran.stderr
            );
        }
        panic!("it goes on asking");
    }

    /// The answers to what a run asks.
    fn told(&self, run: &str, version: &str) -> Vec<String> {
        let shown = self.shown(run).unwrap();
        let mut told = Vec::new();
        for task in shown["unknown"].as_array().unwrap() {
            let (host, id) = (task["host"].as_str().unwrap(), task["id"].as_str().unwrap());
            // the others are as well done twice as once
            let is_once = id.starts_with("2.") && id.ends_with(".2");
            let answer = match self.done(host, version) {
                (_, 1) if is_once => "--assume-done",
                (begun, _) => {
                    assert!(!is_once || begun == 0, "begun on {host}, and dead");
                    "--run-again"
                }
            };
            told.extend([answer.to_owned(), id.to_owned()]);
        }
        told
    }

    /// Everything is as after a deploy that nothing happened to.
    pub(crate) fn is_well(&self, version: &str) {
        self.is_deployed(version);
        let last = self.lock();
        assert!(last.contains(" free "), "locked: {last}");
    }

    /// The same, but for the lock of a run that was killed when all was done: that is nobody's once it has expired.
    pub(crate) fn is_deployed(&self, version: &str) {
        for host in HOSTS {
            assert_eq!(self.visible(host), version, "{host}");
            assert_eq!(self.done(host, version), (1, 1), "{host} {version}");
            let receipts = self.opt(host).join(".windlass/receipts/shop");
            let names = crate::service::list(&receipts);
            let last = names.iter().rfind(|name| name.ends_with(".json")).unwrap();
            let receipt = fs::read_to_string(receipts.join(last)).unwrap();
            let receipt: Value = serde_json::from_str(&receipt).unwrap();
            assert_eq!(
                (&receipt["to"], &receipt["result"]),
                (&version.into(), &"succeeded".into())
            );
        }
        let state = self.state.join("windlass");
        assert_eq!(crate::service::list(&state.join("kept")), [""; 0]);
        let begun = crate::service::list(&self.opt("h1"));
        let begun: Vec<_> = begun
            .iter()
            .filter(|n| n.starts_with(".windlass-"))
            .collect();
        assert!(begun.is_empty(), "left behind: {begun:?}");
    }

    /// What the lock of the host says.
    fn lock(&self) -> String {
        let all = self.state.join("windlass/lock");
        let lock = crate::service::list(&all).pop().unwrap();
        last_entry(&all.join(lock))
    }
}

/// The entry of a lock that counts.
fn last_entry(lock: &Path) -> String {
    let names = crate::service::list(lock);
    let last = names.iter().rfind(|name| name.starts_with('1')).unwrap();
    fs::read_to_string(lock.join(last)).unwrap()
}

fn contents(version: &str, n: usize) -> String {
    format!("file {n} of {version}\n").repeat(LINES)
}
