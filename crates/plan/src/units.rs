//! Quantities that are not bare numbers: shares, sizes, thresholds, and the schemas of the units that `core` defines.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use muster_core::Duration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A share of a whole, kept as an integer count of 10⁻⁹ percent, so that eleven nines (`99.999999999%`) are exact and comparison needs no float.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u64);

const NANOS_PER_PERCENT: u64 = 1_000_000_000;

/// Why a text is not a percentage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a percentage: write a number and a percent sign, such as 0.1% or 80%, at most 100%")]
pub struct InvalidPercent {
    text: String,
}

impl Percent {
    /// The whole.
    pub const HUNDRED: Percent = Percent(100 * NANOS_PER_PERCENT);

    /// From parts per million: 1,000 is 0.1 %.
    pub const fn from_ppm(ppm: u32) -> Self {
        Percent(ppm as u64 * (NANOS_PER_PERCENT / 10_000))
    }
    /// Parts per million, rounded down.
    pub const fn as_ppm(self) -> u64 {
        self.0 / (NANOS_PER_PERCENT / 10_000)
    }
    /// The exact value, in 10⁻⁹ percent.
    pub const fn as_nano_percent(self) -> u64 {
        self.0
    }
    /// This share of `whole`, rounded down.
    pub const fn of(self, whole: u64) -> u64 {
        (whole as u128 * self.0 as u128 / Self::HUNDRED.0 as u128) as u64
    }
    /// The share that `part` is of `whole`, rounded up so that "below 0.1 %" is never passed by rounding; `None` of nothing.
    pub fn ratio(part: u64, whole: u64) -> Option<Percent> {
        if whole == 0 {
            return None;
        }
        let scaled = (u128::from(part) * u128::from(Self::HUNDRED.0)).div_ceil(u128::from(whole));
        Some(Percent(u64::try_from(scaled).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / NANOS_PER_PERCENT, self.0 % NANOS_PER_PERCENT);
        if rest == 0 {
            return f.pad(&format!("{whole}%"));
        }
        let fraction = format!("{rest:09}");
        f.pad(&format!("{whole}.{}%", fraction.trim_end_matches('0')))
    }
}

impl FromStr for Percent {
    type Err = InvalidPercent;

    fn from_str(text: &str) -> Result<Self, InvalidPercent> {
        let invalid = || InvalidPercent { text: text.to_owned() };
        let number = text.strip_suffix('%').ok_or_else(invalid)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > 9 || whole.len() > 3 {
            return Err(invalid());
        }
        let whole: u64 = whole.parse().map_err(|_| invalid())?;
        let fraction: u64 = format!("{fraction:0<9}").parse().map_err(|_| invalid())?;
        let value = whole * NANOS_PER_PERCENT + fraction;
        if value > Self::HUNDRED.0 { Err(invalid()) } else { Ok(Percent(value)) }
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

const PERCENT_PATTERN: &str = r"^[0-9]{1,3}(\.[0-9]{1,9})?%$";
const DURATION_PATTERN: &str = r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";

impl JsonSchema for Percent {
    fn schema_name() -> Cow<'static, str> {
        "Percent".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "percent", "pattern": PERCENT_PATTERN})
    }
}

/// A size in bytes. Text form: `<number>` and one of `B`, `KiB`, `MiB`, `GiB`, `TiB`, as in `200GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(u64);

const SIZES: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Why a text is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a size: write a whole number and a unit, such as 200GiB or 2TiB")]
pub struct InvalidBytes {
    text: String,
}

impl Bytes {
    /// From bytes.
    pub const fn new(bytes: u64) -> Self {
        Bytes(bytes)
    }
    /// The count of bytes.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
    /// Whole gibibytes, rounded up: the unit in which RDS allocates.
    pub const fn as_gib_ceil(self) -> u64 {
        self.0.div_ceil(1 << 30)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, size) = SIZES.into_iter().find(|(_, size)| self.0 >= *size && self.0.is_multiple_of(*size)).unwrap_or(("B", 1));
        f.pad(&format!("{}{unit}", self.0 / size))
    }
}

impl FromStr for Bytes {
    type Err = InvalidBytes;

    fn from_str(text: &str) -> Result<Self, InvalidBytes> {
        let invalid = || InvalidBytes { text: text.to_owned() };
        let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?;
        let (number, unit) = text.split_at(at);
        let (_, size) = SIZES.into_iter().find(|(name, _)| *name == unit).ok_or_else(invalid)?;
        let count: u64 = number.parse().map_err(|_| invalid())?;
        count.checked_mul(size).map(Bytes).ok_or_else(invalid)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Bytes {
    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "bytes", "pattern": "^[0-9]+(B|KiB|MiB|GiB|TiB)$"})
    }
}

