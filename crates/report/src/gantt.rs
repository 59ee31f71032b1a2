//! The picture of a run, as data: rows on a common axis. HTML and Markdown draw it, each in its way.

use muster_core::{Duration, Timestamp};

use crate::clients::{ALL, CurveSegment};
use crate::record::Report;

/// What a row shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A phase that the restoration hung on.
    Critical,
    /// A phase beside it.
    Beside,
    /// Waiting for people.
    People,
}

/// A row.
pub(crate) struct Row {
    pub(crate) label: String,
    pub(crate) kind: Kind,
    pub(crate) held: bool,
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
    /// When AWS worked for it.
    pub(crate) aws: Vec<(Timestamp, Timestamp)>,
}

/// The picture's axis: a little before the incident, until the close.
pub(crate) struct Axis {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

impl Axis {
    pub(crate) fn of(report: &Report) -> Axis {
        let summary = &report.summary;
        let first = summary.opened_at.min(report.breakdown.from);
        let last = report.phases.iter().map(|phase| phase.until).chain([summary.closed_at, report.breakdown.until]).max().unwrap_or(summary.closed_at);
        let last = last.max(first.after(Duration::from_secs(1)));
        // A little of the time before, so that the fall is seen.
        let margin = Duration::from_millis(last.since(first).as_millis() / 25);
        Axis { from: first.before(margin), until: last }
    }

    /// Where an instant lies, in ten-thousandths of the axis.
    pub(crate) fn place(&self, at: Timestamp) -> u32 {
        let into = u128::from(at.since(self.from).as_millis()) * 10_000 / u128::from(self.until.since(self.from).as_millis().max(1));
        into.min(10_000) as u32
    }

    /// Round instants for the axis, at most six, as spans since the incident.
    pub(crate) fn ticks(&self, zero: Timestamp) -> Vec<(Timestamp, String)> {
        const STEPS: [u64; 16] = [1, 2, 5, 10, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400];
        let length = self.until.since(zero).as_millis() / 1_000;
        let step = STEPS.into_iter().find(|step| length / step <= 5).unwrap_or(864_000);
        let label = |seconds: u64| if seconds == 0 { "T".to_owned() } else { format!("+{}", Duration::from_secs(seconds)) };
        (0..=length / step.max(1)).map(|index| (zero.after(Duration::from_secs(index * step)), label(index * step))).collect()
    }
}

/// The rows, by when they begin.
pub(crate) fn rows(report: &Report) -> Vec<Row> {
    let phases = report.phases.iter().map(|phase| Row {
        label: phase.name.clone(),
        kind: if phase.critical { Kind::Critical } else { Kind::Beside },
        held: phase.held > 0,
        from: phase.from,
        until: phase.until,
        aws: aws(report, &phase.name),
    });
    let people = report.decisions.iter().map(|decision| Row {
        label: format!("{}: {}, by {}", decision.question, decision.choice, decision.by),
        kind: Kind::People,
        held: false,
        from: decision.asked_at,
        until: decision.decided_at,
        aws: Vec::new(),
    });
    let mut rows: Vec<Row> = phases.chain(people).collect();
    rows.sort_by_key(|row| row.from);
    rows
}

/// When AWS worked for a phase: exactly in a rehearsal, otherwise as Muster saw it.
fn aws(report: &Report, phase: &str) -> Vec<(Timestamp, Timestamp)> {
    let waits = report.awaited.iter().filter(|wait| wait.phase == phase);
    match &report.clients {
        Some(clients) => waits
            .flat_map(|wait| clients.busy.iter().filter(move |busy| busy.component == wait.component && busy.from < wait.until && wait.from < busy.until))
            .map(|busy| (busy.from, busy.until))
            .collect(),
        None => waits.map(|wait| (wait.from, wait.until)).collect(),
    }
}

/// The success rate at an instant, in parts per million; absent where the curve says nothing.
pub(crate) fn rate_at(curve: &[CurveSegment], at: Timestamp) -> Option<u32> {
    let segment = curve.iter().rev().find(|segment| segment.from <= at && at <= segment.until)?;
    let length = i128::from(segment.until.since(segment.from).as_millis());
    let (start, end) = (i128::from(segment.success_ppm_start), i128::from(segment.success_ppm_end));
    let into = i128::from(at.since(segment.from).as_millis());
    let rate = if length == 0 { end } else { start + (end - start) * into / length };
    Some(rate.clamp(0, i128::from(ALL)) as u32)
}
