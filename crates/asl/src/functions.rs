//! The functions of an expression that the interpreter answers itself: those that Step Functions adds to
//! JSONata, and those whose answer must come from the execution's clock or seed.

use std::rc::Rc;

use jsonata_core::ast::AstNode;
use jsonata_core::evaluator::{Evaluator, EvaluatorError};
use sha2::Digest;

use crate::draw::{self, Draws};
use crate::timestamp;
use crate::value::{self, Value};

/// Added by Step Functions or answered from the execution.
const HOST: [&str; 9] = ["hash", "millis", "now", "parse", "partition", "random", "range", "shuffle", "uuid"];

/// JSONata's own functions. `$eval` is missing on purpose: Step Functions does not provide it.
const BUILTIN: [&str; 59] = [
    "abs",
    "append",
    "assert",
    "average",
    "base64decode",
    "base64encode",
    "boolean",
    "ceil",
    "contains",
    "count",
    "decodeUrl",
    "decodeUrlComponent",
    "distinct",
    "each",
    "encodeUrl",
    "encodeUrlComponent",
    "error",
    "exists",
    "filter",
    "floor",
    "formatBase",
    "formatInteger",
    "formatNumber",
    "fromMillis",
    "join",
    "keys",
    "length",
    "lookup",
    "lowercase",
    "map",
    "match",
    "max",
    "merge",
    "min",
    "not",
    "number",
    "pad",
    "parseInteger",
    "power",
    "reduce",
    "replace",
    "reverse",
    "round",
    "sift",
    "single",
    "sort",
    "split",
    "spread",
    "sqrt",
    "string",
    "substring",
    "substringAfter",
    "substringBefore",
    "sum",
    "toMillis",
    "trim",
    "type",
    "uppercase",
    "zip",
];

/// The longest array that `$range` makes (the limit of `States.ArrayRange`).
const MAX_RANGE: f64 = 1_000.0;

pub(crate) fn is_builtin(name: &str) -> bool {
    BUILTIN.contains(&name)
}

pub(crate) fn host_function(name: &str) -> Option<&'static str> {
    HOST.iter().copied().find(|host| *host == name)
}

/// Gives `evaluator` the host functions in `names`. Time and draws are those of this evaluation.
pub(crate) fn register<'a>(
    evaluator: &mut Evaluator,
    names: impl Iterator<Item = &'a &'static str>,
    now: u64,
    draws: &Rc<Draws>,
    state: &Rc<str>,
) -> Result<(), EvaluatorError> {
    for name in names {
        let draws = draws.clone();
        let state = state.clone();
        match *name {
            "hash" => evaluator.register_fn(*name, hash)?,
            "parse" => evaluator.register_fn(*name, parse)?,
            "partition" => evaluator.register_fn(*name, partition)?,
            "range" => evaluator.register_fn(*name, range)?,
            "uuid" => evaluator.register_fn(*name, move |_: &[Value]| {
                let high = draws.next(&state);
                Ok(Value::from(draw::uuid(high, draws.next(&state))))
            })?,
            "millis" => evaluator.register_fn_override(*name, move |_: &[Value]| Ok(Value::from(now)))?,
            "now" => evaluator.register_fn_override(*name, move |args: &[Value]| {
                if args.iter().any(|arg| !arg.is_undefined()) {
                    return format_now(now, args);
                }
                Ok(Value::from(timestamp::format(now)))
            })?,
            "random" => evaluator.register_fn_override(*name, move |args: &[Value]| {
                let bits = match args.first() {
                    None | Some(Value::Undefined) => draws.next(&state),
                    Some(seed) => draw::hash(0, &["random", &value::to_text(seed)]),
                };
                Ok(Value::from(draw::unit_interval(bits)))
            })?,
            "shuffle" => evaluator.register_fn_override(*name, move |args: &[Value]| {
                let Some(Value::Array(items)) = args.first() else {
                    return Ok(args.first().cloned().unwrap_or(Value::Undefined));
                };
                let mut items: Vec<Value> = items.iter().cloned().collect();
                for last in (1..items.len()).rev() {
                    let other = draws.next(&state) % (last as u64 + 1);
                    items.swap(last, other as usize);
                }
                Ok(Value::array(items))
            })?,
            _ => {}
        }
    }
    Ok(())
}

