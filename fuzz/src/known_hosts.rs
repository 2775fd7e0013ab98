//! known_hosts: whatever else stands in the file, a revoked key is never taken, and a key that does not stand there is not known.

use std::sync::OnceLock;

use windlass_builtins::hosts::ssh::known_hosts::{KnownHosts, PublicKey, Verdict};

/// Names and ports that are looked up.
const HOSTS: [(&str, u16); 5] = [
    ("host", 22),
    ("host", 2222),
    ("a.example.org", 22),
    ("10.0.0.1", 22),
    ("::1", 2222),
];
const KEYS: [&str; 2] = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM239dQypK8txgm999YjizYPMKH2rr/EzXCrK3G7TpkO",
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBDwCfFKJEuZpyotu37h3Vyi+45AuHe6zIeFP5i2Ku5NqdXw0OWlfIwHXoLNL6330mpR6jPnGx/scYwfy9Klt1sk=",
];

/// See the module.
pub fn check(data: &[u8]) {
    static PARSED: OnceLock<Vec<PublicKey>> = OnceLock::new();
    let keys = PARSED.get_or_init(|| KEYS.map(|key| key.parse().expect("a key")).into());
    let text = String::from_utf8_lossy(data);
    let plain = KnownHosts::load(&[crate::file("known_hosts", data)]).expect("a file");
    for (key, written) in keys.iter().zip(KEYS) {
        let (_, body) = written.split_once(' ').expect("kind and key");
        for (host, port) in HOSTS {
            let verdict = plain.check(host, port, key);
            assert!(
                verdict != Verdict::Known || text.contains(body),
                "known from nowhere"
            );
            assert!(verdict == plain.check(host, port, key), "asked twice");
            let _ = (
                plain.algorithms(host, port),
                plain.has_authority(host, port),
            );
        }
    }
    // Revoked before all else, and after it.
    let revoked = format!("@revoked * {}\n", KEYS[0]).into_bytes();
    for all in [[&revoked, data].concat(), [data, b"\n", &revoked].concat()] {
        let known = KnownHosts::load(&[crate::file("known_hosts", &all)]).expect("a file");
        for (host, port) in HOSTS {
            let verdict = known.check(host, port, &keys[0]);
            assert!(matches!(verdict, Verdict::Revoked { .. }), "{verdict:?}");
        }
    }
}
