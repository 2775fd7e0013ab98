//! Tar archives, header by header: right ones, wrong ones, and every way in which a header may take back what another said.

/// Bytes of a block.
const BLOCK: usize = 512;

/// What the first bytes of a header say of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Magic {
    /// `ustar  `, as GNU tar writes it: no prefix.
    Gnu,
    /// `ustar` and version `00`, as POSIX has it: with a prefix.
    Posix,
    /// Nothing, as before 1988.
    None,
}

/// How a checksum is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// As it must be.
    Right,
    /// As some old tars wrote it, of signed bytes.
    Signed,
    /// Wrong.
    Wrong,
}

/// How a number is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Number {
    /// Octal digits.
    Octal(u64),
    /// GNU's base-256, for what is too large for octal digits.
    Binary(u64),
    /// As it comes: whatever is put where a number belongs.
    Text(Vec<u8>),
}

/// The header of a member.
#[derive(Clone, Debug)]
pub struct Header {
    /// The name; what does not fit is cut off.
    pub name: Vec<u8>,
    /// What comes before the name and a slash, where [`Magic::Posix`] is given.
    pub prefix: Vec<u8>,
    /// `0` a file, `1` a hard link, `2` a symbolic link, `3` and `4` devices, `5` a directory, `6` a pipe.
    pub kind: u8,
    /// What a link leads to.
    pub link: Vec<u8>,
    /// Permissions.
    pub mode: u32,
    /// Bytes that follow.
    pub size: Number,
    /// Seconds since 1970.
    pub mtime: Number,
    /// The name of the user.
    pub owner: Vec<u8>,
    /// What sort of header it is.
    pub magic: Magic,
    /// How its checksum is.
    pub checksum: Checksum,
}

impl Header {
    /// Of a member of this kind.
    pub fn new(kind: u8, name: impl AsRef<[u8]>) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            prefix: Vec::new(),
            kind,
            link: Vec::new(),
            mode: if kind == b'5' { 0o755 } else { 0o644 },
            size: Number::Octal(0),
            mtime: Number::Octal(1_600_000_000),
            owner: b"root".to_vec(),
            magic: Magic::Gnu,
            checksum: Checksum::Right,
        }
    }

    /// With a target.
    pub fn link(mut self, link: impl AsRef<[u8]>) -> Self {
        self.link = link.as_ref().to_vec();
        self
    }

    /// Its block.
    pub fn block(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        put(&mut block, 0, 100, &self.name);
        put(
            &mut block,
            100,
            8,
            format!("{:07o}\0", self.mode).as_bytes(),
        );
        put(&mut block, 108, 8, b"0000000\0");
        put(&mut block, 116, 8, b"0000000\0");
        number(&mut block, 124, &self.size);
        number(&mut block, 136, &self.mtime);
        put(&mut block, 148, 8, b"        ");
        put(&mut block, 156, 1, &[self.kind]);
        put(&mut block, 157, 100, &self.link);
        let magic: &[u8] = match self.magic {
            Magic::Gnu => b"ustar  \0",
            Magic::Posix => b"ustar\x0000",
            Magic::None => b"",
        };
        put(&mut block, 257, 8, magic);
        put(&mut block, 265, 32, &self.owner);
        put(&mut block, 297, 32, b"root");
        if matches!(self.kind, b'3' | b'4') {
            put(&mut block, 329, 8, b"0000001\0");
            put(&mut block, 337, 8, b"0000003\0");
        }
        if self.magic == Magic::Posix {
            put(&mut block, 345, 155, &self.prefix);
        }
        seal(&mut block, self.checksum);
        block
    }
}

/// Writes the checksum of a block into it.
pub fn seal(block: &mut [u8; BLOCK], how: Checksum) {
    put(block, 148, 8, b"        ");
    let sum: i64 = match how {
        Checksum::Signed => block.iter().map(|b| i64::from(*b as i8)).sum(),
        _ => block.iter().map(|b| i64::from(*b)).sum(),
    };
    let sum = sum.max(0) + i64::from(how == Checksum::Wrong);
    put(block, 148, 8, format!("{sum:06o}\0 ").as_bytes());
}

