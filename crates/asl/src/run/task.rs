//! Task: calls a function or starts an execution, within its time.

use std::rc::Rc;

use jsonata_core::value::JMap;

use super::{evaluate_data, limited, seconds};
use crate::account::StartError;
use crate::context::Visit;
use crate::event::Details;
use crate::execution::{Description, Execution, ExecutionStatus};
use crate::failure::{self, Failure};
use crate::lambda::{FunctionError, Invocation};
use crate::limits::MAX_SECONDS;
use crate::machine::{Resource, Task};
use crate::tokens::{Answer, Open, Slot};
use crate::value::{self, Value};

/// One attempt.
pub(super) async fn run(visit: &Visit, task: &Task, input: &Value) -> Result<Value, Failure> {
    let resource = task.resource;
    let open = resource.waits_for_token().then(|| open_token(visit));
    let arguments = match &task.arguments {
        Some(template) => evaluate_data(visit, template, visit.env(input), "input")?,
        None => value::empty_object(),
    };
    let limit = |field: &str, value: &Option<_>| match value {
        Some(value) => seconds(visit, field, value, 1, MAX_SECONDS, input).map(Some),
        None => Ok(None),
    };
    let timeout = limit("TimeoutSeconds", &task.timeout)?;
    let heartbeat = limit("HeartbeatSeconds", &task.heartbeat)?;
    check_arguments(visit, resource, &arguments)?;
    let thread = &visit.thread;
    thread.emit(|| Details::TaskScheduled {
        resource: resource.action(),
        resource_type: resource.service(),
        region: thread.execution.world.region.clone(),
        parameters: Some(arguments.clone()),
        timeout_in_seconds: timeout,
        heartbeat_in_seconds: heartbeat,
    })?;
    thread.emit(|| Details::TaskStarted { resource: resource.action(), resource_type: resource.service() })?;
    // At one instant a result comes before a time-out.
    let outcome = tokio::select! {
        biased;
        outcome = work(visit, resource, &arguments, open.as_ref()) => outcome,
        () = sleep(visit, timeout) => Err(Failure::timeout(false)),
        () = silence(visit, heartbeat, open.as_ref().map(|open| &*open.slot)) => Err(Failure::timeout(true)),
    };
    drop(open);
    record(visit, resource, outcome)
}

fn record(visit: &Visit, resource: Resource, outcome: Result<Value, Failure>) -> Result<Value, Failure> {
    let (resource, resource_type) = (resource.action(), resource.service());
    match outcome {
        Ok(output) => {
            visit.thread.emit(|| Details::TaskSucceeded { resource, resource_type, output: Some(output.clone()) })?;
            Ok(output)
        }
        Err(failure) if matches!(failure.kind, failure::FailureKind::Ended) => Err(failure),
        Err(failure) => {
            let (error, cause) = (failure.error.clone(), failure.cause.clone());
            visit.thread.emit(|| match error.as_deref() {
                Some(failure::TIMEOUT) if cause.is_none() => Details::TaskTimedOut { resource, resource_type, error, cause },
                _ => Details::TaskFailed { resource, resource_type, error, cause },
            })?;
            Err(failure)
        }
    }
}

async fn sleep(visit: &Visit, seconds: Option<u64>) {
    match seconds {
        Some(seconds) => {
            let clock = &visit.thread.execution.world.clock;
            clock.sleep(seconds * 1_000).await;
            // Lets a function that ends at this very moment end first.
            tokio::task::yield_now().await;
        }
        None => std::future::pending().await,
    }
}

/// Completes when no heartbeat has come for `seconds`.
async fn silence(visit: &Visit, seconds: Option<u64>, slot: Option<&Slot>) {
    let (Some(seconds), Some(slot)) = (seconds, slot) else {
        return std::future::pending().await;
    };
    loop {
        let until = slot.heartbeat_at.get() + seconds * 1_000;
        let now = visit.now();
        if now >= until {
            return;
        }
        visit.thread.execution.world.clock.sleep(until - now).await;
    }
}

fn open_token(visit: &Visit) -> Open<'_> {
    let execution = &visit.thread.execution;
    let draws = &visit.thread.draws;
    let key = format!("{} token", visit.state);
    let token: Rc<str> = format!("{}/{:016x}{:016x}", execution.name, draws.next(&key), draws.next(&key)).into();
    *visit.token.borrow_mut() = Some(token.clone());
    execution.world.tokens.open(token, execution)
}

