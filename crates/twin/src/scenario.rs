//! What goes wrong in a rehearsal: an explicit list of faults, each with its own instant or call.
//!
//! A scenario is expanded once, from names or from a seed. Every parameter is drawn under the fault's own name, so that
//! taking one fault out of the list leaves the others as they were.

use std::fmt;
use std::sync::Arc;

use muster_core::{CallFault, Duration};
use muster_plan::{Decision, Flow, LagGate, Plan, WhenLagUnknown};

use crate::draw::Draw;
use crate::durations::{PERSON, Profile};
use crate::faults::{Accepting, Afterwards, FAULTS, Fault};

/// Which calls a fault is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matching {
    /// Every call, also to Muster's own tables.
    Any,
    /// Calls that change the service's estate.
    Mutating,
    /// Calls that look at the service's estate.
    Reading,
    /// One operation, such as `rds:PromoteReadReplica`; with `*` at its end, all that begin so.
    Operation(Arc<str>),
    /// One operation of one action.
    Made {
        /// Such as `promote-replica`.
        action: Arc<str>,
        /// Such as `rds:PromoteReadReplica`.
        operation: Arc<str>,
    },
}

/// When a fault happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// So many milliseconds after the incident; before it where negative.
    At(i64),
    /// At the `nth` call (from 1) after the incident that matches.
    Call {
        /// Which calls count.
        matching: Matching,
        /// The position, from 1.
        nth: u64,
    },
    /// At the `nth` event (from 1) in the history of the scenario's flow.
    HistoryEvent {
        /// The position, from 1; events of a second execution count on.
        nth: u64,
    },
    /// So long after a question was heard: its deadline was set.
    Asked(Duration),
}

/// A fault and its instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The name that it was expanded from.
    pub name: &'static str,
    /// When.
    pub when: When,
    /// What.
    pub fault: Fault,
}

impl fmt::Display for Planned {
    /// One line: when, which, what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.when {
            When::At(offset) => {
                let (sign, seconds) = (if *offset < 0 { '-' } else { '+' }, offset.unsigned_abs() / 1_000);
                write!(f, "T{sign}{:02}:{:02}", seconds / 60, seconds % 60)?;
            }
            When::Call { matching, nth } => write!(f, "at {matching} {nth}")?,
            When::HistoryEvent { nth } => write!(f, "at event {nth} of the execution")?,
            When::Asked(after) => write!(f, "{} after it was asked", after.in_words())?,
        }
        write!(f, "  {}: {}", self.name, self.fault)
    }
}

impl fmt::Display for Matching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Matching::Any => f.write_str("call"),
            Matching::Mutating => f.write_str("mutating call"),
            Matching::Reading => f.write_str("reading call"),
            Matching::Operation(operation) => write!(f, "{operation}, call"),
            Matching::Made { action, operation } => write!(f, "{operation} by {action}, call"),
        }
    }
}

/// Everything that decides a rehearsal beside the plan and the product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// What is rehearsed: the flow that is cut off at an event of its history. The region failover's is an incident; the others' are their schedules.
    pub flow: Flow,
    /// Decides every duration.
    pub seed: u64,
    /// Whether things take their time.
    pub profile: Profile,
    /// The faults.
    pub faults: Vec<Planned>,
}

/// Of how many random scenarios one has the fault. Where a plan waits for people, somebody answers in every other one.
fn one_in(name: &str, plan: &Plan) -> u64 {
    if people_needed(plan).contains(&name) { 2 } else { 10 }
}

/// The answers without which a plan's region failover does not go through, by the names of their faults.
pub(crate) fn people_needed(plan: &Plan) -> Vec<&'static str> {
    let mut people = Vec::new();
    if matches!(plan.triggers.decision, Decision::Approval { .. }) {
        people.push("approval");
    }
    let waits = |gate: &LagGate| matches!(gate.when_unknown, WhenLagUnknown::Hold);
    if plan.databases.iter().filter_map(|database| database.lag.as_ref()).any(waits) {
        people.push("person-accepts");
    }
    people
}

/// A name that is no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a fault that can be rehearsed; `muster faults` lists them")]
pub struct UnknownFault {
    /// The name.
    pub name: String,
}

impl Scenario {
    /// No fault at all: the alarm is false.
    pub fn quiet(seed: u64) -> Self {
        Scenario { flow: Flow::RegionFailover, seed, profile: Profile::Realistic, faults: Vec::new() }
    }

    /// A flow that schedules start, on a day on which nothing goes wrong.
    pub fn of_flow(flow: Flow, seed: u64) -> Self {
        Scenario { flow, ..Scenario::quiet(seed) }
    }