/// `$now(picture, timezone)` is `$fromMillis($millis(), picture, timezone)`.
fn format_now(now: u64, args: &[Value]) -> Result<Value, EvaluatorError> {
    let mut call = vec![AstNode::Number(now as f64)];
    for arg in args {
        call.push(match arg {
            Value::Undefined => AstNode::Undefined,
            Value::String(text) => AstNode::String(text.to_string()),
            _ => return Err(fail("$now wants strings: a picture and a time zone")),
        });
    }
    let call = AstNode::Function { name: "fromMillis".to_owned(), args: call, is_builtin: true };
    Evaluator::new().evaluate(&call, &Value::Undefined)
}

fn fail(message: impl Into<String>) -> EvaluatorError {
    EvaluatorError::EvaluationError(message.into())
}

fn number(args: &[Value], index: usize, function: &str) -> Result<f64, EvaluatorError> {
    match args.get(index) {
        Some(Value::Number(number)) if number.fract() == 0.0 && number.is_finite() => Ok(*number),
        other => Err(fail(format!(
            "${function} wants an integer as argument {}, but got {}",
            index + 1,
            other.map_or("nothing".to_owned(), |value| value::to_short_text(value, 60))
        ))),
    }
}

fn partition(args: &[Value]) -> Result<Value, EvaluatorError> {
    let Some(first) = args.first().filter(|value| !value.is_undefined()) else {
        return Ok(Value::Undefined);
    };
    let size = number(args, 1, "partition")?;
    if size < 1.0 {
        return Err(fail(format!("$partition wants a chunk size of at least 1, but got {size}")));
    }
    let single;
    let items = match first {
        Value::Array(items) => items.as_slice(),
        other => {
            single = [other.clone()];
            &single[..]
        }
    };
    let size = size.min(items.len().max(1) as f64) as usize;
    let chunks = items.chunks(size).map(|chunk| Value::array(chunk.to_vec()));
    Ok(Value::array(chunks.collect()))
}

fn range(args: &[Value]) -> Result<Value, EvaluatorError> {
    let first = number(args, 0, "range")?;
    let last = number(args, 1, "range")?;
    let step = number(args, 2, "range")?;
    if step == 0.0 {
        return Err(fail("$range wants a step other than 0"));
    }
    let count = ((last - first) / step).floor() + 1.0;
    if count > MAX_RANGE {
        return Err(fail(format!("$range would make {count} items; it makes at most {MAX_RANGE}")));
    }
    let items = (0..count.max(0.0) as u32).map(|index| Value::from(first + step * f64::from(index)));
    // A sequence: AWS returns a single item bare (recorded: `$range(1, 9, 9)` is `1`).
    Ok(Value::sequence(items.collect()))
}

fn hash(args: &[Value]) -> Result<Value, EvaluatorError> {
    let text = match args.first() {
        None | Some(Value::Undefined) => return Ok(Value::Undefined),
        Some(Value::String(text)) => text.to_string(),
        Some(other) => value::to_text(other),
    };
    let bytes = text.as_bytes();
    let digest: Vec<u8> = match args.get(1).and_then(Value::as_str) {
        Some("MD5") => md5::Md5::digest(bytes).to_vec(),
        Some("SHA-1") => sha1::Sha1::digest(bytes).to_vec(),
        Some("SHA-256") => sha2::Sha256::digest(bytes).to_vec(),
        Some("SHA-384") => sha2::Sha384::digest(bytes).to_vec(),
        Some("SHA-512") => sha2::Sha512::digest(bytes).to_vec(),
        other => {
            return Err(fail(format!("$hash wants MD5, SHA-1, SHA-256, SHA-384 or SHA-512 as argument 2, but got {other:?}")));
        }
    };
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Value::from(hex))
}

fn parse(args: &[Value]) -> Result<Value, EvaluatorError> {
    match args.first() {
        None | Some(Value::Undefined) => Ok(Value::Undefined),
        Some(Value::String(text)) => Value::from_json_str(text).map_err(|error| fail(format!("$parse could not read its argument as JSON: {error}"))),
        Some(other) => Err(fail(format!("$parse wants a string, but got {}", value::to_short_text(other, 60)))),
    }
}
