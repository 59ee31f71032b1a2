//! What is taken, copied, kept, deleted or held for a person: a pure function of what exists, the rules, and the time.

use muster_core::{Duration, Timestamp};
use muster_plan::{Name, PartReference, Retention};
use std::collections::{BTreeMap, BTreeSet};

use crate::calendar::{latest_slot, slots};
use crate::decision::{CopyOrder, Decision, Export, Fate, Hold, Reason, Situation, Take};
use crate::keep::{Keep, newest_of_days, wanted};
use crate::name::{export_name, snapshot_name};
use crate::point::{Place, PointStatus, RecoveryPoint};
use crate::rules::{Destination, Line, Rules};
use crate::size::doubted;

/// An export that failed is tried again after so long, for as long as its snapshot is there: people have been told, and each attempt leaves a task
/// that nobody can delete.
const NEXT_ATTEMPT: Duration = Duration::from_hours(24);

/// What is to be done now.
///
/// Never deleted, whatever the retention says: the last good point of a part in a place; one that something uses, or whose copy is under way or
/// still to be made; one younger than the RPO or `maxAge`; one that Muster neither made nor adopted, or made for a backup that the plan has no
/// longer; one under legal hold; one in a place that could not be read; anything while the kill switch is set. Seeing fewer points never deletes
/// more of them; only that a copy is under way has to be seen, or its place to be among the unread ones.
pub fn decide(situation: &Situation, rules: &Rules, now: Timestamp) -> Decision {
    let mut decision = Decision { fates: vec![Fate::Keep { reasons: vec![Keep::NotOurs] }; situation.points.len()], ..Decision::default() };
    let mut parts: BTreeMap<&PartReference, Vec<&Line>> = BTreeMap::new();
    for line in &rules.lines {
        parts.entry(&line.of).or_default().push(line);
    }
    let mut points: BTreeMap<&PartReference, Vec<usize>> = BTreeMap::new();
    for (index, point) in situation.points.iter().enumerate() {
        points.entry(&point.of).or_default().push(index);
    }
    for of in points.keys() {
        parts.entry(of).or_default();
    }
    for (of, lines) in parts {
        let part = Part::new(situation, rules, points.get(of).map_or(&[], Vec::as_slice), now);
        part.decide(&lines, &mut decision);
    }
    if situation.kill_switch {
        decision.takes.clear();
        decision.copies.clear();
    }
    decision.copies.sort_by(|a, b| (b.taken_at, &a.name, &a.to).cmp(&(a.taken_at, &b.name, &b.to)));
    let would_delete = decision.fates.iter().filter(|fate| matches!(fate, Fate::Delete { .. })).count();
    if would_delete > rules.at_most {
        decision.hold = Some(Hold { would_delete, at_most: rules.at_most });
        for fate in &mut decision.fates {
            if let Fate::Delete { reason } = fate {
                *fate = Fate::Hold { reason: reason.clone() };
            }
        }
    }
    decision
}

/// A snapshot that somebody asks for, before a migration. A second delivery of the same wish has the same `asked_at`, and so the same name.
pub fn by_hand(service: &Name, line: &Line, asked_at: Timestamp) -> Option<Take> {
    Some(Take {
        backup: line.name.clone(),
        of: line.of.clone(),
        name: snapshot_name(service, &line.of, &line.name, asked_at),
        place: line.source()?.place.clone(),
        slot: asked_at,
        missed: 0,
    })
}

/// The points of one part, each with the line that it belongs to.
struct Part<'a> {
    situation: &'a Situation,
    rules: &'a Rules,
    points: Vec<(usize, &'a RecoveryPoint, Option<&'a Line>)>,
    now: Timestamp,
}

impl<'a> Part<'a> {
    fn new(situation: &'a Situation, rules: &'a Rules, indexes: &[usize], now: Timestamp) -> Self {
        let points = indexes.iter().filter_map(|index| situation.points.get(*index).map(|point| (*index, point)));
        Part { situation, rules, points: points.map(|(index, point)| (index, point, rules.line_of(point))).collect(), now }
    }

