//! A field of a state that may hold expressions anywhere inside it.

use std::rc::Rc;

use jsonata_core::value::JMap;

use crate::context::Env;
use crate::expression::{EvaluationError, Expression};
use crate::value::Value;

/// JSON with `{% %}` strings parsed.
#[derive(Debug)]
pub(crate) enum Template {
    /// No expression inside; with an upper bound of its length.
    Constant(Value, usize),
    Expression(Expression),
    Array(Vec<Template>),
    /// The names, each with null for now, and what belongs there, in their order.
    Object(JMap, Vec<Template>),
}

impl Template {
    /// The value, with an upper bound of its length.
    pub(crate) fn evaluate(&self, env: &Env<'_>) -> Result<(Value, usize), EvaluationError> {
        match self {
            Template::Constant(value, bytes) => Ok((value.clone(), *bytes)),
            Template::Expression(expression) => expression.evaluate(env),
            Template::Array(items) => {
                let mut bytes = 2 + items.len();
                let mut values = Vec::with_capacity(items.len());
                for item in items {
                    let (value, item_bytes) = item.evaluate(env)?;
                    bytes += item_bytes;
                    values.push(value);
                }
                Ok((Value::array(values), bytes))
            }
            Template::Object(names, fields) => {
                let mut bytes = 2;
                // A copy of a map has its places already: no name is hashed again.
                let mut object = names.clone();
                for ((name, place), field) in object.iter_mut().zip(fields) {
                    let (value, field_bytes) = field.evaluate(env)?;
                    bytes += field_bytes + 6 * name.len() + 4;
                    *place = value;
                }
                Ok((Value::Object(Rc::new(object)), bytes))
            }
        }
    }

    /// The constant value, if there is no expression inside.
    pub(crate) fn constant(&self) -> Option<&Value> {
        match self {
            Template::Constant(value, _) => Some(value),
            _ => None,
        }
    }
}
