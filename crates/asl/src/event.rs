//! The events of an execution's history, in the shape of `GetExecutionHistory`.

use std::rc::Rc;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::json;

use crate::machine::StateType;
use crate::timestamp;
use crate::value::{self, Value};

/// One event. It serialises as `GetExecutionHistory` prints it: data as JSON text inside a string, the
/// timestamp in ISO 8601 (as the AWS CLI prints it).
#[derive(Clone, Debug)]
pub struct Event {
    /// 1 for the first event.
    pub id: u64,
    /// The event that led to this one; 0 for the first event and, as on AWS, for the first state.
    pub previous_event_id: u64,
    /// Milliseconds since 1970.
    pub timestamp: u64,
    /// What happened.
    pub details: Details,
}

/// What happened. Each variant is one or more of AWS's event types; [`Event::event_type`] names it.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // The fields have the names of the API.
pub enum Details {
    ExecutionStarted {
        input: Option<Value>,
        role_arn: Rc<str>,
    },
    ExecutionSucceeded {
        output: Option<Value>,
    },
    ExecutionFailed {
        error: Option<Rc<str>>,
        cause: Option<Rc<str>>,
    },
    ExecutionAborted {
        error: Option<Rc<str>>,
        cause: Option<Rc<str>>,
    },
    ExecutionTimedOut {
        error: Option<Rc<str>>,
        cause: Option<Rc<str>>,
    },
    ExecutionRedriven {
        redrive_count: u64,
    },
    StateEntered {
        state: StateType,
        name: Rc<str>,
        input: Option<Value>,
    },
    StateExited {
        state: StateType,
        name: Rc<str>,
        output: Option<Value>,
        assigned_variables: Vec<(Rc<str>, Value)>,
    },
    /// The state was in progress when its branch was cancelled or failed.
    StateAborted {
        state: StateType,
    },
    TaskScheduled {
        resource: &'static str,
        resource_type: &'static str,
        region: Rc<str>,
        parameters: Option<Value>,
        timeout_in_seconds: Option<u64>,
        heartbeat_in_seconds: Option<u64>,
    },
    TaskStarted {
        resource: &'static str,
        resource_type: &'static str,
    },
    TaskSubmitted {
        resource: &'static str,
        resource_type: &'static str,
        output: Option<Value>,
    },
    TaskSucceeded {
        resource: &'static str,
        resource_type: &'static str,
        output: Option<Value>,
    },
    TaskFailed {
        resource: &'static str,
        resource_type: &'static str,
        error: Option<Rc<str>>,
        cause: Option<Rc<str>>,
    },
    TaskTimedOut {
        resource: &'static str,
        resource_type: &'static str,
        error: Option<Rc<str>>,
        cause: Option<Rc<str>>,
    },
    EvaluationFailed {
        state: Rc<str>,
        error: Option<Rc<str>>,
        cause: Option<Rc<str>>,
        location: Option<Rc<str>>,
    },
    ParallelStateStarted,
    ParallelStateSucceeded,
    ParallelStateFailed,
    MapStateStarted {
        length: usize,
    },
    MapStateSucceeded,
    MapStateFailed,
    MapIteration {
        step: IterationStep,
        name: Rc<str>,
        index: usize,
    },
}

/// What happened to one iteration of a Map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum IterationStep {
    Started,
    Succeeded,
    Failed,
    Aborted,
}

