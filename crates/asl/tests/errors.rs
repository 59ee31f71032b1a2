//! Retry, Catch, time-outs and limits.

#![allow(clippy::unwrap_used)] // Helpers of tests.

mod support;

use serde_json::json;
use support::*;

#[test]
fn retries_wait_longer_each_time_and_end() {
    let states = json!({"T": task(json!({"fail": "Muster.Transient"}), json!({"End": true,
        "Retry": [{"ErrorEquals": ["Other"]}, {"ErrorEquals": ["Muster.Transient"], "IntervalSeconds": 2, "BackoffRate": 3, "MaxAttempts": 2}]}))});
    let end = run(states, json!({}));
    assert_eq!(end.error.as_deref(), Some("Muster.Transient"));
    assert_eq!(end.stop_date, Some(ORIGIN + 8_000));
}

#[test]
fn jitter_comes_from_the_seed() {
    let states = json!({"T": task(json!({"fail": "E"}), json!({"End": true,
        "Retry": [{"ErrorEquals": ["E"], "IntervalSeconds": 100, "MaxAttempts": 1, "JitterStrategy": "FULL"}]}))});
    let first = run(states.clone(), json!({})).stop_date.unwrap();
    assert_eq!(run(states, json!({})).stop_date, Some(first));
    assert!((ORIGIN..ORIGIN + 100_000).contains(&first));
}

#[test]
fn a_catch_gets_the_error_output_and_the_first_that_matches_wins() {
    let states = json!({
        "T": task(json!({"fail": "Mine"}), json!({"Next": "Never", "Catch": [
            {"ErrorEquals": ["Other"], "Next": "Never"},
            {"ErrorEquals": ["States.TaskFailed"], "Next": "Caught"},
            {"ErrorEquals": ["States.ALL"], "Next": "Never"}]})),
        "Never": {"Type": "Fail"},
        "Caught": {"Type": "Pass", "End": true},
    });
    assert_eq!(output(states, json!({})), json!({"Error": "Mine", "Cause": "because of the test"}));
}

#[test]
fn a_time_out_is_caught_by_its_name_with_an_empty_cause_and_not_by_task_failed() {
    let states = json!({
        "T": task(json!({"sleep": 60}), json!({"TimeoutSeconds": 10, "Next": "Never", "Catch": [
            {"ErrorEquals": ["States.TaskFailed"], "Next": "Never"},
            {"ErrorEquals": ["States.Timeout"], "Next": "Caught"}]})),
        "Never": {"Type": "Fail"},
        "Caught": {"Type": "Pass", "End": true},
    });
    assert_eq!(output(states, json!({})), json!({"Error": "States.Timeout", "Cause": ""}));
}

#[test]
fn a_result_at_the_very_moment_of_the_time_out_is_in_time() {
    let states = json!({"T": task(json!({"sleep": 10, "reply": 1}), json!({"TimeoutSeconds": 10, "End": true, "Output": "{% $states.result.Payload %}"}))});
    assert_eq!(output(states, json!({})), json!(1));
}

#[test]
fn timeout_seconds_may_be_an_expression_and_must_be_a_positive_integer() {
    let states = json!({"T": task(json!({"sleep": 60}), json!({"TimeoutSeconds": "{% $states.input.t %}", "End": true}))});
    let end = run(states.clone(), json!({"t": 7}));
    assert_eq!(end.stop_date, Some(ORIGIN + 7_000));
    let (error, cause) = failure(states.clone(), json!({"t": 0}));
    assert_eq!(error, "States.QueryEvaluationError");
    assert!(cause.contains("The TimeoutSeconds field must be an integer from 1 to 99999999, but was 0"), "{cause}");
    assert_eq!(failure(states, json!({})).0, "States.QueryEvaluationError");
}

#[test]
fn an_evaluation_error_in_a_task_can_be_caught() {
    let states = json!({
        "T": task(json!("{% $states.input.missing %}"), json!({"Next": "E", "Catch": [
            {"ErrorEquals": ["States.QueryEvaluationError"], "Output": "caught", "Next": "E"}]})),
        "E": {"Type": "Succeed"},
    });
    assert_eq!(output(states, json!({})), json!("caught"));
}

