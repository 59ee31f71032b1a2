//! What the schedule would have made, and what it will do.

use std::collections::BTreeSet;

use muster_core::{Duration, Timestamp};
use muster_plan::{Name, Retention};
use serde::Serialize;

use crate::calendar::{latest_slot, slots};
use crate::decide::decide;
use crate::decision::{CopyOrder, Decision, Fate, Reason, Situation, Take};
use crate::name::snapshot_name;
use crate::point::{Place, PointStatus, RecoveryPoint};
use crate::rules::{Destination, Line, Rules};

const DAY: Duration = Duration::from_hours(24);
/// How far back a history is assumed of what is kept for ever, and of the newest so many.
const ENDLESS: Duration = DAY.times(366);

/// The recovery points that the schedules would have made and kept, if nothing had ever gone wrong, as they are just before `now`. What is taken on
/// demand is not among them.
pub fn assumed(rules: &Rules, now: Timestamp) -> Vec<RecoveryPoint> {
    let before = now.before(Duration::from_millis(1));
    let mut points: Vec<RecoveryPoint> = rules.lines.iter().flat_map(|line| history(rules, line, before)).collect();
    // Things are deleted at the slots: as of the newest slot, nothing is left to be deleted.
    let Some(at) = rules.lines.iter().filter_map(|line| latest_slot(line.every.as_ref()?, before)).max() else { return points };
    let rules = Rules { at_most: usize::MAX, ..rules.clone() };
    loop {
        let situation = Situation { points, ..Situation::default() };
        let fates = decide(&situation, &rules, at).fates;
        let found = situation.points.len();
        points = situation.points.into_iter().zip(fates).filter(|(_, fate)| matches!(fate, Fate::Keep { .. })).map(|(point, _)| point).collect();
        if points.len() == found {
            return points;
        }
    }
}

fn history(rules: &Rules, line: &Line, now: Timestamp) -> Vec<RecoveryPoint> {
    let Some(schedule) = &line.every else { return Vec::new() };
    let stays = |destination: &Destination| destination.retention.clone().or_else(|| destination.archive.as_ref()?.stays.clone());
    let reach = line.destinations.iter().map(|destination| stays(destination).as_ref().map_or(DAY, reach)).max().unwrap_or(DAY);
    let since = now.before(reach.saturating_add(line.protects).saturating_add(schedule.longest_gap()));
    let made = |slot| {
        line.destinations.iter().map(move |destination| point(line, snapshot_name(&rules.service, &line.of, &line.name, slot), &destination.place, slot))
    };
    slots(schedule, since, now).flat_map(made).collect()
}

fn reach(retention: &Retention) -> Duration {
    match retention {
        // A month and a year have more days than the plan's arithmetic says, and the newest of each is at its end.
        Retention::Generations { weekly, monthly, yearly, .. } => {
            let calendar = [(*weekly, 8), (*monthly, 31), (*yearly, 366)].iter().map(|(count, days)| DAY.times((u64::from(*count) + 1) * days)).max();
            retention.reach().max(calendar).unwrap_or(ENDLESS)
        }
        _ => retention.reach().unwrap_or(ENDLESS),
    }
}

/// A point of a line that is available, as if it had been taken at its slot.
pub(crate) fn point(line: &Line, name: String, place: &Place, slot: Timestamp) -> RecoveryPoint {
    RecoveryPoint {
        name,
        place: place.clone(),
        of: line.of.clone(),
        backup: Some(line.name.clone()),
        slot: Some(slot),
        taken_at: slot,
        status: PointStatus::Available,
        size: None,
        kms_key: None,
        checksum: None,
        used_by: Vec::new(),
        legal_hold: None,
        failures: Vec::new(),
    }
}

/// Something that will happen, if nothing goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// The backup; `None` of what concerns all of them.
    pub backup: Option<Name>,
    /// The snapshot's name.
    pub name: Option<String>,
    /// Where.
    pub place: Option<Place>,
    /// The instant that its data is of.
    pub taken_at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: Happening,
}

