//! What happens, in the order in which it does; what happens again and again in one line.

use std::collections::BTreeMap;

use anstyle::Style;
use muster_backups::{Event, Happening, Reason};
use muster_core::Timestamp;

use super::{Outlook, some};
use crate::output::{BAD, GOOD, PLAIN, QUIET, WARN};
use crate::table::{Cell, table};
use crate::words::day_and_time;

/// More alike than this are one line.
const ALIKE: usize = 3;

/// The events as rows, and their sums.
pub(super) fn rows(outlook: &Outlook<'_>, list: bool) -> String {
    let number = |wanted: fn(&Happening) -> bool| outlook.events.iter().filter(|event| wanted(&event.what)).count();
    let sums = format!(
        "taken: {}; copied: {}; deleted: {}",
        some(number(|what| matches!(what, Happening::Taken { .. })), "snapshot"),
        some(number(|what| matches!(what, Happening::Copied { .. })), "snapshot"),
        some(number(|what| matches!(what, Happening::Deleted { .. })), "snapshot"),
    );
    // What happens to a snapshot in several places at once is said once.
    let mut places: BTreeMap<Same<'_>, Vec<String>> = BTreeMap::new();
    for event in &outlook.events {
        places.entry(same(event)).or_default().extend(event.place.as_ref().map(ToString::to_string));
    }
    let mut groups: BTreeMap<Kind<'_>, Vec<&Event>> = BTreeMap::new();
    for event in &outlook.events {
        if let Some(places) = places.remove(&same(event)) {
            groups.entry(Kind::of(event, places.join(" and "))).or_default().push(event);
        }
    }
    let mut rows: Vec<(Timestamp, Kind<'_>, Vec<Cell>)> = Vec::new();
    for (kind, events) in groups {
        if list || events.len() <= ALIKE {
            rows.extend(events.into_iter().map(|event| (event.at, kind.clone(), row(outlook, &kind, &[event]))));
        } else if let Some(first) = events.first() {
            rows.push((first.at, kind.clone(), row(outlook, &kind, &events)));
        }
    }
    rows.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let rows: Vec<Vec<Cell>> = rows.into_iter().map(|(_, _, row)| row).collect();
    format!("  {sums}\n{}", table(2, &rows))
}

/// What makes events of several places one: the instant, the verb with its reason, the name.
type Same<'a> = (Timestamp, Verb, Option<&'a Reason>, Option<&'a str>);

fn same(event: &Event) -> Same<'_> {
    let (verb, reason) = verb(event);
    (event.at, verb, reason, event.name.as_deref())
}

fn verb(event: &Event) -> (Verb, Option<&Reason>) {
    match &event.what {
        Happening::Held { .. } => (Verb::Hold, None),
        Happening::Taken { .. } => (Verb::Take, None),
        Happening::Copied { .. } => (Verb::Copy, None),
        Happening::Deleted { reason } => (Verb::Delete, Some(reason)),
    }
}

/// What is alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind<'a> {
    verb: Verb,
    backup: Option<&'a str>,
    places: String,
    reason: Option<&'a Reason>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verb {
    Hold,
    Take,
    Copy,
    Delete,
}

impl<'a> Kind<'a> {
    fn of(event: &'a Event, places: String) -> Kind<'a> {
        let (verb, reason) = verb(event);
        Kind { verb, backup: event.backup.as_ref().map(|name| name.as_str()), places, reason }
    }
}

fn row(outlook: &Outlook<'_>, kind: &Kind<'_>, events: &[&Event]) -> Vec<Cell> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return Vec::new() };
    let when = day_and_time(first.at, Some(outlook.now));
    let times = if events.len() == 1 { String::new() } else { format!(", {} times until {}", events.len(), day_and_time(last.at, Some(outlook.now))) };
    let backup = kind.backup.unwrap_or("a snapshot");
    let line = outlook.rules.lines.iter().find(|line| Some(line.name.as_str()) == kind.backup);
    let (style, verb, text): (Style, &str, String) = match &first.what {
        Happening::Held { would_delete, at_most } => (
            WARN,
            "hold",
            format!("{would_delete} would be deleted at once, and the plan allows {at_most}: nothing is deleted from here on until a person decides"),
        ),
        Happening::Taken { missed } => {
            let why = line.and_then(|line| line.every.as_ref()).map(|every| format!(": {every}")).unwrap_or_default();
            let late = match missed {
                0 => String::new(),
                missed => format!("; makes up for {missed} missed before"),
            };
            (GOOD, "take", format!("{backup} in {}{why}{times}{late}", kind.places))
        }
        Happening::Copied { .. } => {
            let destination = line.and_then(|line| line.destinations.iter().find(|destination| Some(&destination.place) == first.place.as_ref()));
            let key = destination.and_then(|destination| destination.kms_key.as_ref()).map(|key| format!(", with {key}")).unwrap_or_default();
            let verb = if first.place.as_ref().is_some_and(|place| place.bucket.is_some()) { "export" } else { "copy" };
            let of = if events.len() == 1 { format!(" of {}", day_and_time(first.taken_at, Some(outlook.now))) } else { String::new() };
            (PLAIN, verb, format!("{backup}{of} to {}{key}{times}", kind.places))
        }
        Happening::Deleted { reason } => {
            let of = |taken_at: Option<Timestamp>| taken_at.map(|taken_at| day_and_time(taken_at, Some(outlook.now))).unwrap_or_default();
            let taken = || events.iter().map(|event| event.taken_at);
            let which = if events.len() == 1 { of(taken().min()) } else { format!("{} to {}", of(taken().min()), of(taken().max())) };
            (BAD, "delete", format!("{backup} of {which}, {}: {reason}{times}", kind.places))
        }
    };
    vec![(QUIET, when), (style, verb.to_owned()), (PLAIN, text)]
}