    fn decide(&self, lines: &[&'a Line], decision: &mut Decision) {
        let mut busy = self.points.iter().any(|(_, point, _)| point.status == PointStatus::Creating);
        let mut arriving = BTreeMap::new();
        for line in lines {
            for destination in &line.destinations {
                let Some(from) = &destination.from else { continue };
                let candidates = self.candidates(line, destination, from);
                decision.copies.extend(self.copies(line, destination, from, &candidates));
                self.awaits(line, destination, from, candidates, &mut arriving);
            }
            if !busy && let Some(take) = self.due(line) {
                busy = true;
                decision.takes.push(take);
            }
        }
        let last_good = self.last_good(lines);
        let (retained, newest_of_days) = self.retained(lines);
        for (index, point, line) in &self.points {
            let reasons = self.reasons(point, *line, &retained, &arriving, last_good.contains(index));
            let destination = line.and_then(|line| line.at(&point.place));
            decision.fates[*index] = match destination {
                Some(destination) if reasons.is_empty() => Fate::Delete { reason: reason(point, destination, &newest_of_days) },
                _ => Fate::Keep { reasons },
            };
        }
    }

    /// Everything that speaks for a point; nothing does for one that is to be deleted.
    fn reasons(
        &self,
        point: &RecoveryPoint,
        line: Option<&Line>,
        retained: &BTreeMap<Key<'_>, Vec<Keep>>,
        arriving: &BTreeMap<Key<'_>, Place>,
        last_good: bool,
    ) -> Vec<Keep> {
        let key = (&point.place, point.name.as_str());
        let Some(line) = line else {
            return vec![if point.backup.is_some() { Keep::NoSuchBackup } else { Keep::NotOurs }];
        };
        let mut reasons = retained.get(&key).cloned().unwrap_or_default();
        reasons.extend(point.legal_hold.iter().chain(&line.legal_hold).map(|hold| Keep::LegalHold { hold: hold.clone() }));
        reasons.extend(point.used_by.iter().map(|by| Keep::InUse { by: by.clone() }));
        let mut when = |holds: bool, keep: Keep| {
            if holds {
                reasons.push(keep);
            }
        };
        match line.at(&point.place) {
            None => when(true, Keep::NotOurs),
            Some(destination) => when(destination.retention.is_none(), Keep::Lifecycle),
        }
        when(matches!(point.status, PointStatus::Creating | PointStatus::Copying), Keep::UnderWay);
        when(point.taken_at > self.now, Keep::FromTheFuture);
        when(self.situation.unread.contains(&point.place), Keep::Unread);
        if let Some(to) = arriving.get(&key) {
            when(true, Keep::AwaitsCopy { to: to.clone() });
        }
        when(last_good, Keep::LastGood);
        if reasons.is_empty() && self.situation.kill_switch {
            reasons.push(Keep::KillSwitch);
        }
        reasons
    }

    /// The newest good point in each place, what is left when everything else has expired; and the newest that is not suspiciously small. Whatever
    /// else the plan counts as its own may be as good; what Muster neither made nor adopted does not count, since somebody else may delete it tonight.
    fn last_good(&self, lines: &[&'a Line]) -> BTreeSet<usize> {
        let mut small: BTreeSet<Key<'_>> = BTreeSet::new();
        for line in lines {
            for destination in &line.destinations {
                small.extend(doubted(&self.points_at(line, &destination.place), self.now).into_iter().map(|name| (&destination.place, name)));
            }
        }
        // Of all of them, and of the sound ones.
        let mut newest: BTreeMap<(&Place, bool), (Timestamp, &str, usize)> = BTreeMap::new();
        for (index, point, line) in &self.points {
            if line.is_some_and(|line| line.at(&point.place).is_some()) && point.is_good(self.now) {
                let this = (point.taken_at, point.name.as_str(), *index);
                let is_small = small.contains(&(&point.place, point.name.as_str()));
                for sound_only in [false, true].into_iter().filter(|sound_only| !sound_only || !is_small) {
                    newest.entry((&point.place, sound_only)).and_modify(|best| *best = (*best).max(this)).or_insert(this);
                }
            }
        }
        newest.into_values().map(|(_, _, index)| index).collect()
    }

    /// What the retentions want of what is there, and who stands for a day.
    fn retained(&self, lines: &[&'a Line]) -> (BTreeMap<Key<'a>, Vec<Keep>>, BTreeSet<Key<'a>>) {
        let (mut retained, mut newest) = (BTreeMap::new(), BTreeSet::new());
        for line in lines {
            for destination in &line.destinations {
                let Some(retention) = &destination.retention else { continue };
                let points = self.points_at(line, &destination.place);
                let mut reasons = wanted(&points, retention, line.protects, self.now);
                // What is suspiciously small replaces nothing: so whatever would be kept without it is kept beside it.
                let small = doubted(&points, self.now);
                if !small.is_empty() {
                    let sound: Vec<usize> = (0..points.len()).filter(|index| !small.contains(points[*index].name.as_str())).collect();
                    let alone: Vec<&RecoveryPoint> = sound.iter().map(|index| points[*index]).collect();
                    for (index, more) in sound.into_iter().zip(wanted(&alone, retention, line.protects, self.now)) {
                        let had = &mut reasons[index];
                        had.extend(more.into_iter().filter(|keep| !had.contains(keep)).collect::<Vec<_>>());
                    }
                }
                newest.extend(newest_of_days(&points, self.now).into_iter().map(|point| (&point.place, point.name.as_str())));
                retained.extend(points.iter().map(|point| (&point.place, point.name.as_str())).zip(reasons));
            }
        }
        (retained, newest)
    }

    fn points_at(&self, line: &Line, place: &Place) -> Vec<&'a RecoveryPoint> {
        self.points.iter().filter(|(_, point, of)| point.place == *place && of.is_some_and(|of| of.name == line.name)).map(|(_, point, _)| *point).collect()
    }

    /// Good points of the source that the destination's retention would keep if they were there. Without one, those newer than all that is there; of an
    /// archive every one that is not there, since none of its slots stands for another.
    fn candidates(&self, line: &Line, destination: &Destination, from: &Place) -> Vec<&'a RecoveryPoint> {
        let there = self.points_at(line, &destination.place);
        let sources: Vec<&RecoveryPoint> = self.points_at(line, from).into_iter().filter(|point| point.is_good(self.now)).collect();
        match &destination.retention {
            None if destination.archive.is_some() => {
                let is_there = |point: &&RecoveryPoint| there.iter().any(|export| export.name == point.name && export.is_good(self.now));
                sources.into_iter().filter(|point| !is_there(point)).collect()
            }
            None => {
                let newest = there.iter().filter(|point| point.is_good(self.now)).map(|point| point.taken_at).max();
                sources.into_iter().filter(|point| newest.is_none_or(|newest| point.taken_at > newest)).collect()
            }
            Some(retention) => {
                let present: BTreeSet<&str> = there.iter().filter(|point| point.is_good(self.now)).map(|point| point.name.as_str()).collect();
                let absent: Vec<&RecoveryPoint> = sources.into_iter().filter(|point| !present.contains(point.name.as_str())).collect();
                let count = absent.len();
                let all: Vec<&RecoveryPoint> = absent.into_iter().chain(there).collect();
                let reasons = wanted(&all, retention, line.protects, self.now);
                all.into_iter().zip(reasons).take(count).filter(|(_, reasons)| !reasons.is_empty()).map(|(point, _)| point).collect()
            }
        }
    }

    fn copies(&self, line: &Line, destination: &Destination, from: &Place, candidates: &[&RecoveryPoint]) -> Vec<CopyOrder> {
        if self.situation.unread.iter().any(|place| place == from || *place == destination.place) {
            return Vec::new();
        }
        let there: BTreeMap<&str, &RecoveryPoint> = self.points_at(line, &destination.place).into_iter().map(|point| (point.name.as_str(), point)).collect();
        let order = |point: &&RecoveryPoint| {
            let failures = match (there.get(point.name.as_str()), &destination.archive) {
                (None, _) => 0,
                // What failed elsewhere is removed first, and then made again under the same name.
                (Some(_), None) => return None,
                (Some(export), Some(_)) => self.may_be_tried_again(export).then_some(export.failures.len())?,
            };
            Some(CopyOrder {
                backup: line.name.clone(),
                of: line.of.clone(),
                name: point.name.clone(),
                from: from.clone(),
                to: destination.place.clone(),
                kms_key: destination.kms_key.clone(),
                export: destination.archive.as_ref().map(|to| Export { role: to.role.clone(), name: export_name(&point.name, failures + 1) }),
                taken_at: point.taken_at,
            })
        };
        candidates.iter().filter_map(order).collect()
    }

    /// Whether an export has failed so long ago that another attempt is due.
    fn may_be_tried_again(&self, export: &RecoveryPoint) -> bool {
        let last = export.failures.iter().map(|failure| failure.at).max();
        export.status == PointStatus::Failed && last.is_some_and(|last| last.after(NEXT_ATTEMPT) <= self.now)
    }

    /// The points whose copy to a destination is still to be made, or under way: deleting the source may fail it.
    fn awaits(&self, line: &Line, destination: &Destination, from: &Place, candidates: Vec<&'a RecoveryPoint>, awaited: &mut BTreeMap<Key<'a>, Place>) {
        let there = self.points_at(line, &destination.place);
        let is_moving = |point: &&&RecoveryPoint| matches!(point.status, PointStatus::Creating | PointStatus::Copying);
        let moving: BTreeSet<&str> = there.iter().filter(is_moving).map(|point| point.name.as_str()).collect();
        // What could not be read may be on its way; and so may everything where nothing at all is seen: an empty listing proves no absence.
        let unseen = self.situation.unread.contains(&destination.place) || there.is_empty();
        let may_move = |point: &&RecoveryPoint| (unseen && point.status == PointStatus::Available) || moving.contains(point.name.as_str());
        for point in self.points_at(line, from).into_iter().filter(may_move).chain(candidates) {
            awaited.insert((&point.place, point.name.as_str()), destination.place.clone());
        }
    }

    /// The snapshot that a line's schedule asks for now, unless it was taken, or its place could not be read.
    fn due(&self, line: &Line) -> Option<Take> {
        let schedule = line.every.as_ref()?;
        let place = &line.source()?.place;
        if self.situation.unread.contains(place) {
            return None;
        }
        let slot = latest_slot(schedule, self.now)?;
        let name = snapshot_name(&self.rules.service, &line.of, &line.name, slot);
        // A failed attempt has the name as well: it is deleted first, and then taken anew.
        let named = self.points.iter().any(|(_, point, _)| point.place == *place && point.name == name);
        let made = self.points_at(line, place);
        if named || made.iter().any(|point| point.slot.is_some_and(|of| of >= slot) && point.status != PointStatus::Failed) {
            return None;
        }
        let newest = made.iter().filter(|point| point.status != PointStatus::Failed).filter_map(|point| point.slot).max();
        let missed = newest.map_or(0, |newest| slots(schedule, newest, slot).count().saturating_sub(1));
        Some(Take { backup: line.name.clone(), of: line.of.clone(), name, place: place.clone(), slot, missed })
    }
}

/// Why a point goes that nothing speaks for.
fn reason(point: &RecoveryPoint, destination: &Destination, newest_of_days: &BTreeSet<Key<'_>>) -> Reason {
    match (&destination.retention, point.status) {
        (_, PointStatus::Failed) | (None, _) => Reason::Failed,
        (Some(Retention::For { keep }), _) => Reason::Older { than: *keep },
        (Some(Retention::Versions { keep }), _) => Reason::Superseded { by: *keep },
        (Some(Retention::Generations { .. } | Retention::Indefinite), _) if newest_of_days.contains(&(&point.place, point.name.as_str())) => {
            Reason::NoGeneration
        }
        (Some(Retention::Generations { .. } | Retention::Indefinite), _) => Reason::NotTheNewestOfItsDay,
    }
}

/// A point by its place and name, which are unique together.
type Key<'a> = (&'a Place, &'a str);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::ToArchive;
    use muster_core::Duration;
    use muster_core::ports::FailedAttempt;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn place(region: &str) -> Place {
        Place::in_region(&region.parse().unwrap())
    }

