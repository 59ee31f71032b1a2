//! RTO and RPO as Muster measured them: from probe samples and the ledger, each with its source and its precision.
//!
//! - **Incident**: the first failed sample that every confirming source saw. The failure happened after the sample before it, so the
//!   precision is the distance between the two. Without a confirmation: the beginning of the failing samples that stood when the run was
//!   opened; without those, the run's opening (the stopwatch of a drill).
//! - **Restored**: the first moment from which every check through the public name passes for good, counted from the move of traffic.
//!   Without such checks, the moment the authoritative servers answered with the standby, and the report says so; where no traffic moved,
//!   the moment from which the failing sources are healthy for good.
//! - **RTO** is the span between the two. Its error is at most the larger of the two precisions, since they pull in opposite directions.
//! - **RPO** of a database is its replica's lag when it was promoted. A lag that was known before the outage bounds it: that lag and the
//!   time from its sample to the incident. Where nobody knows the lag, nobody knows the RPO; unknown is never zero.

use std::collections::BTreeMap;

use muster_core::ports::{Reading, Sample};
use muster_core::{Duration, Evidence, LagBasis, Timestamp};
use muster_plan::{CheckStage, LagSource, Plan};

use crate::record::{Bound, Figure, Verdict};
use crate::scan::Scan;
use crate::text::span;

/// An instant that was seen: how it is known, and how exactly.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) at: Timestamp,
    /// How far off it can be; absent when not known.
    pub(crate) precision: Option<Duration>,
    pub(crate) source: String,
    /// What weakens it.
    pub(crate) note: String,
}

/// When the outage began, if one was seen.
pub(crate) fn incident(scan: &Scan<'_>, samples: &[&Sample], opened_at: Timestamp) -> Option<Seen> {
    let confirmed = scan.first(|fact| match fact.evidence {
        Evidence::OutageConfirmed { sources, since } => Some((*since, sources)),
        _ => None,
    });
    if let Some((since, sources)) = confirmed {
        let before =
            samples.iter().filter(|sample| sample.at < since && sample.reading == Reading::Healthy && sources.iter().any(|name| **name == *sample.source));
        let precision = before.map(|sample| sample.at).max().map(|last| since.since(last));
        return Some(Seen { at: since, precision, source: format!("probe samples of {}", sources.join(", ")), note: String::new() });
    }
    let mut failing: BTreeMap<&str, (Timestamp, Option<Timestamp>)> = BTreeMap::new();
    let mut healthy: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.at <= opened_at) {
        match sample.reading {
            Reading::Healthy => {
                failing.remove(&*sample.source);
                healthy.insert(&sample.source, sample.at);
            }
            Reading::Failing { .. } => {
                failing.entry(&sample.source).or_insert((sample.at, healthy.get(&*sample.source).copied()));
            }
            Reading::Blind { .. } | Reading::Lags { .. } => {}
        }
    }
    let (source, (at, before)) = failing.into_iter().min_by_key(|(_, (at, _))| *at)?;
    let note = "no confirmation: these samples failed when the run was opened".to_owned();
    Some(Seen { at, precision: before.map(|before| at.since(before)), source: format!("probe samples of {source}"), note })
}

/// A row of verdicts on one thing, by time.
struct Streak {
    passing_since: Option<Timestamp>,
    last_bad: Option<Timestamp>,
}

impl Streak {
    fn new(from: Option<Timestamp>) -> Self {
        Streak { passing_since: None, last_bad: from }
    }

    fn add(&mut self, at: Timestamp, passed: bool) {
        if passed {
            self.passing_since.get_or_insert(at);
        } else {
            self.passing_since = None;
            self.last_bad = Some(at);
        }
    }
}

/// The instant from which all streaks pass for good, with its precision; `None` while one fails.
fn all_pass<'a>(streaks: impl Iterator<Item = &'a Streak>) -> Option<(Timestamp, Option<Duration>)> {
    let mut latest: Option<(Timestamp, Option<Duration>)> = None;
    for streak in streaks {
        let since = streak.passing_since?;
        if latest.is_none_or(|(at, _)| since > at) {
            latest = Some((since, streak.last_bad.map(|bad| since.since(bad))));
        }
    }
    latest
}

/// When the service served again, or why that is not known.
pub(crate) fn restored(plan: &Plan, scan: &Scan<'_>, samples: &[&Sample], incident: Option<&Seen>) -> Result<Seen, String> {
    match scan.traffic_moved_at() {
        Some(moved_at) => restored_by_traffic(plan, scan, samples, moved_at),
        None => restored_in_place(scan, samples, incident),
    }
}

