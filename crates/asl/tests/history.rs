//! The history against histories that were recorded on AWS.
//!
//! The expected outlines are those of the AWS-validated snapshots in the LocalStack repository
//! (`tests/aws/services/stepfunctions/v2`), for machines of the same shape.

#![allow(clippy::unwrap_used)] // Helpers of tests.

mod support;

use serde_json::{Value, json};
use support::*;

#[test]
fn a_lambda_task_that_succeeds_gives_the_events_of_aws() {
    let (end, history) = run_with_history(json!({"Start": task(json!({"reply": 7}), json!({"TimeoutSeconds": 5, "End": true}))}), json!({"a": 1}));
    assert_eq!(
        outline(&history),
        [
            "1 0 ExecutionStarted",
            "2 0 TaskStateEntered",
            "3 2 TaskScheduled",
            "4 3 TaskStarted",
            "5 4 TaskSucceeded",
            "6 5 TaskStateExited",
            "7 6 ExecutionSucceeded",
        ]
    );
    let output = r#"{"ExecutedVersion":"$LATEST","Payload":7,"SdkHttpMetadata":{"HttpStatusCode":200},"StatusCode":200}"#;
    assert_eq!(
        json!(history[..6]),
        json!([
            {"timestamp": "2026-01-01T00:00:00.000Z", "type": "ExecutionStarted", "id": 1, "previousEventId": 0,
             "executionStartedEventDetails": {"input": "{\"a\":1}", "inputDetails": {"truncated": false},
                "roleArn": "arn:aws:iam::123456789012:role/state-machine"}},
            {"timestamp": "2026-01-01T00:00:00.000Z", "type": "TaskStateEntered", "id": 2, "previousEventId": 0,
             "stateEnteredEventDetails": {"input": "{\"a\":1}", "inputDetails": {"truncated": false}, "name": "Start"}},
            {"timestamp": "2026-01-01T00:00:00.000Z", "type": "TaskScheduled", "id": 3, "previousEventId": 2,
             "taskScheduledEventDetails": {"parameters": "{\"FunctionName\":\"f\",\"Payload\":{\"reply\":7}}",
                "region": "us-west-2", "resource": "invoke", "resourceType": "lambda", "timeoutInSeconds": 5}},
            {"timestamp": "2026-01-01T00:00:00.000Z", "type": "TaskStarted", "id": 4, "previousEventId": 3,
             "taskStartedEventDetails": {"resource": "invoke", "resourceType": "lambda"}},
            {"timestamp": "2026-01-01T00:00:00.000Z", "type": "TaskSucceeded", "id": 5, "previousEventId": 4,
             "taskSucceededEventDetails": {"output": output, "outputDetails": {"truncated": false},
                "resource": "invoke", "resourceType": "lambda"}},
            {"timestamp": "2026-01-01T00:00:00.000Z", "type": "TaskStateExited", "id": 6, "previousEventId": 5,
             "stateExitedEventDetails": {"name": "Start", "output": output, "outputDetails": {"truncated": false}}},
        ])
    );
    assert_eq!(end.history_events, 7);
}

#[test]
fn a_task_that_times_out_gives_the_events_of_aws() {
    let (end, history) = run_with_history(json!({"Start": task(json!({"sleep": 60}), json!({"TimeoutSeconds": 5, "End": true}))}), json!({}));
    assert_eq!(outline(&history)[2..], ["3 2 TaskScheduled", "4 3 TaskStarted", "5 4 TaskTimedOut", "6 5 ExecutionFailed"]);
    assert_eq!(json!(history[4])["taskTimedOutEventDetails"], json!({"error": "States.Timeout", "resource": "invoke", "resourceType": "lambda"}));
    assert_eq!(json!(history[5])["executionFailedEventDetails"], json!({"error": "States.Timeout"}));
    assert_eq!(end.stop_date, Some(ORIGIN + 5_000));
}

#[test]
fn a_task_that_is_retried_is_scheduled_again_without_entering_its_state_again() {
    let (_, history) = run_with_history(
        json!({"Start": task(json!({"fail": "E"}), json!({"End": true,
            "Retry": [{"ErrorEquals": ["E"], "MaxAttempts": 1}]}))}),
        json!({}),
    );
    assert_eq!(
        outline(&history)[1..],
        [
            "2 0 TaskStateEntered",
            "3 2 TaskScheduled",
            "4 3 TaskStarted",
            "5 4 TaskFailed",
            "6 5 TaskScheduled",
            "7 6 TaskStarted",
            "8 7 TaskFailed",
            "9 8 ExecutionFailed",
        ]
    );
}