    fn line(name: &str, every: &str) -> Line {
        let retention = Some(Retention::For { keep: Duration::from_hours(7 * 24) });
        Line {
            name: name.parse().unwrap(),
            of: PartReference("databases.main".to_owned()),
            every: Some(every.parse().unwrap()),
            protects: Duration::from_hours(26),
            destinations: vec![
                Destination { place: place("us-east-1"), from: None, kms_key: None, archive: None, retention: retention.clone() },
                Destination { place: place("us-west-2"), from: Some(place("us-east-1")), kms_key: Some("alias/kaireon".to_owned()), archive: None, retention },
            ],
            adopt: Vec::new(),
            legal_hold: None,
        }
    }

    fn rules(lines: &[Line]) -> Rules {
        Rules { service: "kaireon".parse().unwrap(), lines: lines.to_vec(), at_most: 50 }
    }

    /// A snapshot of `rds-daily`, in `us-east-1` and available.
    fn point(slot: &str) -> RecoveryPoint {
        let line = line("rds-daily", "daily 02:00 UTC");
        let name = snapshot_name(&"kaireon".parse().unwrap(), &line.of, &line.name, at(slot));
        crate::forecast::point(&line, name, &place("us-east-1"), at(slot))
    }

    fn decided(points: &[RecoveryPoint], lines: &[Line], now: &str) -> Decision {
        decide(&Situation { points: points.to_vec(), ..Situation::default() }, &rules(lines), at(now))
    }

