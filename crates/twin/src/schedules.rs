//! What happens by the clock: the minute schedules of the stack, the alarm on the probe's metric, and its delivery.
//!
//! Modelled: an alarm that needs two failing or missing minutes, CloudWatch's and EventBridge's delays, an event that
//! is delivered more than once, and a schedule that starts a run if the alarm still stands and its event was lost or
//! its run abandoned. Not modelled: alarms on anything else.

use std::rc::Rc;

use muster_actions::{NAMESPACE, PRIMARY_HEALTHY};
use muster_core::{Duration, Timestamp};
use muster_plan::{Plan, RegionRole};
use serde_json::{Value, json};

use crate::durations::{ALARM, COLD_START, DELIVERY, PERSON};
use crate::estate::Estate;
use crate::functions::Functions;
use crate::machines::StateMachines;
use crate::world::Twin;

pub(crate) const REGION_FAILOVER: &str = "region-failover";
/// How often the schedules tick.
pub(crate) const TICK: Duration = Duration::from_secs(30);
/// An alarm's period, and how many of them must fail.
const PERIODS: Duration = Duration::from_mins(2);
/// Late datapoints are waited for.
const LATE: Duration = Duration::from_secs(10);
/// The schedule starts a run when the alarm has stood for so long and none is open.
const STANDS: Duration = Duration::from_mins(3);

/// Everything that is started by the clock.
pub(crate) struct Schedules {
    twin: Rc<Twin>,
    functions: Rc<Functions>,
    machines: Rc<StateMachines>,
    plan: std::sync::Arc<Plan>,
    ticks: u64,
    alarm_since: Option<Timestamp>,
    alarms: u64,
    last_start: Option<Timestamp>,
}

impl Schedules {
    pub(crate) fn new(twin: &Rc<Twin>, functions: &Rc<Functions>, machines: &Rc<StateMachines>, plan: &std::sync::Arc<Plan>) -> Self {
        Schedules {
            twin: twin.clone(),
            functions: functions.clone(),
            machines: machines.clone(),
            plan: plan.clone(),
            ticks: 0,
            alarm_since: None,
            alarms: 0,
            last_start: None,
        }
    }

    /// One tick: a full or a half minute.
    pub(crate) fn tick(&mut self) {
        let on_the_minute = self.ticks.is_multiple_of(2);
        if on_the_minute {
            for role in [RegionRole::Standby, RegionRole::Witness] {
                self.functions.start(role, "probe", json!({ "vantage": self.plan.regions.get(role) }));
            }
        } else {
            self.functions.start(RegionRole::Standby, "sweep-decisions", json!({}));
        }
        if self.twin.look(|estate| estate.has_debts()) {
            self.functions.start(RegionRole::Standby, "fence-returned", json!({}));
        }
        if self.ticks % 10 == 5 {
            self.functions.start(RegionRole::Standby, "janitor", json!({}));
        }
        self.ticks += 1;
        self.watch_alarm();
    }

    fn watch_alarm(&mut self) {
        let now = self.twin.now();
        let Some(alarm) = self.plan.triggers.alarms.first().cloned() else {
            self.operator_starts(now);
            return;
        };
        let stands = self.twin.look(|estate| estate.alarm_stands());
        match (stands, self.alarm_since) {
            (false, _) => self.alarm_since = None,
            (true, None) => {
                self.alarm_since = Some(now);
                self.last_start = Some(now);
                self.alarms += 1;
                let (delay, twice) = self.twin.look(|estate| estate.delivery(&alarm, self.alarms));
                self.start_after(delay, event(&self.plan, &alarm, now));
                if let Some(again) = twice {
                    self.start_after(again, event(&self.plan, &alarm, now));
                }
            }
            (true, Some(since)) => {
                let lost = self.twin.look(|estate| estate.nobody_answered());
                let waited = self.last_start.is_none_or(|at| now.since(at) >= STANDS);
                if lost && waited && now.since(since) >= STANDS && self.machines.running(REGION_FAILOVER).is_empty() {
                    self.last_start = Some(now);
                    self.machines.start(REGION_FAILOVER, None, event(&self.plan, &alarm, now));
                }
            }
        }
    }

