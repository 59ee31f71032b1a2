//! Starting, stopping, child executions, and task tokens.

#![allow(clippy::unwrap_used)] // Helpers of tests.

mod support;

use std::cell::RefCell;
use std::rc::Rc;

use muster_asl::{ExecutionStatus, StartError, TaskError};
use serde_json::{Value, json};
use support::*;

fn waiting(seconds: u64) -> Value {
    machine(json!({"W": {"Type": "Wait", "Seconds": seconds, "End": true}}))
}

#[test]
fn the_same_name_and_input_is_the_same_execution_while_it_runs() {
    in_virtual_time(async |bench| {
        let account = &bench.account;
        account.register("flow", load(&waiting(10)));
        let arn = account.start_execution("flow", Some("a"), json!({"x": 1})).unwrap();
        assert_eq!(account.start_execution("flow", Some("a"), json!({"x": 1})), Ok(arn.clone()));
        let exists = Err(StartError::ExecutionAlreadyExists("a".to_owned()));
        assert_eq!(account.start_execution("flow", Some("a"), json!({"x": 2})), exists);
        account.await_end(&arn).await.unwrap();
        assert_eq!(account.start_execution("flow", Some("a"), json!({"x": 1})), exists);
    });
}

#[test]
fn what_cannot_be_started_says_why() {
    in_virtual_time(async |bench| {
        let account = &bench.account;
        let arn = account.register("flow", load(&waiting(10)));
        let start = |machine: &str, name: &str, input| account.start_execution(machine, Some(name), input);
        assert!(start(&arn, "by-arn", json!({})).is_ok());
        assert!(matches!(start("nowhere", "a", json!({})), Err(StartError::StateMachineDoesNotExist(_))));
        assert!(matches!(start(&arn.replace("123456789012", "999999999999"), "a", json!({})), Err(StartError::StateMachineDoesNotExist(_))));
        assert!(matches!(start("flow", "a b", json!({})), Err(StartError::InvalidName(_))));
        assert!(matches!(start("flow", &"a".repeat(81), json!({})), Err(StartError::InvalidName(_))));
        let big = json!("x".repeat(256 * 1024));
        assert_eq!(start("flow", "big", big), Err(StartError::InvalidExecutionInput));
        assert!(account.describe_execution("arn:nothing").is_err());
        assert!(account.stop_execution("arn:nothing", None, None).is_err());
        let unnamed = account.start_execution("flow", None, json!({})).unwrap();
        let other = account.start_execution("flow", None, json!({})).unwrap();
        assert_ne!(unnamed, other);
        assert_eq!(account.list_executions().len(), 3);
    });
}

#[test]
fn a_stopped_execution_is_aborted_at_once_and_its_function_runs_on() {
    in_virtual_time(async |bench| {
        let account = &bench.account;
        account.register("flow", load(&machine(json!({"T": task(json!({"sleep": 30}), json!({"End": true}))}))));
        let arn = account.start_execution("flow", Some("a"), json!({})).unwrap();
        bench.sleep(10).await;
        assert_eq!(account.describe_execution(&arn).unwrap().status, ExecutionStatus::Running);
        account.stop_execution(&arn, Some("Operator"), Some("enough")).unwrap();
        let end = account.describe_execution(&arn).unwrap();
        assert_eq!((end.status, end.error.as_deref(), end.cause.as_deref()), (ExecutionStatus::Aborted, Some("Operator"), Some("enough")));
        bench.sleep(100).await;
        // As recorded on AWS: the last event follows no other, and no state is reported aborted.
        let history = account.history(&arn).unwrap();
        assert_eq!(outline(&history)[3..], ["4 3 TaskStarted", "5 0 ExecutionAborted"]);
        assert_eq!(*bench.functions.ended.borrow(), [(30, "T".to_owned())]);
        account.stop_execution(&arn, None, None).unwrap();
        assert_eq!(account.describe_execution(&arn).unwrap(), end);
    });
}

#[test]
fn an_observer_may_stop_the_execution_that_it_observes() {
    in_virtual_time(async |bench| {
        let account = bench.account.clone();
        let seen = Rc::new(RefCell::new(Vec::new()));
        let notes = seen.clone();
        bench.account.observe(move |arn, event| {
            notes.borrow_mut().push(event.event_type());
            if event.event_type() == "PassStateEntered" {
                account.stop_execution(arn, None, None).unwrap();
            }
        });
        let definition = machine(json!({"P": {"Type": "Pass", "Next": "Q"}, "Q": {"Type": "Pass", "End": true}}));
        let end = bench.run(&definition, json!({})).await;
        assert_eq!(end.status, ExecutionStatus::Aborted);
        assert_eq!(*seen.borrow(), ["ExecutionStarted", "PassStateEntered", "ExecutionAborted"]);
    });
}