    #[test]
    fn a_backup_is_taken_at_its_slot_and_not_twice() {
        let daily = [line("rds-daily", "daily 02:00 UTC")];
        let yesterday = point("2026-11-25T02:00:00Z");
        assert!(decided(std::slice::from_ref(&yesterday), &daily, "2026-11-26T01:59:59Z").takes.is_empty());
        let takes = decided(std::slice::from_ref(&yesterday), &daily, "2026-11-26T02:00:00Z").takes;
        assert_eq!(takes.iter().map(|take| (take.slot, take.missed)).collect::<Vec<_>>(), [(at("2026-11-26T02:00:00Z"), 0)]);
        let taken = RecoveryPoint { name: takes[0].name.clone(), status: PointStatus::Creating, ..point("2026-11-26T02:00:00Z") };
        assert!(decided(&[yesterday, taken], &daily, "2026-11-26T02:00:01Z").takes.is_empty());
    }

    #[test]
    fn missed_slots_are_made_up_for_once() {
        let daily = [line("rds-daily", "daily 02:00 UTC")];
        let takes = decided(&[point("2026-11-20T02:00:00Z")], &daily, "2026-11-26T14:00:00Z").takes;
        assert_eq!(takes.iter().map(|take| (take.slot, take.missed)).collect::<Vec<_>>(), [(at("2026-11-26T02:00:00Z"), 5)]);
        let takes = decided(&[], &daily, "2026-11-26T14:00:00Z").takes;
        assert_eq!(takes.iter().map(|take| (take.slot, take.missed)).collect::<Vec<_>>(), [(at("2026-11-26T02:00:00Z"), 0)], "a new line begins with one");
    }

