//! How much work a look at hashed lines is.

use std::cell::Cell;

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use russh::keys::PublicKey;
use sha1::Sha1;

use super::{KnownHosts, Verdict};

thread_local! {
    /// Hashed names that were compared with a name.
    pub(super) static TRIED: Cell<usize> = const { Cell::new(0) };
}

const LINES: u32 = 20_000;

/// How many names were tried by this.
fn tried<T>(look: impl FnOnce() -> T) -> (T, usize) {
    TRIED.with(|tried| tried.set(0));
    let found = look();
    (found, TRIED.with(Cell::get))
}

fn key(n: u32) -> String {
    let name = b"ssh-ed25519";
    let mut bytes = Vec::new();
    let own = n.to_be_bytes().repeat(8);
    for part in [&name[..], &own[..]] {
        bytes.extend((part.len() as u32).to_be_bytes());
        bytes.extend(part);
    }
    format!("ssh-ed25519 {}", BASE64.encode(&bytes))
}

fn public(n: u32) -> PublicKey {
    PublicKey::from_openssh(&key(n)).unwrap()
}

fn hashed(name: &str, salt: u32, key: &str) -> String {
    let salt = salt.to_be_bytes().repeat(5);
    let mac = Hmac::<Sha1>::new_from_slice(&salt).unwrap();
    let hash = mac.chain_update(name).finalize().into_bytes();
    format!(
        "|1|{}|{} {key}\n",
        BASE64.encode(&salt),
        BASE64.encode(&hash)
    )
}

#[test]
fn of_twenty_thousand_hashed_lines_only_those_with_the_key_are_tried() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("known_hosts");
    let mut text: String = (0..LINES)
        .map(|n| hashed(&format!("host{n}"), n, &key(n)))
        .collect();
    // two hosts that were made from one image
    text.push_str(&hashed("twin", LINES, &key(7)));
    std::fs::write(&file, text).unwrap();
    let known = KnownHosts::load(&[file]).unwrap();
    for n in [0, 7, LINES - 1] {
        let (verdict, names) = tried(|| known.check(&format!("host{n}"), 22, &public(n)));
        assert_eq!(verdict, Verdict::Known);
        assert!(names <= 2, "{n}: {names}");
    }
    assert_eq!(known.check("twin", 22, &public(7)), Verdict::Known);
    let before = tried(|| {
        (
            known.likely_algorithms("host1", 22),
            known.has_authority("host1", 22),
        )
    });
    assert_eq!(
        before,
        ((vec![], false), 0),
        "nothing is tried before a key is shown"
    );
    // what is wrong is explained, by a look at all of them
    let (verdict, names) = tried(|| known.check("host1", 22, &public(2)));
    assert!(
        matches!(verdict, Verdict::Changed { line: 2, .. }),
        "{verdict:?}"
    );
    assert!(names > LINES as usize);
    assert_eq!(known.algorithms("host1", 22), ["ssh-ed25519"]);
}