fn restored_by_traffic(plan: &Plan, scan: &Scan<'_>, samples: &[&Sample], moved_at: Timestamp) -> Result<Seen, String> {
    let public: Vec<&str> = plan.checks_at(CheckStage::AfterTraffic).map(|check| check.name().as_str()).collect();
    let settling: Vec<&str> = plan.checks_at(CheckStage::Stabilization).map(|check| check.name().as_str()).collect();
    let mut looks: Vec<(Timestamp, &str, bool)> = Vec::new();
    for fact in scan.facts.iter().filter(|fact| fact.entry.at >= moved_at) {
        if let Evidence::Checked { check, component, passed, .. } = fact.evidence
            && (public.contains(&check.as_str()) || (component == "service" && !settling.contains(&check.as_str())))
        {
            looks.push((fact.entry.at, check, *passed));
        }
    }
    for sample in samples.iter().filter(|sample| sample.at >= moved_at && public.contains(&&*sample.source)) {
        match sample.reading {
            Reading::Healthy => looks.push((sample.at, &sample.source, true)),
            Reading::Failing { .. } => looks.push((sample.at, &sample.source, false)),
            Reading::Blind { .. } | Reading::Lags { .. } => {}
        }
    }
    looks.sort();
    let mut streaks: BTreeMap<&str, Streak> = BTreeMap::new();
    for (at, check, passed) in looks {
        streaks.entry(check).or_insert_with(|| Streak::new(Some(moved_at))).add(at, passed);
    }
    if streaks.is_empty() {
        return restored_by_answer(scan, moved_at, !public.is_empty());
    }
    let names: Vec<&str> = streaks.keys().copied().collect();
    match all_pass(streaks.values()) {
        Some((at, precision)) => Ok(Seen { at, precision, source: format!("checks through the public name: {}", names.join(", ")), note: String::new() }),
        None => {
            let failing: Vec<&str> = streaks.iter().filter(|(_, streak)| streak.passing_since.is_none()).map(|(name, _)| *name).collect();
            Err(format!("not restored within the run: {} did not pass after traffic moved", failing.join(", ")))
        }
    }
}

/// Without a check through the public name, what the authoritative servers answer is all that is known.
fn restored_by_answer(scan: &Scan<'_>, moved_at: Timestamp, expected: bool) -> Result<Seen, String> {
    let mut records: BTreeMap<&str, Option<Timestamp>> = BTreeMap::new();
    for fact in &scan.facts {
        match fact.evidence {
            Evidence::TrafficMoved { record, .. } => {
                records.entry(record).or_default();
            }
            Evidence::TrafficSeen { record } => {
                records.entry(record).or_default().get_or_insert(fact.entry.at);
            }
            _ => {}
        }
    }
    if expected {
        return Err("not restored within the run: traffic was asked to move, and no check through the public name was made".to_owned());
    }
    let last = records.values().copied().collect::<Option<Vec<_>>>().and_then(|seen| seen.into_iter().max());
    let at = last.ok_or("not restored within the run: traffic was asked to move, and was not seen to")?;
    let note = "rests on what DNS answers: the plan has no check through the public name".to_owned();
    Ok(Seen { at, precision: Some(at.since(moved_at)), source: "authoritative DNS answers".to_owned(), note })
}

/// Nothing was moved: the sources that failed are healthy again, or the checks of what was recovered in place pass.
fn restored_in_place(scan: &Scan<'_>, samples: &[&Sample], incident: Option<&Seen>) -> Result<Seen, String> {
    let from = incident.map_or(Timestamp::from_millis(i64::MIN), |seen| seen.at);
    let mut streaks: BTreeMap<&str, (Streak, bool)> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.at >= from) {
        let (streak, failed) = streaks.entry(&sample.source).or_insert_with(|| (Streak::new(None), false));
        match sample.reading {
            Reading::Healthy => streak.add(sample.at, true),
            Reading::Failing { .. } => {
                streak.add(sample.at, false);
                *failed = true;
            }
            Reading::Blind { .. } | Reading::Lags { .. } => {}
        }
    }
    streaks.retain(|_, (_, failed)| *failed);
    if !streaks.is_empty() {
        let names: Vec<&str> = streaks.keys().copied().collect();
        return match all_pass(streaks.values().map(|(streak, _)| streak)) {
            Some((at, precision)) => {
                Ok(Seen { at, precision, source: format!("probe samples of {}", names.join(", ")), note: "the service came back where it was".to_owned() })
            }
            None => Err("not restored within the run: no traffic was moved, and the primary was not seen healthy again".to_owned()),
        };
    }
    let mut checks: BTreeMap<(&str, &str), Streak> = BTreeMap::new();
    for fact in &scan.facts {
        if let Evidence::Checked { check, component, passed, .. } = fact.evidence {
            checks.entry((component, check)).or_insert_with(|| Streak::new(None)).add(fact.entry.at, *passed);
        }
    }
    if checks.is_empty() {
        return Err("not restored within the run: no check was made and no sample was taken".to_owned());
    }
    let seen = all_pass(checks.values()).map(|(at, precision)| Seen { at, precision, source: "the run's own checks".to_owned(), note: String::new() });
    seen.ok_or_else(|| "not restored within the run: a check failed to the end".to_owned())
}

