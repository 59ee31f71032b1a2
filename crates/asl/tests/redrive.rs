//! Redrive: an execution that did not succeed goes on where it stood.

#![allow(clippy::unwrap_used)] // Helpers of tests.

mod support;

use muster_asl::{ExecutionStatus, RedriveError};
use serde_json::json;
use support::*;

#[test]
fn what_succeeded_is_not_run_again_and_variables_are_kept() {
    in_virtual_time(async |bench| {
        let definition = machine(json!({
            "First": task(json!({"reply": 7}), json!({"Assign": {"kept": "{% $states.result.Payload %}"}, "Next": "Second"})),
            "Second": task(json!({"sleep": 10}), json!({"Next": "End"})),
            "End": {"Type": "Pass", "Output": {"kept": "{% $kept %}", "redrives": "{% $states.context.Execution.RedriveCount %}"}, "End": true}
        }));
        bench.account.register("flow", load(&definition));
        let arn = bench.account.start_execution("flow", Some("run"), json!({})).unwrap();
        bench.sleep(5).await;
        assert!(matches!(bench.account.redrive_execution(&arn), Err(RedriveError::ExecutionNotRedrivable(_))));
        bench.account.stop_execution(&arn, None, None).unwrap();
        bench.sleep(1).await;
        bench.account.redrive_execution(&arn).unwrap();
        let end = bench.account.await_end(&arn).await.unwrap();
        assert_eq!(end.status, ExecutionStatus::Succeeded);
        assert_eq!(end.output, Some(json!({"kept": 7, "redrives": 1})));
        let calls: Vec<String> = bench.functions.calls.borrow().iter().map(|call| call.state_name.to_string()).collect();
        assert_eq!(calls, ["First", "Second", "Second"]);
        assert!(outline(&bench.account.history(&arn).unwrap()).iter().any(|line| line.ends_with("ExecutionRedriven")));
        assert!(matches!(bench.account.redrive_execution(&arn), Err(RedriveError::ExecutionNotRedrivable(_))));
    });
}

#[test]
fn of_a_parallel_only_the_branches_that_had_not_ended_go_on() {
    in_virtual_time(async |bench| {
        let branch = |name: &str, seconds: u64| {
            let state = task(json!({"sleep": seconds, "reply": name}), json!({"End": true, "Output": "{% $states.result.Payload %}"}));
            json!({"StartAt": name, "States": {name: state}})
        };
        let definition = machine(json!({
            "Both": {"Type": "Parallel", "Branches": [branch("Short", 2), branch("Long", 20)], "End": true}
        }));
        bench.account.register("flow", load(&definition));
        let arn = bench.account.start_execution("flow", Some("run"), json!({})).unwrap();
        bench.sleep(5).await;
        bench.account.stop_execution(&arn, None, None).unwrap();
        bench.sleep(1).await;
        bench.account.redrive_execution(&arn).unwrap();
        let end = bench.account.await_end(&arn).await.unwrap();
        assert_eq!(end.output, Some(json!(["Short", "Long"])));
        let short = bench.functions.calls.borrow().iter().filter(|call| &*call.state_name == "Short").count();
        assert_eq!(short, 1);
    });
}

#[test]
fn a_failed_execution_tries_its_failed_state_again_with_all_its_retries() {
    in_virtual_time(async |bench| {
        *bench.functions.first_fail.borrow_mut() = vec!["Mine", "Mine", "Mine"];
        let retry = json!([{"ErrorEquals": ["Mine"], "MaxAttempts": 1, "IntervalSeconds": 1}]);
        let definition = machine(json!({"T": task(json!({"reply": 1}), json!({"Retry": retry, "Output": "{% $states.result.Payload %}", "End": true}))}));
        let end = bench.run(&definition, json!({})).await;
        assert_eq!((end.status, end.error.as_deref()), (ExecutionStatus::Failed, Some("Mine")));
        bench.account.redrive_execution(&end.execution_arn).unwrap();
        let end = bench.account.await_end(&end.execution_arn).await.unwrap();
        assert_eq!((end.status, end.output), (ExecutionStatus::Succeeded, Some(json!(1))));
        assert_eq!(bench.functions.calls.borrow().len(), 4);
    });
}

#[test]
fn a_state_that_was_cut_off_before_its_exit_has_assigned_nothing() {
    in_virtual_time(async |bench| {
        let account = bench.account.clone();
        bench.account.observe(move |arn, event| {
            if event.event_type() == "TaskSucceeded" && event.id < 10 {
                account.stop_execution(arn, None, None).unwrap();
            }
        });
        let definition = machine(json!({
            "Zero": {"Type": "Pass", "Assign": {"count": 0}, "Next": "Count"},
            "Count": task(json!({"reply": 1}), json!({"Assign": {"count": "{% $count + 1 %}"}, "Next": "End"})),
            "End": {"Type": "Pass", "Output": "{% $count %}", "End": true}
        }));
        let end = bench.run(&definition, json!({})).await;
        assert_eq!(end.status, ExecutionStatus::Aborted);
        bench.sleep(1).await;
        bench.account.redrive_execution(&end.execution_arn).unwrap();
        let end = bench.account.await_end(&end.execution_arn).await.unwrap();
        assert_eq!(end.output, Some(json!(1)));
    });
}

#[test]
fn a_task_that_waited_for_a_token_hands_out_another_one() {
    in_virtual_time(async |bench| {
        let mut state = task(json!({"token": "{% $states.context.Task.Token %}"}), json!({"End": true}));
        state["Resource"] = json!("arn:aws:states:::lambda:invoke.waitForTaskToken");
        bench.account.register("flow", load(&machine(json!({"T": state}))));
        let arn = bench.account.start_execution("flow", Some("run"), json!({})).unwrap();
        bench.sleep(5).await;
        bench.account.stop_execution(&arn, None, None).unwrap();
        bench.sleep(1).await;
        bench.account.redrive_execution(&arn).unwrap();
        bench.sleep(5).await;
        let tokens: Vec<String> = bench.functions.calls.borrow().iter().map(|call| call.task_token.clone().unwrap().to_string()).collect();
        assert_eq!(tokens.len(), 2);
        assert_ne!(tokens[0], tokens[1]);
        assert!(bench.account.send_task_success(&tokens[0], json!(1)).is_err());
        bench.account.send_task_success(&tokens[1], json!(2)).unwrap();
        assert_eq!(bench.account.await_end(&arn).await.unwrap().output, Some(json!(2)));
    });
}
