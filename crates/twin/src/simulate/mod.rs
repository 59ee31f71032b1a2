//! The proof by trying: every call and every point of death one after the other, and faults at random; and what makes an end
//! right or wrong.
//!
//! A trial is one rehearsal under one scenario. It is *wrong* when an invariant breaks, and when it ends in another way than
//! without the fault although nobody was asked: a silent wrong end. A hold for a person is always a right end.

mod every_call;
mod every_death;
mod shrink;

use crate::facts;
use crate::outcome::Rehearsal;
use crate::scenario::{Scenario, When, people_needed};

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
pub fn judge(rehearsal: &Rehearsal, expected: &Rehearsal) -> Verdict {
    if let Some(violation) = &rehearsal.violation {
        return Verdict::Wrong(format!("invariant {}: {}", violation.invariant, violation.seen));
    }
    if rehearsal.held > expected.held {
        return Verdict::Held;
    }
    if rehearsal.outcome != expected.outcome {
        let words = |end: &Rehearsal| end.outcome.as_deref().unwrap_or("no run").to_owned();
        return Verdict::Wrong(format!("it ends as `{}`; without the fault as `{}`; and nobody was asked", words(rehearsal), words(expected)));
    }
    facts::difference(&expected.facts, &rehearsal.facts).map_or(Verdict::Same, Verdict::Wrong)
}

/// The scenarios that a systematic simulation starts from, each by the names of its faults: together they lead through every
/// phase of the region failover. Where a plan asks people, somebody answers.
pub fn bases(plan: &muster_plan::Plan) -> Vec<Vec<&'static str>> {
    let people = people_needed(plan);
    let ways: [&[&'static str]; 4] = [&["primary-region-down"], &["application-down"], &["primary-returns"], &["target-unhealthy"]];
    ways.iter().map(|faults| faults.iter().chain(&people).copied().collect()).collect()
}

/// Whether a disaster changes while it is being recovered from: then a run that comes an hour later may rightly end in another way.
pub fn changes_later(scenario: &Scenario) -> bool {
    scenario.faults.iter().any(|planned| matches!(planned.when, When::At(offset) if offset > 0))
}