/// When a part served again: what was awaited for it is finished, and its checks pass for good. The precision is the distance to the look
/// before.
pub(crate) fn part_available(scan: &Scan<'_>, part: &str) -> Result<Option<Seen>, String> {
    let mut finished: Option<(Timestamp, &str)> = None;
    let mut checks: BTreeMap<&str, (Streak, &str)> = BTreeMap::new();
    for fact in scan.about(part) {
        let phase: &str = &fact.entry.phase;
        match fact.evidence {
            Evidence::Awaited { until, .. } => finished = finished.max(Some((*until, phase))),
            Evidence::Checked { check, passed, .. } => {
                checks.entry(check).or_insert_with(|| (Streak::new(None), phase)).0.add(fact.entry.at, *passed);
            }
            _ => {}
        }
    }
    let mut passing: Option<(Timestamp, &str)> = None;
    for (check, (streak, phase)) in &checks {
        let since = streak.passing_since.ok_or_else(|| format!("not restored within the run: its check {check} failed to the end"))?;
        passing = passing.max(Some((since, phase)));
    }
    let source = match (finished.is_some(), passing.is_some()) {
        (true, true) => "the ledger: first seen finished, and its checks passing",
        (true, false) => "the ledger: first seen finished",
        _ => "the ledger: its checks passing",
    };
    let seen = finished.max(passing).map(|(at, phase)| Seen { at, precision: scan.precision(phase, at), source: source.to_owned(), note: String::new() });
    Ok(seen)
}

/// An RTO from its two ends.
pub(crate) fn recovery_time(target: Option<Duration>, start: &Seen, end: &Seen) -> Figure {
    let actual = end.at.since(start.at);
    let precision = match (start.precision, end.precision) {
        (Some(start), Some(end)) => Some(start.max(end)),
        _ => None,
    };
    let mut note = [start.note.as_str(), end.note.as_str()].into_iter().filter(|note| !note.is_empty()).collect::<Vec<_>>().join("; ");
    if let (Some(target), Some(precision)) = (target, precision)
        && actual <= target
        && actual.saturating_add(precision) > target
    {
        note = format!("within the target by less than the precision{}{note}", if note.is_empty() { "" } else { "; " });
    }
    Figure {
        actual: Some(actual),
        bound: Bound::About,
        precision,
        verdict: against(actual, target),
        source: format!("{} → {}", start.source, end.source),
        note,
    }
}