    #[test]
    fn a_failed_snapshot_makes_room_for_the_next_attempt_at_its_slot() {
        let daily = [line("rds-daily", "daily 02:00 UTC")];
        let failed = RecoveryPoint { status: PointStatus::Failed, ..point("2026-11-26T02:00:00Z") };
        let first = decided(&[failed], &daily, "2026-11-26T02:30:00Z");
        assert_eq!((first.takes.len(), &first.fates[0]), (0, &Fate::Delete { reason: Reason::Failed }));
        assert_eq!(decided(&[], &daily, "2026-11-26T02:31:00Z").takes.len(), 1);
    }

    #[test]
    fn one_database_is_backed_up_once_at_a_time() {
        let two = [line("rds-daily", "daily 02:00 UTC"), line("rds-hourly", "every 1h")];
        let takes = decided(&[], &two, "2026-11-26T02:00:00Z").takes;
        assert_eq!(takes.iter().map(|take| take.backup.as_str()).collect::<Vec<_>>(), ["rds-daily"]);
        let creating = RecoveryPoint { status: PointStatus::Creating, ..point("2026-11-26T02:00:00Z") };
        assert!(decided(&[creating], &two, "2026-11-26T02:00:05Z").takes.is_empty());
        let takes = decided(&[point("2026-11-26T02:00:00Z")], &two, "2026-11-26T02:09:00Z").takes;
        assert_eq!(takes.iter().map(|take| take.backup.as_str()).collect::<Vec<_>>(), ["rds-hourly"]);
    }

