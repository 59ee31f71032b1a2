//! Runs a machine in virtual time against recorded task results.
//!
//! The results are JSON: an object whose keys are state names, function names or ARNs as the definition
//! has them, or the ARNs of state machines that a Task starts. A state's name goes before a function's.
//! Each value is one of
//!
//! - `{"error": "Muster.Transient", "cause": "…"}`: the call fails;
//! - `{"result": …}`: the call returns this (needed for a result that is a list or has a key `error`);
//! - a list of these, one for each call; one call more than the list is long ends the run with
//!   [`RecordedError::Exhausted`];
//! - anything else: every call returns it.
//!
//! `"delaySeconds": 30` beside `error` or `result` lets the call take that long. For a Task that waits for
//! a token the function returns `null` at once, and the recorded result is what is sent for the token. A
//! state machine's recorded result is its output.
//!
//! `${Name}` in the definition is replaced by `Name`, so that the results of a SAM definition are found
//! under the names of its substitutions. The clock starts at 2026-01-01T00:00:00Z.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde::Serialize;
use serde_json::{Value as Json, json};
use tokio::sync::Notify;

use crate::{Clock, Config, Event, ExecutionStatus, FunctionError, Invocation, Lambda, LoadErrors, LocalBoxFuture, Machine, StepFunctions, TokioClock, Value};

/// 2026-01-01T00:00:00Z
const ORIGIN_MS: u64 = 1_767_225_600_000;

/// How a recorded run went. It serialises to what `muster asl` prints.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedRun {
    /// How the execution ended.
    pub status: ExecutionStatus,
    /// Virtual time that it took.
    pub duration_ms: u64,
    /// Its output, when it succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Json>,
    /// The name of the error, when it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Rc<str>>,
    /// What AWS would say about the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Rc<str>>,
    /// The history of the execution, in the shape of `GetExecutionHistory`.
    pub events: Vec<Event>,
}

/// Why a machine could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub enum RecordedError {
    /// The definition has problems.
    #[error(transparent)]
    Machine(#[from] LoadErrors),
    /// The tasks are not as described.
    #[error("the recorded tasks: {0}")]
    Tasks(String),
    /// The input was refused.
    #[error(transparent)]
    Input(#[from] crate::StartError),
    /// A task was called for which there is no result.
    #[error("the state {state:?} called {function:?}, and the recorded tasks have a result for neither; add one of the two keys")]
    Missing {
        /// The state that called.
        state: String,
        /// The function that it called.
        function: String,
    },
    /// A task was called more often than it has results.
    #[error("the recorded tasks have {results} results under {key:?}, and the state {state:?} made one call more; add a result")]
    Exhausted {
        /// The key of the list.
        key: String,
        /// How many results the list has.
        results: usize,
        /// The state that called.
        state: String,
    },
    /// Tokio refused to start.
    #[error("no runtime for virtual time: {0}")]
    Runtime(#[from] std::io::Error),
}

/// Runs `machine_source` once with `input` and the recorded results `tasks` (`{}` for none).
///
/// It builds a runtime of its own: call it outside of any other one.
///
/// # Errors
/// See [`RecordedError`]. An execution that fails is no error: it is a [`RecordedRun`] with its status.
pub fn run_recorded(machine_source: &str, input: &Json, tasks: &Json) -> Result<RecordedRun, RecordedError> {
    let machine = Machine::load(machine_source, &own_names(machine_source))?;
    let results = read(tasks)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    tokio::task::LocalSet::new().block_on(&runtime, run(machine, input.clone(), results))
}

async fn run(machine: Machine, input: Json, results: BTreeMap<String, Results>) -> Result<RecordedRun, RecordedError> {
    let clock = Rc::new(TokioClock::new(ORIGIN_MS));
    let children: Vec<String> = results.keys().filter(|key| key.contains(":stateMachine:")).cloned().collect();
    let recorded = Rc::new(Recorded {
        clock: clock.clone(),
        results,
        calls: RefCell::new(BTreeMap::new()),
        account: RefCell::new(None),
        problem: RefCell::new(None),
        noticed: Notify::new(),
    });
    let account = StepFunctions::new(Config::new(clock, Rc::new(recorded.clone())));
    *recorded.account.borrow_mut() = Some(account.clone());
    account.register("recorded", machine);
    for key in children {
        account.register_as(&key, stand_in(&key)?);
    }
    let arn = account.start_execution("recorded", Some("run"), input)?;
    let ended = tokio::select! {
        biased;
        () = recorded.noticed.notified() => None,
        description = account.await_end(&arn) => description.ok(),
    };
    let events = account.history(&arn).unwrap_or_default();
    // The function holds the account and the account holds the function: let go.
    recorded.account.borrow_mut().take();
    if let Some(problem) = recorded.problem.borrow_mut().take() {
        return Err(problem);
    }
    let Some(end) = ended else {
        return Err(RecordedError::Tasks("the run ended without a result".to_owned()));
    };
    Ok(RecordedRun {
        status: end.status,
        duration_ms: end.stop_date.unwrap_or(end.start_date) - end.start_date,
        output: end.output,
        error: end.error,
        cause: end.cause,
        events,
    })
}

/// Each `${Name}` of a definition stands for itself.
fn own_names(source: &str) -> BTreeMap<String, String> {
    source
        .split("${")
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_'))
        .map(|name| (name.clone(), name))
        .collect()
}

/// A machine in the place of one that is started: it calls a function under its own ARN.
fn stand_in(key: &str) -> Result<Machine, LoadErrors> {
    let definition = json!({
        "QueryLanguage": "JSONata",
        "StartAt": "Recorded",
        "States": {"Recorded": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Arguments": {"FunctionName": key, "Payload": "{% $states.input %}"},
            "Output": "{% $states.result.Payload %}",
            "End": true,
        }},
    });
    Machine::load(&definition.to_string(), &BTreeMap::new())
}

enum Results {
    Always(Recording),
    Each(Vec<Recording>),
}

#[derive(Clone)]
struct Recording {
    outcome: Result<Json, FunctionError>,
    delay_ms: u64,
}

fn read(tasks: &Json) -> Result<BTreeMap<String, Results>, RecordedError> {
    let Json::Object(entries) = tasks else {
        return Err(RecordedError::Tasks("they must be a JSON object from state or function names to results".to_owned()));
    };
    let mut results = BTreeMap::new();
    for (key, value) in entries {
        let result = match value {
            Json::Array(items) => {
                let items = items.iter().map(|item| recording(key, item));
                Results::Each(items.collect::<Result<_, _>>()?)
            }
            one => Results::Always(recording(key, one)?),
        };
        results.insert(key.clone(), result);
    }
    Ok(results)
}

fn recording(key: &str, value: &Json) -> Result<Recording, RecordedError> {
    let plain = Recording { outcome: Ok(value.clone()), delay_ms: 0 };
    let Json::Object(fields) = value else {
        return Ok(plain);
    };
    let known = ["error", "cause", "result", "delaySeconds"];
    let wrapped = fields.contains_key("error") || fields.contains_key("result");
    if !wrapped {
        return Ok(plain);
    }
    let complain = |what: String| RecordedError::Tasks(format!("under {key:?}, {what}"));
    if let Some(unknown) = fields.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(complain(format!(
            "{unknown:?} stands beside \"error\" or \"result\"; the fields are {}. Wrap a result that has such keys: {{\"result\": …}}",
            known.join(", ")
        )));
    }
    let delay_ms = match fields.get("delaySeconds") {
        None => 0,
        Some(delay) => match delay.as_f64().filter(|delay| (0.0..1.0e9).contains(delay)) {
            Some(delay) => (delay * 1_000.0).round() as u64,
            None => return Err(complain(format!("delaySeconds is {delay}, not a number of seconds"))),
        },
    };
    let outcome = match (fields.get("error"), fields.get("result")) {
        (Some(Json::String(error)), None) => {
            let cause = fields.get("cause").and_then(Json::as_str);
            Err(FunctionError::new(error.as_str(), cause.unwrap_or_default()))
        }
        (None, Some(result)) => Ok(result.clone()),
        (Some(_), Some(_)) => {
            return Err(complain("\"error\" stands beside \"result\"; keep one".to_owned()));
        }
        _ => return Err(complain("\"error\" must be a string: the error's name".to_owned())),
    };
    Ok(Recording { outcome, delay_ms })
}

