//! The outcome of a batch: per resource, and one resource's failure never hides another's success.

use std::fmt;

use muster_core::{ActionError, CallError, Context, Duration, Evidence, Finding, Progress, Timestamp};
use muster_plan::Plan;
use serde::{Deserialize, Serialize};

/// How one call of a batch landed.
pub(crate) enum Landed {
    /// The service works on it, or will: ask again.
    Asked(String, &'static str),
    /// The call failed.
    Failed(String, CallError),
}

/// How soon it is worth looking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// It can be done in a second.
    Soon,
    /// AWS needs minutes for it: looking more often than every three seconds finds nothing earlier that counts.
    Minutes,
    /// As `Minutes`, and AWS was asked not long ago for something that is never done sooner than this after it is asked for.
    NotBefore(Duration),
    /// Calls wait for their turn in a budget, and have it after so long.
    Turn(Duration),
    /// No client waits for it, and it shows itself once a minute or takes minutes: nothing is lost by looking once a minute.
    Unhurried,
    /// No client waits for it, and it takes from a minute to a day: looking when it has taken a third longer, every five minutes at least, finds nothing
    /// later that counts.
    Hours,
}

impl Pace {
    /// The time until the next look, of a phase that has been at it for `elapsed`.
    fn soonest(self, elapsed: Duration) -> Duration {
        match self {
            Pace::Soon => Duration::from_secs(2),
            Pace::Minutes => Duration::from_secs(3),
            Pace::NotBefore(left) => left.max(Pace::Minutes.soonest(elapsed)),
            Pace::Turn(left) => left.max(Duration::from_secs(1)),
            Pace::Unhurried => Duration::from_secs(60),
            Pace::Hours => Duration::from_millis(elapsed.as_millis() / 3).max(Duration::from_secs(30)).min(Duration::from_mins(5)),
        }
    }
}

/// What became of every resource so far. It can be kept between invocations, part by part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Batch {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    done: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    evidence: Vec<Evidence>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pending: Vec<(String, String)>,
    #[serde(skip_serializing_if = "is_none")]
    queued: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    transient: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused: Vec<Finding>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<Finding>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

impl Batch {
    /// What became of others besides.
    pub(crate) fn join(&mut self, other: Batch) {
        self.done.extend(other.done);
        self.evidence.extend(other.evidence);
        self.pending.extend(other.pending);
        self.queued += other.queued;
        self.transient.extend(other.transient);
        self.refused.extend(other.refused);
        self.failed.extend(other.failed);
    }

    /// Whether nothing is waited for, and nothing has failed.
    pub(crate) fn is_settled(&self) -> bool {
        self.pending.is_empty() && self.transient.is_empty() && self.refused.is_empty() && self.failed.is_empty()
    }

    pub(crate) fn done(&mut self, resource: impl fmt::Display) {
        self.done.push(resource.to_string());
    }

    /// A fact about one resource, which is written down once: when the batch is settled, and not at every look before.
    pub(crate) fn saw(&mut self, evidence: Evidence) {
        self.evidence.push(evidence);
    }

    pub(crate) fn pending(&mut self, resource: impl fmt::Display, what: impl Into<String>) {
        self.pending.push((resource.to_string(), what.into()));
    }

    /// How much is waited for so far.
    pub(crate) fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// How much waits for its turn so far.
    pub(crate) fn waiting_for_turn(&self) -> usize {
        self.queued
    }

    /// Its call is still to be made: the batch must be called again, whatever became of the others.
    pub(crate) fn queued(&mut self, resource: impl fmt::Display, what: impl Into<String>) {
        self.queued += 1;
        self.pending(resource, what);
    }

    pub(crate) fn refused(&mut self, finding: Finding) {
        self.refused.push(finding);
    }

    pub(crate) fn failed(&mut self, finding: Finding) {
        self.failed.push(finding);
    }

    /// A call that failed: sorted by what helps against it.
    pub(crate) fn call_failed(&mut self, resource: impl fmt::Display, error: CallError) {
        match ActionError::from(error) {
            ActionError::Refused(findings) => self.refused.extend(findings),
            ActionError::Permanent(findings) => self.failed.extend(findings),
            ActionError::Transient(text) | ActionError::Invalid(text) => self.transient.push(format!("{resource}: {text}")),
        }
    }

    pub(crate) fn land(&mut self, landed: Landed) {
        match landed {
            Landed::Asked(resource, what) => self.pending(resource, what),
            Landed::Failed(resource, error) => self.call_failed(resource, error),
        }
    }

