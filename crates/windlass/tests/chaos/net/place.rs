//! A manager, a builder and three installers, each of which has a proxy of its own between itself and the manager. What is built
//! and installed writes down by itself that it begins and that it is done.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use windlass_testkit::proxy::{Mode, Proxy};

use crate::service::{Form, Service};
use crate::world::{BEHAVIOUR, RECIPE, World, file, word};

/// How long the manager's leases are.
pub(super) const LEASE: Duration = Duration::from_secs(5);
/// Longest wait for a transaction.
const PATIENCE: Duration = Duration::from_secs(150);
/// Who is behind a proxy: kind, name, config.
const AGENTS: [(&str, &str, &str); 4] = [
    ("builder", "builder", "conf/builder/build_host_template"),
    ("installer", "i01", CONFIG),
    ("installer", "i02", CONFIG),
    ("installer", "i03", CONFIG),
];
const CONFIG: &str = "conf/installer/release_installer_template";
/// Bytes of a release.
const SIZE: usize = 12 << 20;

pub(super) struct Place {
    pub(super) world: World,
    /// One an agent, the builder's first.
    pub(super) proxies: Vec<Proxy>,
    agents: Vec<Service>,
    _manager: Service,
}

/// What one wrote down about a transaction, by who wrote: starts and ends under each lease.
type Written = BTreeMap<String, Vec<(usize, usize)>>;

/// Whether a line of a transaction's story says that an installer had begun a later one.
fn is_overtaken(line: &str) -> bool {
    line.starts_with("install failed: ")
        && line.ends_with("was begun for this target already, so this one comes too late")
}

/// Whether that is all that failed.
fn only_overtaken(story: &str) -> bool {
    let mut failed = story
        .lines()
        .filter(|line| line.starts_with("install failed: "))
        .peekable();
    failed.peek().is_some() && failed.all(is_overtaken)
}

impl Place {
    /// The manager is up; the agents begin as the proxies are.
    pub(super) fn new(seed: u64, mode: Mode) -> Self {
        let world = World::new(Form::Yaml);
        let mut manager = world.manager();
        world.up(&mut manager);
        let mut place = Self {
            proxies: Vec::new(),
            agents: Vec::new(),
            _manager: manager,
            world,
        };
        for (n, (kind, name, config)) in (0..).zip(AGENTS) {
            let proxy = Proxy::start(place.world.port, seed.wrapping_add(n)).unwrap();
            proxy.set(mode);
            let agent = place.world.generate(kind, name);
            let (from, to) = (place.world.port.to_string(), proxy.port().to_string());
            agent.edit(config, &from, &to);
            match kind {
                "builder" => place.builds(&agent),
                _ => place.installs(&agent, name),
            }
            place.proxies.push(proxy);
            place.agents.push(agent);
        }
        place.agents.iter_mut().for_each(Service::start);
        place.world.registered(AGENTS.len());
        place
    }

    fn witness(&self) -> PathBuf {
        self.world.path().join("witness")
    }

    /// A shell line that writes down what it did.
    fn noted(&self, what: &str, who: &str, transaction: &str, where_at: &str) -> String {
        let witness = self.witness();
        let witness = witness.display();
        format!("echo \"{what} {transaction} {who} {where_at}\" >> {witness}")
    }

    fn builds(&self, builder: &Service) {
        let noted = |what| self.noted(what, "builder", "$WINDLASS_TRANSACTION", "$WINDLASS_SOURCE");
        let line = [
            noted("start"),
            "sleep 1".into(),
            format!("head -c {SIZE} /dev/urandom > big.bin"),
            "printf 1.$WINDLASS_TRANSACTION > $WINDLASS_VERSION_FILE".into(),
            noted("end"),
        ];
        let recipe = json!({
            "name": "template", "klass": "commands", "package": "windlass.build",
            "vcs": {"directory": "svn_checkout/template"},
            "targets": {"template": {"files": ["big.bin"]}},
            "commands": [line.join(" && ")],
        });
        builder.write(&format!("{RECIPE}.yaml"), &recipe.to_string());
    }

    fn installs(&self, installer: &Service, name: &str) {
        let noted = |what| self.noted(what, name, "{transaction}", "{resource}");
        let (new, done) = (
            installer.at("install_base/new"),
            installer.at("install_base/done"),
        );
        let line = [
            noted("start"),
            format!("mkdir -p {}", installer.at("install_base").display()),
            "sleep 1".into(),
            format!("cp {{resource}} {}", new.display()),
            format!("mv {} {}", new.display(), done.display()),
            noted("end"),
        ];
        let stages = json!([{"name": "Put", "concurrency": 1, "tasks": [
            {"command": "execute_command", "run": line.join(" && ")}]}]);
        let behaviour = json!({"name": "template", "klass": "tasklist", "package": "windlass.install", "stages": stages});
        installer.write(&format!("{BEHAVIOUR}.yaml"), &behaviour.to_string());
    }

