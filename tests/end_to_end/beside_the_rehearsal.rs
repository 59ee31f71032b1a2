//! The same plan in the rehearsal: neither may drift from the other. What is compared is which states each branch enters, and in which
//! order it enters them for the first time; never how often, and never when.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_twin::{Event, Profile, Rehearser, Scenario};
use serde_json::Value;

use crate::stack::Stack;

/// Both walk the same way through the region failover.
pub(crate) async fn assert_same_way(stack: &Stack, arn: &str) {
    let plan = Arc::new(stack.plan());
    let scenario = Scenario { profile: Profile::Instant, ..Scenario::named(&["primary-region-down"], 1, &plan).unwrap() };
    let mut rehearsed = Vec::new();
    let rehearsal = Rehearser::new(&plan).unwrap().watch(&scenario, &mut |event| {
        if let Event::Phase { execution, state, .. } = event
            && &*execution == "region-failover"
        {
            rehearsed.push(state.to_string());
        }
    });
    assert_eq!(rehearsal.outcome.as_deref(), Some("succeeded"));
    let (rehearsed, walked) = (by_branch(&rehearsed), by_branch(&stack.entered(arn).await));
    assert_eq!(rehearsed, walked, "left: the rehearsal; right: the local stack");
}

/// The states of each branch, in the order in which it entered them first. Two branches of a Parallel run side by side: only the order
/// within each means something.
fn by_branch(entered: &[String]) -> BTreeMap<String, Vec<String>> {
    let branches = branches();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for state in entered {
        let branch = branches.get(state).unwrap_or_else(|| panic!("{state} is no state of the region failover"));
        let states = found.entry(branch.clone()).or_default();
        if !states.contains(state) {
            states.push(state.clone());
        }
    }
    found
}

/// Each state's branch: the path of Parallel states and numbers that leads to it.
fn branches() -> BTreeMap<String, String> {
    let machine: Value = serde_json::from_str(include_str!("../../statemachines/region-failover.asl.json")).unwrap();
    let mut found = BTreeMap::new();
    collect("", &machine["States"], &mut found);
    found
}

fn collect(path: &str, states: &Value, found: &mut BTreeMap<String, String>) {
    for (name, state) in states.as_object().unwrap() {
        assert!(found.insert(name.clone(), path.to_owned()).is_none(), "{name} stands twice");
        for (index, branch) in state["Branches"].as_array().into_iter().flatten().enumerate() {
            collect(&format!("{path}/{name}{index}"), &branch["States"], found);
        }
    }
}
