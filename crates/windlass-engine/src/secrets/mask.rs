//! Finds values in texts, in every form and in pieces.

use std::ops::Range;

use zeroize::Zeroizing;

use super::forms::forms;

/// What is shown in the place of a value.
pub(super) const SHOWN: &str = "***";
/// Values shorter than this are not looked for, in bytes: they would blacken every text.
const SHORTEST: usize = 4;
/// The length of a piece that tells its value, in bytes.
const PIECE: usize = 8;
/// A piece of fewer different bytes (a line of dashes, an indentation) tells nothing.
const VARIETY: usize = 4;
/// Bits of the table that most places of a text are passed over by.
const TABLE: u32 = 16;

/// What is looked for.
#[derive(Default)]
pub(super) struct Mask {
    /// Forms that are only found as a whole, the longest first.
    whole: Zeroizing<Vec<String>>,
    /// Every piece of the others, sorted.
    pieces: Zeroizing<Vec<u64>>,
    /// A bit for the hash of each piece.
    table: Zeroizing<Vec<u64>>,
}

impl Mask {
    /// Looks for these values.
    pub(super) fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut mask = Self::default();
        for value in values.into_iter().filter(|value| value.len() >= SHORTEST) {
            let lines = value
                .lines()
                .map(str::trim)
                .filter(|line| line.len() >= SHORTEST);
            let parts = parts(value);
            for form in forms(value).into_iter().chain(lines.map(str::to_owned)) {
                let is_cut = parts != [value]
                    || form.len() < PIECE
                    || pieces(form.as_bytes()).any(|p| p.is_none());
                if is_cut && form.len() >= SHORTEST {
                    mask.whole.push(form);
                }
            }
            for form in parts.into_iter().flat_map(forms) {
                mask.pieces.extend(pieces(form.as_bytes()).flatten());
            }
        }
        mask.whole
            .sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        mask.whole.dedup();
        mask.pieces.sort_unstable();
        mask.pieces.dedup();
        if !mask.pieces.is_empty() {
            mask.table.resize(1 << (TABLE - 6), 0);
        }
        for at in mask.pieces.iter().map(|piece| hash(*piece)) {
            if let Some(word) = mask.table.get_mut(at >> 6) {
                *word |= 1 << (at & 63);
            }
        }
        mask
    }

    /// The text without them.
    pub(super) fn apply(&self, text: String) -> String {
        let mut found = self.found(&text);
        if found.is_empty() {
            return text;
        }
        found.sort_unstable_by_key(|range| range.start);
        let mut out = String::with_capacity(text.len());
        let mut end = None;
        for range in found {
            // one mark for all that touches
            if end.is_none_or(|end| range.start > end) {
                out.push_str(text.get(end.unwrap_or(0)..range.start).unwrap_or_default());
                out.push_str(SHOWN);
            }
            end = end.max(Some(range.end));
        }
        out.push_str(text.get(end.unwrap_or(0)..).unwrap_or_default());
        out
    }

    /// Where something stands that is not to be shown, at the bounds of characters.
    fn found(&self, text: &str) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        for form in self.whole.iter().filter(|form| form.len() <= text.len()) {
            found.extend(
                text.match_indices(form.as_str())
                    .map(|(at, form)| at..at + form.len()),
            );
        }
        if self.pieces.is_empty() {
            return found;
        }
        for (at, piece) in text.as_bytes().windows(PIECE).enumerate() {
            if !number(piece).is_some_and(|piece| self.has(piece)) {
                continue;
            }
            let (start, end) = (
                text.floor_char_boundary(at),
                text.ceil_char_boundary(at + PIECE),
            );
            match found.last_mut() {
                Some(last) if last.start <= start && start <= last.end => {
                    last.end = last.end.max(end)
                }
                _ => found.push(start..end),
            }
        }
        found
    }

    fn has(&self, piece: u64) -> bool {
        let at = hash(piece);
        let word = self.table.get(at >> 6).copied().unwrap_or_default();
        word & (1 << (at & 63)) != 0 && self.pieces.binary_search(&piece).is_ok()
    }
}