fn start_task(suffix: &str, more: Value) -> Value {
    let mut state = json!({"Type": "Task", "Resource": format!("arn:aws:states:::states:startExecution{suffix}"),
        "Arguments": {"StateMachineArn": "child", "Input": {"y": "{% $states.input.x %}"}, "Name": "kid"}});
    state.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    state
}

#[test]
fn a_plain_start_does_not_wait_and_a_child_that_fails_stops_nobody() {
    in_virtual_time(async |bench| {
        bench.account.register(
            "child",
            load(&machine(json!({
            "W": {"Type": "Wait", "Seconds": 60, "Next": "F"}, "F": {"Type": "Fail", "Error": "{% $states.input.y %}"}}))),
        );
        let end = bench.run(&machine(json!({"S": start_task("", json!({"End": true}))})), json!({"x": "E"})).await;
        assert_eq!(end.stop_date, Some(ORIGIN));
        let child = end.output.unwrap()["ExecutionArn"].as_str().unwrap().to_owned();
        let child = bench.account.await_end(&child).await.unwrap();
        assert_eq!((child.status, child.error.as_deref()), (ExecutionStatus::Failed, Some("E")));
    });
}

#[test]
fn a_child_that_fails_fails_its_parent_with_task_failed_and_a_description() {
    in_virtual_time(async |bench| {
        bench.account.register("child", load(&machine(json!({"F": {"Type": "Fail", "Error": "SomeFailure", "Cause": "why"}}))));
        let end = bench.run(&machine(json!({"S": start_task(".sync:2", json!({"End": true}))})), json!({"x": 1})).await;
        assert_eq!(end.error.as_deref(), Some("States.TaskFailed"));
        let cause: Value = serde_json::from_str(&end.cause.unwrap()).unwrap();
        assert_eq!(cause["Error"], "SomeFailure");
        assert_eq!(cause["Cause"], "why");
        assert_eq!(cause["Status"], "FAILED");
        assert_eq!(cause["Input"], "{\"y\":1}");
    });
}

#[test]
fn a_child_whose_parent_no_longer_waits_is_stopped() {
    for (more, stop) in [(json!({"TimeoutSeconds": 10, "End": true}), false), (json!({"End": true}), true)] {
        in_virtual_time(async |bench| {
            bench.account.register("child", load(&waiting(60)));
            bench.account.register("flow", load(&machine(json!({"S": start_task(".sync:2", more)}))));
            let arn = bench.account.start_execution("flow", Some("run"), json!({"x": 1})).unwrap();
            bench.sleep(10).await;
            if stop {
                bench.account.stop_execution(&arn, None, None).unwrap();
            }
            bench.sleep(1).await;
            let child = arn.replace(":flow:run", ":child:kid");
            assert_eq!(bench.account.describe_execution(&child).unwrap().status, ExecutionStatus::Aborted);
        });
    }
}

#[test]
fn a_child_that_cannot_be_started_has_the_error_name_of_aws() {
    let states = json!({"S": start_task("", json!({"End": true}))});
    let (error, _) = failure(states, json!({"x": 1}));
    assert_eq!(error, "StepFunctions.StateMachineDoesNotExistException");
}

fn hold(more: Value) -> Value {
    let mut state = json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Arguments": {"FunctionName": "ask", "Payload": {"token": "{% $states.context.Task.Token %}"}}, "End": true});
    state.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    machine(json!({"Hold": state}))
}

fn token_of(bench: &Bench) -> String {
    bench.functions.calls.borrow().last().unwrap().payload.get("token").and_then(muster_asl::Value::as_str).unwrap().to_owned()
}

#[test]
fn a_hold_waits_for_its_token_and_its_result_is_what_was_sent() {
    in_virtual_time(async |bench| {
        let account = &bench.account;
        account.register("flow", load(&hold(json!({}))));
        let arn = account.start_execution("flow", Some("a"), json!({})).unwrap();
        bench.sleep(3_600).await;
        let token = token_of(&bench);
        assert_eq!(account.send_task_success("no-such-token", json!(1)), Err(TaskError::TaskDoesNotExist));
        account.send_task_success(&token, json!({"decision": "retry"})).unwrap();
        assert_eq!(account.send_task_success(&token, json!(2)), Err(TaskError::TaskTimedOut));
        let end = account.await_end(&arn).await.unwrap();
        assert_eq!(end.output, Some(json!({"decision": "retry"})));
        assert_eq!(
            outline(&account.history(&arn).unwrap())[2..],
            ["3 2 TaskScheduled", "4 3 TaskStarted", "5 4 TaskSubmitted", "6 5 TaskSucceeded", "7 6 TaskStateExited", "8 7 ExecutionSucceeded"]
        );
    });
}

