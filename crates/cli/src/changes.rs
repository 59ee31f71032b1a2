//! What differs between two plans: path by path, lists of named things by their names.

use std::collections::BTreeMap;

use serde_json::Value;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Where, such as `databases.portal-db.lag.max`.
    pub(crate) path: String,
    /// What it was; `None` where it is new.
    pub(crate) before: Option<String>,
    /// What it is; `None` where it was dropped.
    pub(crate) after: Option<String>,
}

/// The differences from one plan to another, by path.
pub(crate) fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let (before, after) = (leaves(before), leaves(after));
    let paths: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    paths
        .into_iter()
        .filter(|path| before.get(*path) != after.get(*path))
        .map(|path| Difference { path: path.clone(), before: before.get(path).cloned(), after: after.get(path).cloned() })
        .collect()
}

fn leaves(value: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    collect(String::new(), value, &mut found);
    found
}

fn collect(path: String, value: &Value, found: &mut BTreeMap<String, String>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| collect(below(key), value, found)),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(below(&name_of(item).map_or_else(|| (index + 1).to_string(), str::to_owned)), item, found);
            }
        }
        // A default that was not written.
        Value::Null => {}
        Value::String(text) => drop(found.insert(path, text.clone())),
        scalar => drop(found.insert(path, scalar.to_string())),
    }
}

/// What a thing in a list is known by: so that one that is put in before it changes nothing else.
fn name_of(item: &Value) -> Option<&str> {
    ["name", "record", "role", "audience"].iter().find_map(|key| item.get(key)?.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_thing_that_is_put_in_before_another_is_the_only_difference() {
        let before = json!({"databases": [{"name": "b", "lag": {"max": "60s"}}], "regions": {"primary": "us-east-1"}});
        let after = json!({"databases": [{"name": "a"}, {"name": "b", "lag": {"max": "90s"}}], "regions": {"primary": "us-east-1"}});
        let told: Vec<_> = differences(&before, &after).into_iter().map(|known| (known.path, known.before, known.after)).collect();
        assert_eq!(
            told,
            [("databases.a.name".to_owned(), None, Some("a".to_owned())), ("databases.b.lag.max".to_owned(), Some("60s".to_owned()), Some("90s".to_owned())),]
        );
    }

    #[test]
    fn a_default_that_was_not_written_is_no_difference() {
        assert_eq!(differences(&json!({"a": null, "b": [1, 2]}), &json!({"b": [1, 2]})), []);
    }
}
