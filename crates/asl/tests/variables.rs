//! Assign, scopes and the context object.

#![allow(clippy::unwrap_used)] // Helpers of tests.

mod support;

use serde_json::{Value, json};
use support::*;

#[test]
fn assign_is_evaluated_against_the_old_values() {
    let states = json!({
        "A": {"Type": "Pass", "Assign": {"x": 3, "a": 6}, "Next": "B"},
        "B": {"Type": "Pass", "Assign": {"x": "{% $a %}", "nextX": "{% $x %}"}, "Output": "{% [$x, $a] %}", "Next": "C"},
        "C": {"Type": "Pass", "Output": ["{% $states.input %}", "{% $x %}", "{% $nextX %}"], "End": true},
    });
    assert_eq!(output(states, json!({})), json!([[3, 6], 6, 3]));
}

#[test]
fn nothing_is_assigned_when_the_output_fails() {
    let states = json!({
        "A": {"Type": "Pass", "Assign": {"x": 1}, "Next": "T"},
        "T": task(json!({}), json!({"Assign": {"x": 2}, "Output": "{% $states.result.missing %}", "Next": "E",
            "Catch": [{"ErrorEquals": ["States.QueryEvaluationError"], "Next": "E"}]})),
        "E": {"Type": "Pass", "Output": "{% $x %}", "End": true},
    });
    assert_eq!(output(states, json!({})), json!(1));
}

#[test]
fn the_assign_of_a_catch_stands_in_for_the_one_of_its_state() {
    let states = json!({
        "T": task(json!({"fail": "E"}), json!({
            "Assign": {"own": true}, "Next": "S",
            "Catch": [{"ErrorEquals": ["E"], "Assign": {"why": "{% $states.errorOutput.Error & ': ' & $states.errorOutput.Cause %}"},
                "Output": {"in": "{% $states.input.x %}"}, "Next": "S"}]})),
        "S": {"Type": "Pass", "Output": "{% [$exists($own), $why, $states.input.in] %}", "End": true},
    });
    assert_eq!(output(states, json!({"x": 5})), json!([false, "E: because of the test", 5]));
}

#[test]
fn a_branch_reads_outer_variables_and_its_own_are_lost_at_its_end() {
    let states = json!({
        "A": {"Type": "Pass", "Assign": {"outer": 1}, "Next": "P"},
        "P": {"Type": "Parallel", "Next": "Z", "Branches": [
            {"StartAt": "B", "States": {
                "B": {"Type": "Pass", "Assign": {"inner": "{% $outer + 1 %}"}, "Next": "C"},
                "C": {"Type": "Pass", "Output": "{% $inner %}", "End": true}}},
            {"StartAt": "D", "States": {
                "D": {"Type": "Pass", "Assign": {"inner": 10}, "Next": "F"},
                "F": {"Type": "Pass", "Output": "{% $inner + $outer %}", "End": true}}}]},
        "Z": {"Type": "Pass", "End": true},
    });
    assert_eq!(output(states, json!({})), json!([2, 11]));
}

#[test]
fn an_inner_scope_cannot_assign_an_outer_name_nor_an_outer_scope_read_an_inner_one() {
    let states = json!({
        "A": {"Type": "Pass", "Assign": {"x": 1}, "Next": "P"},
        "P": {"Type": "Parallel", "Next": "Z", "Branches": [{"StartAt": "B", "States": {
            "B": {"Type": "Pass", "Assign": {"x": 2, "y": 1}, "End": true}}}]},
        "Z": {"Type": "Pass", "Output": "{% $y %}", "End": true},
    });
    assert_eq!(
        problems(&machine(states)),
        [
            "/States/P/Branches[0]/States/B/Assign/x: is a variable of an outer scope, and an inner scope cannot assign those; use another name",
            "/States/Z/Output: the expression \"$y\" reads $y, but no state assigns it here; the variables are $x",
        ]
    );
}

#[test]
fn iterations_of_a_map_do_not_see_each_others_variables() {
    let states = json!({"M": {"Type": "Map", "End": true, "MaxConcurrency": 1, "ItemProcessor": {"StartAt": "B", "States": {
        "B": {"Type": "Choice", "Default": "C", "Choices": [{"Condition": "{% $exists($mine) %}", "Next": "Bad"}]},
        "C": {"Type": "Pass", "Assign": {"mine": "{% $states.input %}"}, "Next": "D"},
        "D": {"Type": "Pass", "Output": "{% $mine * 10 %}", "End": true},
        "Bad": {"Type": "Fail"}}}}});
    assert_eq!(output(states, json!([1, 2, 3])), json!([10, 20, 30]));
}

