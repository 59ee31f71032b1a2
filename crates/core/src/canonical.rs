//! Canonical JSON: sorted keys, no white space. The same value is always the same bytes.

use serde_json::Value;

/// The value with its keys in order, whatever `serde_json` was built with: another crate of the same build may switch on
/// its insertion order.
pub fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map.into_iter().collect();
            entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(entries.into_iter().map(|(key, value)| (key, sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        scalar => scalar,
    }
}

/// The value as canonical JSON.
pub fn canonical_json(value: Value) -> String {
    sorted(value).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_at_every_depth_and_nothing_else_changes() {
        let value: Value = serde_json::from_str(r#"{"b": [{"z": 1, "a": null}], "a": "é\n"}"#).unwrap();
        assert_eq!(canonical_json(value), r#"{"a":"é\n","b":[{"a":null,"z":1}]}"#);
    }
}
