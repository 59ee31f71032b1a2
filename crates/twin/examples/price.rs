//! What one region failover of Basecoat costs: state transitions, invocations and calls to AWS, counted in a rehearsal.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_report::Report;
use muster_twin::{Event, Rehearser, Scenario};
use serde_json::Value;

/// Dollars for one transition of a STANDARD state machine. Source: the price list of Step Functions, us-west-2.
const TRANSITION: f64 = 0.025 / 1_000.0;
/// Dollars for one request to Lambda, and for a second of half a GiB on arm64. Source: the price list of Lambda, us-west-2.
const REQUEST: f64 = 0.20 / 1_000_000.0;
const SECOND: f64 = 0.5 * 0.000_013_333_4;
/// An invocation's time, put high: a rehearsal's calls take a few hundred milliseconds each.
const SECONDS: f64 = 0.5;

fn main() {
    let plan = Arc::new(muster_plan::load("basecoat.yaml", include_bytes!("../../../plans/basecoat.yaml")).plan.unwrap());
    let scenario = Scenario::named(&["primary-region-down"], 1, &plan).unwrap();
    let mut entered: BTreeMap<String, u64> = BTreeMap::new();
    let tasks = tasks();
    let mut invocations = 0_u64;
    let rehearsal = Rehearser::new(&plan).unwrap().watch(&scenario, &mut |event| {
        if let Event::Phase { execution, state, .. } = event {
            *entered.entry(execution.to_string()).or_default() += 1;
            invocations += u64::from(tasks.contains(&(execution.to_string(), state.to_string())));
        }
    });
    let report = rehearsal.report.unwrap();
    let groups = groups(&report);
    let transitions: u64 = entered.values().sum();
    println!("| counted in one region failover of {} | |", plan.service);
    println!("|---|---|");
    for (machine, count) in &entered {
        println!("| state transitions, {machine} | {count} |");
    }
    println!("| invocations by the state machines | {invocations} |");
    println!("| calls to AWS about the service's estate | {} |", groups.values().sum::<u64>());
    for (operation, count) in &groups {
        println!("| - {operation} | {count} |");
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of a few hundred")]
    let dollars = transitions as f64 * TRANSITION + invocations as f64 * (REQUEST + SECOND * SECONDS);
    println!("| price of the transitions and invocations | ${dollars:.3} |");
}

/// The states that invoke a function.
fn tasks() -> std::collections::BTreeSet<(String, String)> {
    let mut found = std::collections::BTreeSet::new();
    for (machine, text) in [
        ("region-failover", include_str!("../../../statemachines/region-failover.asl.json")),
        ("announce", include_str!("../../../statemachines/announce.asl.json")),
    ] {
        let parsed: Value = serde_json::from_str(text).unwrap();
        collect(machine, &parsed["States"], &mut found);
    }
    found
}

fn collect(machine: &str, states: &Value, found: &mut std::collections::BTreeSet<(String, String)>) {
    for (name, state) in states.as_object().unwrap() {
        if state["Resource"].as_str().is_some_and(|resource| resource.contains("lambda:invoke")) {
            found.insert((machine.to_owned(), name.clone()));
        }
        for branch in state["Branches"].as_array().into_iter().flatten() {
            collect(machine, &branch["States"], found);
        }
    }
}

/// How often each API was called.
fn groups(report: &Report) -> BTreeMap<String, u64> {
    let json: Value = serde_json::from_str(&report.to_json()).unwrap();
    let mut found = BTreeMap::new();
    for group in json["calls"]["groups"].as_array().unwrap() {
        *found.entry(group["operation"].as_str().unwrap().to_owned()).or_default() += group["count"].as_u64().unwrap();
    }
    found
}
