//! What follows from a run: in a sentence, what is unprotected, what went wrong, what to change, what to do.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::{Duration, Evidence, Timestamp};
use muster_plan::{People, Plan};

use crate::backups::recovers;
use crate::record::{AcceptedRisk, ActionItem, Breakdown, Comparison, Decision, Issue, Report, Severity, Verdict};
use crate::results::something_moved;
use crate::scan::Scan;
use crate::text::span;

/// Those who answer without being people.
const NOT_PEOPLE: [&str; 4] = ["silence", "policy", "probe", "nobody"];

/// How the run ended, in a sentence.
pub(crate) fn sentence(plan: &Plan, flow: &str, outcome: &str, scan: &Scan<'_>) -> String {
    let service = &plan.service;
    let (primary, standby) = (&plan.regions.primary, &plan.regions.standby);
    let moved = if !recovers(flow) {
        String::new()
    } else if scan.traffic_moved_at().is_some() {
        format!(" Traffic of {service} was moved to {standby}.")
    } else if something_moved(scan) {
        format!(" Databases of {service} were promoted in {standby}; traffic was not moved.")
    } else {
        " Nothing was moved.".to_owned()
    };
    let held = scan.facts.iter().rev().find_map(|fact| match fact.evidence {
        Evidence::Held { phase, .. } => Some(format!(" It last held at {phase}.")),
        _ => None,
    });
    let held = held.unwrap_or_default();
    match outcome {
        "succeeded" if flow == "region-failover" && scan.traffic_moved_at().is_some() => format!("{service} was failed over from {primary} to {standby}."),
        "succeeded" => format!("The {flow} of {service} was carried out to its end."),
        "stoodDown" => format!("The outage of {service} was over, or was none: the run stood down.{moved}"),
        "vetoed" => format!("The {flow} of {service} was vetoed.{moved}"),
        "aborted" => format!("The {flow} of {service} was aborted.{moved}{held}"),
        "failed" => format!("The {flow} of {service} failed.{moved}{held}"),
        "superseded" => format!("Another run took over from this {flow} of {service}.{moved}"),
        "abandoned" => format!("The execution of this {flow} of {service} ended without closing it.{moved}{held}"),
        other => format!("The {flow} of {service} ended: {other}.{moved}"),
    }
}

