//! The patterns of OpenSSH's files: `*`, `?`, and lists with `!`.

/// Whether `pattern` (`*`: any run of bytes, `?`: any one) covers all of `text`. Upper and lower case differ.
pub(crate) fn matches(text: &str, pattern: &str) -> bool {
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let (mut t, mut p) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        match (text.get(t), pattern.get(p)) {
            (_, Some(b'*')) => {
                star = Some((t, p));
                p += 1;
            }
            (None, None) => return true,
            (Some(a), Some(b)) if a == b || *b == b'?' => {
                t += 1;
                p += 1;
            }
            // The last star takes one byte more; earlier ones need not be tried again.
            _ => match star {
                Some((from, at)) if from < text.len() => {
                    star = Some((from + 1, at));
                    t = from + 1;
                    p = at + 1;
                }
                _ => return false,
            },
        }
    }
}

/// Whether one of the patterns of `list` covers `text` and none of those with `!` does.
pub(crate) fn any_matches<'a>(text: &str, list: impl IntoIterator<Item = &'a str>) -> bool {
    let mut found = false;
    for pattern in list {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(text, pattern) => return false,
            Some(_) => {}
            None => found |= matches(text, pattern),
        }
    }
    found
}

/// Whether `pattern` stands for nothing but itself.
pub(crate) fn is_literal(pattern: &str) -> bool {
    !pattern.starts_with('!') && !pattern.contains(['*', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (text, pattern, want) in [
            ("web1", "web1", true),
            ("web1", "web?", true),
            ("web", "web?", false),
            ("web1.example.com", "*.example.com", true),
            ("example.com", "*.example.com", false),
            ("aXbXc", "a*b*c", true),
            ("abcbd", "a*b", false),
            ("", "*", true),
            ("", "", true),
            ("a", "", false),
            ("aab", "*ab", true),
        ] {
            assert_eq!(matches(text, pattern), want, "{text} {pattern}");
        }
        // Would take for ever if every star were tried again.
        assert!(!matches(
            &"a".repeat(5000),
            &format!("{}b", "*a".repeat(500))
        ));
    }

    #[test]
    fn an_exclusion_wins_wherever_it_stands() {
        assert!(any_matches("a", ["*", "!b"]));
        assert!(!any_matches("b", ["*", "!b"]));
        assert!(!any_matches("b", ["!b", "*"]));
        assert!(!any_matches("a", ["!b"]));
    }
}
