//! `min_healthy` on the example `rolling`: three sshd with a service under runit each, behind HAProxy.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]

mod support;

use std::process::Command;

use support::shop::{HOSTS, Shop};

/// The example with 1.0.0 deployed, of which two of three hosts must stay healthy.
fn shop() -> Shop {
    let shop = Shop::up();
    shop.edit_config(
        "    hosts: [app]\n",
        "    hosts: [app]\n    min_healthy: 2\n",
    );
    shop.edit_config("lb_timeout: 20", "lb_timeout: 5");
    // Nothing is installed: all at once takes nobody out.
    shop.edit_config("deploy_concurrency: 1 ", "deploy_concurrency: 3 ");
    shop.deploy("1.0.0").expect(0);
    shop.edit_config("deploy_concurrency: 3 ", "deploy_concurrency: 1 ");
    shop.wait_until_up(&[]);
    shop
}

/// Stops the service of a host, behind Windlass's back.
fn stop(shop: &Shop, host: &str) {
    let service = shop.at(&format!("hosts/{host}/service/shop"));
    let stopped = Command::new("sv")
        .args(["force-stop", &service])
        .output()
        .unwrap();
    assert!(stopped.status.success(), "{stopped:?}");
    assert!(!shop.health(host).starts_with("200"));
}

/// The hosts in the order in which their links were swapped: receipts tell, by their runs' log lines.
fn order(stderr: &str) -> Vec<String> {
    let lines = stderr.lines().filter(|line| line.contains("Symlink"));
    let host_of = |line: &str| {
        HOSTS
            .into_iter()
            .find(|host| line.contains(&format!("[{host}]")))
    };
    let mut hosts: Vec<String> = lines.filter_map(host_of).map(str::to_owned).collect();
    hosts.dedup();
    hosts
}

#[test]
fn a_broken_host_is_deployed_first_and_no_request_fails() {
    let shop = shop();
    stop(&shop, "app2");
    std::thread::sleep(std::time::Duration::from_secs(3));
    let load = shop.load(100, "/");
    let ran = shop.deploy("2.0.0").expect(0);
    assert!(
        ran.stderr
            .contains("hosts that are not healthy go first: app2 ("),
        "{}",
        ran.stderr
    );
    load.end();
    assert_eq!(shop.links(), ["2.0.0"; 3]);
    assert_eq!(HOSTS.map(|host| shop.health(host)), ["200 ok 2.0.0"; 3]);
    assert_eq!(order(&ran.stderr)[0], "app2", "{}", ran.stderr);

    // With two broken: they are healed first.
    shop.wait_until_up(&[]);
    stop(&shop, "app2");
    stop(&shop, "app3");
    std::thread::sleep(std::time::Duration::from_secs(3));
    let load = shop.load(100, "/");
    let ran = shop.deploy("1.0.0").expect(0);
    load.end();
    assert_eq!(order(&ran.stderr), ["app2", "app3", "app1"]);
    shop.wait_until_up(&[]);

    // The way back is asked for in the same way: one that is broken and not of the run is waited for in vain.
    shop.with_release("deploy", "2.0.0", &["--hosts", "app1"])
        .expect(0);
    shop.wait_until_up(&[]);
    stop(&shop, "app3");
    let config = shop.at("windlass.yaml");
    let failed = shop.windlass("rollback", &["--config", &config]).expect(1);
    assert!(
        failed.stderr.contains("app3 is not healthy")
            && failed.stderr.contains("`min_healthy` keeps 2"),
        "{}",
        failed.stderr
    );
    assert_eq!(shop.links(), ["2.0.0", "1.0.0", "1.0.0"]);
    assert_eq!(shop.health("app1"), "200 ok 2.0.0");
}

#[test]
fn too_many_at_once_are_refused_when_planned() {
    let shop = shop();
    shop.edit_config("deploy_concurrency: 1 ", "deploy_concurrency: 2 ");
    for verb in ["plan", "deploy"] {
        let ran = shop.with_release(verb, "2.0.0", &[]).expect(2);
        insta::assert_snapshot!("refused", shop.normal(&ran.stderr));
    }
    assert_eq!(shop.links(), ["1.0.0"; 3]);
}
