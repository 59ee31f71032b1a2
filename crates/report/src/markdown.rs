//! The report as Markdown: Kaireon's DR test report template, filled, then everything else that the record holds.

use std::fmt::{Display, Write};

use muster_core::Plane;

use crate::backups::{BackupExposure, BackupProblem, EXPOSURE, NO_EXPOSURE, NO_PROBLEM, PROBLEM};
use crate::gantt::{Axis, Kind, rate_at, rows};
use crate::record::{Line, Report, Severity};
use crate::restores::{NO_QUESTION, QUESTION, RESTORE, Restore};
use crate::text::{date, exact, hours_minutes, moment, offset, share, span};

/// Columns of the picture.
const WIDTH: u32 = 48;

impl Report {
    /// The report as Markdown.
    pub fn to_markdown(&self) -> String {
        let mut page = Page(String::with_capacity(16_384));
        self.template(&mut page);
        if self.recovers() {
            self.where_the_time_went(&mut page);
        }
        self.picture(&mut page);
        self.safety(&mut page);
        self.checks_made(&mut page);
        self.calls_made(&mut page);
        page.0
    }

    fn template(&self, page: &mut Page) {
        let summary = &self.summary;
        page.line(format_args!("# {}\n\n**{}.** {}\n\n## Summary", self.title(), cell(self.verdict().1), cell(&summary.sentence)));
        let participants = if summary.participants.is_empty() { "nobody".to_owned() } else { summary.participants.join(", ") };
        page.item("Test type", self.test_type());
        page.item("Date", date(summary.opened_at));
        page.item("Duration", self.duration());
        page.item("Participants", participants);
        page.item("Outcome", &summary.outcome);
        for (name, value) in self.particulars().into_iter().chain(self.provenance()) {
            page.item(name, value);
        }
        if self.recovers() {
            self.targets(page);
        }
        self.backups_verified(page);
        self.restored(page);
        page.line(format_args!("\n## Timeline\n\nUTC; T is the {}.\n", if self.recovers() { "incident" } else { "opening of the run" }));
        page.header(&["Time", "Action", "Result"]);
        for line in &self.timeline {
            page.row(&[format!("{} {}", line.at.clock_time(), offset(line.offset_millis)), line.action.clone(), repeated(line)]);
        }
        page.line("\n## Issues Found\n");
        page.numbered(self.issues.iter().map(|issue| format!("**{}** ({}): {}", severity(issue.severity), issue.about, cell(&issue.what))), "None.");
        page.line("\n## Runbook Updates Required\n");
        page.numbered(self.runbook_updates.iter().map(cell), "None.");
        page.line("\n## Action Items\n");
        if self.action_items.is_empty() {
            page.line("None.");
        }
        for item in &self.action_items {
            let owner = item.owner.as_deref().unwrap_or("to be named");
            page.line(format_args!("- [ ] {} - Owner: {} - Due: {}", cell(&item.action), cell(owner), cell(item.due.as_deref().unwrap_or("to be agreed"))));
        }
    }

    fn duration(&self) -> String {
        if !self.recovers() {
            return self.run_time();
        }
        format!(
            "{} (run); {} from the incident to the {}",
            hours_minutes(self.summary.closed_at.since(self.summary.opened_at)),
            span(self.breakdown.total()),
            if self.breakdown.restored { "restoration" } else { "close: not restored within the run" }
        )
    }

