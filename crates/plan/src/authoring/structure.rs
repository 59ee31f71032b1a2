//! The form of a plan: every key known, every value of its type. All errors at once, each at its line, with the word that was probably meant.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::OnceLock;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use muster_core::{Duration, Region};
use serde_json::Value;

use super::diagnostic::{Diagnostic, dotted};
use super::load::MAX_DIAGNOSTICS;
use super::schema::schema;
use super::yaml::{Document, escape};
use crate::name::Name;
use crate::schedule::Schedule;
use crate::units::{Bytes, Percent, Quantity};

struct Language {
    schema: Value,
    validator: Option<Validator>,
}

fn language() -> &'static Language {
    static LANGUAGE: OnceLock<Language> = OnceLock::new();
    LANGUAGE.get_or_init(|| {
        let schema = schema();
        let options = FORMATS.iter().fold(jsonschema::options(), |options, format| {
            let reason = format.reason;
            options.with_format(format.name, move |text: &str| reason(text).is_none())
        });
        let validator = options.should_validate_formats(true).build(&schema).ok();
        Language { schema, validator }
    })
}

/// A kind of text that has a reader of its own, which knows best why it cannot be read.
struct Format {
    name: &'static str,
    reason: fn(&str) -> Option<String>,
}

const FORMATS: [Format; 8] = [
    Format { name: "plan-name", reason: why::<Name> },
    Format { name: "aws-region", reason: why::<Region> },
    Format { name: "duration-above-zero", reason: why_not_a_positive_duration },
    Format { name: "duration-or-zero", reason: why::<Duration> },
    Format { name: "percent", reason: why::<Percent> },
    Format { name: "bytes", reason: why::<Bytes> },
    Format { name: "schedule", reason: why::<Schedule> },
    Format { name: "quantity", reason: why_not_a_quantity },
];

fn why<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Option<String> {
    T::from_str(text).err().map(|error| error.to_string())
}

fn why_not_a_positive_duration(text: &str) -> Option<String> {
    match Duration::from_str(text) {
        Ok(span) if span.is_zero() => Some(format!("`{text}` is no time at all: this has to be longer than zero")),
        Ok(_) => None,
        Err(_) if text.starts_with('-') => Some(format!("`{text}` is negative: write a time such as {}", &text[1..])),
        Err(error) => Some(error.to_string()),
    }
}

fn why_not_a_quantity(text: &str) -> Option<String> {
    let known = serde_json::from_value::<Quantity>(Value::from(text)).is_ok();
    (!known).then(|| format!("`{text}` is not a threshold: write a share (0.1%), a time (2s) or a count (0)"))
}

/// Everything that is wrong with the form of a document.
pub(crate) fn check(document: &Document) -> Vec<Diagnostic> {
    let language = language();
    let Some(validator) = &language.validator else {
        return vec![Diagnostic::error("schema", "this build of muster has no usable schema of plan files").help("report this: it is a defect of muster")];
    };
    let errors: Vec<ValidationError<'_>> = validator.iter_errors(&document.value).take(MAX_DIAGNOSTICS + 1).collect();
    let mut meant = BTreeSet::new();
    let mut found = Vec::new();
    for error in &errors {
        if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
            let at = error.instance_path().as_str();
            let known = known_keys(&language.schema, error);
            for key in unexpected.iter().take(MAX_DIAGNOSTICS + 1) {
                let (diagnostic, suggestion) = unknown_key(&language.schema, document, error, key, &known);
                meant.extend(suggestion.map(|suggestion| format!("{at}/{}", escape(&suggestion))));
                found.push(diagnostic);
            }
        }
    }
    // One value is wrong for one reason: a text that its own reader refuses need not hear that it does not match a pattern too.
    let mut texts: BTreeMap<String, Diagnostic> = BTreeMap::new();
    for error in &errors {
        let at = error.instance_path().as_str();
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { .. } => {}
            // Whatever is no text is told so already.
            ValidationErrorKind::Enum { .. } if !error.instance().is_string() => {}
            ValidationErrorKind::Required { property } => {
                let property = property.as_str().unwrap_or("");
                if !meant.contains(&format!("{at}/{property}")) {
                    found.push(missing(&language.schema, document, error, at, property));
                }
            }
            ValidationErrorKind::Format { format } => {
                texts.insert(at.to_owned(), unreadable(document, at, format, error.instance()));
            }
            ValidationErrorKind::Pattern { .. } | ValidationErrorKind::MinLength { .. } => {
                texts.entry(at.to_owned()).or_insert_with(|| malformed(&language.schema, document, error, at));
            }
            _ => found.push(other(&language.schema, document, error, at)),
        }
    }
    found.extend(texts.into_values());
    found
}

