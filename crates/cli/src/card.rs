//! The summary of one run: targets against what was reached, where the time went, what is unprotected, where the report is.

use anstyle::Style;
use muster_core::Duration;
use muster_plan::Plan;
use muster_report::{Bound, Breakdown, Comparison, Figure, Report, Verdict};
use muster_twin::{Rehearsal, Violation};

use crate::output::{BAD, GOOD, PLAIN, QUIET, STRONG, WARN, WIDTH, paint};
use crate::rehearse::is_good;
use crate::words::{cut, length, percent, span, wrap};

const SUBJECT: usize = 24;
const TARGET: usize = 7;
const ACTUAL: usize = 12;
const BAR: u64 = 32;

/// The whole card.
pub(crate) fn card(plan: &Plan, rehearsal: &Rehearsal, written: Option<&str>, replay: &str) -> String {
    let good = is_good(rehearsal);
    let head = if good { paint(GOOD.bold(), "PASS") } else { paint(BAD.bold(), "FAIL") };
    let sentence = rehearsal.report.as_ref().map_or_else(|| without_report(plan, rehearsal), |report| report.summary.sentence.clone());
    let mut text = format!("{head}  {}\n", indented(&sentence, 6, STRONG));
    if let Some(report) = &rehearsal.report {
        text.push('\n');
        text.push_str(&objectives(report));
        text.push_str(&integrity(report));
        text.push_str(&time(&report.breakdown));
        text.push_str(&list("Unprotected now", &report.unprotected, WARN));
    }
    text.push('\n');
    if let Some(directory) = written {
        let directory = directory.trim_end_matches('/');
        text.push_str(&format!("{}  {directory}/report.html  (report.md, report.json beside it)\n", paint(STRONG, "Report")));
    }
    text.push_str(&format!("{}   {replay}\n", paint(STRONG, "Again")));
    text
}

/// What must never happen, and did: its story, and how to see it again.
pub(crate) fn violation(violation: &Violation, replay: &str) -> String {
    let mut text = format!("\n{}  {}\n", paint(BAD.bold(), &format!("INVARIANT {} BROKEN", violation.invariant)), paint(STRONG, "what must never happen did"));
    text.push_str(&format!("  must hold  {}\n", indented(violation.rule, 13, PLAIN)));
    text.push_str(&format!("  seen       {}\n", indented(&violation.seen, 13, BAD)));
    text.push_str(&format!("\n{}\n", paint(STRONG, "What happened before")));
    for line in &violation.story {
        text.push_str(&format!("  {}\n", indented(line, 17, QUIET)));
    }
    text.push_str(&format!("\nSeed {} brings it about again:\n  {}\n", violation.seed, paint(STRONG, replay)));
    text
}

fn without_report(plan: &Plan, rehearsal: &Rehearsal) -> String {
    match (rehearsal.runs, rehearsal.served_at_the_end) {
        (0, true) => format!("No run was opened, and {} is served.", plan.service),
        (0, false) => format!("No run was opened, and {} is not served.", plan.service),
        (_, _) => "A run was opened, and has no report.".to_owned(),
    }
}

