//! Each state type.

#![allow(clippy::unwrap_used)] // Helpers of tests.

mod support;

use serde_json::json;
use support::*;

#[test]
fn a_pass_hands_on_its_input_or_its_output() {
    let states = json!({
        "A": {"Type": "Pass", "Next": "B"},
        "B": {"Type": "Pass", "Output": {"was": "{% $states.input.a %}", "and": ["{% 1 + 1 %}", "x"]}, "End": true},
    });
    assert_eq!(output(states, json!({"a": [1, {"b": null}]})), json!({"was": [1, {"b": null}], "and": [2, "x"]}));
}

#[test]
fn a_choice_takes_the_first_rule_that_is_true_with_its_own_assign_and_output() {
    let states = json!({
        "IsBig": {"Type": "Choice", "Default": "Small", "Assign": {"how": "small"}, "Output": "default",
            "Choices": [
                {"Condition": false, "Next": "Small"},
                {"Condition": "{% $states.input > 10 %}", "Assign": {"how": "big"}, "Output": "{% $states.input * 2 %}", "Next": "Big"},
                {"Condition": "{% $states.input > 5 %}", "Assign": {"how": "never"}, "Next": "Small"},
            ]},
        "Big": {"Type": "Succeed", "Output": "{% [$how, $states.input] %}"},
        "Small": {"Type": "Succeed", "Output": "{% [$how, $states.input] %}"},
    });
    assert_eq!(output(states.clone(), json!(11)), json!(["big", 22]));
    assert_eq!(output(states, json!(1)), json!(["small", "default"]));
}

#[test]
fn a_condition_that_is_no_boolean_is_a_query_evaluation_error() {
    let states = json!({
        "C": {"Type": "Choice", "Choices": [{"Condition": "{% 1 %}", "Next": "E"}]},
        "E": {"Type": "Succeed"},
    });
    let (error, cause) = failure(states, json!({}));
    assert_eq!(error, "States.QueryEvaluationError");
    assert!(cause.contains("Expected 'boolean', but was 'number' for value: 1"), "{cause}");
}

#[test]
fn a_choice_without_a_match_and_without_a_default_fails_with_no_choice_matched() {
    let states = json!({
        "C": {"Type": "Choice", "Choices": [{"Condition": "{% false %}", "Next": "E"}]},
        "E": {"Type": "Succeed"},
    });
    assert_eq!(failure(states, json!({})).0, "States.NoChoiceMatched");
}

#[test]
fn a_wait_lasts_as_long_as_it_says() {
    for (wait, input, seconds) in [
        (json!({"Seconds": 90}), json!({}), 90),
        (json!({"Seconds": "{% $states.input.s * 60 %}"}), json!({"s": 2}), 120),
        (json!({"Seconds": 0}), json!({}), 0),
        (json!({"Timestamp": "2026-01-01T01:00:00Z"}), json!({}), 3600),
        (json!({"Timestamp": "{% $states.input %}"}), json!("2026-01-01T00:00:30+00:00"), 30),
        (json!({"Timestamp": "2020-01-01T00:00:00Z"}), json!({}), 0),
    ] {
        let mut state = wait.clone();
        state["Type"] = json!("Wait");
        state["End"] = json!(true);
        let end = run(json!({ "W": state }), input);
        assert_eq!(end.stop_date, Some(ORIGIN + seconds * 1_000), "{wait}");
    }
}

#[test]
fn seconds_that_are_no_integer_are_a_query_evaluation_error() {
    for (seconds, words) in [
        (json!(1.5), "must be an integer from 0 to 99999999, but was 1.5"),
        (json!(-1), "must be an integer from 0"),
        (json!(1e9), "must be an integer from 0"),
        (json!("5"), "Expected 'number', but was 'string'"),
        (json!(null), "Expected 'number', but was 'null'"),
    ] {
        let states = json!({"W": {"Type": "Wait", "Seconds": "{% $states.input.s %}", "End": true}});
        let (error, cause) = failure(states, json!({"s": seconds}));
        assert_eq!(error, "States.QueryEvaluationError", "{seconds}");
        assert!(cause.contains(words), "{cause}");
    }
    assert!(problems(&machine(json!({"W": {"Type": "Wait", "Seconds": 1.5, "End": true}})))[0].starts_with("/States/W/Seconds: wants an integer from 0"));
}