#[test]
fn an_undefined_result_gives_the_event_and_the_words_of_aws() {
    let (end, history) = run_with_history(
        json!({
            "State0": {"Type": "Pass", "Next": "State2"},
            "State2": {"Type": "Pass", "Output": {"result": "{% $states.input.doesNotExist %}"}, "End": true},
        }),
        json!({}),
    );
    // In AWS's recording the event follows the one before the state was entered.
    assert_eq!(outline(&history)[3..], ["4 3 PassStateEntered", "5 3 EvaluationFailed", "6 5 ExecutionFailed"]);
    let cause = "An error occurred while executing the state 'State2' (entered at the event id #4). \
        The JSONata expression '$states.input.doesNotExist' specified for the field 'Output/result' \
        returned nothing (undefined).";
    assert_eq!(
        json!(history[4])["evaluationFailedEventDetails"],
        json!({"cause": cause, "error": "States.QueryEvaluationError", "location": "Output/result", "state": "State2"})
    );
    assert_eq!(end.cause.as_deref(), Some(cause));
}

#[test]
fn a_parallel_whose_branch_fails_and_is_caught_gives_the_events_of_aws() {
    let states = json!({
        "P": {"Type": "Parallel", "Next": "Never",
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "FinalCaught"}],
            "Branches": [{"StartAt": "Branch1", "States": {
                "Branch1": {"Type": "Fail", "Error": "FailureType", "Cause": "Cause description"}}}]},
        "Never": {"Type": "Succeed"},
        "FinalCaught": {"Type": "Pass", "End": true},
    });
    let (end, history) = run_with_history(states, json!({}));
    assert_eq!(
        outline(&history),
        [
            "1 0 ExecutionStarted",
            "2 0 ParallelStateEntered",
            "3 2 ParallelStateStarted",
            "4 3 FailStateEntered",
            "5 4 ParallelStateFailed",
            "6 5 ParallelStateExited",
            "7 6 PassStateEntered",
            "8 7 PassStateExited",
            "9 8 ExecutionSucceeded",
        ]
    );
    assert_eq!(end.output, Some(json!({"Error": "FailureType", "Cause": "Cause description"})));
}

#[test]
fn a_parallel_that_is_retried_starts_again_without_having_failed() {
    let states = json!({
        "P": {"Type": "Parallel", "End": true,
            "Retry": [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 2}],
            "Branches": [{"StartAt": "B", "States": {
                "B": {"Type": "Fail", "Error": "FailureType", "Cause": "Cause description"}}}]},
    });
    let (_, history) = run_with_history(states, json!({}));
    assert_eq!(
        outline(&history)[1..],
        [
            "2 0 ParallelStateEntered",
            "3 2 ParallelStateStarted",
            "4 3 FailStateEntered",
            "5 4 ParallelStateStarted",
            "6 5 FailStateEntered",
            "7 6 ParallelStateStarted",
            "8 7 FailStateEntered",
            "9 8 ParallelStateFailed",
            "10 9 ExecutionFailed",
        ]
    );
}

#[test]
fn a_map_that_succeeds_one_by_one_gives_the_events_of_aws() {
    let states = json!({
        "State0": {"Type": "Pass", "Assign": {"x": 42, "items": [1, 2]}, "Next": "State1"},
        "State1": {"Type": "Map", "Items": "{% $items %}", "MaxConcurrency": 1, "End": true,
            "ItemProcessor": {"StartAt": "Inner", "States": {
                "Inner": {"Type": "Pass", "Assign": {"innerX": "{% $x %}"}, "End": true}}}},
    });
    let (_, history) = run_with_history(states, json!({}));
    assert_eq!(
        outline(&history)[3..],
        [
            "4 3 MapStateEntered",
            "5 4 MapStateStarted",
            "6 5 MapIterationStarted",
            "7 6 PassStateEntered",
            "8 7 PassStateExited",
            "9 8 MapIterationSucceeded",
            "10 8 MapIterationStarted",
            "11 10 PassStateEntered",
            "12 11 PassStateExited",
            "13 12 MapIterationSucceeded",
            "14 13 MapStateSucceeded",
            "15 13 MapStateExited",
            "16 15 ExecutionSucceeded",
        ]
    );
    assert_eq!(
        json!(history[2])["stateExitedEventDetails"],
        json!({"assignedVariables": {"x": "42", "items": "[1,2]"},
            "assignedVariablesDetails": {"truncated": false}, "name": "State0",
            "output": "{}", "outputDetails": {"truncated": false}})
    );
}

