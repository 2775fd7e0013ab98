//! Members of odd kinds, and names that mean something to somebody.

use super::{List, Wants, tar};
use crate::archives::tar::Header;

/// Kinds of members.
pub(super) fn kinds(all: &mut List) {
    for (kind, what) in [(b'3', "a device"), (b'4', "a disk"), (b'6', "a pipe")] {
        all.add(
            Wants::Refused,
            what,
            tar().member(Header::new(kind, "x"), b""),
        );
        all.add(
            Wants::Refused,
            format!("{what} in a directory"),
            tar().dir("d").member(Header::new(kind, "d/x"), b""),
        );
    }
    for kind in [
        b'7', b'8', b'9', b'A', b'D', b'I', b'M', b'N', b'S', b'V', b'X', b'Z', b's', 0x7f, 0xff,
    ] {
        let what = format!("a member of the kind {kind:#x}");
        all.add(
            Wants::Inside,
            what.clone(),
            tar().member(Header::new(kind, "x"), b"y../../outside/victim\0\0"),
        );
        all.add(
            Wants::Inside,
            format!("{what} that climbs"),
            tar().member(Header::new(kind, "../evil"), b"x"),
        );
    }
}

/// The same name more than once.
pub(super) fn twice(all: &mut List) {
    use Wants::Inside;
    all.add(
        Inside,
        "a file twice",
        tar().file("x", b"1").file("x", b"2"),
    );
    all.add(
        Inside,
        "a file, then a directory",
        tar().file("x", b"1").dir("x").file("x/y", b"2"),
    );
    all.add(
        Inside,
        "a directory, then a file",
        tar().dir("x").file("x", b"1"),
    );
    all.add(
        Inside,
        "a full directory, then a file",
        tar().file("x/y", b"1").file("x", b"1"),
    );
    all.add(
        Inside,
        "a link, then what it leads to as a link",
        tar().symlink("x", "y").symlink("y", "x"),
    );
    all.add(
        Inside,
        "a name in several spellings",
        tar()
            .file("x", b"1")
            .file("./x", b"2")
            .file(".//x", b"3")
            .file("d/./x", b"4")
            .file("d//x", b"5"),
    );
    all.add(
        Inside,
        "names that differ by case",
        tar()
            .file("Readme", b"1")
            .file("README", b"2")
            .symlink("Link", "innocent")
            .file("link", b"3"),
    );
    all.add(
        Inside,
        "a thousand times the same",
        (0..1000).fold(tar(), |tar, n| tar.file("x", n.to_string().as_bytes())),
    );
}

/// Names that mean something to somebody.
pub(super) fn tricks(all: &mut List) {
    use Wants::{Inside, Refused};
    let inside: [&[u8]; 28] = [
        "u\u{308}mlaut and \u{fc}mlaut".as_bytes(),
        "\u{ff0e}\u{ff0e}/evil".as_bytes(),
        "\u{2024}\u{2024}/evil".as_bytes(),
        "a\u{2215}..\u{2215}..\u{2215}evil".as_bytes(),
        "right\u{202e}txt.sh".as_bytes(),
        "zero\u{200b}width".as_bytes(),
        b"\xc0\xae\xc0\xae/evil",
        b"\xc0\xae\xc0\xae\xc0\xafevil",
        b"\xff\xfe",
        b"-rf",
        b"--help",
        b"--checkpoint-action=exec=touch evil",
        b"--to-command=touch evil",
        b"$(touch evil)",
        b"`touch evil`",
        b"; touch evil;",
        b"'; touch evil; '",
        b"\"; touch evil; \"",
        b"$HOME",
        b"~",
        b"* ? [a-z]",
        b" leading and trailing ",
        b"...",
        b".windlass-abcdef/new",
        b".windlass/receipts/x",
        b"COM1",
        b"a -> ../../outside/victim",
        b"drwxr-xr-x root/root 0 1970-01-01 00:00 x",
    ];
    for name in inside {
        let shown = String::from_utf8_lossy(name).into_owned();
        all.add(
            Inside,
            format!("a file called {shown:?}"),
            tar().file(name, b"x"),
        );
        all.add(
            Inside,
            format!("a directory called {shown:?}"),
            tar().dir(name).file([name, b"/x"].concat(), b"x"),
        );
        all.add(
            Inside,
            format!("a link to {shown:?}"),
            tar().symlink("l", name),
        );
    }
    let refused: [&[u8]; 10] = [
        b"..\\evil",
        b"a\\..\\..\\evil",
        b"C:\\evil",
        b"C:/evil",
        b"a\n../evil",
        b"a\n/etc/passwd",
        b"a\rb",
        b"a\x07b",
        b"a\x1b[2Jb",
        b"a\x7fb",
    ];
    for name in refused {
        all.add(
            Refused,
            format!("a file called {:?}", String::from_utf8_lossy(name)),
            tar().file(name, b"x"),
        );
    }
    all.add(
        Inside,
        "a name that ends before it climbs",
        tar()
            .pax(b'x', &[("path", b"a\0/../../evil")])
            .file("x", b"evil"),
    );
    all.add(Inside, "no name", tar().file("", b"x"));
    all.add(
        Inside,
        "an empty pax name",
        tar().pax(b'x', &[("path", b"")]).file("x", b"x"),
    );
    all.add(Inside, "itself", tar().dir("./").dir("."));
}