    /// Done when all are. What cannot go on is reported as soon as every call has been made that can be: the others are
    /// at work and lose nothing while a person looks. A call that failed for a moment is simply made again next time.
    pub(crate) fn into_progress(self, now: Timestamp, cx: &Context<'_, Plan>, pace: Pace, reached: &str) -> Result<Progress, ActionError> {
        let is_settled = self.queued == 0 && (self.pending.is_empty() || !(self.refused.is_empty() && self.failed.is_empty()));
        for evidence in self.evidence.iter().filter(|_| is_settled) {
            cx.saw(now, evidence.clone());
        }
        let stuck = self.refused.len() + self.failed.len();
        let soonest = self.pace(pace).soonest(cx.elapsed());
        if self.queued == 0 && stuck > 0 {
            let refused = !self.refused.is_empty();
            let findings: Vec<Finding> = self.refused.into_iter().chain(self.failed).collect();
            return Err(if refused { ActionError::Refused(findings) } else { ActionError::Permanent(findings) });
        }
        if !self.pending.is_empty() {
            let also = if stuck > 0 { format!("; {stuck} cannot go on and will be reported") } else { String::new() };
            let detail = format!("{} of {} {reached}; {}{also}", self.done.len(), self.total(), waiting_for(&self.pending));
            // A turn comes when it comes: who waits for it longer does not use what it could.
            let is_turn = matches!(pace, Pace::Turn(_)) && cx.elapsed() < LONGEST_TURN;
            return Ok(if is_turn { Progress::pending(detail, soonest) } else { cx.wait(detail, soonest) });
        }
        if !self.transient.is_empty() {
            return Err(ActionError::Transient(self.transient.join("\n")));
        }
        Ok(Progress::done(format!("{reached}: {}", some(&self.done))))
    }

    /// What failed for a moment or has its turn still to come is not kept waiting for what the others wait for.
    fn pace(&self, pace: Pace) -> Pace {
        let goes_on = self.queued + self.transient.len() + self.refused.len() + self.failed.len() > 0;
        if goes_on && matches!(pace, Pace::NotBefore(_)) { Pace::Minutes } else { pace }
    }

    fn total(&self) -> usize {
        self.done.len() + self.pending.len() + self.transient.len() + self.refused.len() + self.failed.len()
    }
}

/// Whoever has waited for its turn for so long is asked less and less often, like everybody else: a history has an end.
const LONGEST_TURN: Duration = Duration::from_mins(30);
const NAMED: usize = 5;

fn some(names: &[String]) -> String {
    match names.len().checked_sub(NAMED) {
        Some(more) if more > 0 => format!("{} and {more} more", names[..NAMED].join(", ")),
        _ => names.join(", "),
    }
}

fn waiting_for(pending: &[(String, String)]) -> String {
    let named: Vec<String> = pending.iter().take(NAMED).map(|(name, what)| format!("{name}: {what}")).collect();
    match pending.len() - named.len() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::CallFault;

    fn error(fault: CallFault) -> CallError {
        CallError { operation: "rds:PromoteReadReplica".into(), resource: "replica".into(), fault, message: "said so".into() }
    }

    /// Only the parts of the outcome that need no context.
    fn counts(batch: &Batch) -> (usize, usize, usize, usize) {
        (batch.pending.len(), batch.transient.len(), batch.refused.len(), batch.failed.len())
    }

    #[test]
    fn a_failed_call_is_sorted_by_what_helps_against_it() {
        let mut batch = Batch::default();
        batch.call_failed("a", error(CallFault::Throttled));
        batch.call_failed("b", error(CallFault::Halted));
        batch.call_failed("c", error(CallFault::Denied));
        batch.land(Landed::Asked("d".into(), "promoting"));
        assert_eq!(counts(&batch), (1, 1, 1, 1));
    }

    #[test]
    fn a_call_that_failed_for_a_moment_does_not_wait_for_what_takes_minutes() {
        let later = Pace::NotBefore(Duration::from_secs(60));
        let mut batch = Batch::default();
        batch.land(Landed::Asked("a".into(), "promoting"));
        assert_eq!(batch.pace(later).soonest(Duration::ZERO), Duration::from_secs(60));
        batch.call_failed("b", error(CallFault::Throttled));
        assert_eq!(batch.pace(later).soonest(Duration::ZERO), Duration::from_secs(3));
        assert_eq!(Pace::NotBefore(Duration::ZERO).soonest(Duration::ZERO), Duration::from_secs(3));
        let mut batch = Batch::default();
        batch.queued("c", "its turn");
        assert_eq!(batch.pace(later).soonest(Duration::ZERO), Duration::from_secs(3));
        assert_eq!(batch.pace(Pace::Soon).soonest(Duration::ZERO), Duration::from_secs(2));
    }

    #[test]
    fn five_are_named_and_the_rest_are_counted() {
        let names: Vec<String> = (1..=7).map(|number| format!("db-{number}")).collect();
        assert_eq!(some(&names), "db-1, db-2, db-3, db-4, db-5 and 2 more");
        assert_eq!(some(&names[..5]), "db-1, db-2, db-3, db-4, db-5");
    }
}
