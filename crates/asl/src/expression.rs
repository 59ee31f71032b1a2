//! One JSONata expression: parsed once when the machine is loaded, evaluated many times.

use std::rc::Rc;

use jsonata_core::ast::{AstNode, BinaryOp};
use jsonata_core::evaluator::{Context, Evaluator, EvaluatorOptions};
use jsonata_core::parser;

use crate::context::Env;
use crate::functions;
use crate::limits::{MAX_EVALUATION_DEPTH, MAX_SEQUENCE_LENGTH};
use crate::names::{self, Available, StatesUse};
use crate::scope::{ScopeNames, Slot};
use crate::value::{self, NotJson, Value};

/// A parsed expression with its names resolved.
#[derive(Debug)]
pub(crate) struct Expression {
    source: Rc<str>,
    /// The field inside its state, as AWS names it: `Arguments/Payload/x`.
    location: Rc<str>,
    ast: AstNode,
    plain: Option<Plain>,
    variables: Vec<VariableUse>,
    states: StatesUse,
    host_functions: Vec<&'static str>,
}

#[derive(Debug)]
struct VariableUse {
    name: String,
    slot: Slot,
    may_be_missing: bool,
}

/// What most expressions are, and what needs no evaluator.
#[derive(Debug)]
enum Plain {
    Path(PlainPath),
    /// Paths and the texts that they must all be equal to: `$last.status = 'done' and $last.verdict = 'proceed'`.
    Equal(Vec<(PlainPath, Rc<str>)>),
}

/// `$states.input.a.b` or `$variable.a.b`
#[derive(Debug)]
struct PlainPath {
    root: Root,
    fields: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
enum Root {
    Input,
    Result,
    ErrorOutput,
    Context,
    /// Index into `Expression::variables`.
    Variable(usize),
}

/// An expression that failed: AWS's `States.QueryEvaluationError`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EvaluationError {
    pub(crate) location: Rc<str>,
    pub(crate) cause: String,
}

impl Expression {
    /// Parses `source` (without its `{% %}`); all problems at once, as sentences.
    pub(crate) fn compile(source: &str, location: &str, scope: &ScopeNames, available: Available) -> Result<Self, Vec<String>> {
        let ast = parser::parse(source.trim()).map_err(|error| vec![format!("cannot be parsed: {}", error.display_message())])?;
        let names = names::resolve(&ast, scope, available);
        if !names.problems.is_empty() {
            return Err(names.problems);
        }
        let variables: Vec<VariableUse> = names
            .variables
            .iter()
            .filter_map(|name| Some(VariableUse { slot: scope.resolve(name)?, may_be_missing: names.asked.contains(name), name: name.clone() }))
            .collect();
        Ok(Self {
            source: source.trim().into(),
            location: location.into(),
            plain: plain(&ast, &variables),
            ast,
            variables,
            states: names.states,
            host_functions: names.host_functions.into_iter().collect(),
        })
    }

    /// The result as plain JSON, with an upper bound of its length. Undefined is an error.
    pub(crate) fn evaluate(&self, env: &Env<'_>) -> Result<(Value, usize), EvaluationError> {
        let result = match &self.plain {
            // What a variable holds was measured when it was assigned.
            Some(Plain::Path(PlainPath { root: Root::Variable(index), fields })) if fields.is_empty() => {
                match self.read_measured(&self.variables[*index], env)? {
                    Some(measured) => return Ok(measured),
                    None => None,
                }
            }
            Some(Plain::Path(path)) => self.follow_path(path, env)?,
            Some(Plain::Equal(pairs)) => self.compare(pairs, env)?.map(Value::Bool),
            None => None,
        };
        let result = match result {
            Some(value) => value,
            None => self.run(env)?,
        };
        value::plain(&result).map_err(|problem| {
            self.error(match problem {
                NotJson::Undefined if result.is_undefined() => "returned nothing (undefined).",
                NotJson::Undefined => "returned an array that holds nothing (undefined).",
                NotJson::Function => "returned an unsupported result type.",
                NotJson::NotFinite => "returned a number that is not finite; check for a division by zero.",
                NotJson::TooDeep => "returned data that is nested too deep.",
            })
        })
    }

