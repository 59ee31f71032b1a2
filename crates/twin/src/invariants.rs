//! What must never happen, checked after every change of the estate and at every call that could bring it about.
//! The numbers are those of the design: 1 writable primaries, 2 traffic, 3 loss, 4 one run, 6 failback, 7 endings,
//! 9 the kill switch, 10 a success that is one, 11 a second vantage, 12 consent,
//! 13 the old primary's return, 14 backups, 15 clones, 16 what is made once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muster_core::ports::{ExecutionState, OpenRun};
use muster_core::{Body, Duration, Entry, Evidence, Override, PERMIT, Run, ScalingGroupId, Timestamp};
use muster_plan::{Fence, RegionRole, WhenLagUnknown, WhenUnreachable};

use crate::clients::Side;
use crate::estate::Estate;
use crate::network::From;
use crate::traffic::Record;

/// Something that must never happen, and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's number.
    pub invariant: u8,
    /// What must hold.
    pub rule: &'static str,
    /// What was seen instead.
    pub seen: String,
    /// When.
    pub at: Timestamp,
    /// The seed that brings it about again.
    pub seed: u64,
    /// What happened before, in words, oldest first.
    pub story: Vec<String>,
}

/// An old primary is fenced within half a minute of its API answering; the schedule that does it needs a turn or two.
const RETURNED: Duration = Duration::from_mins(3);

/// The rules, by number.
const RULES: [(u8, &str); 14] = [
    (1, "never two writable primaries that clients can reach, unless a recorded acceptance names the old one"),
    (2, "traffic moves only to, and stays on, a target that is healthy and writable"),
    (3, "a promotion never loses more than the plan's RPO, unless it was accepted; unknown lag is not zero"),
    (4, "at most one open run per service and lane; a stale epoch writes nothing"),
    (6, "no automatic failback"),
    (7, "every run ends, with a report and with its lock released"),
    (9, "with the kill switch set, no mutating call begins"),
    (10, "a run that says that it succeeded has moved the service, unless a person skipped a check"),
    (11, "a service that somebody outside the standby region sees healthy is not failed over, unless a person wants it"),
    (12, "silence is consent only where somebody could hear the question"),
    (13, "an old primary that returns is fenced"),
    (14, "no backup is deleted that is the last good one, in use, being copied, young, held, or made by others"),
    (15, "no clone outlives its lease by more than an hour, and Muster deletes, and loads dumps into, no instance that is not its clone"),
    (16, "nothing is made twice: no slot's snapshot, no run's clone of a part, and no load of a dump beside another"),
];

/// Acceptances that were recorded, and the first violation.
#[derive(Clone, Debug)]
pub struct Guard {
    seed: u64,
    unfenced: BTreeSet<String>,
    lag: BTreeMap<String, Option<Duration>>,
    checks_waived: bool,
    held: u64,
    violation: Option<Violation>,
}

impl Guard {
    /// Nothing accepted yet.
    pub fn new(seed: u64) -> Self {
        Guard { seed, unfenced: BTreeSet::new(), lag: BTreeMap::new(), checks_waived: false, held: 0, violation: None }
    }

    /// The first violation.
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// How often a run held for a person.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// A person accepted a risk.
    pub fn accepts(&mut self, risk: &Override) {
        match risk {
            Override::Unfenced { database, .. } => {
                self.unfenced.insert(database.clone());
            }
            Override::Lag { database, up_to, .. } => {
                let wider = match (self.lag.get(database), up_to) {
                    (Some(None), _) | (_, None) => None,
                    (Some(Some(known)), Some(span)) => Some(*known.max(span)),
                    (None, Some(span)) => Some(*span),
                };
                self.lag.insert(database.clone(), wider);
            }
            Override::Check { .. } => self.checks_waived = true,
        }
    }

    /// Muster writes to its ledger. What it says counts even where the write fails: it goes to the log then.
    pub(crate) fn hears(&mut self, entries: &[Entry]) {
        for entry in entries {
            match &entry.body {
                Body::Saw { evidence: Evidence::Accepted { risk, .. } } => self.accepts(risk),
                Body::Saw { evidence: Evidence::Held { .. } } => self.held += 1,
                _ => {}
            }
        }
    }
}

impl Estate {
    pub(crate) fn violate(&mut self, invariant: u8, seen: String) {
        if self.guard.violation.is_some() {
            return;
        }
        let rule = RULES.iter().find(|(number, _)| *number == invariant).map_or("", |(_, rule)| rule);
        let incident_at = self.incident_at;
        let story = self.story.recent().map(|event| event.line(incident_at)).collect();
        self.guard.violation = Some(Violation { invariant, rule, seen, at: self.now, seed: self.guard.seed, story });
    }

    /// After every change: of the databases that it touched, where it has said so, and of all otherwise.
    pub(crate) fn check(&mut self, touched: Option<&[usize]>) {
        if self.guard.violation.is_some() {
            return;
        }
        let seen = match touched {
            Some(databases) => databases.iter().find_map(|index| self.two_primaries(*index)),
            None => (0..self.pairs.len()).find_map(|index| self.two_primaries(index)),
        };
        if let Some(seen) = seen {
            self.violate(1, seen);
        }
        if !self.clones.there.is_empty() {
            self.check_leases();
        }
    }

