//! The data that flows through a machine.

use std::rc::Rc;

use jsonata_core::value::{JMap, JValue};

use crate::limits::MAX_VALUE_DEPTH;

/// JSON with cheap clones: the value type of the expression engine, so that states hand data on
/// without copying it.
pub type Value = JValue;

/// Why the result of an expression is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotJson {
    Undefined,
    Function,
    NotFinite,
    TooDeep,
}

/// An object with `fields`, in this order.
pub fn object(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let fields = fields.into_iter();
    let mut map = JMap::default();
    // Taken at once: a map that grows is hashed anew each time.
    map.reserve(fields.size_hint().1.unwrap_or_default());
    map.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    Value::Object(Rc::new(map))
}

/// An object without fields.
pub(crate) fn empty_object() -> Value {
    object([])
}

/// The JSON type of a value, as AWS names it in its messages.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        _ => "function",
    }
}

/// Compact JSON text.
pub(crate) fn to_text(value: &Value) -> String {
    value.to_json_string().unwrap_or_else(|_| "null".to_owned())
}

/// Compact JSON text of at most `limit` characters, for messages.
pub(crate) fn to_short_text(value: &Value, limit: usize) -> String {
    let text = to_text(value);
    if text.chars().count() <= limit {
        return text;
    }
    let mut short: String = text.chars().take(limit).collect();
    short.push('…');
    short
}

/// Turns the result of an expression into plain JSON: refuses what JSON cannot say, and drops the
/// marks that the expression engine leaves on arrays, since on AWS data is text between two states.
/// Also returns an upper bound of the length of its JSON text.
pub(crate) fn plain(value: &Value) -> Result<(Value, usize), NotJson> {
    let mut bytes = 0;
    let changed = normalise(value, 0, &mut bytes)?;
    Ok((changed.unwrap_or_else(|| value.clone()), bytes))
}

/// `Some` when a part of `value` had to be changed.
fn normalise(value: &Value, depth: usize, bytes: &mut usize) -> Result<Option<Value>, NotJson> {
    if depth > MAX_VALUE_DEPTH {
        return Err(NotJson::TooDeep);
    }
    match value {
        Value::Null | Value::Bool(_) => *bytes += 5,
        Value::Number(number) if number.is_finite() => *bytes += number_bytes(*number),
        Value::Number(_) => return Err(NotJson::NotFinite),
        Value::String(text) => *bytes += string_bytes(text),
        Value::Array(items) => {
            *bytes += 2 + items.len();
            let mut marked = items.sequence || items.cons || items.keep_singleton || items.outer_wrapper || items.sorted_tuples;
            let mut changed: Vec<(usize, Value)> = Vec::new();
            for (index, item) in items.iter().enumerate() {
                if let Some(new) = normalise(item, depth + 1, bytes)? {
                    changed.push((index, new));
                }
            }
            marked |= !changed.is_empty();
            if marked {
                let mut copy: Vec<Value> = items.iter().cloned().collect();
                for (index, new) in changed {
                    copy[index] = new;
                }
                return Ok(Some(Value::array(copy)));
            }
        }
        Value::Object(fields) => {
            *bytes += 2;
            let mut changed: Vec<(String, Value)> = Vec::new();
            for (name, field) in fields.iter() {
                *bytes += string_bytes(name) + 2;
                if let Some(new) = normalise(field, depth + 1, bytes)? {
                    changed.push((name.clone(), new));
                }
            }
            if !changed.is_empty() {
                let mut copy = fields.as_ref().clone();
                for (name, new) in changed {
                    copy.insert(name, new);
                }
                return Ok(Some(Value::Object(Rc::new(copy))));
            }
        }
        Value::Undefined => return Err(NotJson::Undefined),
        _ => return Err(NotJson::Function),
    }
    Ok(None)
}

fn number_bytes(number: f64) -> usize {
    if number.fract() == 0.0 && number.abs() < 1e6 { 7 } else { 25 }
}

fn string_bytes(text: &str) -> usize {
    // A control character is written as six bytes, a quote or a backslash as two.
    let quoted = text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    let controls = text.bytes().filter(|byte| *byte < 0x20).count();
    text.len() + quoted + 5 * controls + 2
}

/// Whether the JSON text of `value` is longer than `limit`. `upper_bound` is what [`plain`] returned:
/// only when it is above the limit is the text really written.
pub(crate) fn exceeds(value: &Value, upper_bound: usize, limit: usize) -> bool {
    upper_bound > limit && to_text(value).len() > limit
}

/// `value` as `serde_json` has it. A whole number is an integer there, so that it reads as one.
pub fn to_json(value: &Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        Value::Bool(value) => Json::Bool(*value),
        Value::Number(number) if number.fract() == 0.0 && number.abs() < 9.0e15 => Json::from(*number as i64),
        Value::Number(number) => Json::from(*number),
        Value::String(text) => Json::String(text.to_string()),
        Value::Array(items) => Json::Array(items.iter().map(to_json).collect()),
        Value::Object(fields) => Json::Object(fields.iter().map(|(name, field)| (name.clone(), to_json(field))).collect()),
        _ => Json::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Value {
        Value::from_json_str(text).unwrap()
    }

    #[test]
    fn the_upper_bound_is_never_below_the_real_length() {
        for text in [r#"{"a":[1,2.5,-1e300,"x\"\\\u0001é"],"b":{"":null},"c":true,"d":false}"#, "[]", "{}", "0.1234567890123456", r#""""#] {
            let value = parse(text);
            let (same, bound) = plain(&value).unwrap();
            assert_eq!(same, value);
            assert!(bound >= to_text(&value).len(), "{text}: {bound}");
        }
    }

    #[test]
    fn a_whole_number_leaves_as_an_integer() {
        let text = r#"{"a":[1,-2.5,1e300,true,null,"x"]}"#;
        let json = to_json(&parse(text));
        assert_eq!(json["a"][0].as_u64(), Some(1));
        assert_eq!(json["a"][1].as_f64(), Some(-2.5));
        assert_eq!(json["a"][2].as_f64(), Some(1e300));
    }

    #[test]
    fn marks_of_the_engine_are_dropped_and_the_items_stay() {
        let marked = Value::array(vec![Value::cons(vec![Value::from(1_i64)])]);
        let (clean, _) = plain(&marked).unwrap();
        assert_eq!(clean, parse("[[1]]"));
        let inner = clean.as_array().unwrap()[0].as_jarray().unwrap().clone();
        assert!(!inner.cons);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        assert_eq!(plain(&Value::Undefined), Err(NotJson::Undefined));
        assert_eq!(plain(&Value::from(f64::NAN)), Err(NotJson::NotFinite));
        assert_eq!(plain(&Value::array(vec![Value::builtin("sum")])), Err(NotJson::Function));
        let mut deep = Value::Null;
        for _ in 0..500 {
            deep = Value::array(vec![deep]);
        }
        assert_eq!(plain(&deep), Err(NotJson::TooDeep));
    }
}