    /// AWS's words for a result of the wrong type.
    pub(crate) fn wrong_type(&self, expected: &str, value: &Value) -> EvaluationError {
        self.error(&format!(
            "returned an unexpected result type. Expected '{expected}', but was '{}' for value: {}",
            value::type_name(value),
            value::to_short_text(value, 1_000)
        ))
    }

    pub(crate) fn error(&self, what: &str) -> EvaluationError {
        EvaluationError {
            location: self.location.clone(),
            cause: format!("The JSONata expression '{}' specified for the field '{}' {what}", self.source, self.location),
        }
    }

    /// `None` when the path meets something that only the evaluator knows how to walk (an array).
    fn follow_path(&self, path: &PlainPath, env: &Env<'_>) -> Result<Option<Value>, EvaluationError> {
        let mut value = match path.root {
            Root::Input => env.input.clone(),
            Root::Result => env.result.cloned().unwrap_or(Value::Undefined),
            Root::ErrorOutput => env.error_output.cloned().unwrap_or(Value::Undefined),
            Root::Context => env.visit.context(),
            Root::Variable(index) => match self.read(&self.variables[index], env)? {
                Some(value) => value,
                None => return Ok(None),
            },
        };
        for field in &path.fields {
            let next = match &value {
                Value::Object(fields) => fields.get(field).cloned(),
                Value::Array(_) => return Ok(None),
                _ => None,
            };
            match next {
                Some(next) => value = next,
                None => return Ok(Some(Value::Undefined)),
            }
        }
        Ok(Some(value))
    }

    /// Whether every path leads to its text; `None` where only the evaluator knows.
    fn compare(&self, pairs: &[(PlainPath, Rc<str>)], env: &Env<'_>) -> Result<Option<bool>, EvaluationError> {
        // A variable without a value is an error, also where its comparison would not be reached.
        for variable in &self.variables {
            self.read(variable, env)?;
        }
        let mut equal = true;
        for (path, text) in pairs {
            let Some(value) = self.follow_path(path, env)? else { return Ok(None) };
            // A comparison with what is not there is false.
            equal &= matches!(&value, Value::String(value) if value == text);
        }
        Ok(Some(equal))
    }

    fn read(&self, variable: &VariableUse, env: &Env<'_>) -> Result<Option<Value>, EvaluationError> {
        Ok(self.read_measured(variable, env)?.map(|(value, _)| value))
    }

    fn read_measured(&self, variable: &VariableUse, env: &Env<'_>) -> Result<Option<(Value, usize)>, EvaluationError> {
        let value = env.visit.thread.scope.get(variable.slot);
        if value.is_none() && !variable.may_be_missing {
            return Err(self.error(&format!(
                "reads the variable ${0}, to which no state has assigned a value on this way; assign it earlier, or ask $exists(${0}) first.",
                variable.name
            )));
        }
        Ok(value)
    }

    fn run(&self, env: &Env<'_>) -> Result<Value, EvaluationError> {
        let mut context = Context::new();
        if self.states.any() {
            context.bind("states".to_owned(), self.states_object(env));
        }
        for variable in &self.variables {
            if let Some(value) = self.read(variable, env)? {
                context.bind(variable.name.clone(), value);
            }
        }
        let options =
            EvaluatorOptions { max_stack_depth: Some(MAX_EVALUATION_DEPTH), max_sequence_length: Some(MAX_SEQUENCE_LENGTH), ..EvaluatorOptions::default() };
        let mut evaluator = Evaluator::with_options(context, options);
        let threw = |message: &str| self.error(&format!("threw an error during evaluation. {message}"));
        if !self.host_functions.is_empty() {
            functions::register(&mut evaluator, self.host_functions.iter(), env.visit.now(), &env.visit.thread.draws, &env.visit.state)
                .map_err(|error| threw(error.message()))?;
        }
        evaluator.evaluate(&self.ast, &Value::Undefined).map_err(|error| threw(error.message()))
    }

    fn states_object(&self, env: &Env<'_>) -> Value {
        let mut fields = Vec::with_capacity(4);
        if self.states.input {
            fields.push(("input", env.input.clone()));
        }
        if let (true, Some(result)) = (self.states.result, env.result) {
            fields.push(("result", result.clone()));
        }
        if let (true, Some(error)) = (self.states.error_output, env.error_output) {
            fields.push(("errorOutput", error.clone()));
        }
        if self.states.context {
            fields.push(("context", env.visit.context()));
        }
        value::object(fields)
    }
}