/// The parts of a value that are secret by themselves: of a URL not its scheme, host and port, which messages are full of.
fn parts(value: &str) -> Vec<&str> {
    let is_scheme = |word: &&str| {
        !word.is_empty()
            && word
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c))
    };
    let Some((_, rest)) = value
        .split_once("://")
        .filter(|(scheme, _)| is_scheme(scheme))
    else {
        return vec![value];
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((user, _)) => vec![user, path],
        None => vec![path],
    }
}

/// The pieces of a form; `None` for those that tell nothing.
fn pieces(form: &[u8]) -> impl Iterator<Item = Option<u64>> {
    form.windows(PIECE).map(|piece| {
        let different = piece
            .iter()
            .enumerate()
            .filter(|(at, byte)| !piece.iter().take(*at).any(|b| b == *byte));
        (different.count() >= VARIETY)
            .then(|| number(piece))
            .flatten()
    })
}

fn number(piece: &[u8]) -> Option<u64> {
    piece.try_into().ok().map(u64::from_ne_bytes)
}

fn hash(piece: u64) -> usize {
    (piece.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - TABLE)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(value: &str, text: &str) -> String {
        Mask::new([value]).apply(text.to_owned())
    }

    #[test]
    fn values_are_masked_whole_and_escaped() {
        assert_eq!(masked("s3cr\"et", "a s3cr\"et b"), "a *** b");
        assert_eq!(masked("s3cr\"et", r#"{"k":"s3cr\"et"}"#), r#"{"k":"***"}"#);
        assert_eq!(masked("s3cr\"et", "nothing"), "nothing");
        assert_eq!(masked("hunter2", "hunter2hunter2"), "***");
        assert_eq!(masked("abc", "abc"), "abc", "too short");
    }

    #[test]
    fn pieces_are_masked_at_the_bounds_of_characters() {
        let value = "grün-0123456789-grün";
        assert_eq!(masked(value, "x grün-0123 y"), "x *** y");
        assert_eq!(masked(value, "x 456789-grün"), "x ***");
        assert_eq!(masked(value, "x 0123456 y"), "x 0123456 y", "7 bytes");
        assert_eq!(masked(value, &format!("{value}{value}")), "***");
        // a piece that begins within a character takes the whole of it
        assert_eq!(masked("aü23456789", "\u{33c}23456789"), "***");
    }

    #[test]
    fn what_tells_nothing_is_masked_only_as_a_whole() {
        assert_eq!(masked("----------", "a --------- b"), "a --------- b");
        assert_eq!(masked("----------", "a ---------- b"), "a *** b");
        let key = "{\n          \"key\": \"0123456789abcdef\"\n}";
        assert_eq!(masked(key, "          indented"), "          indented");
        assert_eq!(masked(key, "is 0123456789abcdef."), "is ***.");
    }

    #[test]
    fn the_host_of_a_url_is_no_secret_by_itself() {
        let url = "postgres://shop:hunter2hunter2@db.example.org:5432/shop";
        assert_eq!(
            masked(url, "no route to db.example.org:5432"),
            "no route to db.example.org:5432"
        );
        assert_eq!(
            masked(url, "user shop, password hunter2hunter2"),
            "user shop, password ***"
        );
        assert_eq!(masked(url, &format!("asks {url}!")), "asks ***!");
        let hook = "https://hooks.example.org/T0/B1/abcdefgh";
        assert_eq!(
            masked(hook, "https://hooks.example.org/other"),
            "https://hooks.example.org/other"
        );
        assert_eq!(masked(hook, "POST /T0/B1/abcdefgh"), "POST ***");
    }

    #[test]
    fn short_lines_of_a_long_value_are_masked() {
        assert_eq!(masked("ab12\ncd34\r\n", "ab12 and cd34"), "*** and ***");
    }

    #[test]
    fn a_long_value_is_looked_for_in_long_texts_fast() {
        let value: String = (0..16_000)
            .map(|n| format!("{:04x}", n * 7919 % 65_536))
            .collect();
        let mask = Mask::new([value.as_str()]);
        let text = "a line of the log that is quite ordinary\n".repeat(20_000);
        let begun = std::time::Instant::now();
        assert_eq!(mask.apply(text.clone()), text);
        assert!(begun.elapsed() < std::time::Duration::from_secs(5));
    }
}
