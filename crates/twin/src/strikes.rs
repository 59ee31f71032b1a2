//! Which call a fault strikes.

use muster_core::{CallFault, Duration, Timestamp};

use crate::faults::Fault;
use crate::scenario::{Matching, Planned, When};

/// A person who answers the same again and again gives up after so many questions.
const PATIENCE: u64 = 4;

/// The faults of a scenario that are still to come.
#[derive(Clone, Debug, Default)]
pub struct Strikes {
    faults: Vec<Pending>,
    /// Faults by call that have not happened yet: nothing to look at when there are none.
    by_call: usize,
}

#[derive(Clone, Debug)]
struct Pending {
    planned: Planned,
    /// Matching calls, or questions, so far.
    seen: u64,
    done: bool,
}

/// A call, as far as faults are about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Struck<'a> {
    pub(crate) action: &'a str,
    pub(crate) operation: &'a str,
    pub(crate) mutates: bool,
    /// Whether it is about the service's estate, and not Muster's own tables.
    pub(crate) estate: bool,
}

/// What strikes a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Strike {
    /// How it fails, and whether it is applied nevertheless.
    pub(crate) fails: Option<(CallFault, bool)>,
    /// How old what it reads is.
    pub(crate) stale: Option<Duration>,
    pub(crate) crash_before: bool,
    pub(crate) crash_after: bool,
    pub(crate) delivered_twice: bool,
    /// Faults of the estate that happen at this call.
    pub(crate) estate: Vec<Fault>,
}

impl Strike {
    /// Whether nothing strikes the call.
    pub(crate) fn is_harmless(&self) -> bool {
        *self == Strike::default()
    }
}

impl Strikes {
    /// The faults of a scenario.
    pub fn new(faults: &[Planned]) -> Self {
        let by_call = faults.iter().filter(|planned| matches!(planned.when, When::Call { .. })).count();
        Strikes { faults: faults.iter().map(|planned| Pending { planned: planned.clone(), seen: 0, done: false }).collect(), by_call }
    }

    /// The faults that happen at an instant: position, milliseconds after the incident.
    pub(crate) fn timed(&self) -> Vec<(usize, i64)> {
        let timed = |(index, pending): (usize, &Pending)| match pending.planned.when {
            When::At(offset) => Some((index, offset)),
            _ => None,
        };
        self.faults.iter().enumerate().filter_map(timed).collect()
    }

    /// The faults that answer a question, once it is heard: position, delay.
    pub(crate) fn answers(&mut self, question: &str) -> Vec<(usize, Duration)> {
        let about = |pattern: &str| if pattern == "*" { question != "failover" } else { question.starts_with(pattern) };
        let answering = |(index, pending): (usize, &Pending)| match (&pending.planned.when, &pending.planned.fault) {
            (When::Asked(after), Fault::Answer { question, .. }) if about(question) && pending.seen < PATIENCE => Some((index, *after)),
            _ => None,
        };
        let answers: Vec<(usize, Duration)> = self.faults.iter().enumerate().filter_map(answering).collect();
        answers.iter().for_each(|(index, _)| self.faults[*index].seen += 1);
        answers
    }

    /// The fault at a position.
    pub(crate) fn get(&self, index: usize) -> Option<&Fault> {
        self.faults.get(index).map(|pending| &pending.planned.fault)
    }

    /// The fault at a position, which happens now.
    pub(crate) fn take(&mut self, index: usize) -> Option<Fault> {
        let pending = self.faults.get_mut(index).filter(|pending| !pending.done)?;
        pending.done = true;
        Some(pending.planned.fault.clone())
    }

    /// What strikes this call. Only calls from the incident on count.
    pub(crate) fn at_call(&mut self, now: Timestamp, incident_at: Timestamp, call: Struck<'_>) -> Strike {
        let mut strike = Strike::default();
        if self.by_call == 0 || now < incident_at {
            return strike;
        }
        for pending in self.faults.iter_mut().filter(|pending| !pending.done) {
            let When::Call { matching, nth } = &pending.planned.when else { continue };
            if !matches(matching, call) {
                continue;
            }
            pending.seen += 1;
            if pending.seen < *nth {
                continue;
            }
            let times = if let Fault::Call { times, .. } = pending.planned.fault { times } else { 1 };
            if pending.seen + 1 >= nth + times {
                pending.done = true;
                self.by_call -= 1;
            }
            match &pending.planned.fault {
                Fault::Call { fault, applied, .. } => strike.fails = Some((*fault, *applied)),
                Fault::StaleRead { age } => strike.stale = Some(*age),
                Fault::CrashBefore => strike.crash_before = true,
                Fault::CrashAfter => strike.crash_after = true,
                Fault::DuplicateDelivery => strike.delivered_twice = true,
                other => strike.estate.push(other.clone()),
            }
        }
        strike
    }
}

fn matches(matching: &Matching, call: Struck<'_>) -> bool {
    match matching {
        Matching::Any => true,
        Matching::Mutating => call.mutates,
        Matching::Reading => call.estate && !call.mutates,
        Matching::Operation(pattern) => match pattern.strip_suffix('*') {
            Some(beginning) => call.operation.starts_with(beginning),
            None => **pattern == *call.operation,
        },
        Matching::Made { action, operation } => **action == *call.action && **operation == *call.operation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(matching: Matching, nth: u64, fault: Fault) -> Planned {
        Planned { name: "test", when: When::Call { matching, nth }, fault }
    }

    const NOW: Timestamp = Timestamp::from_millis(10);

    #[test]
    fn a_fault_strikes_the_nth_matching_call_after_the_incident_and_no_other() {
        let mut strikes = Strikes::new(&[planned(Matching::Operation("rds:*".into()), 2, Fault::CrashBefore)]);
        let call = |operation| Struck { action: "test", operation, mutates: true, estate: true };
        assert!(!strikes.at_call(Timestamp::from_millis(5), NOW, call("rds:A")).crash_before);
        assert!(!strikes.at_call(NOW, NOW, call("rds:A")).crash_before);
        assert!(!strikes.at_call(NOW, NOW, call("ec2:A")).crash_before);
        assert!(strikes.at_call(NOW, NOW, call("rds:B")).crash_before);
        assert!(!strikes.at_call(NOW, NOW, call("rds:C")).crash_before);
    }

    #[test]
    fn a_call_fault_lasts_as_many_calls_as_it_says() {
        let fault = Fault::Call { fault: CallFault::Throttled, applied: false, times: 3 };
        let mut strikes = Strikes::new(&[planned(Matching::Any, 2, fault)]);
        let call = Struck { action: "test", operation: "a:B", mutates: false, estate: true };
        let struck: Vec<bool> = (0..6).map(|_| strikes.at_call(NOW, NOW, call).fails.is_some()).collect();
        assert_eq!(struck, [false, true, true, true, false, false]);
    }
}
