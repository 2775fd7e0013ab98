//! Clocks an hour and a month off, either way: from the start, or set in the middle. Whoever looks at a clock that others may
//! set is found out here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use windlass_testkit::chaos::{Numbers, Trial};
use windlass_testkit::sshd::SshdOptions;

use crate::service::until;
use crate::small::{HOSTS, Small};
use crate::support::Ran;
use crate::trade::{Role, Trade};

/// Seconds that a clock is off.
const OFF: [i64; 4] = [3600, -3600, 30 * 86_400, -30 * 86_400];

/// How long a lease of the managers here lasts.
const LEASE: Duration = Duration::from_secs(5);

/// A clock that can be set: a file that libfaketime reads. Clocks that nobody sets, which count from the start of the machine,
/// stay as they are.
struct Clock {
    file: PathBuf,
    library: PathBuf,
}

impl Clock {
    /// A right one; none where libfaketime is not there.
    fn new(directory: &Path, name: &str) -> Option<Self> {
        let folders = fs::read_dir("/usr/lib").ok()?.flatten();
        let places = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
        let library = places.into_iter().find(|library| library.exists())?;
        let file = directory.join(format!("clock-{name}"));
        let clock = Self { file, library };
        clock.set(0);
        Some(clock)
    }

    /// Sets it so many seconds off.
    fn set(&self, off: i64) {
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{off:+}\n")).unwrap();
        fs::rename(new, &self.file).unwrap();
    }

    fn variables(&self) -> [(&'static str, String); 6] {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            ("DONT_FAKE_MONOTONIC", "1".into()),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DISABLE_SHM", "1".into()),
        ]
    }

    /// A command whose process has this clock.
    fn on(&self, mut command: Command) -> Command {
        command.envs(self.variables());
        command
    }
}

fn pick(numbers: &mut Numbers) -> i64 {
    *numbers.pick(&OFF).unwrap()
}

const NO_CLOCKS: &str = "skipped: libfaketime is not there (Debian: faketime)";

#[test]
fn clocks_of_services_change_nothing() {
    let trial = Trial::begin("clocks_of_services");
    let mut trade = Trade::new();
    let place = trade.world.path().to_owned();
    let clocks: Option<Vec<Clock>> = ["manager", "builder", "installer"]
        .iter()
        .map(|name| Clock::new(&place, name))
        .collect();
    let Some(clocks) = clocks else {
        return trial.say(NO_CLOCKS);
    };
    for (role, clock) in Role::ALL.iter().zip(&clocks) {
        trade.service(*role).start_as(|command| clock.on(command));
    }
    trade.up();
    trade.goes_well("first");
    // a manager that has only just started ends no lease at all
    std::thread::sleep(LEASE);
    let count = trial.count(3, 24);
    for n in 0..count {
        let mut numbers = trial.case(n);
        let (at, off) = ((n % 3) as usize, pick(&mut numbers));
        let is_midway = numbers.percent(60);
        let role = Role::ALL[at];
        let when = if is_midway { "in the middle" } else { "before" };
        trial.say(format_args!("{n}: {role:?} is set {off} s off, {when}"));
        if !is_midway {
            clocks[at].set(off);
        }
        // longer than a lease
        trade.pause("7");
        let id = trade.ask(&format!("{n}-off"));
        until("it begins", || (trade.witnessed(&id).0 > 0).then_some(()));
        clocks[at].set(off);
        let status = trade.end(&id);
        let story = trade.story(&id);
        assert_eq!(status, "INSTALL_COMPLETED", "{story}");
        trade.is_true(&id, &status);
        assert_eq!(trade.witnessed(&id), (1, 1));
        // nobody was thought dead on the way
        for wrong in ["queued again", "unknown", "goes on with it"] {
            assert!(!story.contains(wrong), "{wrong}:\n{story}");
        }
        trade.pause("0.1");
        clocks[at].set(0);
        trade.goes_well(&format!("{n}-right"));
    }
    trade.nothing_is_lost();
    trial.report(format_args!(
        "{count} installs that outlast their lease, with one of three clocks an hour or a month off, before or from the middle on: \
         all installed once, no lease ended, nothing was done again"
    ));
}

