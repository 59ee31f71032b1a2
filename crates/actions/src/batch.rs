//! The outcome of a batch: per resource, and one resource's failure never hides another's success.

use std::fmt;

use muster_core::{ActionError, CallError, Context, Finding, Progress};
use muster_plan::Plan;

/// How one call of a batch landed.
pub(crate) enum Landed {
    /// The service works on it, or will: ask again.
    Asked(String, &'static str),
    /// The call failed.
    Failed(String, CallError),
}

/// What became of every resource so far.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    done: Vec<String>,
    pending: Vec<(String, String)>,
    queued: usize,
    transient: Vec<String>,
    refused: Vec<Finding>,
    failed: Vec<Finding>,
}

impl Batch {
    pub(crate) fn done(&mut self, resource: impl fmt::Display) {
        self.done.push(resource.to_string());
    }

    pub(crate) fn pending(&mut self, resource: impl fmt::Display, what: impl Into<String>) {
        self.pending.push((resource.to_string(), what.into()));
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
    pub(crate) fn into_progress(self, cx: &Context<'_, Plan>, reached: &str) -> Result<Progress, ActionError> {
        let stuck = self.refused.len() + self.failed.len();
        if self.queued == 0 && stuck > 0 {
            let refused = !self.refused.is_empty();
            let findings: Vec<Finding> = self.refused.into_iter().chain(self.failed).collect();
            return Err(if refused { ActionError::Refused(findings) } else { ActionError::Permanent(findings) });
        }
        if !self.pending.is_empty() {
            let also = if stuck > 0 { format!("; {stuck} cannot go on and will be reported") } else { String::new() };
            return Ok(cx.wait(format!("{} of {} {reached}; {}{also}", self.done.len(), self.total(), waiting_for(&self.pending))));
        }
        if !self.transient.is_empty() {
            return Err(ActionError::Transient(self.transient.join("\n")));
        }
        Ok(Progress::done(format!("{reached}: {}", some(&self.done))))
    }

    fn total(&self) -> usize {
        self.done.len() + self.pending.len() + self.transient.len() + self.refused.len() + self.failed.len()
    }
}

const NAMED: usize = 5;

fn some(names: &[String]) -> String {
    match names.len().checked_sub(NAMED) {
        Some(more) if more > 0 => format!("{} and {more} more", names[..NAMED].join(", ")),
        _ => names.join(", "),
    }
}

fn waiting_for(pending: &[(String, String)]) -> String {
    some(&pending.iter().map(|(name, what)| format!("{name}: {what}")).collect::<Vec<_>>())
}