/// The schema object that an error's keyword stands in.
fn owner<'a>(schema: &'a Value, error: &ValidationError<'_>) -> Option<&'a Value> {
    let path = error.schema_path().as_str();
    let (parent, _) = path.rsplit_once('/')?;
    let mut at = schema;
    for segment in parent.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        at = match at {
            Value::Array(items) => items.get(segment.parse::<usize>().ok()?)?,
            _ if segment == "$ref" => schema.pointer(at.get("$ref")?.as_str()?.strip_prefix('#')?)?,
            _ => at.get(&segment)?,
        };
    }
    Some(at)
}

fn known_keys(schema: &Value, error: &ValidationError<'_>) -> Vec<String> {
    let properties = owner(schema, error).and_then(|owner| owner.get("properties")).and_then(Value::as_object);
    properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default()
}

fn description(schema: &Value, error: &ValidationError<'_>, key: &str) -> Option<String> {
    let text = owner(schema, error)?.get("properties")?.get(key)?.get("description")?.as_str()?;
    text.lines().next().map(str::to_owned)
}

/// The word of `known` that `wanted` was probably meant to be.
pub(crate) fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = wanted.to_lowercase().replace(['_', '-'], "");
    let closest = |word: &str| {
        let other = word.to_lowercase().replace(['_', '-'], "");
        strsim::damerau_levenshtein(&folded, &other)
    };
    let limit = (wanted.chars().count() / 3).clamp(1, 4);
    known.into_iter().map(|word| (closest(word), word)).filter(|(distance, _)| *distance <= limit).min().map(|(_, word)| word)
}

fn place(at: &str) -> String {
    if at.is_empty() { "the plan".to_owned() } else { format!("`{}`", dotted(at)) }
}

