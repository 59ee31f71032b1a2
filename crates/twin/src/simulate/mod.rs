//! The proof by trying: every call and every point of death one after the other, and faults at random; and what makes an end
//! right or wrong.
//!
//! A trial is one rehearsal under one scenario. It is *wrong* when an invariant breaks, and when it ends in another way than
//! without the fault although nobody was asked: a silent wrong end. A hold for a person is always a right end of a failover. Of a flow that schedules
//! start it is none: what a person did not mend the next run makes up for, and the estate is the same in the end.

mod every_call;
mod every_death;
mod shrink;

use muster_core::Duration;
use muster_plan::{Flow, Plan};

use crate::clones::CloneFault;
use crate::facts;
use crate::faults::Fault;
use crate::outcome::Rehearsal;
use crate::scenario::{Planned, Scenario, When, people_needed};
use crate::snapshots::SnapshotFault;

pub use every_call::{KINDS, every_call};
pub use every_death::{Cut, every_death};
pub use shrink::shrink;

/// One scenario to be tried, and what it should end like.
#[derive(Clone, Debug)]
pub struct Trial {
    /// What is tried, in words.
    pub what: String,
    /// The scenario.
    pub scenario: Scenario,
    /// Which of the expected ends it belongs to.
    pub base: usize,
    /// Whether the run may be left to the janitor, since nobody goes on with it.
    pub is_left: bool,
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As without the fault.
    Same,
    /// A person was asked.
    Held,
    /// What must not be, in words.
    Wrong(String),
}

/// Judges the end of a trial beside the end without the fault.
pub fn judge(trial: &Trial, rehearsal: &Rehearsal, expected: &Rehearsal) -> Verdict {
    if let Some(violation) = &rehearsal.violation {
        return Verdict::Wrong(format!("invariant {}: {}", violation.invariant, violation.seen));
    }
    let held = rehearsal.held > expected.held;
    let is_failover = rehearsal.flow == Flow::RegionFailover;
    if held && is_failover {
        return Verdict::Held;
    }
    // A failover that is left is taken up again while the outage stands; a restore test is not, and may not even have begun.
    let is_abandoned = trial.is_left && !is_failover && rehearsal.outcome.as_deref().is_none_or(|outcome| outcome == "abandoned");
    if rehearsal.outcome != expected.outcome && !held && !is_abandoned {
        let words = |end: &Rehearsal| end.outcome.as_deref().unwrap_or("no run").to_owned();
        return Verdict::Wrong(format!("it ends as `{}`; without the fault as `{}`; and nobody was asked", words(rehearsal), words(expected)));
    }
    match facts::difference(&expected.facts, &rehearsal.facts) {
        Some(difference) => Verdict::Wrong(difference),
        None if held => Verdict::Held,
        None => Verdict::Same,
    }
}

/// The scenarios that a systematic simulation of a flow starts from: together they lead through every phase. Where a plan's failover asks people,
/// somebody answers.
pub fn bases(plan: &Plan, flow: Flow, seed: u64) -> Vec<Scenario> {
    let quiet = Scenario::of_flow(flow, seed);
    let with = |name, fault| Scenario { faults: vec![Planned { name, when: When::At(0), fault }], ..quiet.clone() };
    match flow {
        // Nobody answers, and silence leaves out what cannot be done.
        Flow::Backup => {
            let fault = SnapshotFault::KeyDisabled(plan.regions.standby.clone());
            vec![quiet.clone(), with("key-disabled", Fault::Snapshots { fault, span: Duration::from_mins(80) })]
        }
        Flow::RestoreTest => vec![quiet.clone(), with("restores-fail", Fault::Clones { fault: CloneFault::RestoresFail, span: Duration::from_hours(1) })],
        _ => {
            let people = people_needed(plan);
            let ways = ["primary-region-down", "application-down", "primary-returns", "target-unhealthy"];
            let named = |way| Scenario::named(&std::iter::once(way).chain(people.iter().copied()).collect::<Vec<_>>(), seed, plan);
            // Their names come with Muster.
            ways.into_iter().filter_map(|way| named(way).ok()).collect()
        }
    }
}

/// Whether a disaster changes while it is being recovered from: then a run that comes an hour later may rightly end in another way.
pub fn changes_later(scenario: &Scenario) -> bool {
    scenario.faults.iter().any(|planned| matches!(planned.when, When::At(offset) if offset > 0))
}