#[test]
fn clocks_that_are_set_back_keep_no_dead_agent_alive() {
    let trial = Trial::begin("clocks_set_back");
    let mut trade = Trade::new();
    let Some(clock) = Clock::new(trade.world.path(), "manager") else {
        return trial.say(NO_CLOCKS);
    };
    trade
        .service(Role::Manager)
        .start_as(|command| clock.on(command));
    trade.up();
    trade.goes_well("first");
    let count = trial.count(1, 6);
    for n in 0..count {
        let mut numbers = trial.case(n);
        let off = -pick(&mut numbers).abs();
        let is_restarted = n % 2 == 1;
        trial.say(format_args!(
            "{n}: set to {off} s, and restarted: {is_restarted}"
        ));
        trade.pause("60");
        let id = trade.ask(&format!("{n}-dead"));
        until("it begins", || (trade.witnessed(&id).0 > 0).then_some(()));
        trade.service(Role::Installer).kill();
        if is_restarted {
            trade.service(Role::Manager).kill();
        }
        clock.set(off);
        if is_restarted {
            trade
                .service(Role::Manager)
                .start_as(|command| clock.on(command));
        }
        let path = format!("transactions/{id}");
        until("the lease of the dead ends", || {
            (trade.world.get(&path)["status"] == "UNKNOWN").then_some(())
        });
        trade.pause("0.1");
        trade.is_true(&id, "UNKNOWN");
        trade.supervise();
        clock.set(0);
        trade.goes_well(&format!("{n}-after"));
    }
    trial.report(format_args!(
        "{count} installers killed while the manager's clock was set back: missed within a few leases, not in a month"
    ));
}

/// The hosts, their clock, and that of a client.
struct Skewed {
    small: Small,
    host: Clock,
    client: Clock,
}

impl Skewed {
    fn up() -> Option<Self> {
        let place = tempfile::Builder::new()
            .prefix("wl-clock-")
            .tempdir()
            .unwrap()
            .keep();
        let host = Clock::new(&place, "host")?;
        let variables = host.variables();
        let state = place.join("state");
        fs::create_dir(&state).unwrap();
        crate::support::site::open_to_all(&state);
        crate::support::site::open_to_all(&place);
        let mut set = format!("SetEnv XDG_STATE_HOME={}", state.display());
        for (name, value) in &variables {
            set.push_str(&format!(" {name}={value}"));
        }
        let mut small = Small::with(&SshdOptions::default().line(&set));
        small.state = state;
        let client = Clock::new(&place, "client")?;
        Some(Self {
            small,
            host,
            client,
        })
    }
}

impl Drop for Skewed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.host.file.parent().unwrap());
    }
}

#[test]
fn clocks_of_a_deploy_change_nothing() {
    let trial = Trial::begin("clocks_of_a_deploy");
    let Some(skewed) = Skewed::up() else {
        return trial.say(NO_CLOCKS);
    };
    let Skewed {
        small,
        host,
        client,
    } = &skewed;
    let (mut refused, count) = (0, trial.count(4, 40));
    for n in 0..count {
        let mut numbers = trial.case(n);
        let (off, is_host) = (pick(&mut numbers), numbers.percent(50));
        let is_midway = numbers.percent(60);
        let (clock, whose) = if is_host {
            (host, "host")
        } else {
            (client, "client")
        };
        trial.say(format_args!(
            "{n}: the {whose}'s clock is {off} s off, midway: {is_midway}"
        ));
        let version = format!("1.0.{n}");
        small.make(&version);
        if !is_midway {
            clock.set(off);
        }
        // longer than the lease of its locks
        small.pause("4");
        let mut deploy = client.on(small.deploy(&version));
        let deploy = deploy.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let deploy = deploy.unwrap();
        until("it begins", || {
            let begun = HOSTS.iter().all(|host| small.done(host, &version).0 > 0);
            begun.then_some(())
        });
        clock.set(off);
        // somebody with a clock of their own does not take over from the living
        let tasklist = format!("tasks-{version}.json");
        let mut other = client.on(small.site.command(&["deploy", "--tasklist", &tasklist]));
        other.env("XDG_STATE_HOME", small.at(".other"));
        for _ in 0..2 {
            let other = Ran::of(other.output().unwrap());
            assert!(other.stderr.contains("locked by"), "{}", other.stderr);
            refused += usize::from(other.status == 2);
        }
        Ran::of(deploy.wait_with_output().unwrap()).expect(0);
        small.is_well(&version);
        small.pause("0.1");
        clock.set(0);
        // what was left last is what counts, whatever the time on it
        let next = format!("1.1.{n}");
        small.make(&next);
        Ran::of(client.on(small.deploy(&next)).output().unwrap()).expect(0);
        small.is_well(&next);
        let runs = small.runs();
        let last = small.shown(runs.last().unwrap()).unwrap();
        assert_eq!(last["state"], "succeeded", "{last}");
        let tasklist = small.at(".state/windlass/runs").join(runs.last().unwrap());
        let text = fs::read_to_string(tasklist.join("tasklist.json")).unwrap();
        assert!(text.contains(&next), "the last run is not the newest");
    }
    assert_eq!(refused as u64, 2 * count, "a living lock was taken over");
    trial.report(format_args!(
        "{count} deploys that outlast the lease of their locks, the clock of a client or of its hosts an hour or a month off, before or \
         from the middle on: all well, {refused} others refused meanwhile, the last receipt and the last run are the newest"
    ));
}
