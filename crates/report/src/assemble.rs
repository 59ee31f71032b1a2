//! From the ledger and the probe's samples to the record.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::ports::{Reading, Sample};
use muster_core::{Entry, Evidence, LagBasis, Run, Timestamp};
use muster_plan::{Database, Flow, PartReference, Plan, SqlCheck};

use crate::backups::{backups, recovers};
use crate::breakdown::{Span, divide};
use crate::calls::calls;
use crate::findings;
use crate::measure::{self, Seen};
use crate::proof::prove;
use crate::record::{
    AcceptedRisk, CheckMade, Decision, Fencing, InFlight, Integrity, LagFigure, LedgerProof, Objective, Occasion, Phase, ProbeTrack, Report, Stretch, Summary,
    Verdict, Wait,
};
use crate::restores::restores;
use crate::results;
use crate::scan::Scan;
use crate::subjects::{service_targets, subjects};
use crate::timeline::{risk_in_words, timeline};

/// The version of the record's format.
const FORMAT: u32 = 1;

/// How a comparison with the source is told from a check of the same name.
pub const COMPARED: &str = "compare ";

/// A run that is over, and what is known about it.
#[derive(Clone, Copy, Debug)]
pub struct Closing<'a> {
    /// The run.
    pub run: &'a Run,
    /// `succeeded`, `stoodDown`, `vetoed`, `aborted`, `failed`, `superseded` or `abandoned`.
    pub outcome: &'a str,
    /// What started it; used where the ledger has no `Opened`.
    pub started_by: &'a str,
    /// Whether it is a drill.
    pub drill: bool,
    /// When it was closed.
    pub closed_at: Timestamp,
    /// The run's ledger, in any order.
    pub entries: &'a [Entry],
    /// The probe's samples from some minutes before the incident until the close, in any order. With fewer of them, less is known.
    pub samples: &'a [Sample],
}

/// The report of a run, as Muster measured it.
pub fn assemble(plan: &Plan, closing: &Closing<'_>) -> Report {
    let run = closing.run;
    let scan = Scan::of(closing.entries);
    let samples = in_order(closing.samples);
    let incident = measure::incident(&scan, &samples, run.opened_at).filter(|_| recovers(&run.flow));
    let restored = measure::restored(plan, &scan, &samples, incident.as_ref());
    let start = incident.clone().unwrap_or_else(|| Seen {
        at: run.opened_at,
        precision: Some(muster_core::Duration::ZERO),
        source: "the run's opening".to_owned(),
        note: "no outage was seen: timed from the run's opening".to_owned(),
    });
    let (rto, rpo) = service_targets(plan, &run.flow);
    let subjects = subjects(plan, &run.flow, &scan);
    let ends = results::Ends { start: &start, end: &restored, incident: incident.is_some() };
    let objectives = if recovers(&run.flow) { results::measured(&ends, (rto, rpo), &subjects, &scan, closing.outcome) } else { Vec::new() };
    let (started_by, reason) = scan
        .first(|fact| match fact.evidence {
            Evidence::Opened { by, reason } => Some((by.clone(), reason.clone())),
            _ => None,
        })
        .unwrap_or_else(|| (closing.started_by.to_owned(), String::new()));
    let failed_region = (*run.flow == *Flow::RegionFailover.as_str()).then_some(&plan.regions.primary);
    let decisions = decisions(&scan, closing.closed_at);
    let accepted_risks = accepted_risks(run, &scan);
    let checks = checks(plan, &scan);
    let mut report = Report {
        format: FORMAT,
        summary: Summary {
            service: run.service.to_string(),
            flow: run.flow.to_string(),
            occasion: if closing.drill { Occasion::Drill } else { Occasion::Incident },
            run: run.id.to_string(),
            epoch: run.epoch,
            primary: plan.regions.primary.clone(),
            standby: plan.regions.standby.clone(),
            outcome: closing.outcome.to_owned(),
            sentence: findings::sentence(plan, &run.flow, closing.outcome, &scan),
            started_by,
            reason,
            opened_at: run.opened_at,
            closed_at: closing.closed_at,
            incident_at: incident.as_ref().map(|seen| seen.at),
            detected_at: detected_at(&scan, run.opened_at),
            traffic_moved_at: scan.traffic_moved_at(),
            restored_at: restored.as_ref().ok().map(|seen| seen.at).filter(|_| recovers(&run.flow)),
            plan: run.plan.key.to_string(),
            plan_version: run.plan.version.to_string(),
            plan_sha256: run.plan.sha256.to_string(),
            participants: findings::participants(plan, &run.flow, &decisions, &accepted_risks),
            ledger: prove(&run.id, closing.entries),
        },
        integrity: integrity(&checks),
        objectives,
        breakdown: Default::default(),
        phases: phases(&scan),
        timeline: timeline(&scan, start.at),
        decisions,
        accepted_risks,
        fencing: fencing(plan, &scan),
        lag: lag(&scan),
        checks,
        backups: backups(&scan),
        restores: restores(&scan),
        unprotected: findings::unprotected(plan, &scan),
        calls: calls(&scan, failed_region),
        awaited: awaited(&scan, closing.closed_at),
        in_flight: in_flight(&scan),
        probes: probes(&samples),
        issues: Vec::new(),
        runbook_updates: Vec::new(),
        action_items: Vec::new(),
        clients: None,
    };
    report.divide_time(start.at, None);
    findings::conclude(plan, closing.closed_at, &scan, &mut report);
    report
}

