//! What is where and the way back, on the example `rolling`: three sshd with a service under runit each, behind HAProxy.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]
#![allow(clippy::panic, reason = "the functions that tests share are tests")]

mod support;

use std::fs;
use std::ops::Deref;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::Ran;
use support::shop::Shop;

/// The example, and what is asked of it here.
struct Demo(Shop);

impl Deref for Demo {
    type Target = Shop;

    fn deref(&self) -> &Shop {
        &self.0
    }
}

impl Demo {
    fn up() -> Self {
        Self(Shop::up())
    }

    /// A verb with the example's config.
    fn asked(&self, arguments: &[&str]) -> Command {
        let (verb, more) = arguments.split_first().unwrap();
        let mut command = self.command(verb, more);
        command.arg("--config").arg(self.at("windlass.yaml"));
        command
    }

    fn ask(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.asked(arguments).output().unwrap())
    }

    /// From a machine that never deployed.
    fn elsewhere(&self, arguments: &[&str]) -> Ran {
        let mut command = self.asked(arguments);
        command
            .env("XDG_STATE_HOME", self.place.path().join(".elsewhere"))
            .env("USER", "night");
        Ran::of(command.output().unwrap())
    }

    /// What `where --json` says, by host.
    fn rows(&self) -> Vec<Value> {
        let ran = self.elsewhere(&["where", "--json"]).expect(0);
        serde_json::from_str(&ran.stdout).unwrap()
    }

    /// One key of every row.
    fn each(&self, key: &str) -> Vec<Value> {
        self.rows().iter().map(|row| row[key].clone()).collect()
    }

    fn releases(&self) -> Vec<Value> {
        self.each("release")
    }

    fn webapps(&self, host: &str) -> PathBuf {
        self.path().join(format!("hosts/{host}/opt/webapps"))
    }

    /// The runs that were started here, the newest last.
    fn runs(&self) -> Vec<Value> {
        let ran = self.place.windlass(&["runs", "list", "--json"]).expect(0);
        serde_json::from_str(&ran.stdout).unwrap()
    }

    /// The id of the newest of them.
    fn newest(&self) -> String {
        let run = self.last_run();
        run["id"].as_str().unwrap().to_owned()
    }

    /// A release that answers every request with status 500.
    fn make_broken(&self, version: &str) {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/rolling");
        let mut make = Command::new(example.join("make-release"));
        make.arg(self.path()).args([version, "--broken"]);
        assert!(make.output().unwrap().status.success());
    }

    /// From here on the check of a host does not pass for a version.
    fn spoil(&self, host: &str, version: &str) {
        let health = self.path().join(format!("hosts/{host}/bin/health"));
        let text = fs::read_to_string(&health).unwrap();
        let link = self.webapps(host).join("shop");
        let spoilt = format!(
            "#!/bin/sh\ncase $(readlink {}) in *_{version}) echo spoilt >&2; exit 1 ;; esac\n",
            link.display()
        );
        fs::write(health, text.replacen("#!/bin/sh\n", &spoilt, 1)).unwrap();
    }
}