    #[test]
    fn the_newest_is_copied_first_with_the_destinations_key_and_an_expired_one_not_at_all() {
        let daily = [line("rds-daily", "daily 02:00 UTC")];
        let points = ["2026-11-24T02:00:00Z", "2026-11-26T02:00:00Z", "2026-11-25T02:00:00Z", "2026-11-18T02:00:00Z"].map(point);
        let decision = decided(&points, &daily, "2026-11-26T03:00:00Z");
        let copied: Vec<_> = decision.copies.iter().map(|order| (order.taken_at.to_string()[..10].to_owned(), order.kms_key.as_deref())).collect();
        assert_eq!(copied, ["2026-11-26", "2026-11-25", "2026-11-24"].map(|day| (day.to_owned(), Some("alias/kaireon"))));
        let expired = Fate::Delete { reason: Reason::Older { than: Duration::from_hours(7 * 24) } };
        assert_ne!(decision.fates[3], expired, "nothing is seen in the other region: its copy may be under way");
        let copy = RecoveryPoint { place: place("us-west-2"), ..points[0].clone() };
        let points = [points.to_vec(), vec![copy]].concat();
        assert_eq!(decided(&points, &daily, "2026-11-26T03:00:00Z").fates[3], expired);
    }

    #[test]
    fn an_export_is_made_of_what_is_newer_than_all_exports_and_deleted_by_its_bucket() {
        let bucket = Place { bucket: Some("kaireon-backups".to_owned()), ..place("us-east-1") };
        let mut cache = line("rds-daily", "daily 02:00 UTC");
        cache.destinations[1] = Destination { place: bucket.clone(), from: Some(place("us-east-1")), kms_key: None, archive: None, retention: None };
        let exported = RecoveryPoint { place: bucket, ..point("2026-11-25T02:00:00Z") };
        let points = [exported, point("2026-11-24T02:00:00Z"), point("2026-11-25T02:00:00Z"), point("2026-11-26T02:00:00Z")];
        let decision = decided(&points, &[cache], "2026-12-26T03:00:00Z");
        assert_eq!(decision.copies.iter().map(|order| order.taken_at).collect::<Vec<_>>(), [at("2026-11-26T02:00:00Z")]);
        assert_eq!(decision.fates[0], Fate::Keep { reasons: vec![Keep::Lifecycle, Keep::LastGood] });
    }

    fn archive() -> (Line, Place) {
        let bucket = Place { bucket: Some("kaireon-archive".to_owned()), ..place("us-east-1") };
        let mut archive = line("rds-daily", "day 1 04:00 UTC");
        archive.destinations[0].retention = Some(Retention::Versions { keep: 1 });
        let (from, kms_key) = (Some(place("us-east-1")), Some("alias/kaireon".to_owned()));
        let to = ToArchive { role: "arn:role".to_owned(), stays: None };
        archive.destinations[1] = Destination { place: bucket.clone(), from, kms_key, archive: Some(to), retention: None };
        (archive, bucket)
    }