impl Report {
    /// Computes the breakdown from `from` on, and marks the critical path.
    pub(crate) fn divide_time(&mut self, from: Timestamp, busy: Option<&[crate::clients::Busy]>) {
        let summary = &self.summary;
        self.breakdown = divide(&Span {
            from,
            until: summary.restored_at.unwrap_or(summary.closed_at),
            restored: summary.restored_at.is_some(),
            detected_at: summary.detected_at,
            traffic_moved_at: summary.traffic_moved_at,
            phases: &self.phases,
            decisions: &self.decisions,
            awaited: &self.awaited,
            in_flight: &self.in_flight,
            busy,
        });
        if !self.recovers() {
            // Nothing hung on any of them.
            self.breakdown.critical_path.clear();
        }
        for phase in &mut self.phases {
            phase.critical = self.breakdown.critical_path.contains(&phase.name);
        }
        for dependence in &mut self.calls.dependences {
            dependence.on_critical_path = self.breakdown.critical_path.contains(&dependence.phase) && dependence.first_at < self.breakdown.until;
        }
    }

    /// Whether these entries are the ones that this report was made of: the same chains, the same root.
    pub fn seals(&self, entries: &[Entry]) -> bool {
        let proof = prove(&muster_core::RunId(self.summary.run.as_str().into()), entries);
        proof == self.summary.ledger
    }

    /// The root over the ledger's chains: for the notification.
    pub fn ledger(&self) -> &LedgerProof {
        &self.summary.ledger
    }

    /// Whether every target that applies was met, and is known to have been: what clients saw decides where that is known. Of a run that recovers nothing,
    /// whether nothing is wrong with the backups.
    pub fn met_targets(&self) -> bool {
        self.objectives.iter().all(Objective::is_met) && (self.recovers() || self.verdict_on_backups().0 == Verdict::Pass)
    }
}

impl Objective {
    /// Whether both targets were met, where they apply.
    pub fn is_met(&self) -> bool {
        [&self.rto, &self.rpo].iter().all(|comparison| matches!(comparison.deciding().verdict, Verdict::Pass | Verdict::NotApplicable))
    }
}

fn in_order(samples: &[Sample]) -> Vec<&Sample> {
    let mut samples: Vec<&Sample> = samples.iter().collect();
    samples.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.source.cmp(&b.source)).then_with(|| a.vantage.cmp(&b.vantage)));
    samples
}

fn detected_at(scan: &Scan<'_>, opened_at: Timestamp) -> Timestamp {
    let settled =
        |fact: &crate::scan::Fact<'_>| matches!(fact.evidence, Evidence::OutageConfirmed { .. } | Evidence::OutageCleared { .. }).then_some(fact.entry.at);
    scan.first(settled).unwrap_or(opened_at)
}

fn phases(scan: &Scan<'_>) -> Vec<Phase> {
    let phase = |span: &crate::scan::PhaseSpan<'_>| Phase {
        name: span.name.to_owned(),
        action: span.action.to_owned(),
        from: span.from,
        until: span.until,
        invocations: span.looks.len() as u32,
        calls: span.calls,
        // The report is made within the invocation that closes the run, which cannot have ended.
        outcome: span.ended.map_or(if span.action == "close-run" { "sealed" } else { "cutShort" }, |(_, status, _)| status).to_owned(),
        detail: span.ended.map_or("", |(_, _, detail)| detail).to_owned(),
        held: span.held,
        critical: false,
    };
    scan.phases.iter().map(phase).collect()
}

