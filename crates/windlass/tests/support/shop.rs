//! The example `rolling`: three hosts behind HAProxy, in a directory of its own directly below /tmp.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::{Place, Ran};

/// The hosts of the example.
pub(crate) const HOSTS: [&str; 3] = ["app1", "app2", "app3"];

/// The example, up. It goes down when dropped.
pub(crate) struct Shop {
    dir: TempDir,
    /// State and cache of the runs.
    pub(crate) place: Place,
}

impl Shop {
    /// Brings it up. A check of the service takes 3 s at most instead of 20.
    pub(crate) fn up() -> Self {
        let mut last = None;
        for _ in 0..5 {
            let dir = tempfile::Builder::new()
                .prefix("wl-shop-")
                .tempdir_in("/tmp")
                .unwrap();
            let shop = Self {
                dir,
                place: Place::new(),
            };
            let up = example("up").arg(shop.path()).output().unwrap();
            if up.status.success() {
                shop.edit_config("control_timeout: 20", "control_timeout: 3");
                return shop;
            }
            // another test may have taken a port in between
            last = Some(said(&up));
        }
        panic!("the example does not come up: {}", last.unwrap_or_default());
    }

    /// Its directory.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A path in it, as text.
    pub(crate) fn at(&self, name: &str) -> String {
        self.path().join(name).to_str().unwrap().to_owned()
    }

    /// Replaces a part of the config that must be there.
    pub(crate) fn edit_config(&self, from: &str, to: &str) {
        let path = self.path().join("windlass.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} in {text}");
        std::fs::write(path, text.replace(from, to)).unwrap();
    }

    /// A release more.
    pub(crate) fn make_release(&self, version: &str) {
        let mut make = example("make-release");
        let made = make.arg(self.path()).arg(version).output().unwrap();
        assert!(made.status.success(), "{}", said(&made));
    }

    /// `windlass VERB` with the example's ssh_config and `more`.
    pub(crate) fn windlass(&self, verb: &str, more: &[&str]) -> Ran {
        Ran::of(self.command(verb, more).output().unwrap())
    }

    /// The same, not yet run.
    pub(crate) fn command(&self, verb: &str, more: &[&str]) -> Command {
        let ssh_config = self.at("ssh_config");
        let mut arguments = vec![verb, "--ssh-config", ssh_config.as_str()];
        arguments.extend(more);
        self.place.command(&arguments)
    }

    /// A verb with the example's config and a release.
    pub(crate) fn with_release(&self, verb: &str, version: &str, more: &[&str]) -> Ran {
        let (config, release) = (
            self.at("windlass.yaml"),
            self.at(&format!("releases/{version}")),
        );
        let mut arguments = vec!["--config", config.as_str(), "--directory", release.as_str()];
        arguments.extend(more);
        self.windlass(verb, &arguments)
    }

    /// Deploys a release to all hosts.
    pub(crate) fn deploy(&self, version: &str) -> Ran {
        self.with_release("deploy", version, &[])
    }

    /// What a host's link points to.
    pub(crate) fn link(&self, host: &str) -> String {
        let link = self.path().join(format!("hosts/{host}/opt/webapps/shop"));
        let target = std::fs::read_link(link).unwrap();
        target.to_str().unwrap().to_owned()
    }

    /// The versions that the hosts' links point to.
    pub(crate) fn links(&self) -> [String; 3] {
        HOSTS.map(|host| self.link(host).replace("shop_", ""))
    }

    /// What a host's service answers to the check of the example.
    pub(crate) fn health(&self, host: &str) -> String {
        let health = self.path().join(format!("hosts/{host}/bin/health"));
        let ran = Command::new(health).output().unwrap();
        String::from_utf8(ran.stdout).unwrap().trim().to_owned()
    }

    /// The names in a directory of a host, hidden ones left out.
    pub(crate) fn names(&self, host: &str, directory: &str) -> Vec<String> {
        let path = self.path().join(format!("hosts/{host}/{directory}"));
        let mut names: Vec<String> = std::fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        names
    }

