//! Targets against what was reached: as measured, and as clients saw it.

use std::collections::BTreeMap;

use muster_core::{Duration, Evidence, Timestamp};

use crate::clients::Clients;
use crate::measure::{Seen, against, part_available, recovery_point, recovery_time};
use crate::record::{Bound, Comparison, Figure, Objective, Occasion, Report, Verdict};
use crate::scan::Scan;
use crate::subjects::{Keeps, Subject};

/// The two ends of the outage.
pub(crate) struct Ends<'a> {
    pub(crate) start: &'a Seen,
    pub(crate) end: &'a Result<Seen, String>,
    /// Whether an outage was seen; otherwise `start` is the run's opening.
    pub(crate) incident: bool,
}

/// The name of the service as a whole among the objectives.
pub(crate) const SERVICE: &str = "service";

/// Service and parts, as Muster measured them.
pub(crate) fn measured(
    ends: &Ends<'_>,
    (rto, rpo): (Option<Duration>, Option<Duration>),
    subjects: &[Subject<'_>],
    scan: &Scan<'_>,
    outcome: &str,
) -> Vec<Objective> {
    let moved = scan.traffic_moved_at().is_some() || scan.irreversible_at().is_some();
    let nothing_happened = !ends.incident && !moved && outcome != "succeeded";
    let compare = |target, measured| Comparison { target, measured, clients: None };
    let time = |target: Option<Duration>| match ends.end {
        _ if target.is_none() => Figure::not_applicable("the plan", "this flow recovers nothing"),
        _ if nothing_happened => Figure::not_applicable("probe samples", "no outage was seen, and nothing was moved"),
        Ok(end) => recovery_time(target, ends.start, end),
        Err(why) => Figure::not_restored(target, "the ledger and probe samples", why),
    };
    let part_time = |subject: &Subject<'_>| {
        if nothing_happened {
            return Figure::not_applicable("probe samples", "no outage was seen, and nothing was moved");
        }
        let mut latest: Option<Seen> = None;
        for part in &subject.parts {
            match part_available(scan, part) {
                Ok(Some(seen)) => {
                    if latest.as_ref().is_none_or(|latest| seen.at > latest.at) {
                        latest = Some(seen);
                    }
                }
                Ok(None) if !moved => return time(subject.rto),
                Ok(None) => return Figure::unknown(subject.rto, "the ledger", &format!("the ledger does not say when {part} served again")),
                Err(why) => return Figure::not_restored(subject.rto, "the ledger", &why),
            }
        }
        latest.map_or_else(|| Figure::unknown(subject.rto, "the plan", "nothing in the plan recovers it"), |end| recovery_time(subject.rto, ends.start, &end))
    };
    let mut parts: Vec<Objective> = Vec::with_capacity(subjects.len() + 1);
    for subject in subjects {
        let point = match subject.keeps {
            Keeps::Data(read) => recovery_point(scan, subject.name, read, subject.rpo, ends.start),
            Keeps::Nothing(why) => Figure::not_applicable("the plan", why),
            Keeps::WhatItsPartsKeep => {
                let own = parts.iter().filter(|part| subject.parts.contains(&part.subject.as_str())).map(|part| &part.rpo.measured);
                Figure::worst(own, subject.rpo, "its parts lost nothing that they keep")
            }
        };
        let what = subject.what.clone();
        let recovered_by = subject.parts.iter().filter(|part| **part != subject.name).map(|part| (*part).to_owned()).collect();
        parts.push(Objective {
            subject: subject.name.to_owned(),
            what,
            parts: recovered_by,
            rto: compare(subject.rto, part_time(subject)),
            rpo: compare(subject.rpo, point),
        });
    }
    let point = if rpo.is_some() {
        Figure::worst(parts.iter().map(|part| &part.rpo.measured), rpo, "nothing was promoted, or nothing keeps data")
    } else {
        Figure::not_applicable("the plan", "this flow recovers nothing")
    };
    let service = Objective {
        subject: SERVICE.to_owned(),
        what: "the whole service".to_owned(),
        parts: Vec::new(),
        rto: compare(rto, time(rto)),
        rpo: compare(rpo, point),
    };
    std::iter::once(service).chain(parts).collect()
}

const CLIENTS: &str = "simulated clients";

fn exact(actual: Duration, target: Option<Duration>) -> Figure {
    Figure {
        actual: Some(actual),
        bound: Bound::About,
        precision: Some(Duration::ZERO),
        verdict: against(actual, target),
        source: CLIENTS.to_owned(),
        note: String::new(),
    }
}

