//! The region failover of Basecoat's plan, in virtual time, under the faults that people ask for by name.
#![allow(clippy::unwrap_used)] // also in the functions that tests share

use std::sync::{Arc, LazyLock};

use muster_core::Duration;
use muster_plan::Plan;
use muster_report::Report;
use muster_twin::{Rehearsal, Rehearser, Scenario};

static PLAN: LazyLock<Arc<Plan>> = LazyLock::new(|| {
    let bytes = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../plans/basecoat.yaml")).unwrap();
    let loaded = muster_plan::load("basecoat.yaml", &bytes);
    Arc::new(loaded.plan.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics)))
});

fn rehearsed(faults: &[&str], seed: u64) -> Rehearsal {
    let scenario = Scenario::named(faults, seed, &PLAN).unwrap();
    let rehearsal = Rehearser::new(&PLAN).unwrap().run(&scenario);
    if let Some(violation) = &rehearsal.violation {
        panic!("{faults:?}, seed {seed}: invariant {}: {}\n{}", violation.invariant, violation.seen, violation.story.join("\n"));
    }
    rehearsal
}

fn ended_as(rehearsal: &Rehearsal, outcome: &str) -> Report {
    assert_eq!(rehearsal.outcome.as_deref(), Some(outcome));
    rehearsal.report.clone().expect("every run ends with a report")
}

fn timeline(report: &Report) -> String {
    report.timeline.iter().map(|line| format!("{} | {}\n", line.action, line.result)).collect()
}

#[test]
fn a_dark_region_is_left_within_the_targets_and_the_accepted_risks_are_named() {
    let rehearsal = rehearsed(&["primary-region-down"], 1);
    let report = ended_as(&rehearsal, "succeeded");
    assert!(report.met_targets());
    let rto = rehearsal.rto.unwrap();
    assert!(rto > Duration::from_mins(18) && rto < Duration::from_hours(1), "{rto}: three minutes of confirmation, fifteen of notice, and AWS");
    let names: Vec<&str> = report.accepted_risks.iter().map(|risk| risk.by.as_str()).collect();
    assert_eq!(names, ["VP Engineering", "VP Engineering"], "the unfenced primary and the last known lag");
    assert!(report.unprotected.iter().any(|what| what.contains("no replica behind it")));
    assert!(report.calls.mutating.iter().all(|call| call.region != PLAN.regions.primary), "nothing was changed in the dark region");
}

#[test]
fn traffic_moves_after_the_promotion_and_never_before() {
    let report = ended_as(&rehearsed(&["primary-region-down"], 2), "succeeded");
    let story = timeline(&report);
    let at = |what: &str| story.find(what).unwrap_or_else(|| panic!("{what} is missing in\n{story}"));
    assert!(at("Outage confirmed") < at("Decided: failover"));
    assert!(at("Decided: failover") < at("Point of no return"));
    assert!(at("Point of no return") < at("is-primary"));
    assert!(at("is-primary") < at("Traffic asked to move"));
    assert!(at("Traffic asked to move") < at("DNS answers with the standby"));
}

#[test]
fn a_replica_that_is_too_far_behind_holds_and_nothing_is_touched() {
    let report = ended_as(&rehearsed(&["replica-lag"], 1), "aborted");
    assert!(!report.met_targets());
    assert!(timeline(&report).contains("HELD at Preflight"), "it is refused before anything was touched");
    assert!(report.calls.mutating.is_empty(), "{:?}", report.calls.mutating);
    assert!(report.issues.iter().any(|issue| issue.what.contains("behind")), "{:?}", report.issues);
}

#[test]
fn a_promotion_that_hangs_holds_for_a_person_and_is_not_given_up_past_the_point_of_no_return() {
    let report = ended_as(&rehearsed(&["promotion-hangs"], 1), "succeeded");
    let story = timeline(&report);
    assert!(story.contains("HELD at PromoteReplica"), "{story}");
    let answers: Vec<(&str, &str)> = report
        .decisions
        .iter()
        .filter(|decision| decision.question.starts_with("PromoteReplica"))
        .map(|decision| (decision.choice.as_str(), decision.by.as_str()))
        .collect();
    assert!(!answers.is_empty() && answers.iter().all(|answer| *answer == ("retry", "silence")), "{answers:?}");
    let at = |what: &str| story.find(what).unwrap_or_else(|| panic!("{what} is missing in\n{story}"));
    assert!(at("HELD at PromoteReplica") < at("Traffic asked to move"));
}

