//! Runs workflows and their states.

mod branches;
mod choice;
mod map;
mod parallel;
mod task;
mod wait;

use std::rc::Rc;

use crate::clock::LocalBoxFuture;
use crate::context::{Env, Thread, Visit};
use crate::event::Details;
use crate::expression::EvaluationError;
use crate::failure::{self, Failure};
use crate::limits::{MAX_ASSIGN_BYTES, MAX_DATA_BYTES, MAX_VARIABLE_BYTES};
use crate::machine::{Assignment, Handlers, Kind, Next, Seconds, State, Workflow};
use crate::retry::Attempts;
use crate::template::Template;
use crate::value::{self, Value};

/// Runs `workflow` to its end; the result is its last state's output.
pub(crate) fn workflow<'a>(thread: &'a Rc<Thread>, workflow: &'a Workflow, input: Value) -> LocalBoxFuture<'a, Result<Value, Failure>> {
    Box::pin(async move {
        // A thread that is redriven goes on where it stood.
        let (mut index, mut data) = thread.at.take().unwrap_or((workflow.start, input));
        loop {
            *thread.at.borrow_mut() = Some((index, data.clone()));
            let state = &workflow.states[index];
            let (next, output) = run_state(thread, state, data).await?;
            thread.active.set(None);
            match next {
                Next::State(target) => {
                    index = target;
                    data = output;
                }
                Next::End => return Ok(output),
            }
        }
    })
}

async fn run_state(thread: &Rc<Thread>, state: &State, input: Value) -> Result<(Next, Value), Failure> {
    let visit = Visit::enter(thread, &state.name, state.kind.state_type(), &input)?;
    match &state.kind {
        Kind::Pass | Kind::Succeed => {
            let output = leave(&visit, state, visit.env(&input), input.clone())?;
            Ok((state.next, output))
        }
        Kind::Fail { error, cause } => Err(fail(&visit, error, cause, &input)),
        Kind::Choice(choice) => choice::run(&visit, state, choice, &input),
        Kind::Wait(wait) => {
            wait::run(&visit, wait, &input).await?;
            let output = leave(&visit, state, visit.env(&input), input.clone())?;
            Ok((state.next, output))
        }
        Kind::Task(task) => {
            let attempt = async || task::run(&visit, task, &input).await;
            handled(&visit, state, &task.handlers, None, &input, attempt).await
        }
        Kind::Parallel(parallel) => {
            let attempt = async || parallel::run(&visit, parallel, &input).await;
            let failed = Some(Details::ParallelStateFailed);
            handled(&visit, state, &parallel.handlers, failed, &input, attempt).await
        }
        Kind::Map(map) => {
            let attempt = async || map::run(&visit, map, &input).await;
            let failed = Some(Details::MapStateFailed);
            handled(&visit, state, &map.handlers, failed, &input, attempt).await
        }
    }
}

/// Runs `attempt`, leaves the state with its result, and handles a failure of either: first Retry, then
/// `failed` is recorded, then Catch.
async fn handled(
    visit: &Visit,
    state: &State,
    handlers: &Handlers,
    failed: Option<Details>,
    input: &Value,
    attempt: impl AsyncFn() -> Result<Value, Failure>,
) -> Result<(Next, Value), Failure> {
    let mut attempts = Attempts::new(&handlers.retry);
    loop {
        let outcome = attempt().await.and_then(|result| {
            let env = Env { result: Some(&result), ..visit.env(input) };
            leave(visit, state, env, result.clone())
        });
        let failure = match outcome {
            Ok(output) => return Ok((state.next, output)),
            Err(failure) => failure,
        };
        let draw = || visit.thread.draws.next(&visit.state);
        if let Some(delay) = attempts.next(&handlers.retry, &failure, draw) {
            visit.retry_count.set(attempts.total);
            visit.thread.execution.world.clock.sleep(delay).await;
            visit.thread.children.borrow_mut().clear();
            continue;
        }
        if let Some(failed) = &failed {
            // When even this event cannot be recorded, the first failure is still the reason.
            let _ = visit.thread.emit(|| failed.clone());
        }
        let catcher = handlers.catch.iter().find(|catcher| catcher.errors.iter().any(|name| failure.matches(name)));
        let Some(catcher) = catcher else {
            return Err(failure);
        };
        visit.thread.children.borrow_mut().clear();
        let error_output = failure.error_output();
        let env = Env { error_output: Some(&error_output), ..visit.env(input) };
        let (assign, output) = (&catcher.assign, catcher.output.as_ref());
        let output = conclude(visit, assign, output, env, error_output.clone())?;
        return Ok((Next::State(catcher.next), output));
    }
}

