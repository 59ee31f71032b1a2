//! `${Name}`: the substitutions that a SAM template makes in a definition.

use std::collections::BTreeMap;
use std::rc::Rc;

use jsonata_core::value::JMap;

use super::problem::Problems;
use crate::value::Value;

/// `value` with every `${Name}` inside a string replaced; one without a value is a problem.
pub(super) fn substitute(value: &Value, substitutions: &BTreeMap<String, String>, problems: &Problems) -> Value {
    walk(value, "", substitutions, problems)
}

fn walk(value: &Value, path: &str, substitutions: &BTreeMap<String, String>, problems: &Problems) -> Value {
    match value {
        Value::String(text) if text.contains("${") => Value::from(replace(text, path, substitutions, problems)),
        Value::Array(items) => {
            Value::array(items.iter().enumerate().map(|(index, item)| walk(item, &format!("{path}[{index}]"), substitutions, problems)).collect())
        }
        Value::Object(fields) => Value::Object(Rc::new(
            fields
                .iter()
                .map(|(name, field)| {
                    let field = walk(field, &format!("{path}/{name}"), substitutions, problems);
                    (name.clone(), field)
                })
                .collect::<JMap>(),
        )),
        other => other.clone(),
    }
}

fn replace(text: &str, path: &str, substitutions: &BTreeMap<String, String>, problems: &Problems) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        replaced.push_str(&rest[..start]);
        let after = &rest[start + 2..];
        // Only a bare name is a substitution: JSONata's `${key: value}` groups, and stays.
        let end = after.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').filter(|end| *end > 0 && after[*end..].starts_with('}'));
        let Some(end) = end else {
            replaced.push_str("${");
            rest = after;
            continue;
        };
        let name = &after[..end];
        match substitutions.get(name) {
            Some(value) => replaced.push_str(value),
            None => problems.add(path, format!("holds ${{{name}}}, but no substitution of that name was given")),
        }
        rest = &after[end + 1..];
    }
    replaced.push_str(rest);
    replaced
}
