//! Canonical JSON: sorted keys, integers, no white space. The same report is always the same bytes.

use serde_json::Value;

use crate::record::Report;

impl Report {
    /// The record, as canonical JSON.
    pub fn to_json(&self) -> String {
        let mut text = String::new();
        write(&serde_json::to_value(self).unwrap_or(Value::Null), &mut text);
        text
    }
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            // Sorted here, not by the map: another crate of the same build may switch on serde_json's insertion order.
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            let mut open = '{';
            for (key, value) in entries {
                text.push(open);
                open = ',';
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write(value, text);
            }
            if open == '{' {
                text.push(open);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}
