//! Whole rehearsals: the real state machines and the real actions on the twin.
#![allow(clippy::unwrap_used)] // also in the functions that tests share

use std::sync::{Arc, LazyLock};

use muster_core::Duration;
use muster_plan::Plan;
use muster_twin::{Rehearsal, Rehearser, Scenario, rehearse_many};

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