struct Recorded {
    clock: Rc<TokioClock>,
    results: BTreeMap<String, Results>,
    calls: RefCell<BTreeMap<String, usize>>,
    account: RefCell<Option<StepFunctions>>,
    problem: RefCell<Option<RecordedError>>,
    noticed: Notify,
}

impl Recorded {
    fn next(&self, invocation: &Invocation) -> Result<Recording, RecordedError> {
        let state = invocation.state_name.to_string();
        let function = invocation.function.to_string();
        let found = [&state, &function].into_iter().find_map(|key| Some((key, self.results.get(key)?)));
        let Some((key, results)) = found else {
            return Err(RecordedError::Missing { state, function });
        };
        let mut calls = self.calls.borrow_mut();
        let call = calls.entry(key.clone()).or_insert(0);
        *call += 1;
        match results {
            Results::Always(recording) => Ok(recording.clone()),
            Results::Each(list) => match list.get(*call - 1) {
                Some(recording) => Ok(recording.clone()),
                None => Err(RecordedError::Exhausted { key: key.clone(), results: list.len(), state }),
            },
        }
    }
}

impl Lambda for Rc<Recorded> {
    fn invoke(&self, invocation: Invocation) -> LocalBoxFuture<'static, Result<Value, FunctionError>> {
        let recorded = self.clone();
        Box::pin(async move {
            let recording = match recorded.next(&invocation) {
                Ok(recording) => recording,
                Err(problem) => {
                    recorded.problem.borrow_mut().get_or_insert(problem);
                    recorded.noticed.notify_one();
                    return std::future::pending().await;
                }
            };
            let Some(token) = invocation.task_token else {
                if recording.delay_ms > 0 {
                    recorded.clock.sleep(recording.delay_ms).await;
                }
                return recording.outcome.map(Value::from);
            };
            let answering = recorded.clone();
            tokio::task::spawn_local(async move {
                answering.clock.sleep(recording.delay_ms).await;
                let account = answering.account.borrow().clone();
                if let Some(account) = account {
                    // A refused answer came too late: the task has timed out already.
                    let _ = match recording.outcome {
                        Ok(output) => account.send_task_success(&token, output),
                        Err(error) => account.send_task_failure(&token, Some(&error.name), Some(&error.cause)),
                    };
                }
            });
            Ok(Value::Null)
        })
    }
}
