//! What people do to executions in the console: stop them, redrive them, start them.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use muster_actions::alarm_event;
use muster_core::{Duration, Timestamp};
use muster_plan::{Flow, Plan};
use serde_json::json;

use crate::faults::{Afterwards, Fault};
use crate::machines::StateMachines;
use crate::scenario::{Scenario, When};
use crate::world::Twin;

/// How often somebody looks whether the run is closed at last.
const LOOK: Duration = Duration::from_secs(30);
/// A run that nobody closes for so long is not waited for: that it has to be closed is an invariant.
const PATIENCE: Duration = Duration::from_hours(1);

/// Somebody at the console.
pub(crate) struct Console {
    twin: Rc<Twin>,
    machines: Rc<StateMachines>,
    plan: Arc<Plan>,
    /// What is stopped and started.
    flow: Flow,
    /// What is still to be done.
    errands: Cell<usize>,
}

impl Console {
    /// Does what the scenario says, each at its time.
    pub(crate) fn attend(scenario: &Scenario, twin: &Rc<Twin>, machines: &Rc<StateMachines>, plan: &Arc<Plan>) -> Rc<Self> {
        let console = Rc::new(Console { twin: twin.clone(), machines: machines.clone(), plan: plan.clone(), flow: scenario.flow, errands: Cell::new(0) });
        let incident_at = twin.look(|estate| estate.incident_at);
        for planned in &scenario.faults {
            match (&planned.when, &planned.fault) {
                (When::At(offset), fault @ (Fault::ExecutionStopped { .. } | Fault::AlarmAgain | Fault::OperatorStarts)) => {
                    let at = Timestamp::from_millis(incident_at.as_millis().saturating_add(*offset));
                    console.clone().later(at.since(twin.now()), fault.clone());
                }
                (When::HistoryEvent { nth }, Fault::ExecutionStopped { then }) => console.cut(*nth, *then),
                _ => {}
            }
        }
        console
    }

    /// Whether something is still to be done.
    pub(crate) fn is_busy(&self) -> bool {
        self.errands.get() > 0
    }

    fn later(self: Rc<Self>, delay: Duration, fault: Fault) {
        self.errand(async move |console| {
            console.twin.sleep(delay).await;
            match fault {
                Fault::AlarmAgain => console.alarm_again(),
                Fault::OperatorStarts => console.start("wants to be sure"),
                Fault::ExecutionStopped { then } => {
                    for execution in console.machines.running(console.flow.as_str()) {
                        console.stop(&execution);
                        console.afterwards(&execution, then).await;
                    }
                }
                _ => {}
            }
        });
    }

    /// Stops the execution at an event of its history.
    fn cut(self: &Rc<Self>, nth: u64, then: Afterwards) {
        let seen = Cell::new(0);
        // The engine holds its observer, which must not hold the engine.
        let (console, machines) = (Rc::downgrade(self), Rc::downgrade(&self.machines));
        let flow = format!(":{}:", self.flow.as_str());
        self.machines.functions.observe(move |execution, _| {
            let (Some(console), Some(_)) = (console.upgrade(), machines.upgrade()) else { return };
            if !execution.contains(&flow) {
                return;
            }
            seen.set(seen.get() + 1);
            if seen.get() != nth {
                return;
            }
            console.stop(execution);
            let execution: Rc<str> = execution.into();
            console.errand(async move |console| console.afterwards(&execution, then).await);
        });
    }

    fn errand(self: &Rc<Self>, errand: impl AsyncFnOnce(Rc<Self>) + 'static) {
        self.errands.set(self.errands.get() + 1);
        let console = self.clone();
        tokio::task::spawn_local(async move {
            errand(console.clone()).await;
            console.errands.set(console.errands.get().saturating_sub(1));
        });
    }

    fn stop(&self, execution: &str) {
        self.twin.look(|estate| estate.tell("an operator stops the execution in the console"));
        // One that ends at this very moment cannot be stopped, and need not be.
        let _ = self.machines.functions.stop_execution(execution, Some("Console"), Some("stopped by an operator"));
    }

    async fn afterwards(&self, execution: &str, then: Afterwards) {
        match then {
            Afterwards::Left => {}
            Afterwards::Redriven { after } => {
                self.twin.sleep(after).await;
                self.twin.look(|estate| estate.tell("an operator redrives the execution"));
                // Refused where it ended well before it could be stopped: nothing is left to go on with.
                let _ = self.machines.functions.redrive_execution(execution);
            }
            Afterwards::StartedAgain => {
                let stopped_at = self.twin.now();
                while self.holds_lock(execution) && self.twin.now().since(stopped_at) < PATIENCE {
                    self.twin.sleep(LOOK).await;
                }
                self.start("the execution was stopped");
            }
        }
    }

    fn holds_lock(&self, execution: &str) -> bool {
        self.twin.look(|estate| estate.memory.open_runs().iter().any(|open| *open.execution == *execution && open.run.lane == self.flow.lane()))
    }

    fn start(&self, reason: &str) {
        self.twin.look(|estate| estate.tell("an operator starts the flow by hand"));
        self.machines.start(self.flow.as_str(), None, json!({ "service": self.plan.service, "by": "operator", "reason": reason }));
    }

    fn alarm_again(&self) {
        let Some(alarm) = self.plan.triggers.alarms.first() else { return };
        self.twin.look(|estate| estate.tell("the alarm's event is delivered once more"));
        self.machines.start(self.flow.as_str(), None, alarm_event(&self.plan.regions.standby, alarm, self.twin.now()));
    }
}
