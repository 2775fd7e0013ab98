//! The main job on real input: the example `rolling`, three sshd with a service under runit each, behind HAProxy.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]

mod support;

use serde_json::Value;
use support::shop::{HOSTS, Shop};

/// The tasks of a run that came to this outcome, as `command on host`.
fn tasks(run: &Value, outcome: &str) -> Vec<String> {
    let tasks = run["tasks"].as_array().unwrap().iter();
    tasks
        .filter(|task| task["outcome"] == outcome)
        .map(|task| {
            let word = |key: &str| task[key].as_str().unwrap();
            format!("{} on {}", word("command"), word("host"))
        })
        .collect()
}

#[test]
fn releases_roll_out_without_one_failed_request() {
    let shop = Shop::up();
    shop.deploy("1.0.0").expect(0);
    shop.wait_until_up(&[]);

    let (load, slow) = (shop.load(150, "/"), shop.load(5, "/slow"));
    shop.deploy("2.0.0").expect(0);
    assert_eq!(shop.links(), ["2.0.0"; 3]);
    assert_eq!(HOSTS.map(|host| shop.health(host)), ["200 ok 2.0.0"; 3]);
    assert_eq!(slow.end()["failed"], 0);
    let load = load.end();
    assert!(load["rate"].as_f64().unwrap() >= 100.0, "{load}");
    for version in ["1.0.0", "2.0.0"] {
        assert!(load["by_version"][version].as_u64() > Some(0), "{load}");
    }
    for host in HOSTS {
        assert!(load["by_host"][host].as_u64() > Some(0), "{load}");
    }

    let again = shop.deploy("2.0.0").expect(0);
    assert!(again.stderr.contains("Nothing to do"), "{}", again.stderr);

    // keep_versions is 2
    for version in ["2.1.0", "2.2.0"] {
        shop.make_release(version);
        shop.deploy(version).expect(0);
    }
    for host in HOSTS {
        assert_eq!(shop.link(host), "shop_2.2.0");
        assert_eq!(shop.health(host), "200 ok 2.2.0");
        let releases = shop.names(host, "opt/webapps");
        assert_eq!(releases, ["shop", "shop_2.1.0", "shop_2.2.0"], "{host}");
        let tarballs = shop.names(host, "opt/tarballs");
        assert_eq!(tarballs, ["shop_2.1.0.tar.gz", "shop_2.2.0.tar.gz"]);
    }
}

#[test]
fn a_broken_release_stops_at_the_first_host_and_the_next_deploy_heals_it() {
    let shop = Shop::up();
    shop.deploy("2.0.0").expect(0);
    shop.wait_until_up(&[]);

    let load = shop.load(100, "/");
    let broken = shop.deploy("3.0.0").expect(1);
    insta::assert_snapshot!(digest_of(&shop, &broken.stderr));
    assert_eq!(shop.drained(), ["app1"]);
    shop.wait_until_up(&["app1"]);
    assert_eq!(shop.links(), ["3.0.0", "2.0.0", "2.0.0"]);
    for host in ["app2", "app3"] {
        assert_eq!(shop.health(host), "200 ok 2.0.0");
    }
    let run = shop.last_run();
    assert_eq!(run["state"], "failed");
    assert_eq!(run["owed"], serde_json::json!(["drained web/app1"]));
    assert_eq!(tasks(&run, "failed"), ["check_service on app1"]);
    let deployed: Vec<String> = tasks(&run, "changed")
        .into_iter()
        .filter(|task| !task.starts_with("up") && !task.starts_with("createdirectory"))
        .filter(|task| !task.starts_with("unpack"))
        .collect();
    assert_eq!(
        deployed,
        [
            "disable_loadbalancer on app1",
            "stop_service on app1",
            "movefile on app1",
            "symlink on app1",
            "start_service on app1",
        ]
    );

    shop.deploy("2.0.0").expect(0);
    shop.wait_until_up(&[]);
    assert_eq!(shop.links(), ["2.0.0"; 3]);
    assert_eq!(HOSTS.map(|host| shop.health(host)), ["200 ok 2.0.0"; 3]);
    assert_eq!(shop.drained(), [""; 0]);
    let run = shop.last_run();
    assert_eq!(run["owed"], serde_json::json!([]));
    let touched = tasks(&run, "changed");
    // what the failed one had unpacked on hosts that are passed over goes
    let elsewhere: Vec<&String> = touched
        .iter()
        .filter(|task| !task.ends_with("on app1"))
        .collect();
    assert_eq!(elsewhere, ["removefile on app2", "removefile on app3"]);

    // the hosts that went on serving were asked all the while
    let load = load.end();
    assert!(load["rate"].as_f64().unwrap() >= 90.0, "{load}");
    assert_eq!(load["by_version"].as_object().unwrap().len(), 1, "{load}");
}