#[test]
fn a_variable_without_a_value_on_this_way_is_an_error_unless_exists_is_asked() {
    let states = |expression: &str| {
        json!({
            "C": {"Type": "Choice", "Default": "E", "Choices": [{"Condition": "{% $states.input.set %}", "Next": "A"}]},
            "A": {"Type": "Pass", "Assign": {"x": 1}, "Next": "E"},
            "E": {"Type": "Pass", "Output": expression, "End": true},
        })
    };
    assert_eq!(output(states("{% $x %}"), json!({"set": true})), json!(1));
    let (error, cause) = failure(states("{% $x %}"), json!({"set": false}));
    assert_eq!(error, "States.QueryEvaluationError");
    assert!(cause.contains("reads the variable $x, to which no state has assigned a value on this way"), "{cause}");
    let asked = states("{% $exists($x) ? $x : 'none' %}");
    assert_eq!(output(asked.clone(), json!({"set": false})), json!("none"));
    assert_eq!(output(asked, json!({"set": true})), json!(1));
}

#[test]
fn the_context_has_the_fields_of_aws() {
    in_virtual_time(async |bench| {
        let states = json!({
            "First": {"Type": "Wait", "Seconds": 1, "Next": "M"},
            "M": {"Type": "Map", "Items": [7], "End": true, "ItemProcessor": {"StartAt": "P", "States": {
                "P": {"Type": "Pass", "Output": "{% $states.context %}", "End": true}}}},
        });
        let end = bench.run(&machine(states), json!({"a": 1})).await;
        let account = "us-west-2:123456789012";
        assert_eq!(
            end.output,
            Some(json!([{
                "Execution": {
                    "Id": format!("arn:aws:states:{account}:execution:flow:run"),
                    "Input": {"a": 1},
                    "StartTime": "2026-01-01T00:00:00.000Z",
                    "Name": "run",
                    "RoleArn": "arn:aws:iam::123456789012:role/state-machine",
                    "RedriveCount": 0,
                },
                "State": {"EnteredTime": "2026-01-01T00:00:01.000Z", "Name": "P"},
                "StateMachine": {"Id": format!("arn:aws:states:{account}:stateMachine:flow"), "Name": "flow"},
                "Map": {"Item": {"Index": 0, "Value": 7}},
            }]))
        );
    });
}

#[test]
fn the_retry_count_counts_the_retries_of_a_task() {
    in_virtual_time(async |bench| {
        *bench.functions.first_fail.borrow_mut() = vec!["E", "E"];
        let states = json!({"T": task(
            json!({"reply": "{% $states.context.State.RetryCount %}"}),
            json!({"End": true, "Output": "{% $states.result.Payload %}", "Retry": [{"ErrorEquals": ["E"]}]}),
        )});
        let end = bench.run(&machine(states), json!({})).await;
        assert_eq!(end.output, Some(json!(2)));
        let counts: Vec<u64> = bench.functions.calls.borrow().iter().map(|call| call.retry_count).collect();
        assert_eq!(counts, [0, 1, 2]);
    });
}

#[test]
fn data_is_plain_json_between_states_whatever_made_it() {
    // Inside one expression `[[1,2]].$count($)` maps over an array constructor; what the next state
    // reads is an array like any other.
    let states = json!({
        "A": {"Type": "Pass", "Assign": {"xs": "{% [{'a': [1]}, {'a': [2, 3]}] %}"}, "Output": "{% [[1, 2]] %}", "Next": "B"},
        "B": {"Type": "Pass", "Output": "{% [$count($states.input), $xs.a] %}", "End": true},
    });
    let direct = json!({"B": {"Type": "Pass", "Output": "{% [$count($states.input.in), $states.input.xs.a] %}", "End": true}});
    let given = json!({"in": [[1, 2]], "xs": [{"a": [1]}, {"a": [2, 3]}]});
    assert_eq!(output(states, json!({})), output(direct, given));
}

#[test]
fn too_many_bytes_of_variables_are_a_data_limit() {
    let big = "x".repeat(200 * 1024);
    let two = json!({"A": {"Type": "Pass", "Assign": {"a": "{% $states.input %}", "b": "{% $states.input %}"}, "End": true}});
    let (error, cause) = failure(two, json!(big));
    assert_eq!(error, "States.DataLimitExceeded");
    assert!(cause.contains("The Assign field has 409604 bytes"), "{cause}");

    // 60 variables of 200 KiB are more than 10 MiB; 50 are not.
    let many = |count: usize| {
        let mut states = serde_json::Map::new();
        for index in 0..count {
            let next = if index + 1 == count { json!({"End": true}) } else { json!({"Next": format!("S{}", index + 1)}) };
            let mut state = json!({"Type": "Pass", "Assign": {format!("v{index}"): "{% $states.input %}"}});
            state.as_object_mut().unwrap().extend(next.as_object().unwrap().clone());
            states.insert(format!("S{index}"), state);
        }
        Value::Object(states)
    };
    assert_eq!(run(many(50), json!(big)).error, None);
    let (error, cause) = failure(many(60), json!(big));
    assert_eq!(error, "States.DataLimitExceeded");
    assert!(cause.contains("The variables of the execution have more than 10485760 bytes"), "{cause}");
}