fn objectives(report: &Report) -> String {
    let head = |target: &str, actual: &str| format!("  {:SUBJECT$} {target:>TARGET$} {actual:>ACTUAL$}      {target:>TARGET$} {actual:>ACTUAL$}", "");
    let names = format!("  {:SUBJECT$} {:>TARGET$} {:ACTUAL$}      {:>TARGET$}", "", "RTO", "", "RPO");
    let mut text = format!("{}\n{}\n", paint(QUIET, &names), paint(QUIET, &head("target", "actual")));
    for objective in &report.objectives {
        let is_ambiguous = report.objectives.iter().filter(|other| other.subject == objective.subject).count() > 1;
        let kind = objective.what.split(':').next().unwrap_or_default();
        let name = if is_ambiguous { format!("{} ({kind})", objective.subject) } else { objective.subject.clone() };
        let subject = format!("{:SUBJECT$}", cut(&name, SUBJECT));
        let line = format!("  {subject} {}  {}", comparison(&objective.rto), comparison(&objective.rpo));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    // What has the same reason for everything is said once.
    let mut notes: Vec<(&str, Vec<String>)> = Vec::new();
    for objective in &report.objectives {
        for (name, comparison) in [("RTO", &objective.rto), ("RPO", &objective.rpo)] {
            let figure = comparison.deciding();
            if !matches!(figure.verdict, Verdict::Fail | Verdict::Unknown) || figure.note.is_empty() {
                continue;
            }
            let about = format!("{} {name}", objective.subject);
            match notes.iter_mut().find(|(note, _)| *note == figure.note) {
                Some((_, subjects)) => subjects.push(about),
                None => notes.push((&figure.note, vec![about])),
            }
        }
    }
    for (note, subjects) in notes {
        let about = if subjects.len() > 3 { format!("{} targets", subjects.len()) } else { subjects.join(", ") };
        text.push_str(&format!("  {}\n", indented(&format!("{about}: {note}"), 4, QUIET)));
    }
    text
}

fn comparison(comparison: &Comparison) -> String {
    let figure = comparison.deciding();
    let (verdict, style) = match figure.verdict {
        Verdict::Pass => ("PASS", GOOD),
        Verdict::Fail => ("FAIL", BAD),
        Verdict::Unknown => ("?", WARN),
        Verdict::NotApplicable => ("–", QUIET),
    };
    let target = comparison.target.map_or_else(|| "–".to_owned(), |target| target.to_string());
    format!("{target:>TARGET$} {:>ACTUAL$} {}{}", words(figure), paint(style, verdict), " ".repeat(4 - length(verdict)))
}

fn words(figure: &Figure) -> String {
    match (figure.actual, figure.bound, figure.verdict) {
        (Some(actual), Bound::About, _) => span(actual),
        (Some(actual), Bound::AtMost, _) => format!("≤ {}", span(actual)),
        (None, _, Verdict::Fail) => "not restored".to_owned(),
        (None, _, Verdict::Unknown) => "unknown".to_owned(),
        (None, _, _) => "–".to_owned(),
    }
}

fn integrity(report: &Report) -> String {
    let integrity = &report.integrity;
    let checks = if integrity.checks_made == 0 {
        "no data check was made".to_owned()
    } else {
        format!("{} of {} data checks passed", integrity.checks_passed, integrity.checks_made)
    };
    let writes = match (integrity.writes_confirmed, integrity.writes_lost) {
        (Some(confirmed), Some(lost)) => format!("; {} of {} confirmed writes lost", crate::words::thousands(lost), crate::words::thousands(confirmed)),
        _ => String::new(),
    };
    format!("  {}\n", paint(QUIET, &format!("{checks}{writes}")))
}

fn time(breakdown: &Breakdown) -> String {
    let whole = breakdown.until.since(breakdown.from);
    if whole.is_zero() {
        return String::new();
    }
    let until = if breakdown.restored { "from the incident until clients were served again" } else { "from the incident until the run was closed" };
    let mut text = format!("\n{}  {}\n", paint(STRONG, "Where the time went"), paint(QUIET, &format!("{}, {until}", span(whole))));
    let parts: [(&str, Duration, Style); 5] = [
        ("detection", breakdown.detection, PLAIN),
        ("people", breakdown.decision, PLAIN),
        ("AWS", breakdown.aws, PLAIN),
        ("DNS", breakdown.dns, PLAIN),
        ("Muster", breakdown.overhead, PLAIN),
    ];
    for (name, part, style) in parts {
        let filled = (u128::from(part.as_millis()) * u128::from(BAR)).div_ceil(u128::from(whole.as_millis().max(1))) as usize;
        let bar = format!("{}{}", paint(style, &"█".repeat(filled)), " ".repeat((BAR as usize).saturating_sub(filled)));
        text.push_str(&format!("  {name:<10} {:>11}  {bar} {:>7}\n", span(part), percent(part.as_millis(), whole.as_millis())));
    }
    if !breakdown.critical_path.is_empty() {
        let path = format!("critical path: {}", breakdown.critical_path.join(" → "));
        text.push_str(&format!("  {}\n", indented(&path, 4, QUIET)));
    }
    text
}

fn list(title: &str, items: &[String], style: Style) -> String {
    if items.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", paint(STRONG, title));
    for item in items {
        text.push_str(&format!("  {} {}\n", paint(style, "–"), indented(item, 4, PLAIN)));
    }
    text
}

/// The text, of whose lines all but the first begin `left` columns in.
fn indented(text: &str, left: usize, style: Style) -> String {
    let lines: Vec<String> = wrap(text, WIDTH - left).iter().map(|line| paint(style, line)).collect();
    lines.join(&format!("\n{}", " ".repeat(left)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_comes_with_its_story_its_seed_and_the_command_that_replays_it() {
        let seen = "portal-db: portal-db (us-east-1) and portal-db-replica (us-west-2) both take writes, and nobody accepted that portal-db is not fenced";
        let broken = Violation {
            invariant: 1,
            rule: "never two writable primaries that clients can reach, unless a recorded acceptance names the old one",
            seen: seen.to_owned(),
            at: muster_core::Timestamp::from_millis(1_000),
            seed: 17,
            story: vec!["T+00:00:00.000  the primary region is down".to_owned(), format!("T+00:18:14.500  {seen}")],
        };
        let text = anstream::adapter::strip_str(&violation(&broken, "muster rehearse plan.yaml --seed 17")).to_string();
        assert!(text.lines().all(|line| length(line) <= WIDTH));
        insta::assert_snapshot!(text);
    }
}