    /// The faults of these names. Without an outage among them, the primary region is down.
    ///
    /// # Errors
    /// The first name that is no fault.
    pub fn named<S: AsRef<str>>(names: &[S], seed: u64, plan: &Plan) -> Result<Self, UnknownFault> {
        let mut known = Vec::new();
        for name in names {
            let name = name.as_ref();
            let found = FAULTS.iter().find(|fault| fault.name == name);
            known.push(found.ok_or_else(|| UnknownFault { name: name.to_owned() })?);
        }
        let mut scenario = Scenario::quiet(seed);
        if !known.iter().any(|fault| fault.is_outage) {
            scenario.expand("primary-region-down", plan);
        }
        for fault in known {
            scenario.expand(fault.name, plan);
        }
        Ok(scenario)
    }

    /// An outage and whatever else the seed brings: each other fault once in ten times.
    pub fn random(seed: u64, plan: &Plan) -> Self {
        let draw = Draw::new(seed);
        let mut scenario = Scenario::quiet(seed);
        let outage = match draw.below("scenario", "outage", 0, 100) {
            0..40 => "primary-region-down",
            40..50 => "blackout",
            50..65 => "application-down",
            65..73 => "primary-region-isolated",
            73..80 => "primary-region-partitioned",
            80..88 => "outage-clears",
            _ => "primary-returns",
        };
        scenario.expand(outage, plan);
        for fault in FAULTS.iter().filter(|fault| !fault.is_outage) {
            if draw.chance(fault.name, "happens", 0, one_in(fault.name, plan)) {
                scenario.expand(fault.name, plan);
            }
        }
        scenario
    }

