//! The functions that Tasks invoke: the caller brings them.

use std::rc::Rc;

use crate::clock::LocalBoxFuture;
use crate::value::Value;

/// Runs functions for the interpreter.
///
/// The future is spawned: it runs on when the Task that asked has timed out, when a sibling branch has
/// failed or when the execution was stopped, as a Lambda function does. Then nobody reads its result.
pub trait Lambda {
    /// Runs one invocation. A panic inside becomes the error `Lambda.Unknown`.
    fn invoke(&self, invocation: Invocation) -> LocalBoxFuture<'static, Result<Value, FunctionError>>;
}

/// One call of a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// `FunctionName` of the arguments: a name or an ARN, as the definition has it.
    pub function: Rc<str>,
    /// `Qualifier` of the arguments.
    pub qualifier: Option<Rc<str>>,
    /// `Payload` of the arguments; `{}` when there was none.
    pub payload: Value,
    /// The execution that calls.
    pub execution_arn: Rc<str>,
    /// The state that calls.
    pub state_name: Rc<str>,
    /// 0 for the first attempt, 1 for the first retry.
    pub retry_count: u64,
    /// The token, when the task is `.waitForTaskToken`.
    pub task_token: Option<Rc<str>>,
}

/// The error that a function, or the Lambda service, answers with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {cause}")]
pub struct FunctionError {
    /// What Retry and Catch match: `Muster.Transient`, `Lambda.TooManyRequestsException`.
    pub name: String,
    /// For people. AWS puts JSON here when a function fails: `{"errorMessage": …, "errorType": …}`.
    pub cause: String,
}

impl FunctionError {
    /// An error with this name and cause.
    pub fn new(name: impl Into<String>, cause: impl Into<String>) -> Self {
        Self { name: name.into(), cause: cause.into() }
    }
}