fn decisions(scan: &Scan<'_>, closed_at: Timestamp) -> Vec<Decision> {
    let mut asked: BTreeMap<&str, (Timestamp, &[String], &str)> = BTreeMap::new();
    let mut decisions = Vec::new();
    for fact in &scan.facts {
        match fact.evidence {
            Evidence::Asked { question, heard_by, .. } => {
                let entry = asked.entry(question).or_insert((fact.entry.at, heard_by, &fact.entry.phase));
                if entry.1.is_empty() {
                    entry.1 = heard_by;
                }
            }
            Evidence::Decided { question, choice, by, reason, asked_at } => {
                let heard = asked.remove(question.as_str()).map_or(&[][..], |(_, heard, _)| heard);
                decisions.push(Decision {
                    question: question.clone(),
                    choice: choice.clone(),
                    by: by.clone(),
                    reason: reason.clone(),
                    asked_at: *asked_at,
                    decided_at: fact.entry.at,
                    heard_by: heard.to_vec(),
                    phase: fact.entry.phase.to_string(),
                });
            }
            _ => {}
        }
    }
    // A question is written down again by a retried poll; once answered, it is closed for good.
    asked.retain(|question, _| !decisions.iter().any(|decision| decision.question == *question));
    decisions.extend(asked.into_iter().map(|(question, (at, heard, phase))| Decision {
        question: question.to_owned(),
        choice: "no answer".to_owned(),
        by: "nobody".to_owned(),
        reason: "the run ended first".to_owned(),
        asked_at: at,
        decided_at: closed_at,
        heard_by: heard.to_vec(),
        phase: phase.to_owned(),
    }));
    decisions
}

fn accepted_risks(run: &Run, scan: &Scan<'_>) -> Vec<AcceptedRisk> {
    let mut risks: Vec<AcceptedRisk> = Vec::new();
    let mut known = BTreeSet::new();
    let written = scan.facts.iter().filter_map(|fact| match fact.evidence {
        Evidence::Accepted { risk, standing } => Some((risk, *standing, fact.entry.at)),
        _ => None,
    });
    let given = run.overrides.iter().map(|risk| (risk, false, run.opened_at));
    for (risk, standing, at) in written.chain(given) {
        let (risk, by, reason) = risk_in_words(risk);
        if known.insert((risk.clone(), by)) {
            risks.push(AcceptedRisk { risk, by: by.to_owned(), reason: reason.to_owned(), standing, at });
        }
    }
    risks
}

fn fencing(plan: &Plan, scan: &Scan<'_>) -> Vec<Fencing> {
    let promoted = scan.irreversible_at().is_some();
    let mut fencing = Vec::new();
    for database in plan.databases.iter().filter(|database| database.fence.is_some()) {
        let name = database.name.as_str();
        let last = scan.about(name).rev().find_map(|fact| match fact.evidence {
            Evidence::Fenced { proof, .. } => Some((true, proof.clone(), fact.entry.at)),
            Evidence::Unfenced { seen, .. } => Some((false, seen.clone(), fact.entry.at)),
            _ => None,
        });
        match last {
            Some((fenced, seen, at)) => fencing.push(Fencing { database: name.to_owned(), fenced, seen, at: Some(at) }),
            None if promoted => fencing.push(Fencing { database: name.to_owned(), fenced: false, seen: "the ledger holds no proof".to_owned(), at: None }),
            None => {}
        }
    }
    fencing
}

fn lag(scan: &Scan<'_>) -> Vec<LagFigure> {
    let mut figures: BTreeMap<&str, LagFigure> = BTreeMap::new();
    for fact in &scan.facts {
        if let Evidence::Lag { database, lag, sampled_at, basis } = fact.evidence {
            let basis = match basis {
                LagBasis::Measured => "measured",
                LagBasis::LastKnown => "lastKnown",
                LagBasis::Unknown => "unknown",
            };
            figures.insert(database, LagFigure { database: database.clone(), lag: *lag, sampled_at: *sampled_at, basis: basis.to_owned() });
        }
    }
    figures.into_values().collect()
}

