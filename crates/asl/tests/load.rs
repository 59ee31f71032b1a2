//! What the loader refuses, and what it says.

#![allow(clippy::unwrap_used)] // Helpers of tests.

mod support;

use std::collections::BTreeMap;

use muster_asl::Machine;
use serde_json::{Value, json};
use support::*;

fn one(state: Value) -> Value {
    machine(json!({ "S": state }))
}

fn refused(definition: &Value, expected: &str) {
    let problems = problems(definition);
    assert!(problems.iter().any(|problem| problem.contains(expected)), "wanted {expected:?} among {problems:#?}");
}

#[test]
fn every_problem_is_reported_at_once_with_its_place() {
    let definition = json!({
        "QueryLanguage": "JSONPath", "StartAt": "A", "Colour": "red",
        "States": {
            "A": {"Type": "Pass", "Next": "Nowhere", "InputPath": "$.x"},
            "B": {"Type": "Dance", "End": true},
            "C": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Next": "B", "End": true},
            "D": {"Type": "Wait", "Next": "A"},
        },
    });
    let problems = problems(&definition);
    for expected in [
        "/Colour: is not a field that is known here; the fields are Comment, QueryLanguage",
        "/QueryLanguage: is \"JSONPath\"; this interpreter speaks \"JSONata\" only",
        "/States/A/InputPath: is not a field that is known here (it belongs to JSONPath, and this machine speaks JSONata)",
        "/States/A/Next: names the state \"Nowhere\", which does not exist here; the states are A, B, C, D",
        "/States/B/Type: is \"Dance\"; the types are Task, Wait",
        "/States/C/Resource: is \"arn:aws:states:::sqs:sendMessage\"; the resources are arn:aws:states:::lambda:invoke,",
        "/States/C/End: is there beside Next; keep one of the two",
        "/States/D/Seconds: is missing; a Wait has Seconds or Timestamp",
    ] {
        assert!(problems.iter().any(|problem| problem.starts_with(expected)), "{expected}\n{problems:#?}");
    }
}

#[test]
fn the_top_level_must_say_that_it_speaks_jsonata() {
    let mut definition = one(json!({"Type": "Succeed"}));
    definition.as_object_mut().unwrap().remove("QueryLanguage");
    refused(&definition, "/QueryLanguage: is missing; it is required");
}

#[test]
fn a_state_that_cannot_be_reached_and_a_workflow_without_an_end_are_refused() {
    let orphan = machine(json!({"A": {"Type": "Succeed"}, "B": {"Type": "Succeed"}}));
    refused(&orphan, "/States/B: cannot be reached from StartAt");
    let endless = machine(json!({"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"}}));
    refused(&endless, "/States: has no state that can be reached and ends the workflow");
    let inner = one(json!({"Type": "Parallel", "End": true, "Branches": [
        {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "A"}}}]}));
    refused(&inner, "/States/S/Branches[0]/States: has no state that can be reached and ends");
    refused(&one(json!({"Type": "Pass"})), "/States/S/Next: is missing; name the next state or set \"End\": true");
}

#[test]
fn a_name_that_nothing_binds_is_refused() {
    for (expression, words) in [
        ("$x", "reads $x, but no state assigns any variable here; assign it first"),
        ("$foo(1)", "calls $foo(), which neither JSONata nor Step Functions provides"),
        ("foo(1)", "calls foo() without a $; write $foo()"),
        ("$eval('1')", "uses $eval, which Step Functions does not provide; use $parse"),
        ("$map([1], $eval)", "uses $eval"),
        ("$states.imput.x", "reads $states.imput; $states has input, result, errorOutput and context"),
        ("$states.result", "reads $states.result, which exists only in the Output and Assign of a Task, Parallel or Map"),
        ("$states.errorOutput", "reads $states.errorOutput, which exists only in the Output and Assign of a Catch"),
        ("$states.context.Execution.Arn", "reads $states.context.Execution.Arn; Execution has Id, Input, Name"),
        ("$states.context.Token", "the context has Execution, State, StateMachine, Task and Map"),
        ("$states.context.Task.Token", "reads the task token, but this field belongs to no Task with .waitForTaskToken"),
        ("$states.context.Map.Item.Index", "exists only in an ItemSelector and inside an ItemProcessor"),
        ("input.x", "uses the field name \"input\" with nothing before it"),
        ("$", "uses $ where nothing is selected"),
        ("$$.x", "uses $$, which Step Functions does not provide"),
        ("$states := 1", "assigns $states, which is reserved"),
        ("($a := 1; $b)", "reads $b"),
        ("(($a := 1); $a)", "reads $a"),
        ("function($v){ $w }(1)", "reads $w"),
        ("1 +", "cannot be parsed"),
        ("$states.input[x = $y]", "reads $y"),
    ] {
        let definition = one(json!({"Type": "Pass", "Output": format!("{{% {expression} %}}"), "End": true}));
        refused(&definition, words);
    }
}

