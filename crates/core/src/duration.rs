//! A span of time in whole milliseconds, written the way operators write it: `15m`, `4h`, `250ms`, `1h30m`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of time, in whole milliseconds.
///
/// Text form: one or more `<number><unit>` with units `d`, `h`, `m`, `s`, `ms`, largest first (`1h30m`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(u64);

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Duration {
    /// No time at all.
    pub const ZERO: Duration = Duration(0);

    /// From milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Duration(millis)
    }
    /// From seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Duration(seconds * 1_000)
    }
    /// From minutes.
    pub const fn from_mins(minutes: u64) -> Self {
        Duration(minutes * 60_000)
    }
    /// From hours.
    pub const fn from_hours(hours: u64) -> Self {
        Duration(hours * 3_600_000)
    }
    /// Whole milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }
    /// Whole seconds, rounded up: what a state machine's `Seconds` wants, so that nobody wakes too early.
    pub const fn as_secs_ceil(self) -> u64 {
        self.0.div_ceil(1_000)
    }
    /// The same in whole seconds, rounded up, where it is at least one: for sentences.
    pub const fn in_words(self) -> Duration {
        if self.0 < 1_000 { self } else { Duration::from_secs(self.as_secs_ceil()) }
    }
    /// For reading: `29m 23s`, `4h`, `1.9s`, `850ms`. Rounded up: never in our own favour.
    pub fn spoken(self) -> String {
        let millis = self.0;
        if millis < 1_000 {
            return if millis == 0 { "0s".to_owned() } else { format!("{millis}ms") };
        }
        if millis < 60_000 {
            let tenths = millis.div_ceil(100);
            return if tenths.is_multiple_of(10) { format!("{}s", tenths / 10) } else { format!("{}.{}s", tenths / 10, tenths % 10) };
        }
        let seconds = self.as_secs_ceil();
        let parts = [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect::<Vec<_>>().join(" ")
    }
    /// True for no time at all.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
    /// The sum; saturates instead of overflowing.
    pub const fn saturating_add(self, other: Duration) -> Duration {
        Duration(self.0.saturating_add(other.0))
    }
    /// The difference, or zero where `other` is longer.
    pub const fn saturating_sub(self, other: Duration) -> Duration {
        Duration(self.0.saturating_sub(other.0))
    }
    /// This many times as long; saturates.
    pub const fn times(self, factor: u64) -> Duration {
        Duration(self.0.saturating_mul(factor))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.pad("0s");
        }
        let mut rest = self.0;
        let mut text = String::with_capacity(16);
        for (unit, size) in UNITS {
            let count = rest / size;
            rest %= size;
            if count > 0 {
                text.push_str(&count.to_string());
                text.push_str(unit);
            }
        }
        f.pad(&text)
    }
}

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a duration: write a number and a unit, such as 30s, 15m, 4h, 7d or 1h30m")]
pub struct InvalidDuration {
    text: String,
}

impl FromStr for Duration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        let invalid = || InvalidDuration { text: text.to_owned() };
        let mut rest = text;
        let mut total: u64 = 0;
        let mut smallest_yet = u64::MAX;
        if rest.is_empty() {
            return Err(invalid());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?;
            let (number, tail) = rest.split_at(digits);
            let unit_length = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit_length);
            let (_, size) = *UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(invalid)?;
            if size >= smallest_yet {
                return Err(invalid());
            }
            smallest_yet = size;
            let count: u64 = number.parse().map_err(|_| invalid())?;
            total = count.checked_mul(size).and_then(|span| total.checked_add(span)).ok_or_else(invalid)?;
            rest = tail;
        }
        Ok(Duration(total))
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::parsed(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_reads_back_what_it_writes() {
        for text in ["1ms", "250ms", "30s", "15m", "4h", "7d", "1h30m", "1d2h3m4s5ms"] {
            assert_eq!(text.parse::<Duration>().unwrap().to_string(), text);
        }
        assert_eq!("90m".parse::<Duration>().unwrap().to_string(), "1h30m");
    }

    #[test]
    fn a_bare_number_or_a_wrong_order_is_not_a_duration() {
        for text in ["", "15", "m", "15 m", "-5m", "5m4h", "5m5m", "1.5h", "15min", "999999999999999999999d", "213503982335d"] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }
}
