//! One line of ssh_config: its key, and its words with quotes and comments taken away.

/// The key of a line and what stands behind it.
pub(super) struct Line<'a> {
    /// As written; keys are compared without regard to case.
    pub(super) key: &'a str,
    /// Everything behind the key and its `=`.
    pub(super) rest: &'a str,
}

const BLANKS: [char; 5] = [' ', '\t', '\r', '\n', '\x0c'];

/// Splits a line; `None` for an empty line or a comment.
pub(super) fn line(text: &str) -> Option<Line<'_>> {
    let text = text.trim_matches(BLANKS);
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    let end = text
        .find(|c| BLANKS.contains(&c) || c == '=' || c == '"')
        .unwrap_or(text.len());
    let (key, rest) = text.split_at(end);
    let rest = rest.trim_start_matches(BLANKS);
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    Some(Line {
        key,
        rest: rest.trim_start_matches(BLANKS),
    })
}

/// The words of `text`: `"` and `'` quote, `\` escapes a quote, a backslash and, outside of quotes, a space; a word
/// that begins with `#` ends the line. `None` when a quote is not closed.
pub(super) fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        match chars.peek() {
            None | Some('#') => return Some(words),
            Some(_) => {}
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(c) = chars.next() {
            match c {
                '\\' => {
                    let escaped = chars.next_if(|n| {
                        matches!(n, '\'' | '"' | '\\') || (*n == ' ' && quote.is_none())
                    });
                    word.push(escaped.unwrap_or('\\'));
                }
                ' ' | '\t' if quote.is_none() => break,
                '"' | '\'' if quote.is_none() => quote = Some(c),
                _ if quote == Some(c) => quote = None,
                _ => word.push(c),
            }
        }
        if quote.is_some() {
            return None;
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_are_separated_by_blanks_or_one_equals_sign() {
        for text in [
            "Port 22",
            "  Port=22",
            "Port = 22 ",
            "Port\t22\r",
            "Port =22",
        ] {
            let line = line(text).unwrap();
            assert_eq!((line.key, line.rest), ("Port", "22"), "{text}");
        }
        assert!(line("  # Port 22").is_none() && line(" \t").is_none());
    }

    #[test]
    fn words_are_unquoted() {
        let of = |text| words(text).unwrap();
        assert_eq!(of(r#"a "b c" 'd e'"#), ["a", "b c", "d e"]);
        assert_eq!(of(r#"a\ b \"c \n"#), ["a b", "\"c", "\\n"]);
        assert_eq!(of("a#b # c"), ["a#b"]);
        assert_eq!(of(r#""""#), [""]);
        assert!(words("\"a").is_none());
    }
}