    /// Without an alarm in the plan, a person sees the outage and starts the flow.
    fn operator_starts(&mut self, now: Timestamp) {
        let due = self.twin.look(|estate| {
            let person = estate.durations.of(&PERSON, "operator", "starts", 0);
            estate.is_disturbed() && now >= estate.incident_at.after(person)
        });
        if due && self.last_start.is_none() {
            self.last_start = Some(now);
            let order = json!({ "service": self.plan.service, "by": "operator", "reason": "the primary region is down" });
            self.machines.start(REGION_FAILOVER, None, order);
        }
    }

    fn start_after(&self, delay: Duration, input: Value) {
        let machines = self.machines.clone();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(std::time::Duration::from_millis(delay.as_millis())).await;
            machines.start(REGION_FAILOVER, None, input);
        });
    }
}

/// What EventBridge sends. Source: the EventBridge user guide, "CloudWatch Alarm State Change".
fn event(plan: &Plan, alarm: &str, at: Timestamp) -> Value {
    let region = &plan.regions.standby;
    json!({
        "version": "0",
        "source": "aws.cloudwatch",
        "detail-type": "CloudWatch Alarm State Change",
        "account": "123456789012",
        "time": at,
        "region": region,
        "resources": [format!("arn:aws:cloudwatch:{region}:123456789012:alarm:{alarm}")],
        "detail": { "alarmName": alarm, "state": { "value": "ALARM" }, "previousState": { "value": "OK" } },
    })
}

impl Estate {
    /// Whether the probe's metric was below 1, or missing, in each of the last two minutes.
    fn alarm_stands(&self) -> bool {
        let until = self.now.before(LATE);
        let from = until.before(PERIODS);
        if from < self.started_at {
            return false;
        }
        let key = (self.plan.regions.standby.clone(), NAMESPACE.into(), PRIMARY_HEALTHY.into());
        let points = self.published.get(&key).map_or(&[][..], Vec::as_slice);
        !points.iter().rev().take_while(|point| point.at > from).any(|point| point.at <= until && point.milli >= 1_000)
    }

    /// How long until the alarm's event starts an execution, and until it does so again, if it is delivered twice.
    fn delivery(&self, alarm: &str, ordinal: u64) -> (Duration, Option<Duration>) {
        let delay = self.durations.of(&ALARM, alarm, "alarm", ordinal).saturating_add(self.durations.of(&DELIVERY, alarm, "delivery", ordinal));
        let twice = self.durations.draw().chance(alarm, "delivered twice", ordinal, 10);
        (delay, twice.then(|| delay.saturating_add(self.durations.of(&DELIVERY, alarm, "second delivery", ordinal))))
    }

    /// No run was ever opened, or the last one was abandoned.
    fn nobody_answered(&self) -> bool {
        let lanes = || self.memory.lanes.values();
        let none_open = lanes().all(|lane| lane.open.is_none());
        none_open && lanes().all(|lane| lane.last_closed.as_ref().is_none_or(|closed| &*closed.outcome == "abandoned"))
    }

    /// Whether the primary region is down or cut off.
    pub(crate) fn is_disturbed(&self) -> bool {
        self.network.is_disturbed(RegionRole::Primary)
    }

    /// Whether a service-wide note says that an old primary is still to be fenced: without one the schedule finds nothing to do.
    fn has_debts(&self) -> bool {
        self.memory.notes.keys().any(|(scope, name)| scope.starts_with("service/") && name.starts_with("fence"))
    }

    pub(crate) fn cold_start(&mut self, function: &str) -> Duration {
        let ordinal = self.count_call("lambda:Invoke", function);
        self.durations.of(&COLD_START, function, "start", ordinal)
    }
}
