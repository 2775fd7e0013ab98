//! Numbers as Python reads and writes them.

use std::borrow::Cow;

use super::value::Value;

/// An integer beyond 64 bits: a sign if negative, and digits, the first one no zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BigInteger(Box<str>);

/// A decimal number with all its digits, as text: `1.50`, `-1E+7`, `NaN`, `Infinity`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal(Box<str>);

/// The text is no such number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANumber;

impl std::fmt::Display for NotANumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not a number")
    }
}

impl std::error::Error for NotANumber {}

impl BigInteger {
    /// Its decimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A number that is known not to fit 64 bits.
    pub(super) fn beyond(value: i128) -> Self {
        Self(value.to_string().into())
    }
}

impl Decimal {
    /// Reads a decimal number: digits with a point and an exponent or without, `NaN`, `Infinity`.
    pub fn parse(text: &str) -> Result<Self, NotANumber> {
        let text = plain(text)?;
        // the grammar of a double is that of a decimal
        text.parse::<f64>().map_err(|_| NotANumber)?;
        Ok(Self(text.into()))
    }

    /// Its text, without underscores and white space around it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value {
    /// Reads an integer of any size: [`Value::Int`] if it fits, else [`Value::BigInteger`]. White space around it, a plus
    /// sign, leading zeros, and underscores between digits are as in Python.
    pub fn integer(text: &str) -> Result<Self, NotANumber> {
        let text = plain(text)?;
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(&text)),
        };
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotANumber);
        }
        if let Ok(number) = text.parse() {
            return Ok(Self::Int(number));
        }
        let sign = if negative { "-" } else { "" };
        let digits = digits.trim_start_matches('0');
        Ok(Self::BigInteger(BigInteger(
            format!("{sign}{digits}").into(),
        )))
    }

    /// Reads a double: `1`, `.5`, `1e300`, `nan`, `-inf`, `Infinity`.
    pub(super) fn double(text: &str) -> Result<Self, NotANumber> {
        plain(text)?
            .parse()
            .map(Self::Double)
            .map_err(|_| NotANumber)
    }
}

/// Without white space around it and underscores between digits.
fn plain(text: &str) -> Result<Cow<'_, str>, NotANumber> {
    let text = text.trim();
    if !text.contains('_') {
        return Ok(text.into());
    }
    let digit = |part: Option<char>| part.is_some_and(|c| c.is_ascii_digit());
    let parts: Vec<&str> = text.split('_').collect();
    let between_digits = parts
        .windows(2)
        .all(|pair| digit(pair[0].chars().next_back()) && digit(pair[1].chars().next()));
    if between_digits {
        Ok(parts.concat().into())
    } else {
        Err(NotANumber)
    }
}

/// A double without an exponent, as the specification wants; `nan`, `inf`, `-inf` as Python writes them.
pub(super) fn double_text(number: f64) -> String {
    if number.is_nan() {
        return "nan".into();
    }
    let mut text = number.to_string();
    if number.is_finite() && !text.contains('.') {
        text.push_str(".0");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_python_does() {
        for (text, number) in [
            ("0", 0),
            (" +7\n", 7),
            ("-007", -7),
            ("1_000", 1000),
            ("-9223372036854775808", i64::MIN),
            ("0000000000000000000000000012", 12),
        ] {
            assert_eq!(Value::integer(text), Ok(Value::Int(number)), "{text}");
        }
        for text in ["", "-", "+", "1_", "_1", "1__0", "0x1", "1.0", "- 1", "١"] {
            assert_eq!(Value::integer(text), Err(NotANumber), "{text}");
        }
    }

    #[test]
    fn large_integers_keep_every_digit() {
        for (text, number) in [
            ("9223372036854775808", "9223372036854775808"),
            ("-0_9223372036854775809", "-9223372036854775809"),
            ("+00100000000000000000000000", "100000000000000000000000"),
        ] {
            let Ok(Value::BigInteger(big)) = Value::integer(text) else {
                panic!("{text}")
            };
            assert_eq!(big.as_str(), number);
        }
    }

    #[test]
    fn doubles_are_written_without_exponent_and_read_again() {
        for (number, text) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (1e16, "10000000000000000.0"),
            (1e-7, "0.0000001"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(double_text(number), text);
            assert_eq!(Value::double(text), Ok(Value::Double(number)));
        }
        assert_eq!(double_text(f64::NAN), "nan");
        for text in ["nan", "NaN", "-nan"] {
            assert!(matches!(Value::double(text), Ok(Value::Double(n)) if n.is_nan()));
        }
        assert_eq!(Value::double(" 1_0.5E1 "), Ok(Value::Double(105.0)));
        for text in ["", ".", "e5", "1,5", "0x1p3", "1 0"] {
            assert_eq!(Value::double(text), Err(NotANumber), "{text}");
        }
    }

    #[test]
    fn decimals_keep_their_text() {
        assert_eq!(
            Decimal::parse(" 9876543210.0123456789 ").unwrap().as_str(),
            "9876543210.0123456789"
        );
        assert_eq!(Decimal::parse("1 2"), Err(NotANumber));
    }
}
