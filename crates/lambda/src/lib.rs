//! The thin shell around [`muster_core::invoke`]: configuration, logs, error names, the Lambda runtime.
//!
//! A function's `main` makes its world and hands it over with its action:
//!
//! ```no_run
//! # use muster_core::{Action, ActionError, Conduct, Context, Progress};
//! # use muster_plan::Plan;
//! # const HOLD: Action = Action { name: "hold", conduct: Conduct::KeepsBooks };
//! # async fn hold(_: (), _: &muster_aws::Aws, _: &Context<'_, Plan>) -> Result<Progress, ActionError> { Ok(Progress::done("")) }
//! # async fn example() -> Result<(), muster_lambda::Error> {
//! muster_lambda::run(HOLD, muster_lambda::world().await?, hold).await
//! # }
//! ```
//!
//! An error of the action is reported with exactly the type that the state machines know. A panic is reported as `Lambda.Unknown`, which
//! they retry like every death of a function. What an invocation could not save of its ledger goes to the log, one line of JSON an entry.
//! Neither an event nor a secret is ever logged.

mod log;
mod start;

use std::fmt;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use muster_aws::Aws;
use muster_core::{Action, ActionError, Clock, Context, Failure, Journaled, Progress, invoke, invoke_alone};
use muster_plan::Plan;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::Instrument;

pub use start::world;

/// Why a function cannot serve at all. Its `Debug` is what a person reads when `main` returns it.
#[derive(thiserror::Error)]
pub enum Error {
    /// The environment lacks something.
    #[error(transparent)]
    Settings(#[from] muster_aws::Missing),
    /// The Lambda runtime cannot be talked to.
    #[error("the Lambda runtime: {0}")]
    Runtime(lambda_runtime::Error),
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Serves the events of an action that belongs to a run, until the process ends.
///
/// # Errors
/// When the Lambda runtime cannot be talked to.
pub async fn run<Q, X>(action: Action, world: Aws<X>, body: impl AsyncFn(Q, &Aws<X>, &Context<'_, Plan>) -> Result<Progress, ActionError>) -> Result<(), Error>
where
    Q: DeserializeOwned + Default,
{
    serve(action, &world, &async |invocation: String, event| Box::pin(invoke(action, invocation.as_str(), event, &world, &body)).await).await
}

/// Serves the events of an action that belongs to no run (yet), until the process ends.
///
/// # Errors
/// When the Lambda runtime cannot be talked to.
pub async fn run_alone<Q, X>(action: Action, world: Aws<X>, body: impl AsyncFn(Q, &Aws<X>) -> Result<Progress, ActionError>) -> Result<(), Error>
where
    Q: DeserializeOwned,
{
    serve(action, &world, &async |invocation: String, event| Box::pin(invoke_alone(action, invocation.as_str(), event, &world, &body)).await).await
}

async fn serve<X>(action: Action, world: &Aws<X>, act: &impl AsyncFn(String, Value) -> Result<Value, Failure>) -> Result<(), Error> {
    lambda_runtime::run(service_fn(|event| one(action, world, act, event))).await.map_err(Error::Runtime)
}

/// One invocation.
async fn one<X>(
    action: Action,
    world: &Aws<X>,
    act: &impl AsyncFn(String, Value) -> Result<Value, Failure>,
    event: LambdaEvent<Value>,
) -> Result<Value, Reported> {
    let began = world.now();
    let request_id = event.context.request_id;
    let span = log::invocation(action.name, &request_id, &event.payload);
    // Thirteen digits first: invocations sort by when they began.
    let invocation = format!("{:013}-{request_id}", began.as_millis());
    async {
        world.journal().begin(&*invocation, action.name, action.name);
        let result = AssertUnwindSafe(act(invocation.clone(), event.payload)).catch_unwind().await;
        let result = result.unwrap_or_else(|panic| Err(panicked(action, &*panic)));
        let now = world.now();
        log::ended(&result);
        log::unsaved(&world.journal().unsaved());
        log::measure(action.name, now, now.since(began), &result);
        result.map_err(Reported)
    }
    .instrument(span)
    .await
}

/// The name by which the state machines know a function that died.
const DIED: &str = "Lambda.Unknown";

fn panicked(action: Action, panic: &(dyn std::any::Any + Send)) -> Failure {
    let words = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word");
    Failure { error_type: DIED, error_message: format!("{} panicked: {words}. This is a defect of Muster: report it with this text", action.name) }
}

/// A failure in the form that the Lambda runtime reports.
#[derive(Debug)]
struct Reported(Failure);

impl From<Reported> for Diagnostic {
    fn from(Reported(failure): Reported) -> Self {
        Diagnostic { error_type: failure.error_type.to_owned(), error_message: failure.error_message }
    }
}

#[cfg(test)]
mod tests {
    use lambda_runtime::Context as Invocation;
    use muster_aws::Settings;
    use muster_core::Conduct;
    use serde_json::json;

    use super::*;

    const ACTION: Action = Action { name: "hold", conduct: Conduct::KeepsBooks };

    fn world() -> Aws {
        let settings =
            Settings::read(|name| Some(if name.ends_with("REGION") { "us-west-2".to_owned() } else { "x".to_owned() }).filter(|_| name != "MUSTER_DNS"));
        Aws::new(settings.unwrap(), &aws_types::SdkConfig::builder().build())
    }

    async fn answered(act: impl AsyncFn(String, Value) -> Result<Value, Failure>) -> Result<Value, Diagnostic> {
        let mut context = Invocation::default();
        context.request_id = "request".to_owned();
        one(ACTION, &world(), &act, LambdaEvent::new(json!({}), context)).await.map_err(Diagnostic::from)
    }

    #[tokio::test]
    async fn a_panic_is_reported_as_the_death_that_the_state_machines_retry() {
        let reported = answered(async |_, _| panic!("index {} of {}", 3, 2)).await.unwrap_err();
        assert_eq!(reported.error_type, "Lambda.Unknown");
        assert!(reported.error_message.starts_with("hold panicked: index 3 of 2."), "{}", reported.error_message);
    }

    #[tokio::test]
    async fn a_failure_is_reported_word_for_word() {
        let reported = answered(async |_, _| Err(Failure { error_type: "Muster.Refused", error_message: "not fenced".into() })).await.unwrap_err();
        assert_eq!((reported.error_type.as_str(), reported.error_message.as_str()), ("Muster.Refused", "not fenced"));
    }

    #[tokio::test]
    async fn an_invocation_is_named_by_when_it_began_and_by_its_request() {
        let name = answered(async |invocation, _| Ok(json!(invocation))).await.unwrap();
        let (began, request) = name.as_str().unwrap().split_once('-').unwrap();
        assert!(began.len() == 13 && began.bytes().all(|digit| digit.is_ascii_digit()) && request == "request", "{name}");
    }
}