    fn targets(&self, page: &mut Page) {
        page.line("\n## Results");
        page.header(&["Metric", "Target", "Actual", "Pass/Fail"]);
        if let Some(service) = self.service() {
            for (name, comparison) in [("RTO", &service.rto), ("RPO", &service.rpo)] {
                let figure = comparison.deciding();
                page.row(&[name.to_owned(), comparison.target.map_or("–".to_owned(), span), figure.words(), figure.verdict.word().to_owned()]);
            }
        }
        page.row(&["Data integrity".into(), "100%".into(), self.integrity.checks_in_words(), self.integrity.verdict.word().into()]);
        if let Some(kept) = self.integrity.writes_in_words() {
            page.row(&["Confirmed writes kept".into(), "within the RPO".into(), kept, "–".into()]);
        }
        page.line("\n### Each target, each figure, and where it comes from");
        page.header(&["Subject", "Metric", "Target", "Actual", "Exactness", "Pass/Fail", "Source", "Note"]);
        for objective in &self.objectives {
            for (name, comparison) in [("RTO", &objective.rto), ("RPO", &objective.rpo)] {
                for figure in comparison.clients.iter().chain([&comparison.measured]) {
                    let target = comparison.target.map_or("–".to_owned(), span);
                    let verdict = figure.verdict.word().to_owned();
                    page.row(&[
                        objective.subject.clone(),
                        name.into(),
                        target,
                        figure.words(),
                        figure.exactness(),
                        verdict,
                        figure.source.clone(),
                        figure.note.clone(),
                    ]);
                }
            }
        }
    }

    fn backups_verified(&self, page: &mut Page) {
        let Some(backups) = &self.backups else { return };
        page.line(format_args!("\n## Backups\n\nAs of {}: {}.\n", moment(backups.as_of), cell(backups.verdict().1)));
        page.table(&PROBLEM, backups.problems.iter().map(BackupProblem::row), NO_PROBLEM);
        page.line(format_args!("\n### If {} died now\n\nWhat would be lost if nothing were left but the backups outside it.\n", self.summary.primary));
        page.table(&EXPOSURE, backups.exposures.iter().map(BackupExposure::row), NO_EXPOSURE);
    }

    fn restored(&self, page: &mut Page) {
        if self.restores.is_empty() {
            return;
        }
        page.line("\n## Restore test\n");
        page.table(&RESTORE, self.restores.iter().map(Restore::row), "");
        page.line("\n### What was asked of the clones\n");
        page.table(&QUESTION, self.questions(), NO_QUESTION);
    }

    fn where_the_time_went(&self, page: &mut Page) {
        let breakdown = &self.breakdown;
        let end = if breakdown.restored { "restoration" } else { "close (not restored within the run)" };
        page.line(format_args!(
            "\n## Where the time went\n\nFrom the incident at {} to the {end} at {}:\n",
            breakdown.from.clock_time(),
            breakdown.until.clock_time()
        ));
        page.header(&["Part", "Time", "Share"]);
        for (name, part) in breakdown.parts() {
            page.row(&[name.to_owned(), exact(part), share(part, breakdown.total())]);
        }
        page.row(&["Total".into(), exact(breakdown.total()), "100%".into()]);
        let source = if breakdown.exact { "AWS's own work is known exactly." } else { "AWS's part is what Muster saw by asking." };
        page.line(format_args!("\n{source} Critical path: {}.", cell(breakdown.critical_path.join(" → "))));
    }