/// The digest: what follows the last line of the log. How often a check was asked depends on the time that it took.
fn digest_of(shop: &Shop, stderr: &str) -> String {
    let text = shop.normal(stderr);
    let lines = text.lines().skip_while(|line| !line.starts_with("FAILED"));
    let lines = lines.map(|line| match line.strip_prefix("    | ... (") {
        Some(rest) if rest.ends_with(" more times)") => "    | ... (SOME more times)",
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_saved_plan_is_what_runs() {
    let shop = Shop::up();
    let saved = shop.at("plan.json");
    shop.with_release("plan", "1.0.0", &["--save", &saved])
        .expect(0);
    let text = std::fs::read_to_string(&saved).unwrap();
    assert!(!text.contains("2.0.0"));
    // neither the config nor a newer release matters any more
    std::fs::remove_file(shop.path().join("windlass.yaml")).unwrap();
    shop.windlass("deploy", &["--tasklist", &saved]).expect(0);
    assert_eq!(shop.links(), ["1.0.0"; 3]);

    let planned: Value = serde_json::from_str(&text).unwrap();
    let mut wanted = Vec::new();
    for (s, stage) in planned["stages"].as_array().unwrap().iter().enumerate() {
        for (j, job) in stage["tasks"].as_array().unwrap().iter().enumerate() {
            let chain = job.as_array().cloned().unwrap_or_else(|| vec![job.clone()]);
            for (t, task) in chain.iter().enumerate() {
                let id = format!("{}.{}.{}", s + 1, j + 1, t + 1);
                let word = |key: &str| task[key].as_str().unwrap_or("local").to_owned();
                wanted.push((id, word("command"), word("remote_host")));
            }
        }
    }
    let run = shop.last_run();
    let mut ran = Vec::new();
    for task in run["tasks"].as_array().unwrap() {
        let word = |key: &str| task[key].as_str().unwrap().to_owned();
        assert!(["changed", "unchanged"].contains(&task["outcome"].as_str().unwrap()));
        ran.push((word("id"), word("command"), word("host")));
    }
    wanted.sort();
    ran.sort();
    assert_eq!(ran, wanted);
}

#[test]
fn a_host_that_is_left_out_is_behind_and_said_to_be() {
    let shop = Shop::up();
    shop.deploy("1.0.0").expect(0);
    let ran = shop.with_release("deploy", "2.0.0", &["--without", "app3"]);
    let ran = ran.expect(0);
    assert!(
        ran.stderr.contains("left out, and behind now: app3"),
        "{}",
        ran.stderr
    );
    assert_eq!(shop.links(), ["2.0.0", "2.0.0", "1.0.0"]);
    assert_eq!(shop.health("app3"), "200 ok 1.0.0");

    // the next deploy brings it up to the others, and touches only it
    shop.deploy("2.0.0").expect(0);
    assert_eq!(shop.links(), ["2.0.0"; 3]);
    let touched = tasks(&shop.last_run(), "changed");
    assert!(
        touched.iter().all(|task| task.ends_with("on app3")),
        "{touched:?}"
    );
}

#[test]
fn only_the_hosts_that_are_named_are_deployed() {
    let shop = Shop::up();
    shop.deploy("1.0.0").expect(0);
    shop.with_release("deploy", "2.0.0", &["--hosts", "app2"])
        .expect(0);
    assert_eq!(shop.links(), ["1.0.0", "2.0.0", "1.0.0"]);
    let touched = tasks(&shop.last_run(), "changed");
    assert!(
        touched.iter().all(|task| task.ends_with("on app2")),
        "{touched:?}"
    );
}