#[test]
fn names_that_an_expression_binds_itself_are_known() {
    for expression in [
        "($a := 1; $b := $a + 1; $a + $b)",
        "$map([1,2], function($v, $i){ $v + $i })",
        "($f := function($n){ $n <= 1 ? 1 : $n * $f($n - 1) }; $f(5))",
        "$states.input.items[price > 1].{'p': price}",
        "$states.input.items@$x.parts#$i.{'a': $x.a, 'i': $i}",
        "$states.input.items^(>price).$",
        "$states.input.items{name: $sum(price)}",
        "$reduce([1,2], function($a, $b){ $a + $b })",
        "[1,2] ~> $map($string)",
        "$states.input ~> |items|{'a': 1}|",
        "$count(%) = 0 or true",
    ] {
        let definition = one(json!({"Type": "Pass", "Output": format!("{{% {expression} %}}"), "End": true}));
        let problems = problems(&definition);
        assert!(problems.iter().all(|problem| problem.contains("cannot be parsed")), "{expression}: {problems:?}");
    }
}

#[test]
fn a_variable_hides_the_function_of_its_name() {
    let definition = machine(json!({
        "A": {"Type": "Pass", "Assign": {"count": 1}, "Next": "B"},
        "B": {"Type": "Pass", "Output": "{% $count([1]) %}", "End": true},
    }));
    refused(&definition, "calls $count(), but $count is a workflow variable here and hides the function; rename the variable");
    let states = json!({
        "A": {"Type": "Pass", "Assign": {"count": 1}, "Next": "B"},
        "B": {"Type": "Pass", "Output": "{% $count + 1 %}", "End": true},
    });
    assert_eq!(output(states, json!({})), json!(2));
}

#[test]
fn tasks_are_checked() {
    let arguments = |arguments: Value| one(json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": arguments, "End": true}));
    refused(&arguments(json!({"Payload": {}})), "/States/S/Arguments/FunctionName: is missing");
    refused(&arguments(json!({"FunctionName": "f", "Paylod": 1})), "/States/S/Arguments/Paylod: is not a field");
    refused(&arguments(json!([1])), "/States/S/Arguments: wants an object or an expression, but is an array");
    let with = |more: Value| one(task(json!({}), more));
    refused(&with(json!({"End": true, "TimeoutSeconds": 0})), "TimeoutSeconds: wants an integer from 1 to 99999999, but is 0");
    refused(&with(json!({"End": true, "TimeoutSeconds": "60"})), "wants an integer or a JSONata expression");
    refused(&with(json!({"End": true, "HeartbeatSeconds": 5})), "HeartbeatSeconds: has no effect here");
    let hold = one(json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "End": true,
        "TimeoutSeconds": 5, "HeartbeatSeconds": 5, "Arguments": {"FunctionName": "f", "Payload": {"a": 1}}}));
    refused(&hold, "HeartbeatSeconds: is 5, but must be smaller than TimeoutSeconds, which is 5");
    refused(&hold, "Payload: does not pass on the task token, so nobody could answer");
}

#[test]
fn retries_and_catches_are_checked() {
    let retry = |entry: Value| one(task(json!({}), json!({"End": true, "Retry": [entry]})));
    refused(&retry(json!({})), "/States/S/Retry[0]/ErrorEquals: is missing");
    refused(&retry(json!({"ErrorEquals": []})), "is empty; name at least one error");
    refused(&retry(json!({"ErrorEquals": ["States.Timout"]})), "holds \"States.Timout\", which is not an error of Step Functions");
    refused(&retry(json!({"ErrorEquals": ["States.Runtime"]})), "which no Retry and no Catch ever handles");
    refused(&retry(json!({"ErrorEquals": ["States.ALL", "X"]})), "must stand alone and in the last entry");
    refused(&retry(json!({"ErrorEquals": ["X"], "BackoffRate": 0.5})), "wants a number of at least 1.0, but is 0.5");
    refused(&retry(json!({"ErrorEquals": ["X"], "JitterStrategy": "SOME"})), "wants \"FULL\" or \"NONE\"");
    refused(&retry(json!({"ErrorEquals": ["X"], "MaxDelaySeconds": 1})), "must be greater than IntervalSeconds");
    let order = one(task(json!({}), json!({"End": true, "Retry": [{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["X"]}]})));
    refused(&order, "/States/S/Retry[0]/ErrorEquals: holds States.ALL, which must stand alone and in the last entry");
    let catch = one(task(json!({}), json!({"End": true, "Catch": [{"ErrorEquals": ["X"]}]})));
    refused(&catch, "/States/S/Catch[0]/Next: is missing");
}