/// The names of the arguments, where only the evaluated expression shows them.
fn check_arguments(visit: &Visit, resource: Resource, arguments: &Value) -> Result<(), Failure> {
    let known = resource.arguments();
    let problem = match arguments.as_object() {
        None => Some(format!("it must be an object, but is {}", value::type_name(arguments))),
        Some(fields) => {
            let unknown = fields.keys().find(|name| !known.contains(&name.as_str()));
            match (unknown, fields.get(known[0])) {
                (Some(unknown), _) => Some(format!("The field '{unknown}' is not supported; the fields are {}", known.join(", "))),
                (None, Some(Value::String(_))) => None,
                (None, _) => Some(format!("The field '{}' is required and must be a string", known[0])),
            }
        }
    };
    match problem {
        None => Ok(()),
        Some(problem) => Err(visit.failure(
            failure::RUNTIME,
            &format!("The Arguments '{}' could not be used to start the Task: [{problem}]", value::to_short_text(arguments, 1_000)),
        )),
    }
}

async fn work(visit: &Visit, resource: Resource, arguments: &Value, open: Option<&Open<'_>>) -> Result<Value, Failure> {
    match resource {
        Resource::Invoke => invoke(visit, arguments).await,
        Resource::InvokeWaitForTaskToken => {
            let Some(open) = open else {
                return Err(visit.failure(failure::RUNTIME, "The task has no token."));
            };
            invoke_and_wait(visit, arguments, &open.slot).await
        }
        Resource::StartExecution => start(visit, arguments).map(|child| started(&child)),
        Resource::StartExecutionSync => start_and_wait(visit, arguments).await,
    }
}

const PAYLOAD: &str = "Payload";

thread_local! {
    /// The result of every invocation, but for its payload.
    static ANSWERED: JMap = [
        ("ExecutedVersion", Value::from("$LATEST")),
        (PAYLOAD, Value::Null),
        ("SdkHttpMetadata", value::object([("HttpStatusCode", Value::from(200_i64))])),
        ("StatusCode", Value::from(200_i64)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
}

async fn invoke(visit: &Visit, arguments: &Value) -> Result<Value, Failure> {
    let text = |field: &str| match arguments.get(field) {
        Some(Value::String(text)) => Some(text.clone()),
        _ => None,
    };
    let execution = &visit.thread.execution;
    let invocation = Invocation {
        function: text("FunctionName").unwrap_or_default(),
        qualifier: text("Qualifier"),
        payload: arguments.get("Payload").cloned().unwrap_or_else(value::empty_object),
        execution_arn: execution.arn.clone(),
        state_name: visit.state.clone(),
        retry_count: visit.retry_count.get(),
        task_token: visit.token.borrow().clone(),
    };
    // Spawned, and not aborted when this wait is dropped: a function runs on.
    let running = tokio::task::spawn_local(execution.world.lambda.invoke(invocation));
    let payload = match running.await {
        Ok(Ok(payload)) => payload,
        Ok(Err(FunctionError { name, cause })) => return Err(Failure::new(&name, cause)),
        Err(panic) => return Err(Failure::new("Lambda.Unknown", panicked(panic))),
    };
    let (payload, bytes) = value::plain(&payload).map_err(|_| visit.failure(failure::RUNTIME, "The function returned data nested too deep."))?;
    let mut result = ANSWERED.with(Clone::clone);
    result.insert(PAYLOAD.to_owned(), payload);
    limited(visit, Value::Object(Rc::new(result)), bytes + 120, "result")
}

fn panicked(error: tokio::task::JoinError) -> String {
    let message = match error.try_into_panic() {
        Ok(panic) => panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned()),
        Err(error) => error.to_string(),
    };
    format!("The function panicked: {message}")
}

async fn invoke_and_wait(visit: &Visit, arguments: &Value, slot: &Slot) -> Result<Value, Failure> {
    // The answer may come before the function has returned.
    let early = tokio::select! {
        biased;
        answer = slot.answer() => Some(answer),
        result = invoke(visit, arguments) => {
            let output = result?;
            let resource = Resource::InvokeWaitForTaskToken;
            visit.thread.emit(|| Details::TaskSubmitted {
                resource: resource.action(),
                resource_type: resource.service(),
                output: Some(output),
            })?;
            None
        }
    };
    let answer = match early {
        Some(answer) => answer,
        None => slot.answer().await,
    };
    match answer {
        Answer::Success(output) => Ok(output),
        Answer::Failure(error, cause) => Err(Failure {
            error,
            // An absent cause is an empty one, so that no answer reads as a time-out of the task.
            cause: Some(cause.unwrap_or_default()),
            kind: failure::FailureKind::Ordinary,
        }),
    }
}

fn start(visit: &Visit, arguments: &Value) -> Result<Rc<Execution>, Failure> {
    let Some(account) = visit.thread.execution.account() else {
        return Err(Failure::ended());
    };
    let text = |field: &str| arguments.get(field).and_then(Value::as_str);
    let input = arguments.get("Input").cloned().unwrap_or_else(value::empty_object);
    let machine = text("StateMachineArn").unwrap_or_default();
    let arn = account.start(machine, text("Name"), input).map_err(|error| {
        let name = match error {
            StartError::StateMachineDoesNotExist(_) => "StateMachineDoesNotExistException",
            StartError::ExecutionAlreadyExists(_) => "ExecutionAlreadyExistsException",
            StartError::InvalidName(_) => "InvalidNameException",
            StartError::InvalidExecutionInput => "InvalidExecutionInputException",
        };
        Failure::new(&format!("StepFunctions.{name}"), error.to_string())
    })?;
    account.execution(&arn).map_err(|_| Failure::ended())
}

fn started(child: &Execution) -> Value {
    value::object([("ExecutionArn", Value::String(child.arn.clone())), ("StartDate", Value::from(child.started))])
}

/// Stops the child when its parent no longer waits: timed out, cancelled or stopped.
struct StopOnDrop(Rc<Execution>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.finish(ExecutionStatus::Aborted, None, None, None, 0);
    }
}

