//! Whole flows, where the order of states or the work of schedules is the subject.

use std::sync::Arc;

use muster_core::{Duration, Evidence, Timestamp};
use muster_plan::Plan;
use serde_json::json;

use super::quiet;
use crate::faults::{Accepting, Afterwards, Fault};
use crate::outcome::Rehearsal;
use crate::rehearse::Rehearser;
use crate::scenario::{Matching, Planned, Scenario, When};
use crate::story::Event;
use crate::testing::{plan, plan_with};

const MINUTE: i64 = 60_000;

/// The scenario of these faults, on top of a region that is down.
fn outage_with(faults: &[(When, Fault)]) -> Scenario {
    let outage = (When::At(0), Fault::RegionDown);
    let planned = |(when, fault): &(When, Fault)| Planned { name: "test", when: when.clone(), fault: fault.clone() };
    Scenario { faults: std::iter::once(&outage).chain(faults).map(planned).collect(), ..quiet() }
}

fn watched(plan: &Arc<Plan>, scenario: &Scenario) -> (Rehearsal, Vec<Event>) {
    let mut events = Vec::new();
    let rehearsal = Rehearser::new(plan).unwrap().watch(scenario, &mut |event| events.push(event));
    assert!(rehearsal.violation.is_none(), "{:?}", rehearsal.violation);
    (rehearsal, events)
}

/// The states of the failover that carry these names, in the order in which they were entered.
fn entered(events: &[Event], wanted: &[&str]) -> Vec<String> {
    let name = |event: &Event| match event {
        Event::Phase { execution, state, .. } if **execution == *"region-failover" && wanted.contains(&&**state) => Some(state.to_string()),
        _ => None,
    };
    events.iter().filter_map(name).collect()
}

fn told(events: &[Event], what: &str) -> Option<Timestamp> {
    events.iter().find(|event| matches!(event, Event::Estate { what: told, .. } if told.contains(what))).map(Event::at)
}

fn holding() -> Arc<Plan> {
    plan_with(|plan| {
        plan["databases"][0]["fence"]["whenUnreachable"] = json!({"kind": "hold"});
        plan["triggers"]["decision"] = json!({"kind": "automatic"});
    })
}

/// A person answers `retry` at the fence, so long after the question was heard.
fn retry_at_the_fence(after: Duration) -> (When, Fault) {
    (When::Asked(after), Fault::Answer { question: "FenceDatabase", choice: "retry", by: "Ann", accepting: Accepting::Nothing })
}

const FENCE: [&str; 5] = ["ConfirmAgain", "FenceDatabase", "Hold", "Recover", "StandDown"];

#[test]
fn a_retry_at_the_fence_confirms_the_outage_again_first() {
    let (_, events) = watched(&holding(), &outage_with(&[retry_at_the_fence(Duration::from_mins(5))]));
    let states = entered(&events, &FENCE);
    assert_eq!(states[..5], ["ConfirmAgain", "FenceDatabase", "Hold", "ConfirmAgain", "FenceDatabase"], "{states:?}");
}

#[test]
fn a_retry_at_the_fence_stands_down_where_the_outage_has_cleared_meanwhile() {
    let returns = (When::At(15 * MINUTE), Fault::RegionReturns);
    let (rehearsal, events) = watched(&holding(), &outage_with(&[returns, retry_at_the_fence(Duration::from_mins(20))]));
    let held = events.iter().find(|event| matches!(event, Event::Evidence { evidence: Evidence::Held { phase, .. }, .. } if phase == "FenceDatabase"));
    assert!(held.is_some_and(|held| held.at() < told(&events, "the primary region is back").unwrap()), "it held before the region was back");
    assert_eq!(entered(&events, &FENCE), ["ConfirmAgain", "FenceDatabase", "Hold", "ConfirmAgain", "StandDown"]);
    assert_eq!(rehearsal.outcome.as_deref(), Some("stoodDown"));
    let touched: Vec<&Event> = events.iter().filter(|event| matches!(event, Event::Call { fault: None, .. })).collect();
    assert!(touched.is_empty(), "a service that is back is left alone: {touched:?}");
}

