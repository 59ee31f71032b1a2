//! Whole rehearsals: the real state machines and the real actions on the twin.
#![allow(clippy::unwrap_used)] // also in the functions that tests share

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use muster_core::{Duration, Evidence};
use muster_plan::Plan;
use muster_twin::{Event, FAULTS, Rehearsal, Rehearser, Scenario, rehearse_many};

const PLAN: &str = include_str!("portal.json");

static PLAN_ONCE: LazyLock<Arc<Plan>> = LazyLock::new(|| Arc::new(Plan::from_canonical_json(PLAN.as_bytes()).unwrap()));

fn rehearsed(faults: &[&str], seed: u64) -> Rehearsal {
    let scenario = Scenario::named(faults, seed, &PLAN_ONCE).unwrap();
    let rehearsal = Rehearser::new(&PLAN_ONCE).unwrap().run(&scenario);
    if let Some(violation) = &rehearsal.violation {
        panic!("{faults:?} with seed {seed} violates {}: {}\n{}", violation.invariant, violation.seen, violation.story.join("\n"));
    }
    rehearsal
}

fn ends_as(faults: &[&str], outcome: &str) -> Rehearsal {
    let rehearsal = rehearsed(faults, 1);
    assert_eq!(rehearsal.outcome.as_deref(), Some(outcome), "{faults:?}");
    assert!(rehearsal.report.is_some());
    rehearsal
}

#[test]
fn a_region_that_is_down_is_left_for_the_standby_within_the_objectives() {
    let rehearsal = ends_as(&["primary-region-down"], "succeeded");
    assert!(rehearsal.rto.unwrap() > Duration::from_mins(15), "the veto window alone takes longer");
    assert!(rehearsal.rto.unwrap() < Duration::from_hours(4));
    assert!(rehearsal.rpo < Duration::from_mins(5));
    assert_eq!(rehearsal.messages.iter().filter(|sent| sent.message.subject.contains("declared")).count(), 1);
}

#[test]
fn an_outage_that_clears_within_the_veto_window_touches_nothing() {
    let rehearsal = ends_as(&["outage-clears"], "stoodDown");
    assert_eq!(rehearsal.writes_lost, 0);
}

#[test]
fn a_region_that_only_the_standby_does_not_see_is_not_left() {
    let rehearsal = rehearsed(&["primary-region-partitioned"], 1);
    assert_ne!(rehearsal.outcome.as_deref(), Some("succeeded"));
    assert_eq!(rehearsal.rto, None, "clients noticed nothing");
}

#[test]
fn a_veto_ends_the_run_and_touches_nothing() {
    let rehearsal = ends_as(&["veto"], "vetoed");
    assert!(!rehearsal.served_at_the_end);
    assert_eq!(rehearsal.writes_lost, 0);
}

/// The metric checks that Basecoat's runbook names.
fn with_checks_of_metrics() -> Arc<Plan> {
    let mut plan: serde_json::Value = serde_json::from_str(PLAN).unwrap();
    let check = |name: &str, namespace: &str, metric: &str, statistic: &str, more: serde_json::Value| {
        let mut check = serde_json::json!({"kind": "metric", "name": name, "namespace": namespace, "metric": metric, "statistic": statistic});
        check.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
        check
    };
    let balancer = "AWS/ApplicationELB";
    plan["checks"].as_array_mut().unwrap().extend([
        check("no-errors", balancer, "HTTPCode_Target_5XX_Count", "Sum", serde_json::json!({"period": "5m", "equals": 0, "during": "afterTraffic"})),
        check("error-rate", balancer, "HTTPCode_Target_5XX_Count", "Sum", serde_json::json!({"shareOf": "RequestCount", "below": "0.1%", "heldFor": "10m"})),
        check("latency", balancer, "TargetResponseTime", "p99", serde_json::json!({"below": "2s", "heldFor": "10m"})),
        check("hits", "AWS/ElastiCache", "CacheHitRate", "Average", serde_json::json!({"above": "80%", "heldFor": "10m"})),
    ]);
    Arc::new(Plan::from_canonical_json(plan.to_string().as_bytes()).unwrap())
}

#[test]
fn a_standby_that_serves_passes_the_checks_of_its_metrics() {
    let plan = with_checks_of_metrics();
    for seed in 1..4 {
        let scenario = Scenario::named(&["primary-region-down"], seed, &plan).unwrap();
        let rehearsal = Rehearser::new(&plan).unwrap().run(&scenario);
        assert_eq!(rehearsal.outcome.as_deref(), Some("succeeded"), "seed {seed}");
    }
}

#[test]
fn an_answer_after_the_window_changes_nothing() {
    ends_as(&["late-answer"], "succeeded");
}

