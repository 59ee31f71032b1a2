//! The real state machines, loaded once for many rehearsals.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use muster_asl::{ExecutionStatus, LoadErrors, Machine, StepFunctions};
use muster_core::ports::ExecutionState;
use muster_core::{Progress, Region, Timestamp};
use serde_json::Value;

use crate::functions::answer;
use crate::world::Engine;

/// The account that ARNs name.
const ACCOUNT: &str = "123456789012";

/// The machines by the name of their flow.
const SOURCES: [(&str, &str); 4] = [
    ("announce", include_str!("../../../statemachines/announce.asl.json")),
    ("backup", include_str!("../../../statemachines/backup.asl.json")),
    ("restore-test", include_str!("../../../statemachines/restore-test.asl.json")),
    ("region-failover", include_str!("../../../statemachines/region-failover.asl.json")),
];

/// Loads every machine, with the ARNs of a stack in `region`.
pub(crate) fn load(region: &Region) -> Result<Vec<(&'static str, Machine)>, LoadErrors> {
    SOURCES.into_iter().map(|(flow, source)| Ok((flow, Machine::load(source, &substitutions(source, region))?))).collect()
}

/// `${PromoteReplicaFunctionArn}` is the function `promote-replica`, `${AnnounceStateMachineArn}` the machine `announce`.
fn substitutions(source: &str, region: &Region) -> BTreeMap<String, String> {
    let names = source.split("${").skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name));
    let arn = |name: &str| {
        let function = name.strip_suffix("FunctionArn").map(|name| format!("arn:aws:lambda:{region}:{ACCOUNT}:function:{}", kebab(name)));
        function.or_else(|| name.strip_suffix("StateMachineArn").map(|name| format!("arn:aws:states:{region}:{ACCOUNT}:stateMachine:{}", kebab(name))))
    };
    names.filter_map(|name| Some((name.to_owned(), arn(name)?))).collect()
}

fn kebab(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

/// Step Functions, as Muster's ports see them.
pub(crate) struct StateMachines {
    pub(crate) functions: StepFunctions,
    /// Executions in the order of their start: flow, ARN.
    started: RefCell<Vec<(Arc<str>, Rc<str>)>>,
}

impl StateMachines {
    pub(crate) fn new(functions: StepFunctions) -> Rc<Self> {
        Rc::new(StateMachines { functions, started: RefCell::new(Vec::new()) })
    }

    /// Starts a flow, as EventBridge does: without a name of its own.
    pub(crate) fn start(&self, flow: &str, name: Option<&str>, input: Value) {
        if let Ok(arn) = self.functions.start_execution(flow, name, input) {
            let mut started = self.started.borrow_mut();
            if !started.iter().any(|(_, known)| *known == arn) {
                started.push((flow.into(), arn));
            }
        }
    }

    /// The executions of a flow that run.
    pub(crate) fn running(&self, flow: &str) -> Vec<Rc<str>> {
        let started = self.started.borrow();
        let of_flow = started.iter().filter(|(known, _)| **known == *flow).map(|(_, arn)| arn);
        of_flow.filter(|arn| self.execution_state(arn) == ExecutionState::Running).cloned().collect()
    }

    /// Forgets the executions that ended before an instant: for rehearsals that last for months.
    pub(crate) fn forget_ended_before(&self, instant: Timestamp) {
        self.functions.forget_ended_before(u64::try_from(instant.as_millis()).unwrap_or_default());
        self.started.borrow_mut().retain(|(_, arn)| self.functions.execution_status(arn).is_ok());
    }

    /// How many executions of a flow were started.
    pub(crate) fn started(&self, flow: &str) -> usize {
        self.started.borrow().iter().filter(|(known, _)| **known == *flow).count()
    }

    /// The events of the execution that has the most.
    pub(crate) fn longest_history(&self) -> u64 {
        self.functions.list_executions().iter().map(|execution| execution.history_events).max().unwrap_or(0)
    }

    /// Whether any execution of any flow runs.
    pub(crate) fn any_running(&self) -> bool {
        self.functions.any_running()
    }
}

impl Engine for StateMachines {
    fn execution_state(&self, execution: &str) -> ExecutionState {
        match self.functions.execution_status(execution) {
            Err(_) => ExecutionState::Unknown,
            Ok((ExecutionStatus::Running, _)) => ExecutionState::Running,
            Ok((_, ended)) => {
                let at = ended.and_then(|millis| i64::try_from(millis).ok()).unwrap_or_default();
                ExecutionState::Ended(Timestamp::from_millis(at))
            }
        }
    }

    fn wake(&self, token: &str, progress: &Progress) -> bool {
        // Most are awaited no longer: the sweeper wakes again whoever was answered, as long as the run is open.
        self.functions.is_awaited(token) && self.functions.send_task_success(token, answer(progress)).is_ok()
    }

    fn start_flow(&self, flow: &str, name: &str, input: &Value) {
        self.start(flow, Some(name), input.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_substitution_is_named_mechanically() {
        let found = substitutions("\"${PromoteReplicaFunctionArn}\" \"${AnnounceStateMachineArn}\"", &"us-west-2".parse().unwrap());
        assert_eq!(found["PromoteReplicaFunctionArn"], "arn:aws:lambda:us-west-2:123456789012:function:promote-replica");
        assert_eq!(found["AnnounceStateMachineArn"], "arn:aws:states:us-west-2:123456789012:stateMachine:announce");
    }

    #[test]
    fn the_real_machines_load() {
        let loaded = load(&"us-west-2".parse().unwrap());
        assert_eq!(loaded.unwrap().len(), SOURCES.len());
    }
}
