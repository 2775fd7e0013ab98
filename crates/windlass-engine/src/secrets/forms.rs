//! How a value may look in what programs print: encoded and escaped in the usual ways.

use std::fmt::Write as _;

/// Every form of `value`, itself first. Some may be equal.
pub(super) fn forms(value: &str) -> Vec<String> {
    let mut forms = vec![value.to_owned()];
    forms.extend(escaped(value));
    forms.extend(percent(value));
    forms.extend(hex(value.as_bytes()));
    forms.extend(base64(value.as_bytes()));
    forms
}

/// As string literals of JSON, Python, C and shells, and as text of HTML and XML.
fn escaped(value: &str) -> Vec<String> {
    let by = |escape: &dyn Fn(char, &mut String)| {
        let mut out = String::new();
        value.chars().for_each(|c| escape(c, &mut out));
        out
    };
    let json = by(&|c, out| json(c, out));
    let ascii = |upper: bool| {
        by(&|c, out| match c {
            '\u{80}'.. => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = if upper {
                        write!(out, "\\u{unit:04X}")
                    } else {
                        write!(out, "\\u{unit:04x}")
                    };
                }
            }
            _ => json_or_plain(c, out),
        })
    };
    let before = |special: &'static str| {
        by(&move |c, out| {
            if special.contains(c) {
                out.push('\\');
            }
            out.push(c);
        })
    };
    let html = |quote: &str, apostrophe: &str| {
        by(&|c, out| match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str(quote),
            '\'' => out.push_str(apostrophe),
            _ => out.push(c),
        })
    };
    vec![
        json.replace('/', "\\/"),
        json,
        ascii(false),
        ascii(true),
        // Python's repr, whichever quote it takes
        by(&|c, out| literal(c, "\\'", out)),
        by(&|c, out| literal(c, "\\", out)),
        by(&|c, out| literal(c, "\\\"", out)),
        // between single quotes of a shell
        value.replace('\'', r"'\''"),
        value.replace('\'', r#"'"'"'"#),
        // between double quotes of a shell
        before("\"\\$`"),
        before("\"\\$`!"),
        // bare words, as `printf %q` writes them, and $'...'
        by(&|c, out| {
            if !(c.is_alphanumeric() || "_-./:=@%+,".contains(c)) {
                out.push('\\');
            }
            out.push(c);
        }),
        by(&|c, out| match c {
            '\u{80}'.. => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(out, "\\{byte:03o}");
                }
            }
            _ => literal(c, "\\'", out),
        }),
        html("&quot;", "&#39;"),
        html("&quot;", "&#x27;"),
        html("&quot;", "&apos;"),
        html("\"", "'"),
    ]
}

fn json(c: char, out: &mut String) {
    match c {
        '\u{80}'.. => out.push(c),
        _ => json_or_plain(c, out),
    }
}

fn json_or_plain(c: char, out: &mut String) {
    match c {
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\0'..' ' if !"\n\r\t".contains(c) => {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        }
        _ => literal(c, "\\\"", out),
    }
}

/// A character of a literal in which a backslash stands before those of `special`.
fn literal(c: char, special: &str, out: &mut String) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\0'..' ' | '\u{7f}' => {
            let _ = write!(out, "\\x{:02x}", u32::from(c));
        }
        _ => {
            if special.contains(c) {
                out.push('\\');
            }
            out.push(c);
        }
    }
}

/// In URLs and forms: what is left as it is differs from one program to the next.
fn percent(value: &str) -> Vec<String> {
    const STRICT: &str = "-._~";
    const LEFT: [&str; 5] = [
        STRICT,
        "-._~/",
        // encodeURIComponent
        "-._~!*'()",
        // encodeURI
        "-._~!*'();,/?:@&=+$#",
        // what a browser does to a path
        "-._~!*'();,/?:@&=+$#%\\|[]^{}",
    ];
    let encode = |left: &str, upper: bool| {
        let mut out = String::new();
        for byte in value.bytes() {
            match char::from(byte) {
                c if c.is_ascii_alphanumeric() || left.contains(c) => out.push(c),
                _ if upper => {
                    let _ = write!(out, "%{byte:02X}");
                }
                _ => {
                    let _ = write!(out, "%{byte:02x}");
                }
            }
        }
        out
    };
    let mut forms: Vec<String> = LEFT
        .iter()
        .flat_map(|left| [encode(left, true), encode(left, false)])
        .collect();
    for upper in [true, false] {
        // forms write a blank as a plus, and leave the asterisk
        forms.push(encode(STRICT, upper).replace("%20", "+"));
        forms.push(encode("-._*", upper).replace("%20", "+"));
    }
    forms
}

