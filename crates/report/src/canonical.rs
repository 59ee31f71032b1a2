//! The record's canonical form.

use muster_core::canonical_json;
use serde_json::Value;

use crate::record::Report;

impl Report {
    /// The record, as canonical JSON: the same report is always the same bytes.
    pub fn to_json(&self) -> String {
        canonical_json(serde_json::to_value(self).unwrap_or(Value::Null))
    }
}
