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
use muster_asl::{FunctionError, Invocation, Lambda, LocalBoxFuture};
use muster_plan::RegionRole;
use serde_json::{Value, json};

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
    pub(crate) fn start(self: &Rc<Self>, here: RegionRole, function: &'static str, payload: Value) {
        let functions = self.clone();
        tokio::task::spawn_local(async move {
            // A schedule takes no result; a failure shows in what the estate looks like.
            let _ = functions.run(here, function.into(), payload).await;
        });
    }

    async fn run(self: Rc<Self>, here: RegionRole, function: Arc<str>, payload: Value) -> Result<Value, FunctionError> {
        let number = self.invocations.get() + 1;
        self.invocations.set(number);
        let id: Arc<str> = format!("{number:06}-{function}").into();
        let start = self.twin.look(|estate| estate.cold_start(&function));
        tokio::time::sleep(std::time::Duration::from_millis(start.as_millis())).await;
        let world = self.twin.world(here, &function, &id);
        let again = self.twin.may_redeliver().then(|| payload.clone());
        let mut body = pin!(async {
            let result = dispatch(&function, &id, payload, &world).await;
            world.settle().await;
            result
        });
        std::future::poll_fn(|context| {
            let polled = body.as_mut().poll(context);
            for _ in self.twin.take_redeliveries(&id) {
                let (functions, function, payload) = (self.clone(), function.clone(), again.clone().unwrap_or_default());
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
                result.map_err(|failure| {
                    let cause = json!({"errorType": failure.error_type, "errorMessage": failure.error_message});
                    FunctionError::new(failure.error_type, cause.to_string())
                })
            })
        })
        .await
    }
}

/// What the state machines' `FunctionName` leads to.
pub(crate) struct Invoker(pub(crate) Rc<Functions>);

impl Lambda for Invoker {
    fn invoke(&self, invocation: Invocation) -> LocalBoxFuture<'static, Result<Value, FunctionError>> {
        let function: Arc<str> = invocation.function.rsplit(':').next().unwrap_or(&invocation.function).into();
        Box::pin(self.0.clone().run(RegionRole::Standby, function, invocation.payload))
    }
}
