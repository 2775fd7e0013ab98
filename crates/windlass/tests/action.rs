//! An action of a project's own, asked for by XML-RPC: a generator's tasklist on the checked-out source.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]
#![allow(clippy::panic, reason = "what tests share is a test, too")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::{Place, signal};

const GENERATOR: &str = r#"
from deployerlib.generator import Generator

class Count(Generator):
    """Tells what is in the source."""

    def generate(self):
        source = self.config["build_job"]["source"]
        line = "cp {}/site/index.html @DIR@/copy".format(source)
        task = {"command": "execute_command", "remote_host": "local", "run": line}
        return {"stages": [{"name": "Count", "concurrency": 1, "tasks": [task]}]}
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

#[test]
fn an_action_runs_a_generator_on_the_source_and_makes_no_release() {
    let place = Place::new();
    for kind in ["manager", "builder"] {
        place.windlass(&["generate", kind, kind]).expect(0);
    }
    let manager = "manager/conf/manager/release_manager_template.yaml";
    change(&place, manager, "listen_port: 10000", "listen_port: 0");
    let project = "manager/conf/project/project_definition_template.yaml";
    change(
        &place,
        project,
        "#actions:\n#  migrate: rolling",
        "actions: {count: count, lost: nowhere}",
    );
    place.write("builder/generators/count.py", GENERATOR);
    let (_manager, line) = serve(&place, "manager", "listening on ");
    let url = line.split("listening on ").nth(1).unwrap().trim();
    let host = "builder/conf/builder/build_host_template.yaml";
    change(&place, host, "http://localhost:10000", url);
    let (_builder, _) = serve(&place, "builder", "registered");
    let client = place.write("client.py", CLIENT);
    let ran = Command::new("python3")
        .arg(client)
        .args([url, "count", "lost", "other"])
        .output();
    let ran = ran.unwrap();
    let (out, err) = (
        String::from_utf8(ran.stdout).unwrap(),
        String::from_utf8(ran.stderr).unwrap(),
    );
    assert!(ran.status.success(), "{out}{err}");
    assert!(out.contains("count BUILD_COMPLETED\n"), "{out}");
    assert!(out.contains("action completed count\n"), "{out}");
    assert!(out.contains("lost BUILD_FAILED\n"), "{out}");
    assert!(
        out.contains("there is no build behaviour `nowhere`")
            || out.contains("there is no generator"),
        "{out}"
    );
    assert!(out.contains("other REJECTED\n"), "{out}");
    assert!(out.contains("it has build, install, count, lost"), "{out}");
    assert!(out.ends_with("0 releases\n"), "{out}");
    let source = place
        .path()
        .join("builder/svn_checkout/template/site/index.html");
    let copy = place.path().join("copy");
    assert_eq!(fs::read(copy).unwrap(), fs::read(source).unwrap());
}