impl Event {
    /// AWS's name for the event, such as `TaskStateEntered`.
    pub fn event_type(&self) -> &'static str {
        match &self.details {
            Details::ExecutionStarted { .. } => "ExecutionStarted",
            Details::ExecutionSucceeded { .. } => "ExecutionSucceeded",
            Details::ExecutionFailed { .. } => "ExecutionFailed",
            Details::ExecutionAborted { .. } => "ExecutionAborted",
            Details::ExecutionTimedOut { .. } => "ExecutionTimedOut",
            Details::ExecutionRedriven { .. } => "ExecutionRedriven",
            Details::StateEntered { state, .. } => match state {
                StateType::Choice => "ChoiceStateEntered",
                StateType::Fail => "FailStateEntered",
                StateType::Map => "MapStateEntered",
                StateType::Parallel => "ParallelStateEntered",
                StateType::Pass => "PassStateEntered",
                StateType::Succeed => "SucceedStateEntered",
                StateType::Task => "TaskStateEntered",
                StateType::Wait => "WaitStateEntered",
            },
            Details::StateExited { state, .. } => match state {
                StateType::Choice => "ChoiceStateExited",
                StateType::Fail => "FailStateExited",
                StateType::Map => "MapStateExited",
                StateType::Parallel => "ParallelStateExited",
                StateType::Pass => "PassStateExited",
                StateType::Succeed => "SucceedStateExited",
                StateType::Task => "TaskStateExited",
                StateType::Wait => "WaitStateExited",
            },
            Details::StateAborted { state } => match state {
                StateType::Map => "MapStateAborted",
                StateType::Parallel => "ParallelStateAborted",
                StateType::Wait => "WaitStateAborted",
                _ => "TaskStateAborted",
            },
            Details::TaskScheduled { .. } => "TaskScheduled",
            Details::TaskStarted { .. } => "TaskStarted",
            Details::TaskSubmitted { .. } => "TaskSubmitted",
            Details::TaskSucceeded { .. } => "TaskSucceeded",
            Details::TaskFailed { .. } => "TaskFailed",
            Details::TaskTimedOut { .. } => "TaskTimedOut",
            Details::EvaluationFailed { .. } => "EvaluationFailed",
            Details::ParallelStateStarted => "ParallelStateStarted",
            Details::ParallelStateSucceeded => "ParallelStateSucceeded",
            Details::ParallelStateFailed => "ParallelStateFailed",
            Details::MapStateStarted { .. } => "MapStateStarted",
            Details::MapStateSucceeded => "MapStateSucceeded",
            Details::MapStateFailed => "MapStateFailed",
            Details::MapIteration { step, .. } => match step {
                IterationStep::Started => "MapIterationStarted",
                IterationStep::Succeeded => "MapIterationSucceeded",
                IterationStep::Failed => "MapIterationFailed",
                IterationStep::Aborted => "MapIterationAborted",
            },
        }
    }

    /// The state that was entered, exited or evaluated, if the event names one.
    pub fn state_name(&self) -> Option<&str> {
        match &self.details {
            Details::StateEntered { name, .. } | Details::StateExited { name, .. } | Details::MapIteration { name, .. } => Some(name),
            Details::EvaluationFailed { state, .. } => Some(state),
            _ => None,
        }
    }

    /// The name of the details field and its content.
    fn detail(&self) -> Option<(&'static str, serde_json::Value)> {
        let mut fields = Fields::default();
        let name = match &self.details {
            Details::ExecutionStarted { input, role_arn } => {
                fields.data("input", "inputDetails", input);
                fields.0.insert("roleArn".to_owned(), json!(role_arn));
                "executionStartedEventDetails"
            }
            Details::ExecutionSucceeded { output } => {
                fields.data("output", "outputDetails", output);
                "executionSucceededEventDetails"
            }
            Details::ExecutionFailed { error, cause } => {
                fields.failure(error, cause);
                "executionFailedEventDetails"
            }
            Details::ExecutionAborted { error, cause } => {
                fields.failure(error, cause);
                "executionAbortedEventDetails"
            }
            Details::ExecutionTimedOut { error, cause } => {
                fields.failure(error, cause);
                "executionTimedOutEventDetails"
            }
            Details::ExecutionRedriven { redrive_count } => {
                fields.0.insert("redriveCount".to_owned(), json!(redrive_count));
                "executionRedrivenEventDetails"
            }
            Details::StateEntered { name, input, .. } => {
                fields.data("input", "inputDetails", input);
                fields.0.insert("name".to_owned(), json!(name));
                "stateEnteredEventDetails"
            }
            Details::StateExited { name, output, assigned_variables, .. } => {
                if !assigned_variables.is_empty() {
                    let assigned: serde_json::Map<_, _> =
                        assigned_variables.iter().map(|(name, value)| (name.to_string(), json!(value::to_text(value)))).collect();
                    fields.0.insert("assignedVariables".to_owned(), json!(assigned));
                    fields.0.insert("assignedVariablesDetails".to_owned(), json!({"truncated": false}));
                }
                fields.0.insert("name".to_owned(), json!(name));
                fields.data("output", "outputDetails", output);
                "stateExitedEventDetails"
            }
            Details::TaskScheduled { resource, resource_type, region, parameters, timeout_in_seconds, heartbeat_in_seconds } => {
                if let Some(seconds) = heartbeat_in_seconds {
                    fields.0.insert("heartbeatInSeconds".to_owned(), json!(seconds));
                }
                if let Some(parameters) = parameters {
                    let text = value::to_text(parameters);
                    fields.0.insert("parameters".to_owned(), json!(text));
                }
                fields.0.insert("region".to_owned(), json!(region));
                fields.resource(resource, resource_type);
                if let Some(seconds) = timeout_in_seconds {
                    fields.0.insert("timeoutInSeconds".to_owned(), json!(seconds));
                }
                "taskScheduledEventDetails"
            }
            Details::TaskStarted { resource, resource_type } => {
                fields.resource(resource, resource_type);
                "taskStartedEventDetails"
            }
            Details::TaskSubmitted { resource, resource_type, output } => {
                fields.data("output", "outputDetails", output);
                fields.resource(resource, resource_type);
                "taskSubmittedEventDetails"
            }
            Details::TaskSucceeded { resource, resource_type, output } => {
                fields.data("output", "outputDetails", output);
                fields.resource(resource, resource_type);
                "taskSucceededEventDetails"
            }
            Details::TaskFailed { resource, resource_type, error, cause } => {
                fields.failure(error, cause);
                fields.resource(resource, resource_type);
                "taskFailedEventDetails"
            }
            Details::TaskTimedOut { resource, resource_type, error, cause } => {
                fields.failure(error, cause);
                fields.resource(resource, resource_type);
                "taskTimedOutEventDetails"
            }
            Details::EvaluationFailed { state, error, cause, location } => {
                fields.failure(error, cause);
                if let Some(location) = location {
                    fields.0.insert("location".to_owned(), json!(location));
                }
                fields.0.insert("state".to_owned(), json!(state));
                "evaluationFailedEventDetails"
            }
            Details::MapStateStarted { length } => {
                fields.0.insert("length".to_owned(), json!(length));
                "mapStateStartedEventDetails"
            }
            Details::MapIteration { step, name, index } => {
                fields.0.insert("index".to_owned(), json!(index));
                fields.0.insert("name".to_owned(), json!(name));
                match step {
                    IterationStep::Started => "mapIterationStartedEventDetails",
                    IterationStep::Succeeded => "mapIterationSucceededEventDetails",
                    IterationStep::Failed => "mapIterationFailedEventDetails",
                    IterationStep::Aborted => "mapIterationAbortedEventDetails",
                }
            }
            Details::StateAborted { .. }
            | Details::ParallelStateStarted
            | Details::ParallelStateSucceeded
            | Details::ParallelStateFailed
            | Details::MapStateSucceeded
            | Details::MapStateFailed => return None,
        };
        Some((name, serde_json::Value::Object(fields.0)))
    }

    /// The event without inputs, outputs, parameters and variables.
    pub(crate) fn without_data(mut self) -> Self {
        match &mut self.details {
            Details::ExecutionStarted { input: data, .. }
            | Details::ExecutionSucceeded { output: data }
            | Details::StateEntered { input: data, .. }
            | Details::TaskScheduled { parameters: data, .. }
            | Details::TaskSubmitted { output: data, .. }
            | Details::TaskSucceeded { output: data, .. } => *data = None,
            Details::StateExited { output, assigned_variables, .. } => {
                *output = None;
                assigned_variables.clear();
            }
            _ => {}
        }
        self
    }
}

#[derive(Default)]
struct Fields(serde_json::Map<String, serde_json::Value>);

impl Fields {
    fn data(&mut self, name: &str, details: &str, data: &Option<Value>) {
        if let Some(data) = data {
            self.0.insert(name.to_owned(), json!(value::to_text(data)));
            self.0.insert(details.to_owned(), json!({"truncated": false}));
        }
    }

    fn failure(&mut self, error: &Option<Rc<str>>, cause: &Option<Rc<str>>) {
        if let Some(cause) = cause {
            self.0.insert("cause".to_owned(), json!(cause));
        }
        if let Some(error) = error {
            self.0.insert("error".to_owned(), json!(error));
        }
    }

    fn resource(&mut self, resource: &str, resource_type: &str) {
        self.0.insert("resource".to_owned(), json!(resource));
        self.0.insert("resourceType".to_owned(), json!(resource_type));
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let detail = self.detail();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", &timestamp::format(self.timestamp))?;
        map.serialize_entry("type", self.event_type())?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("previousEventId", &self.previous_event_id)?;
        if let Some((name, detail)) = detail {
            map.serialize_entry(name, &detail)?;
        }
        map.end()
    }
}
