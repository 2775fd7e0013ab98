//! The deploying Windlass is killed in the middle of a deploy under load, at moments spread over all of it, and gone on with.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use windlass_testkit::chaos::{Times, Trial};

use crate::support::Ran;
use crate::support::shop::{HOSTS, Shop};

/// When Windlass is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So long after it was started.
    After(Duration),
    /// When so many lines of the journal are written.
    Line(usize),
}

/// A shop whose releases come with a migration that must be done once, and takes its time.
fn shop() -> Shop {
    let shop = Shop::up();
    let witness = witness(&shop);
    let migration = format!("echo {{version}} >>{}; sleep 0.4", witness.display());
    let check = "    check_command:";
    shop.edit_config(
        check,
        &format!("    migration_command: \"{migration}\"\n{check}"),
    );
    shop
}

fn witness(shop: &Shop) -> PathBuf {
    shop.path().join("hosts/app1/migrated")
}

/// How often the migration to this version was done.
fn migrations(shop: &Shop, version: &str) -> usize {
    let text = fs::read_to_string(witness(shop)).unwrap_or_default();
    text.lines().filter(|line| *line == version).count()
}

fn start(shop: &Shop, version: &str) -> Child {
    let (config, release) = (
        shop.at("windlass.yaml"),
        shop.at(&format!("releases/{version}")),
    );
    let log = File::create(shop.at(&format!("log-{version}"))).unwrap();
    // a run that is killed before its journal begins leaves a lock that nobody can take up
    let arguments = [
        "--config",
        &config,
        "--directory",
        &release,
        "--verbose",
        "--lock-lease",
        "5",
    ];
    let mut command = shop.command("deploy", &arguments);
    command.stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

/// The runs that have a journal, the newest last.
fn runs(shop: &Shop) -> Vec<PathBuf> {
    let runs = fs::read_dir(shop.place.path().join(".state/windlass/runs"));
    let mut runs: Vec<PathBuf> = runs
        .into_iter()
        .flatten()
        .flatten()
        .map(|run| run.path())
        .collect();
    runs.retain(|run| run.join("journal.jsonl").exists());
    runs.sort();
    runs
}

fn lines(run: &Path) -> usize {
    let text = fs::read(run.join("journal.jsonl")).unwrap_or_default();
    text.iter().filter(|byte| **byte == b'\n').count()
}

/// Starts a deploy and kills it; the run, if one had begun, and whether it was killed before its end.
fn killed(shop: &Shop, version: &str, moment: Moment) -> (Option<String>, bool) {
    let before = runs(shop).len();
    let begun = Instant::now();
    let mut child = start(shop, version);
    let is_due = || match moment {
        Moment::After(time) => begun.elapsed() >= time,
        Moment::Line(count) => runs(shop)
            .get(before)
            .is_some_and(|run| lines(run) >= count),
    };
    while !is_due() && child.try_wait().unwrap().is_none() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{moment:?} does not come"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    let was_running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    let run = runs(shop)
        .get(before)
        .map(|run| run.file_name().unwrap().to_str().unwrap().to_owned());
    (run, was_running)
}

fn shown(shop: &Shop, verb: &str) -> Value {
    let config = shop.at("windlass.yaml");
    let ran = match verb {
        "where" => shop.windlass("where", &["--config", &config, "--json"]),
        _ => shop.place.windlass(&["runs", "show", "--json"]),
    };
    serde_json::from_str(&ran.expect(0).stdout).unwrap()
}

/// What `where` says is what is there.
fn where_tells_the_truth(shop: &Shop) {
    let found = shown(shop, "where");
    for row in found.as_array().unwrap() {
        let host = row["host"].as_str().unwrap();
        let link = shop.link(host).replace("shop_", "");
        assert_eq!(row["release"], link, "{row}");
        let health = shop.health(host);
        // one that starts or stops just now may have answered otherwise
        if health != shop.health(host) {
            continue;
        }
        assert_eq!(row["healthy"], health.starts_with("200"), "{row} {health}");
    }
}

/// What `runs show` says of a run that was cut off is what is there.
fn show_tells_the_truth(shop: &Shop, version: &str) {
    let run = shown(shop, "runs");
    assert_eq!(run["state"], "cut off", "{run}");
    assert!(run["next"].as_str().unwrap().contains("--resume"), "{run}");
    let owed = run["owed"].to_string();
    for host in shop.drained() {
        assert!(
            owed.contains(&format!("drained web/{host}")),
            "{host} is drained: {run}"
        );
    }
    let outcome = |command: &str, host: &str| {
        let mut tasks = run["tasks"].as_array().unwrap().iter();
        let task = tasks.find(|task| task["command"] == command && task["host"] == host);
        task.map(|task| task["outcome"].as_str().unwrap().to_owned())
    };
    for host in HOSTS {
        let is_linked = shop.link(host) == format!("shop_{version}");
        match outcome("symlink", host).as_deref() {
            Some("changed") => assert!(is_linked, "{host} is not linked: {run}"),
            Some("not begun") => assert!(!is_linked, "{host} is linked: {run}"),
            _ => {}
        }
    }
    match outcome("dbmigration", "app1").as_deref() {
        Some("changed") => assert_eq!(migrations(shop, version), 1, "{run}"),
        Some("not begun") => assert_eq!(migrations(shop, version), 0, "{run}"),
        _ => {}
    }
}

/// Goes on with a run until it is done. How often it had to be told what came of a task.
fn resumed(shop: &Shop, run: &str) -> usize {
    let mut told: Vec<String> = Vec::new();
    for asked in 0..5 {
        let mut arguments = vec!["--resume", run, "--verbose"];
        arguments.extend(told.iter().map(String::as_str));
        let ran = shop.windlass("deploy", &arguments);
        if ran.status != 4 {
            ran.expect(0);
            return asked;
        }
        let show = shown(shop, "runs");
        told = asks(&show, &ran);
    }
    panic!("it goes on asking");
}

/// Nothing here is harmed by being done again but the migration, of which the witness tells.
fn asks(show: &Value, ran: &Ran) -> Vec<String> {
    let unknown = show["unknown"].as_array().unwrap();
    assert!(!unknown.is_empty(), "{show}\n{}", ran.stderr);
    let mut told = Vec::new();
    for task in unknown {
        let id = task["id"].as_str().unwrap();
        told.extend(["--run-again".to_owned(), id.to_owned()]);
    }
    told
}

/// All of it runs the version, nothing is owed, locked or drained, and the migration was done once.
fn all_is_well(shop: &Shop, version: &str) {
    shop.wait_until_up(&[]);
    assert_eq!(shop.links(), [version; 3]);
    assert_eq!(shop.drained(), [""; 0]);
    let found = shown(shop, "where");
    for row in found.as_array().unwrap() {
        assert_eq!(
            (
                &row["release"],
                &row["healthy"],
                &row["owed"],
                &row["behind"],
                &row["result"]
            ),
            (
                &version.into(),
                &true.into(),
                &Value::Array(vec![]),
                &false.into(),
                &"succeeded".into()
            ),
            "{row}"
        );
    }
    assert_eq!(found.as_array().unwrap().len(), 3);
    assert_eq!(
        migrations(shop, version),
        1,
        "the migration was not done once"
    );
    let config = shop.at("windlass.yaml");
    let mut arguments = vec!["unlock", "--config", config.as_str()];
    arguments.extend(HOSTS);
    let locks = shop.windlass("hosts", &arguments).expect(0).stdout;
    assert_eq!(locks, "app1: free\napp2: free\napp3: free\n");
    for host in HOSTS {
        let kept = shop
            .path()
            .join(format!("hosts/{host}/state/windlass/kept"));
        let kept: Vec<_> = fs::read_dir(kept).into_iter().flatten().flatten().collect();
        assert!(kept.is_empty(), "{kept:?}");
    }
}

/// What came of the kills.
#[derive(Default)]
struct Tally {
    cut: u64,
    unbegun: u64,
    asked: usize,
    recovery: Times,
}

#[test]
fn kills_of_deploys_are_gone_on_with() {
    let trial = Trial::begin("kills_of_deploys");
    let count = trial.count(3, 150);
    let shop = shop();
    shop.deploy("1.0.0").expect(0);
    shop.wait_until_up(&[]);
    let begun = Instant::now();
    assert!(start(&shop, "2.0.0").wait().unwrap().success());
    let (whole, all_lines) = (begun.elapsed(), lines(runs(&shop).last().unwrap()));
    all_is_well(&shop, "2.0.0");
    trial.say(format_args!(
        "a deploy takes {:.1} s and {all_lines} lines",
        whole.as_secs_f64()
    ));

    let mut tally = Tally::default();
    let load = shop.load(100, "/");
    for n in 0..count {
        let mut numbers = trial.case(n);
        let version = format!("2.0.{}", n + 1);
        shop.make_release(&version);
        let part = (n as f64 + numbers.part()) / count as f64;
        let moment = match n % 2 {
            0 => Moment::After(whole.mul_f64(part)),
            _ => Moment::Line((part * all_lines as f64) as usize),
        };
        trial.say(format_args!("case {n}: {version} {moment:?}"));
        kill_one(&shop, &version, moment, &mut tally);
    }
    let load = load.end();
    let Tally {
        cut,
        unbegun,
        asked,
        recovery,
    } = tally;
    trial.report(format_args!(
        "{count} kills of the deploying Windlass: {cut} runs were cut off and gone on with, {unbegun} had not begun; \
         0 migrations done twice or lost, 0 hosts half-deployed, {asked} times it had to be told what came of a task; \
         {} requests meanwhile, none failed",
        load["sent"]
    ));
    trial.report(format_args!(
        "from going on with it until it was done: {recovery}"
    ));
    assert!(cut * 2 >= count, "too few runs were cut off");
}

/// Kills a deploy, looks what is told of it, and goes on with it.
fn kill_one(shop: &Shop, version: &str, moment: Moment, tally: &mut Tally) {
    let (run, was_running) = killed(shop, version, moment);
    where_tells_the_truth(shop);
    match run {
        Some(_) if shown(shop, "runs")["state"] == "not begun" => again(shop, version, tally),
        Some(run) if was_running && shown(shop, "runs")["state"] != "succeeded" => {
            tally.cut += 1;
            show_tells_the_truth(shop, version);
            let begun = Instant::now();
            tally.asked += resumed(shop, &run);
            tally.recovery.add(begun.elapsed());
        }
        Some(_) => {}
        None => again(shop, version, tally),
    }
    all_is_well(shop, version);
}

/// Deploys again what had not begun. Its lock, if it got that far, expires.
fn again(shop: &Shop, version: &str, tally: &mut Tally) {
    tally.unbegun += 1;
    let begun = Instant::now();
    shop.with_release("deploy", version, &["--wait", "30"])
        .expect(0);
    tally.recovery.add(begun.elapsed());
}
