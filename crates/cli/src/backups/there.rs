//! What is there, in sums and one by one.

use std::collections::BTreeMap;

use muster_backups::{Fate, Happening, Keep, Line, Place, RecoveryPoint};
use muster_core::Timestamp;
use muster_plan::{Occasion, Retention};

use super::Outlook;
use crate::output::{BAD, PLAIN, QUIET, STRONG, WARN};
use crate::table::{Cell, table};
use crate::words::{count, day_and_time};

/// Each backup, and what is there of it in each place.
pub(super) fn summary(outlook: &Outlook<'_>) -> String {
    let fates = outlook.fates();
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for line in &outlook.rules.lines {
        rows.push(vec![(STRONG, line.name.to_string()), (QUIET, format!("of {}, {}", line.of.0, when(outlook, line)))]);
        for destination in &line.destinations {
            let points: Vec<_> = fates.iter().filter(|(point, _)| point.place == destination.place && belongs(outlook, point, line)).collect();
            let first = points.iter().map(|(point, _)| point.taken_at).min();
            let last = points.iter().map(|(point, _)| point.taken_at).max();
            let span = match (first, last) {
                (Some(first), Some(last)) => format!("{}: {}", points.len(), from_to(outlook.now, first, last)),
                _ => "none".to_owned(),
            };
            let kept = reasons(points.iter().map(|(_, fate)| fate));
            let how = match (&destination.retention, destination.archive.as_ref().and_then(|to| to.stays.as_ref())) {
                (Some(retention), _) => retained(retention),
                (None, Some(stays)) => format!("{}, by its lifecycle: Muster deletes none", retained(stays)),
                (None, None) => "until its lifecycle deletes them".to_owned(),
            };
            let text = if kept.is_empty() { format!("{span}\nkept: {how}") } else { format!("{span}\nkept: {how}; there: {kept}") };
            rows.push(vec![(PLAIN, format!("  {}", destination.place)), (PLAIN, text)]);
        }
    }
    rows.extend(strangers(&fates));
    if rows.is_empty() {
        return "  nothing: the plan has no backups that Muster makes\n".to_owned();
    }
    table(2, &rows)
}

/// What nobody handed over, and what the plan has dropped.
fn strangers(fates: &[(&RecoveryPoint, Fate)]) -> Vec<Vec<Cell>> {
    let mut found: BTreeMap<(Keep, &Place), usize> = BTreeMap::new();
    for (point, fate) in fates {
        if let Fate::Keep { reasons } = fate
            && let [keep @ (Keep::NotOurs | Keep::NoSuchBackup)] = reasons.as_slice()
        {
            *found.entry((keep.clone(), &point.place)).or_default() += 1;
        }
    }
    let row = |((keep, place), number): (_, usize)| vec![(WARN, count(number as u64, "other")), (PLAIN, format!("in {place}, {keep}: never deleted"))];
    found.into_iter().map(row).collect()
}

fn belongs(outlook: &Outlook<'_>, point: &RecoveryPoint, line: &Line) -> bool {
    outlook.rules.line_of(point).is_some_and(|of| of.name == line.name)
}

fn when(outlook: &Outlook<'_>, line: &Line) -> String {
    match (&line.every, outlook.plan.backup(line.name.as_str()).and_then(|backup| backup.on)) {
        (Some(every), _) => every.to_string(),
        (None, Some(Occasion::BeforeMigration)) => "on demand, before a migration".to_owned(),
        _ => "on demand".to_owned(),
    }
}

/// `7d`, or `7 daily, 4 weekly`.
fn retained(retention: &Retention) -> String {
    match retention {
        Retention::For { keep } => keep.to_string(),
        Retention::Versions { keep } => format!("the newest {keep}"),
        Retention::Indefinite => "for ever".to_owned(),
        Retention::Generations { daily, weekly, monthly, yearly } => {
            let counts = [(daily, "daily"), (weekly, "weekly"), (monthly, "monthly"), (yearly, "yearly")];
            counts.iter().filter(|(count, _)| **count > 0).map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
        }
    }
}

/// How many there are for each reason: one can have several. That they are within their retention is not said again.
fn reasons<'a>(fates: impl Iterator<Item = &'a Fate>) -> String {
    let mut counts: BTreeMap<(bool, Keep), usize> = BTreeMap::new();
    let (mut goes, mut held) = (0_usize, 0_usize);
    for fate in fates {
        match fate {
            Fate::Delete { .. } => goes += 1,
            Fate::Hold { .. } => held += 1,
            Fate::Keep { reasons } => {
                let alone = reasons.iter().all(|keep| matches!(keep, Keep::Young { .. } | Keep::LastGood));
                let said = reasons.iter().filter(|keep| match keep {
                    Keep::Within { .. } | Keep::Version { .. } | Keep::Indefinitely | Keep::Lifecycle => false,
                    Keep::Young { .. } => alone,
                    Keep::LastGood => reasons.len() == 1,
                    _ => true,
                });
                for keep in said {
                    *counts.entry((!matches!(keep, Keep::Generation { .. }), keep.clone())).or_default() += 1;
                }
            }
        }
    }
    let ends = [(goes, "to be deleted now"), (held, "to be deleted if a person says so")];
    let ends = ends.into_iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{number} {what}"));
    counts.into_iter().map(|((_, keep), number)| format!("{number} {keep}")).chain(ends).collect::<Vec<_>>().join(", ")
}

fn from_to(now: Timestamp, first: Timestamp, last: Timestamp) -> String {
    if first == last {
        return day_and_time(first, Some(now));
    }
    format!("{} to {}", day_and_time(first, Some(now)), day_and_time(last, Some(now)))
}

/// Each recovery point, the newest first, and what becomes of it.
pub(super) fn list(outlook: &Outlook<'_>) -> String {
    let mut fates = outlook.fates();
    fates.sort_by(|(a, _), (b, _)| (b.taken_at, &a.name, &a.place).cmp(&(a.taken_at, &b.name, &b.place)));
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for (point, fate) in fates {
        let goes = outlook.events.iter().find(|event| {
            matches!(event.what, Happening::Deleted { .. }) && event.name.as_ref() == Some(&point.name) && event.place.as_ref() == Some(&point.place)
        });
        let (style, text) = match (&fate, goes.map(|event| (event.at, &event.what))) {
            (_, Some((at, Happening::Deleted { reason }))) => (BAD, format!("deleted {}: {reason}", day_and_time(at, Some(outlook.now)))),
            (Fate::Hold { reason }, _) => (WARN, format!("would be deleted, and waits for a person: {reason}")),
            (Fate::Keep { reasons }, _) => (PLAIN, reasons.iter().map(Keep::to_string).collect::<Vec<_>>().join(", ")),
            (Fate::Delete { reason }, _) => (BAD, reason.to_string()),
        };
        let (taken, place) = (day_and_time(point.taken_at, Some(outlook.now)), point.place.to_string());
        rows.push(vec![(QUIET, taken), (PLAIN, place), (style, format!("{}\n{text}", point.name))]);
    }
    table(2, &rows)
}
