//! Arbitrary text and JSON for the loader, arbitrary small machines for the interpreter: no panic, and
//! every execution ends.

#![allow(clippy::unwrap_used)] // Helpers of tests.

mod support;

use std::collections::BTreeMap;

use muster_asl::{ExecutionStatus, Machine};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::*;

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-3_i64..100).prop_map(Value::from),
        prop::sample::select(vec![
            "A",
            "B",
            "Pass",
            "Task",
            "Choice",
            "Wait",
            "Map",
            "Parallel",
            "Fail",
            "Succeed",
            "JSONata",
            "{% $states.input %}",
            "{% $x %}",
            "{% 1 + %}",
            "{% $$ %}",
            "${X}",
            "States.ALL",
            "arn:aws:states:::lambda:invoke",
        ])
        .prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        let key = prop_oneof![
            prop::sample::select(vec![
                "QueryLanguage",
                "StartAt",
                "States",
                "A",
                "B",
                "Type",
                "Next",
                "End",
                "Output",
                "Assign",
                "Arguments",
                "Resource",
                "Seconds",
                "Choices",
                "Condition",
                "Default",
                "Branches",
                "Catch",
                "Retry",
                "ErrorEquals",
                "ItemProcessor",
                "Items",
                "TimeoutSeconds",
                "FunctionName",
            ])
            .prop_map(str::to_owned),
            "\\PC{0,6}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Expressions that work, fail, or give something of the wrong type.
fn any_expression() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!("{% $states.input %}"),
        json!("{% $states.input.a %}"),
        json!("{% $states.input.a[0] %}"),
        json!("{% $states.context %}"),
        json!("{% $exists($x) ? $x : 0 %}"),
        json!("{% $x %}"),
        json!("{% $random() %}"),
        json!("{% $shuffle([1..5]) %}"),
        json!("{% 1/0 %}"),
        json!("{% $sum %}"),
        json!("{% [1..3] %}"),
        json!("{% {'a': $states.input} %}"),
        json!("{% true %}"),
        json!("{% 2 %}"),
        json!("{% 'text' %}"),
        json!("{% $string($states.input) & $string($states.input) %}"),
        json!({"fail": "E"}),
        json!({"fail": "E", "sleep": 3}),
        json!({"sleep": 5}),
        json!({"reply": [1, 2]}),
        json!([1, {"a": "{% $states.input %}"}]),
        json!(null),
    ])
}

/// An expression for a field that takes nothing else.
fn only_expression() -> impl Strategy<Value = Value> {
    any_expression().prop_map(|value| match value {
        Value::String(_) => value,
        _ => json!("{% 1 %}"),
    })
}

/// A workflow of states `S0`, `S1`, … whose targets exist; some of its states may be unreachable, and such
/// a machine is refused.
fn any_workflow(depth: u32) -> BoxedStrategy<Value> {
    let state = any_state(depth);
    prop::collection::vec(state, 1..5)
        .prop_map(|states| {
            let count = states.len();
            let states: serde_json::Map<String, Value> = states
                .into_iter()
                .enumerate()
                .map(|(index, mut state)| {
                    // Each state leads to the next one, so that most are reached.
                    let last = index + 1 == count;
                    for target in targets(&mut state) {
                        *target = json!(format!("S{}", (index + 1) % count));
                    }
                    let kind = state["Type"].as_str().unwrap_or_default().to_owned();
                    if last && !matches!(kind.as_str(), "Choice" | "Fail" | "Succeed") {
                        state.as_object_mut().unwrap().remove("Next");
                        state["End"] = json!(true);
                    }
                    (format!("S{index}"), state)
                })
                .collect();
            json!({"StartAt": "S0", "States": states})
        })
        .boxed()
}

fn targets(state: &mut Value) -> Vec<&mut Value> {
    let mut found = Vec::new();
    for (name, value) in state.as_object_mut().unwrap() {
        match name.as_str() {
            "Next" | "Default" => found.push(value),
            "Choices" | "Catch" => {
                for entry in value.as_array_mut().unwrap() {
                    found.push(&mut entry["Next"]);
                }
            }
            _ => {}
        }
    }
    found
}

