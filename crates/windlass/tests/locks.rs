//! Two deploys of the same hosts: one waits or is refused, and one that was held up too long does nothing more.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]

mod support;

use std::fs::File;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::shop::Shop;

/// A deploy in the background, its log in a file.
struct Deploy {
    child: Child,
    log: String,
}

impl Deploy {
    fn start(shop: &Shop, version: &str, more: &[&str]) -> Self {
        let (config, release) = (
            shop.at("windlass.yaml"),
            shop.at(&format!("releases/{version}")),
        );
        let mut arguments = vec!["--config", &config, "--directory", &release, "--verbose"];
        arguments.extend(more);
        Self::start_with(shop, version, &arguments)
    }

    /// Of a tasklist of one's own.
    fn start_tasklist(shop: &Shop, name: &str, more: &[&str]) -> Self {
        let tasklist = shop.at(&format!("{name}.json"));
        let mut arguments = vec!["--tasklist", &tasklist];
        arguments.extend(more);
        Self::start_with(shop, name, &arguments)
    }

    fn start_with(shop: &Shop, name: &str, arguments: &[&str]) -> Self {
        let log = shop.at(&format!("log-{name}"));
        let file = File::create(&log).unwrap();
        let mut command = shop.command("deploy", arguments);
        command
            .env("USER", "first")
            .stdout(Stdio::null())
            .stderr(file);
        Self {
            child: command.spawn().unwrap(),
            log,
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until its log holds this.
    fn until(&self, text: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        while !self.log().contains(text) {
            assert!(Instant::now() < end, "no {text:?} in {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn signal(&self, name: &str) {
        support::signal(self.child.id(), name);
    }

    /// Its exit status, and its log.
    fn end(mut self) -> (i32, String) {
        let status = self.child.wait().unwrap();
        (status.code().unwrap_or(-1), self.log())
    }
}

/// A shop that runs 1.0.0.
fn shop() -> Shop {
    let shop = Shop::up();
    shop.deploy("1.0.0").expect(0);
    shop
}

/// What `hosts unlock` shows when nothing is locked.
fn all_free(shop: &Shop) {
    let config = shop.at("windlass.yaml");
    let unlock = ["unlock", "app1", "app2", "app3", "--config", &config];
    let shown = shop.windlass("hosts", &unlock).expect(0).stdout;
    assert_eq!(shown, "app1: free\napp2: free\napp3: free\n");
}

/// The check of each host takes so many seconds.
fn slow_check(shop: &Shop, seconds: u32) {
    let path = shop.path().join("windlass.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let slow = text.replace(
        "check_command: ",
        &format!("check_command: sleep {seconds}; "),
    );
    assert_ne!(text, slow);
    std::fs::write(path, slow).unwrap();
}

#[test]
fn the_second_is_refused_or_waits() {
    let shop = shop();
    slow_check(&shop, 1);
    let first = Deploy::start(&shop, "2.0.0", &[]);
    first.until("Task 3.1.1");
    let refused = shop
        .with_release("deploy", "1.0.0", &["--redeploy"])
        .expect(2);
    let said = &refused.stderr;
    for part in [
        "app1, app2, app3 are locked by first@",
        ": run 20",
        ", since 20",
        "it expires in ",
        "`--wait SECONDS`",
        "`windlass hosts unlock app1 app2 app3`",
    ] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    assert!(!said.contains("Starting stage"), "{said}");
    let runs = shop.place.windlass(&["runs", "list", "--json"]).stdout;
    let runs: Value = serde_json::from_str(&runs).unwrap();
    assert_eq!(
        runs.as_array().unwrap().len(),
        2,
        "no run was begun: {runs}"
    );
    first.until("Task 3.1.7");
    // when it is planned, app2 and app3 run 1.0.0 still
    let waited = shop
        .with_release("deploy", "1.0.0", &["--wait", "60"])
        .expect(0);
    assert!(
        waited.stderr.contains("] waiting up to "),
        "{}",
        waited.stderr
    );
    assert!(
        waited.stderr.contains(": planning again"),
        "{}",
        waited.stderr
    );
    assert_eq!(first.end().0, 0);
    assert_eq!(shop.links(), ["1.0.0"; 3]);
    assert_eq!(shop.drained(), Vec::<String>::new());
    all_free(&shop);
}

#[test]
fn the_locks_of_a_dead_deploy_expire() {
    let shop = shop();
    let first = Deploy::start(&shop, "2.0.0", &["--lock-lease", "3"]);
    first.until("Task 3.1.2");
    first.signal("KILL");
    first.end();
    shop.with_release("deploy", "1.0.0", &["--redeploy"])
        .expect(2);
    let second = shop
        .with_release("deploy", "1.0.0", &["--redeploy", "--wait", "30"])
        .expect(0);
    let said = "taken over a lock that was not renewed: it was locked by first@";
    assert!(second.stderr.contains(said), "{}", second.stderr);
    assert_eq!(shop.links(), ["1.0.0"; 3]);
    assert_eq!(shop.drained(), Vec::<String>::new());
}

#[test]
fn a_deploy_that_was_stopped_for_too_long_does_nothing_more() {
    let shop = shop();
    let first = Deploy::start(&shop, "2.0.0", &["--lock-lease", "2"]);
    first.until("Task 3.1.2");
    first.signal("STOP");
    let second = shop
        .with_release("deploy", "1.0.0", &["--redeploy", "--wait", "30"])
        .expect(0);
    assert!(
        second.stderr.contains("taken over a lock"),
        "{}",
        second.stderr
    );
    let receipts = || {
        let of = |host| shop.names(host, "opt/webapps/.windlass/receipts/shop");
        support::shop::HOSTS.map(of)
    };
    let before = receipts();
    first.signal("CONT");
    let (status, log) = first.end();
    assert_eq!(status, 1, "{log}");
    assert!(log.contains("the lock of this run is lost, it is"), "{log}");
    assert_eq!(shop.links(), ["1.0.0"; 3], "{log}");
    assert_eq!(shop.drained(), Vec::<String>::new(), "{log}");
    assert_eq!(receipts(), before, "{log}");
    shop.wait_until_up(&[]);
    // what it had is not given back: it is free since the second ended
    shop.deploy("2.0.0").expect(0);
}

#[test]
fn nobody_takes_over_while_work_goes_on() {
    let shop = shop();
    slow_check(&shop, 7);
    let first = Deploy::start(&shop, "2.0.0", &["--lock-lease", "2"]);
    first.until("Task 3.1.5");
    std::thread::sleep(Duration::from_millis(500));
    first.signal("KILL");
    first.end();
    std::thread::sleep(Duration::from_secs(3));
    let config = shop.at("windlass.yaml");
    let refused = shop
        .with_release("deploy", "1.0.0", &["--redeploy"])
        .expect(2);
    assert!(
        refused.stderr.contains("; work of run 20"),
        "{}",
        refused.stderr
    );
    let unlock = |more: &[&str]| {
        let mut arguments = vec!["unlock", "app1", "--config", &config];
        arguments.extend(more);
        shop.windlass("hosts", &arguments)
    };
    let busy = unlock(&["--yes"]).expect(1);
    assert!(
        busy.stdout.contains("app1: locked by first@"),
        "{}",
        busy.stdout
    );
    assert!(
        busy.stderr.contains("--force unlocks all the same"),
        "{}",
        busy.stderr
    );
    let asked = unlock(&["--force"]).expect(2);
    assert!(
        asked.stderr.contains("nothing was changed"),
        "{}",
        asked.stderr
    );
    let unlocked = unlock(&["--force", "--yes"]).expect(0);
    assert!(
        unlocked.stdout.ends_with("app1: unlocked\n"),
        "{}",
        unlocked.stdout
    );
    assert!(unlock(&[]).expect(0).stdout.ends_with("app1: free\n"));
}

#[test]
fn a_run_that_goes_on_has_its_own_locks_at_once() {
    let shop = shop();
    let first = Deploy::start(&shop, "2.0.0", &[]);
    first.until("Task 3.1.2");
    first.signal("KILL");
    first.end();
    let run = shop.last_run()["id"].as_str().unwrap().to_owned();
    let config = shop.at("windlass.yaml");
    let resumed = shop.windlass("deploy", &["--resume", &run, "--config", &config]);
    let resumed = resumed.expect(0);
    assert!(!resumed.stderr.contains("waiting"), "{}", resumed.stderr);
    assert_eq!(shop.links(), ["2.0.0"; 3]);
    assert_eq!(shop.drained(), Vec::<String>::new());
    all_free(&shop);
}

/// A tasklist that locks two hosts and leaves a line for each of its jobs, which must not be done twice; some are sent along
/// with another.
fn witnesses(shop: &Shop, name: &str, jobs: usize) {
    let witness = shop.at("witness");
    let task = |n: usize, link: &str| {
        let run = format!("echo {name} {n}{link} >>{witness}; sleep 0.05");
        json!({"command": "execute_command", "remote_host": format!("app{}", n % 2 + 1), "run": run})
    };
    let jobs: Vec<Value> = (0..jobs)
        .map(|n| json!([task(n, "a"), task(n, "b")]))
        .collect();
    let list = json!({
        "name": name, "plan": {"locks": ["app1", "app2"]},
        "stages": [{"name": "Work", "concurrency": 2, "concurrency_per_host": 1, "tasks": jobs}]
    });
    std::fs::write(shop.path().join(format!("{name}.json")), list.to_string()).unwrap();
}

/// A file that every host's user may write to.
fn empty_witness(shop: &Shop) {
    use std::os::unix::fs::PermissionsExt;
    let path = shop.path().join("witness");
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
}

fn witness(shop: &Shop) -> Vec<String> {
    let text = std::fs::read_to_string(shop.path().join("witness")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn of_one_that_was_stopped_no_work_follows_a_takeover() {
    let shop = Shop::up();
    witnesses(&shop, "first", 40);
    witnesses(&shop, "second", 2);
    for stopped_at in [1, 6, 17] {
        empty_witness(&shop);
        let first = Deploy::start_tasklist(&shop, "first", &["--lock-lease", "2"]);
        let end = Instant::now() + Duration::from_secs(30);
        while witness(&shop).len() < stopped_at {
            assert!(Instant::now() < end, "{}", first.log());
            std::thread::sleep(Duration::from_millis(1));
        }
        first.signal("STOP");
        let tasklist = shop.at("second.json");
        let second = ["--tasklist", &tasklist, "--wait", "30"];
        let second = shop.windlass("deploy", &second).expect(0);
        assert!(
            second
                .stderr
                .contains("taken over a lock that was not renewed"),
            "{}",
            second.stderr
        );
        let before = witness(&shop);
        assert!(before.len() < 80, "{before:?}");
        first.signal("CONT");
        let (status, log) = first.end();
        assert_eq!(status, 1, "{log}");
        assert!(log.contains("the lock of this run is lost, "), "{log}");
        let after = witness(&shop);
        assert_eq!(after, before, "{log}");
        let takeover = after.iter().position(|line| line.starts_with("second"));
        let rest = &after[takeover.unwrap()..];
        assert_eq!(rest.len(), 4, "{after:?}");
        let mut once = after.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), after.len(), "nothing is done twice: {after:?}");
        all_free(&shop);
    }
}

#[test]
fn an_owner_that_was_not_shown_keeps_its_lock() {
    let shop = Shop::up();
    empty_witness(&shop);
    witnesses(&shop, "first", 40);
    witnesses(&shop, "second", 100);
    let first = Deploy::start_tasklist(&shop, "first", &["--lock-lease", "2"]);
    first.until("Task 1.2.1");
    first.signal("KILL");
    first.end();
    // a terminal, to be asked at
    let config = shop.at("windlass.yaml");
    let mut asked = shop.command("hosts", &["unlock", "app1", "--force", "--config", &config]);
    let line: Vec<String> = std::iter::once(asked.get_program())
        .chain(asked.get_args())
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    let shown = shop.at("shown");
    let mut terminal = Command::new("script");
    terminal
        .args(["-qfec", &line.join(" "), "/dev/null"])
        .envs(
            asked
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .current_dir(shop.place.path())
        .stdin(Stdio::piped())
        .stdout(File::create(&shown).unwrap());
    asked.stdin(Stdio::null());
    let mut terminal = terminal.spawn().unwrap();
    let shown = || std::fs::read_to_string(&shown).unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while !shown().contains("Write `yes`") {
        assert!(Instant::now() < end, "{}", shown());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(shown().contains("app1: locked by first@"), "{}", shown());
    // meanwhile it has expired, and another has it
    let second = Deploy::start_tasklist(&shop, "second", &["--wait", "30"]);
    second.until("Task 1.3.1");
    let mut keyboard = terminal.stdin.take().unwrap();
    keyboard.write_all(b"yes\n").unwrap();
    let status = terminal.wait().unwrap();
    assert_eq!(status.code(), Some(1), "{}", shown());
    assert!(
        shown().contains("app1: not unlocked, since it has changed meanwhile: locked by first@"),
        "{}",
        shown()
    );
    let (status, log) = second.end();
    assert_eq!(status, 0, "{log}");
    all_free(&shop);
}

#[test]
fn an_unlocked_run_stops() {
    let shop = shop();
    slow_check(&shop, 2);
    let first = Deploy::start(&shop, "2.0.0", &[]);
    first.until("Task 3.1.2");
    let config = shop.at("windlass.yaml");
    let unlock = ["unlock", "app1", "--config", &config, "--force", "--yes"];
    shop.windlass("hosts", &unlock).expect(0);
    let (status, log) = first.end();
    assert_eq!(status, 1, "{log}");
    assert!(
        log.contains("app1: the lock of this run is lost, "),
        "{log}"
    );
    assert_eq!(shop.link("app2"), "shop_1.0.0");
    // the locks that it had still were given back
    let unlock = ["unlock", "app2", "app3", "--config", &config];
    let shown = shop.windlass("hosts", &unlock).expect(0).stdout;
    assert_eq!(shown, "app2: free\napp3: free\n");
}
