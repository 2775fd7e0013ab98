//! A manager, a builder and an installer whose installs are witnessed.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use windlass_testkit::chaos::Numbers;

use crate::http::ask;
use crate::service::{Form, Service, list, until};
use crate::world::{BEHAVIOUR, World, word};

/// Lines of the page that is installed.
const LINES: usize = 2000;
/// Longest that anything may take to come to an end, with all that is started again meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);
/// Statuses from which a transaction goes on by itself.
const ON_THE_WAY: [&str; 3] = ["STARTED", "BUILD_COMPLETED", ""];

/// One of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Manager,
    Builder,
    Installer,
}

impl Role {
    pub(crate) const ALL: [Self; 3] = [Self::Manager, Self::Builder, Self::Installer];
}

/// The three, and what was acknowledged.
pub(crate) struct Trade {
    manager: Service,
    builder: Service,
    installer: Service,
    /// Transaction -> the page that it installs.
    asked: BTreeMap<String, String>,
    /// Transaction -> the status that it ended with, as far as that was told.
    ended: BTreeMap<String, String>,
    /// Dropped last, for the services lie in its directory.
    pub(crate) world: World,
}

impl Trade {
    /// All are made, none is started.
    pub(crate) fn new() -> Self {
        let world = World::new(Form::Yaml);
        let manager = world.manager();
        let builder = world.generate("builder", "builder");
        let installer = world.generate("installer", "i01");
        let witness = world.path().join("witness").display().to_string();
        let base = installer.at("install_base").display().to_string();
        let pause = world.path().join("pause").display().to_string();
        let stages = json!([{"name": "Install", "concurrency": 1, "tasks": [[
            {"command": "execute_command", "run": format!("echo '{{transaction}} begins' >>{witness}")},
            {"command": "unpack", "source": "{resource}", "destination": format!("{base}/releases/{{transaction}}")},
            {"command": "symlink", "source": "releases/{transaction}", "destination": format!("{base}/now")},
            {"command": "execute_command", "run": format!("sleep $(cat {pause}); echo '{{transaction}} ends' >>{witness}")},
        ]]}]);
        let behaviour = json!({"name": "template", "klass": "tasklist", "package": "windlass.install", "stages": stages});
        installer.write(&format!("{BEHAVIOUR}.yaml"), &behaviour.to_string());
        fs::create_dir_all(installer.at("install_base/releases")).unwrap();
        let trade = Self {
            world,
            manager,
            builder,
            installer,
            asked: BTreeMap::new(),
            ended: BTreeMap::new(),
        };
        trade.pause("0.1");
        trade
    }

    /// How long, in seconds, an install takes from now on.
    pub(crate) fn pause(&self, seconds: &str) {
        fs::write(self.world.path().join("pause"), seconds).unwrap();
    }

    /// What is built from now on.
    pub(crate) fn source(&self, page: &str) {
        let source = self.builder.at("svn_checkout/template/site/index.html");
        // a build may read it just now
        if fs::read_to_string(&source).ok().as_ref() != Some(&contents(page)) {
            fs::write(source, contents(page)).unwrap();
        }
    }

    pub(crate) fn service(&mut self, role: Role) -> &mut Service {
        match role {
            Role::Manager => &mut self.manager,
            Role::Builder => &mut self.builder,
            Role::Installer => &mut self.installer,
        }
    }

    /// Starts whoever does not run, as a supervisor does.
    pub(crate) fn supervise(&mut self) {
        for role in Role::ALL {
            let service = self.service(role);
            if !service.is_running() {
                service.start();
            }
        }
    }

