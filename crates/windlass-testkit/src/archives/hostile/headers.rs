//! Headers that lie, archives that end too early or go on too long, and names of any length.

use super::{List, Wants, gzip, tar};
use crate::archives::tar::{Checksum, Header, Magic, Number, Tar};

/// Headers that lie.
pub(super) fn lies(all: &mut List, outside: &str) {
    use Wants::Inside;
    let with = |change: &dyn Fn(&mut Header)| {
        let mut header = Header::new(b'0', "x");
        change(&mut header);
        header
    };
    let sizes: [(&str, Number); 9] = [
        ("a huge size", Number::Octal(0o77_777_777_777)),
        ("a huge size in binary", Number::Binary(1 << 62)),
        ("the largest size", Number::Binary(u64::MAX)),
        ("a negative size", Number::Text(vec![0xff; 12])),
        ("a size of eights", Number::Text(b"88888888888\0".to_vec())),
        (
            "a size with a sign",
            Number::Text(b"-0000000001\0".to_vec()),
        ),
        ("a size of spaces", Number::Text(b"           \0".to_vec())),
        ("a size beyond the file", Number::Octal(1 << 20)),
        ("a small size in binary", Number::Binary(4)),
    ];
    for (what, size) in sizes {
        all.add(
            Inside,
            what,
            tar().claiming(&with(&|h| h.size = size.clone()), b"evil"),
        );
        let mut link = Header::new(b'2', "l").link("innocent");
        link.size = size;
        all.add(
            Inside,
            format!("a link with {what}"),
            tar().claiming(&link, b"evil").file("y", b"y"),
        );
    }
    for (key, value) in [
        ("size", "-1"),
        ("size", "99999999999999999999"),
        ("size", "x"),
        ("size", "1000000"),
        ("mtime", "1e400"),
        ("mtime", "-99999999999"),
        ("uid", "-1"),
        ("charset", "x"),
        ("path", "x/"),
        ("SCHILY.xattr.user.x", "y"),
    ] {
        all.add(
            Inside,
            format!("a pax record {key}={value}"),
            tar().pax(b'x', &[(key, value.as_bytes())]).file("x", b"x"),
        );
    }
    for (what, body) in [
        ("without end", "11 path=../"),
        ("of length 0", "0 path=../evil\n"),
        ("of a huge length", "99999999999999999999 path=../evil\n"),
        ("of a negative length", "-5 path=../evil\n"),
        ("without an equals sign", "12 ../evilx\n"),
        ("of the wrong length", "30 path=../evil\n"),
        ("after a space", " 16 path=../evil\n"),
    ] {
        let mut header = Header::new(b'x', "PaxHeaders/x");
        header.magic = Magic::Posix;
        all.add(
            Inside,
            format!("a pax record {what}"),
            tar().member(header, body.as_bytes()).file("x", b"x"),
        );
    }
    for checksum in [Checksum::Wrong, Checksum::Signed] {
        let header = with(&|h| {
            h.checksum = checksum;
            h.name = "\u{fc}".into();
        });
        all.add(
            Inside,
            format!("a checksum that is {checksum:?}"),
            tar().member(header.clone(), b"x").file("y", b"y"),
        );
        all.add(
            Inside,
            format!("a first checksum that is {checksum:?}"),
            Tar::new().member(header, b"x").file("y", b"y"),
        );
    }
    let times = [
        Number::Binary(u64::MAX),
        Number::Binary(1 << 60),
        Number::Octal(0),
        Number::Text(b"never\0".to_vec()),
        Number::Text(vec![0xff; 12]),
    ];
    for mtime in times {
        all.add(
            Inside,
            format!("a time of {mtime:?}"),
            tar().member(with(&|h| h.mtime = mtime.clone()), b"x"),
        );
    }
    for owner in [
        "a b",
        "root/root 0 1970-01-01 00:00 y -> /etc",
        "a\nb",
        "/",
        "\u{7}",
    ] {
        all.add(
            Inside,
            format!("an owner called {owner:?}"),
            tar().member(with(&|h| h.owner = owner.into()), b"x"),
        );
        let mut link = Header::new(b'2', "d/l").link("../../../outside/victim");
        link.owner = owner.into();
        all.add(
            Wants::Refused,
            format!("a link out of an owner called {owner:?}"),
            tar().member(link, b""),
        );
    }
    for mode in [0o6777, 0o1777, 0, 0o111, 0o7_777_777] {
        all.add(
            Inside,
            format!("a file of mode {mode:o}"),
            tar().member(with(&|h| h.mode = mode), b"x"),
        );
        let mut dir = Header::new(b'5', "d");
        dir.mode = mode;
        all.add(
            Inside,
            format!("a directory of mode {mode:o}"),
            tar().member(dir, b"").file("d/x", b"x"),
        );
    }
    let evil = Tar::new()
        .file("../evil", b"evil")
        .file(format!("{outside}/evil"), b"evil")
        .cut();
    all.add(
        Inside,
        "more after its end",
        tar().raw(&[0; 1024]).raw(&evil),
    );
    all.add(
        Inside,
        "more after an empty block",
        tar().raw(&[0; 512]).raw(&evil),
    );
    all.add(
        Inside,
        "rubbish after its end",
        tar().raw(&[0; 1024]).raw(&[0xAA; 1500]),
    );
    all.add(
        Inside,
        "rubbish amid",
        tar().raw(&[0xAA; 512]).file("y", b"y"),
    );
    all.add(
        Inside,
        "another archive as a file",
        tar().file("inner.tar", &evil),
    );
    let whole = tar().file("d/x", &[b'x'; 3000]).symlink("l", "d").end();
    for at in [1, 100, 511, 512, 513, 1000, 1024, 1300, 1536, 2000, 5000] {
        let cut = whole.get(..at).unwrap_or(&whole).to_vec();
        all.bytes(
            Inside,
            format!("an archive cut off at {at}"),
            ".tar",
            cut.clone(),
        );
        all.bytes(
            Inside,
            format!("an archive cut off at {at}, compressed"),
            ".tar.gz",
            gzip(&cut),
        );
    }
    let mut packed = gzip(&whole);
    packed.truncate(packed.len() / 2);
    all.bytes(Inside, "half a compressed archive", ".tar.gz", packed);
}

/// Names that are too long, and trees that are too deep.
pub(super) fn lengths(all: &mut List) {
    use Wants::Inside;
    for length in [255, 256, 4095, 4096, 5000, 100_000] {
        let name = "n".repeat(length);
        all.add(
            Inside,
            format!("a name of {length} bytes"),
            tar().long(b'L', &name).file("x", b"x"),
        );
        all.add(
            Inside,
            format!("a pax name of {length} bytes"),
            tar()
                .pax(b'x', &[("path", name.as_bytes())])
                .file("x", b"x"),
        );
        all.add(
            Inside,
            format!("a target of {length} bytes"),
            tar().long(b'K', &name).symlink("l", "x"),
        );
    }
    for depth in [100, 1000, 2000, 5000] {
        let name = "d/".repeat(depth);
        all.add(
            Inside,
            format!("{depth} directories in each other"),
            tar().long(b'L', format!("{name}x")).file("x", b"x"),
        );
    }
    let up = format!("{}{}", "d/".repeat(300), "../".repeat(301));
    all.add(
        Wants::Refused,
        "a long way down and a longer one up",
        tar().long(b'L', format!("{up}evil")).file("x", b"x"),
    );
}