#[test]
fn strings_that_only_look_like_expressions_are_refused() {
    for text in ["{% 1 %} ", " {% 1 %}", "{% 1", "1 %}", "{%%}", "{%  %}"] {
        let definition = one(json!({"Type": "Pass", "Output": {"a": [text]}, "End": true}));
        let problems = problems(&definition);
        assert!(problems.iter().any(|problem| problem.starts_with("/States/S/Output/a[0]: ")), "{text}: {problems:?}");
    }
    let plain = json!({"S": {"Type": "Pass", "Output": "100 % {sure}", "End": true}});
    assert_eq!(output(plain, json!({})), json!("100 % {sure}"));
}

#[test]
fn only_inline_maps_are_known() {
    let map = |processor: Value, more: Value| {
        let mut state = json!({"Type": "Map", "ItemProcessor": processor, "End": true});
        state.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        one(state)
    };
    let body = json!({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}});
    let mut distributed = body.clone();
    distributed["ProcessorConfig"] = json!({"Mode": "DISTRIBUTED"});
    refused(&map(distributed, json!({})), "ProcessorConfig/Mode: is not supported; only \"INLINE\" is");
    refused(&map(body.clone(), json!({"ToleratedFailureCount": 1})), "ToleratedFailureCount: is not a field that is known here");
    refused(&map(body, json!({"Items": 5})), "Items: wants an array or an expression, but is 5");
}

#[test]
fn nesting_is_bounded() {
    let mut state = json!({"Type": "Succeed"});
    for _ in 0..20 {
        state = json!({"Type": "Parallel", "End": true, "Branches": [{"StartAt": "S", "States": {"S": state}}]});
    }
    refused(&one(state), "is nested deeper than 12 Parallel and Map states");
    let deep = format!("{}1{}", "(".repeat(400), ")".repeat(400));
    let definition = one(json!({"Type": "Pass", "Output": format!("{{% {deep} %}}"), "End": true}));
    assert_eq!(problems(&definition).len(), 1);
}

#[test]
fn substitutions_are_made_inside_strings_and_a_missing_one_is_a_problem() {
    let source = r#"{"QueryLanguage": "JSONata", "StartAt": "S", "States": {"S": {"Type": "Pass", "End": true,
        "Output": ["${A}-${B}", "{% '${A}' %}", "${C}", "{% $states.input${'k': $count($)} %}"]}}}"#;
    let substitutions = BTreeMap::from([("A".to_owned(), "x\"y".to_owned()), ("B".to_owned(), "2".to_owned())]);
    let errors = Machine::load(source, &substitutions).unwrap_err().to_string();
    assert!(errors.contains("/States/S/Output[2]: holds ${C}, but no substitution of that name was given"), "{errors}");
    assert!(!errors.contains("Output[0]"), "{errors}");
}

#[test]
fn what_is_not_json_or_says_a_key_twice_is_refused() {
    let load = |source: &str| Machine::load(source, &BTreeMap::new()).unwrap_err().to_string();
    assert!(load("{").contains("the definition is not JSON: EOF"));
    assert!(load("[]").contains("/: wants an object, but is an array"));
    let twice = r#"{"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": {"Type": "Succeed"}, "A": {"Type": "Succeed"}}}"#;
    assert!(load(twice).contains("the key \"A\" appears twice"));
    assert!(load(&" ".repeat(2 * 1024 * 1024)).contains("a state machine has at most 1048576"));
}

#[test]
fn a_machine_says_what_it_is() {
    let mut definition = one(json!({"Type": "Succeed", "Comment": "the end"}));
    definition["Comment"] = json!("input: {run}");
    definition["TimeoutSeconds"] = json!(60);
    definition["Version"] = json!("1.0");
    let machine = load(&definition);
    assert_eq!(machine.comment(), Some("input: {run}"));
    assert_eq!(machine.timeout_seconds(), Some(60));
    assert_eq!(machine.state_names().collect::<Vec<_>>(), ["S"]);
}