async fn start_and_wait(visit: &Visit, arguments: &Value) -> Result<Value, Failure> {
    let child = start(visit, arguments)?;
    let guard = StopOnDrop(child.clone());
    let resource = Resource::StartExecutionSync;
    visit.thread.emit(|| Details::TaskSubmitted { resource: resource.action(), resource_type: resource.service(), output: Some(started(&child)) })?;
    child.wait_for_end().await;
    drop(guard);
    let description = child.describe();
    let result = described(&child, &description);
    if description.status == ExecutionStatus::Succeeded {
        let bytes = value::plain(&result).map_or(0, |(_, bytes)| bytes);
        return limited(visit, result, bytes, "result");
    }
    Err(Failure::new(failure::TASK_FAILED, value::to_text(&result)))
}

/// What `.sync:2` answers: DescribeExecution with its data as JSON. In the cause of a failure the input
/// is text, as AWS was recorded to write it.
fn described(child: &Execution, description: &Description) -> Value {
    let succeeded = description.status == ExecutionStatus::Succeeded;
    let included = || value::object([("Included", Value::Bool(true))]);
    let mut fields = Vec::new();
    if let Some(cause) = &description.cause {
        fields.push(("Cause", Value::String(cause.clone())));
    }
    if let Some(error) = &description.error {
        fields.push(("Error", Value::String(error.clone())));
    }
    fields.push(("ExecutionArn", Value::String(child.arn.clone())));
    fields.push(("Input", if succeeded { child.input.clone() } else { Value::from(value::to_text(&child.input)) }));
    fields.push(("InputDetails", included()));
    fields.push(("Name", Value::String(child.name.clone())));
    if let Some(output) = child.end.borrow().as_ref().and_then(|end| end.output.clone()) {
        fields.push(("Output", output));
        fields.push(("OutputDetails", included()));
    }
    fields.push(("StartDate", Value::from(child.started)));
    fields.push(("StateMachineArn", Value::String(child.machine_arn.clone())));
    let status = match description.status {
        ExecutionStatus::Running => "RUNNING",
        ExecutionStatus::Succeeded => "SUCCEEDED",
        ExecutionStatus::Failed => "FAILED",
        ExecutionStatus::TimedOut => "TIMED_OUT",
        ExecutionStatus::Aborted => "ABORTED",
    };
    fields.push(("Status", Value::from(status)));
    if let Some(stop) = description.stop_date {
        fields.push(("StopDate", Value::from(stop)));
    }
    value::object(fields)
}
