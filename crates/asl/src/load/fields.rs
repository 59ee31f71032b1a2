//! Reads the fields of one object of a definition, and complains about those that nobody asked for.

use std::rc::Rc;

use jsonata_core::value::JMap;

use super::problem::Problems;
use crate::expression::Expression;
use crate::limits::MAX_SECONDS;
use crate::machine::{Condition, Seconds};
use crate::names::Available;
use crate::scope::ScopeNames;
use crate::template::Template;
use crate::value::{self, Value};

/// One object and where it is.
pub(super) struct Fields<'a> {
    pub(super) path: String,
    pub(super) problems: &'a Problems,
    fields: Option<Rc<JMap>>,
}

impl<'a> Fields<'a> {
    /// `value` has to be an object; if it is not, every field reads as absent.
    pub(super) fn new(problems: &'a Problems, path: String, value: &Value) -> Self {
        let fields = match value {
            Value::Object(fields) => Some(fields.clone()),
            other => {
                problems.add(&path, format!("wants an object, but is {}", describe(other)));
                None
            }
        };
        Self { path, problems, fields }
    }

    pub(super) fn is_object(&self) -> bool {
        self.fields.is_some()
    }

    pub(super) fn at(&self, field: &str) -> String {
        format!("{}/{field}", self.path)
    }

    pub(super) fn problem(&self, field: &str, message: impl Into<String>) {
        self.problems.add(&self.at(field), message);
    }

    /// Complains about every field that is not in `known`.
    pub(super) fn only(&self, known: &[&str]) {
        for (name, _) in self.fields.iter().flat_map(|fields| fields.iter()) {
            if known.contains(&name.as_str()) {
                continue;
            }
            let hint = match name.as_str() {
                "InputPath"
                | "OutputPath"
                | "ResultPath"
                | "Parameters"
                | "ResultSelector"
                | "ItemsPath"
                | "SecondsPath"
                | "TimestampPath"
                | "TimeoutSecondsPath"
                | "HeartbeatSecondsPath"
                | "ErrorPath"
                | "CausePath"
                | "Result"
                | "Iterator"
                | "Variable" => " (it belongs to JSONPath, and this machine speaks JSONata)",
                _ => "",
            };
            self.problem(name, format!("is not a field that is known here{hint}; the fields are {}", known.join(", ")));
        }
    }

    pub(super) fn get(&self, field: &str) -> Option<&Value> {
        self.fields.as_ref()?.get(field)
    }

    pub(super) fn required(&self, field: &str) -> Option<&Value> {
        let value = self.get(field);
        if value.is_none() && self.is_object() {
            self.problem(field, "is missing; it is required");
        }
        value
    }

    pub(super) fn string(&self, field: &str) -> Option<Rc<str>> {
        match self.get(field)? {
            Value::String(text) => Some(text.clone()),
            other => {
                self.problem(field, format!("wants a string, but is {}", describe(other)));
                None
            }
        }
    }

    pub(super) fn required_string(&self, field: &str) -> Option<Rc<str>> {
        self.required(field)?;
        self.string(field)
    }

    pub(super) fn boolean(&self, field: &str) -> Option<bool> {
        match self.get(field)? {
            Value::Bool(value) => Some(*value),
            other => {
                self.problem(field, format!("wants true or false, but is {}", describe(other)));
                None
            }
        }
    }

    pub(super) fn array(&self, field: &str) -> Option<&[Value]> {
        match self.get(field)? {
            Value::Array(items) => Some(items.as_slice()),
            other => {
                self.problem(field, format!("wants an array, but is {}", describe(other)));
                None
            }
        }
    }

    /// A literal whole number in `from..=to`.
    pub(super) fn integer(&self, field: &str, from: u64, to: u64) -> Option<u64> {
        let value = self.get(field)?;
        let number = whole(value).filter(|number| (from..=to).contains(number));
        if number.is_none() {
            self.problem(field, format!("wants an integer from {from} to {to}, but is {}", describe(value)));
        }
        number
    }

    /// A literal whole number in `from..=to`, or an expression.
    pub(super) fn seconds(&self, field: &str, from: u64, to: u64, names: &Names<'_>) -> Option<Seconds> {
        match self.get(field)? {
            Value::String(text) => {
                let at = self.at(field);
                match expression_source(text) {
                    Ok(Some(source)) => names.expression(self.problems, &at, field, source).map(Seconds::Expression),
                    Ok(None) => {
                        self.problem(field, format!("wants an integer or a JSONata expression between {{% and %}}, but is {text:?}"));
                        None
                    }
                    Err(message) => {
                        self.problem(field, message);
                        None
                    }
                }
            }
            _ => self.integer(field, from, to).map(Seconds::Literal),
        }
    }