#[test]
fn what_changed_two_hosts_and_failed_on_the_third_goes_back() {
    let demo = Demo::up();
    assert_eq!(
        demo.releases(),
        vec![Value::Null; 3],
        "nothing is there yet"
    );
    demo.deploy("1.0.0").expect(0);
    let first = demo.newest();
    for row in demo.rows() {
        assert_eq!(row["release"], "1.0.0");
        assert_eq!(row["run"], first.as_str());
        assert!(row["by"].as_str().unwrap().starts_with("tester@"), "{row}");
        assert_eq!(
            [
                &row["healthy"],
                &row["behind"],
                &row["result"],
                &row["reachable"],
                &row["owed"]
            ],
            [
                &json!(true),
                &json!(false),
                &json!("succeeded"),
                &json!(true),
                &json!([])
            ]
        );
        assert!(row["since"].as_str().unwrap().ends_with('Z'), "{row}");
    }

    demo.spoil("app3", "2.0.0");
    demo.deploy("2.0.0").expect(1);
    let second = demo.newest();
    assert_eq!(demo.releases(), ["2.0.0"; 3]);
    assert_eq!(demo.each("result"), ["succeeded", "succeeded", "failed"]);
    assert_eq!(demo.each("healthy"), [true, true, false]);
    assert_eq!(demo.each("owed")[2], json!(["drained web/app3"]));
    let table = demo.elsewhere(&["where", "shop", "--hosts", "app2", "app3"]);
    let table = table.expect(0).stdout;
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(
        table.contains("NO") && table.contains("owed: drained web/app3"),
        "{table}"
    );

    let show = demo.elsewhere(&["rollback", "--show"]).expect(0);
    let (what, how) = show.stdout.split_once("\n\n").unwrap();
    insta::assert_snapshot!(demo.normal(what));
    for there in [
        "# Stage 1: Roll back shop",
        "disable_loadbalancer on app3",
        "check_service on app1",
    ] {
        assert!(how.contains(there), "{there}: {how}");
    }
    for absent in ["upload", "unpack", "movefile", "cleanup"] {
        assert!(!how.contains(absent), "{absent}: {how}");
    }
    assert_eq!(demo.releases(), ["2.0.0"; 3], "--show touches nothing");

    demo.elsewhere(&["rollback"]).expect(0);
    assert_eq!(demo.releases(), ["1.0.0"; 3]);
    assert_eq!(demo.each("healthy"), [true; 3]);
    assert_eq!(demo.each("owed"), vec![json!([]); 3]);
    assert_eq!(demo.drained(), [""; 0]);
    for row in demo.rows() {
        assert!(row["by"].as_str().unwrap().starts_with("night@"), "{row}");
    }

    let twice = demo.elsewhere(&["rollback"]).expect(2);
    assert!(
        twice.stderr.contains("was itself a rollback"),
        "{}",
        twice.stderr
    );
    let several = demo.elsewhere(&["rollback", "2"]).expect(2);
    assert!(
        several.stderr.contains("3 runs begin with `2`") && several.stderr.contains(&second),
        "{}",
        several.stderr
    );
    // The beginning of an id is enough, on a machine too that has never heard of the run.
    let beginning = &second[..second.len() - 2];
    let named = demo.elsewhere(&["rollback", beginning]).expect(0);
    let nothing = format!("nothing to do: run {second} stands nowhere any more");
    assert!(named.stderr.contains(&nothing), "{}", named.stderr);
    // The first run is the last one that stands again; before it there was nothing.
    let back = demo.elsewhere(&["rollback", &first]).expect(2);
    assert!(
        back.stderr.contains("nothing ran well there before"),
        "{}",
        back.stderr
    );
    let none = demo
        .elsewhere(&["rollback", "20200101-000000-abcdef"])
        .expect(2);
    assert!(
        none.stderr.contains("no host of the config tells of run"),
        "{}",
        none.stderr
    );
    assert_eq!(demo.releases(), ["1.0.0"; 3]);
}

#[test]
fn what_somebody_has_changed_since_is_left_alone() {
    let demo = Demo::up();
    demo.deploy("1.0.0").expect(0);
    demo.deploy("2.0.0").expect(0);
    let run = demo.newest();
    demo.make_release("2.1.0");
    let release = demo.path().join("releases/2.1.0");
    let release = release.to_str().unwrap();
    demo.elsewhere(&["deploy", "--directory", release, "--hosts", "app2"])
        .expect(0);
    assert_eq!(demo.releases(), ["2.0.0", "2.1.0", "2.0.0"]);
    assert_eq!(demo.each("behind"), [true, false, true]);

    let back = demo.ask(&["rollback", &run]).expect(0);
    assert!(
        back.stderr.contains("changed since, by night@"),
        "{}",
        back.stderr
    );
    assert_eq!(demo.releases(), ["1.0.0", "2.1.0", "1.0.0"]);
    assert_eq!(demo.each("healthy"), [true; 3]);

    // A link that somebody has moved by hand.
    demo.deploy("2.0.0").expect(0);
    let link = demo.webapps("app1").join("shop");
    fs::remove_file(&link).unwrap();
    symlink("shop_1.0.0", &link).unwrap();
    let back = demo.ask(&["rollback", "--hosts", "app1"]).expect(2);
    assert!(
        back.stderr.contains("of which no receipt tells"),
        "{}",
        back.stderr
    );

    // A host that does not answer, and a run that may have changed it.
    let pid = fs::read_to_string(demo.path().join("pids/sshd-app3")).unwrap();
    let ended = Command::new("kill").arg(pid.trim()).status().unwrap();
    assert!(ended.success());
    assert_eq!(demo.each("reachable"), [true, true, false]);
    let back = demo.elsewhere(&["rollback"]).expect(2);
    assert!(back.stderr.contains("--without app3"), "{}", back.stderr);
    assert_eq!(demo.releases()[1], "2.0.0", "nothing was begun");
    demo.elsewhere(&["rollback", "--without", "app3"]).expect(0);
    assert_eq!(demo.releases()[1], "2.1.0");
    let alone = demo.elsewhere(&["where", "--hosts", "app3"]).expect(1);
    assert!(alone.stdout.contains("UNREACHABLE"), "{}", alone.stdout);
}

