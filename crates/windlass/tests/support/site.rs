//! A place with one throw-away sshd that several hosts of its ssh_config are.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;
use windlass_testkit::sshd::{Sshd, SshdOptions};

use super::{Place, Ran};

/// An sshd, and a place whose `ssh_config` leads there. Whoever logs in may write in it.
pub(crate) struct Site {
    pub(crate) place: Place,
    pub(crate) sshd: Sshd,
}

impl Site {
    /// Starts an sshd; `hosts` are names of it.
    pub(crate) fn new(hosts: &[&str]) -> Self {
        Self::with(hosts, &SshdOptions::default())
    }

    /// Starts an sshd like this.
    pub(crate) fn with(hosts: &[&str], options: &SshdOptions) -> Self {
        let site = Self {
            place: Place::new(),
            sshd: Sshd::start(options).unwrap(),
        };
        open_to_all(site.place.path());
        let blocks: Vec<String> = hosts.iter().map(|h| site.sshd.host_block(h, "")).collect();
        site.place.write("ssh_config", &blocks.concat());
        site
    }

    /// More lines of ssh_config, before the others.
    pub(crate) fn ssh_config(&self, more: &str) {
        let path = self.place.path().join("ssh_config");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, format!("{more}\n{text}")).unwrap();
    }

    /// Replaces text of the ssh_config.
    pub(crate) fn edit_ssh_config(&self, from: &str, to: &str) {
        let path = self.place.path().join("ssh_config");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} in {text}");
        std::fs::write(path, text.replace(from, to)).unwrap();
    }

    /// `windlass` with this ssh_config.
    pub(crate) fn windlass(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    /// The same, not yet run.
    pub(crate) fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut all = vec!["--ssh-config", "ssh_config"];
        all.extend(arguments);
        self.place.command(&all)
    }

    /// Deploys a tasklist of these stages.
    pub(crate) fn deploy(&self, stages: Value) -> Ran {
        let tasklist = serde_json::json!({"name": "Test", "stages": stages});
        self.place.write("tasks.json", &tasklist.to_string());
        self.windlass(&["deploy", "--tasklist", "tasks.json"])
    }

    /// Status and what was said, with nothing in it that differs from run to run.
    pub(crate) fn shown(&self, ran: &Ran) -> String {
        let sshd = self.sshd.file("");
        ran.shown(&self.place)
            .replace(sshd.to_str().unwrap().trim_end_matches('/'), "SSHD")
            .replace(&self.sshd.port.to_string(), "PORT")
            .replace(&self.sshd.user, "USER")
    }
}

/// Lets everybody write there.
pub(crate) fn open_to_all(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
}

/// A port of 127.0.0.1 on which nobody listens.
pub(crate) fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
