//! Executions of Muster's state machines.

use aws_sdk_sfn::types::ExecutionStatus;
use muster_core::ports::{ExecutionState, Executions};
use muster_core::{CallError, CallFault, Progress, Timestamp};
use serde_json::{Value, json};

use crate::{Aws, Failed, Target, classify};

/// A token that nobody waits for (any more). Source: API reference of Step Functions, SendTaskSuccess.
const NOBODY_WAITS: [&str; 3] = ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"];

impl<X> Executions for Aws<X> {
    async fn execution_state(&self, execution: &str) -> Result<ExecutionState, CallError> {
        let describe = self.sfn(self.home()).describe_execution().execution_arn(execution);
        let send = async {
            let answer = match describe.send().await.map_err(classify) {
                Ok(answer) => answer,
                Err(failed) if failed.code == "ExecutionDoesNotExist" => return Ok(ExecutionState::Unknown),
                Err(failed) => return Err(failed),
            };
            match answer.status {
                ExecutionStatus::Running | ExecutionStatus::PendingRedrive => Ok(ExecutionState::Running),
                ExecutionStatus::Succeeded | ExecutionStatus::Failed | ExecutionStatus::TimedOut | ExecutionStatus::Aborted => {
                    // The answer has it as a fraction of seconds, which comes out a hair before the millisecond that is meant.
                    let ended = answer.stop_date.map(|at| Timestamp::from_millis(at.secs() * 1_000 + i64::from((at.subsec_nanos() + 500_000) / 1_000_000)));
                    ended
                        .map(ExecutionState::Ended)
                        .ok_or_else(|| Failed::new(CallFault::Rejected, "the execution has ended, and the answer does not say when"))
                }
                // A lock is not taken from an owner of whom nobody knows how it is.
                other => Err(Failed::new(CallFault::Rejected, format!("the status `{other}` is not known"))),
            }
        };
        self.books(Target::control("states:DescribeExecution", self.home(), execution), send).await
    }

    async fn wake(&self, token: &str, progress: &Progress) -> Result<bool, CallError> {
        let wake = self.sfn(self.home()).send_task_success().task_token(token).output(json!(progress).to_string());
        let send = async {
            match wake.send().await.map_err(classify) {
                Ok(_) => Ok(true),
                Err(failed) if NOBODY_WAITS.contains(&failed.code.as_str()) => Ok(false),
                Err(failed) => Err(failed),
            }
        };
        self.books(Target::data("states:SendTaskSuccess", self.home(), "task token"), send).await
    }

    async fn start_flow(&self, flow: &str, name: &str, input: &Value) -> Result<(), CallError> {
        let machine = format!("{}{flow}", self.settings().flow_arn_prefix);
        let start = self.sfn(self.home()).start_execution().state_machine_arn(&machine).name(name).input(input.to_string());
        let send = async {
            match start.send().await.map_err(classify) {
                Ok(_) => Ok(()),
                // The same name with another input, or after its end: it was started, which is all that is asked.
                Err(failed) if failed.code == "ExecutionAlreadyExists" => Ok(()),
                Err(failed) => Err(failed),
            }
        };
        self.books(Target::data("states:StartExecution", self.home(), format!("{flow} {name}")), send).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{answer, world};

    const EXECUTION: &str = "arn:aws:states:us-west-2:123456789012:execution:muster-region-failover:one";

    fn described(status: &str, stopped: Option<f64>) -> Value {
        let mut body = json!({ "executionArn": EXECUTION, "stateMachineArn": "arn:m", "startDate": 1_790_000_000.0, "status": status });
        if let Some(at) = stopped {
            body["stopDate"] = json!(at);
        }
        body
    }

    #[tokio::test]
    async fn an_execution_runs_has_ended_or_is_unknown() {
        let state = async |status: u16, body: Value| world(move |_| Some(answer(status, &body))).0.execution_state(EXECUTION).await;
        assert_eq!(state(200, described("RUNNING", None)).await, Ok(ExecutionState::Running));
        for status in ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"] {
            let ended = state(200, described(status, Some(1_790_000_000.123))).await;
            assert_eq!(ended, Ok(ExecutionState::Ended(Timestamp::from_millis(1_790_000_000_123))), "{status}");
        }
        assert_eq!(state(400, json!({ "__type": "com.amazonaws.swf.service.v2.model#ExecutionDoesNotExist" })).await, Ok(ExecutionState::Unknown));
        for (status, body) in [(200, described("SLEEPING", None)), (200, described("FAILED", None)), (400, json!({ "__type": "InvalidArn" }))] {
            assert_eq!(state(status, body).await.unwrap_err().fault, CallFault::Rejected, "nobody takes a lock because of this");
        }
    }

    #[tokio::test]
    async fn a_token_that_nobody_waits_for_is_no_error() {
        let veto = Progress::done("veto by Ann").with_verdict("veto");
        let wake = async |status: u16, body: Value| world(move |_| Some(answer(status, &body))).0.wake("token", &veto).await;
        assert_eq!(wake(200, json!({})).await, Ok(true));
        for code in ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"] {
            assert_eq!(wake(400, json!({ "__type": code })).await, Ok(false), "{code}");
        }
        assert_eq!(wake(400, json!({ "__type": "InvalidOutput" })).await.unwrap_err().fault, CallFault::Rejected);
    }

    #[tokio::test]
    async fn a_flow_that_was_started_is_started() {
        let (started, wire) = world(|_| Some(answer(200, json!({ "executionArn": EXECUTION, "startDate": 1_790_000_000.0 }))));
        started.start_flow("region-failover", "one", &json!({ "a": 1 })).await.unwrap();
        let sent = wire.only();
        assert_eq!(sent.operation(), "StartExecution");
        assert_eq!(
            sent.json(),
            json!({ "stateMachineArn": "arn:aws:states:us-west-2:123456789012:stateMachine:muster-region-failover", "name": "one", "input": "{\"a\":1}" })
        );
        let (again, _) = world(|_| Some(answer(400, json!({ "__type": "ExecutionAlreadyExists" }))));
        again.start_flow("region-failover", "one", &json!({})).await.unwrap();
        let (none, _) = world(|_| Some(answer(400, json!({ "__type": "StateMachineDoesNotExist" }))));
        assert_eq!(none.start_flow("region-failover", "one", &json!({})).await.unwrap_err().fault, CallFault::NotFound);
    }
}