impl Report {
    /// Adds what simulated clients saw: it decides from here on, and the breakdown uses AWS's own work exactly.
    pub fn with_clients(mut self, clients: Clients) -> Report {
        let incident_at = clients.incident_at;
        let restored_at = clients.restored_at();
        let failed = clients.failing_from().is_some();
        let seen = |target: Option<Duration>, from: Option<Timestamp>, until: Option<Timestamp>| match (from, until) {
            (None, _) => Figure::not_applicable(CLIENTS, "clients noticed no outage"),
            (Some(_), Some(until)) => exact(until.since(incident_at), target),
            (Some(_), None) => Figure::not_restored(target, CLIENTS, "not restored within the run"),
        };
        let truths: BTreeMap<&str, _> = clients.components.iter().map(|truth| (truth.component.as_str(), truth)).collect();
        let truth = |name: &str| truths.get(name).copied();
        let loss = |name: &str, target: Option<Duration>| {
            let truth = truth(name)?;
            let is_lost = truth.unavailable_from.is_some() && truth.available_at.is_none();
            Some(match truth.rpo {
                Some(_) if is_lost && truth.writes_lost == 0 => Figure::unknown(target, CLIENTS, "not restored: what is lost shows only when it is"),
                Some(loss) => {
                    let note = format!("{} of {} confirmed writes lost", truth.writes_lost, truth.writes_confirmed);
                    Figure { note, ..exact(loss, target) }
                }
                None if truth.writes_lost > 0 => Figure::unknown(target, CLIENTS, "writes were lost, and how old they are was not counted"),
                None => Figure::not_applicable(CLIENTS, "it keeps no data of its own"),
            })
        };
        for objective in self.objectives.iter_mut().skip(1) {
            let names = if truth(&objective.subject).is_some() { vec![&objective.subject] } else { objective.parts.iter().collect() };
            let Some(truths) = names.iter().map(|name| truth(name)).collect::<Option<Vec<_>>>().filter(|truths| !truths.is_empty()) else { continue };
            let down: Vec<_> = truths.into_iter().filter(|truth| truth.unavailable_from.is_some()).collect();
            let from = down.iter().filter_map(|truth| truth.unavailable_from).min();
            let until = down.iter().map(|truth| truth.available_at).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
            objective.rto.clients = Some(seen(objective.rto.target, from, until));
            let losses: Vec<Figure> = names.iter().filter_map(|name| loss(name, objective.rpo.target)).collect();
            objective.rpo.clients = Some(match <[Figure; 1]>::try_from(losses) {
                Ok([one]) => one,
                Err(several) => Figure::worst(several.iter(), objective.rpo.target, "its parts lost nothing that they keep"),
            });
        }
        if let Some(service) = self.objectives.first_mut() {
            service.rto.clients = Some(seen(service.rto.target, clients.failing_from(), restored_at));
            let losses: Vec<Figure> = clients.components.iter().filter_map(|truth| loss(&truth.component, service.rpo.target)).collect();
            service.rpo.clients = Some(Figure::worst(losses.iter(), service.rpo.target, "nothing that keeps data was lost"));
        }
        self.summary.occasion = Occasion::Rehearsal;
        self.summary.incident_at = Some(incident_at);
        self.summary.restored_at = if failed { restored_at } else { Some(incident_at) };
        let confirmed = clients.components.iter().map(|truth| truth.writes_confirmed).sum();
        let lost = clients.components.iter().map(|truth| truth.writes_lost).sum();
        self.integrity.writes_confirmed = Some(confirmed);
        self.integrity.writes_lost = Some(lost);
        for line in &mut self.timeline {
            line.offset_millis = line.at.as_millis().saturating_sub(incident_at.as_millis());
        }
        self.divide_time(incident_at, Some(&clients.busy));
        self.clients = Some(clients);
        crate::findings::target_issues(&mut self);
        self
    }
}

/// Whether the ledger says that something was promoted or moved.
pub(crate) fn something_moved(scan: &Scan<'_>) -> bool {
    scan.irreversible_at().is_some() || scan.facts.iter().any(|fact| matches!(fact.evidence, Evidence::TrafficMoved { .. }))
}

impl Verdict {
    /// In one word, for people.
    pub const fn word(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "FAIL",
            Verdict::Unknown => "unknown",
            Verdict::NotApplicable => "n/a",
        }
    }
}