    /// Asks for an install of this page until that is acknowledged; everybody who dies meanwhile is started again.
    pub(crate) fn ask(&mut self, page: &str) -> String {
        self.source(page);
        let request = json!({"project": "template", "action": "install", "env": "test", "trunk": true, "request_id": page});
        let begun = Instant::now();
        loop {
            self.supervise();
            let answer = ask(
                self.world.port,
                "POST",
                "/api/v1/transactions",
                &request.to_string(),
            );
            if let Some(answer) = answer.filter(|answer| answer.status == 200) {
                let id = word(&answer.json()["transaction"]);
                self.asked.insert(id.clone(), page.to_owned());
                return id;
            }
            assert!(begun.elapsed() < PATIENCE, "nobody acknowledges {page}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Whether an agent has never registered.
    fn waits(&self) -> bool {
        let agents = self.world.get("agents");
        agents.as_array().is_none_or(|agents| agents.len() < 2)
    }

    /// Waits until all have registered; whoever dies is started again.
    pub(crate) fn up(&mut self) {
        let begun = Instant::now();
        while self.waits() {
            self.supervise();
            assert!(begun.elapsed() < PATIENCE, "agents do not register");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for the end of a transaction; gives its status.
    pub(crate) fn end(&mut self, id: &str) -> String {
        let begun = Instant::now();
        loop {
            self.supervise();
            let status = self.status(id);
            if !ON_THE_WAY.contains(&status.as_str()) {
                return status;
            }
            let waits = begun.elapsed() < PATIENCE;
            assert!(waits, "no end: {status}\n{}", self.world.story(id));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Empty where the manager does not answer.
    fn status(&self, id: &str) -> String {
        let path = format!("/api/v1/transactions/{id}");
        match ask(self.world.port, "GET", &path, "") {
            Some(answer) if answer.status == 200 => word(&answer.json()["status"]),
            Some(answer) if answer.status == 404 => panic!("{id} was acknowledged, and is lost"),
            _ => String::new(),
        }
    }

    /// What the manager answers, once it does.
    fn told(&self, path: &str) -> Value {
        until("the manager answers", || {
            let told = self.world.get(path);
            (!told.is_null() && told.get("error").is_none()).then_some(told)
        })
    }

    /// The history of a transaction, a line each.
    pub(crate) fn story(&self, id: &str) -> String {
        let history = self.told(&format!("transactions/{id}/history"));
        let line =
            |entry: &Value| format!("{}: {}\n", word(&entry["what"]), word(&entry["detail"]));
        history.as_array().unwrap().iter().map(line).collect()
    }

    /// How often an install began, and how often it came to its end.
    pub(crate) fn witnessed(&self, id: &str) -> (usize, usize) {
        let text = fs::read_to_string(self.world.path().join("witness")).unwrap_or_default();
        let count = |what: &str| {
            let line = format!("{id} {what}");
            text.lines().filter(|l| **l == line).count()
        };
        (count("begins"), count("ends"))
    }

    /// The page that is installed, which must be whole.
    pub(crate) fn page(&self) -> String {
        let Ok(found) = fs::read_to_string(self.installer.at("install_base/now/index.html")) else {
            return String::new();
        };
        let page = found
            .lines()
            .next()
            .unwrap_or_default()
            .replace("page ", "");
        assert_eq!(found, contents(&page), "half an install");
        page
    }

    /// What the end of a transaction says is true. What is unknown is settled by what the witness knows.
    pub(crate) fn is_true(&mut self, id: &str, status: &str) {
        let story = self.story(id);
        let (begun, ended) = self.witnessed(id);
        let leases = story.matches("leased: template by i01").count();
        let page = self.asked[id].clone();
        assert!(
            begun <= leases,
            "begun {begun} times under {leases} leases\n{story}"
        );
        match status {
            "INSTALL_COMPLETED" => {
                assert!(ended >= 1, "never ended\n{story}");
                assert_eq!(self.page(), page, "{story}");
            }
            "UNKNOWN" => {
                assert!(
                    story.contains("unknown: template by i01: "),
                    "no reason\n{story}"
                );
                self.settle(id, if ended > 0 { "done" } else { "failed" });
                // its installer may have told meanwhile that it had not begun: then it goes on
                self.end(id);
            }
            "BUILD_FAILED" => {
                assert!(story.contains("build failed: "), "no reason\n{story}");
                assert_eq!(begun, 0, "{story}");
            }
            "INSTALL_FAILED" => {
                assert!(story.contains("install failed: "), "no reason\n{story}");
                assert_eq!(ended, 0, "it was installed\n{story}");
            }
            _ => panic!("{status}\n{story}"),
        }
        let status = word(&self.told(&format!("transactions/{id}"))["status"]);
        self.ended.insert(id.to_owned(), status);
    }

    fn settle(&mut self, id: &str, settled: &str) {
        let jobs = self.told(&format!("transactions/{id}"))["jobs"].clone();
        let jobs = jobs.as_array().unwrap();
        let unknown = jobs.iter().filter(|job| job["state"] == "unknown");
        for job in unknown {
            let path = format!("transactions/{id}/jobs/{}/settle", word(&job["job"]));
            let answer = self.world.post(&path, &json!({"settled": settled}));
            // its installer may have told meanwhile
            assert!([200, 422].contains(&answer.status), "{}", answer.body);
        }
    }

    /// Installs a page, which must go well.
    pub(crate) fn goes_well(&mut self, page: &str) {
        let id = self.ask(page);
        let status = self.end(&id);
        assert_eq!(status, "INSTALL_COMPLETED", "{}", self.story(&id));
        self.is_true(&id, &status);
        assert_eq!(self.witnessed(&id), (1, 1), "{}", self.story(&id));
    }

    /// Nothing that was ever acknowledged is lost: transactions with their ends, releases with their bytes.
    pub(crate) fn nothing_is_lost(&self) {
        for (id, status) in &self.ended {
            let now = word(&self.told(&format!("transactions/{id}"))["status"]);
            assert_eq!(now, *status, "{}", self.story(id));
        }
        let releases = self.told("releases");
        for release in releases.as_array().unwrap() {
            let targets = release["index"]["targets"].as_object().unwrap();
            targets.values().for_each(|item| self.is_kept(item));
        }
        let partial = list(&self.manager.at("work/blobs/partial"));
        assert!(partial.len() <= 2, "{partial:?}");
    }

    fn is_kept(&self, item: &Value) {
        let digest = word(&item["digest"]);
        let path = self.manager.at("work/blobs").join(&digest[..2]);
        let bytes = fs::read(path.join(&digest)).unwrap();
        let found = Sha256::digest(&bytes);
        let found: String = found.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(found, digest);
    }
}

/// As long compressed as a resource is that takes more than one write.
fn contents(page: &str) -> String {
    let seed = page
        .bytes()
        .fold(7, |n: u64, b| n.wrapping_mul(31) + u64::from(b));
    let mut numbers = Numbers::new(seed);
    let line = |n| match n {
        0 => format!("page {page}\n"),
        _ => format!("{:016x}\n", numbers.any()),
    };
    (0..LINES).map(line).collect()
}