    /// What was written down about a transaction.
    fn written(&self, id: &str) -> Written {
        let mut by_lease: BTreeMap<(String, String), (usize, usize)> = BTreeMap::new();
        for line in file(&self.witness()).lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [what, transaction, who, path] = words[..] else {
                panic!("the witness wrote {line:?}")
            };
            if transaction != id {
                continue;
            }
            // The folder of a run: the job, the lease, a number.
            let run = path
                .split('/')
                .find(|part| part.starts_with('j') && *part != "jobs");
            let (lease, _) = run.and_then(|run| run.rsplit_once('-')).unwrap();
            let counts = by_lease.entry((who.into(), lease.into())).or_default();
            match what {
                "start" => counts.0 += 1,
                _ => counts.1 += 1,
            }
        }
        let mut written = Written::new();
        for ((who, _), counts) in by_lease {
            written.entry(who).or_default().push(counts);
        }
        written
    }

    /// Waits for the good end of a transaction, and holds what was done against what should have been. Where a lease came so late
    /// that a later transaction had been begun, the install is refused, and nothing of it is done.
    pub(super) fn ended_well(&self, id: &str) {
        let begun = Instant::now();
        loop {
            match self.world.status(id).as_str() {
                "INSTALL_COMPLETED" => break,
                "INSTALL_FAILED" if only_overtaken(&self.world.story(id)) => break,
                "STARTED" | "BUILD_COMPLETED" | "UNKNOWN" | "" => {}
                status => panic!("{status}: {}", self.world.story(id)),
            }
            let story = || self.world.story(id);
            assert!(begun.elapsed() < PATIENCE, "it does not end: {}", story());
            std::thread::sleep(Duration::from_millis(50));
        }
        let story = self.world.story(id);
        let written = self.written(id);
        let who: Vec<&str> = written.keys().map(String::as_str).collect();
        let mut wanted = vec!["builder", "i01", "i02", "i03"];
        wanted.retain(|who| {
            !story
                .lines()
                .any(|line| is_overtaken(line) && line.contains(&format!(" by {who}: ")))
        });
        assert_eq!(who, wanted, "{story}");
        for (who, leases) in &written {
            // Never twice under one lease. What is built again was built under an older one; nothing is installed again.
            assert!(
                leases.iter().all(|lease| lease.0 == 1),
                "{who}: {leases:?}\n{story}"
            );
            let ends: usize = leases.iter().map(|lease| lease.1).sum();
            match who.as_str() {
                "builder" => {
                    let started = story
                        .lines()
                        .filter(|l| l.starts_with("started: build"))
                        .count();
                    assert!(ends >= 1 && leases.len() <= started, "{leases:?}\n{story}");
                }
                _ => assert_eq!(leases[..], [(1, 1)], "{who}\n{story}"),
            }
        }
        for installer in &self.agents[1..] {
            let left = installer.list("install_base");
            assert!(!left.contains(&"new".to_owned()), "{left:?}\n{story}");
        }
    }

    /// The release of a transaction is what is installed, everywhere.
    pub(super) fn is_everywhere(&self, id: &str) {
        let release = word(&self.world.get(&format!("transactions/{id}"))["release"]);
        assert!(release.contains(id), "{release}");
        let rows = ["i01", "i02", "i03"].map(|agent| format!("{agent} {release}"));
        assert_eq!(self.world.matrix(), rows);
        let blob = std::fs::read(self.agents[1].at("install_base/done")).unwrap();
        for installer in &self.agents[2..] {
            let other = std::fs::read(installer.at("install_base/done")).unwrap();
            assert!(other.len() == SIZE && other == blob);
        }
    }

    /// The jobs that are not over, and how often their agents were heard of in the history.
    pub(super) fn open(&self, id: &str) -> Vec<(String, usize)> {
        let history = self.world.get(&format!("transactions/{id}/history"));
        let jobs = self.world.get(&format!("transactions/{id}"))["jobs"].clone();
        let is_open =
            |job: &&Value| !["done", "failed", "cancelled"].contains(&&*word(&job["state"]));
        let open = jobs.as_array().unwrap().iter().filter(is_open);
        open.map(|job| {
            // A build that nobody has is the builder's all the same.
            let agent = match job["kind"].as_str() {
                Some("builder") => "builder builder".into(),
                _ => format!("installer {}", word(&job["agent"])),
            };
            let entries = history.as_array().unwrap().iter();
            let heard = entries
                .filter(|entry| word(&entry["actor"]) == agent)
                .count();
            (agent, heard)
        })
        .collect()
    }
}