fn plain(ast: &AstNode, variables: &[VariableUse]) -> Option<Plain> {
    if let Some(path) = plain_path(ast, variables) {
        return Some(Plain::Path(path));
    }
    let mut pairs = Vec::new();
    plain_comparisons(ast, variables, &mut pairs).map(|()| Plain::Equal(pairs))
}

fn plain_comparisons(ast: &AstNode, variables: &[VariableUse], pairs: &mut Vec<(PlainPath, Rc<str>)>) -> Option<()> {
    let AstNode::Binary { op, lhs, rhs } = ast else { return None };
    match (op, &**rhs) {
        (BinaryOp::And, _) => {
            plain_comparisons(lhs, variables, pairs)?;
            plain_comparisons(rhs, variables, pairs)
        }
        (BinaryOp::Equal, AstNode::String(text)) => {
            pairs.push((plain_path(lhs, variables)?, text.as_str().into()));
            Some(())
        }
        _ => None,
    }
}

fn plain_path(ast: &AstNode, variables: &[VariableUse]) -> Option<PlainPath> {
    let variable = |name: &str| {
        let index = variables.iter().position(|used| used.name == name)?;
        Some(Root::Variable(index))
    };
    let steps = match ast {
        AstNode::Variable(name) => {
            return Some(PlainPath { root: variable(name)?, fields: Vec::new() });
        }
        AstNode::Path { steps } => steps,
        _ => return None,
    };
    let mut fields = Vec::with_capacity(steps.len());
    for (index, step) in steps.iter().enumerate() {
        let bare =
            step.stages.is_empty() && step.focus.is_none() && step.index_var.is_none() && step.ancestor_label.is_none() && !step.is_tuple && !step.inner_tuple;
        match (&step.node, index, bare) {
            (AstNode::Variable(name), 0, true) => fields.push(name.clone()),
            (AstNode::Name(name), 1.., true) => fields.push(name.clone()),
            _ => return None,
        }
    }
    let root = fields.remove(0);
    if root != "states" {
        return Some(PlainPath { root: variable(&root)?, fields });
    }
    if fields.is_empty() {
        return None;
    }
    let root = match fields.remove(0).as_str() {
        "input" => Root::Input,
        "result" => Root::Result,
        "errorOutput" => Root::ErrorOutput,
        "context" => Root::Context,
        _ => return None,
    };
    Some(PlainPath { root, fields })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The quick walk along a path gives what the evaluator gives, for every shape of data.
    #[test]
    fn following_a_plain_path_gives_what_the_evaluator_gives() {
        let scope = ScopeNames { parent: None, names: Vec::new() };
        let leaves = [
            "null",
            "0",
            "false",
            "\"\"",
            "\"x\"",
            "[]",
            "[1]",
            "[[]]",
            "[[1]]",
            "[1,2]",
            "[null]",
            "{}",
            r#"{"b":1}"#,
            r#"{"b":[]}"#,
            r#"{"b":[1]}"#,
            r#"{"b":[[1]]}"#,
            r#"{"b":null}"#,
            r#"[{"b":1}]"#,
            r#"[{"b":1},{"b":2}]"#,
            r#"[{"b":[1]},{"b":[2]}]"#,
            r#"[{"b":[]}]"#,
        ];
        for leaf in leaves {
            let input = Value::from_json_str(&format!(r#"{{"a":{leaf}}}"#)).unwrap();
            for source in [
                "$states.input",
                "$states.input.a",
                "$states.input.a.b",
                "$states.input.a.b.c",
                "$states.input.missing",
                "$states.input.missing.b",
                "$states.input.a = 'x'",
                "$states.input.a.b = 'x'",
                "$states.input.a = 'x' and $states.input.missing = 'x'",
                "$states.input.a = 'x' and $states.input.a = 'x' and $states.input.a = ''",
                "$states.input.missing = ''",
            ] {
                let available = Available::default();
                let mut expression = Expression::compile(source, "Output", &scope, available).unwrap();
                assert!(expression.plain.is_some(), "{source}");
                let quick = crate::context::tests::with_visit(|visit| expression.evaluate(&visit.env(&input)));
                expression.plain = None;
                let slow = crate::context::tests::with_visit(|visit| expression.evaluate(&visit.env(&input)));
                assert_eq!(quick, slow, "{source} of {leaf}");
            }
        }
    }
}