    pub(super) fn timeout(&self, field: &str, names: &Names<'_>) -> Option<Seconds> {
        self.seconds(field, 1, MAX_SECONDS, names)
    }

    pub(super) fn condition(&self, names: &Names<'_>) -> Option<Condition> {
        match self.required("Condition")? {
            Value::Bool(value) => Some(Condition::Literal(*value)),
            Value::String(text) => match expression_source(text) {
                Ok(Some(source)) => names.expression(self.problems, &self.at("Condition"), "Condition", source).map(Condition::Expression),
                Ok(None) => {
                    self.problem("Condition", format!("wants true, false or a JSONata expression between {{% and %}}, but is {text:?}"));
                    None
                }
                Err(message) => {
                    self.problem("Condition", message);
                    None
                }
            },
            other => {
                self.problem("Condition", format!("wants true, false or a JSONata expression, but is {}", describe(other)));
                None
            }
        }
    }

    pub(super) fn template(&self, field: &str, names: &Names<'_>) -> Option<Template> {
        let value = self.get(field)?;
        names.template(self.problems, &self.at(field), field, value)
    }
}

/// What an expression at one place may refer to.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) scope: &'a ScopeNames,
    pub(super) available: Available,
}

impl Names<'_> {
    /// `location` is the field inside its state, with slashes.
    pub(super) fn expression(&self, problems: &Problems, path: &str, location: &str, source: &str) -> Option<Expression> {
        match Expression::compile(source, location, self.scope, self.available) {
            Ok(expression) => Some(expression),
            Err(sentences) => {
                for sentence in sentences {
                    problems.add(path, format!("the expression {:?} {sentence}", source.trim()));
                }
                None
            }
        }
    }

    pub(super) fn template(&self, problems: &Problems, path: &str, location: &str, value: &Value) -> Option<Template> {
        let template = match value {
            Value::String(text) => match expression_source(text) {
                Ok(Some(source)) => Template::Expression(self.expression(problems, path, location, source)?),
                Ok(None) => constant(value),
                Err(message) => {
                    problems.add(path, message);
                    return None;
                }
            },
            Value::Array(items) => {
                let mut templates = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    templates.push(self.template(problems, &format!("{path}[{index}]"), &format!("{location}[{index}]"), item));
                }
                let templates: Vec<Template> = templates.into_iter().collect::<Option<_>>()?;
                if templates.iter().all(|item| item.constant().is_some()) { constant(value) } else { Template::Array(templates) }
            }
            Value::Object(fields) => {
                let mut templates = Vec::with_capacity(fields.len());
                for (name, field) in fields.iter() {
                    templates.push(self.template(problems, &format!("{path}/{name}"), &format!("{location}/{name}"), field));
                }
                let templates: Vec<Template> = templates.into_iter().collect::<Option<_>>()?;
                if templates.iter().all(|field| field.constant().is_some()) {
                    constant(value)
                } else {
                    Template::Object(fields.keys().map(|name| (name.clone(), Value::Null)).collect(), templates)
                }
            }
            other => constant(other),
        };
        Some(template)
    }
}

fn constant(value: &Value) -> Template {
    let bytes = value::plain(value).map_or(usize::MAX, |(_, bytes)| bytes);
    Template::Constant(value.clone(), bytes)
}

/// The text between `{%` and `%}`; `None` for a plain string.
fn expression_source(text: &str) -> Result<Option<&str>, String> {
    if let Some(source) = text.strip_prefix("{%").and_then(|rest| rest.strip_suffix("%}")) {
        if source.trim().is_empty() {
            return Err("is an empty expression; write JSONata between {% and %}".to_owned());
        }
        return Ok(Some(source));
    }
    let trimmed = text.trim();
    if trimmed.starts_with("{%") || trimmed.ends_with("%}") {
        return Err(format!("looks like an expression but is not one: it must begin with {{% and end with %}} exactly, and is {text:?}"));
    }
    Ok(None)
}

/// The value as a whole number, if it is one.
pub(super) fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) if number.fract() == 0.0 && (0.0..9.0e15).contains(number) => Some(*number as u64),
        _ => None,
    }
}

/// A value for a message.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        other => value::to_short_text(other, 80),
    }
}
