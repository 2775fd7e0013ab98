//! What a manager and a builder do without an installer: actions of a project's own, and packages for a deploy.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]
#![allow(clippy::panic, reason = "what tests share is a test, too")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::{Place, Ran, signal};

const GENERATOR: &str = r#"
from deployerlib.generator import Generator

class Count(Generator):
    """Tells what is in the source."""

    def generate(self):
        source = self.config["build_job"]["source"]
        line = "cp {}/site/index.html @DIR@/copy".format(source)
        task = {"command": "execute_command", "remote_host": "local", "run": line}
        return {"name": "Count", "stages": [{"name": "Count", "concurrency": 1, "tasks": [task]}]}
"#;

const CLIENT: &str = r#"
import sys, time
from xmlrpc.client import ServerProxy
manager = ServerProxy(sys.argv[1])
for action in sys.argv[2:]:
    transaction = manager.request_action({}, dict(project="template", trunk=True, action=action))
    end = time.time() + 60
    while manager.query_transaction(transaction) == "STARTED" and time.time() < end:
        time.sleep(0.05)
    print(action, manager.query_transaction(transaction))
    for entry in manager.transaction_history({}, {"transaction": transaction}):
        print(" ", entry["what"], entry["detail"])
print(len(manager.list_releases({}, {})), "releases")
"#;

struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        signal(self.0.id(), "TERM");
        let _ = self.0.wait();
    }
}

/// Starts a service; returns when a line of its log has `word` in it, with that line.
fn serve(place: &Place, kind: &str, word: &str) -> (Service, String) {
    let mut child = place
        .command(&["serve", kind, kind])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let service = Service(child);
    let (mut line, mut all) = (String::new(), String::new());
    let end = Instant::now() + Duration::from_secs(30);
    while log.read_line(&mut line).unwrap() > 0 && Instant::now() < end {
        if line.contains(word) {
            std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
            return (service, line);
        }
        all.push_str(&line);
        line.clear();
    }
    panic!("{kind} did not say {word:?}:\n{all}");
}

fn change(place: &Place, path: &str, from: &str, to: &str) {
    let path = place.path().join(path);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

/// A manager and a builder, as they are generated; gives the manager's URL, too.
fn start(place: &Place) -> (String, [Service; 2]) {
    for kind in ["manager", "builder"] {
        place.windlass(&["generate", kind, kind]).expect(0);
    }
    let conf = "manager/conf/manager/release_manager_template.yaml";
    change(place, conf, "listen_port: 10000", "listen_port: 0");
    let project = "manager/conf/project/project_definition_template.yaml";
    let actions = "actions: {count: count, lost: nowhere}";
    change(place, project, "#actions:\n#  migrate: migrate", actions);
    place.write("builder/generators/count.py", GENERATOR);
    let (manager, line) = serve(place, "manager", "listening on ");
    let url = line
        .split("listening on ")
        .nth(1)
        .unwrap()
        .trim()
        .to_owned();
    let host = "builder/conf/builder/build_host_template.yaml";
    change(place, host, "http://localhost:10000", &url);
    let (builder, _) = serve(place, "builder", "registered");
    (url, [builder, manager])
}

#[test]
fn an_action_runs_a_generator_on_the_source_and_makes_no_release() {
    let place = Place::new();
    let (url, _services) = start(&place);
    let client = place.write("client.py", CLIENT);
    let mut command = Command::new("python3");
    command.arg(client).args([&url, "count", "lost", "other"]);
    let ran = Ran::of(command.output().unwrap()).expect(0);
    let out = ran.stdout;
    for wanted in [
        "count BUILD_COMPLETED\n",
        "action completed count\n",
        "lost BUILD_FAILED\n",
        "there is no generator `nowhere`",
        "other REJECTED\n",
        "it has build, install, count, lost",
    ] {
        assert!(out.contains(wanted), "{wanted:?} is not in\n{out}");
    }
    assert!(out.ends_with("0 releases\n"), "{out}");
    let source = place
        .path()
        .join("builder/svn_checkout/template/site/index.html");
    let copy = place.path().join("copy");
    assert_eq!(fs::read(copy).unwrap(), fs::read(source).unwrap());
}

#[test]
fn a_release_is_deployed_from_the_manager_which_is_told_of_it() {
    let place = Place::new();
    let (url, _services) = start(&place);
    let windlass = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        Ran::of(command.env("WINDLASS_MANAGER", &url).output().unwrap())
    };
    windlass(&["request", "template", "--action", "build", "--wait"]).expect(0);
    let listed = windlass(&["releases", "--json"]).expect(0).stdout;
    let release = word_after(&listed, "\"release\": \"");
    let transaction = word_after(&listed, "\"transaction\": \"");
    place.write(
        "windlass.yaml",
        "platform: rolling\nenvironment: test\nservice:\n  template: {hosts: [local], destination: '@DIR@/tarballs', \
         install_location: '@DIR@/webapps', control: {start: 'true', stop: 'true'}}\n",
    );
    let missing = windlass(&["deploy", "--release", "template@none"]).expect(2);
    assert!(
        missing.stderr.contains("there is no release template@none"),
        "{}",
        missing.stderr
    );
    windlass(&["deploy", "--release", &release]).expect(0);
    let page = fs::read(place.path().join("webapps/template/index.html")).unwrap();
    let source = place
        .path()
        .join("builder/svn_checkout/template/site/index.html");
    assert_eq!(page, fs::read(source).unwrap());
    let history = windlass(&["history", &transaction]).expect(0).stdout;
    let told = history
        .lines()
        .find(|line| line.contains("deployed"))
        .unwrap();
    assert!(told.contains(&format!("{release} by tester@")), "{told}");
    assert!(told.ends_with("succeeded"), "{told}");
    // It runs already: nothing is done, so there is nothing to tell; and nothing is fetched again.
    windlass(&["deploy", "--release", &release]).expect(0);
    let history = windlass(&["history", &transaction]).expect(0).stdout;
    assert_eq!(history.matches("deployed").count(), 1, "{history}");
    // A package that was spoilt here is fetched again.
    let cache = place.path().join(".state/windlass/releases");
    let digest = fs::read_dir(cache).unwrap().next().unwrap().unwrap().path();
    let package = fs::read_dir(digest)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let whole = fs::read(&package).unwrap();
    fs::write(&package, vec![0; whole.len()]).unwrap();
    windlass(&["deploy", "--release", &release, "--redeploy"]).expect(0);
    assert_eq!(fs::read(&package).unwrap(), whole);
    let alone = place
        .windlass(&["deploy", "--component", "x", "--manager", &url])
        .expect(2);
    assert!(alone.stderr.contains("--release"), "{}", alone.stderr);
}

/// What stands between `before` and the next quotation mark.
fn word_after(text: &str, before: &str) -> String {
    let rest = text.split_once(before).unwrap().1;
    rest.split('"').next().unwrap().to_owned()
}