fn list(words: &[String]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn unknown_key(schema: &Value, document: &Document, error: &ValidationError<'_>, key: &str, known: &[String]) -> (Diagnostic, Option<String>) {
    let (at, instance) = (error.instance_path().as_str(), error.instance());
    let pointer = format!("{at}/{}", escape(key));
    let absent = known.iter().map(String::as_str).filter(|word| instance.get(*word).is_none());
    let suggestion = nearest(key, absent).map(str::to_owned);
    let kind = instance.get("kind").and_then(Value::as_str).map(|kind| format!(" of kind `{kind}`")).unwrap_or_default();
    let diagnostic = Diagnostic::error("unknown-key", format!("{}{kind} has no key `{key}`", place(at))).at(document.span_of_key(&pointer)).of(&pointer);
    let diagnostic = match &suggestion {
        Some(suggestion) => {
            let meaning = description(schema, error, suggestion).map_or_else(String::new, |text| format!(": {}", lower_first(&text)));
            diagnostic.label(format!("did you mean `{suggestion}`?")).help(format!("`{suggestion}`{meaning}"))
        }
        None => diagnostic.label("unknown here").help(format!("it takes {}", list(known))),
    };
    (diagnostic, suggestion)
}

fn missing(schema: &Value, document: &Document, error: &ValidationError<'_>, at: &str, property: &str) -> Diagnostic {
    let diagnostic = Diagnostic::error("missing-key", format!("{} has no `{property}`", place(at))).at(document.span_of(at)).of(at);
    let diagnostic = diagnostic.label(format!("`{property}` is missing"));
    let meaning = description(schema, error, property).map_or_else(String::new, |text| format!(": {}", lower_first(&text)));
    let words = words(schema, error, property);
    let choice = if words.is_empty() { String::new() } else { format!(" One of {}", list(&words)) };
    diagnostic.help(format!("add `{property}: …`{meaning}{choice}"))
}

/// The words that a key takes, where it takes words.
fn words(schema: &Value, error: &ValidationError<'_>, key: &str) -> Vec<String> {
    let property = owner(schema, error).and_then(|owner| owner.get("properties")?.get(key));
    let target = property.and_then(|property| property.get("$ref")?.as_str()?.strip_prefix('#')).and_then(|pointer| schema.pointer(pointer));
    let options = target.or(property).and_then(|target| target.get("enum")?.as_array());
    options.into_iter().flatten().filter_map(|option| option.as_str().map(str::to_owned)).collect()
}

/// A sentence that follows a colon begins small, unless its first word is a name.
fn lower_first(text: &str) -> String {
    let word = text.split(' ').next().unwrap_or("");
    let is_name = word.chars().skip(1).any(char::is_uppercase);
    match text.chars().next() {
        Some(first) if !is_name => first.to_lowercase().collect::<String>() + &text[first.len_utf8()..],
        _ => text.to_owned(),
    }
}

fn unreadable(document: &Document, at: &str, format: &str, instance: &Value) -> Diagnostic {
    let text = instance.as_str().unwrap_or("");
    let reason = FORMATS.iter().find(|known| known.name == format).and_then(|known| (known.reason)(text));
    let reason = reason.unwrap_or_else(|| format!("`{text}` is not a {format}"));
    // What is wrong, then what to write instead: the readers' messages hold both.
    let (message, help) = match reason.split_once(": ") {
        Some((message, help)) => (message.to_owned(), Some(help.to_owned())),
        None => (reason, None),
    };
    let code = if message.ends_with("no time at all") || message.ends_with("is negative") { "not-positive" } else { "malformed" };
    let diagnostic = Diagnostic::error(code, message).at(document.span_of(at)).label(format!("the value of `{}`", last(at))).of(at);
    match help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

fn last(at: &str) -> String {
    let path = dotted(at);
    path.rsplit('.').next().unwrap_or(&path).to_owned()
}

fn malformed(schema: &Value, document: &Document, error: &ValidationError<'_>, at: &str) -> Diagnostic {
    let text = error.instance().as_str().unwrap_or("");
    if text.is_empty() {
        let message = format!("`{}` is empty", dotted(at));
        return Diagnostic::error("malformed", message).at(document.span_of(at)).label("nothing stands here").help("write a value, or delete the key").of(at);
    }
    let meaning = owner(schema, error).and_then(|owner| owner.get("description")).and_then(Value::as_str).and_then(|text| text.lines().next());
    let diagnostic = Diagnostic::error("malformed", format!("`{text}` does not have the form of `{}`", last(at))).at(document.span_of(at)).of(at);
    let example = example(error);
    match (meaning, example) {
        (Some(meaning), Some(example)) => diagnostic.help(format!("{meaning} Write it like {example}")),
        (Some(meaning), None) => diagnostic.help(meaning),
        (None, Some(example)) => diagnostic.help(format!("write it like {example}")),
        (None, None) => diagnostic,
    }
}

fn example(error: &ValidationError<'_>) -> Option<&'static str> {
    let ValidationErrorKind::Pattern { pattern } = error.kind() else { return None };
    const EXAMPLES: [(&str, &str); 7] = [
        ("^https?", "https://portal.example.com/health"),
        ("^Z[A-Z0-9]", "Z0123456789ABCDEFGHIJ"),
        ("^arn:aws", "arn:aws:sns:us-west-2:123456789012:incident"),
        ("^[0-9]{4}-", "2026-01-15"),
        ("^(Sum|", "Sum, Average, Minimum, Maximum, SampleCount or p99"),
        ("^[a-z][A-Za-z]*", "databases.portal-db"),
        ("^(\\*", "portal.example.com"),
    ];
    EXAMPLES.iter().find(|(start, _)| pattern.starts_with(start)).map(|(_, example)| *example)
}

fn other(schema: &Value, document: &Document, error: &ValidationError<'_>, at: &str) -> Diagnostic {
    let instance = error.instance().as_ref();
    match error.kind() {
        ValidationErrorKind::Type { kind } => {
            let wanted = wanted(kind);
            let format = owner(schema, error).and_then(|owner| owner.get("format")?.as_str()).unwrap_or("");
            let diagnostic = if let (Value::Number(number), true) = (instance, format.starts_with("duration")) {
                Diagnostic::error("malformed", format!("`{number}` has no unit")).help(format!("write {number}s, {number}m or {number}h"))
            } else if instance.is_null() {
                Diagnostic::error("no-value", format!("{} has no value", place(at))).help(format!("write {wanted}, or delete the key"))
            } else {
                let help = help_for_type(instance, &wanted);
                Diagnostic::error("wrong-type", format!("{} is {}, and has to be {wanted}", place(at), found(instance))).help(help)
            };
            diagnostic.at(document.span_of(at)).label(format!("{wanted} is wanted here")).of(at)
        }
        ValidationErrorKind::Enum { options } => {
            let options: Vec<String> = options.as_array().into_iter().flatten().filter_map(|option| option.as_str().map(str::to_owned)).collect();
            let written = instance.as_str().map_or_else(|| instance.to_string(), str::to_owned);
            let diagnostic = Diagnostic::error("unknown-word", format!("`{written}` is not one of the words for `{}`", last(at)));
            let diagnostic = diagnostic.at(document.span_of(at)).of(at).help(format!("write one of {}", list(&options)));
            match nearest(&written, options.iter().map(String::as_str)) {
                Some(word) => diagnostic.label(format!("did you mean `{word}`?")),
                None => diagnostic.label("unknown here"),
            }
        }
        ValidationErrorKind::Minimum { limit } => out_of_range(document, at, "less", &format!("{limit} or more")),
        ValidationErrorKind::Maximum { limit } => out_of_range(document, at, "more", &format!("{limit} or less")),
        _ => Diagnostic::error("malformed", format!("{}: {error}", place(at))).at(document.span_of(at)).of(at),
    }
}

fn out_of_range(document: &Document, at: &str, side: &str, range: &str) -> Diagnostic {
    let message = format!("`{}` is {side} than it can be", dotted(at));
    Diagnostic::error("out-of-range", message).at(document.span_of(at)).help(format!("write {range}")).of(at)
}

fn wanted(kind: &jsonschema::error::TypeKind) -> String {
    let one = |kind: jsonschema::JsonType| match kind {
        jsonschema::JsonType::Array => "a list",
        jsonschema::JsonType::Boolean => "true or false",
        jsonschema::JsonType::Integer | jsonschema::JsonType::Number => "a whole number",
        jsonschema::JsonType::Null => "nothing",
        jsonschema::JsonType::Object => "a group of keys",
        jsonschema::JsonType::String => "a text",
    };
    match kind {
        jsonschema::error::TypeKind::Single(kind) => one(*kind).to_owned(),
        jsonschema::error::TypeKind::Multiple(kinds) => kinds.iter().map(one).collect::<Vec<_>>().join(" or "),
    }
}

fn found(instance: &Value) -> &'static str {
    match instance {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a group of keys",
    }
}

fn help_for_type(instance: &Value, wanted: &str) -> String {
    match instance {
        Value::Number(number) if wanted == "a text" => format!("quote it where it is a name (\"{number}\"), or give it its unit"),
        Value::Object(_) if wanted == "a text" => "quote it where braces are meant as text: \"{databases.portal-db.endpoint}\"".to_owned(),
        Value::Bool(word) if wanted == "a text" => format!("quote it: \"{word}\""),
        Value::String(text) if wanted == "a whole number" && text.contains('.') => "plans hold whole numbers only: use a smaller unit".to_owned(),
        Value::Object(_) if wanted == "a list" => "put `- ` before its first key".to_owned(),
        Value::String(_) if wanted == "a group of keys" => "write its keys on the following lines, indented".to_owned(),
        _ => format!("write {wanted}"),
    }
}