    /// When the attempts at exporting a snapshot failed, what it is now, and the identifier that it is to be exported under.
    #[test]
    fn an_export_that_failed_is_tried_again_a_day_later_under_the_next_name() {
        let (archive, bucket) = archive();
        let snapshot = RecoveryPoint { taken_at: at("2026-11-01T04:10:00Z"), ..point("2026-11-01T04:00:00Z") };
        let name = |suffix: &str| Some(format!("{}{suffix}", snapshot.name));
        for (failed, status, wanted) in [
            (None, None, name("")),
            (None, Some(PointStatus::Copying), None),
            (None, Some(PointStatus::Available), None),
            (Some(vec!["2026-11-01T12:00:00Z"]), Some(PointStatus::Failed), name("-2")),
            (Some(vec!["2026-11-01T12:00:00.001Z"]), Some(PointStatus::Failed), None),
            (Some(vec!["2026-10-31T12:00:00Z", "2026-11-01T12:00:00Z"]), Some(PointStatus::Failed), name("-3")),
            (Some(vec!["2026-10-31T12:00:00Z", "2026-11-01T15:00:00Z"]), Some(PointStatus::Failed), None),
            (Some(vec!["2026-11-01T12:00:00Z"]), Some(PointStatus::Copying), None),
            (Some(vec!["2026-11-01T12:00:00Z"]), Some(PointStatus::Available), None),
        ] {
            let failures = failed.iter().flatten().map(|failed| FailedAttempt { at: at(failed), why: "no role".to_owned() }).collect();
            let export = status.map(|status| RecoveryPoint { place: bucket.clone(), status, failures, ..snapshot.clone() });
            let points: Vec<_> = std::iter::once(snapshot.clone()).chain(export).collect();
            let copies = decided(&points, std::slice::from_ref(&archive), "2026-11-02T12:00:00Z").copies;
            let exports: Vec<_> = copies.into_iter().map(|order| (order.kms_key, order.export.unwrap())).collect();
            let wanted: Vec<_> = wanted.into_iter().map(|name| (Some("alias/kaireon".to_owned()), Export { role: "arn:role".to_owned(), name })).collect();
            assert_eq!(exports, wanted, "{failed:?} {status:?}");
        }
    }

    #[test]
    fn of_an_archive_no_slot_stands_for_another_and_a_snapshot_stays_until_its_own_export_is_there() {
        let (archive, bucket) = archive();
        let months = ["2026-08-01T04:00:00Z", "2026-09-01T04:00:00Z", "2026-10-01T04:00:00Z"].map(point);
        let export = |point: &RecoveryPoint| RecoveryPoint { place: bucket.clone(), ..point.clone() };
        let newest_is_there = [months.to_vec(), vec![export(&months[2])]].concat();
        let decision = decided(&newest_is_there, std::slice::from_ref(&archive), "2026-10-20T12:00:00Z");
        let taken: Vec<_> = decision.copies.iter().map(|order| order.taken_at).collect();
        assert_eq!(taken, [months[1].taken_at, months[0].taken_at], "the older ones are still to be made, newest first");
        assert!(decision.fates.iter().all(|fate| matches!(fate, Fate::Keep { .. })), "{:?}", decision.fates);
        let under_way = RecoveryPoint { status: PointStatus::Copying, ..export(&months[0]) };
        let failed = RecoveryPoint {
            status: PointStatus::Failed,
            failures: vec![FailedAttempt { at: at("2026-10-20T11:00:00Z"), why: "no role".to_owned() }],
            ..export(&months[1])
        };
        let decision = decided(&[newest_is_there.clone(), vec![under_way, failed]].concat(), std::slice::from_ref(&archive), "2026-10-20T12:00:00Z");
        assert!(decision.copies.is_empty() && decision.fates.iter().all(|fate| matches!(fate, Fate::Keep { .. })), "{:?}", decision.fates);
        let all = [newest_is_there, vec![export(&months[0]), export(&months[1])]].concat();
        let fates = decided(&all, std::slice::from_ref(&archive), "2026-10-20T12:00:00Z").fates;
        let superseded = Fate::Delete { reason: Reason::Superseded { by: 1 } };
        assert_eq!((&fates[0], &fates[1]), (&superseded, &superseded));
        assert!(fates[2..].iter().all(|fate| matches!(fate, Fate::Keep { .. })), "the newest snapshot, and every export: {fates:?}");
    }