/// The loss that a database's lag evidence proves, or bounds.
pub(crate) fn recovery_point(scan: &Scan<'_>, part: &str, read: LagSource, target: Option<Duration>, start: &Seen) -> Figure {
    let last = scan.about(part).rev().find_map(|fact| match fact.evidence {
        Evidence::Lag { lag, sampled_at, basis, .. } => Some((*lag, *sampled_at, *basis)),
        _ => None,
    });
    let Some((lag, sampled_at, basis)) = last else {
        return match scan.irreversible_at() {
            Some(_) => Figure::unknown(target, "the ledger", "its lag was not recorded before the promotion"),
            None => Figure::not_applicable("the ledger", "nothing was promoted in this run"),
        };
    };
    let Some(lag) = lag.filter(|_| basis != LagBasis::Unknown) else {
        return Figure::unknown(target, "the ledger", "the lag was unknown when it was promoted");
    };
    let precision = Some(match read {
        LagSource::Metric => Duration::from_mins(1),
        LagSource::Database => Duration::from_secs(1),
    });
    if basis == LagBasis::Measured {
        let source = match read {
            LagSource::Metric => "replica lag when it was promoted (CloudWatch, one value a minute)",
            LagSource::Database => "replica lag when it was promoted (asked of the replica)",
        };
        return Figure { actual: Some(lag), bound: Bound::About, precision, verdict: against(lag, target), source: source.to_owned(), note: String::new() };
    }
    // What was confirmed between the sample and the outage may be lost as well.
    let Some(sampled_at) = sampled_at else {
        return Figure::unknown(target, "the ledger", "the last known lag has no time, so it bounds nothing");
    };
    let since = start.at.since(sampled_at);
    let most = lag.saturating_add(since);
    // An old primary that nobody saw may have gone on taking writes: then this bounds nothing that counts.
    let unseen = scan.about(part).any(|fact| matches!(fact.evidence, Evidence::Unfenced { .. }))
        && !scan.about(part).any(|fact| matches!(fact.evidence, Evidence::Fenced { .. }));
    let verdict = match against(most, target) {
        Verdict::Fail => Verdict::Unknown,
        verdict => verdict,
    };
    let note = if since.is_zero() {
        format!("the last known lag of {}, sampled at {}", span(lag), sampled_at.clock_time())
    } else {
        format!("the last known lag of {}, and the {} from its sample at {} to the incident", span(lag), span(since), sampled_at.clock_time())
    };
    let source = "the last lag sample before the outage";
    if unseen {
        let note = format!("at most {} only if the old primary, which nobody saw, took no writes after the incident: {note}", span(most));
        return Figure::unknown(target, source, &note);
    }
    Figure { actual: Some(most), bound: Bound::AtMost, precision: None, verdict, source: source.to_owned(), note }
}

/// A figure against its target; without a target there is nothing to hold it against.
pub(crate) fn against(actual: Duration, target: Option<Duration>) -> Verdict {
    match target {
        None => Verdict::NotApplicable,
        Some(target) if actual <= target => Verdict::Pass,
        Some(_) => Verdict::Fail,
    }
}

impl Figure {
    /// Nobody knows.
    pub(crate) fn unknown(target: Option<Duration>, source: &str, note: &str) -> Figure {
        let verdict = if target.is_some() { Verdict::Unknown } else { Verdict::NotApplicable };
        Figure { actual: None, bound: Bound::About, precision: None, verdict, source: source.to_owned(), note: note.to_owned() }
    }

    /// There is nothing to know.
    pub(crate) fn not_applicable(source: &str, note: &str) -> Figure {
        Figure { actual: None, bound: Bound::About, precision: None, verdict: Verdict::NotApplicable, source: source.to_owned(), note: note.to_owned() }
    }

    /// It never came back: there is no figure, and the target is missed.
    pub(crate) fn not_restored(target: Option<Duration>, source: &str, note: &str) -> Figure {
        let verdict = if target.is_some() { Verdict::Fail } else { Verdict::NotApplicable };
        Figure { actual: None, bound: Bound::About, precision: None, verdict, source: source.to_owned(), note: note.to_owned() }
    }

    /// The worst of several losses: a miss if one is a miss, unknown if one is unknown.
    pub(crate) fn worst<'f>(figures: impl Iterator<Item = &'f Figure>, target: Option<Duration>, none: &str) -> Figure {
        let mut worst: Option<Figure> = None;
        let mut unknown = false;
        for figure in figures.filter(|figure| figure.actual.is_some() || figure.verdict == Verdict::Unknown) {
            unknown |= figure.actual.is_none();
            if figure.actual.is_some() && worst.as_ref().is_none_or(|worst| figure.actual > worst.actual) {
                worst = Some(figure.clone());
            }
        }
        match worst {
            Some(mut figure) => {
                figure.verdict = figure.actual.map_or(Verdict::Unknown, |actual| against(actual, target));
                let bounded_only = figure.verdict == Verdict::Fail && figure.bound == Bound::AtMost;
                if (unknown && figure.verdict == Verdict::Pass) || bounded_only {
                    figure.verdict = Verdict::Unknown;
                }
                if unknown && figure.verdict != Verdict::Fail {
                    return Figure::unknown(target, "the parts of the service", "the loss of at least one part is unknown");
                }
                figure
            }
            None if unknown => Figure::unknown(target, "the parts of the service", "the loss of no part is known"),
            None => Figure::not_applicable("the parts of the service", none),
        }
    }
}
