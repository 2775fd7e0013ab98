//! Zip archives, entry by entry: what stands before an entry and what the table of contents says of it need not agree.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// An entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name in the table of contents.
    pub name: Vec<u8>,
    /// The name that stands before its bytes, where that is another.
    pub local_name: Option<Vec<u8>>,
    /// Its kind and permissions, as Unix has them.
    pub mode: u32,
    /// Its bytes as they are kept.
    pub kept: Vec<u8>,
    /// 0 for bytes as they are, 8 for deflate.
    pub method: u16,
    /// The checksum that is claimed.
    pub crc: u32,
    /// The length that is claimed.
    pub size: u64,
    /// Flags; 0x0800 says that the name is UTF-8.
    pub flags: u16,
    /// The system that it says to be made on: 3 is Unix, 0 is DOS.
    pub system: u8,
    /// Extra fields of the table of contents.
    pub extra: Vec<u8>,
    /// Whether its bytes are those of the entry before it.
    pub shares: bool,
}

impl Entry {
    /// A file with these contents, kept as they are.
    pub fn file(name: impl AsRef<[u8]>, contents: &[u8]) -> Self {
        Self::of(0o100_644, name, contents)
    }

    /// A symbolic link.
    pub fn symlink(name: impl AsRef<[u8]>, target: &str) -> Self {
        Self::of(0o120_777, name, target.as_bytes())
    }

    /// Something of this mode.
    pub fn of(mode: u32, name: impl AsRef<[u8]>, contents: &[u8]) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            local_name: None,
            mode,
            kept: contents.to_vec(),
            method: 0,
            crc: crc(contents),
            size: contents.len() as u64,
            flags: 0,
            system: 3,
            extra: Vec::new(),
            shares: false,
        }
    }

    /// A file of so many times 16 MiB of zeros, deflated: a thousandth of its length.
    pub fn zeros(name: &str, times: u32) -> Self {
        let piece = vec![0; 16 << 20];
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        // A Vec takes everything. A flush ends the piece at a whole byte: it may be said again.
        let _ = encoder.write_all(&piece).and_then(|()| encoder.flush());
        let mut kept = encoder.get_ref().repeat(times as usize);
        // the last block, which is empty
        kept.extend([0x01, 0, 0, 0xff, 0xff]);
        let mut one = flate2::Crc::new();
        one.update(&piece);
        let mut sum = flate2::Crc::new();
        (0..times).for_each(|_| sum.combine(&one));
        Self {
            kept,
            method: 8,
            crc: sum.sum(),
            size: u64::from(times) << 24,
            ..Self::file(name, b"")
        }
    }

    /// With another name before its bytes.
    pub fn called_before(mut self, name: &str) -> Self {
        self.local_name = Some(name.into());
        self
    }
}

/// The checksum that zip uses.
pub fn crc(bytes: &[u8]) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(bytes);
    sum.sum()
}

/// An archive of these entries.
pub fn archive(entries: &[Entry]) -> Vec<u8> {
    let (mut out, mut table) = (Vec::new(), Vec::new());
    let mut begins = 0;
    for entry in entries {
        if !entry.shares {
            begins = out.len();
            let name = entry.local_name.as_ref().unwrap_or(&entry.name);
            out.extend(b"PK\x03\x04");
            common(&mut out, entry, name, 0);
            out.extend(name);
            out.extend(&entry.kept);
        }
        table.extend(b"PK\x01\x02");
        table.extend([20, entry.system]);
        common(&mut table, entry, &entry.name, entry.extra.len());
        // no comment; the first disk; binary
        table.extend([0; 6]);
        table.extend((entry.mode << 16).to_le_bytes());
        table.extend((begins as u32).to_le_bytes());
        table.extend(&entry.name);
        table.extend(&entry.extra);
    }
    let (at, count) = (out.len() as u32, (entries.len() as u16).to_le_bytes());
    let length = table.len() as u32;
    out.extend(table);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count);
    out.extend(count);
    out.extend(length.to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend([0, 0]);
    out
}

/// What stands in both places: from the version that is needed to the lengths of name and extra fields.
fn common(out: &mut Vec<u8>, entry: &Entry, name: &[u8], extra: usize) {
    out.extend([20, 0]);
    out.extend(entry.flags.to_le_bytes());
    out.extend(entry.method.to_le_bytes());
    // noon on the first day of 2020
    out.extend([0x00, 0x60, 0x21, 0x50]);
    out.extend(entry.crc.to_le_bytes());
    out.extend((entry.kept.len() as u32).to_le_bytes());
    out.extend((entry.size as u32).to_le_bytes());
    out.extend((name.len() as u16).to_le_bytes());
    out.extend((extra as u16).to_le_bytes());
}
