//! The verbs that ask a manager, against a manager, a builder and an installer as `windlass generate` writes them.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]
#![allow(clippy::panic, reason = "a test ends where an expectation does")]

mod support;

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use support::{Place, Ran};

/// A manager, a builder and an installer.
struct Services {
    place: Place,
    url: String,
    running: Vec<Child>,
}

impl Services {
    fn start() -> Self {
        let place = Place::new();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let url = format!("http://localhost:{port}");
        let mut services = Self {
            place,
            url,
            running: Vec::new(),
        };
        for kind in ["manager", "builder", "installer"] {
            services.place.windlass(&["generate", kind, kind]).expect(0);
            let conf = services.place.path().join(kind).join("conf");
            set_port(&conf, &port.to_string());
        }
        for kind in ["manager", "builder", "installer"] {
            services.serve(kind);
        }
        services.until(|s| s.out(&["agents"]).matches(" active ").count() == 2);
        services
    }

    fn serve(&mut self, kind: &str) {
        let directory = self.place.at(kind);
        let log = fs::File::create(self.place.path().join(format!("{kind}.out"))).unwrap();
        let mut command = self.place.command(&["serve", kind, &directory]);
        command.stdout(Stdio::null()).stderr(log);
        self.running.push(command.spawn().unwrap());
        if kind == "manager" {
            self.until(|s| s.run(&["projects"]).status == 0);
        }
    }