    fn two_primaries(&self, index: usize) -> Option<String> {
        let pair = &self.pairs[index];
        let promotion = pair.promotion.filter(|promotion| promotion.finished_at.is_some() && !promotion.by_hand)?;
        let (old, new) = (self.instances.get(&pair.primary)?, self.instances.get(pair.standby.as_ref()?)?);
        let reached = |role| self.network.reaches(From::Clients, role);
        let old_serves = old.is_writable() && old.lets_clients_in() && reached(RegionRole::Primary);
        let new_serves = new.is_writable() && reached(RegionRole::Standby);
        // A standing acceptance is one of a primary that cannot be reached, and of no other.
        let standing = promotion.cut_at.is_some() && self.accepts_unreachable(index);
        if !(old_serves && new_serves) || standing || self.guard.unfenced.contains(&*pair.name) {
            return None;
        }
        Some(format!("{}: {} and {} both take writes, and nobody accepted that {} is not fenced", pair.name, old.id, new.id, old.id))
    }

    fn accepts_unreachable(&self, index: usize) -> bool {
        let fence = self.plan.databases[index].fence.as_ref();
        matches!(fence, Some(Fence::Quarantine { when_unreachable: WhenUnreachable::Accept { .. }, .. }))
    }

    /// Before a promotion begins.
    pub(crate) fn check_promotion(&mut self, index: usize) {
        let pair = &self.pairs[index];
        let position = pair.replication.position(self.now);
        let cut_at = pair.replication.cut_at;
        // What was written after the link was cut is what an acceptance of an unfenced primary is about.
        let until = cut_at.unwrap_or(self.now);
        let loss = self.clients.lineages(index).map_or(Duration::ZERO, |lineages| self.clients.span(&lineages.primary, position, until));
        let seen_healthy = self.network.reaches(From::Region(RegionRole::Witness), RegionRole::Primary) && self.service[0].success >= crate::clients::ALL / 2;
        if cut_at.is_some() && seen_healthy && !self.guard.checks_waived {
            let name = &self.pairs[index].name;
            self.violate(11, format!("{name} is promoted while its primary serves, and the witness region sees that"));
            return;
        }
        let database = &self.plan.databases[index];
        let standing = match database.lag.as_ref().map(|gate| &gate.when_unknown) {
            Some(WhenLagUnknown::LastKnown { within, up_to, .. }) => Some(within.saturating_add(*up_to)),
            _ => None,
        };
        let accepted = self.guard.lag.get(&*pair.name).copied();
        let name = pair.name.clone();
        let covered = |span: Duration| {
            accepted.is_some_and(|up_to| up_to.is_none_or(|up_to| span <= up_to)) || (cut_at.is_some() && standing.is_some_and(|bound| span <= bound))
        };
        let takes_writes = self.instances.get(&self.pairs[index].primary).is_some_and(|old| old.is_writable() && old.lets_clients_in());
        // What was fenced before it went dark has no write that the figure misses.
        if cut_at.is_some() && takes_writes && accepted.is_none() && standing.is_none() {
            self.violate(3, format!("{name} is promoted while nobody knows its lag, and nobody accepted that"));
        } else if loss > database.objectives.rpo && !covered(loss) {
            let rpo = database.objectives.rpo;
            self.violate(3, format!("{name} is promoted {loss} behind; its RPO is {rpo}, and nobody accepted more"));
        }
    }

    /// Muster moves a name: the call that will bring it about, not the moment when the servers follow.
    pub(crate) fn check_move(&mut self, index: usize, to: Side, run: Option<&Run>) {
        let name = self.records[index].name.clone();
        let by_failback = run.is_some_and(|run| &*run.flow == "failback");
        if to == Side::Primary && !by_failback {
            self.violate(6, format!("{name} is moved back to the primary region, and no person started a failback"));
            return;
        }
        let service = &self.service[usize::from(to == Side::Standby)];
        // It must take writes, and at least half of the load: a standby that misses an instance is still better than none.
        if service.success < crate::clients::ALL / 2 && !self.guard.checks_waived {
            let (success, region) = (service.success / 10_000, self.region(if to == Side::Standby { RegionRole::Standby } else { RegionRole::Primary }));
            self.violate(2, format!("{name} is moved to {region}, where {success} % of requests would succeed"));
        }
    }

    /// Muster changes a group's size. As long as a name leads clients to its region, or is about to, it keeps what they need.
    pub(crate) fn check_resize(&mut self, id: &ScalingGroupId, desired: u32) {
        let Some(group) = self.groups.get(id).filter(|group| group.serving && desired < group.size.desired && desired < group.needed) else { return };
        let side = if id.region == *self.region(RegionRole::Standby) { Side::Standby } else { Side::Primary };
        let leads_here = |record: &&Record| record.answers.current() == side || record.wanted == side;
        let Some(record) = self.records.iter().find(leads_here) else { return };
        let seen = format!("{id} is made smaller, to {desired} of the {} instances that it needs, while {} leads clients to it", group.needed, record.name);
        self.violate(2, seen);
    }

