//! What a rehearsal ends with.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_core::{Duration, Timestamp};
use muster_plan::Flow;
use muster_report::{Busy, Clients, ComponentTruth, Report};

use crate::estate::Estate;
use crate::facts::Facts;
use crate::invariants::Violation;
use crate::memory::Delivered;
use crate::scenario::Scenario;

/// The end of a rehearsal.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// What was rehearsed.
    pub flow: Flow,
    /// The seed.
    pub seed: u64,
    /// The names of the faults.
    pub faults: Vec<&'static str>,
    /// When the incident began.
    pub incident_at: Timestamp,
    /// When the rehearsal ended.
    pub ended_at: Timestamp,
    /// How the last run ended, as its lane says; absent where no run was opened, or none was closed.
    pub outcome: Option<Arc<str>>,
    /// How many runs were opened.
    pub runs: u64,
    /// The last run's report, with what clients saw.
    pub report: Option<Report>,
    /// What clients saw.
    pub clients: Clients,
    /// From the incident until clients were served again, for good; absent where nothing failed or nothing was restored.
    pub rto: Option<Duration>,
    /// Whether clients were being served at the end.
    pub served_at_the_end: bool,
    /// The largest loss of confirmed writes of any database.
    pub rpo: Duration,
    /// Confirmed writes that were lost.
    pub writes_lost: u64,
    /// What must never happen, and did.
    pub violation: Option<Violation>,
    /// Messages that channels accepted.
    pub messages: Vec<Delivered>,
    /// How often a run held for a person.
    pub held: u64,
    /// What the estate looks like at the end.
    pub facts: Facts,
    /// What it took.
    pub effort: Effort,
}

/// What a rehearsal took of AWS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Invocations of functions.
    pub invocations: u64,
    /// Calls of every kind, to Muster's own tables too, by operation.
    pub calls: BTreeMap<&'static str, u64>,
    /// Calls that were refused because of their rate, by budget.
    pub throttled: BTreeMap<&'static str, u64>,
    /// The most bytes that an invocation was sent or answered; zero unless somebody watched.
    pub largest_payload: usize,
    /// The most events in the history of an execution.
    pub longest_history: u64,
}

impl Estate {
    /// What clients saw so far.
    pub fn seen_by_clients(&mut self, scenario: &Scenario) -> Clients {
        self.integrate();
        let now = self.now;
        let mut components: Vec<ComponentTruth> = Vec::new();
        let positions: BTreeMap<&Arc<str>, usize> = self.pairs.iter().enumerate().map(|(index, pair)| (&pair.name, index)).collect();
        for track in self.truth.tracks() {
            let database = positions.get(&track.component).copied();
            let (confirmed, lost, rpo) = database.map_or((0, 0, None), |index| self.loss(index));
            components.push(ComponentTruth {
                component: track.component.to_string(),
                unavailable_from: track.unavailable_from,
                available_at: track.available_at,
                rpo,
                writes_confirmed: confirmed,
                writes_lost: lost,
            });
        }
        let busy = self.busy.iter().filter(|busy| busy.from < now).map(|busy| Busy { until: busy.until.min(now), ..busy.clone() }).collect();
        Clients {
            incident_at: self.incident_at,
            curve: self.clients.curve().to_vec(),
            components,
            busy,
            seed: scenario.seed,
            faults: scenario.names().into_iter().map(str::to_owned).collect(),
        }
    }

    /// Confirmed writes, those of them that the new primary does not have, and how far back they reach.
    fn loss(&self, index: usize) -> (u64, u64, Option<Duration>) {
        let Some(lineages) = self.clients.lineages(index) else { return (0, 0, None) };
        let confirmed = self.clients.writes(&lineages.primary) + self.clients.writes(&lineages.standby);
        let Some(promotion) = self.pairs[index].promotion else { return (confirmed, 0, Some(Duration::ZERO)) };
        let lost = self.clients.writes_since(&lineages.primary, promotion.position);
        let span = self.clients.span(&lineages.primary, promotion.position, self.now);
        (confirmed, lost, Some(if lost == 0 { Duration::ZERO } else { span }))
    }

    /// Ends the rehearsal.
    pub(crate) fn conclude(&mut self, scenario: &Scenario) -> Rehearsal {
        let clients = self.seen_by_clients(scenario);
        let lane = self.memory.lanes.values().max_by_key(|lane| lane.last_closed.as_ref().map(|closed| closed.at));
        let closed = lane.and_then(|lane| lane.last_closed.clone());
        let runs = self.memory.lanes.values().map(|lane| lane.epoch).sum();
        let report = closed.as_ref().and_then(|closed| self.memory.reports.remove(&closed.run)).map(|report| report.with_clients(clients.clone()));
        let failed = clients.failing_from();
        let restored = clients.restored_at();
        Rehearsal {
            flow: scenario.flow,
            seed: scenario.seed,
            faults: scenario.names(),
            incident_at: self.incident_at,
            ended_at: self.now,
            outcome: closed.map(|closed| closed.outcome),
            runs,
            report,
            rto: failed.and(restored).map(|at| at.since(clients.incident_at)),
            served_at_the_end: restored.is_some(),
            rpo: clients.components.iter().filter_map(|component| component.rpo).max().unwrap_or_default(),
            writes_lost: clients.components.iter().map(|component| component.writes_lost).sum(),
            clients,
            violation: self.guard.violation().cloned(),
            messages: std::mem::take(&mut self.memory.delivered),
            held: self.guard.held(),
            facts: self.facts(),
            effort: Effort { throttled: self.limits.throttled().clone(), ..std::mem::take(&mut self.effort) },
        }
    }
}
