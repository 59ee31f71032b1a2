//! Lambda, as far as a rehearsal needs it: invocations that run to their own end, whoever still waits for them.
//!
//! Modelled: the start of a sandbox, a function that dies at a call, an event that is delivered twice. Not modelled:
//! concurrency limits, and a function's own time-out, which is larger than the sum of its calls' budgets.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use muster_actions::dispatch;
use muster_asl::{FunctionError, Invocation, Lambda, LocalBoxFuture, Reader, Value};
use muster_core::{Progress, Status};
use muster_plan::RegionRole;
use serde_json::json;

use crate::estate::Estate;
use crate::world::Twin;

/// The functions of one rehearsal.
pub(crate) struct Functions {
    twin: Rc<Twin>,
    invocations: Cell<u64>,
}

impl Functions {
    pub(crate) fn new(twin: Rc<Twin>) -> Rc<Self> {
        Rc::new(Functions { twin, invocations: Cell::new(0) })
    }

    /// Runs a function on its own: nobody has to wait for it.
    pub(crate) fn start(self: &Rc<Self>, here: RegionRole, function: &'static str, payload: &Value) {
        let (functions, payload) = (self.clone(), payload.clone());
        tokio::task::spawn_local(async move {
            // A schedule takes no result; a failure shows in what the estate looks like.
            let _ = functions.run(here, function.into(), payload).await;
        });
    }

    async fn run(self: Rc<Self>, here: RegionRole, function: Arc<str>, payload: Value) -> Result<Progress, FunctionError> {
        let number = self.invocations.get() + 1;
        self.invocations.set(number);
        let id = id(number, &function);
        let start = self.twin.look(|estate| {
            estate.effort.invocations += 1;
            estate.weigh(&payload);
            estate.cold_start(&function)
        });
        self.twin.sleep(start).await;
        let world = self.twin.world(here, function.clone(), id.clone());
        let mut body = pin!(async {
            let result = dispatch(&function, id.clone(), Reader(&payload), &world).await;
            world.settle().await;
            result
        });
        std::future::poll_fn(|context| {
            let polled = body.as_mut().poll(context);
            for _ in self.twin.take_redeliveries(&id) {
                let (functions, function, payload) = (self.clone(), function.clone(), payload.clone());
                tokio::task::spawn_local(async move {
                    let twice: LocalBoxFuture<'static, _> = Box::pin(functions.run(here, function, payload));
                    let _ = twice.await;
                });
            }
            if world.has_crashed() {
                let cause = json!({"errorType": "Runtime.ExitError", "errorMessage": "RequestId: Error: Runtime exited without providing a reason"});
                return Poll::Ready(Err(FunctionError::new("Runtime.ExitError", cause.to_string())));
            }
            polled.map(|result| {
                result.inspect(|progress| self.twin.look(|estate| estate.weigh_answer(progress))).map_err(|failure| {
                    let cause = json!({"errorType": failure.error_type, "errorMessage": failure.error_message});
                    FunctionError::new(failure.error_type, cause.to_string())
                })
            })
        })
        .await
    }
}

/// `000017-probe`: invocations sort by when they began. There are hundreds in a run, and writing numbers with zeros through
/// the formatter would be a hundredth of it.
fn id(number: u64, function: &str) -> Arc<str> {
    let digits = number.to_string();
    let zeros = &"000000"[digits.len().min(6)..];
    [zeros, &digits, "-", function].concat().into()
}

impl Estate {
    /// How many bytes of JSON travel: only for those who watch, since it has to be written for that.
    fn weigh(&mut self, value: &Value) {
        if self.story.is_watched() {
            self.effort.largest_payload = self.effort.largest_payload.max(muster_asl::to_json(value).to_string().len());
        }
    }

    fn weigh_answer(&mut self, progress: &Progress) {
        if self.story.is_watched() {
            self.weigh(&answer(progress));
        }
    }
}

/// What a state machine sees of a progress: its JSON, made without a detour.
pub(crate) fn answer(progress: &Progress) -> Value {
    let text = |text: &str| Value::from(text);
    let status = match progress.status {
        Status::Done => "done",
        Status::Pending => "pending",
    };
    let fields = [
        ("status", Some(text(status))),
        ("retryAfterSeconds", progress.retry_after_seconds.map(Value::from)),
        ("detail", Some(text(&progress.detail))),
        ("verdict", progress.verdict.as_deref().map(text)),
        ("output", progress.output.clone().map(Value::from)),
        ("phase", Some(text(&progress.phase))),
        ("since", Some(text(&progress.since.to_string()))),
    ];
    muster_asl::object(fields.into_iter().filter_map(|(name, field)| Some((name, field?))))
}

/// What the state machines' `FunctionName` leads to.
pub(crate) struct Invoker(pub(crate) Rc<Functions>);

impl Lambda for Invoker {
    fn invoke(&self, invocation: Invocation) -> LocalBoxFuture<'static, Result<Value, FunctionError>> {
        let function: Arc<str> = invocation.function.rsplit(':').next().unwrap_or(&invocation.function).into();
        let running = self.0.clone().run(RegionRole::Standby, function, invocation.payload);
        Box::pin(async { running.await.map(|progress| answer(&progress)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::{Duration, Timestamp};

    #[test]
    fn a_state_machine_sees_the_json_of_a_progress() {
        let pending = Progress { phase: "Promote".into(), since: Timestamp::from_millis(5), ..Progress::pending("two \"left\"", Duration::from_secs(7)) };
        let done = Progress { output: Some(json!({"run": {"epoch": 7, "list": [1, null, true]}})), ..Progress::done("all").with_verdict("opened") };
        for progress in [pending, done, Progress::done("")] {
            let seen = muster_asl::to_json(&answer(&progress));
            // As text: the order of the fields is seen by expressions too.
            assert_eq!(seen.to_string(), serde_json::to_value(&progress).unwrap().to_string());
        }
    }
}