fn checks(plan: &Plan, scan: &Scan<'_>) -> Vec<CheckMade> {
    let databases: BTreeMap<&str, &Database> = plan.databases.iter().map(|database| (database.name.as_str(), database)).collect();
    let of_data = |component: &str, check: &str| {
        let named = |sql: &SqlCheck| sql.name.as_ref().map_or(sql.query == check, |name| *name == *check);
        let is_compared = |database: &Database| {
            let compared = check.strip_prefix(COMPARED);
            database.restore_test.iter().flat_map(|test| &test.compare).any(|comparison| compared == Some(comparison.name.as_str()))
        };
        let dumped = || plan.restorable(&PartReference(component.to_owned())).map(|restorable| restorable.database);
        databases
            .get(component)
            .copied()
            .or_else(dumped)
            .is_some_and(|database| database.checks.iter().chain(&database.reconciliation).any(named) || is_compared(database))
    };
    let mut made: Vec<CheckMade> = Vec::new();
    let mut index: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    for fact in &scan.facts {
        let Evidence::Checked { check, component, seen, wanted, passed } = fact.evidence else { continue };
        let at = *index.entry((&fact.entry.phase, component, check)).or_insert_with(|| {
            made.push(CheckMade {
                check: check.clone(),
                component: component.clone(),
                phase: fact.entry.phase.to_string(),
                seen: String::new(),
                wanted: wanted.clone(),
                passed: *passed,
                data: of_data(component, check),
                times: 0,
                at: fact.entry.at,
                since: fact.entry.at,
            });
            made.len() - 1
        });
        let last = &mut made[at];
        if last.passed != *passed {
            last.since = fact.entry.at;
        }
        last.passed = *passed;
        last.seen.clone_from(seen);
        last.wanted.clone_from(wanted);
        last.at = fact.entry.at;
        last.times += 1;
    }
    made
}

fn integrity(checks: &[CheckMade]) -> Integrity {
    let data = || checks.iter().filter(|check| check.data);
    let made = data().count() as u64;
    let passed = data().filter(|check| check.passed).count() as u64;
    let verdict = match (made, passed) {
        (0, _) => Verdict::Unknown,
        (made, passed) if made == passed => Verdict::Pass,
        _ => Verdict::Fail,
    };
    Integrity { checks_passed: passed, checks_made: made, writes_confirmed: None, writes_lost: None, verdict }
}

/// What was awaited. A phase that changed something and was never done waited to its end for what it had asked for.
fn awaited(scan: &Scan<'_>, closed_at: Timestamp) -> Vec<Wait> {
    let mut waits: Vec<Wait> = Vec::new();
    let mut positions: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    for fact in &scan.facts {
        if let Evidence::Awaited { component, what, from, until } = fact.evidence {
            let wait =
                Wait { phase: fact.entry.phase.to_string(), component: component.clone(), what: what.clone(), from: *from, until: *until, finished: true };
            match positions.get(&(&*fact.entry.phase, component.as_str(), what.as_str())).copied() {
                Some(at) => waits[at] = Wait { from: waits[at].from.min(wait.from), until: waits[at].until.max(wait.until), ..wait },
                None => {
                    positions.insert((&*fact.entry.phase, component.as_str(), what.as_str()), waits.len());
                    waits.push(wait);
                }
            }
        }
    }
    for phase in scan.phases.iter().filter(|phase| !phase.is_done()) {
        if let Some(from) = phase.first_change {
            let what = phase.ended.map_or("cut short", |(_, _, detail)| detail).to_owned();
            waits.push(Wait {
                phase: phase.name.to_owned(),
                component: phase.action.to_owned(),
                what,
                from,
                until: phase.until.min(closed_at),
                finished: false,
            });
        }
    }
    waits
}

fn in_flight(scan: &Scan<'_>) -> Vec<InFlight> {
    let calls = scan.calls.iter();
    calls.map(|made| InFlight { phase: made.entry.phase.clone(), from: made.entry.at.before(made.outcome.latency), until: made.entry.at }).collect()
}

fn probes(samples: &[&Sample]) -> Vec<ProbeTrack> {
    let mut tracks: BTreeMap<(&str, &muster_core::Region), Vec<Stretch>> = BTreeMap::new();
    for sample in samples {
        let mut add = |source, reading: &str, seen: String| {
            let stretches = tracks.entry((source, &sample.vantage)).or_default();
            match stretches.last_mut().filter(|last| last.reading == reading) {
                Some(last) => {
                    last.until = sample.at;
                    last.samples += 1;
                    last.seen = seen;
                }
                None => stretches.push(Stretch { from: sample.at, until: sample.at, samples: 1, reading: reading.to_owned(), seen }),
            }
        };
        match &sample.reading {
            Reading::Healthy => add(&sample.source, "healthy", String::new()),
            Reading::Failing { why } => add(&sample.source, "failing", why.to_string()),
            Reading::Blind { why } => add(&sample.source, "blind", why.to_string()),
            Reading::Lags { lags } => lags.iter().for_each(|(database, lag)| add(database, "lag", lag.to_string())),
        }
    }
    tracks.into_iter().map(|((source, vantage), stretches)| ProbeTrack { source: source.to_owned(), vantage: vantage.clone(), stretches }).collect()
}
