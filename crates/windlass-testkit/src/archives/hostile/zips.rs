//! Zip archives.

use super::{List, Wants, climbing};
use crate::archives::zip::{self, Entry};

/// All of them.
pub(super) fn add(all: &mut List, outside: &str) {
    use Wants::{Inside, Refused};
    let innocent = || Entry::file("innocent", b"innocent");
    for name in climbing(outside) {
        all.zip(
            Refused,
            format!("a zip with {name}"),
            &[innocent(), Entry::file(&name, b"evil")],
        );
        let utf8 = Entry {
            flags: 0x0800,
            ..Entry::file(&name, b"evil")
        };
        all.zip(
            Refused,
            format!("a zip with {name} in UTF-8"),
            &[innocent(), utf8],
        );
        let dos = Entry {
            system: 0,
            ..Entry::file(name.replace('/', "\\"), b"evil")
        };
        all.zip(
            Inside,
            format!("a zip with {name} as DOS writes it"),
            &[innocent(), dos],
        );
        all.zip(
            Inside,
            format!("a zip that calls x {name} before its bytes"),
            &[innocent(), Entry::file("x", b"evil").called_before(&name)],
        );
        // The bytes are where both agree that they are: busybox heeds the harmless name only.
        all.zip(
            Inside,
            format!("a zip that calls {name} x before its bytes"),
            &[innocent(), Entry::file(&name, b"evil").called_before("x")],
        );
        let extra = unicode_path("x", &name);
        all.zip(
            Inside,
            format!("a zip with {name} in a field of its own"),
            &[
                innocent(),
                Entry {
                    extra,
                    ..Entry::file("x", b"evil")
                },
            ],
        );
    }
    for target in [
        "..",
        "../../outside",
        "d/../../../outside",
        outside,
        &format!("{outside}/victim"),
    ] {
        all.zip(
            Refused,
            format!("a zip with a link to {target}"),
            &[innocent(), Entry::symlink("l", target)],
        );
        all.zip(
            Refused,
            format!("a zip with a file through a link to {target}"),
            &[
                innocent(),
                Entry::symlink("l", target),
                Entry::file("l/evil", b"evil"),
            ],
        );
        all.zip(
            Refused,
            format!("a zip with a file in the place of a link to {target}"),
            &[
                Entry::symlink("l", target),
                Entry::file("l", b"evil"),
                Entry::symlink("m", target),
            ],
        );
    }
    for (mode, what) in [
        (0o020_644, "a device"),
        (0o060_644, "a disk"),
        (0o010_644, "a pipe"),
        (0o140_644, "a socket"),
        (0o106_755, "a set-user program"),
    ] {
        all.zip(
            Inside,
            format!("a zip with {what}"),
            &[innocent(), Entry::of(mode, "x", b"x")],
        );
    }
    for name in ["a\n../evil", "a\u{7}b", "a\u{1b}[2Jb"] {
        all.zip(
            Inside,
            format!("a zip with {name:?}"),
            &[innocent(), Entry::file(name, b"x")],
        );
    }
    for name in [
        "-rf",
        "$(touch evil)",
        "`touch evil`",
        "'; touch evil; '",
        "* ? [a-z]",
        "\u{ff0e}\u{ff0e}/evil",
        "[x]",
        "^..",
        "a:b",
    ] {
        all.zip(
            Inside,
            format!("a zip with {name:?}"),
            &[
                innocent(),
                Entry {
                    flags: 0x0800,
                    ..Entry::file(name, b"x")
                },
            ],
        );
    }
    all.zip(
        Inside,
        "a zip with a file twice",
        &[Entry::file("x", b"1"), Entry::file("x", b"2")],
    );
    all.zip(
        Inside,
        "a zip with names that differ by case",
        &[Entry::file("x", b"1"), Entry::file("X", b"2")],
    );
    all.zip(
        Inside,
        "a zip with a file and a directory of one name",
        &[Entry::file("x", b"1"), Entry::file("x/y", b"2")],
    );
    all.zip(
        Inside,
        "a zip with a wrong checksum",
        &[
            innocent(),
            Entry {
                crc: 1,
                ..Entry::file("x", b"1")
            },
        ],
    );
    all.zip(
        Inside,
        "a zip of an unknown method",
        &[
            innocent(),
            Entry {
                method: 99,
                ..Entry::file("x", b"1")
            },
        ],
    );
    all.zip(
        Inside,
        "a zip that is encrypted",
        &[
            innocent(),
            Entry {
                flags: 1,
                ..Entry::file("x", b"0123456789abcdef")
            },
        ],
    );
    all.zip(
        Inside,
        "a zip with a long name",
        &[innocent(), Entry::file("n".repeat(5000), b"1")],
    );
    all.zip(
        Inside,
        "a zip that is deep",
        &[innocent(), Entry::file("d/".repeat(2000) + "x", b"1")],
    );
    all.zip(Inside, "a zip without entries", &[]);
    let whole = zip::archive(&[innocent(), Entry::file("d/x", &[b'x'; 500])]);
    for at in [1, 4, 30, 100, 500, whole.len() - 23, whole.len() - 1] {
        let cut = whole.get(..at).unwrap_or_default().to_vec();
        all.bytes(Inside, format!("a zip cut off at {at}"), ".zip", cut);
    }
    let evil = zip::archive(&[Entry::file("../evil", b"evil")]);
    all.bytes(
        Refused,
        "a zip behind another",
        ".zip",
        [zip::archive(&[innocent()]), evil.clone()].concat(),
    );
    all.bytes(
        Refused,
        "a zip behind rubbish",
        ".zip",
        [vec![0xAA; 700], evil].concat(),
    );
}

/// Info-ZIP's field for a name in UTF-8 beside the plain one.
fn unicode_path(plain: &str, name: &str) -> Vec<u8> {
    let mut field = vec![1];
    field.extend(zip::crc(plain.as_bytes()).to_le_bytes());
    field.extend(name.as_bytes());
    let mut extra = b"up".to_vec();
    extra.extend((field.len() as u16).to_le_bytes());
    extra.extend(field);
    extra
}