#[test]
fn a_hold_that_is_failed_fails_with_the_error_that_was_sent() {
    in_virtual_time(async |bench| {
        let account = &bench.account;
        account.register("flow", load(&hold(json!({}))));
        let arn = account.start_execution("flow", Some("a"), json!({})).unwrap();
        bench.sleep(1).await;
        account.send_task_failure(&token_of(&bench), Some("Aborted"), Some("by Ada")).unwrap();
        let end = account.await_end(&arn).await.unwrap();
        assert_eq!((end.error.as_deref(), end.cause.as_deref()), (Some("Aborted"), Some("by Ada")));
    });
}

#[test]
fn a_hold_that_times_out_closes_its_token() {
    in_virtual_time(async |bench| {
        let end = bench.run(&hold(json!({"TimeoutSeconds": 60})), json!({})).await;
        assert_eq!(end.error.as_deref(), Some("States.Timeout"));
        assert_eq!(end.stop_date, Some(ORIGIN + 60_000));
        assert_eq!(bench.account.send_task_success(&token_of(&bench), json!(1)), Err(TaskError::TaskTimedOut));
        assert_eq!(bench.account.send_task_heartbeat(&token_of(&bench)), Err(TaskError::TaskTimedOut));
    });
}

#[test]
fn a_hold_whose_execution_was_stopped_takes_no_answer() {
    in_virtual_time(async |bench| {
        let account = &bench.account;
        account.register("flow", load(&hold(json!({}))));
        let arn = account.start_execution("flow", Some("a"), json!({})).unwrap();
        bench.sleep(1).await;
        account.stop_execution(&arn, None, None).unwrap();
        let answer = || account.send_task_success(&token_of(&bench), json!(1));
        assert_eq!(answer(), Err(TaskError::TaskTimedOut));
        bench.sleep(1).await;
        assert_eq!(answer(), Err(TaskError::TaskTimedOut));
    });
}

#[test]
fn heartbeats_keep_a_hold_alive_and_silence_is_a_time_out_by_two_names() {
    in_virtual_time(async |bench| {
        let account = &bench.account;
        let mut definition = hold(json!({"HeartbeatSeconds": 10, "TimeoutSeconds": 600}));
        definition["States"]["Hold"]["Catch"] = json!([{"ErrorEquals": ["States.HeartbeatTimeout"], "Next": "Caught"}]);
        definition["States"]["Caught"] = json!({"Type": "Succeed"});
        account.register("flow", load(&definition));
        let arn = account.start_execution("flow", Some("a"), json!({})).unwrap();
        for _ in 0..3 {
            bench.sleep(8).await;
            account.send_task_heartbeat(&token_of(&bench)).unwrap();
        }
        let end = account.await_end(&arn).await.unwrap();
        assert_eq!(end.stop_date, Some(ORIGIN + 34_000));
        assert_eq!(end.output, Some(json!({"Error": "States.Timeout", "Cause": ""})));
    });
}

#[test]
fn an_answer_that_comes_before_the_function_has_returned_counts() {
    in_virtual_time(async |bench| {
        let account = &bench.account;
        let mut definition = hold(json!({}));
        definition["States"]["Hold"]["Arguments"]["Payload"]["sleep"] = json!(30);
        account.register("flow", load(&definition));
        let arn = account.start_execution("flow", Some("a"), json!({})).unwrap();
        bench.sleep(10).await;
        account.send_task_success(&token_of(&bench), json!("early")).unwrap();
        let end = account.await_end(&arn).await.unwrap();
        assert_eq!((end.output, end.stop_date), (Some(json!("early")), Some(ORIGIN + 10_000)));
    });
}

#[test]
fn an_account_that_nobody_holds_is_freed_with_its_executions() {
    let functions = in_virtual_time(async |bench| {
        bench.run(&waiting(1), json!({})).await;
        bench.functions.clone()
    });
    assert_eq!(Rc::strong_count(&functions), 1);
}