/// Leaves a state by its own Assign and Output.
fn leave(visit: &Visit, state: &State, env: Env<'_>, default: Value) -> Result<Value, Failure> {
    conclude(visit, &state.assign, state.output.as_ref(), env, default)
}

/// Evaluates Assign and Output against the old variables, then sets the new ones and records the exit.
fn conclude(visit: &Visit, assign: &[Assignment], output: Option<&Template>, env: Env<'_>, default: Value) -> Result<Value, Failure> {
    let mut values = Vec::with_capacity(assign.len());
    let mut total = 0;
    for assignment in assign {
        let (value, bytes) = evaluate(visit, &assignment.value, env)?;
        total += bytes;
        values.push((assignment, value, bytes));
    }
    if total > MAX_ASSIGN_BYTES {
        let exact: usize = values.iter().map(|(_, value, _)| value::to_text(value).len()).sum();
        if exact > MAX_ASSIGN_BYTES {
            return Err(visit.failure(failure::DATA_LIMIT, &format!("The Assign field has {exact} bytes of values; it may have {MAX_ASSIGN_BYTES}.")));
        }
    }
    let output = match output {
        Some(template) => evaluate_data(visit, template, env, "output")?,
        None => default,
    };
    let thread = &visit.thread;
    // A state that was cut off before its exit has assigned nothing, for a redrive.
    if !thread.execution.is_running() {
        return Err(Failure::ended());
    }
    for (assignment, value, bytes) in &values {
        let growth = thread.scope.set(assignment.slot, value.clone(), *bytes);
        if !thread.execution.variables_grew(growth) {
            return Err(visit.failure(failure::DATA_LIMIT, &format!("The variables of the execution have more than {MAX_VARIABLE_BYTES} bytes.")));
        }
    }
    thread.emit(|| Details::StateExited {
        state: visit.state_type,
        name: visit.state.clone(),
        output: Some(output.clone()),
        assigned_variables: values.iter().map(|(assignment, value, _)| (assignment.name.clone(), value.clone())).collect(),
    })?;
    Ok(output)
}

fn evaluate(visit: &Visit, template: &Template, env: Env<'_>) -> Result<(Value, usize), Failure> {
    template.evaluate(&env).map_err(|error| visit.evaluation_failed(error))
}

/// Evaluates a field whose value becomes state data: its size is limited.
fn evaluate_data(visit: &Visit, template: &Template, env: Env<'_>, what: &str) -> Result<Value, Failure> {
    let (value, bytes) = evaluate(visit, template, env)?;
    limited(visit, value, bytes, what)
}

fn limited(visit: &Visit, value: Value, bytes: usize, what: &str) -> Result<Value, Failure> {
    if value::exceeds(&value, bytes, MAX_DATA_BYTES) {
        return Err(visit.failure(
            failure::DATA_LIMIT,
            &format!("The state has an {what} with a size exceeding the maximum number of bytes service limit ({MAX_DATA_BYTES})."),
        ));
    }
    Ok(value)
}

/// A literal, or an expression that must give an integer in `from..=to`.
fn seconds(visit: &Visit, field: &str, seconds: &Seconds, from: u64, to: u64, input: &Value) -> Result<u64, Failure> {
    let expression = match seconds {
        Seconds::Literal(seconds) => return Ok(*seconds),
        Seconds::Expression(expression) => expression,
    };
    let (value, _) = expression.evaluate(&visit.env(input)).map_err(|error| visit.evaluation_failed(error))?;
    let Value::Number(number) = &value else {
        return Err(visit.evaluation_failed(expression.wrong_type("number", &value)));
    };
    if number.fract() != 0.0 || *number < from as f64 || *number > to as f64 {
        return Err(visit.evaluation_failed(EvaluationError {
            location: field.into(),
            cause: format!("The {field} field must be an integer from {from} to {to}, but was {number}."),
        }));
    }
    Ok(*number as u64)
}

fn fail(visit: &Visit, error: &Option<Template>, cause: &Option<Template>, input: &Value) -> Failure {
    let text = |field: &str, template: &Option<Template>| -> Result<Option<Rc<str>>, Failure> {
        let Some(template) = template else {
            return Ok(None);
        };
        let (value, _) = evaluate(visit, template, visit.env(input))?;
        match (&value, template) {
            (Value::String(text), _) => Ok(Some(text.clone())),
            (_, Template::Expression(expression)) => Err(visit.evaluation_failed(expression.wrong_type("string", &value))),
            _ => Err(visit.evaluation_failed(EvaluationError { location: field.into(), cause: format!("The {field} field must be a string.") })),
        }
    };
    match (text("Error", error), text("Cause", cause)) {
        (Ok(error), Ok(cause)) => Failure { error, cause, kind: failure::FailureKind::Ordinary },
        (Err(failure), _) | (_, Err(failure)) => failure,
    }
}
