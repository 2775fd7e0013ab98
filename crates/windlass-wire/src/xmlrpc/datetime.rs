//! Dates: `dateTime.iso8601`.

use jiff::civil;

/// A date with a time of day, as it was sent, and what it means.
///
/// The specification knows `19980717T14:08:55` and no time zone. Also read: `-` in the date, no `:` in the time, a
/// fraction, `Z` or an offset such as `+02:00`. Sent again as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateTime {
    text: Box<str>,
    civil: civil::DateTime,
    offset: Option<i32>,
}

/// The text is no date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotADateTime;

impl std::fmt::Display for NotADateTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not a date and time such as 20240131T23:59:00")
    }
}

impl std::error::Error for NotADateTime {}

impl DateTime {
    /// Reads a date; white space around it is dropped. A leap second counts as the second before it.
    pub fn parse(text: &str) -> Result<Self, NotADateTime> {
        let text = text.trim();
        let (civil, offset) = read(text).ok_or(NotADateTime)?;
        Ok(Self {
            text: text.into(),
            civil,
            offset,
        })
    }

    /// That moment in UTC, to the second, in the form of the specification, which names no zone: say in your documents
    /// that it is UTC.
    pub fn utc(moment: jiff::Timestamp) -> Self {
        let civil = jiff::tz::Offset::UTC.to_datetime(moment);
        let civil = civil.with().subsec_nanosecond(0).build().unwrap_or(civil);
        Self {
            text: civil.strftime("%Y%m%dT%H:%M:%S").to_string().into(),
            civil,
            offset: None,
        }
    }

    /// As it was sent.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Date and time of day, in whatever zone is meant.
    pub fn civil(&self) -> civil::DateTime {
        self.civil
    }

    /// Seconds east of UTC, if it was said; 0 for `Z`.
    pub fn offset(&self) -> Option<i32> {
        self.offset
    }
}

/// A text that is read from its start.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.0.first() == Some(&byte);
        if found {
            self.0 = &self.0[1..];
        }
        found
    }

    fn must(&mut self, byte: u8) -> Option<()> {
        self.eat(byte).then_some(())
    }

    /// A number of that many digits.
    fn number(&mut self, digits: usize) -> Option<i16> {
        let (head, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        head.iter().try_fold(0_i16, |number, byte| {
            let digit = byte.is_ascii_digit().then(|| i16::from(byte - b'0'))?;
            Some(number * 10 + digit)
        })
    }

    fn small(&mut self) -> Option<i8> {
        self.number(2)?.try_into().ok()
    }

    /// The digits after a point, as nanoseconds.
    fn fraction(&mut self) -> Option<i32> {
        let digits = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        let (head, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        let padded = head.iter().copied().chain(std::iter::repeat(b'0')).take(9);
        (digits > 0).then(|| padded.fold(0, |number, byte| number * 10 + i32::from(byte - b'0')))
    }

    /// `Z`, an offset, or nothing.
    fn zone(&mut self) -> Option<Option<i32>> {
        if self.eat(b'Z') {
            return Some(Some(0));
        }
        let sign = match self.0.first() {
            None => return Some(None),
            Some(b'+') => 1,
            Some(b'-') => -1,
            Some(_) => return None,
        };
        self.0 = &self.0[1..];
        let hours = i32::from(self.small()?);
        let colon = self.eat(b':');
        let minutes = if self.0.is_empty() && !colon {
            0
        } else {
            i32::from(self.small()?)
        };
        (hours < 24 && minutes < 60).then_some(Some(sign * (hours * 3600 + minutes * 60)))
    }
}

fn read(text: &str) -> Option<(civil::DateTime, Option<i32>)> {
    let mut rest = Rest(text.as_bytes());
    let year = rest.number(4)?;
    let dashes = rest.eat(b'-');
    let month = rest.small()?;
    if dashes {
        rest.must(b'-')?;
    }
    let day = rest.small()?;
    rest.must(b'T')?;
    let hour = rest.small()?;
    let colons = rest.eat(b':');
    let minute = rest.small()?;
    if colons {
        rest.must(b':')?;
    }
    let second = rest.small()?;
    let nanoseconds = if rest.eat(b'.') || rest.eat(b',') {
        rest.fraction()?
    } else {
        0
    };
    let offset = rest.zone()?;
    let second = if matches!(second, 60 | 61) {
        59
    } else {
        second
    };
    let civil = civil::DateTime::new(year, month, day, hour, minute, second, nanoseconds).ok()?;
    rest.0.is_empty().then_some((civil, offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_are_read_and_kept() {
        let noon = civil::datetime(1998, 7, 17, 14, 8, 55, 0);
        for (text, offset) in [
            ("19980717T14:08:55", None),
            ("1998-07-17T14:08:55", None),
            ("19980717T140855", None),
            ("1998-07-17T14:08:55Z", Some(0)),
            ("19980717T14:08:55+02:00", Some(7200)),
            ("19980717T14:08:55-0130", Some(-5400)),
            ("19980717T14:08:55+02", Some(7200)),
        ] {
            let date = DateTime::parse(&format!(" {text}\n")).unwrap();
            assert_eq!(
                (date.as_str(), date.civil(), date.offset()),
                (text, noon, offset)
            );
        }
        let fine = DateTime::parse("19980717T14:08:55.25Z").unwrap();
        assert_eq!(fine.civil().subsec_nanosecond(), 250_000_000);
        let leap = DateTime::parse("20161231T23:59:60").unwrap();
        assert_eq!(leap.civil().second(), 59);
        assert_eq!(
            DateTime::parse("00010210T11:41:23").unwrap().civil().year(),
            1
        );
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "yesterday",
            "19981317T14:08:55",
            "19980230T14:08:55",
            "19980717T25:08:55",
            "19980717 14:08:55",
            "1998-0717T14:08:55",
            "19980717T14:08:55.",
            "19980717T14:08:55+2",
            "19980717T14:08:55+02:",
            "19980717T14:08:55 UTC",
            "+9980717T14:08:55",
            "19980717T14:08",
            "１９980717T14:08:55",
        ] {
            assert_eq!(DateTime::parse(text), Err(NotADateTime), "{text}");
        }
    }

    #[test]
    fn a_moment_is_written_as_the_specification_has_it() {
        let moment = jiff::Timestamp::new(900_684_535, 999_000_000).unwrap();
        let date = DateTime::utc(moment);
        assert_eq!(date.as_str(), "19980717T14:08:55");
        assert_eq!(DateTime::parse(date.as_str()), Ok(date));
        let early = jiff::civil::date(9, 1, 2).to_zoned(jiff::tz::TimeZone::UTC);
        assert_eq!(
            DateTime::utc(early.unwrap().timestamp()).as_str(),
            "00090102T00:00:00"
        );
    }
}