    /// What HAProxy answers to a line on its runtime socket.
    fn haproxy(&self, line: &str) -> String {
        let mut socket = UnixStream::connect(self.path().join("haproxy.sock")).unwrap();
        let limit = Some(Duration::from_secs(10));
        socket.set_read_timeout(limit).unwrap();
        socket.write_all(format!("{line}\n").as_bytes()).unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).unwrap();
        text
    }

    /// Server of the load balancer -> its state, as HAProxy says.
    pub(crate) fn servers(&self) -> BTreeMap<String, String> {
        let text = self.haproxy("show stat web 4 -1");
        let mut lines = text.lines();
        let head: Vec<&str> = lines.next().unwrap().split(',').collect();
        let column = |name: &str| head.iter().position(|h| *h == name).unwrap();
        let (server, status) = (column("svname"), column("status"));
        lines
            .map(|line| line.split(',').collect::<Vec<_>>())
            .filter(|cells| cells.len() > status)
            .map(|cells| (cells[server].to_owned(), cells[status].to_owned()))
            .collect()
    }

    /// The hosts whose servers somebody has drained, whatever their checks say.
    pub(crate) fn drained(&self) -> Vec<String> {
        let text = self.haproxy("show servers state web");
        let lines = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        lines
            // 8: set to drain by an operator; the 7th column is srv_admin_state
            .filter(|cells| {
                cells
                    .get(6)
                    .is_some_and(|state| state.parse().unwrap_or(0) & 8 != 0)
            })
            .map(|cells| cells[3].to_owned())
            .collect()
    }

    /// Waits until every server but those of `except` is UP.
    pub(crate) fn wait_until_up(&self, except: &[&str]) {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let servers = self.servers();
            let is_up = |host: &&str| except.contains(host) || servers[*host] == "UP";
            if HOSTS.iter().all(is_up) {
                return;
            }
            assert!(Instant::now() < end, "{servers:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// `runs show --json` of the last run.
    pub(crate) fn last_run(&self) -> Value {
        let shown = self
            .place
            .windlass(&["runs", "show", "--json"])
            .expect(0)
            .stdout;
        serde_json::from_str(&shown).unwrap()
    }

    /// A constant load on the front end, every answer checked.
    pub(crate) fn load(&self, rate: u32, path: &str) -> Load {
        let out = self
            .path()
            .join(format!("load{}.json", path.replace('/', "-")));
        let child = example("load")
            .arg(self.path())
            .args([
                "--rate",
                &rate.to_string(),
                "--seconds",
                "0",
                "--path",
                path,
            ])
            .arg("--out")
            .arg(&out)
            .spawn()
            .unwrap();
        // the first requests are under way
        std::thread::sleep(Duration::from_secs(1));
        Load { child, out }
    }

    /// A text with nothing in it that differs from run to run.
    pub(crate) fn normal(&self, text: &str) -> String {
        self.place
            .normal(&text.replace(self.path().to_str().unwrap(), "SHOP"))
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let down = example("down").arg(self.path()).output();
        if !std::thread::panicking() {
            let down = down.unwrap();
            assert!(down.status.success(), "{}", said(&down));
        }
    }
}

/// A load that is under way.
pub(crate) struct Load {
    child: Child,
    out: PathBuf,
}

impl Load {
    /// Ends it and gives its summary; panics unless every request was answered well.
    pub(crate) fn end(mut self) -> Value {
        super::signal(self.child.id(), "TERM");
        let status = self.child.wait().unwrap();
        let text = std::fs::read_to_string(&self.out).unwrap();
        let summary: Value = serde_json::from_str(&text).unwrap();
        assert!(status.success(), "{text}");
        assert_eq!(summary["failed"], 0, "{text}");
        assert_eq!(summary["ok"], summary["sent"], "{text}");
        summary
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn example(program: &str) -> Command {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/rolling");
    let mut command = Command::new(example.join(program));
    command.stdin(Stdio::null());
    command
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
