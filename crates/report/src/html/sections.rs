//! The sections behind the verdict.

use muster_core::Plane;

use super::markup::Markup;
use crate::backups::{BackupExposure, BackupProblem, EXPOSURE, NO_EXPOSURE, NO_PROBLEM, PROBLEM};
use crate::markdown::{repeated, severity};
use crate::record::{Report, Severity, Tone};
use crate::restores::{NO_QUESTION, QUESTION, RESTORE, Restore};
use crate::text::{moment, offset, span};

pub(crate) fn all(report: &Report, page: &mut Markup) {
    follow_up(report, page);
    timeline(report, page);
    phases(report, page);
    safety(report, page);
    checks(report, page);
    calls(report, page);
    provenance(report, page);
}

fn provenance(report: &Report, page: &mut Markup) {
    page.section("provenance", "Run, plan and ledger");
    page.raw("<dl class=\"facts\">\n");
    for (name, value) in report.provenance() {
        page.raw("<div><dt>").raw(name).raw("</dt><dd>").text(value).raw("</dd></div>\n");
    }
    page.raw("</dl>\n");
    list(page, &report.summary.ledger.faults, "The ledger's root covers every entry: changing one changes it.");
    page.end_section();
}

fn follow_up(report: &Report, page: &mut Markup) {
    page.section("issues", "Issues found");
    if report.issues.is_empty() {
        page.raw("<p>None.</p>\n");
    } else {
        page.raw("<ol class=\"issues\">\n");
        for issue in &report.issues {
            let class = match issue.severity {
                Severity::High => "fail",
                Severity::Medium => "unknown",
                Severity::Low => "none",
            };
            page.raw("<li><b class=\"tag ").raw(class).raw("\">").text(severity(issue.severity)).raw("</b> <span>").text(&issue.what).raw("</span></li>\n");
        }
        page.raw("</ol>\n");
    }
    page.end_section();
    page.section("unprotected", "What is unprotected now");
    list(page, &report.unprotected, "Nothing that this run knows of.");
    page.end_section();
    page.section("updates", "Runbook updates required");
    list(page, &report.runbook_updates, "None.");
    page.end_section();
    page.section("actions", "Action items");
    if report.action_items.is_empty() {
        page.raw("<p>None.</p>\n");
    } else {
        page.raw("<ul class=\"actions\">\n");
        for item in &report.action_items {
            page.raw("<li>").text(&item.action).raw("<small>Owner: ").text(item.owner.as_deref().unwrap_or("to be named"));
            page.raw(" · Due: ").text(item.due.as_deref().unwrap_or("to be agreed")).raw("</small></li>\n");
        }
        page.raw("</ul>\n");
    }
    page.end_section();
}

fn list(page: &mut Markup, items: &[String], none: &'static str) {
    if items.is_empty() {
        page.raw("<p>").raw(none).raw("</p>\n");
        return;
    }
    page.raw("<ul>\n");
    for item in items {
        page.raw("<li>").text(item).raw("</li>\n");
    }
    page.raw("</ul>\n");
}

/// What verifying the backups came to, where the run verified them.
pub(crate) fn backups(report: &Report, page: &mut Markup) {
    let Some(backups) = &report.backups else { return };
    page.section("backups", "Backups");
    page.raw("<p>As of ").text(moment(backups.as_of)).raw(": ").text(backups.verdict().1).raw(".</p>\n");
    page.rows("What is wrong with the backups", &PROBLEM, backups.problems.iter().map(BackupProblem::row), NO_PROBLEM);
    page.raw("<p>If ").text(&report.summary.primary).raw(" died now and nothing were left but the backups outside it:</p>\n");
    page.rows("What would be lost if the primary region died now", &EXPOSURE, backups.exposures.iter().map(BackupExposure::row), NO_EXPOSURE);
    page.end_section();
}

/// What a restore test came to.
pub(crate) fn restored(report: &Report, page: &mut Markup) {
    if report.restores.is_empty() {
        return;
    }
    page.section("restores", "Restore test");
    page.rows("What was restored", &RESTORE, report.restores.iter().map(Restore::row), "");
    page.rows("What was asked of the clones", &QUESTION, report.questions(), NO_QUESTION);
    page.end_section();
}

fn timeline(report: &Report, page: &mut Markup) {
    page.section("timeline", "Timeline");
    page.raw("<p>UTC; T is the ").raw(if report.recovers() { "incident" } else { "opening of the run" }).raw(".</p>\n<ol class=\"timeline\">\n");
    for line in &report.timeline {
        let tone = match line.tone {
            Tone::Plain => "plain",
            Tone::Good => "good",
            Tone::Bad => "bad",
            Tone::People => "people",
        };
        page.raw("<li class=\"")
            .raw(tone)
            .raw("\"><time datetime=\"")
            .text(line.at)
            .raw("\">")
            .text(line.at.clock_time())
            .raw("<small>")
            .text(offset(line.offset_millis));
        page.raw("</small></time><div><b>").text(&line.action).raw("</b> ").text(repeated(line)).raw(" <small>").text(&line.phase).raw("</small></div></li>\n");
    }
    page.raw("</ol>\n");
    page.end_section();
}

