//! A small account in virtual time for the tests.

#![allow(dead_code)] // Each test binary uses a part.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;

use muster_asl::{Clock, Config, Description, Event, FunctionError, Invocation, Lambda, LocalBoxFuture, Machine, StepFunctions, TokioClock, to_json};
use serde_json::{Value, json};

/// 2026-01-01T00:00:00Z
pub(crate) const ORIGIN: u64 = 1_767_225_600_000;

pub(crate) type Reply = Result<muster_asl::Value, FunctionError>;

/// Functions for tests. A payload with `sleep` takes so many seconds, one with `fail` fails with that
/// error name, one with `reply` returns it; anything else is returned as it is. Every call, and every end
/// of a call, is written down.
#[derive(Default)]
pub(crate) struct Functions {
    pub(crate) calls: RefCell<Vec<Invocation>>,
    pub(crate) ended: RefCell<Vec<(u64, String)>>,
    pub(crate) clock: RefCell<Option<Rc<TokioClock>>>,
    /// Errors for the first calls of all.
    pub(crate) first_fail: RefCell<Vec<&'static str>>,
}

impl Lambda for Handle {
    fn invoke(&self, invocation: Invocation) -> LocalBoxFuture<'static, Reply> {
        let functions = self.0.clone();
        Box::pin(async move {
            functions.calls.borrow_mut().push(invocation.clone());
            let next_error = functions.first_fail.borrow_mut().pop();
            let clock = functions.clock.borrow().clone().unwrap();
            let payload = to_json(&invocation.payload);
            if let Some(seconds) = payload["sleep"].as_u64() {
                clock.sleep(seconds * 1_000).await;
            }
            let ended = ((clock.now() - ORIGIN) / 1_000, invocation.state_name.to_string());
            functions.ended.borrow_mut().push(ended);
            if payload["panic"] == json!(true) {
                panic!("the function fell over");
            }
            if let Some(error) = next_error.or(payload["fail"].as_str().map(|error| {
                let leaked: &'static str = Box::leak(error.to_owned().into_boxed_str());
                leaked
            })) {
                return Err(FunctionError::new(error, "because of the test"));
            }
            Ok(payload.get("reply").cloned().unwrap_or(payload).into())
        })
    }
}

#[derive(Clone)]
pub(crate) struct Handle(pub(crate) Rc<Functions>);

pub(crate) struct Bench {
    pub(crate) account: StepFunctions,
    pub(crate) functions: Rc<Functions>,
    pub(crate) clock: Rc<TokioClock>,
}

impl Bench {
    /// Seconds since the origin.
    pub(crate) fn seconds(&self) -> u64 {
        (self.clock.now() - ORIGIN) / 1_000
    }

    pub(crate) async fn sleep(&self, seconds: u64) {
        self.clock.sleep(seconds * 1_000).await;
    }

    /// Registers `definition` as `flow` and runs it to its end.
    pub(crate) async fn run(&self, definition: &Value, input: Value) -> Description {
        self.account.register("flow", load(definition));
        let arn = self.account.start_execution("flow", Some("run"), input).unwrap();
        self.account.await_end(&arn).await.unwrap()
    }
}

/// Runs `test` in virtual time.
pub(crate) fn in_virtual_time<F: Future>(test: impl FnOnce(Bench) -> F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let clock = Rc::new(TokioClock::new(ORIGIN));
        let functions = Rc::new(Functions::default());
        *functions.clock.borrow_mut() = Some(clock.clone());
        let account = StepFunctions::new(Config::new(clock.clone(), Rc::new(Handle(functions.clone()))));
        test(Bench { account, functions, clock }).await
    })
}

pub(crate) fn load(definition: &Value) -> Machine {
    match Machine::load(&definition.to_string(), &BTreeMap::new()) {
        Ok(machine) => machine,
        Err(errors) => panic!("{errors}"),
    }
}

/// The problems of a definition, as lines.
pub(crate) fn problems(definition: &Value) -> Vec<String> {
    match Machine::load(&definition.to_string(), &BTreeMap::new()) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.0.iter().map(ToString::to_string).collect(),
    }
}

/// A machine of these states that begins with the first.
pub(crate) fn machine(states: Value) -> Value {
    let start = states.as_object().unwrap().keys().next().unwrap().clone();
    json!({"QueryLanguage": "JSONata", "StartAt": start, "States": states})
}

/// A Task that invokes `f` with `payload`, with `more` fields.
pub(crate) fn task(payload: Value, more: Value) -> Value {
    let mut state = json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": "f", "Payload": payload},
    });
    for (name, value) in more.as_object().unwrap() {
        state[name] = value.clone();
    }
    state
}

/// Runs states once and returns how it ended.
pub(crate) fn run(states: Value, input: Value) -> Description {
    in_virtual_time(async |bench| bench.run(&machine(states), input).await)
}

/// Runs states once and returns how it ended, and its history.
pub(crate) fn run_with_history(states: Value, input: Value) -> (Description, Vec<Event>) {
    in_virtual_time(async |bench| {
        let end = bench.run(&machine(states), input).await;
        let history = bench.account.history(&end.execution_arn).unwrap();
        (end, history)
    })
}

/// The output of an execution that must succeed.
pub(crate) fn output(states: Value, input: Value) -> Value {
    let end = run(states, input);
    assert_eq!(end.error.as_deref(), None, "{:?}", end.cause);
    end.output.unwrap()
}

/// The error name and cause of an execution that must fail.
pub(crate) fn failure(states: Value, input: Value) -> (String, String) {
    let end = run(states, input);
    assert_eq!(end.output, None);
    let text = |text: Option<Rc<str>>| text.as_deref().unwrap_or_default().to_owned();
    (text(end.error), text(end.cause))
}

/// `id previous type` of each event.
pub(crate) fn outline(history: &[Event]) -> Vec<String> {
    let line = |event: &Event| format!("{} {} {}", event.id, event.previous_event_id, event.event_type());
    history.iter().map(line).collect()
}
