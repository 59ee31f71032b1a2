//! Running a machine against recorded results.

#![allow(clippy::unwrap_used)] // Helpers of tests.

mod support;

use muster_asl::ExecutionStatus;
use muster_asl::recorded::{RecordedError, RecordedRun, run_recorded};
use serde_json::{Value, json};
use support::{machine, task};

fn poll() -> Value {
    machine(json!({
        "Poll": task(json!({}), json!({"Output": "{% $states.result.Payload %}", "Next": "IsDone",
            "Retry": [{"ErrorEquals": ["Muster.Transient"], "MaxAttempts": 2}]})),
        "IsDone": {"Type": "Choice", "Default": "Wait", "Choices": [{"Condition": "{% $states.input.done %}", "Next": "Done"}]},
        "Wait": {"Type": "Wait", "Seconds": 60, "Next": "Poll"},
        "Done": {"Type": "Succeed"},
    }))
}

fn recorded(definition: &Value, tasks: Value) -> Result<RecordedRun, RecordedError> {
    run_recorded(&definition.to_string(), &json!({}), &tasks)
}

#[test]
fn results_are_taken_one_for_each_call() {
    let tasks = json!({"f": [
        {"done": false},
        {"error": "Muster.Transient", "cause": "throttled"},
        {"result": {"done": true, "error": "none"}, "delaySeconds": 30},
    ]});
    let run = recorded(&poll(), tasks).unwrap();
    assert_eq!(run.status, ExecutionStatus::Succeeded);
    assert_eq!(run.output, Some(json!({"done": true, "error": "none"})));
    assert_eq!(run.duration_ms, 60_000 + 1_000 + 30_000);
    let printed = json!(run);
    assert_eq!(printed["status"], "SUCCEEDED");
    assert_eq!(printed["events"][0]["type"], "ExecutionStarted");
}

#[test]
fn a_call_more_than_results_and_a_call_without_results_end_the_run_and_say_so() {
    let error = recorded(&poll(), json!({"f": [{"done": false}]})).unwrap_err();
    assert_eq!(error.to_string(), "the recorded tasks have 1 results under \"f\", and the state \"Poll\" made one call more; add a result");
    let error = recorded(&poll(), json!({"g": 1})).unwrap_err();
    assert_eq!(error.to_string(), "the state \"Poll\" called \"f\", and the recorded tasks have a result for neither; add one of the two keys");
}

#[test]
fn a_states_name_goes_before_a_functions_and_an_error_fails_the_execution() {
    let run = recorded(&poll(), json!({"f": {"done": true}, "Poll": {"error": "Muster.Invalid", "cause": "no plan"}})).unwrap();
    assert_eq!(run.status, ExecutionStatus::Failed);
    assert_eq!(run.error.as_deref(), Some("Muster.Invalid"));
    assert_eq!(run.cause.as_deref(), Some("no plan"));
}

#[test]
fn a_poll_that_never_ends_stops_at_the_limit_of_events() {
    let run = recorded(&poll(), json!({"f": {"done": false}})).unwrap();
    assert_eq!(run.error.as_deref(), Some("States.Runtime"));
    assert_eq!(run.events.len(), 25_000);
}

#[test]
fn the_answer_to_a_hold_is_its_recorded_result() {
    let hold = machine(json!({"Hold": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Arguments": {"FunctionName": "${AskFunctionArn}", "Payload": "{% $states.context.Task.Token %}"},
        "TimeoutSeconds": 600, "End": true}}));
    let run = recorded(&hold, json!({"AskFunctionArn": {"result": "skip", "delaySeconds": 120}})).unwrap();
    assert_eq!((run.output, run.duration_ms), (Some(json!("skip")), 120_000));
    let run = recorded(&hold, json!({"AskFunctionArn": {"error": "Aborted"}})).unwrap();
    assert_eq!(run.error.as_deref(), Some("Aborted"));
    let run = recorded(&hold, json!({"Hold": {"result": 1, "delaySeconds": 601}})).unwrap();
    assert_eq!(run.error.as_deref(), Some("States.Timeout"));
}

#[test]
fn a_child_execution_is_recorded_under_its_state_machines_arn() {
    let arn = "arn:aws:states:eu-west-1:1:stateMachine:recorded";
    let parent = machine(json!({"Child": {"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Arguments": {"StateMachineArn": arn, "Input": {"a": 1}}, "Output": "{% $states.result.Output %}", "End": true}}));
    let run = recorded(&parent, json!({arn: {"copied": 3}})).unwrap();
    assert_eq!(run.output, Some(json!({"copied": 3})));
    let run = recorded(&parent, json!({arn: {"error": "Muster.Refused"}})).unwrap();
    assert_eq!(run.error.as_deref(), Some("States.TaskFailed"));
    assert!(run.cause.unwrap().contains("\"Error\":\"Muster.Refused\""));
}

#[test]
fn tasks_that_are_not_as_described_are_refused() {
    for (tasks, words) in [
        (json!([]), "they must be a JSON object"),
        (json!({"f": {"error": 1}}), "under \"f\", \"error\" must be a string"),
        (json!({"f": [{"result": 1, "delay": 2}]}), "\"delay\" stands beside"),
        (json!({"f": {"result": 1, "error": "E"}}), "keep one"),
        (json!({"f": {"result": 1, "delaySeconds": -1}}), "delaySeconds is -1"),
    ] {
        let error = recorded(&poll(), tasks).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let error = run_recorded("{}", &json!({}), &json!({})).unwrap_err().to_string();
    assert!(error.starts_with("the state machine has 3 problems:"), "{error}");
}
