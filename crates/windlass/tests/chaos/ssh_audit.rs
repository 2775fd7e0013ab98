//! What is offered to a host over SSH, as `ssh-audit` judges it.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use windlass_testkit::chaos::Trial;

use crate::support::Place;

/// Where `./test` puts it.
const PROGRAM: &str = "../ssh-audit==3.9.0";
/// How long it may take to see one client.
const PATIENCE: Duration = Duration::from_secs(60);

/// An auditor that waits for one client, on a port.
fn auditor(report: &Path) -> (Child, u16) {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(PROGRAM);
    assert!(program.is_dir(), "./test installs {}", program.display());
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let child = Command::new("python3")
        .args([
            "-m",
            "ssh_audit",
            "--client-audit",
            "--json",
            "--timeout=60",
            "--port",
        ])
        .arg(port.to_string())
        .env("PYTHONPATH", program)
        .stdout(std::fs::File::create(report).unwrap())
        .stderr(Stdio::inherit())
        .spawn();
    (child.unwrap(), port)
}

/// What it says of Windlass, when known_hosts has this key of it.
fn audit(known_key: Option<&str>) -> Value {
    let place = Place::new();
    let report = place.path().join("report.json");
    let (mut auditor, port) = auditor(&report);
    let known = known_key.map(|key| format!("[127.0.0.1]:{port} {key}\n"));
    place.write("known_hosts", &known.unwrap_or_default());
    place.write(
        "ssh_config",
        &format!("Host audit\n  HostName 127.0.0.1\n  Port {port}\n  UserKnownHostsFile @DIR@/known_hosts\n"),
    );
    // It takes a moment until it listens, and it ends when it has seen a client.
    let begun = Instant::now();
    while auditor.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            auditor.kill().unwrap();
            auditor.wait().unwrap();
            panic!("no client came to the auditor");
        }
        let run = [
            "--ssh-config",
            "ssh_config",
            "run",
            "--hosts",
            "audit",
            "--",
            "true",
        ];
        assert_ne!(place.windlass(&run).status, 0);
    }
    serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap()
}

/// The algorithms of one kind, each with what is said of it in these words (`fail`, `warn`).
fn said<'a>(report: &'a Value, kind: &str, word: &str) -> Vec<(&'a str, usize)> {
    let all = report[kind].as_array().unwrap().iter();
    all.map(|one| {
        let notes = one["notes"][word].as_array().map_or(0, Vec::len);
        (one["algorithm"].as_str().unwrap(), notes)
    })
    .collect()
}

#[test]
fn ssh_audit_finds_no_algorithm_that_fails() {
    let trial = Trial::begin("ssh_audit");
    let ed25519 =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM239dQypK8txgm999YjizYPMKH2rr/EzXCrK3G7TpkO";
    for known in [None, Some(ed25519)] {
        let report = audit(known);
        let mut warned = 0;
        for kind in ["kex", "key", "enc", "mac"] {
            let all = said(&report, kind, "fail");
            assert!(!all.is_empty(), "{kind}");
            let failing: Vec<_> = all.iter().filter(|(_, count)| *count > 0).collect();
            assert!(failing.is_empty(), "{kind}: {failing:?}");
            warned += said(&report, kind, "warn")
                .iter()
                .filter(|(_, count)| *count > 0)
                .count();
            trial.say(format_args!(
                "{kind}: {}",
                all.iter()
                    .map(|(name, _)| *name)
                    .collect::<Vec<_>>()
                    .join(" ")
            ));
        }
        let known = known.map_or("an unknown host", |_| "a known host");
        trial.report(format_args!(
            "to {known}: 0 algorithms that fail, {warned} with a warning"
        ));
    }
}

#[test]
fn ssh_audit_is_believed_to_find_weak_ones() {
    // A host that is known by an ECDSA key is offered that kind: the test above would see it.
    let nist = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBDwCfFKJEuZpyotu37h3Vyi+45AuHe6zIeFP5i2Ku5NqdXw0OWlfIwHXoLNL6330mpR6jPnGx/scYwfy9Klt1sk=";
    let report = audit(Some(nist));
    let keys = said(&report, "key", "fail");
    let failing: Vec<&str> = keys
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, _)| *name)
        .collect();
    assert_eq!(failing, ["ecdsa-sha2-nistp256"]);
}