fn phases(report: &Report, page: &mut Markup) {
    page.section("phases", "Phases");
    let rows = report.phases.iter().map(|phase| {
        let held = if phase.held == 0 { "no".to_owned() } else { format!("{}×", phase.held) };
        let critical = if phase.critical { "yes" } else { "no" };
        let took = span(phase.until.since(phase.from));
        let (invocations, calls) = (phase.invocations.to_string(), phase.calls.to_string());
        let outcome = if phase.detail.is_empty() { phase.outcome.clone() } else { format!("{}: {}", phase.outcome, phase.detail) };
        vec![phase.name.clone(), phase.from.clock_time(), took, critical.to_owned(), held, invocations, calls, outcome]
    });
    page.rows("Every phase, by when it began", &["Phase", "Began", "Took", "Critical path", "Held", "Invocations", "Calls", "Outcome"], rows, "None.");
    page.end_section();
}

fn safety(report: &Report, page: &mut Markup) {
    page.section("decisions", "Decisions and accepted risks");
    let decisions = report.decisions.iter().map(|decision| {
        let waited = span(decision.decided_at.since(decision.asked_at));
        let heard = if decision.heard_by.is_empty() { "nobody".to_owned() } else { decision.heard_by.join(", ") };
        let when = format!("{} → {}", decision.asked_at.clock_time(), decision.decided_at.clock_time());
        vec![decision.question.clone(), decision.choice.clone(), decision.by.clone(), decision.reason.clone(), when, waited, heard]
    });
    page.rows("Who decided what, when and why", &["Question", "Answer", "By", "Why", "Asked → answered", "Waited", "Heard by"], decisions, "Nobody was asked.");
    let risks = report.accepted_risks.iter().map(|risk| {
        let when = if risk.standing { "beforehand, in the plan".to_owned() } else { format!("in this run, {}", risk.at.clock_time()) };
        vec![risk.risk.clone(), risk.by.clone(), risk.reason.clone(), when]
    });
    page.rows("Accepted risks", &["Risk", "By", "Why", "When"], risks, "No risk had to be accepted.");
    page.end_section();
    if report.recovers() {
        fencing_and_lag(report, page);
    }
}

fn fencing_and_lag(report: &Report, page: &mut Markup) {
    page.section("fencing", "Fencing and replica lag");
    let fencing = report.fencing.iter().map(|fencing| {
        let proven = if fencing.fenced { "yes" } else { "NO" };
        vec![fencing.database.clone(), proven.to_owned(), fencing.seen.clone(), fencing.at.map_or("–".to_owned(), |at| at.clock_time())]
    });
    page.rows(
        "Whether each old primary was proven to refuse writes",
        &["Database", "Proven", "Proof, or what was seen instead", "When"],
        fencing,
        "No database had to be fenced.",
    );
    let lag = report.lag.iter().map(|lag| {
        let basis = match lag.basis.as_str() {
            "lastKnown" => "last known before the outage",
            other => other,
        };
        vec![lag.database.clone(), lag.lag.map_or("unknown".to_owned(), span), basis.to_owned(), lag.sampled_at.map_or("–".to_owned(), |at| at.clock_time())]
    });
    page.rows("Replica lag at promotion", &["Database", "Lag", "Basis", "Sampled"], lag, "No replica was promoted.");
    page.end_section();
}

fn checks(report: &Report, page: &mut Markup) {
    page.section("checks", "Checks");
    let rows = report.checks.iter().map(|check| {
        let passed = if check.passed { "yes" } else { "NO" };
        vec![
            check.check.clone(),
            check.component.clone(),
            passed.to_owned(),
            check.seen.clone(),
            check.wanted.clone(),
            check.phase.clone(),
            check.times.to_string(),
        ]
    });
    page.rows("Every check; of a repeated one, the last", &["Check", "Of", "Passed", "Seen", "Wanted", "Phase", "Times"], rows, "None was made.");
    page.end_section();
}

fn calls(report: &Report, page: &mut Markup) {
    let plane = |plane: Plane| if plane == Plane::Control { "control".to_owned() } else { "data".to_owned() };
    page.section("calls", "Calls to AWS and to the world");
    if report.recovers() {
        page.raw("<p>").text(report.dependence_in_words()).raw("</p>\n");
    }
    let mutating = report.calls.mutating.iter().map(|call| {
        let latency = call.latency.map_or("–".to_owned(), span);
        let request = call.request_id.clone().unwrap_or_else(|| "–".to_owned());
        let (time, region) = (call.at.clock_time(), call.region.to_string());
        vec![time, call.operation.clone(), call.resource.clone(), region, plane(call.plane), call.outcome.clone(), latency, call.phase.clone(), request]
    });
    let names = ["Time", "Operation", "Resource", "Region", "Plane", "Outcome", "Latency", "Phase", "Request id"];
    page.rows("Calls that change the estate, one by one", &names, mutating, "Nothing was changed.");
    let groups = report.calls.groups.iter().map(|group| {
        let mutates = if group.mutates { "yes" } else { "no" };
        let (region, count, failures) = (group.region.to_string(), group.count.to_string(), group.failures.to_string());
        vec![group.operation.clone(), region, plane(group.plane), mutates.to_owned(), count, failures, span(group.latency_total), span(group.latency_max)]
    });
    let names = ["Operation", "Region", "Plane", "Changes the estate", "Calls", "Failed", "Latency, total", "Latency, max"];
    page.rows("All calls, grouped", &names, groups, "None was made.");
    page.end_section();
}
