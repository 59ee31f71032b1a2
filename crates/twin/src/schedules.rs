//! What happens by the clock: the minute schedules of the stack, the alarm on the probe's metric, and its delivery.
//!
//! Modelled: an alarm that needs two failing minutes and keeps its state while there is no data, CloudWatch's and
//! EventBridge's delays, an event that is delivered more than once. Not modelled: alarms on anything else.

use std::rc::Rc;

use muster_actions::{NAMESPACE, PRIMARY_HEALTHY, alarm_event};
use muster_asl::Value;
use muster_core::{Duration, Timestamp};
use muster_plan::{Plan, RegionRole};
use serde_json::json;

use crate::durations::{ALARM, COLD_START, DELIVERY, PERSON};
use crate::estate::Estate;
use crate::functions::Functions;
use crate::machines::StateMachines;
use crate::world::Twin;

pub(crate) const REGION_FAILOVER: &str = "region-failover";
/// How often the schedules tick.
pub(crate) const TICK: Duration = Duration::from_secs(30);
/// An alarm's period, and how many of them must fail.
pub(crate) const PERIODS: Duration = Duration::from_mins(2);
/// Late datapoints are waited for.
const LATE: Duration = Duration::from_secs(10);

/// Everything that is started by the clock.
pub(crate) struct Schedules {
    twin: Rc<Twin>,
    functions: Rc<Functions>,
    machines: Rc<StateMachines>,
    plan: std::sync::Arc<Plan>,
    /// What each probe is told: where it stands.
    vantages: [(RegionRole, Value); 2],
    /// What the others are told.
    nothing: Value,
    ticks: u64,
    alarms: u64,
    last_start: Option<Timestamp>,
}

impl Schedules {
    pub(crate) fn new(twin: &Rc<Twin>, functions: &Rc<Functions>, machines: &Rc<StateMachines>, plan: &std::sync::Arc<Plan>) -> Self {
        let vantage = |role| (role, Value::from(json!({ "vantage": plan.regions.get(role) })));
        Schedules {
            twin: twin.clone(),
            functions: functions.clone(),
            machines: machines.clone(),
            plan: plan.clone(),
            vantages: [RegionRole::Standby, RegionRole::Witness].map(vantage),
            nothing: Value::from(json!({})),
            ticks: 0,
            alarms: 0,
            last_start: None,
        }
    }

    /// One tick: a full or a half minute.
    pub(crate) fn tick(&mut self) {
        let on_the_minute = self.ticks.is_multiple_of(2);
        if on_the_minute {
            for (role, vantage) in &self.vantages {
                self.functions.start(*role, "probe", vantage);
            }
        } else if self.twin.look(|estate| estate.has_questions()) {
            self.functions.start(RegionRole::Standby, "sweep-decisions", &self.nothing);
        }
        if self.twin.look(|estate| estate.has_debts()) {
            self.functions.start(RegionRole::Standby, "fence-returned", &self.nothing);
        }
        if self.ticks % 10 == 5 {
            self.functions.start(RegionRole::Standby, "janitor", &self.nothing);
        }
        self.ticks += 1;
        self.watch_alarm();
    }

    fn watch_alarm(&mut self) {
        let now = self.twin.now();
        let plan = self.plan.clone();
        let Some(alarm) = plan.triggers.alarms.first() else {
            self.operator_starts(now);
            return;
        };
        if !self.twin.look(Estate::watch_alarm) {
            return;
        }
        self.alarms += 1;
        let (delay, twice) = self.twin.look(|estate| estate.delivery(alarm, self.alarms));
        self.start_after(delay, alarm_event(&self.plan.regions.standby, alarm, now));
        if let Some(again) = twice {
            self.start_after(again, alarm_event(&self.plan.regions.standby, alarm, now));
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

    fn start_after(&self, delay: Duration, input: serde_json::Value) {
        let (twin, machines) = (self.twin.clone(), self.machines.clone());
        tokio::task::spawn_local(async move {
            twin.sleep(delay).await;
            machines.start(REGION_FAILOVER, None, input);
        });
    }
}

impl Estate {
    /// Looks at the alarm on the probe's metric; `true` when it goes off now.
    fn watch_alarm(&mut self) -> bool {
        let before = self.alarm_since;
        match self.alarm_judges() {
            Some(true) => self.alarm_since = before.or(Some(self.now)),
            Some(false) => self.alarm_since = None,
            None => {}
        }
        before.is_none() && self.alarm_since.is_some()
    }

    /// Whether the probe's metric was below 1 in each of the last two minutes; `None` where there is too little data to say,
    /// and the alarm keeps its state.
    fn alarm_judges(&self) -> Option<bool> {
        let until = self.now.before(LATE);
        let from = until.before(PERIODS);
        let points = self.published(&self.plan.regions.standby, NAMESPACE, PRIMARY_HEALTHY).unwrap_or_default();
        let recent = || points.iter().rev().take_while(|point| point.at > from).filter(|point| point.at <= until);
        if recent().any(|point| point.milli >= 1_000) {
            return Some(false);
        }
        (recent().count() >= 2).then_some(true)
    }

    /// How long until the alarm's event starts an execution, and until it does so again, if it is delivered twice.
    fn delivery(&self, alarm: &str, ordinal: u64) -> (Duration, Option<Duration>) {
        let delay = self.durations.of(&ALARM, alarm, "alarm", ordinal).saturating_add(self.durations.of(&DELIVERY, alarm, "delivery", ordinal));
        let twice = self.durations.draw().chance(alarm, "delivered twice", ordinal, 10);
        (delay, twice.then(|| delay.saturating_add(self.durations.of(&DELIVERY, alarm, "second delivery", ordinal))))
    }

    /// Whether the primary region is down or cut off.
    pub(crate) fn is_disturbed(&self) -> bool {
        self.network.is_disturbed(RegionRole::Primary)
    }

    /// Whether a service-wide note says that an old primary is still to be fenced: without one the schedule finds nothing to do.
    fn has_debts(&self) -> bool {
        self.memory.notes.iter().any(|(scope, notes)| scope.starts_with("service/") && notes.keys().any(|name| name.starts_with("fence")))
    }

    /// Whether any run waits for an answer: without a question the sweeper finds nothing to do.
    fn has_questions(&self) -> bool {
        self.memory.open_questions().next().is_some()
    }

    pub(crate) fn cold_start(&mut self, function: &str) -> Duration {
        self.time_of_call(&COLD_START, "start", function)
    }
}