/// Who took part: the roles that decide, where there is something to recover, and everybody who answered or accepted a risk.
pub(crate) fn participants(plan: &Plan, flow: &str, decisions: &[Decision], risks: &[AcceptedRisk]) -> Vec<String> {
    // Nobody has to decide that backups are made.
    let deciding = plan.people.decide.iter().filter(|_| recovers(flow));
    let mut names: Vec<String> = deciding.map(|role| with_person(&plan.people, role)).collect();
    let answered = decisions.iter().map(|decision| &decision.by).chain(risks.iter().map(|risk| &risk.by));
    for by in answered.filter(|by| !NOT_PEOPLE.contains(&by.as_str())) {
        let name = with_person(&plan.people, by);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn with_person(people: &People, role: &str) -> String {
    let person = people.roles.iter().find(|known| known.role == role).and_then(|known| known.person.as_deref());
    person.map_or_else(|| role.to_owned(), |person| format!("{role} ({person})"))
}

/// What is without protection: what the ledger says, and what follows from what was done.
pub(crate) fn unprotected(plan: &Plan, scan: &Scan<'_>) -> Vec<String> {
    let mut gaps: Vec<String> = Vec::new();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for fact in &scan.facts {
        if let Evidence::Unprotected { what } = fact.evidence
            && known.insert(what.clone())
        {
            gaps.push(what.clone());
        }
    }
    let named: BTreeSet<String> = gaps.iter().flat_map(|gap| words(gap)).map(str::to_owned).collect();
    let (primary, standby) = (&plan.regions.primary, &plan.regions.standby);
    if scan.irreversible_at().is_some() {
        for (database, id) in plan.replica_databases() {
            let name = database.name.as_str();
            let promoted = scan.about(name).any(|fact| matches!(fact.evidence, Evidence::Awaited { .. } | Evidence::Lag { .. }));
            if promoted && !named.contains(name) {
                gaps.push(format!("{name}: no replica stands behind the new primary {id} in {standby}. Build one, or fail back, which rebuilds replication."));
            }
        }
    }
    let unfenced = scan.facts.iter().filter_map(|fact| match fact.evidence {
        Evidence::Unfenced { database, .. } => Some(database),
        _ => None,
    });
    for database in unfenced {
        let proven_later = scan.about(database).any(|fact| matches!(fact.evidence, Evidence::Fenced { .. }));
        let gap = format!(
            "{database}: the old primary in {primary} is not proven to refuse writes. It is fenced when its API answers again; what it took meanwhile goes to reconciliation."
        );
        if !proven_later && known.insert(gap.clone()) {
            gaps.push(gap);
        }
    }
    if scan.traffic_moved_at().is_some() {
        gaps.push(format!("Muster itself runs in {standby}, which now serves: losing that region loses both. Put a stack into another region until the service has failed back."));
    }
    gaps
}

/// The words of a text, names of parts among them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !(letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.'))).map(|word| word.trim_end_matches('.'))
}

fn issue(severity: Severity, about: &str, what: String) -> Issue {
    Issue { severity, about: about.to_owned(), what }
}

/// Issues, updates and action items that follow from the ledger.
pub(crate) fn conclude(plan: &Plan, closed_at: Timestamp, scan: &Scan<'_>, report: &mut Report) {
    let mut issues = Vec::new();
    let mut updates = Vec::new();
    let in_the_end_ready: BTreeSet<&str> = scan
        .facts
        .iter()
        .filter_map(|fact| match fact.evidence {
            Evidence::Preflight { subject, ready: true, .. } => Some(subject.as_str()),
            _ => None,
        })
        .collect();
    for fact in &scan.facts {
        match fact.evidence {
            Evidence::Held { phase, error, cause } => {
                issues.push(issue(Severity::Medium, "hold", format!("{phase} held for a person: {error}: {cause}")));
                let first = cause.lines().next().unwrap_or_default();
                updates.push(format!("{phase}: decide beforehand what is to be done when it holds: {first}"));
            }
            Evidence::Told { channel, subject, accepted: false } => {
                issues.push(issue(Severity::Medium, "channel", format!("{channel} did not accept “{subject}”")));
                updates.push(format!("Repair the channel {channel}, or name another."));
            }
            Evidence::Asked { question, heard_by, .. } if heard_by.is_empty() => {
                issues.push(issue(Severity::Medium, "decision", format!("nobody could hear the question {question}: no channel had accepted it")));
            }
            Evidence::Preflight { subject, seen, ready: false } if !in_the_end_ready.contains(subject.as_str()) => {
                issues.push(issue(Severity::Medium, "preflight", format!("{subject} was not ready: {seen}")));
                updates.push(format!("Provision {subject} in the standby region before the next run, and check it in the preflight."));
            }
            Evidence::Accepted { risk, standing: false } => {
                let (risk, by, _) = crate::timeline::risk_in_words(risk);
                updates.push(format!("Decide beforehand, in the plan, whether to accept that {risk}; {by} had to accept it during the run."));
            }
            _ => {}
        }
    }
    for check in report.checks.iter().filter(|check| !check.passed) {
        issues.push(issue(
            Severity::High,
            "check",
            format!("check {} of {} failed: saw {}, wanted {}", check.check, check.component, check.seen, check.wanted),
        ));
        updates.push(format!("Mend what the check {} of {} looks at, or the check.", check.check, check.component));
    }
    let mut of_old_primaries: BTreeMap<&str, &AcceptedRisk> = BTreeMap::new();
    for risk in report.accepted_risks.iter().filter(|risk| risk.risk.contains("old primary")) {
        of_old_primaries.entry(risk.risk.split(' ').next().unwrap_or_default()).or_insert(risk);
    }
    for fencing in report.fencing.iter().filter(|fencing| !fencing.fenced) {
        let risk = of_old_primaries.get(fencing.database.as_str());
        let accepted = risk.map_or_else(|| " (nobody accepted that)".to_owned(), |risk| format!(" (accepted by {})", risk.by));
        issues.push(issue(
            Severity::High,
            "fence",
            format!("the old primary of {} was not proven to refuse writes: {}{accepted}", fencing.database, fencing.seen),
        ));
    }
    for lag in report.lag.iter().filter(|lag| lag.lag.is_none()) {
        issues.push(issue(
            Severity::High,
            "lag",
            format!("the lag of {} was unknown when it was promoted: how much was lost is unknown, not zero", lag.database),
        ));
    }
    for call in report.calls.mutating.iter().filter(|call| !call.succeeded) {
        let region = call.region.as_str();
        let place = if call.resource.contains(region) { String::new() } else { format!(" ({region})") };
        issues.push(issue(Severity::Low, "call", format!("{} on {}{place} did not succeed: {}", call.operation, call.resource, call.outcome)));
    }
    for dependence in report.calls.dependences.iter().filter(|dependence| dependence.on_critical_path) {
        // What failed and was gone past was tried, not needed.
        if dependence.failures == dependence.count {
            continue;
        }
        issues.push(issue(Severity::Medium, "call", format!("{} hung on {}, for {}", dependence.phase, dependence.why, dependence.operation)));
        updates.push(format!("Take {} off the critical path of {}: it needs {}.", dependence.operation, dependence.phase, dependence.why));
    }
    let proof = &report.summary.ledger;
    issues.extend(proof.faults.iter().map(|fault| issue(Severity::High, "ledger", format!("the ledger is not whole: {fault}"))));
    issues.extend(
        proof.cut_short.iter().map(|invocation| issue(Severity::Low, "ledger", format!("the invocation {invocation} began and did not write its end"))),
    );
    issues.extend(report.backups.iter().flat_map(crate::backups::Backups::issues));
    let owner = report.summary.participants.first().cloned();
    let item = |action: String, due: Option<String>| ActionItem { action, owner: owner.clone(), due };
    // What is unprotected already says what to do about a missing fence.
    let unsettled = |issue: &&Issue| issue.severity == Severity::High && issue.about != "fence";
    let mut items: Vec<ActionItem> = report.unprotected.iter().map(|gap| item(gap.clone(), None)).collect();
    // What is wrong with a backup already says what to do about it.
    let action = |issue: &Issue| if issue.about == "backup" { issue.what.clone() } else { format!("{FIND_OUT} {}", issue.what) };
    items.extend(issues.iter().filter(unsettled).map(|issue| item(action(issue), None)));
    if something_moved(scan) {
        items.extend(plan.follow_up.iter().map(|task| item(task.task.clone(), Some(day_and_time(closed_at, task.within)))));
    }
    report.issues = distinct(issues);
    report.runbook_updates = distinct(updates);
    report.action_items = distinct(items);
    target_issues(report);
}

fn day_and_time(closed_at: Timestamp, within: Duration) -> String {
    let text = closed_at.after(within).to_string();
    format!("{} {} UTC", text.get(..10).unwrap_or(&text), text.get(11..16).unwrap_or_default())
}

/// Each once: by what it says, so that many are no more work each than few.
fn distinct<T: std::fmt::Debug>(mut items: Vec<T>) -> Vec<T> {
    let mut known = BTreeSet::new();
    items.retain(|item| known.insert(format!("{item:?}")));
    items
}

/// Replaces the issues about targets by those of the figures that decide, and sorts all by severity.
pub(crate) fn target_issues(report: &mut Report) {
    const ABOUT: &str = "target";
    report.issues.retain(|issue| issue.about != ABOUT);
    let mut missed = Vec::new();
    for objective in &report.objectives {
        for (name, comparison) in [("RTO", &objective.rto), ("RPO", &objective.rpo)] {
            if let Some(what) = shortfall(name, &objective.subject, comparison) {
                missed.push(issue(Severity::High, ABOUT, what));
            }
        }
    }
    let owner = report.summary.participants.first().cloned();
    report.action_items.retain(|item| !item.action.starts_with(HOLD_TO));
    report.action_items.extend(missed.iter().map(|issue| ActionItem { action: format!("{HOLD_TO} {}", issue.what), owner: owner.clone(), due: None }));
    report.issues.extend(missed);
    report.issues.sort_by_key(|issue| issue.severity);
    report.runbook_updates.retain(|update| !update.starts_with(REVISE));
    let missed_rto = report.objectives.first().is_some_and(|service| service.rto.deciding().verdict == Verdict::Fail);
    if missed_rto {
        let (part, time) = largest(&report.breakdown);
        report.runbook_updates.insert(0, format!("{REVISE} most of the time went to {part} ({}).", span(time)));
    }
}

const FIND_OUT: &str = "Find out why, and put it right:";
const HOLD_TO: &str = "Agree on how to meet the target:";
const REVISE: &str = "Change the plan or its RTO:";

fn shortfall(name: &str, subject: &str, comparison: &Comparison) -> Option<String> {
    let figure = comparison.deciding();
    let target = comparison.target?;
    match (figure.verdict, figure.actual) {
        (Verdict::Fail, Some(actual)) => Some(format!("{name} of {subject} missed: {} against {}", span(actual), span(target))),
        (Verdict::Fail, None) => Some(format!("{name} of {subject} missed: {}", figure.note)),
        (Verdict::Unknown, _) => Some(format!("{name} of {subject} is unknown: {}", figure.note)),
        _ => None,
    }
}

/// The largest part of the breakdown.
pub(crate) fn largest(breakdown: &Breakdown) -> (&'static str, Duration) {
    breakdown.parts().into_iter().fold(("nothing", Duration::ZERO), |largest, part| if part.1 > largest.1 { part } else { largest })
}

impl Breakdown {
    /// The five parts, in the order of a failover.
    pub fn parts(&self) -> [(&'static str, Duration); 5] {
        [("Detection", self.detection), ("Decision", self.decision), ("AWS", self.aws), ("DNS", self.dns), ("Muster's overhead", self.overhead)]
    }

    /// From the incident to the restoration, or to the close.
    pub fn total(&self) -> Duration {
        self.until.since(self.from)
    }
}
