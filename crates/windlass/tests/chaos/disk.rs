//! Disks that run full at many offsets, each of them in its turn; and what becomes of it when there is room again.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use windlass_testkit::chaos::{Numbers, Trial};

use crate::http::ask;
use crate::small::{HOSTS, Small};
use crate::support::Ran;
use crate::trade::{Role, Trade};
use crate::world::word;

/// A file system of limited size, on a directory; gone when dropped.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Puts one there, with what is in the directory already; none where this user may not mount.
    fn on(at: &Path, megabytes: u32) -> Option<Self> {
        let before = at.with_extension("before");
        fs::create_dir_all(at).unwrap();
        fs::rename(at, &before).unwrap();
        fs::create_dir(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m,mode=1777")]);
        let mounted = mount.arg("windlass-test").arg(at).output().unwrap();
        if !mounted.status.success() {
            fs::remove_dir(at).unwrap();
            fs::rename(&before, at).unwrap();
            return None;
        }
        let disk = Self { at: at.to_owned() };
        let copied = Command::new("cp")
            .arg("-a")
            .arg(format!("{}/.", before.display()))
            .arg(at)
            .status();
        assert!(copied.unwrap().success());
        fs::remove_dir_all(&before).unwrap();
        Some(disk)
    }

    fn filler(&self) -> PathBuf {
        self.at.join(".filler")
    }

    /// Leaves room for so many bytes, to a page.
    fn fill(&self, left: u64) {
        let mut file = File::create(self.filler()).unwrap();
        let page = [7; 4096];
        while file.write_all(&page).is_ok() {}
        let length = file.metadata().unwrap().len();
        file.set_len(length.saturating_sub(left)).unwrap();
    }

    /// Gives the room back.
    fn free(&self) {
        let file = OpenOptions::new().write(true).open(self.filler());
        file.unwrap().set_len(0).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // lazily: whoever still has a file there keeps it
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

/// How much is left: now and then nothing, else anything below that.
fn left(numbers: &mut Numbers, most: u64) -> u64 {
    match numbers.percent(15) {
        true => 0,
        false => numbers.below(most / 4096 + 1) * 4096,
    }
}

#[test]
fn disk_of_a_deploy_runs_full() {
    let trial = Trial::begin("disk_of_a_deploy");
    let small = Small::up();
    let state = small.at(".state");
    let kept = small.site.sshd.file("state");
    let places = [
        ("here", state, 48 << 10),
        ("the releases of h1", small.opt("h1"), 256 << 10),
        ("the state of the hosts", kept, 80 << 10),
    ];
    let disks: Option<Vec<SmallDisk>> = places
        .iter()
        .map(|(_, at, _)| SmallDisk::on(at, 16))
        .collect();
    let Some(disks) = disks else {
        return trial.say("skipped: this user may not mount a file system");
    };
    small.make("0.0.1");
    Ran::of(small.deploy("0.0.1").output().unwrap()).expect(0);
    small.is_well("0.0.1");
    let count = trial.count(4, 90);
    let (mut stopped, mut untouched) = (0, 0);
    for n in 0..count {
        let mut numbers = trial.case(n);
        let at = (n % 3) as usize;
        let (name, _, most) = &places[at];
        // the first one stops for sure, whatever the seed
        let left = if n == 0 { 0 } else { left(&mut numbers, *most) };
        trial.say(format_args!("{n}: {left} bytes left, {name}"));
        let version = format!("1.0.{n}");
        small.make(&version);
        disks[at].fill(left);
        let ran = Ran::of(small.deploy(&version).output().unwrap());
        stopped += usize::from(ran.status != 0);
        untouched += usize::from(small.done("h1", &version).0 == 0);
        full_deploy_is_told(&small, &ran, &version, at == 0 && left == 0);
        disks[at].free();
        gone_on_with(&small, &ran, &version);
        if at == 1 {
            // old releases are not kept for ever
            let _ = fs::remove_dir_all(
                small
                    .opt("h1")
                    .join(format!("shop_1.0.{}", n.wrapping_sub(6))),
            );
        }
    }
    trial.report(format_args!(
        "{count} deploys with a disk that ran full, here or on a host: {stopped} stopped ({untouched} before anything was begun on \
         h1), and all went on to a good end when there was room, each task begun once"
    ));
    assert!(stopped > 0, "no disk ran full");
}

fn full_deploy_is_told(small: &Small, ran: &Ran, version: &str, is_all_full: bool) {
    for host in HOSTS {
        small.visible(host);
        assert!(small.done(host, version).0 <= 1, "{host} began twice");
    }
    let said = &ran.stderr;
    if ran.status == 0 {
        return small.is_well(version);
    }
    assert!([1, 2, 3, 4].contains(&ran.status), "{}: {said}", ran.status);
    let why = [
        "No space left on",
        "nothing can be kept in",
        "cannot write in",
        "I/O error",
        "not what was sent",
        "than the disk has room for",
    ];
    assert!(why.iter().any(|why| said.contains(why)), "{said}");
    if is_all_full {
        assert_eq!(ran.status, 3, "{said}");
        assert!(said.contains(".state/windlass/runs"), "{said}");
        HOSTS
            .into_iter()
            .for_each(|host| assert_eq!(small.done(host, version), (0, 0)));
    }
}

fn gone_on_with(small: &Small, ran: &Ran, version: &str) {
    let run = small.runs().pop();
    let shown = run.as_ref().and_then(|run| small.shown(run));
    match (&run, shown) {
        (Some(run), Some(shown)) if ran.status != 0 && shown["state"] != "succeeded" => {
            small.go_on(run, version);
        }
        (_, Some(shown)) if ran.status == 0 => assert_eq!(shown["state"], "succeeded"),
        _ => {
            HOSTS
                .into_iter()
                .for_each(|host| assert_eq!(small.done(host, version), (0, 0)));
            Ran::of(small.deploy(version).output().unwrap()).expect(0);
        }
    }
    small.is_well(version);
}

/// How long a transaction is left to a full disk.
const STARVED: Duration = Duration::from_secs(4);

#[test]
fn disk_of_a_service_runs_full() {
    let trial = Trial::begin("disk_of_a_service");
    let mut trade = Trade::new();
    let mut disks = Vec::new();
    for role in Role::ALL {
        match SmallDisk::on(&trade.service(role).dir.clone(), 48) {
            Some(disk) => disks.push(disk),
            None => return trial.say("skipped: this user may not mount a file system"),
        }
    }
    trade.up();
    trade.goes_well("first");
    let most = [160 << 10, 64 << 10, 160 << 10];
    let count = trial.count(3, 90);
    let (mut refused, mut failed) = (0, 0);
    for n in 0..count {
        let mut numbers = trial.case(n);
        let at = (n % 3) as usize;
        let role = Role::ALL[at];
        let left = left(&mut numbers, most[at]);
        trial.say(format_args!("{n}: {role:?} has {left} bytes left"));
        let page = format!("{n}-full");
        trade.source(&page);
        disks[at].fill(left);
        let asked = starve(&mut trade, &page);
        refused += usize::from(asked.is_none());
        for role in Role::ALL {
            assert!(trade.service(role).is_running(), "{role:?} ended");
        }
        disks[at].free();
        let id = trade.ask(&page);
        assert!(asked.is_none_or(|asked| asked == id), "asked twice");
        let status = trade.end(&id);
        failed += usize::from(status != "INSTALL_COMPLETED");
        trade.is_true(&id, &status);
        trade.goes_well(&format!("{n}-after"));
        trade.nothing_is_lost();
    }
    trial.report(format_args!(
        "{count} installs with a disk that ran full at a manager, a builder or an installer: {refused} were refused until there was \
         room, {failed} failed or became unknown with a reason; nobody ended, nothing acknowledged was lost"
    ));
}

/// Asks for an install while a disk is full, and leaves it alone for a while; gives the id, if it was acknowledged.
fn starve(trade: &mut Trade, page: &str) -> Option<String> {
    let request = json!({"project": "template", "action": "install", "env": "test", "trunk": true, "request_id": page});
    let begun = Instant::now();
    let mut id = None;
    while begun.elapsed() < STARVED {
        let port = trade.world.port;
        match &id {
            None => {
                let answer = ask(port, "POST", "/api/v1/transactions", &request.to_string());
                let answer = answer.unwrap();
                match answer.status {
                    200 => id = Some(word(&answer.json()["transaction"])),
                    // it refuses, and says why
                    503 => assert!(answer.body.contains("full"), "{}", answer.body),
                    status => panic!("{status}: {}", answer.body),
                }
            }
            Some(id) => {
                let status = word(&trade.world.get(&format!("transactions/{id}"))["status"]);
                if status.ends_with("_FAILED") || status == "INSTALL_COMPLETED" {
                    break;
                }
            }
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    id
}
