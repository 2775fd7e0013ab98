//! Much out of little.

use super::{List, Wants, gzip, tar};
use crate::archives::tar::{Checksum, Header, Number, seal};
use crate::archives::zip::Entry;

/// All of it.
pub(super) fn add(all: &mut List) {
    use Wants::Refused;
    let zeros = Header {
        size: Number::Binary(1 << 30),
        ..Header::new(b'0', "zeros")
    };
    let mut body = gzip(&tar().raw(&zeros.block()).cut());
    let piece = gzip(&vec![0; 16 << 20]);
    (0..64).for_each(|_| body.extend(&piece));
    body.extend(gzip(&[0; 1024]));
    all.bytes(Refused, "a gigabyte of zeros, compressed", ".tar.gz", body);
    // GNU's old form: no data, and at 483 the size that the file is to have
    let mut block = Header::new(b'S', "hole").block();
    let size = [&[0x80, 0, 0, 0][..], &BOMB.to_be_bytes()].concat();
    block
        .iter_mut()
        .skip(483)
        .zip(size)
        .for_each(|(to, from)| *to = from);
    seal(&mut block, Checksum::Right);
    all.add(Refused, "a sparse file of a terabyte", tar().raw(&block));
    let size = BOMB.to_string();
    let records: [(&str, &[u8]); 4] = [
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"hole"),
        ("GNU.sparse.realsize", size.as_bytes()),
    ];
    all.add(
        Refused,
        "a pax sparse file of a terabyte",
        tar()
            .pax(b'x', &records)
            .file("x", &[b"1\n0\n1\n0\n0\n".as_slice(), &[0; 500]].concat()),
    );
    let file = Entry::zeros("zeros-0", 64);
    let mut entries = vec![file.clone()];
    entries.extend((1..400).map(|n| Entry {
        name: format!("zeros-{n}").into(),
        shares: true,
        ..file.clone()
    }));
    all.zip(
        Refused,
        "four hundred gigabytes of zeros in a stream that all entries share",
        &entries,
    );
    let lying = Entry {
        size: 10,
        ..Entry::zeros("zeros", 64)
    };
    all.zip(
        Refused,
        "a gigabyte of zeros that says it has ten bytes",
        &[Entry::file("innocent", b"x"), lying],
    );
}

/// A terabyte.
const BOMB: u64 = 1 << 40;