#[test]
fn states_all_catches_neither_the_data_limit_nor_a_runtime_error() {
    let catch_all = json!([{"ErrorEquals": ["States.ALL"], "Next": "E"}]);
    let big = json!("x".repeat(256 * 1024 - 2));
    let too_big = json!({
        "T": task(json!("{% $states.input & 'x' %}"), json!({"Next": "E", "Catch": catch_all})),
        "E": {"Type": "Succeed"},
    });
    assert_eq!(failure(too_big.clone(), big.clone()).0, "States.DataLimitExceeded");
    let mut by_name = too_big;
    by_name["T"]["Catch"][0]["ErrorEquals"] = json!(["States.DataLimitExceeded"]);
    assert_eq!(output(by_name, big.clone())["Error"], "States.DataLimitExceeded");

    let runtime = json!({
        "T": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": "{% {'Function': 'f'} %}",
            "Next": "E", "Catch": catch_all},
        "E": {"Type": "Succeed"},
    });
    let (error, cause) = failure(runtime, json!({}));
    assert_eq!(error, "States.Runtime");
    assert!(cause.contains("could not be used to start the Task: [The field 'Function' is not supported"), "{cause}");
}

#[test]
fn exactly_256_kib_of_data_pass_and_one_byte_more_does_not() {
    let states = json!({"P": {"Type": "Pass", "Output": "{% $states.input & '' %}", "End": true}});
    let fits = json!("x".repeat(256 * 1024 - 2));
    assert_eq!(output(states, fits.clone()), fits);
    let states = json!({"P": {"Type": "Pass", "Output": "{% $states.input & 'x' %}", "End": true}});
    let (error, cause) = failure(states, fits);
    assert_eq!(error, "States.DataLimitExceeded");
    assert!(cause.contains("output with a size exceeding the maximum number of bytes service limit"), "{cause}");
}

#[test]
fn a_function_that_answers_too_much_is_a_data_limit() {
    let states = json!({"T": task(json!({"reply": "{% $states.input %}"}), json!({"End": true}))});
    assert_eq!(failure(states, json!("x".repeat(256 * 1024 - 60))).0, "States.DataLimitExceeded");
}

#[test]
fn a_function_that_panics_is_lambda_unknown() {
    let states = json!({"T": task(json!({"panic": true}), json!({"End": true}))});
    let (error, cause) = failure(states, json!({}));
    assert_eq!(error, "Lambda.Unknown");
    assert_eq!(cause, "The function panicked: the function fell over");
}

#[test]
fn a_branch_that_fails_cancels_its_siblings_and_their_functions_run_on() {
    in_virtual_time(async |bench| {
        let branch = |name: &str, payload| json!({"StartAt": name, "States": {name: task(payload, json!({"End": true}))}});
        let states = json!({
            "P": {"Type": "Parallel", "Next": "Never",
                "Branches": [branch("Slow", json!({"sleep": 30})), branch("Failing", json!({"sleep": 10, "fail": "E"})),
                    {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "Next": "After"}, "After": task(json!({}), json!({"End": true}))}}],
                "Catch": [{"ErrorEquals": ["E"], "Next": "Caught"}]},
            "Never": {"Type": "Fail"},
            "Caught": {"Type": "Pass", "End": true},
        });
        let end = bench.run(&machine(states), json!({})).await;
        assert_eq!(end.stop_date, Some(ORIGIN + 10_000));
        let history = bench.account.history(&end.execution_arn).unwrap();
        let types: Vec<&str> = history.iter().map(|event| event.event_type()).collect();
        let failed = types.iter().position(|name| *name == "TaskFailed").unwrap();
        assert_eq!(
            types[failed..],
            [
                "TaskFailed",
                "TaskStateAborted",
                "TaskStateAborted",
                "WaitStateAborted",
                "ParallelStateFailed",
                "ParallelStateExited",
                "PassStateEntered",
                "PassStateExited",
                "ExecutionSucceeded"
            ]
        );
        bench.sleep(1_000).await;
        // The slow function's effect landed after the execution's end; the cancelled wait led nowhere.
        let ended = bench.functions.ended.borrow().clone();
        assert_eq!(ended, [(10, "Failing".to_owned()), (30, "Slow".to_owned())]);
    });
}

#[test]
fn a_task_that_timed_out_leaves_its_function_running() {
    in_virtual_time(async |bench| {
        let states = json!({
            "T": task(json!({"sleep": 30}), json!({"TimeoutSeconds": 10, "Next": "E",
                "Catch": [{"ErrorEquals": ["States.Timeout"], "Next": "E"}]})),
            "E": {"Type": "Wait", "Seconds": 60, "End": true},
        });
        bench.run(&machine(states), json!({})).await;
        assert_eq!(*bench.functions.ended.borrow(), [(30, "T".to_owned())]);
    });
}
