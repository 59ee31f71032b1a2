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

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        let instant: jiff::Timestamp = text.parse().map_err(|_| InvalidTimestamp { text: text.to_owned() })?;
        Ok(Timestamp(instant.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
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
    fn a_span_never_runs_backwards() {
        let early = Timestamp::from_millis(1_000);
        let late = early.after(Duration::from_secs(5));
        assert_eq!(late.since(early), Duration::from_secs(5));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