#[test]
fn a_run_that_was_killed_goes_back_where_it_was_begun() {
    let demo = Demo::up();
    demo.deploy("1.0.0").expect(0);
    demo.spoil("app2", "2.0.0");
    demo.edit_config("control_timeout: 3", "control_timeout: 60");
    let release = demo.path().join("releases/2.0.0");
    let mut deploy = demo.asked(&["deploy", "--directory", release.to_str().unwrap()]);
    deploy.stderr(std::process::Stdio::null());
    let mut deploy = deploy.spawn().unwrap();
    // It waits for the check that never passes.
    let end = Instant::now() + Duration::from_secs(30);
    while fs::read_link(demo.webapps("app2").join("shop")).unwrap() != Path::new("shop_2.0.0") {
        assert!(Instant::now() < end, "it did not come to app2");
        std::thread::sleep(Duration::from_millis(50));
    }
    deploy.kill().unwrap();
    deploy.wait().unwrap();
    let run = demo.newest();
    assert_eq!(demo.releases(), ["2.0.0", "2.0.0", "1.0.0"]);

    // Elsewhere nobody knows what the run had begun; what does not work is named.
    let show = demo.elsewhere(&["rollback", "--show"]).expect(0);
    assert!(
        show.stdout.contains("left alone: it does not pass"),
        "{}",
        show.stdout
    );
    // The restart that came with the link may still go on: nothing is taken over beside it.
    let back = demo.ask(&["rollback", "--wait", "60"]).expect(0);
    assert!(back.stderr.contains(&run), "{}", back.stderr);
    assert_eq!(demo.releases(), ["1.0.0"; 3]);
    assert_eq!(demo.each("healthy"), [true; 3]);
    assert_eq!(demo.drained(), [""; 0]);
}

#[test]
fn a_failed_deploy_goes_back_by_itself_where_the_config_says_so() {
    let demo = Demo::up();
    demo.edit_config(
        "platform: rolling\n",
        "platform: rolling\non_failure: rollback\n",
    );
    demo.deploy("1.0.0").expect(0);
    demo.spoil("app2", "2.0.0");
    let failed = demo.deploy("2.0.0").expect(1);
    assert!(
        failed.stderr.contains("on_failure: rollback"),
        "{}",
        failed.stderr
    );
    assert!(
        failed.stderr.contains("was rolled back"),
        "{}",
        failed.stderr
    );
    assert_eq!(demo.releases(), ["1.0.0"; 3]);
    assert_eq!(demo.each("healthy"), [true; 3]);
    assert_eq!(demo.drained(), [""; 0]);
    let states: Vec<Value> = demo.runs().iter().map(|run| run["state"].clone()).collect();
    assert_eq!(states, ["succeeded", "failed", "succeeded"]);

    demo.edit_config("on_failure: rollback", "on_failure: rolback");
    let wrong = demo.ask(&["where"]).expect(2);
    assert!(
        wrong.stderr.contains("did you mean `rollback`?"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn good_releases_outlive_bad_ones_and_the_way_back_stays_open() {
    let demo = Demo::up();
    demo.deploy("1.0.0").expect(0);
    demo.deploy("2.0.0").expect(0);
    for n in 1..=5 {
        let version = format!("3.{n}.0");
        demo.make_broken(&version);
        demo.deploy(&version).expect(1);
    }
    let names = demo.names("app1", "opt/webapps");
    for good in ["shop_1.0.0", "shop_2.0.0"] {
        assert!(names.iter().any(|name| name == good), "{names:?}");
    }

    // Nothing is begun when the release to go back to is gone.
    let (there, away) = (
        demo.webapps("app1").join("shop_2.0.0"),
        demo.place.path().join("away"),
    );
    fs::rename(&there, &away).unwrap();
    let gone = demo.ask(&["rollback"]).expect(2);
    assert!(
        gone.stderr.contains("the release is gone"),
        "{}",
        gone.stderr
    );
    fs::rename(&away, &there).unwrap();
    demo.ask(&["rollback"]).expect(0);
    assert_eq!(demo.releases(), ["2.0.0"; 3]);
    assert_eq!(demo.drained(), [""; 0]);

    demo.edit_config("keep_versions: 2", "keep_versions: 1");
    demo.make_release("4.0.0");
    demo.deploy("4.0.0").expect(0);
    assert_eq!(
        demo.names("app1", "opt/webapps"),
        ["shop", "shop_2.0.0", "shop_4.0.0"]
    );

    // Across a migration only when told.
    demo.edit_config(
        "    hosts: [app]\n",
        "    hosts: [app]\n    migration_command: \"true\"\n",
    );
    demo.make_release("5.0.0");
    demo.deploy("5.0.0").expect(0);
    let refused = demo.ask(&["rollback"]).expect(2);
    assert!(
        refused.stderr.contains("across the migration of 5.0.0"),
        "{}",
        refused.stderr
    );
    let shown = demo.ask(&["rollback", "--show"]).expect(2);
    assert!(shown.stdout.contains("5.0.0 -> 4.0.0"), "{}", shown.stdout);
    assert_eq!(demo.releases(), ["5.0.0"; 3]);
    demo.edit_config(
        "    migration_command: \"true\"\n",
        "    migration_command: \"true\"\n    migration_path: migrations\n",
    );
    demo.ask(&["rollback", "--show"]).expect(0);
    demo.edit_config("migration_path: migrations", "migration_path: bin");
    demo.ask(&["rollback", "--show"]).expect(2);
    demo.ask(&["rollback", "--across-migrations"]).expect(0);
    assert_eq!(demo.releases(), ["4.0.0"; 3]);
}