/// A threshold in the unit of what it bounds: a share (`0.1%`), a time (`2s`) or a count (`0`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// A share, such as `0.1%`.
    Percent(Percent),
    /// A time, such as `2s`.
    Duration(Duration),
    /// A count, such as `0`.
    Count(u64),
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Quantity::Percent(share) => share.fmt(f),
            Quantity::Duration(span) => span.fmt(f),
            Quantity::Count(count) => count.fmt(f),
        }
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Quantity::Percent(share) => share.serialize(serializer),
            Quantity::Duration(span) => span.serialize(serializer),
            Quantity::Count(count) => serializer.serialize_u64(*count),
        }
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(QuantityVisitor)
    }
}

struct QuantityVisitor;

impl serde::de::Visitor<'_> for QuantityVisitor {
    type Value = Quantity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a share such as 0.1%, a time such as 2s, or a count")
    }
    fn visit_u64<E: serde::de::Error>(self, count: u64) -> Result<Quantity, E> {
        Ok(Quantity::Count(count))
    }
    fn visit_i64<E: serde::de::Error>(self, count: i64) -> Result<Quantity, E> {
        u64::try_from(count).map(Quantity::Count).map_err(|_| E::custom("a threshold cannot be negative"))
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Quantity, E> {
        if text.ends_with('%') {
            return text.parse().map(Quantity::Percent).map_err(E::custom);
        }
        text.parse().map(Quantity::Duration).map_err(E::custom)
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "minimum": 0,
            "format": "quantity",
            "pattern": format!("({PERCENT_PATTERN})|(^$)|({DURATION_PATTERN})")
        })
    }
}

/// The schema of a [`Duration`]; `core` itself knows no schemas.
pub(crate) struct DurationText;

impl JsonSchema for DurationText {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "duration-above-zero", "minLength": 2, "pattern": DURATION_PATTERN})
    }
}

/// The schema of a [`Duration`] that may be none at all, such as an RPO of `0s`.
pub(crate) struct DurationOrZeroText;

impl JsonSchema for DurationOrZeroText {
    fn schema_name() -> Cow<'static, str> {
        "DurationOrZero".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "duration-or-zero", "minLength": 2, "pattern": DURATION_PATTERN})
    }
}

/// The schema of a [`Region`](muster_core::Region).
pub(crate) struct RegionText;

impl JsonSchema for RegionText {
    fn schema_name() -> Cow<'static, str> {
        "Region".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "aws-region", "pattern": "^[a-z]{2,}(-[a-z]{2,})+-[0-9]{1,2}$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_reads_back_what_it_writes_up_to_eleven_nines() {
        for text in ["0%", "0.1%", "80%", "99.95%", "99.999999999%", "100%"] {
            assert_eq!(text.parse::<Percent>().unwrap().to_string(), text);
        }
        for bad in ["", "%", "0.1", "-1%", "101%", "1.%", ".5%", "0.1 %", "0.0000000001%", "100.1%"] {
            assert!(bad.parse::<Percent>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_share_of_a_count_is_exact_and_rounds_against_the_claim() {
        let limit: Percent = "0.1%".parse().unwrap();
        assert_eq!(limit.as_ppm(), 1_000);
        assert_eq!(limit, Percent::from_ppm(1_000));
        assert_eq!(limit.of(1_000_000), 1_000);
        assert!(Percent::ratio(1, 1_000).unwrap() == limit);
        assert!(Percent::ratio(1_000_001, 1_000_000_000).unwrap() > limit);
        assert_eq!(Percent::ratio(1, 0), None);
    }

    #[test]
    fn a_size_reads_back_what_it_writes() {
        for text in ["1B", "512MiB", "200GiB", "2TiB"] {
            assert_eq!(text.parse::<Bytes>().unwrap().to_string(), text);
        }
        assert_eq!(Bytes::new(0).to_string(), "0B");
        for bad in ["", "200", "GiB", "200GB", "1.5TiB", "99999999999TiB"] {
            assert!(bad.parse::<Bytes>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_threshold_keeps_the_unit_it_was_written_in() {
        for (text, expected) in
            [("\"0.1%\"", Quantity::Percent(Percent::from_ppm(1_000))), ("\"2s\"", Quantity::Duration(Duration::from_secs(2))), ("0", Quantity::Count(0))]
        {
            assert_eq!(serde_json::from_str::<Quantity>(text).unwrap(), expected);
            assert_eq!(serde_json::to_string(&expected).unwrap(), text);
        }
        for bad in ["-1", "\"fast\"", "0.5", "true", "\"\""] {
            assert!(serde_json::from_str::<Quantity>(bad).is_err(), "{bad}");
        }
    }
}
