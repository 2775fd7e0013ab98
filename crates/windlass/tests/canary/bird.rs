//! What is planted as a secret, and how it is known again.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::process::Command;

use support::Place;

use crate::support;

/// How much of a chunk tells its secret.
const PIECE: usize = 8;

/// A secret that no other text holds by chance.
pub(crate) struct Bird {
    /// Where it is planted.
    pub(crate) name: &'static str,
    /// Its value.
    pub(crate) value: String,
    /// Random letters and digits in it: they look the same however the rest is escaped.
    chunks: Vec<String>,
    /// What a program printed of it: looked for as it is.
    printed: BTreeSet<String>,
}

impl Bird {
    /// With `between` its chunks.
    fn new(name: &'static str, between: &[&str]) -> Self {
        let chunks: Vec<String> = (0..=between.len()).map(|_| random(12)).collect();
        let mut value = chunks[0].clone();
        for (special, chunk) in between.iter().zip(&chunks[1..]) {
            value.push_str(special);
            value.push_str(chunk);
        }
        Self {
            name,
            value,
            chunks,
            printed: BTreeSet::new(),
        }
    }

    /// Everything that a text may hold.
    pub(crate) fn any(name: &'static str) -> Self {
        Self::new(
            name,
            &["'", "\"", "\\", "%", "+/=", "\n", "é ü", "$`", "\\n"],
        )
    }

    /// Everything that a header may hold, on one line.
    pub(crate) fn header(name: &'static str) -> Self {
        Self::new(name, &["'", "\"", "\\", "%", "+/=", " ", "$`"])
    }

    /// A URL of this machine.
    pub(crate) fn url(name: &'static str, before: &str) -> Self {
        let mut bird = Self::new(name, &["%41", "+", "/", "%2F"]);
        bird.value = format!("{before}{}", bird.value);
        bird
    }

    /// Hardly two letters together; known again by what `printer` makes of it.
    pub(crate) fn dense(place: &Place, printer: &str) -> Self {
        let letters = random(33);
        let specials = "'\"\\%+ /é$&<";
        let mut value = String::new();
        for (at, letter) in letters.chars().enumerate() {
            value.push(letter);
            value.extend(specials.chars().nth(at % 11));
        }
        let ran = Command::new("python3")
            .args(["-I", &place.at(printer)])
            .env("BIRD", &value)
            .env("DENSE", &value)
            .output()
            .unwrap();
        let text = String::from_utf8(ran.stdout).unwrap();
        let printed = text.lines().filter(|line| line.len() >= PIECE);
        Self {
            name: "dense",
            value,
            chunks: Vec::new(),
            printed: printed.map(str::to_owned).collect(),
        }
    }

    /// The environment variable that holds it.
    pub(crate) fn variable(&self) -> String {
        format!("BIRD_{}", self.name.to_uppercase())
    }
}

/// Birds that are looked for together.
pub(crate) struct Flock<'a> {
    pieces: HashMap<&'a [u8], &'static str>,
    printed: Vec<String>,
}

impl<'a> Flock<'a> {
    pub(crate) fn of(birds: &'a [Bird]) -> Self {
        let pieces = birds.iter().flat_map(|bird| {
            let chunks = bird.chunks.iter();
            chunks.flat_map(|chunk| {
                chunk
                    .as_bytes()
                    .windows(PIECE)
                    .map(|piece| (piece, bird.name))
            })
        });
        let printed = birds
            .iter()
            .flat_map(|bird| &bird.printed)
            .flat_map(|line| {
                let escaped = serde_json::to_string(line).unwrap();
                [line.clone(), escaped[1..escaped.len() - 1].to_owned()]
            });
        Self {
            pieces: pieces.collect(),
            printed: printed.collect(),
        }
    }

    /// The bird that `text` tells of, and what it tells.
    pub(crate) fn seen(&self, text: &[u8]) -> Option<(&'static str, String)> {
        let whole = String::from_utf8_lossy(text);
        let printed = self
            .printed
            .iter()
            .find(|line| whole.contains(line.as_str()));
        if let Some(line) = printed {
            return Some(("dense", line.clone()));
        }
        [text.to_owned()]
            .into_iter()
            .chain(from_hex(text))
            .chain(from_base64(text))
            .find_map(|text| {
                let mut windows = text.windows(PIECE);
                windows.find_map(|w| {
                    Some((
                        *self.pieces.get(w)?,
                        String::from_utf8_lossy(w).into_owned(),
                    ))
                })
            })
    }
}

/// Random letters and digits; those of escapes such as `\n` are not among them, which might stand before a piece by chance.
fn random(count: usize) -> String {
    const LETTERS: &[u8] = b"cdeghijkloqsvwyzABCDEFGHIJKLMNOPQRSTUVWXYZ456789";
    let letter = |_| {
        let random = RandomState::new().build_hasher().finish() as usize;
        char::from(LETTERS[random % LETTERS.len()])
    };
    (0..count).map(letter).collect()
}

/// The runs of bytes of a kind that are long enough to hold something.
fn runs(text: &[u8], is_one: impl Fn(u8) -> bool) -> Vec<Vec<u8>> {
    let runs = text
        .split(|byte| !is_one(*byte))
        .filter(|run| run.len() > PIECE);
    runs.map(<[u8]>::to_vec).collect()
}

/// Whatever hexadecimal digits stand for, blanks and colons between them passed over.
fn from_hex(text: &[u8]) -> Vec<Vec<u8>> {
    let lines = text.split(|byte| !(byte.is_ascii_hexdigit() || b" :".contains(byte)));
    let mut out = Vec::new();
    for line in lines.filter(|line| line.len() > PIECE) {
        let digits: Vec<u32> = line
            .iter()
            .filter_map(|b| char::from(*b).to_digit(16))
            .collect();
        for from in 0..2 {
            let pairs = digits.get(from..).unwrap_or_default().chunks_exact(2);
            out.push(pairs.map(|pair| (pair[0] * 16 + pair[1]) as u8).collect());
        }
    }
    out
}

/// Whatever base64 stands for, wherever it begins.
fn from_base64(text: &[u8]) -> Vec<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    };
    let mut out = Vec::new();
    for run in runs(text, |byte| digit(byte).is_some()) {
        for from in 0..4 {
            let digits = run.get(from..).unwrap_or_default().chunks_exact(4);
            out.push(
                digits
                    .flat_map(|four| {
                        let bits = four
                            .iter()
                            .fold(0u32, |bits, b| bits << 6 | u32::from(digit(*b).unwrap()));
                        [bits >> 16, bits >> 8, bits].map(|byte| byte as u8)
                    })
                    .collect(),
            );
        }
    }
    out
}

#[test]
fn a_bird_is_known_again() {
    let birds = [Bird::any("x")];
    let (bird, flock) = (&birds[0], Flock::of(&birds));
    for seen in [
        bird.value.clone(),
        format!("u:{}", &bird.value[20..40]),
        bird.value.bytes().map(|b| format!("{b:02X} ")).collect(),
    ] {
        assert!(flock.seen(seen.as_bytes()).is_some(), "{seen}");
    }
    let line = "printf 'me:%s!' \"$X\" | base64 -w 0";
    let ran = Command::new("sh")
        .args(["-c", line])
        .env("X", &bird.value)
        .output();
    assert!(flock.seen(&ran.unwrap().stdout).is_some());
    assert!(flock.seen(b"nothing of it").is_none());
}
