//! The region failover of Basecoat's plan, in virtual time, under the faults that people ask for by name.

use std::sync::Arc;

use muster_plan::Plan;
use muster_twin::{Event, Rehearsal, Rehearser, Scenario};

fn plan() -> Arc<Plan> {
    let bytes = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../plans/basecoat.yaml")).unwrap();
    let loaded = muster_plan::load("basecoat.yaml", &bytes);
    Arc::new(loaded.plan.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics)))
}

fn rehearsed(faults: &[&str]) -> Rehearsal {
    let plan = plan();
    let scenario = Scenario::named(faults, 1, &plan).unwrap();
    let mut story = Vec::new();
    let rehearsal = Rehearser::new(&plan).unwrap().watch(&scenario, &mut |event: Event| story.push(event));
    for event in &story {
        println!("{event:?}");
    }
    rehearsal
}

#[test]
fn basecoat_is_failed_over() {
    let rehearsal = rehearsed(&["primary-region-down"]);
    println!("{:?} {:?}", rehearsal.outcome, rehearsal.violation);
    println!("{}", rehearsal.report.unwrap().to_markdown());
    panic!();
}