    /// A mutating call begins.
    pub(crate) fn check_begin(&mut self, operation: &str, resource: &str, run: &Run) {
        let switch = self.memory.kill_switch.as_ref().filter(|(_, since)| self.now.since(*since) > PERMIT).map(|(_, since)| *since);
        if let Some(since) = switch {
            self.violate(9, format!("{operation} on {resource} begins {} after the kill switch was set", self.now.since(since)));
        }
        let key = (run.service.clone(), run.lane);
        let epoch = self.memory.epoch(&run.service, run.lane);
        let stale_for = self.memory.raised_at.get(&key).map_or(Duration::ZERO, |at| self.now.since(*at));
        if run.epoch < epoch && stale_for > PERMIT {
            self.violate(4, format!("{operation} on {resource} begins under epoch {}, {stale_for} after epoch {epoch} began", run.epoch));
        }
    }

    /// A run takes a lane's lock.
    pub(crate) fn check_open(&mut self, open: &OpenRun, before: Option<&OpenRun>, before_state: ExecutionState) {
        open.run.overrides.iter().for_each(|risk| self.guard.accepts(risk));
        let Some(before) = before.filter(|before| before.run.id != open.run.id) else { return };
        let supersedes = (before.drill && !open.drill) || (&*open.run.flow == "region-failover" && &*before.run.flow != "region-failover");
        if before_state == ExecutionState::Running && !supersedes {
            self.violate(4, format!("{} opens while {} still runs", open.run.id, before.run.id));
        }
    }

    /// A run is closed as a success.
    pub(crate) fn check_success(&mut self, run: &muster_core::RunId) {
        if self.guard.checks_waived {
            return;
        }
        let standing =
            self.pairs.iter().filter_map(|pair| pair.standby.as_ref()).find(|id| !self.instances.get(*id).is_some_and(|standby| standby.is_writable()));
        let behind = self.records.iter().find(|record| record.wanted != Side::Standby).map(|record| record.name.clone());
        let success = self.service[1].success;
        let seen = match (standing, behind) {
            (Some(id), _) => format!("{id} takes no writes"),
            (None, Some(name)) => format!("{name} still leads to the primary region"),
            (None, None) if success < crate::clients::ALL / 2 => format!("{} % of requests to the standby region succeed", success / 10_000),
            (None, None) => return,
        };
        self.violate(10, format!("{run} is closed as succeeded, and {seen}"));
    }

    /// A question is answered.
    pub(crate) fn check_answer(&mut self, run: &muster_core::RunId, name: &str, answer: &muster_core::ports::Answer) {
        if name != muster_actions::FAILOVER || &*answer.by != "silence" || &*answer.choice != "proceed" {
            return;
        }
        let key = format!("{run}/{name}");
        if !self.memory.delivered.iter().any(|delivered| *delivered.message.key == *key) {
            self.violate(12, format!("silence lets {run} go on, and no channel had accepted the question"));
        }
    }

    /// The instances that should have been fenced by now.
    fn returned_unfenced(&self) -> Option<String> {
        let back = self.primary_back_since.filter(|since| self.now.since(*since) >= RETURNED)?;
        let stopped = self.memory.kill_switch.is_some() || !self.network.reaches(From::Region(RegionRole::Standby), RegionRole::Primary);
        let ours = |pair: &&crate::databases::Pair| {
            pair.promotion.is_some_and(|promotion| promotion.finished_at.is_some_and(|at| self.now.since(at) >= RETURNED) && !promotion.by_hand)
        };
        let unfenced = |pair: &crate::databases::Pair| {
            self.instances.get(&pair.primary).filter(|old| old.is_writable() && old.lets_clients_in()).map(|old| old.id.clone())
        };
        let id = self.pairs.iter().filter(ours).find_map(unfenced).filter(|_| !stopped)?;
        Some(format!("{id} takes writes, {} after its region returned", self.now.since(back)))
    }

    /// At the end of a rehearsal, once the janitor has had its time.
    pub(crate) fn check_end(&mut self, runs: &BTreeMap<Arc<str>, muster_core::RunId>, still_running: bool) {
        if still_running {
            self.violate(7, "an execution still runs long after its run's deadline".into());
        }
        if let Some(open) = self.memory.open_runs().first() {
            self.violate(7, format!("{} holds its lock although its execution has ended", open.run.id));
        }
        self.check_leases();
        if let Some(seen) = self.returned_unfenced() {
            self.violate(13, seen);
        }
        let missing = runs.values().find(|run| !self.memory.reports.contains_key(*run)).map(ToString::to_string);
        if let Some(run) = missing {
            self.violate(7, format!("{run} has no report"));
        }
    }
}

#[cfg(test)]
mod tests;
