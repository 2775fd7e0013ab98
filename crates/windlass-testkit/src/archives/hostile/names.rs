//! Names that lead outside, in every way of writing a name.

use super::{List, Wants, climbing, tar};
use crate::archives::tar::{Header, Magic};

/// Every climbing name, in every way of writing a name.
pub(super) fn add(all: &mut List, outside: &str) {
    use Wants::Refused;
    for name in climbing(outside) {
        let short = name.len() <= 100;
        if short {
            all.add(
                Refused,
                format!("a file {name}"),
                tar().file(&name, b"evil"),
            );
            all.add(Refused, format!("a directory {name}"), tar().dir(&name));
            let mut old = Header::new(0, &name);
            old.magic = Magic::None;
            all.add(
                Refused,
                format!("an old file {name}"),
                tar().member(old, b"evil"),
            );
            let kept = Header::new(b'7', &name);
            all.add(
                Refused,
                format!("a contiguous file {name}"),
                tar().member(kept, b"evil"),
            );
        }
        if let Some((prefix, last)) = name
            .rsplit_once('/')
            .filter(|(p, l)| !p.is_empty() && !l.is_empty())
        {
            let mut split = Header::new(b'0', last);
            split.magic = Magic::Posix;
            split.prefix = prefix.into();
            all.add(
                Refused,
                format!("a prefix and a file {name}"),
                tar().member(split, b"evil"),
            );
        }
        let bytes = name.as_bytes();
        all.add(
            Refused,
            format!("GNU's long name {name}"),
            tar().long(b'L', &name).file("x", b"evil"),
        );
        all.add(
            Refused,
            format!("a pax name {name}"),
            tar().pax(b'x', &[("path", bytes)]).file("x", b"evil"),
        );
        all.add(
            Refused,
            format!("a global pax name {name}"),
            tar().pax(b'g', &[("path", bytes)]).file("x", b"evil"),
        );
        // Two that disagree: whichever is heeded.
        all.add(
            Wants::Inside,
            format!("GNU's long name and a pax name {name}"),
            tar()
                .pax(b'x', &[("path", bytes)])
                .long(b'L', "harmless")
                .file("x", b"evil"),
        );
        all.add(
            Wants::Inside,
            format!("a pax name and GNU's long name {name}"),
            tar()
                .long(b'L', &name)
                .pax(b'x', &[("path", b"harmless")])
                .file("x", b"evil"),
        );
        all.add(
            Wants::Inside,
            format!("a sparse file called {name}"),
            tar()
                .pax(
                    b'x',
                    &[
                        ("GNU.sparse.major", b"1"),
                        ("GNU.sparse.minor", b"0"),
                        ("GNU.sparse.name", bytes),
                        ("GNU.sparse.realsize", b"4"),
                    ],
                )
                .file("x", b"1\n0\n4\nevil"),
        );
    }
}