/// When the old primary was proven fenced, and the state or function that wrote it down.
fn fenced(events: &[Event]) -> Option<(Timestamp, String)> {
    events.iter().find_map(|event| match event {
        Event::Evidence { at, phase, evidence: Evidence::Fenced { database, .. } } if database == "portal-db" => Some((*at, phase.to_string())),
        _ => None,
    })
}

#[test]
fn a_primary_that_was_accepted_as_unfenced_is_fenced_within_half_a_minute_of_its_return() {
    let at_promotion = When::Call { matching: Matching::Operation("rds:PromoteReadReplica".into()), nth: 1 };
    for returns in [When::At(90 * MINUTE), When::At(6 * 60 * MINUTE), at_promotion] {
        let (rehearsal, events) = watched(&plan(), &outage_with(&[(returns, Fault::RegionReturns)]));
        assert_eq!(rehearsal.outcome.as_deref(), Some("succeeded"));
        let accepted = events.iter().any(|event| matches!(event, Event::Evidence { evidence: Evidence::Accepted { standing: true, .. }, .. }));
        assert!(accepted, "the plan accepts it");
        let back = told(&events, "the primary region is back").unwrap();
        let replaced = told(&events, "is a primary of its own").unwrap();
        let promoted = told(&events, "is being promoted").unwrap();
        let (at, by) = fenced(&events).expect("it is fenced at last");
        assert_eq!(by, "fence-returned");
        assert!(at > promoted, "not before it is replaced");
        // The schedule comes every half minute, and a fence takes some seconds.
        assert!(at.since(back.max(replaced)) <= Duration::from_secs(45), "fenced after {}", at.since(back.max(replaced)));
    }
}

/// When runs were opened, when one was closed so, and how many executions were started after that.
struct Runs {
    opened: Vec<Timestamp>,
    closed: Timestamp,
    started_after: usize,
}

fn runs(events: &[Event], outcome: &str) -> Runs {
    let at = |is_so: &dyn Fn(&Event) -> bool| events.iter().filter(|event| is_so(event)).map(Event::at).collect::<Vec<_>>();
    let closed = at(&|event| matches!(event, Event::Estate { what, .. } if what.ends_with(&format!("is closed: {outcome}"))));
    assert_eq!(closed.len(), 1, "{closed:?}");
    let after = events.iter().filter(|event| event.at() > closed[0]).cloned().collect::<Vec<_>>();
    Runs {
        opened: at(&|event| matches!(event, Event::Evidence { evidence: Evidence::Opened { .. }, .. })),
        closed: closed[0],
        started_after: entered(&after, &["OpenRun"]).len(),
    }
}

/// Nothing happens then but that the rehearsal goes on until then.
fn until(minutes: i64) -> (When, Fault) {
    (When::At(minutes * MINUTE), Fault::KillSwitchCleared)
}

#[test]
fn a_run_whose_execution_was_stopped_is_started_again_once_while_its_outage_stands() {
    for stopped in [8, 12] {
        let stop = (When::At(stopped * MINUTE), Fault::ExecutionStopped { then: Afterwards::Left });
        let (rehearsal, events) = watched(&plan(), &outage_with(&[stop, until(180)]));
        let runs = runs(&events, "abandoned");
        assert_eq!((runs.opened.len(), rehearsal.runs), (2, 2));
        let waited = runs.opened[1].since(runs.closed);
        assert!(runs.opened[1] > runs.closed && waited < Duration::from_mins(4), "after {}", waited.in_words());
        assert_eq!(runs.started_after, 1, "once, and not again while that one runs or when it has succeeded");
        assert_eq!(rehearsal.outcome.as_deref(), Some("succeeded"));
        assert!(rehearsal.served_at_the_end);
    }
}

#[test]
fn a_run_that_a_person_vetoed_is_not_started_again_while_its_outage_stands() {
    let veto = (When::Asked(Duration::from_mins(1)), Fault::Answer { question: "failover", choice: "veto", by: "Ann", accepting: Accepting::Nothing });
    let (rehearsal, events) = watched(&plan(), &outage_with(&[veto, until(120)]));
    assert_eq!(rehearsal.outcome.as_deref(), Some("vetoed"));
    let runs = runs(&events, "vetoed");
    assert_eq!((runs.opened.len(), rehearsal.runs), (1, 1));
    assert_eq!(runs.started_after, 0, "not even an execution that would only be held down");
}