#[test]
fn what_one_lost_answer_or_one_death_of_a_function_brings_about_is_put_right() {
    let faults = [
        "throttling",
        "unavailable",
        "unavailable-applied",
        "applied-timeout",
        "timeout",
        "stale-read",
        "duplicate-delivery",
        "crash-before-call",
        "crash-after-call",
    ];
    for fault in faults {
        for seed in 1..4 {
            assert_eq!(rehearsed(&[fault], seed).outcome.as_deref(), Some("succeeded"), "{fault} with seed {seed}");
        }
    }
}

#[test]
fn an_execution_that_was_stopped_leaves_no_lock_behind() {
    let rehearsal = rehearsed(&["execution-stopped"], 1);
    assert!(rehearsal.outcome.is_some());
}

/// What `muster faults` says is what a rehearsal of a real plan does: where it holds, and whether anything was touched.
#[test]
fn what_is_said_of_a_fault_is_what_happens() {
    let basecoat = muster_plan::load("basecoat.yaml", include_bytes!("../../../plans/basecoat.yaml"));
    let plan = basecoat.plan.unwrap();
    // Where two of three sources see the primary healthy, a run stands down; where one of them is blind, it has to hold.
    let mut blind: serde_json::Value = serde_json::from_str(&plan.canonical_json()).unwrap();
    blind["triggers"]["confirm"]["of"][2] = serde_json::json!({ "kind": "awsHealth", "name": "aws", "services": ["RDS"] });
    let plans = [Arc::new(plan), Arc::new(serde_json::from_value(blind).unwrap())];
    let rehearsers = plans.each_ref().map(|plan| Rehearser::new(plan).unwrap());
    for fault in FAULTS {
        let mut all_held = BTreeSet::new();
        for (seed, (plan, rehearser)) in [(1, 0), (2, 0), (1, 1)].map(|(seed, index)| (seed, (&plans[index], &rehearsers[index]))) {
            let (mut held, mut touched) = (BTreeSet::new(), Vec::new());
            let rehearsal = rehearser.watch(&Scenario::named(&[fault.name], seed, plan).unwrap(), &mut |event| match event {
                Event::Evidence { evidence: Evidence::Held { phase, .. }, .. } => {
                    held.insert(phase);
                }
                Event::Call { operation, fault: None, .. } => touched.push(operation),
                _ => {}
            });
            assert!(rehearsal.violation.is_none(), "{} with seed {seed}: {:?}", fault.name, rehearsal.violation);
            for phase in &held {
                let mentioned = fault.expected.contains(phase.as_str()) || fault.expected.contains("holds where it is");
                assert!(mentioned, "{} with seed {seed} holds at {phase}, and nothing is said of it", fault.name);
            }
            // One control plane of two is not needed: then the failover goes on.
            let goes_on = fault.name == "control-plane-down" && held.is_empty();
            if fault.expected.to_lowercase().contains("nothing was touched") && !goes_on {
                assert!(touched.is_empty(), "{} with seed {seed} touches {touched:?}", fault.name);
            }
            if fault.expected.contains("traffic does not move") {
                assert!(!rehearsal.served_at_the_end, "{} with seed {seed}", fault.name);
            }
            all_held.append(&mut held);
        }
        for phase in fault.expected.split("holds at ").skip(1).filter_map(|rest| rest.split([' ', ',', '.', ':']).next()) {
            assert!(all_held.contains(phase), "{} is said to hold at {phase}, and held at {all_held:?}", fault.name);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let bytes = |seed| {
        let rehearsal = Rehearser::new(&PLAN_ONCE).unwrap().run(&Scenario::random(seed, &PLAN_ONCE));
        serde_json::to_string(&rehearsal.report).unwrap() + &serde_json::to_string(&rehearsal.clients).unwrap()
    };
    for seed in 0..3 {
        assert_eq!(bytes(seed), bytes(seed));
    }
    assert_ne!(bytes(0), bytes(1));
}

#[test]
fn taking_a_fault_out_leaves_the_others_as_they_were() {
    let both = Scenario::named(&["replica-lag", "throttling"], 7, &PLAN_ONCE).unwrap();
    let one = Scenario::named(&["throttling"], 7, &PLAN_ONCE).unwrap();
    assert_eq!(both.without("replica-lag"), one);
}

#[test]
fn no_seed_brings_about_what_must_never_happen() {
    let mut seeds = Vec::new();
    let fold = |rehearsal: Rehearsal| {
        if let Some(violation) = rehearsal.violation {
            panic!("seed {} with {:?} violates {}: {}\n{}", rehearsal.seed, rehearsal.faults, violation.invariant, violation.seen, violation.story.join("\n"));
        }
        seeds.push(rehearsal.seed);
    };
    rehearse_many(&PLAN_ONCE, 0..60, 2, |seed| Scenario::random(seed, &PLAN_ONCE), fold).unwrap();
    assert_eq!(seeds, (0..60).collect::<Vec<_>>(), "in the order of the seeds");
}