#[test]
fn a_timestamp_that_cannot_be_read_gives_the_words_of_aws() {
    let states = json!({"W": {"Type": "Wait", "Timestamp": "{% $states.input %}", "End": true}});
    let (error, cause) = failure(states, json!("2016-12-05 21:29:29Z"));
    assert_eq!(error, "States.QueryEvaluationError");
    assert!(cause.ends_with("The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format string: 2016-12-05 21:29:29Z"), "{cause}");
}

#[test]
fn a_fail_fails_with_what_it_says_and_may_say_nothing() {
    let states = json!({"F": {"Type": "Fail", "Error": "{% $states.input.e %}", "Cause": "{% 'it ' & 'broke' %}"}});
    assert_eq!(failure(states, json!({"e": "Mine"})), ("Mine".into(), "it broke".into()));
    let end = run(json!({"F": {"Type": "Fail"}}), json!({}));
    assert_eq!((end.error, end.cause), (None, None));
    let (error, cause) = failure(json!({"F": {"Type": "Fail", "Error": "{% 1 %}"}}), json!({}));
    assert_eq!(error, "States.QueryEvaluationError");
    assert!(cause.contains("Expected 'string'"), "{cause}");
}

#[test]
fn a_parallel_returns_the_outputs_of_its_branches_in_their_order() {
    let branch = |name: &str, seconds: u64| {
        json!({"StartAt": name, "States": {
            name: {"Type": "Wait", "Seconds": seconds, "Output": {name: "{% $states.input.v %}"}, "End": true}}})
    };
    let states = json!({
        "P": {"Type": "Parallel", "Arguments": {"v": "{% $states.input.x + 1 %}"}, "Next": "Q",
            "Branches": [branch("Slow", 20), branch("Fast", 10)],
            "Assign": {"both": "{% $states.result %}"}, "Output": "{% $count($states.result) %}"},
        "Q": {"Type": "Pass", "Output": ["{% $both %}", "{% $states.input %}"], "End": true},
    });
    let end = run(states, json!({"x": 1}));
    assert_eq!(end.output, Some(json!([[{"Slow": 2}, {"Fast": 2}], 2])));
    assert_eq!(end.stop_date, Some(ORIGIN + 20_000));
}

#[test]
fn branches_take_their_steps_in_the_order_of_the_definition() {
    let branch = |name: &str| json!({"StartAt": name, "States": {name: task(json!({}), json!({"End": true}))}});
    let states = json!({"P": {"Type": "Parallel", "End": true, "Branches": [branch("B"), branch("A"), branch("C")]}});
    let (_, history) = run_with_history(states, json!({}));
    let named = |event_type: &str| -> Vec<String> {
        let events = history.iter().filter(|event| event.event_type() == event_type);
        events.filter_map(|event| event.state_name().map(str::to_owned)).collect()
    };
    assert_eq!(named("TaskStateEntered"), ["B", "A", "C"]);
    assert_eq!(named("TaskStateExited"), ["B", "A", "C"]);
}

#[test]
fn a_map_runs_its_items_with_the_selector_and_the_width_that_it_says() {
    let states = json!({
        "M": {"Type": "Map", "Items": "{% $states.input.xs %}", "MaxConcurrency": 2, "End": true,
            "ItemSelector": {
                "i": "{% $states.context.Map.Item.Index %}",
                "v": "{% $states.context.Map.Item.Value %}",
                "all": "{% $count($states.input.xs) %}",
            },
            "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, "StartAt": "W", "States": {
                "W": {"Type": "Wait", "Seconds": 10, "End": true,
                    "Output": "{% $string($states.input.i) & $states.input.v & $states.context.Map.Item.Value & $states.input.all %}"}}}},
    });
    let end = run(states, json!({"xs": ["a", "b", "c"]}));
    assert_eq!(end.output, Some(json!(["0aa3", "1bb3", "2cc3"])));
    assert_eq!(end.stop_date, Some(ORIGIN + 20_000));
}