/// What will happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Happening {
    /// A snapshot is taken.
    Taken {
        /// How many slots before it were missed.
        missed: usize,
    },
    /// A copy is made.
    Copied {
        /// From where.
        from: Place,
    },
    /// A recovery point is deleted.
    Deleted {
        /// Why.
        reason: Reason,
    },
    /// More would be deleted than may be at once: nothing is, from here on, until a person decides.
    Held {
        /// How many.
        would_delete: usize,
        /// How many may be.
        at_most: usize,
    },
}

/// What will happen from `from` until `until`, both included, if every call succeeds: at once, and then at each slot. Snapshots and copies take no
/// time here; on AWS they take minutes to hours, and whatever waits for them happens that much later.
pub fn forecast(rules: &Rules, situation: &Situation, from: Timestamp, until: Timestamp) -> Vec<Event> {
    let scheduled = rules.lines.iter().filter_map(|line| line.every.as_ref()).flat_map(|schedule| slots(schedule, from, until));
    let instants: BTreeSet<Timestamp> = std::iter::once(from).chain(scheduled).collect();
    let mut situation = situation.clone();
    let mut events = Vec::new();
    let mut held = false;
    for at in instants {
        if at > from {
            finish(&mut situation);
        }
        // As the flow does it: what is due is taken, then copied, then the rest is pruned. A few turns, each of which has less to do.
        loop {
            let mut decision = decide(&situation, rules, at);
            if !decision.takes.is_empty() {
                decision.copies.clear();
            }
            let first_the_others = !decision.takes.is_empty() || !decision.copies.is_empty();
            if let Some(hold) = decision.hold.filter(|_| !held && !first_the_others) {
                held = true;
                let what = Happening::Held { would_delete: hold.would_delete, at_most: hold.at_most };
                events.push(Event { at, backup: None, name: None, place: None, taken_at: at, what });
            }
            let happened = carry_out(&mut situation, rules, decision, !first_the_others, at);
            if happened.is_empty() {
                break;
            }
            events.extend(happened);
        }
    }
    events
}

fn finish(situation: &mut Situation) {
    for point in &mut situation.points {
        if matches!(point.status, PointStatus::Creating | PointStatus::Copying) {
            point.status = PointStatus::Available;
        }
    }
}

fn carry_out(situation: &mut Situation, rules: &Rules, decision: Decision, prunes: bool, at: Timestamp) -> Vec<Event> {
    let mut events = Vec::new();
    let mut left = Vec::new();
    for (point, fate) in std::mem::take(&mut situation.points).into_iter().zip(decision.fates) {
        match fate {
            Fate::Delete { reason } if prunes => events.push(Event {
                at,
                backup: rules.line_of(&point).map(|line| line.name.clone()),
                name: Some(point.name),
                place: Some(point.place),
                taken_at: point.taken_at,
                what: Happening::Deleted { reason },
            }),
            _ => left.push(point),
        }
    }
    for CopyOrder { backup, name, from, to, taken_at, .. } in decision.copies {
        let Some(original) = left.iter().find(|point| point.name == name && point.place == from).cloned() else { continue };
        left.push(RecoveryPoint { place: to.clone(), used_by: Vec::new(), ..original });
        events.push(Event { at, backup: Some(backup), name: Some(name), place: Some(to), taken_at, what: Happening::Copied { from } });
    }
    for Take { backup, name, place, slot, missed, .. } in decision.takes {
        let Some(line) = rules.lines.iter().find(|line| line.name == backup) else { continue };
        left.push(RecoveryPoint { taken_at: at, slot: Some(slot), ..point(line, name.clone(), &place, slot) });
        events.push(Event { at, backup: Some(backup), name: Some(name), place: Some(place), taken_at: at, what: Happening::Taken { missed } });
    }
    situation.points = left;
    events
}