    #[test]
    fn five_exports_of_databases_are_in_progress_whatever_else_is_copied() {
        use crate::queue::{COPIES_PER_REGION, EXPORTS_PER_ACCOUNT, start_now};
        let (archive, bucket) = archive();
        let of = |part: u32| PartReference(format!("databases.db-{part:02}"));
        let points: Vec<_> = (0..8).map(|part| RecoveryPoint { of: of(part), ..point("2026-11-01T04:00:00Z") }).collect();
        let lines: Vec<_> = (0..8).map(|part| Line { of: of(part), ..archive.clone() }).collect();
        let copies = decided(&points, &lines, "2026-11-02T12:00:00Z").copies;
        assert_eq!((copies.len(), start_now(&copies, &[], COPIES_PER_REGION).len()), (8, EXPORTS_PER_ACCOUNT));
        let under_way = |part: u32, place: &Place| (of(part), place.clone());
        assert_eq!(start_now(&copies, &[under_way(0, &bucket), under_way(1, &bucket)], COPIES_PER_REGION).len(), 3);
        assert_eq!(start_now(&copies, &[under_way(0, &place("us-east-1")), under_way(1, &place("us-east-1"))], COPIES_PER_REGION).len(), 5);
    }

    #[test]
    fn a_snapshot_of_a_tenth_of_the_usual_size_replaces_no_other() {
        let days = ["2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04", "2026-11-05"].map(|day| point(&format!("{day}T02:00:00Z")));
        let sized = |newest: u64| {
            let sizes = [900, 900, 900, 900, newest];
            days.iter().zip(sizes).map(|(point, size)| RecoveryPoint { size: Some(muster_plan::Bytes::new(size)), ..point.clone() }).collect::<Vec<_>>()
        };
        let mut alone = line("rds-daily", "daily 02:00 UTC");
        alone.destinations.truncate(1);
        let kept = |points: &[RecoveryPoint], line: &Line| {
            let fates = decided(points, std::slice::from_ref(line), "2026-12-26T02:00:00Z").fates;
            fates.iter().map(|fate| matches!(fate, Fate::Keep { .. })).collect::<Vec<_>>()
        };
        assert_eq!(kept(&sized(900), &alone), [false, false, false, false, true]);
        assert_eq!(kept(&sized(90), &alone), [false, false, false, true, true], "the last one that can be believed stays as well");
        alone.destinations[0].retention = Some(Retention::Generations { daily: 0, weekly: 2, monthly: 0, yearly: 0 });
        let next_week = RecoveryPoint { size: Some(muster_plan::Bytes::new(900)), ..point("2026-11-11T02:00:00Z") };
        let weeks = [sized(90), vec![next_week]].concat();
        assert_eq!(kept(&weeks, &alone), [false, false, false, true, true, true], "and stands for its week");
    }

    #[test]
    fn nothing_is_taken_or_copied_where_the_listing_failed() {
        let daily = [line("rds-daily", "daily 02:00 UTC")];
        let unread = |region: &str| Situation { points: vec![point("2026-11-25T02:00:00Z")], unread: vec![place(region)], kill_switch: false };
        let here = decide(&unread("us-east-1"), &rules(&daily), at("2026-11-26T02:00:00Z"));
        assert_eq!((here.takes.len(), here.copies.len()), (0, 0));
        let there = decide(&unread("us-west-2"), &rules(&daily), at("2026-11-26T02:00:00Z"));
        assert_eq!((there.takes.len(), there.copies.len()), (1, 0));
    }

    #[test]
    fn what_is_asked_for_by_hand_has_the_name_of_the_instant_at_which_it_was_asked_for() {
        let line = line("rds-pre-migration", "daily 02:00 UTC");
        let service = "kaireon".parse().unwrap();
        let once = by_hand(&service, &line, at("2026-02-23T12:00:00Z")).unwrap();
        assert!(once.name.starts_with("kaireon-rds-pre-migration-20260223-120000-"));
        assert_eq!(by_hand(&service, &line, at("2026-02-23T12:00:00Z")), Some(once));
    }
}