fn put(block: &mut [u8; BLOCK], at: usize, room: usize, bytes: &[u8]) {
    for (to, from) in block.iter_mut().skip(at).take(room).zip(bytes) {
        *to = *from;
    }
}

fn number(block: &mut [u8; BLOCK], at: usize, number: &Number) {
    match number {
        Number::Octal(n) => put(block, at, 12, format!("{n:011o}\0").as_bytes()),
        Number::Binary(n) => {
            put(block, at, 4, &[0x80, 0, 0, 0]);
            put(block, at + 4, 8, &n.to_be_bytes());
        }
        Number::Text(text) => put(block, at, 12, text),
    }
}

/// An archive that is being made.
#[derive(Clone, Debug, Default)]
pub struct Tar(Vec<u8>);

impl Tar {
    /// One without members.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes as they come.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A header and its body, filled up to whole blocks. The header says how long the body is, whatever it said before.
    pub fn member(self, mut header: Header, body: &[u8]) -> Self {
        header.size = Number::Octal(body.len() as u64);
        self.claiming(&header, body)
    }

    /// A header that says what it likes of its body's length.
    pub fn claiming(self, header: &Header, body: &[u8]) -> Self {
        let rest = body.len().next_multiple_of(BLOCK) - body.len();
        self.raw(&header.block()).raw(body).raw(&vec![0; rest])
    }

    /// A file.
    pub fn file(self, name: impl AsRef<[u8]>, body: &[u8]) -> Self {
        self.member(Header::new(b'0', name), body)
    }

    /// A directory.
    pub fn dir(self, name: impl AsRef<[u8]>) -> Self {
        self.member(Header::new(b'5', name), b"")
    }

    /// A symbolic link.
    pub fn symlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.member(Header::new(b'2', name).link(target), b"")
    }

    /// A hard link.
    pub fn hardlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.member(Header::new(b'1', name).link(target), b"")
    }

    /// GNU's header for a long name (`L`) or target (`K`) of the next member.
    pub fn long(self, kind: u8, text: impl AsRef<[u8]>) -> Self {
        let mut body = text.as_ref().to_vec();
        body.push(0);
        self.member(Header::new(kind, "././@LongLink"), &body)
    }

    /// POSIX's records for the next member (`x`) or all that follow (`g`).
    pub fn pax(self, kind: u8, records: &[(&str, &[u8])]) -> Self {
        let body: Vec<u8> = records.iter().flat_map(|(k, v)| record(k, v)).collect();
        let mut header = Header::new(kind, "PaxHeaders/x");
        header.magic = Magic::Posix;
        self.member(header, &body)
    }

    /// The archive, with the two empty blocks at its end.
    pub fn end(self) -> Vec<u8> {
        self.raw(&[0; 2 * BLOCK]).0
    }

    /// The archive as it is.
    pub fn cut(self) -> Vec<u8> {
        self.0
    }
}

/// A record of a pax header: its length in digits, which count themselves, then `key=value`.
pub fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    let mut record = format!("{length} {key}=").into_bytes();
    record.extend_from_slice(value);
    record.push(b'\n');
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_its_own_digits() {
        for length in [0, 1, 3, 4, 5, 90, 91, 92, 93, 990, 991] {
            let record = record("path", &vec![b'x'; length]);
            let text = String::from_utf8(record.clone()).unwrap_or_default();
            let (count, _) = text.split_once(' ').unwrap_or_default();
            assert_eq!(count.parse(), Ok(record.len()));
        }
    }

    #[test]
    fn blocks_are_whole() {
        let tar = Tar::new().file("a", b"b").pax(b'x', &[("path", b"c")]);
        assert_eq!(tar.clone().cut().len(), 4 * BLOCK);
        assert_eq!(tar.end().len(), 6 * BLOCK);
    }
}
