//! Tar archives that nobody would make: members of all kinds under a few names, so that they meet, written in every way.

use super::tar::{Checksum, Header, Magic, Number, Tar, seal};
use crate::chaos::Numbers;

/// Parts of names.
const PARTS: [&str; 14] = [
    "a",
    "b",
    "dir",
    "link",
    "a",
    "dir",
    "x.txt",
    "..two",
    ".hidden",
    "ü",
    "b c",
    "-n",
    "A",
    "long-long-long-long-long-long",
];

/// One of them; the same for the same numbers. Half of them are what a release might be.
pub fn tar(numbers: &mut Numbers) -> Vec<u8> {
    let hostile = numbers.percent(50);
    let mut tar = Tar::new();
    let members = 1 + numbers.below(10);
    for _ in 0..members {
        tar = member(tar, numbers, hostile);
    }
    let mut bytes = match numbers.percent(90) {
        true => tar.end(),
        false => tar.cut(),
    };
    if hostile && numbers.percent(20) {
        damage(&mut bytes, numbers);
    }
    bytes
}

fn member(tar: Tar, numbers: &mut Numbers, hostile: bool) -> Tar {
    let name = path(numbers, hostile);
    let kind = match numbers.below(if hostile { 24 } else { 20 }) {
        0..=9 => b'0',
        10..=12 => b'5',
        13..=15 => b'2',
        16..=17 => b'1',
        18 => 0,
        19 => b'7',
        20 => b'6',
        21 => b'3',
        22 => b'S',
        _ => numbers.below(256) as u8,
    };
    let link = match kind {
        b'1' | b'2' => path(numbers, hostile),
        _ => String::new(),
    };
    let mut header = Header::new(kind, "").link(&link);
    header.mode = match kind {
        b'5' => 0o755,
        _ => *numbers
            .pick(&[0o644, 0o755, 0o600, 0o444, 0o4755])
            .unwrap_or(&0o644),
    };
    let body = match kind {
        b'1' | b'2' | b'5' | b'6' | b'3' => Vec::new(),
        _ => {
            let length = *numbers.pick(&[0, 1, 511, 512, 513, 1500]).unwrap_or(&0);
            let byte = b'a' + numbers.below(26) as u8;
            vec![byte; length]
        }
    };
    let tar = named(tar, &mut header, &name, numbers);
    let tar = match (link.len() > 100, numbers.percent(10)) {
        (true, _) => tar.long(b'K', &link),
        (false, true) if !link.is_empty() => tar.pax(b'x', &[("linkpath", link.as_bytes())]),
        _ => tar,
    };
    if hostile && numbers.percent(3) {
        header.size = Number::Octal(numbers.below(3000));
        return tar.claiming(&header, &body);
    }
    if numbers.percent(5) {
        header.size = Number::Binary(body.len() as u64);
        return tar.claiming(&header, &body);
    }
    if numbers.percent(3) {
        let comment = [("comment", b"x".as_slice())];
        return tar.pax(b'g', &comment).member(header, &body);
    }
    tar.member(header, &body)
}

/// Gives a header a name, in one of the ways there are.
fn named(tar: Tar, header: &mut Header, name: &str, numbers: &mut Numbers) -> Tar {
    let split = name
        .match_indices('/')
        .map(|(at, _)| at)
        .find(|at| name.len() - at <= 100);
    match numbers.below(10) {
        0 => {
            header.name = b"instead".into();
            tar.long(b'L', name)
        }
        1 => {
            header.name = b"instead".into();
            header.magic = Magic::Posix;
            tar.pax(
                b'x',
                &[("path", name.as_bytes()), ("mtime", b"1600000000.5")],
            )
        }
        2 | 3 => match split.map(|at| name.split_at(at)) {
            Some((prefix, rest)) if !prefix.is_empty() && prefix.len() <= 155 && rest.len() > 1 => {
                header.magic = Magic::Posix;
                header.prefix = prefix.into();
                header.name = rest.trim_start_matches('/').into();
                tar
            }
            _ => plain(tar, header, name),
        },
        4 => {
            header.magic = Magic::None;
            plain(tar, header, name)
        }
        _ => plain(tar, header, name),
    }
}

fn plain(tar: Tar, header: &mut Header, name: &str) -> Tar {
    header.name = name.into();
    match name.len() > 100 {
        true => tar.long(b'L', name),
        false => tar,
    }
}

fn path(numbers: &mut Numbers, hostile: bool) -> String {
    let mut path = String::new();
    if hostile && numbers.percent(4) {
        path.push('/');
    }
    let parts = if numbers.percent(2) {
        20
    } else {
        1 + numbers.below(3)
    };
    for n in 0..parts {
        if n > 0 {
            path.push('/');
        }
        let odd = hostile && numbers.percent(8);
        let part = match odd {
            true => numbers.pick(&["..", ".", "", "a\\..", "a -> b", "l\u{7}"]),
            false => numbers.pick(&PARTS),
        };
        path.push_str(part.unwrap_or(&"a"));
    }
    if numbers.percent(5) {
        path.insert_str(0, "./");
    }
    if numbers.percent(3) {
        path.push('/');
    }
    path
}

/// Changes a byte or two, mostly of headers, and mostly so that the checksum is right again.
fn damage(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    for _ in 0..=numbers.below(2) {
        let blocks = bytes.len() as u64 / 512;
        let begin = numbers.below(blocks) as usize * 512;
        let at = begin + numbers.below(512) as usize;
        let new = *numbers
            .pick(&[0, b'/', b'.', b'0', b'7', 0xff, b'\n', b' '])
            .unwrap_or(&0);
        if let Some(byte) = bytes.get_mut(at) {
            *byte = new;
        }
        let block = bytes
            .get_mut(begin..begin + 512)
            .and_then(|b| <&mut [u8; 512]>::try_from(b).ok());
        if let Some(block) = block.filter(|_| numbers.percent(80)) {
            seal(block, Checksum::Right);
        }
    }
    if numbers.percent(30) {
        let length = numbers.below(bytes.len() as u64) as usize;
        bytes.truncate(length);
    }
}
