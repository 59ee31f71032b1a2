//! The JSON Schema of plan files: generated from the types, then made fit for people and their editors.
//!
//! schemars writes `oneOf` for enums, and a validator can only say of `oneOf` that nothing matched. So variants tagged by `kind` become one
//! `if … then` each, and enums of words become `enum`: the same language, but an error names the key that is wrong.

use muster_core::sorted;
use serde_json::{Map, Value, json};

use crate::plan::Plan;

/// The JSON Schema of plan files, with a description for every key.
pub fn schema() -> Value {
    let generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Plan>().to_value();
    simplify(&mut schema);
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), json!("Muster recovery plan"));
    }
    sorted(schema)
}

fn simplify(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(simplify),
        Value::Object(object) => {
            drop_null(object);
            bound(object);
            if let Some(Value::Array(variants)) = object.remove("oneOf") {
                enumerate(object, variants);
            }
            object.values_mut().for_each(simplify);
        }
        _ => {}
    }
}

/// A key that may be left out may not be empty: whoever writes `standby:` and nothing behind it has not finished.
fn drop_null(object: &mut Map<String, Value>) {
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(options)) = object.get_mut("enum") {
        options.retain(|option| !option.is_null());
    }
    if let Some(Value::Array(mut choices)) = object.remove("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
        if let ([Value::Object(only)], true) = (choices.as_slice(), choices.len() == 1) {
            for (key, value) in only {
                object.entry(key.clone()).or_insert_with(|| value.clone());
            }
        } else {
            object.insert("anyOf".to_owned(), Value::Array(choices));
        }
    }
}

/// What does not fit the type is refused here, where the line is known; and a text that may be empty says so by its format.
fn bound(object: &mut Map<String, Value>) {
    if object.get("format").is_some_and(|format| format == "uint32") {
        object.entry("maximum").or_insert(json!(u32::MAX));
    }
    if object.get("type").is_some_and(|name| name == "string") && !["const", "enum", "format", "pattern"].iter().any(|key| object.contains_key(*key)) {
        object.entry("minLength").or_insert(json!(1));
    }
}

fn enumerate(object: &mut Map<String, Value>, variants: Vec<Value>) {
    if variants.iter().all(|variant| variant.get("const").is_some() || variant.get("enum").is_some()) {
        words(object, &variants);
    } else {
        tagged(object, variants);
    }
}

/// An enum of words.
fn words(object: &mut Map<String, Value>, variants: &[Value]) {
    let mut options = Vec::new();
    let mut lines = Vec::new();
    for variant in variants {
        if let Some(word) = variant.get("const") {
            lines.push(described(word, variant));
            options.push(word.clone());
        } else if let Some(Value::Array(more)) = variant.get("enum") {
            options.extend(more.iter().cloned());
        }
    }
    object.insert("type".to_owned(), json!("string"));
    object.insert("enum".to_owned(), Value::Array(options));
    describe(object, &lines);
}

/// Variants tagged by `kind`.
fn tagged(object: &mut Map<String, Value>, variants: Vec<Value>) {
    let mut kinds = Vec::new();
    let mut lines = Vec::new();
    let mut branches = Vec::new();
    for mut variant in variants {
        let Some(kind) = variant.pointer("/properties/kind/const").cloned() else { continue };
        lines.push(described(&kind, &variant));
        if let Some(then) = variant.as_object_mut() {
            then.insert("additionalProperties".to_owned(), json!(false));
            then.remove("type");
        }
        branches.push(json!({"if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]}, "then": variant}));
        kinds.push(kind);
    }
    let mut kind = Map::new();
    kind.insert("type".to_owned(), json!("string"));
    kind.insert("enum".to_owned(), Value::Array(kinds));
    kind.insert("description".to_owned(), json!("Which kind it is."));
    describe(&mut kind, &lines);
    object.insert("type".to_owned(), json!("object"));
    object.insert("properties".to_owned(), json!({"kind": kind}));
    object.insert("required".to_owned(), json!(["kind"]));
    object.insert("allOf".to_owned(), Value::Array(branches));
}

fn described(word: &Value, variant: &Value) -> String {
    let text = variant.get("description").and_then(Value::as_str).unwrap_or("");
    format!("- `{}`: {}", word.as_str().unwrap_or(""), text.replace('\n', " "))
}

fn describe(object: &mut Map<String, Value>, lines: &[String]) {
    let own = object.get("description").and_then(Value::as_str).unwrap_or("").to_owned();
    object.insert("description".to_owned(), json!(format!("{own}\n\n{}", lines.join("\n"))));
}