    fn picture(&self, page: &mut Page) {
        let axis = Axis::of(self);
        page.line("\n## Phases\n\n`█` AWS at work, `▓` critical path, `░` beside it, `?` waiting for people\n\n```text");
        for row in rows(self) {
            let mut bar: Vec<char> = vec![' '; WIDTH as usize];
            let body = match row.kind {
                Kind::Critical => '▓',
                Kind::Beside => '░',
                Kind::People => '?',
            };
            fill(&mut bar, &axis, (row.from, row.until), body);
            row.aws.iter().for_each(|stretch| fill(&mut bar, &axis, *stretch, '█'));
            let label: String = row.label.replace(['\n', '`', '<', '>'], " ").chars().take(28).collect();
            page.line(format_args!(
                "{label:<28} |{}| {}{}",
                bar.into_iter().collect::<String>(),
                span(row.until.since(row.from)),
                if row.held { ", held" } else { "" }
            ));
        }
        if let Some(clients) = &self.clients {
            let length = axis.until.since(axis.from).as_millis();
            let rate = |column: u32| {
                let at = axis.from.after(muster_core::Duration::from_millis(length * (2 * u64::from(column) + 1) / (2 * u64::from(WIDTH))));
                rate_at(&clients.curve, at)
            };
            let level = |ppm: u32| ['_', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][(ppm / 125_000).min(8) as usize];
            let bar: String = (0..WIDTH).map(|column| rate(column).map_or(' ', level)).collect();
            page.line(format_args!("{:<28} |{bar}| clients' success rate", "clients"));
        }
        page.line("```\n");
        page.header(&["Phase", "Action", "Began", "Took", "Invocations", "Calls", "Outcome", "Held", "Critical path"]);
        for phase in &self.phases {
            let held = if phase.held == 0 { "no".to_owned() } else { format!("{}×", phase.held) };
            page.row(&[
                phase.name.clone(),
                phase.action.clone(),
                phase.from.clock_time(),
                span(phase.until.since(phase.from)),
                phase.invocations.to_string(),
                phase.calls.to_string(),
                format!("{}: {}", phase.outcome, phase.detail),
                held,
                if phase.critical { "yes".into() } else { "no".into() },
            ]);
        }
    }

    fn safety(&self, page: &mut Page) {
        page.line("\n## Decisions\n");
        page.table(
            &["Question", "Answer", "By", "Why", "Asked", "Answered", "Waited", "Heard by"],
            self.decisions.iter().map(|decision| {
                let waited = span(decision.decided_at.since(decision.asked_at));
                let heard = if decision.heard_by.is_empty() { "nobody".to_owned() } else { decision.heard_by.join(", ") };
                let (asked, decided) = (decision.asked_at.clock_time(), decision.decided_at.clock_time());
                vec![decision.question.clone(), decision.choice.clone(), decision.by.clone(), decision.reason.clone(), asked, decided, waited, heard]
            }),
            "Nobody was asked.",
        );
        page.line("\n## Accepted risks\n");
        page.table(
            &["Risk", "By", "Why", "When"],
            self.accepted_risks.iter().map(|risk| {
                vec![
                    risk.risk.clone(),
                    risk.by.clone(),
                    risk.reason.clone(),
                    if risk.standing { "beforehand, in the plan".into() } else { format!("in this run, {}", risk.at.clock_time()) },
                ]
            }),
            "None.",
        );
        if self.recovers() {
            self.fencing_and_lag(page);
        }
        page.line("\n## What is unprotected now\n");
        page.numbered(self.unprotected.iter().map(cell), "Nothing that this run knows of.");
    }

    fn fencing_and_lag(&self, page: &mut Page) {
        page.line("\n## Fencing\n");
        page.table(
            &["Database", "Proven", "Proof, or what was seen instead", "When"],
            self.fencing.iter().map(|fencing| {
                vec![
                    fencing.database.clone(),
                    if fencing.fenced { "yes".into() } else { "NO".into() },
                    fencing.seen.clone(),
                    fencing.at.map_or("–".to_owned(), |at| at.clock_time()),
                ]
            }),
            "No database had to be fenced.",
        );
        page.line("\n## Replica lag at promotion\n");
        page.table(
            &["Database", "Lag", "Basis", "Sampled"],
            self.lag.iter().map(|lag| {
                vec![
                    lag.database.clone(),
                    lag.lag.map_or("unknown".to_owned(), span),
                    lag.basis.clone(),
                    lag.sampled_at.map_or("–".to_owned(), |at| at.clock_time()),
                ]
            }),
            "No replica was promoted.",
        );
    }

    fn checks_made(&self, page: &mut Page) {
        page.line("\n## Checks\n");
        page.table(
            &["Check", "Of", "Phase", "Seen", "Wanted", "Passed", "Times"],
            self.checks.iter().map(|check| {
                let passed = if check.passed { "yes" } else { "NO" };
                vec![
                    check.check.clone(),
                    check.component.clone(),
                    check.phase.clone(),
                    check.seen.clone(),
                    check.wanted.clone(),
                    passed.to_owned(),
                    check.times.to_string(),
                ]
            }),
            "None was made.",
        );
    }

