//! Same seed, same bytes.

#![allow(clippy::unwrap_used)] // Helpers of tests.

mod support;

use std::rc::Rc;

use muster_asl::{Config, StepFunctions};
use serde_json::{Value, json};
use support::*;

fn everything_random() -> Value {
    machine(json!({
        "Start": {"Type": "Pass", "Assign": {
            "oneUuid": "{% $uuid() %}", "oneRandom": "{% $random() %}", "shuffled": "{% $shuffle([1..20]) %}",
            "mapped": "{% $map([1..5], function($v){ $v * $random() }) %}",
            "referred": "{% $map([1..5], $random) %}",
            "oneNow": "{% $now() %}", "oneMillis": "{% $millis() %}"}, "Next": "Each"},
        "Each": {"Type": "Map", "Items": [3, 1, 2], "Next": "Both", "ItemProcessor": {"StartAt": "T", "States": {
            "T": task(json!({"sleep": "{% $states.input %}", "fail": "E", "token": "{% $uuid() %}"}), json!({"Next": "C",
                "Retry": [{"ErrorEquals": ["E"], "JitterStrategy": "FULL", "MaxAttempts": 2}],
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "C"}]})),
            "C": {"Type": "Pass", "Output": "{% $random() %}", "End": true}}}},
        "Both": {"Type": "Parallel", "End": true, "Branches": [
            {"StartAt": "A", "States": {"A": {"Type": "Pass", "Output": "{% $uuid() %}", "End": true}}},
            {"StartAt": "B", "States": {"B": {"Type": "Wait", "Seconds": "{% $ceil($random() * 100) %}", "End": true}}}]},
    }))
}

fn bytes(seed: u64, definition: &Value) -> String {
    in_virtual_time(async |bench| {
        let account = StepFunctions::new(Config { seed, ..Config::new(bench.clock.clone(), Rc::new(Handle(bench.functions.clone()))) });
        account.register("flow", load(definition));
        let arn = account.start_execution("flow", None, json!({})).unwrap();
        let end = account.await_end(&arn).await.unwrap();
        serde_json::to_string(&(end, account.history(&arn).unwrap())).unwrap()
    })
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let definition = everything_random();
    let first = bytes(7, &definition);
    for _ in 0..5 {
        assert_eq!(bytes(7, &definition), first);
    }
    assert_ne!(bytes(8, &definition), first);
}

#[test]
fn a_draw_in_one_state_leaves_those_of_the_others_alone() {
    let machine = |extra: &str| {
        machine(json!({
            "A": {"Type": "Pass", "Output": extra, "Next": "B"},
            "B": {"Type": "Pass", "Output": "{% $random() %}", "End": true},
        }))
    };
    let last = |definition: &Value| in_virtual_time(async |bench| bench.run(definition, json!({})).await.output);
    assert_eq!(last(&machine("{% $random() %}")), last(&machine("{% $uuid() & $random() %}")));
}

#[test]
fn the_history_does_not_depend_on_the_random_state_of_hash_maps() {
    // Objects keep the order in which they were made, through every step.
    let states = json!({
        "A": {"Type": "Pass", "Output": "{% {'z': 1, 'a': 2, 'm': $states.input} %}", "Next": "B"},
        "B": {"Type": "Pass", "Output": "{% $merge([$states.input, {'b': 3}]) %}", "Next": "C"},
        "C": task(json!("{% $states.input %}"), json!({"Output": "{% $keys($states.result.Payload) %}", "End": true})),
    });
    assert_eq!(output(states, json!({"y": 1, "x": 2})), json!(["z", "a", "m", "b"]));
}