    fn until(&self, is_so: impl Fn(&Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !is_so(self) {
            if Instant::now() > end {
                let logs = ["manager", "builder", "installer"].map(|kind| {
                    let path = self.place.path().join(format!("{kind}.out"));
                    fs::read_to_string(path).unwrap_or_default()
                });
                panic!("it did not come: {}", logs.join("\n---\n"));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.place.command(arguments);
        Ran::of(command.env("WINDLASS_MANAGER", &self.url).output().unwrap())
    }

    fn out(&self, arguments: &[&str]) -> String {
        self.run(arguments).expect(0).stdout
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        for child in &mut self.running {
            support::signal(child.id(), "TERM");
        }
        for child in &mut self.running {
            let _ = child.wait();
        }
    }
}

/// In every file below.
fn set_port(folder: &std::path::Path, port: &str) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            set_port(&path, port);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        if text.contains("10000") {
            fs::write(&path, text.replace("10000", port)).unwrap();
        }
    }
}

#[test]
fn from_a_request_to_a_return() {
    let services = Services::start();
    let shown = services.out(&["projects"]);
    assert!(shown.starts_with("PROJECT   TARGETS"), "{shown}");
    assert!(shown.contains("template"), "{shown}");
    assert!(services.out(&["environments"]).contains("test"));

    // Built and installed, watched.
    let ran = services.run(&["request", "template", "--env", "test", "--trunk", "--wait"]);
    let ran = ran.expect(0);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let [id, "INSTALL_COMPLETED"] = lines.as_slice() else {
        panic!("{}", ran.stdout);
    };
    for told in ["INSTALL_COMPLETED", "] done", "[build", "Starting stage"] {
        assert!(ran.stderr.contains(told), "{told}: {}", ran.stderr);
    }
    let status = services.out(&["status", id]);
    assert!(
        status.contains("status:       INSTALL_COMPLETED"),
        "{status}"
    );
    let history = services.out(&["history", id]);
    assert!(history.contains("requested"), "{history}");
    assert!(services.out(&["history"]).contains(id));

    // What there is now.
    let releases = services.out(&["releases", "--json"]);
    let releases: serde_json::Value = serde_json::from_str(&releases).unwrap();
    let release = releases[0]["release"].as_str().unwrap();
    let version = release.split_once('@').unwrap().1;
    let at = services.out(&["where", "--project", "template", "--env", "test"]);
    assert!(at.contains(version), "{at}");

    // There was nothing before.
    let back = ["rollback", "--project", "template", "--env", "test"];
    let ran = services.run(&back).expect(2);
    assert!(ran.stderr.contains("before nothing"), "{}", ran.stderr);

    // Out and in again, as another version.
    services.out(&["release", "export", release, "a.zip"]);
    again_as(&services.place, version, "9.9");
    let ran = services.run(&["release", "import", "b.zip"]).expect(0);
    assert_eq!(ran.stdout, "template@9.9\n");
    assert!(ran.stderr.contains(": sent"), "{}", ran.stderr);
    let ran = services.run(&["release", "import", "b.zip"]).expect(0);
    assert!(ran.stderr.contains("is there already"), "{}", ran.stderr);
    let ran = services.run(&[
        "request",
        "template",
        "--env",
        "test",
        "--release",
        "9.9",
        "--wait",
    ]);
    ran.expect(0);

    // And back.
    let shown = services.out(&[&back[..], &["--show"]].concat());
    assert!(shown.contains(&format!("9.9 -> {version}")), "{shown}");
    let ran = services.run(&back).expect(0);
    assert!(
        ran.stdout.ends_with("INSTALL_COMPLETED\n"),
        "{}",
        ran.stdout
    );
    let at = services.out(&["where", "--env", "test"]);
    assert!(at.contains("9.9"), "before is told: {at}");

    // Rejected: by its release, and for want of an environment.
    services.out(&["releases", "reject", "template@9.9", "--reason", "it leaks"]);
    assert!(
        services
            .out(&["releases", "template"])
            .contains("REJECTED: it leaks")
    );
    let ran = services.run(&[
        "request",
        "template",
        "--env",
        "test",
        "--release",
        "template@9.9",
    ]);
    let ran = ran.expect(2);
    assert!(ran.stderr.contains("it leaks"), "{}", ran.stderr);
    let ran = services.run(&["request", "template", "--branch", "b", "--wait"]);
    let ran = ran.expect(1);
    assert!(ran.stdout.ends_with("BUILD_FAILED\n"), "{}", ran.stdout);
    assert!(ran.stderr.contains("windlass history"), "{}", ran.stderr);
    let ran = services.run(&["request", "nonesuch", "--wait"]).expect(2);
    assert!(ran.stdout.ends_with("REJECTED\n"), "{}", ran.stdout);

    // An agent that gets no more work; what waits for it is taken back.
    let agents = services.out(&["agents", "--json"]);
    let agents: serde_json::Value = serde_json::from_str(&agents).unwrap();
    let builder = agents
        .as_array()
        .unwrap()
        .iter()
        .find(|a| a["kind"] == "builder")
        .unwrap();
    let builder = builder["name"].as_str().unwrap();
    assert_eq!(
        services.out(&["agents", "drain", "builder", builder]),
        "draining\n"
    );
    assert!(services.out(&["agents"]).contains("draining"));
    assert_eq!(
        services.out(&["agents", "resume", "builder", builder]),
        "active\n"
    );
    services
        .run(&["agents", "drain", "builder", "nobody"])
        .expect(2);
    assert!(!services.out(&["agents", "token"]).trim().is_empty());
    let ran = services.run(&["status", "nonesuch"]).expect(2);
    assert!(
        ran.stderr.contains("there is no transaction nonesuch"),
        "{}",
        ran.stderr
    );
    let ran = services
        .run(&["settle", id, "nonesuch", "--done"])
        .expect(2);
    assert!(ran.stderr.contains("nonesuch"), "{}", ran.stderr);
}

/// The archive a.zip as b.zip: another version, and a file more; the manager has the beginning of it.
fn again_as(place: &Place, version: &str, new: &str) {
    const SCRIPT: &str = r#"
import hashlib, io, json, sys, zipfile
old, new = zipfile.ZipFile('a.zip'), zipfile.ZipFile('b.zip', 'w', zipfile.ZIP_DEFLATED)
index = json.loads(old.read('index.json'))
assert index['version'] == sys.argv[1], index
index['version'] = sys.argv[2]
for target, item in index['targets'].items():
    name = target + '/' + item['name']
    data = io.BytesIO(old.read(name))
    assert hashlib.sha256(data.getvalue()).hexdigest() == item['digest']
    with zipfile.ZipFile(data, 'a') as resource:
        resource.writestr('more.txt', 'more')
    data = data.getvalue()
    item['digest'], item['size'] = hashlib.sha256(data).hexdigest(), len(data)
    new.writestr(name, data)
    # An upload of it was cut off.
    with open(sys.argv[3] + '/' + item['digest'], 'wb') as part:
        part.write(data[:100])
new.writestr('index.json', json.dumps(index))
new.close()
"#;
    let mut python = std::process::Command::new("python3");
    let partial = place.at("manager/work/blobs/partial");
    python.args(["-c", SCRIPT, version, new, &partial]);
    assert!(python.current_dir(place.path()).status().unwrap().success());
}