fn any_state(depth: u32) -> BoxedStrategy<Value> {
    let any = any_expression;
    let handlers = || {
        prop::sample::select(vec![
            json!({}),
            json!({"Retry": [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 2, "JitterStrategy": "FULL"}]}),
            json!({"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "", "Output": "{% $states.errorOutput %}"}]}),
        ])
    };
    let with = |mut state: Value, more: Value| {
        state.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        state
    };
    let simple = prop_oneof![
        (any(), any()).prop_map(|(output, x)| json!({"Type": "Pass", "Output": output, "Assign": {"x": x}, "Next": ""})),
        only_expression().prop_map(|condition| json!({"Type": "Choice", "Choices": [{"Condition": condition, "Next": ""}], "Default": ""})),
        only_expression().prop_map(|seconds| json!({"Type": "Wait", "Seconds": seconds, "Next": ""})),
        any().prop_map(|output| json!({"Type": "Succeed", "Output": output})),
        only_expression().prop_map(|error| json!({"Type": "Fail", "Error": error})),
        (any(), handlers(), 1_u64..6).prop_map(move |(payload, more, timeout)| with(task(payload, json!({"Next": "", "TimeoutSeconds": timeout})), more)),
    ];
    if depth == 0 {
        return simple.boxed();
    }
    let parallel = (prop::collection::vec(any_workflow(depth - 1), 1..3), handlers())
        .prop_map(move |(branches, more)| with(json!({"Type": "Parallel", "Branches": branches, "Next": ""}), more));
    let map = (any_workflow(depth - 1), only_expression(), handlers())
        .prop_map(move |(processor, items, more)| with(json!({"Type": "Map", "Items": items, "ItemProcessor": processor, "Next": ""}), more));
    prop_oneof![4 => simple, 1 => parallel, 1 => map].boxed()
}

/// Inner scopes may not assign `x` when an outer one does.
fn without_inner_assign(workflow: &mut Value, outer: bool) {
    let states = workflow["States"].as_object_mut().unwrap();
    let assigns = outer || states.values().any(|state| state.get("Assign").is_some());
    for state in states.values_mut() {
        if outer {
            state.as_object_mut().unwrap().remove("Assign");
        }
        if let Some(processor) = state.get_mut("ItemProcessor") {
            without_inner_assign(processor, assigns);
        }
        if let Some(branches) = state.get_mut("Branches") {
            for branch in branches.as_array_mut().unwrap() {
                without_inner_assign(branch, assigns);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_loader_survives_any_text(text in "\\PC{0,200}") {
        let _ = Machine::load(&text, &BTreeMap::new());
    }

    #[test]
    fn the_loader_survives_any_expression(text in "[\\$a-z0-9 ().,;:=\\[\\]{}'\"&|~<>^%@#*/+?!-]{0,60}") {
        let definition = machine(json!({"S": {"Type": "Pass", "Output": format!("{{% {text} %}}"), "End": true}}));
        if let Ok(machine) = Machine::load(&definition.to_string(), &BTreeMap::new()) {
            in_virtual_time(async |bench| {
                bench.account.register("flow", machine);
                let arn = bench.account.start_execution("flow", None, json!({"a": [1, {"b": 2}]})).unwrap();
                bench.account.await_end(&arn).await.unwrap();
            });
        }
    }

    #[test]
    fn the_loader_survives_any_json(json in any_json()) {
        let _ = Machine::load(&json.to_string(), &BTreeMap::new());
    }
}

proptest! {
    // An arbitrary loop runs to the limit of events, which takes a while in a debug build.
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_machine_that_loads_runs_to_an_end_and_gives_the_same_bytes_again(
        workflow in any_workflow(2),
        input in any_json(),
    ) {
        let mut definition = workflow;
        without_inner_assign(&mut definition, false);
        definition["QueryLanguage"] = json!("JSONata");
        let Ok(machine) = Machine::load(&definition.to_string(), &BTreeMap::new()) else {
            return Ok(());
        };
        let run = || in_virtual_time(async |bench| {
            bench.account.register("flow", machine.clone());
            let arn = bench.account.start_execution("flow", Some("run"), input.clone()).unwrap();
            let end = bench.account.await_end(&arn).await.unwrap();
            let history = bench.account.history(&arn).unwrap();
            (end, history)
        });
        let (end, history) = run();
        prop_assert_ne!(end.status, ExecutionStatus::Running);
        prop_assert_eq!(history.len() as u64, end.history_events);
        for (index, event) in history.iter().enumerate() {
            prop_assert_eq!(event.id, index as u64 + 1);
            prop_assert!(event.previous_event_id < event.id);
        }
        prop_assert!(history.last().unwrap().event_type().starts_with("Execution"));
        if history.len() < 2_000 {
            let (_, again) = run();
            prop_assert_eq!(serde_json::to_string(&history).unwrap(), serde_json::to_string(&again).unwrap());
        }
    }
}

#[test]
fn most_of_the_arbitrary_machines_load() {
    // Or the property above would say nothing.
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut loaded = 0;
    for _ in 0..200 {
        let mut definition = any_workflow(2).new_tree(&mut runner).unwrap().current();
        without_inner_assign(&mut definition, false);
        definition["QueryLanguage"] = json!("JSONata");
        if problems(&definition).is_empty() {
            loaded += 1;
        }
    }
    assert!(loaded > 60, "{loaded} of 200");
}