/// Together, and as `od` and `xxd` space it.
fn hex(value: &[u8]) -> Vec<String> {
    let lower: Vec<String> = value.iter().map(|byte| format!("{byte:02x}")).collect();
    let pairs = |from: usize| {
        let (head, tail) = lower.split_at(from.min(lower.len()));
        let mut words: Vec<String> = head.to_vec();
        words.extend(tail.chunks(2).map(<[String]>::concat));
        words.join(" ")
    };
    let mut forms = vec![
        lower.concat(),
        lower.join(" "),
        lower.join(":"),
        pairs(0),
        pairs(1),
    ];
    forms.extend(forms.clone().into_iter().map(|form| form.to_uppercase()));
    forms
}

/// In both alphabets, at the three places at which a value may begin in what is encoded with it, such as `user:value`.
fn base64(value: &[u8]) -> Vec<String> {
    let mut forms = Vec::new();
    for (alphabet, before) in [b"+/", b"-_"]
        .into_iter()
        .flat_map(|a| [(a, 0), (a, 1), (a, 2)])
    {
        let bytes: Vec<u8> = std::iter::repeat_n(0, before)
            .chain(value.iter().copied())
            .collect();
        let whole = encode(&bytes, alphabet);
        // characters that also hold bits of what stands before the value are not its own
        let own = whole.get((before * 8).div_ceil(6)..).unwrap_or_default();
        forms.push(own.to_owned());
        if !bytes.len().is_multiple_of(3) {
            // nor is the last, when something follows
            forms.push(
                own.get(..own.len().saturating_sub(1))
                    .unwrap_or_default()
                    .to_owned(),
            );
        }
    }
    forms
}

/// Without padding.
fn encode(bytes: &[u8], last: &[u8; 2]) -> String {
    let digit = |n: u32| match (n & 63) as u8 {
        n @ 0..26 => char::from(b'A' + n),
        n @ 26..52 => char::from(b'a' + n - 26),
        n @ 52..62 => char::from(b'0' + n - 52),
        62 => char::from(last[0]),
        _ => char::from(last[1]),
    };
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk
            .iter()
            .fold(0, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        out.extend((0..=chunk.len()).map(|n| digit(bits >> (18 - 6 * n))));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_forms_are_among_them() {
        let forms = forms("a'b\"c\\d é+\n/");
        for wanted in [
            "a'b\"c\\d é+\n/",
            r#"a'b\"c\\d é+\n/"#,
            r#"a'b\"c\\d é+\n\/"#,
            r#"a'b\"c\\d \u00e9+\n/"#,
            r#"a\'b"c\\d é+\n/"#,
            r#"a\'b"c\\d \303\251+\n/"#,
            "a'\\''b\"c\\d é+\n/",
            "a'\"'\"'b\"c\\d é+\n/",
            "a'b\\\"c\\\\d é+\n/",
            "a%27b%22c%5Cd%20%C3%A9%2B%0A%2F",
            "a%27b%22c%5cd%20%c3%a9%2b%0a/",
            "a%27b%22c%5Cd+%C3%A9%2B%0A%2F",
            "a'b%22c\\d%20%C3%A9+%0A/",
            "a&#39;b&quot;c\\d é+\n/",
            "6127622263 5c6420c3a92b0a2f".replace(' ', "").as_str(),
            "61 27 62 22 63 5c 64 20 c3 a9 2b 0a 2f",
            "6127 6222 635c 6420 c3a9 2b0a 2f",
        ] {
            assert!(
                forms.iter().any(|form| form == wanted),
                "{wanted}: {forms:#?}"
            );
        }
    }

    #[test]
    fn base64_is_found_wherever_the_value_begins() {
        let value = b"s3cret>>value";
        for before in ["", "u", "u:", "ab:", "user"] {
            for after in ["", "!", "!!"] {
                let whole = [before.as_bytes(), value, after.as_bytes()].concat();
                for alphabet in [b"+/", b"-_"] {
                    let text = encode(&whole, alphabet);
                    let found = base64(value).into_iter().find(|form| text.contains(form));
                    let found = found.unwrap_or_default();
                    assert!(found.len() * 6 >= value.len() * 8 - 10, "{text} {found}");
                }
            }
        }
        assert_eq!(encode(b"light w", b"+/"), "bGlnaHQgdw");
    }
}