    fn calls_made(&self, page: &mut Page) {
        page.line("\n## Calls\n");
        if self.recovers() {
            page.line(format_args!("{}\n", cell(self.dependence_in_words())));
        }
        let plane = |plane: Plane| if plane == Plane::Control { "control".to_owned() } else { "data".to_owned() };
        page.table(
            &["Operation", "Region", "Plane", "Changes the estate", "Calls", "Failed", "Latency, total", "Latency, max"],
            self.calls.groups.iter().map(|group| {
                let mutates = if group.mutates { "yes" } else { "no" };
                let (region, count, failures) = (group.region.to_string(), group.count.to_string(), group.failures.to_string());
                vec![
                    group.operation.clone(),
                    region,
                    plane(group.plane),
                    mutates.to_owned(),
                    count,
                    failures,
                    span(group.latency_total),
                    span(group.latency_max),
                ]
            }),
            "None.",
        );
        page.line("\n### Calls that change the estate, one by one\n");
        page.table(
            &["Time", "Phase", "Operation", "Resource", "Region", "Plane", "Outcome", "Latency", "Request id"],
            self.calls.mutating.iter().map(|call| {
                let latency = call.latency.map_or("–".to_owned(), span);
                let request = call.request_id.clone().unwrap_or_else(|| "–".to_owned());
                let (time, region) = (call.at.clock_time(), call.region.to_string());
                vec![time, call.phase.clone(), call.operation.clone(), call.resource.clone(), region, plane(call.plane), call.outcome.clone(), latency, request]
            }),
            "None.",
        );
    }
}

/// The severity of an issue, in one word.
pub(crate) const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::High => "High",
        Severity::Medium => "Medium",
        Severity::Low => "Low",
    }
}

/// A line's result, with how often it was seen.
pub(crate) fn repeated(line: &Line) -> String {
    if line.times > 1 { format!("{} (×{})", line.result, line.times) } else { line.result.clone() }
}

fn fill(bar: &mut [char], axis: &Axis, (from, until): (muster_core::Timestamp, muster_core::Timestamp), with: char) {
    let column = |place: u32| (place * WIDTH / 10_000).min(WIDTH - 1) as usize;
    let (first, last) = (column(axis.place(from)), column(axis.place(until)));
    bar[first..=last].fill(with);
}

/// Text that means nothing to Markdown or HTML, on one line.
fn cell(text: impl Display) -> String {
    let text = text.to_string();
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '|' | '`' | '*' | '[' | ']' | '\\' => safe.extend(['\\', letter]),
            '\n' | '\r' => safe.push(' '),
            _ => safe.push(letter),
        }
    }
    safe
}

struct Page(String);

impl Page {
    fn line(&mut self, text: impl Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{text}");
    }

    fn item(&mut self, name: &str, value: impl Display) {
        self.line(format_args!("- **{name}:** {}", cell(value)));
    }

    fn header(&mut self, names: &[&str]) {
        self.line(format_args!("| {} |\n|{}", names.join(" | "), "---|".repeat(names.len())));
    }

    fn row(&mut self, cells: &[String]) {
        self.line(format_args!("| {} |", cells.iter().map(cell).collect::<Vec<_>>().join(" | ")));
    }

    fn table(&mut self, names: &[&str], rows: impl Iterator<Item = Vec<String>>, none: &str) {
        let mut rows = rows.peekable();
        if rows.peek().is_none() {
            return self.line(none);
        }
        self.header(names);
        rows.for_each(|row| self.row(&row));
    }

    fn numbered(&mut self, items: impl Iterator<Item = String>, none: &str) {
        let mut items = items.enumerate().peekable();
        if items.peek().is_none() {
            return self.line(none);
        }
        items.for_each(|(index, item)| self.line(format_args!("{}. {item}", index + 1)));
    }
}
