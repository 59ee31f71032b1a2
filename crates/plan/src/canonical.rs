//! The canonical form of a plan: what is stored, pinned by a run, and loaded by functions.

use muster_core::canonical_json;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::plan::Plan;

/// Why bytes are not a plan in canonical form.
#[derive(Debug, thiserror::Error)]
#[error("this is not a compiled plan: {0}; compile and push it again with `muster push`")]
pub struct NotAPlan(#[from] serde_json::Error);

impl Plan {
    /// The plan as JSON with sorted keys, integers only, no nulls and no white space: the same plan is always the same bytes.
    pub fn canonical_json(&self) -> String {
        canonical(serde_json::to_value(self).unwrap_or(Value::Null))
    }

    /// The SHA-256 of [`Plan::canonical_json`], in lower-case hexadecimal: what a run pins.
    pub fn digest(&self) -> String {
        let hash = Sha256::digest(self.canonical_json().as_bytes());
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads the canonical form.
    pub fn from_canonical_json(bytes: &[u8]) -> Result<Plan, NotAPlan> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

fn canonical(value: Value) -> String {
    canonical_json(without_nulls(value))
}

/// What is left out and what is `null` are the same plan.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(map.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key, without_nulls(value))).collect()),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        scalar => scalar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(json: &str) -> String {
        super::canonical(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn keys_are_sorted_and_nothing_else_is_whatever_serde_json_was_built_with() {
        assert_eq!(canonical(r#"{"b": [3, 1, {"z": 1, "a": "é\n"}], "a": {}, "c": null}"#), r#"{"a":{},"b":[3,1,{"a":"é\n","z":1}]}"#);
        assert_eq!(canonical(r#"{"a": 1, "b": 2}"#), canonical(r#"{"b": 2, "a": 1}"#));
    }

    #[test]
    fn what_is_not_a_plan_is_refused_with_what_to_do() {
        let error = Plan::from_canonical_json(b"{}").unwrap_err().to_string();
        assert!(error.contains("missing field") && error.contains("muster push"), "{error}");
    }
}
