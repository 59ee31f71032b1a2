//! Instants, and the clock that everything asks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Duration;

/// An instant in UTC, in whole milliseconds since 1970. Text form: RFC 3339 (`2026-11-20T02:00:00.000Z`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since 1970-01-01T00:00:00Z.
    pub const fn from_millis(millis: i64) -> Self {
        Timestamp(millis)
    }
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn as_millis(self) -> i64 {
        self.0
    }
    /// How long after `earlier` this is; zero where it is not.
    pub const fn since(self, earlier: Timestamp) -> Duration {
        let span = self.0.saturating_sub(earlier.0);
        Duration::from_millis(if span > 0 { span as u64 } else { 0 })
    }
    /// This instant, later.
    pub const fn after(self, span: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(span.as_millis() as i64))
    }
    /// This instant, earlier.
    pub const fn before(self, span: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(span.as_millis() as i64))
    }
    /// `HH:MM:SS`, UTC.
    pub fn clock_time(self) -> String {
        let seconds = self.0.div_euclid(1_000).rem_euclid(86_400);
        format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    }
}

/// Bytes of an instant's text in the years 0 to 9999: `2026-11-20T02:00:00.000Z`.
const TEXT: usize = 24;
/// Where its numbers stand: first byte, digits.
const NUMBERS: [(usize, usize); 7] = [(0, 4), (5, 2), (8, 2), (11, 2), (14, 2), (17, 2), (20, 3)];
const PATTERN: &[u8; TEXT] = b"0000-00-00T00:00:00.000Z";
const DAY: i64 = 86_400_000;
/// Days from the first of March of the year 0 until 1970.
const EPOCH: i64 = 719_468;
/// Days in 400 years.
const ERA: i64 = 146_097;

// A ledger is full of instants, and its chains are hashes of their text: so the form that nearly all have is written and
// read here, and jiff has the rest. Years are counted from the first of March: a leap day is then the last of its year.
impl Timestamp {
    fn text(self) -> Option<[u8; TEXT]> {
        let days = self.0.div_euclid(DAY) + EPOCH;
        let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
        // Leap days of the era before this day.
        let leaps = day / 1_460 - day / 36_524 + day / (ERA - 1);
        let year = (day - leaps) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        // Months of 31, 30, 31, 30, 31 days, twice, and the rest.
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (year, month) = (era * 400 + year + i64::from(month >= 10), if month < 10 { month + 3 } else { month - 9 });
        if !(0..=9_999).contains(&year) {
            return None;
        }
        let millis = self.0.rem_euclid(DAY) as u32;
        let mut text = *PATTERN;
        digits::<4>(&mut text, 0, year as u32);
        digits::<2>(&mut text, 5, month as u32);
        digits::<2>(&mut text, 8, day as u32);
        digits::<2>(&mut text, 11, millis / 3_600_000);
        digits::<2>(&mut text, 14, millis / 60_000 % 60);
        digits::<2>(&mut text, 17, millis / 1_000 % 60);
        digits::<3>(&mut text, 20, millis % 1_000);
        Some(text)
    }

    /// Reads what `text` writes; `None` for every other form, right or wrong.
    fn from_text(text: &str) -> Option<Timestamp> {
        let text: &[u8; TEXT] = text.as_bytes().try_into().ok()?;
        let fits = |(byte, pattern): (&u8, &u8)| if *pattern == b'0' { byte.is_ascii_digit() } else { byte == pattern };
        if !text.iter().zip(PATTERN).all(fits) {
            return None;
        }
        let [year, month, day, hour, minute, second, milli] =
            NUMBERS.map(|(at, digits)| text[at..at + digits].iter().fold(0, |number, byte| number * 10 + i64::from(byte - b'0')));
        // A day that the month does not have would read as one of the next.
        if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let days = era * ERA + 365 * of_era + of_era / 4 - of_era / 100 + (153 * month + 2) / 5 + day - 1 - EPOCH;
        Some(Timestamp(days * DAY + hour * 3_600_000 + minute * 60_000 + second * 1_000 + milli))
    }
}

const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Writes a number of `COUNT` digits.
fn digits<const COUNT: usize>(text: &mut [u8; TEXT], at: usize, number: u32) {
    let mut rest = number;
    for byte in text[at..at + COUNT].iter_mut().rev() {
        *byte = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = self.text() {
            return f.write_str(std::str::from_utf8(&text).unwrap_or_default());
        }
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => write!(f, "{instant:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

/// Why a text is not an instant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an instant: write it as 2026-11-20T02:00:00Z")]
pub struct InvalidTimestamp {
    text: String,
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        if let Some(instant) = Timestamp::from_text(text) {
            return Ok(instant);
        }
        let instant: jiff::Timestamp = text.parse().map_err(|_| InvalidTimestamp { text: text.to_owned() })?;
        Ok(Timestamp(instant.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.text() {
            Some(text) => serializer.serialize_str(std::str::from_utf8(&text).unwrap_or_default()),
            None => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::parsed(deserializer)
    }
}

/// Where time comes from: the machine's clock on AWS, tokio's paused clock in a rehearsal.
pub trait Clock {
    /// The present instant, UTC.
    fn now(&self) -> Timestamp;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_reads_back_what_it_writes() {
        let instant: Timestamp = "2026-11-20T02:00:00Z".parse().unwrap();
        assert_eq!(instant.to_string(), "2026-11-20T02:00:00.000Z");
        assert_eq!(instant.to_string().parse(), Ok(instant));
        assert_eq!(instant.clock_time(), "02:00:00");
    }

    #[test]
    fn an_instant_is_written_and_read_as_jiff_does() {
        let year = 31_556_952_000_i64;
        let around_leap_days = [951_782_400_000, 1_709_164_800_000, 4_107_542_400_000, -2_203_891_200_000];
        let spread = (-1_980..8_040).map(|years| years * year + years * 7_919_333);
        let ends = [0, -1, 1, 253_402_300_799_999, 253_402_300_800_000, -62_167_219_200_000, -62_167_219_200_001];
        let days = around_leap_days.into_iter().flat_map(|at| (-3..=3).map(move |day| at + day * DAY - 1));
        for millis in spread.chain(ends).chain(days) {
            let instant = Timestamp::from_millis(millis);
            let Ok(known) = jiff::Timestamp::from_millisecond(millis) else { continue };
            assert_eq!(instant.to_string(), format!("{known:.3}"), "{millis}");
            assert_eq!(instant.to_string().parse(), Ok(instant), "{millis}");
        }
    }

    #[test]
    fn what_is_no_instant_is_not_read_as_one() {
        for wrong in [
            "2026-02-29T00:00:00.000Z",
            "2026-13-01T00:00:00.000Z",
            "2026-00-01T00:00:00.000Z",
            "2026-11-00T00:00:00.000Z",
            "2026-11-31T00:00:00.000Z",
            "2026-11-20T24:00:00.000Z",
            "2026-11-20T02:60:00.000Z",
            "2026-11-20 02:00:00.0002",
            "2O26-11-20T02:00:00.000Z",
        ] {
            assert!(wrong.parse::<Timestamp>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_span_never_runs_backwards() {
        let early = Timestamp::from_millis(1_000);
        let late = early.after(Duration::from_secs(5));
        assert_eq!(late.since(early), Duration::from_secs(5));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
