//! AWS regions.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The code of an AWS region, such as `us-east-1`. Its form is checked, its existence is not:
/// AWS adds regions, and a list here would be out of date on the night that it matters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(Arc<str>);

/// Why a text is not a region.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an AWS region: write its code, such as us-east-1")]
pub struct InvalidRegion {
    text: String,
}

impl Region {
    /// The code, such as `us-east-1`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Region {
    type Err = InvalidRegion;

    fn from_str(text: &str) -> Result<Self, InvalidRegion> {
        let parts: Vec<&str> = text.split('-').collect();
        let words = parts.len() >= 3 && parts[..parts.len() - 1].iter().all(|part| part.len() >= 2 && part.bytes().all(|b| b.is_ascii_lowercase()));
        let number = parts.last().is_some_and(|part| !part.is_empty() && part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit()));
        if words && number { Ok(Region(text.into())) } else { Err(InvalidRegion { text: text.to_owned() }) }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Borrow<str> for Region {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for Region {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::parsed(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_told_from_a_zone_and_from_nonsense() {
        for good in ["us-east-1", "af-south-1", "us-gov-west-1", "ap-southeast-10"] {
            assert!(good.parse::<Region>().is_ok(), "{good}");
        }
        for bad in ["", "us-east", "us-east-1a", "US-EAST-1", "us_east_1", "-east-1", "us-east-"] {
            assert!(bad.parse::<Region>().is_err(), "{bad}");
        }
    }
}
