//! What can go wrong, in two vocabularies: a *call* to the world fails with a [`CallError`], which says whether it
//! may have been applied; an *action* fails with an [`ActionError`], whose four names the state machines know.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How a call to AWS (or to anything outside) failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CallFault {
    /// The service refused for rate (`Throttling`, `RequestLimitExceeded`). Not applied.
    Throttled,
    /// The service answered 5xx. May have been applied.
    Unavailable,
    /// The request was sent and no answer came in time. May have been applied.
    TimedOut,
    /// No connection could be made. Not applied.
    Unreachable,
    /// The caller lacks permission. Not applied.
    Denied,
    /// The resource does not exist. Not applied.
    NotFound,
    /// The service understood and refused: wrong state, wrong parameter, quota. Not applied.
    Rejected,
    /// Muster itself did not let the call begin: kill switch set, or the run's epoch is out of date. Not applied.
    Halted,
}

impl CallFault {
    /// Whether the call can have taken effect although it failed: then the state must be read before deciding.
    pub const fn is_ambiguous(self) -> bool {
        matches!(self, CallFault::Unavailable | CallFault::TimedOut)
    }

    /// Whether the same call can succeed a little later without anybody changing anything.
    pub const fn is_transient(self) -> bool {
        matches!(self, CallFault::Throttled | CallFault::Unavailable | CallFault::TimedOut | CallFault::Unreachable)
    }
}

/// A call that failed: which, on what, how, and in the service's own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{operation} on {resource}: {message}")]
pub struct CallError {
    /// The API's name, such as `rds:PromoteReadReplica`.
    pub operation: String,
    /// The resource that was asked about, with its region.
    pub resource: String,
    /// How it failed.
    pub fault: CallFault,
    /// The service's own words, or ours where nothing answered.
    pub message: String,
}

/// What an operator needs at three in the morning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Which resource or component.
    pub resource: String,
    /// What was seen.
    pub seen: String,
    /// What was wanted.
    pub wanted: String,
    /// What to do now.
    pub next_step: String,
}

impl Finding {
    /// All four, none of them optional.
    pub fn new(resource: impl fmt::Display, seen: impl Into<String>, wanted: impl Into<String>, next_step: impl Into<String>) -> Self {
        Finding { resource: resource.to_string(), seen: seen.into(), wanted: wanted.into(), next_step: next_step.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; wanted: {}. Now: {}", self.resource, self.seen, self.wanted, self.next_step)
    }
}

/// Why an action did not get on. The names are the same here and in the state machines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// Throttled, 5xx, connection lost, lock or kill switch unreadable: retried with backoff and full jitter.
    #[error("{0}")]
    Transient(String),
    /// A precondition of safety does not hold: holds for a person.
    #[error("{}", join(.0, NAMED, NAMED))]
    Refused(Vec<Finding>),
    /// Denied, not found, invalid: holds for a person.
    #[error("{}", join(.0, NAMED, NAMED))]
    Permanent(Vec<Finding>),
    /// The request or the plan is wrong: fails at once, before anything was touched.
    #[error("{0}")]
    Invalid(String),
}

/// So many resources of which the same is to be said are named in a text that travels, and so many different things are said.
const NAMED: usize = 5;
/// Most bytes of a text that travels: a state machine's Task takes 8 KiB with everything else.
const TRAVELS: usize = 4_000;
/// Most bytes of a text that is stored: an item of the ledger's table takes 400 KB.
const STORED: usize = 300_000;

/// Findings as one text. What is to be said of several resources alike is said once.
fn join(findings: &[Finding], named: usize, said: usize) -> String {
    let mut alike: Vec<(&Finding, Vec<&str>)> = Vec::new();
    let mut positions: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    for finding in findings {
        let index = *positions.entry((&finding.seen, &finding.wanted, &finding.next_step)).or_insert_with(|| {
            alike.push((finding, Vec::new()));
            alike.len() - 1
        });
        alike[index].1.push(&finding.resource);
    }
    let line = |(finding, resources): &(&Finding, Vec<&str>)| {
        format!("{}: {}; wanted: {}. Now: {}", some(resources, named), finding.seen, finding.wanted, finding.next_step)
    };
    let mut lines: Vec<String> = alike.iter().take(said).map(line).collect();
    if alike.len() > said {
        let others: Vec<&str> = alike[said..].iter().flat_map(|(_, resources)| resources.iter().copied()).collect();
        lines.push(format!("The like of {}: see the ledger", some(&others, named)));
    }
    lines.join("\n")
}

fn some(names: &[&str], named: usize) -> String {
    match names.len().checked_sub(named) {
        Some(more) if more > 0 => format!("{} and {more} more", names[..named].join(", ")),
        _ => names.join(", "),
    }
}

/// Cut at a character, with a sign that it was.
pub(crate) fn shorten(mut text: String, most: usize) -> String {
    if text.len() > most {
        let cut = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
        text.push('…');
    }
    text
}

