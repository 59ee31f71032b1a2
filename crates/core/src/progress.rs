//! What an action answers: done, or not yet and when to ask again.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::shorten;
use crate::{Duration, Timestamp};

/// Whether the desired state is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// The desired state holds; calling again changes nothing.
    Done,
    /// Not yet: call again after `retry_after_seconds`.
    Pending,
}

/// The result of one invocation of an action. It travels in the state machine, so it stays small;
/// evidence goes to the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Progress {
    /// Done or pending.
    pub status: Status,
    /// Present when pending: whole seconds until the next call is worth its cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
    /// One line for people: what is being waited for, or what was reached.
    pub detail: String,
    /// Which way the state machine goes from here, where there is more than one (`confirmed`, `cleared`, …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// What a later state needs: the run that was opened, overrides that a person gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// The phase that answered, so that a later phase does not take this for its own last answer.
    #[serde(default)]
    pub phase: String,
    /// When this phase was first called.
    #[serde(default)]
    pub since: Timestamp,
}

/// Most bytes of `detail`; the rest is cut, so that a thousand resources cannot fill the state.
const DETAIL_LIMIT: usize = 1_000;

impl Progress {
    /// The desired state holds.
    pub fn done(detail: impl Into<String>) -> Self {
        Progress {
            status: Status::Done,
            retry_after_seconds: None,
            detail: shorten(detail.into(), DETAIL_LIMIT),
            verdict: None,
            output: None,
            phase: String::new(),
            since: Timestamp::default(),
        }
    }

    /// Not yet; ask again after `retry_after`, rounded up to whole seconds and never zero.
    pub fn pending(detail: impl Into<String>, retry_after: Duration) -> Self {
        Progress { status: Status::Pending, retry_after_seconds: Some(retry_after.as_secs_ceil().max(1)), ..Progress::done(detail) }
    }

    /// The same, naming the way the state machine goes on.
    pub fn with_verdict(mut self, verdict: &str) -> Self {
        self.verdict = Some(verdict.to_owned());
        self
    }

    /// The same, with what a later state needs.
    pub fn with_output(mut self, output: Value) -> Self {
        self.output = Some(output);
        self
    }

    /// Whether the desired state is reached.
    pub fn is_done(&self) -> bool {
        self.status == Status::Done
    }
}

/// How long to wait before the next poll of something that has been awaited for `elapsed`.
///
/// One per cent of the time already waited, between two seconds and a minute: what polling adds to a wait stays
/// under one per cent of it, and a wait of four hours costs a few hundred polls, not thousands.
pub fn poll_interval(elapsed: Duration) -> Duration {
    Duration::from_secs((elapsed.as_millis() / 100_000).clamp(2, 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polling_adds_one_per_cent_and_at_most_a_minute() {
        assert_eq!(poll_interval(Duration::ZERO), Duration::from_secs(2));
        assert_eq!(poll_interval(Duration::from_mins(10)), Duration::from_secs(6));
        assert_eq!(poll_interval(Duration::from_hours(10)), Duration::from_secs(60));
    }

    #[test]
    fn a_day_of_polling_stays_far_under_the_history_limit() {
        let (mut elapsed, mut polls) = (Duration::ZERO, 0);
        while elapsed < Duration::from_hours(24) {
            elapsed = elapsed.saturating_add(poll_interval(elapsed));
            polls += 1;
        }
        assert!(polls * 9 < 20_000, "{polls} polls");
    }

    #[test]
    fn a_long_detail_is_cut_at_a_character() {
        let progress = Progress::done("é".repeat(2_000));
        assert!(progress.detail.len() <= DETAIL_LIMIT + '…'.len_utf8());
        assert!(progress.detail.ends_with('…'));
    }

    #[test]
    fn pending_never_says_zero_seconds() {
        assert_eq!(Progress::pending("", Duration::from_millis(1)).retry_after_seconds, Some(1));
    }
}
