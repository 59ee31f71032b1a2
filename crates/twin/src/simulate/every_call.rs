//! Each call that an action makes goes wrong in each way, one at a time. Made from the recorded calls, so that a new action is
//! tried on the day it is written.

use muster_core::{CallFault, Duration};

use super::Trial;
use crate::calls_made::CallMade;
use crate::faults::Fault;
use crate::rehearse::Recording;
use crate::scenario::{Matching, Planned, Scenario, When};

/// The ways in which a call goes wrong, by name.
pub const KINDS: [&str; 9] =
    ["throttled", "unavailable", "unavailable-applied", "timed-out", "timed-out-applied", "stale", "delivered-twice", "killed-before", "killed-after"];

fn fault(kind: &str) -> Fault {
    let fails = |fault, applied| Fault::Call { fault, applied, times: 1 };
    match kind {
        "throttled" => fails(CallFault::Throttled, false),
        "unavailable" => fails(CallFault::Unavailable, false),
        "unavailable-applied" => fails(CallFault::Unavailable, true),
        "timed-out" => fails(CallFault::TimedOut, false),
        "timed-out-applied" => fails(CallFault::TimedOut, true),
        "stale" => Fault::StaleRead { age: Duration::from_secs(30) },
        "delivered-twice" => Fault::DuplicateDelivery,
        "killed-before" => Fault::CrashBefore,
        _ => Fault::CrashAfter,
    }
}

/// A trial for each recorded call and kind: of each operation of each action the first call, the last, and as many between them,
/// evenly, as make `most`.
pub fn every_call(base: usize, scenario: &Scenario, recording: &Recording, most: u64) -> Vec<Trial> {
    let mut trials = Vec::new();
    for call in recording.calls.iter() {
        for nth in positions(call.times, most) {
            for kind in KINDS.into_iter().filter(|kind| makes_sense(kind, call)) {
                let matching = Matching::Made { action: call.action.clone(), operation: call.operation.into() };
                let mut scenario = scenario.clone();
                scenario.faults.push(Planned { name: kind, when: When::Call { matching, nth }, fault: fault(kind) });
                let what = format!("{kind}: call {nth} of {} by {}", call.operation, call.action);
                trials.push(Trial { what, scenario, base, is_left: false });
            }
        }
    }
    trials
}

/// A read is not applied, and a write is not stale; nor is an answer of S3. Source: the S3 user guide, "Amazon S3 data consistency model".
fn makes_sense(kind: &str, call: &CallMade) -> bool {
    match kind {
        "stale" => call.estate && !call.mutates && !call.operation.starts_with("s3:"),
        "unavailable-applied" | "timed-out-applied" => call.mutates || !call.estate,
        _ => true,
    }
}

/// At most `most` of the numbers from 1 to `last`, the first and the last among them.
pub(super) fn positions(last: u64, most: u64) -> Vec<u64> {
    if last <= most {
        return (1..=last).collect();
    }
    let steps = most.saturating_sub(1).max(1);
    let mut chosen: Vec<u64> = (0..most).map(|step| 1 + step * (last - 1) / steps).collect();
    chosen.dedup();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_call_are_always_among_those_chosen() {
        assert_eq!(positions(3, 5), [1, 2, 3]);
        assert_eq!(positions(100, 2), [1, 100]);
        assert_eq!(positions(100, 4), [1, 34, 67, 100]);
        assert_eq!(positions(5, 1), [1]);
        assert_eq!(positions(0, 2), Vec::<u64>::new());
    }
}