impl ActionError {
    /// A single refusal.
    pub fn refused(finding: Finding) -> Self {
        ActionError::Refused(vec![finding])
    }

    /// A single permanent failure.
    pub fn permanent(finding: Finding) -> Self {
        ActionError::Permanent(vec![finding])
    }

    /// What travels in a state machine: a few kilobytes, however many resources it is about. The first few are named.
    pub fn in_short(&self) -> String {
        shorten(self.to_string(), TRAVELS)
    }

    /// What the ledger keeps: every resource by its name.
    pub fn in_full(&self) -> String {
        let text = match self {
            ActionError::Refused(findings) | ActionError::Permanent(findings) => join(findings, usize::MAX, usize::MAX),
            ActionError::Transient(_) | ActionError::Invalid(_) => self.to_string(),
        };
        shorten(text, STORED)
    }

    /// The error's name in the state machine's `Retry` and `Catch`.
    pub const fn name(&self) -> &'static str {
        match self {
            ActionError::Transient(_) => "Muster.Transient",
            ActionError::Refused(_) => "Muster.Refused",
            ActionError::Permanent(_) => "Muster.Permanent",
            ActionError::Invalid(_) => "Muster.Invalid",
        }
    }
}

impl From<CallError> for ActionError {
    fn from(error: CallError) -> Self {
        match error.fault {
            fault if fault.is_transient() => ActionError::Transient(error.to_string()),
            CallFault::Halted => ActionError::refused(Finding::new(
                &error.resource,
                error.message,
                format!("a run that may call {}", error.operation),
                "see which run is open and whether the kill switch is set; this run stops here",
            )),
            CallFault::Denied => ActionError::permanent(Finding::new(
                &error.resource,
                format!("{} was denied: {}", error.operation, error.message),
                format!("permission for {}", error.operation),
                "grant it to the function's role, then answer `retry`",
            )),
            CallFault::NotFound => ActionError::permanent(Finding::new(
                &error.resource,
                format!("{} found no such resource: {}", error.operation, error.message),
                "the resource that the plan names",
                "correct the plan or create the resource, then answer `retry`",
            )),
            _ => ActionError::permanent(Finding::new(
                &error.resource,
                format!("{} was rejected: {}", error.operation, error.message),
                "a call that the service accepts",
                "mend what the message names, then answer `retry`, or do the step by hand and answer `retry`",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(fault: CallFault) -> CallError {
        CallError { operation: "rds:PromoteReadReplica".into(), resource: "replica (us-west-2)".into(), fault, message: "said so".into() }
    }

    #[test]
    fn every_fault_has_one_reaction() {
        let name = |fault| ActionError::from(failed(fault)).name();
        for fault in [CallFault::Throttled, CallFault::Unavailable, CallFault::TimedOut, CallFault::Unreachable] {
            assert_eq!(name(fault), "Muster.Transient", "{fault:?}");
        }
        for fault in [CallFault::Denied, CallFault::NotFound, CallFault::Rejected] {
            assert_eq!(name(fault), "Muster.Permanent", "{fault:?}");
        }
        assert_eq!(name(CallFault::Halted), "Muster.Refused");
    }

    #[test]
    fn a_thousand_findings_are_short_where_they_travel_and_complete_where_they_are_kept() {
        let alike = (0..990).map(|number| Finding::new(format!("db-{number:04}"), "it does not exist", "a replica", "build it"));
        let each = (990..1_000).map(|number| Finding::new(format!("db-{number:04}"), format!("it is {number}s behind"), "at most 60s", "wait"));
        let error = ActionError::Refused(alike.chain(each).collect());
        let short = error.in_short();
        assert!(short.len() < 2_000, "{}", short.len());
        assert!(
            short.starts_with("db-0000, db-0001, db-0002, db-0003, db-0004 and 985 more: it does not exist; wanted: a replica. Now: build it\n"),
            "{short}"
        );
        assert!(short.ends_with("The like of db-0994, db-0995, db-0996, db-0997, db-0998 and 1 more: see the ledger"), "{short}");
        let full = error.in_full();
        assert!((0..1_000).all(|number| full.contains(&format!("db-{number:04}"))) && full.contains("it is 999s behind"));
        let long = ActionError::Transient("é".repeat(5_000)).in_short();
        assert!(long.len() <= TRAVELS + '…'.len_utf8() && long.ends_with('…'));
    }

    #[test]
    fn a_single_finding_is_said_as_it_is() {
        let finding = Finding::new("db", "it is gone", "a replica", "build it");
        assert_eq!(ActionError::refused(finding.clone()).in_short(), finding.to_string());
        assert_eq!(ActionError::refused(finding.clone()).in_full(), finding.to_string());
    }

    #[test]
    fn only_a_call_that_was_sent_and_not_refused_is_ambiguous() {
        assert!(CallFault::TimedOut.is_ambiguous() && CallFault::Unavailable.is_ambiguous());
        assert!(!CallFault::Throttled.is_ambiguous() && !CallFault::Unreachable.is_ambiguous());
    }
}
