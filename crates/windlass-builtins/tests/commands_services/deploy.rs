//! A release over another: drained, stopped, moved, linked, started, checked, enabled.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;
use windlass_model::outcome::Outcome;

use crate::background::{Background, until};
use crate::drive::{Done, run};
use crate::haproxy::Balancer;

/// A service under runsv whose program tells which release the link points to.
struct Host {
    dir: TempDir,
    _runsv: Background,
}

impl Host {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        fs::create_dir(at.join("service")).unwrap();
        fs::create_dir(at.join("shop_1")).unwrap();
        fs::write(at.join("shop_1/version"), "1").unwrap();
        std::os::unix::fs::symlink(at.join("shop_1"), at.join("shop")).unwrap();
        let run = format!(
            "#!/bin/sh\ncat {0}/shop/version >>{0}/log\nexec sleep 1000\n",
            at.display()
        );
        fs::write(at.join("service/run"), run).unwrap();
        fs::set_permissions(at.join("service/run"), PermissionsExt::from_mode(0o755)).unwrap();
        let runsv = Background::start("runsv", &[at.join("service").to_str().unwrap()]);
        let host = Self { dir, _runsv: runsv };
        until(|| host.log() == "1");
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn deploy(&self, version: &str, balancer: &Balancer, check: &str) -> Done {
        let source = self.path("unpacked");
        fs::create_dir(&source).unwrap();
        fs::write(source.join("version"), version).unwrap();
        let args: Value = json!({
            "source": source, "destination": self.path(&format!("shop_{version}")),
            "link_target": self.path("shop"), "servicename": self.path("service"),
            "control_type": "runit", "check_command": check, "control_timeout": 3,
            "lb_hostname": "local", "lb_service": "web/app1",
            "lb_socket": balancer.socket("admin"), "lb_timeout": 5
        });
        run("deploy_and_restart", args)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let service = self.path("service");
        let _ = std::process::Command::new("sv")
            .args(["-w2", "force-shutdown"])
            .arg(service)
            .output();
    }
}

#[test]
fn a_release_replaces_another() {
    let (host, balancer) = (Host::start(), Balancer::start());
    let check = format!("tail -c 1 {} | grep 2", host.path("log").display());
    let done = host.deploy("2", &balancer, &check);
    assert_eq!(done.outcome, Outcome::Changed);
    assert_eq!(host.log(), "12");
    assert_eq!(
        fs::read_link(host.path("shop")).unwrap(),
        host.path("shop_2")
    );
    assert!(!host.path("unpacked").exists() && host.path("shop_1").exists());
    assert_eq!(balancer.status("app1"), "UP");
    let again = host.deploy("2", &balancer, &check);
    assert_eq!(again.outcome, Outcome::Changed, "in place of what is there");
    assert_eq!(host.log(), "122");
}

#[test]
fn a_failed_check_leaves_the_server_drained() {
    let (host, balancer) = (Host::start(), Balancer::start());
    let done = host.deploy("3", &balancer, "echo no answer; false");
    assert_eq!(
        done.failure(),
        "check `echo no answer; false` did not pass within 3 s: last: no answer (exit status 1)"
    );
    assert_eq!(balancer.status("app1"), "DRAIN");
}