    /// The names of the faults, each once.
    pub fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = Vec::new();
        for planned in &self.faults {
            if !names.contains(&planned.name) {
                names.push(planned.name);
            }
        }
        names
    }

    /// The same with only the faults at these positions, from 1.
    pub fn keeping(&self, positions: &[usize]) -> Self {
        let kept = self.faults.iter().enumerate().filter(|(index, _)| positions.contains(&(index + 1)));
        Scenario { faults: kept.map(|(_, planned)| planned.clone()).collect(), ..self.clone() }
    }

    /// The same without the faults of that name.
    pub fn without(&self, name: &str) -> Self {
        Scenario { faults: self.faults.iter().filter(|planned| planned.name != name).cloned().collect(), ..self.clone() }
    }

    fn expand(&mut self, name: &'static str, plan: &Plan) {
        let draw = Draw::new(self.seed);
        let number = |what: &str, bound: u64| draw.below(name, what, 0, bound);
        let minutes = |what: &str, from: i64, until: i64| from * 60_000 + i64::try_from(number(what, (until - from).unsigned_abs() * 60_000)).unwrap_or(0);
        let span = |what: &str, from: i64, until: i64| Duration::from_millis(minutes(what, from, until).unsigned_abs());
        let nth = |matching: Matching, bound: u64| When::Call { matching, nth: 1 + number("nth", bound) };
        let fails = |fault: CallFault, applied: bool, times: u64| Fault::Call { fault, applied, times };
        let answer = |question, choice, by| Fault::Answer { question, choice, by, accepting: Accepting::Nothing };
        let person = || PERSON.at(draw.bits(name, "person", 0));
        let now = When::At(0);
        let planned: Vec<(When, Fault)> = match name {
            "primary-region-down" => vec![(now, Fault::RegionDown)],
            "primary-region-partitioned" => vec![(now, Fault::RegionPartitioned)],
            "primary-region-isolated" => vec![(now, Fault::RegionIsolated)],
            "application-down" => vec![(now, Fault::ApplicationDown)],
            "blackout" => vec![(When::At(0), Fault::RegionDown), (now, Fault::GlobalPlanesDown)],
            "outage-clears" => vec![(now, Fault::RegionDown), (When::At(minutes("clears", 5, 8)), Fault::RegionReturns)],
            "primary-returns" => vec![(now, Fault::RegionDown), (When::At(minutes("returns", 15, 45)), Fault::RegionReturns)],
            "control-plane-down" => {
                let service = ["rds", "autoscaling", "elasticache", "route53", "cloudwatch"][usize::try_from(number("service", 5)).unwrap_or(0)];
                vec![(now, Fault::ControlPlaneDown { service })]
            }
            "throttling" => vec![(nth(Matching::Any, 120), fails(CallFault::Throttled, false, 2 + number("times", 6)))],
            "unavailable" => vec![(nth(Matching::Any, 120), fails(CallFault::Unavailable, false, 1))],
            "unavailable-applied" => vec![(nth(Matching::Mutating, 12), fails(CallFault::Unavailable, true, 1))],
            "applied-timeout" => vec![(nth(Matching::Mutating, 12), fails(CallFault::TimedOut, true, 1))],
            "timeout" => vec![(nth(Matching::Mutating, 12), fails(CallFault::TimedOut, false, 1))],
            "stale-read" => vec![(nth(Matching::Reading, 60), Fault::StaleRead { age: Duration::from_secs(30) })],
            "duplicate-delivery" => vec![(nth(Matching::Mutating, 12), Fault::DuplicateDelivery)],
            "crash-before-call" => vec![(nth(Matching::Mutating, 12), Fault::CrashBefore)],
            "crash-after-call" => vec![(nth(Matching::Mutating, 12), Fault::CrashAfter)],
            "replica-lag" => {
                vec![(When::At(-4 * 60_000), Fault::ReplicaLag { already: span("already", 0, 8), permille: 300 + number("permille", 700) })]
            }
            "promotion-hangs" => vec![(now, Fault::PromotionHangs { by: span("by", 60, 300) })],
            "replica-backing-up" => vec![(now, Fault::ReplicaBackingUp { span: span("span", 5, 40) })],
            "quota-reached" => vec![(now, Fault::QuotaReached { left: 2 })],
            "target-unhealthy" => vec![(now, Fault::TargetUnhealthy)],
            "channel-down" => vec![(now, Fault::ChannelDown { channel: None })],
            "execution-stopped" => vec![(When::At(minutes("stopped", 4, 40)), Fault::ExecutionStopped { then: Afterwards::Left })],
            "execution-redriven" => {
                let then = Afterwards::Redriven { after: Duration::from_secs(30 + number("after", 1_170)) };
                vec![(When::At(minutes("stopped", 4, 40)), Fault::ExecutionStopped { then })]
            }
            "execution-restarted" => vec![(When::At(minutes("stopped", 4, 40)), Fault::ExecutionStopped { then: Afterwards::StartedAgain })],
            "kill-switch" => {
                let set = minutes("set", 1, 40);
                vec![(When::At(set), Fault::KillSwitchSet), (When::At(set + minutes("cleared", 5, 60)), Fault::KillSwitchCleared)]
            }
            "kill-switch-at-a-call" => {
                let at = nth(Matching::Mutating, 12);
                vec![
                    (at.clone(), Fault::KillSwitchSet),
                    (at, fails(CallFault::TimedOut, true, 1)),
                    (When::At(minutes("cleared", 60, 120)), Fault::KillSwitchCleared),
                ]
            }
            "veto" => vec![(When::Asked(Duration::from_secs(30 + number("after", 200))), answer("failover", "veto", "Incident Commander"))],
            "approval" => vec![(When::Asked(Duration::from_secs(20 + number("after", 100))), answer("failover", "proceed", "Incident Commander"))],
            "late-answer" => {
                let window = match &plan.triggers.decision {
                    Decision::Veto { window } => *window,
                    Decision::Approval { within, .. } => *within,
                    Decision::Automatic => Duration::ZERO,
                };
                vec![(When::Asked(window.saturating_add(person())), answer("failover", "veto", "Incident Commander"))]
            }
            "double-answer" => {
                let after = Duration::from_secs(30 + number("after", 200));
                let again = after.saturating_add(Duration::from_secs(5));
                vec![(When::Asked(after), answer("failover", "proceed", "Ada")), (When::Asked(again), answer("failover", "proceed", "Ada"))]
            }
            "contradicting-answers" => {
                let after = Duration::from_secs(30 + number("after", 200));
                vec![(When::Asked(after), answer("failover", "proceed", "Ada")), (When::Asked(after), answer("failover", "veto", "Grace"))]
            }
            "person-accepts" | "person-accepts-loss" | "person-accepts-unfenced" => {
                let accepting = match name {
                    "person-accepts-loss" => Accepting::Loss,
                    "person-accepts-unfenced" => Accepting::Unfenced,
                    _ => Accepting::Everything,
                };
                vec![(When::Asked(person()), Fault::Answer { question: "*", choice: "retry", by: "VP Engineering", accepting })]
            }
            "operator-by-hand" => vec![(When::At(minutes("promotes", 5, 30)), Fault::OperatorPromotes)],
            "scaled-by-hand" => vec![(When::At(minutes("scales", 0, 30)), Fault::OperatorScales)],
            "caches-by-hand" => vec![(When::At(minutes("fails over", 0, 30)), Fault::OperatorFailsCachesOver)],
            "second-alarm" => vec![(When::At(minutes("again", 0, 60)), Fault::AlarmAgain)],
            "started-by-hand" => vec![(When::At(minutes("starts", 0, 60)), Fault::OperatorStarts)],
            _ => Vec::new(),
        };
        self.faults.extend(planned.into_iter().map(|(when, fault)| Planned { name, when, fault }));
    }
}