#[test]
fn a_map_without_items_runs_over_its_input_forty_at_a_time() {
    let states = json!({
        "M": {"Type": "Map", "End": true, "Output": "{% $count($states.result) %}",
            "ItemProcessor": {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 10, "End": true}}}},
    });
    let items: Vec<u32> = (0..41).collect();
    let end = run(states.clone(), json!(items));
    assert_eq!(end.output, Some(json!(41)));
    assert_eq!(end.stop_date, Some(ORIGIN + 20_000));
    assert_eq!(output(states.clone(), json!([])), json!(0));
    let (error, cause) = failure(states, json!({"foo": "bar"}));
    assert_eq!(error, "States.QueryEvaluationError");
    assert!(cause.ends_with(r#"Map state input must be an array but was: {"foo":"bar"}"#), "{cause}");
}

#[test]
fn the_whole_machine_times_out_after_its_timeout_seconds() {
    in_virtual_time(async |bench| {
        let mut definition = machine(json!({"T": task(json!({"sleep": 60}), json!({"End": true}))}));
        definition["TimeoutSeconds"] = json!(30);
        let end = bench.run(&definition, json!({})).await;
        assert_eq!(end.status, muster_asl::ExecutionStatus::TimedOut);
        assert_eq!(end.stop_date, Some(ORIGIN + 30_000));
        assert_eq!((end.error, end.cause), (None, None));
        // The function runs on, and its effects land.
        bench.sleep(100).await;
        assert_eq!(*bench.functions.ended.borrow(), [(60, "T".to_owned())]);
    });
}

#[test]
fn a_loop_without_an_end_stops_at_the_limit_of_events() {
    let states = json!({
        "A": {"Type": "Choice", "Choices": [{"Condition": "{% false %}", "Next": "E"}], "Default": "A"},
        "E": {"Type": "Succeed"},
    });
    let end = run(states, json!({}));
    assert_eq!(end.error.as_deref(), Some("States.Runtime"));
    assert_eq!(end.cause.as_deref(), Some("The execution reached the maximum number of history events (25000)."));
    assert_eq!(end.history_events, 25_000);
}

#[test]
fn functions_of_step_functions_do_what_aws_was_recorded_to_do() {
    for (expression, expected) in [
        ("$partition([0,1,2], 2)", json!([[0, 1], [2]])),
        ("$partition([0], 5)", json!([[0]])),
        ("$range(0, 10, 3)", json!([0, 3, 6, 9])),
        ("$range(1, 9, 9)", json!(1)),
        ("$range(1, 9, 2)", json!([1, 3, 5, 7, 9])),
        ("$range(10, 0, -5)", json!([10, 5, 0])),
        ("$parse('{\"Arg1\": 1, \"Arg2\": []}')", json!({"Arg1": 1, "Arg2": []})),
        ("$hash('abc', 'MD5')", json!("900150983cd24fb0d6963f7d28e17f72")),
        ("$hash('abc', 'SHA-1')", json!("a9993e364706816aba3e25717850c26c9cd0d89d")),
        ("$substring($hash('abc', 'SHA-256'), 0, 8)", json!("ba7816bf")),
        ("$length($hash('abc', 'SHA-384'))", json!(96)),
        ("$length($hash('abc', 'SHA-512'))", json!(128)),
        ("$random(7) = $random(7)", json!(true)),
        ("$now()", json!("2026-01-01T00:00:00.000Z")),
        ("$now('[Y]')", json!("2026")),
        ("$millis()", json!(ORIGIN)),
        ("$length($uuid())", json!(36)),
        ("$sort($shuffle([3,1,2]))", json!([1, 2, 3])),
        ("[2,1] ~> $shuffle() ~> $sum()", json!(3)),
    ] {
        let states = json!({"P": {"Type": "Pass", "Output": format!("{{% {expression} %}}"), "End": true}});
        assert_eq!(output(states, json!({})), expected, "{expression}");
    }
    for wrong in ["$range(0, 5000, 1)", "$range(1, 2, 0)", "$partition([1], 0)", "$hash('a', 'CRC')", "$parse('{')"] {
        let states = json!({"P": {"Type": "Pass", "Output": format!("{{% {wrong} %}}"), "End": true}});
        assert_eq!(failure(states, json!({})).0, "States.QueryEvaluationError", "{wrong}");
    }
}

#[test]
fn a_result_that_json_cannot_say_is_a_query_evaluation_error() {
    for (expression, words) in [
        ("1/0", "not finite"),
        ("$sum", "unsupported result type"),
        ("function($x){$x}", "unsupported result type"),
        ("$states.input.missing", "returned nothing (undefined)"),
        ("'a' + 1", "threw an error during evaluation. T2001"),
        ("$error('no')", "threw an error during evaluation. D3137: no"),
        ("($f := function($n){ 1 + $f($n + 1) }; $f(0))", "threw an error during evaluation. D1011"),
        ("[1..9999999]", "threw an error during evaluation. D2015"),
    ] {
        let states = json!({"P": {"Type": "Pass", "Output": format!("{{% {expression} %}}"), "End": true}});
        let (error, cause) = failure(states, json!({}));
        assert_eq!(error, "States.QueryEvaluationError", "{expression}");
        assert!(cause.contains(words), "{cause}");
    }
}