#[test]
fn a_map_whose_iterations_time_out_gives_the_abort_events_of_aws() {
    let states = json!({
        "MapWait": {"Type": "Map", "End": true, "ItemProcessor": {"StartAt": "T", "States": {
            "T": task(json!({"sleep": "{% $states.input %}"}), json!({"TimeoutSeconds": 5, "End": true}))}}},
    });
    let (end, history) = run_with_history(states, json!([10, 20]));
    assert_eq!(
        outline(&history)[11..],
        [
            "12 8 TaskTimedOut",
            "13 12 MapIterationFailed",
            "14 12 TaskStateAborted",
            "15 12 MapIterationAborted",
            "16 12 TaskStateAborted",
            "17 12 MapStateFailed",
            "18 17 ExecutionFailed",
        ]
    );
    assert_eq!(end.error.as_deref(), Some("States.Timeout"));
}

#[test]
fn items_of_the_wrong_type_give_the_events_of_aws() {
    let states = json!({
        "M": {"Type": "Map", "Items": "{% 'string' %}", "End": true, "ItemProcessor":
            {"StartAt": "T", "States": {"T": {"Type": "Pass", "End": true}}}},
    });
    let (_, history) = run_with_history(states, json!({}));
    assert_eq!(outline(&history)[1..], ["2 0 MapStateEntered", "3 0 EvaluationFailed", "4 3 MapStateFailed", "5 4 ExecutionFailed"]);
    let cause = "An error occurred while executing the state 'M' (entered at the event id #2). The JSONata \
        expression ''string'' specified for the field 'Items' returned an unexpected result type. \
        Expected 'array', but was 'string' for value: \"string\"";
    assert_eq!(
        json!(history[2])["evaluationFailedEventDetails"],
        json!({"cause": cause, "error": "States.QueryEvaluationError", "location": "Items", "state": "M"})
    );
}

#[test]
fn a_child_execution_gives_the_events_of_aws() {
    in_virtual_time(async |bench| {
        let child = json!({"C": {"Type": "Pass", "Output": {"Arg1": "argument1"}, "End": true}});
        let arn = bench.account.register("child", load(&machine(child)));
        let states = json!({"S": {"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2",
            "Arguments": {"StateMachineArn": &*arn, "Input": {}, "Name": "TestStartTarget"}, "End": true}});
        let end = bench.run(&machine(states), json!({})).await;
        let history = bench.account.history(&end.execution_arn).unwrap();
        assert_eq!(
            outline(&history)[1..],
            [
                "2 0 TaskStateEntered",
                "3 2 TaskScheduled",
                "4 3 TaskStarted",
                "5 4 TaskSubmitted",
                "6 5 TaskSucceeded",
                "7 6 TaskStateExited",
                "8 7 ExecutionSucceeded",
            ]
        );
        let execution = "arn:aws:states:us-west-2:123456789012:execution:child:TestStartTarget";
        assert_eq!(
            end.output,
            Some(json!({"ExecutionArn": execution, "Input": {}, "InputDetails": {"Included": true},
                "Name": "TestStartTarget", "Output": {"Arg1": "argument1"}, "OutputDetails": {"Included": true},
                "StartDate": ORIGIN, "StateMachineArn": &*arn, "Status": "SUCCEEDED", "StopDate": ORIGIN}))
        );
    });
}

#[test]
fn compact_history_has_the_same_events_without_the_data() {
    use muster_asl::{Config, HistoryMode, StepFunctions};
    in_virtual_time(async |bench| {
        let compact =
            StepFunctions::new(Config { history: HistoryMode::Compact, ..Config::new(bench.clock.clone(), std::rc::Rc::new(Handle(bench.functions.clone()))) });
        let states = json!({"S": task(json!({"reply": 1}), json!({"Assign": {"a": 1}, "End": true}))});
        compact.register("flow", load(&machine(states)));
        let arn = compact.start_execution("flow", None, json!({"x": 1})).unwrap();
        let end = compact.await_end(&arn).await.unwrap();
        let history = compact.history(&arn).unwrap();
        assert_eq!(history.len() as u64, end.history_events);
        let text = json!(history).to_string();
        assert!(!text.contains("input"), "{text}");
        assert!(!text.contains("assigned"), "{text}");
        let name = |event: &Value| event["stateExitedEventDetails"]["name"] == json!("S");
        assert!(json!(history).as_array().unwrap().iter().any(name));
    });
}
