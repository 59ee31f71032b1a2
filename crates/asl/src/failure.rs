//! Errors inside an execution, and which names match them.

use std::rc::Rc;

use crate::value::{self, Value};

pub(crate) const ALL: &str = "States.ALL";
pub(crate) const TASK_FAILED: &str = "States.TaskFailed";
pub(crate) const TIMEOUT: &str = "States.Timeout";
pub(crate) const HEARTBEAT_TIMEOUT: &str = "States.HeartbeatTimeout";
pub(crate) const QUERY_EVALUATION: &str = "States.QueryEvaluationError";
pub(crate) const DATA_LIMIT: &str = "States.DataLimitExceeded";
pub(crate) const RUNTIME: &str = "States.Runtime";
pub(crate) const NO_CHOICE: &str = "States.NoChoiceMatched";

/// The names that begin with `States.` and that a Retry or Catch can name here.
pub(crate) const NAMES: [&str; 15] = [
    ALL,
    "States.BranchFailed",
    DATA_LIMIT,
    "States.ExceedToleratedFailureThreshold",
    HEARTBEAT_TIMEOUT,
    "States.Http.Socket",
    "States.IntrinsicFailure",
    "States.ItemReaderFailed",
    NO_CHOICE,
    "States.Permissions",
    QUERY_EVALUATION,
    "States.ResultWriterFailed",
    RUNTIME,
    TASK_FAILED,
    TIMEOUT,
];

/// Why a state, a branch or an execution failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// A Fail state may have no error name.
    pub(crate) error: Option<Rc<str>>,
    pub(crate) cause: Option<Rc<str>>,
    pub(crate) kind: FailureKind,
}

#[derive(Clone, Debug)]
pub(crate) enum FailureKind {
    Ordinary,
    /// A heartbeat that did not come. Its name is `States.Timeout`, as AWS records it, and it also
    /// answers to `States.HeartbeatTimeout`.
    Heartbeat,
    /// The execution has ended already (it was stopped from inside): only unwind.
    Ended,
}

impl Failure {
    pub(crate) fn new(error: &str, cause: impl Into<String>) -> Self {
        Self { error: Some(error.into()), cause: Some(cause.into().into()), kind: FailureKind::Ordinary }
    }

    pub(crate) fn timeout(heartbeat: bool) -> Self {
        Self { error: Some(TIMEOUT.into()), cause: None, kind: if heartbeat { FailureKind::Heartbeat } else { FailureKind::Ordinary } }
    }

    pub(crate) fn ended() -> Self {
        Self { error: None, cause: None, kind: FailureKind::Ended }
    }

    /// `$states.errorOutput`. AWS writes an absent cause as an empty string.
    pub(crate) fn error_output(&self) -> Value {
        let text = |text: &Option<Rc<str>>| Value::from(text.clone().unwrap_or_default());
        value::object([("Error", text(&self.error)), ("Cause", text(&self.cause))])
    }

    /// Whether a Retry or Catch with this name handles the failure.
    ///
    /// `States.Runtime` is handled by nothing. `States.DataLimitExceeded` is handled by its own name
    /// only. `States.TaskFailed` stands for every name except `States.Timeout`.
    pub(crate) fn matches(&self, name: &str) -> bool {
        if matches!(self.kind, FailureKind::Ended) {
            return false;
        }
        let error = self.error.as_deref().unwrap_or_default();
        match (error, name) {
            (RUNTIME, _) => false,
            (DATA_LIMIT, _) => name == DATA_LIMIT,
            (_, ALL) => true,
            (_, TASK_FAILED) => error != TIMEOUT,
            (_, HEARTBEAT_TIMEOUT) => matches!(self.kind, FailureKind::Heartbeat) || error == HEARTBEAT_TIMEOUT,
            _ => error == name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_all_does_not_match_the_two_terminal_errors() {
        assert!(Failure::new("Mine", "").matches(ALL));
        assert!(!Failure::new(RUNTIME, "").matches(ALL));
        assert!(!Failure::new(RUNTIME, "").matches(RUNTIME));
        assert!(!Failure::new(DATA_LIMIT, "").matches(ALL));
        assert!(!Failure::new(DATA_LIMIT, "").matches(TASK_FAILED));
        assert!(Failure::new(DATA_LIMIT, "").matches(DATA_LIMIT));
    }

    #[test]
    fn states_task_failed_matches_everything_but_a_timeout() {
        assert!(Failure::new("Mine", "").matches(TASK_FAILED));
        assert!(!Failure::timeout(false).matches(TASK_FAILED));
        assert!(Failure::timeout(false).matches(TIMEOUT));
        assert!(!Failure::timeout(false).matches(HEARTBEAT_TIMEOUT));
    }

    #[test]
    fn a_missing_heartbeat_answers_to_both_of_its_names() {
        let failure = Failure::timeout(true);
        assert!(failure.matches(TIMEOUT));
        assert!(failure.matches(HEARTBEAT_TIMEOUT));
        assert!(!failure.matches(TASK_FAILED));
    }

    #[test]
    fn a_failure_without_a_cause_has_an_empty_one_in_the_error_output() {
        assert_eq!(value::to_text(&Failure::timeout(false).error_output()), r#"{"Error":"States.Timeout","Cause":""}"#);
    }
}