#[test]
fn instances_that_never_become_healthy_end_the_run_at_its_deadline_and_the_report_says_what_stands() {
    let report = ended_as(&rehearsed(&["target-unhealthy"], 1), "aborted");
    assert!(!report.met_targets());
    let story = timeline(&report);
    assert!(story.contains("HELD at ScaleCompute"), "{story}");
    assert!(report.unprotected.iter().any(|what| what.contains("nothing was undone")), "{:?}", report.unprotected);
    assert!(!story.contains("Traffic asked to move"));
}

#[test]
fn an_outage_that_clears_in_the_veto_window_stands_the_run_down() {
    let rehearsal = rehearsed(&["outage-clears"], 1);
    let report = ended_as(&rehearsal, "stoodDown");
    assert!(report.met_targets(), "the region came back within the targets");
    assert!(report.calls.mutating.is_empty());
    assert_eq!(rehearsal.writes_lost, 0);
}

#[test]
fn a_veto_stops_the_run_and_names_who_said_no() {
    let report = ended_as(&rehearsed(&["veto"], 1), "vetoed");
    assert!(report.calls.mutating.is_empty());
    let decision = report.decisions.iter().find(|decision| decision.question == "failover").unwrap();
    assert_eq!(decision.choice, "veto");
    assert_ne!(decision.by, "silence");
}

#[test]
fn every_fault_that_can_be_named_ends_in_a_report_and_breaks_no_invariant() {
    for fault in muster_twin::FAULTS {
        let rehearsal = rehearsed(&[fault.name], 1);
        assert!(rehearsal.runs == 0 || rehearsal.report.is_some(), "{}: no report", fault.name);
    }
}

#[test]
fn two_hundred_random_disasters_break_no_invariant() {
    for seed in 1..=200 {
        let scenario = Scenario::random(seed, &PLAN);
        let rehearsal = Rehearser::new(&PLAN).unwrap().run(&scenario);
        let violation = rehearsal.violation.map(|violation| format!("{}: {}\n{}", violation.invariant, violation.seen, violation.story.join("\n")));
        assert_eq!(violation, None, "seed {seed}, {:?}", rehearsal.faults);
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let bytes = |seed| rehearsed(&["primary-region-down"], seed).report.unwrap().to_json();
    assert_eq!(bytes(5), bytes(5));
    assert_ne!(bytes(5), bytes(6));
}

#[test]
fn a_primary_that_returns_before_anything_was_promoted_serves_again() {
    for seed in 1..=20 {
        let rehearsal = rehearsed(&["primary-returns", "replica-backing-up", "approval"], seed);
        let report = rehearsal.report.expect("every run ends with a report");
        let promoted = timeline(&report).contains("Point of no return");
        assert!(promoted || rehearsal.served_at_the_end, "seed {seed}: nothing was promoted, and the primary was not left in peace");
    }
}

#[test]
fn a_primary_that_a_person_accepted_as_unfenced_is_fenced_when_it_returns() {
    let mut plan = Plan::clone(&PLAN);
    for database in &mut plan.databases {
        if let Some(muster_plan::Fence::Quarantine { when_unreachable, .. }) = &mut database.fence {
            *when_unreachable = muster_plan::WhenUnreachable::Hold;
        }
    }
    let plan = Arc::new(plan);
    let (mut accepted, mut returned) = (0, 0);
    for seed in 1..=12 {
        let scenario = Scenario::named(&["primary-returns", "person-accepts"], seed, &plan).unwrap();
        let rehearsal = Rehearser::new(&plan).unwrap().run(&scenario);
        assert!(rehearsal.violation.is_none(), "seed {seed}: {:?}", rehearsal.violation);
        let Some(report) = rehearsal.report.filter(|_| rehearsal.outcome.as_deref() == Some("succeeded")) else { continue };
        let story = timeline(&report);
        accepted += usize::from(story.contains("NOT fenced"));
        returned += usize::from(story.contains("returned writable"));
        assert!(!story.contains("returned writable") || report.fencing.iter().any(|fence| fence.fenced), "seed {seed}\n{story}");
    }
    assert!(accepted > 0 && returned > 0, "the case was met: {accepted} accepted, {returned} returned");
}

#[test]
fn an_invocation_that_is_delivered_twice_does_its_work_once() {
    for seed in 1..=40 {
        let rehearsal = rehearsed(&["duplicate-delivery", "approval"], seed);
        assert_eq!(rehearsal.outcome.as_deref(), Some("succeeded"), "seed {seed}");
    }
}
