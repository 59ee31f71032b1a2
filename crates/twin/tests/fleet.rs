//! A plan of a thousand databases: what AWS's request rates allow is used, and nothing more.
#![allow(clippy::unwrap_used, clippy::expect_used)] // also in the functions that tests share

#[path = "support/fleet.rs"]
mod fleet;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use muster_core::{Duration, Evidence, Timestamp};
use muster_twin::{Event, Rehearsal, Rehearser, Scenario};

const DATABASES: usize = 1_000;

/// One rehearsal is enough to look at from all sides.
struct Seen {
    rehearsal: Rehearsal,
    decided_at: Timestamp,
    verified_at: Timestamp,
    promotions: Vec<(Timestamp, String)>,
    /// When each name was first asked to move, and by how many calls names were.
    moved: BTreeMap<String, Timestamp>,
    changes: u64,
    held: BTreeSet<String>,
}

static SEEN: LazyLock<Seen> = LazyLock::new(|| {
    let plan = fleet::fleet(DATABASES, |_| {});
    let scenario = Scenario::named(&["primary-region-down"], 1, &plan).unwrap();
    let (mut decided_at, mut verified_at) = (None, None);
    let (mut promotions, mut moved, mut changes, mut held) = (Vec::new(), BTreeMap::new(), 0, BTreeSet::new());
    let rehearsal = Rehearser::new(&plan).unwrap().watch(&scenario, &mut |event| match event {
        Event::Evidence { at, evidence: Evidence::Decided { question, .. }, .. } if question == "failover" => decided_at = Some(at),
        Event::Evidence { at, evidence: Evidence::TrafficMoved { record, .. }, .. } => {
            moved.entry(record).or_insert(at);
        }
        Event::Evidence { evidence: Evidence::Held { phase, cause, .. }, .. } => {
            held.insert(format!("{phase}: {cause}"));
        }
        Event::Phase { at, state, .. } if &*state == "FlipDns" => {
            verified_at.get_or_insert(at);
        }
        Event::Call { at, operation: "rds:PromoteReadReplica", resource, fault: None, .. } => promotions.push((at, resource.to_string())),
        // What the probe repeats moves nothing, and is no change of the estate.
        Event::Call { operation: "route53:ChangeResourceRecordSets" | "cloudwatch:PutMetricData", fault: None, .. } => changes += 1,
        _ => {}
    });
    let missing = || panic!("the run did not get so far: {:?}, held at {held:?}", rehearsal.outcome);
    let (decided_at, verified_at) = (decided_at.unwrap_or_else(missing), verified_at.unwrap_or_else(missing));
    Seen { rehearsal, decided_at, verified_at, promotions, moved, changes, held }
});

#[test]
fn a_thousand_databases_are_failed_over() {
    let seen = &*SEEN;
    assert_eq!(seen.rehearsal.violation, None);
    assert_eq!(seen.held, BTreeSet::new());
    assert_eq!(seen.rehearsal.outcome.as_deref(), Some("succeeded"));
    assert!(seen.rehearsal.served_at_the_end);
}

#[test]
fn all_promotions_are_asked_for_within_75_seconds_of_the_decision() {
    let seen = &*SEEN;
    let asked: BTreeSet<&str> = seen.promotions.iter().map(|(_, replica)| replica.as_str()).collect();
    assert_eq!((asked.len(), seen.promotions.len()), (DATABASES, DATABASES), "each once");
    let last = seen.promotions.iter().map(|(at, _)| at.since(seen.decided_at)).max().unwrap();
    // A burst of 300 and then 12 a second: no caller can be faster than 58 seconds.
    assert!(last <= Duration::from_secs(75), "the last was answered {last} after the decision");
    assert!(last >= Duration::from_secs(58), "{last}: nobody is as fast as that");
}

#[test]
fn all_names_are_moved_within_15_seconds_of_the_last_verification() {
    let seen = &*SEEN;
    assert_eq!(seen.moved.len(), DATABASES);
    // A few are asked again, two minutes later, where the servers do not follow yet.
    assert!((2..20).contains(&seen.changes), "{} calls for a thousand names", seen.changes);
    let last = seen.moved.values().map(|at| at.since(seen.verified_at)).max().unwrap();
    assert!(last <= Duration::from_secs(15), "the last was answered {last} after the verification");
}

#[test]
fn no_call_is_refused_because_of_its_rate() {
    assert_eq!(SEEN.rehearsal.effort.throttled, Default::default());
}

#[test]
fn payloads_and_histories_stay_far_within_the_limits_of_step_functions() {
    let effort = &SEEN.rehearsal.effort;
    assert!(effort.largest_payload > 500 && effort.largest_payload <= 8 * 1_024, "{} bytes", effort.largest_payload);
    assert!(effort.longest_history > 100 && effort.longest_history < 20_000, "{} events", effort.longest_history);
}
