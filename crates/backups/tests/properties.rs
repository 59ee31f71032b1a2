//! What holds for every history: ten years of backups, with gaps, failures, foreign snapshots, month ends and leap days.
//!
//! Each rule is written down again here, in another way than the code has it.
#![allow(clippy::unwrap_used)] // also in the functions that tests share

use std::collections::{BTreeMap, BTreeSet};

use muster_backups::{Destination, Fate, Line, Place, PointStatus, RecoveryPoint, Rules, Situation, decide, latest_slot, slots, start_now};
use muster_core::{Duration, Timestamp};
use muster_plan::{PartReference, Retention};
use proptest::prelude::*;

const DAY: Duration = Duration::from_hours(24);
const NAMES: [&str; 3] = ["nightly", "hourly", "by-hand"];

fn place(index: usize) -> Place {
    let primary = Place::in_region(&"af-south-1".parse().unwrap());
    let standby = Place::in_region(&"eu-west-1".parse().unwrap());
    match index {
        0 => primary,
        1 => standby,
        _ => Place { account: Some("210987654321".to_owned()), ..standby },
    }
}

fn retention() -> impl Strategy<Value = Retention> {
    prop_oneof![
        (1_u64..120).prop_map(|days| Retention::For { keep: DAY.times(days) }),
        Just(Retention::For { keep: DAY.times(2_557) }),
        (0_u32..12, 0_u32..6, 0_u32..14, 0_u32..8).prop_map(|(daily, weekly, monthly, yearly)| Retention::Generations { daily, weekly, monthly, yearly }),
        (1_u32..20).prop_map(|keep| Retention::Versions { keep }),
        Just(Retention::Indefinite),
    ]
}

/// Without those that keep thousands: each night looks at all of them.
fn retention_of_a_year_or_generations() -> impl Strategy<Value = Retention> {
    retention()
        .prop_filter("keeps thousands", |retention| {
            retention.reach().is_none_or(|reach| reach < DAY.times(400)) || matches!(retention, Retention::Generations { .. })
        })
        .prop_map(|retention| if retention == Retention::Indefinite { Retention::Versions { keep: 3 } } else { retention })
}

fn line(name: &'static str) -> impl Strategy<Value = Line> {
    let schedule = prop::sample::select(vec!["daily 02:00 UTC", "every 6h", "every 1h", "Sunday 03:00 UTC", "day 1 04:00 UTC", "last Friday 23:59 UTC"]);
    (schedule, retention(), retention(), 1_usize..4, 0_u64..72, any::<bool>(), prop::bool::weighted(0.1)).prop_map(
        move |(schedule, here, there, places, protects, adopts, held)| Line {
            name: name.parse().unwrap(),
            of: PartReference(if name == "hourly" { "databases.other" } else { "databases.main" }.to_owned()),
            every: (name != "by-hand").then(|| schedule.parse().unwrap()),
            protects: Duration::from_hours(protects),
            destinations: (0..places)
                .map(|index| Destination {
                    place: place(index),
                    from: index.checked_sub(1).map(place),
                    kms_key: None,
                    archive: None,
                    retention: Some(if index == 0 { here.clone() } else { there.clone() }),
                })
                .collect(),
            adopt: if adopts && name == "nightly" { vec!["old-".to_owned()] } else { Vec::new() },
            legal_hold: held.then(|| "VP: a matter".to_owned()),
        },
    )
}

fn rules() -> impl Strategy<Value = Rules> {
    (line(NAMES[0]), line(NAMES[1]), line(NAMES[2]), 0_usize..400).prop_map(|(a, b, c, at_most)| Rules {
        service: "kredete".parse().unwrap(),
        lines: vec![a, b, c],
        at_most,
    })
}

/// Instants at which calendars go wrong, and others.
fn now() -> impl Strategy<Value = Timestamp> {
    let special =
        ["2028-02-29T02:00:00Z", "2028-03-01T00:00:00Z", "2027-12-31T23:59:59.999Z", "2027-01-01T00:00:00Z", "2026-11-30T23:59:00Z", "2030-02-28T12:00:00Z"];
    prop_oneof![
        prop::sample::select(special.to_vec()).prop_map(|text| text.parse().unwrap()),
        (1_780_000_000_000_i64..1_900_000_000_000).prop_map(Timestamp::from_millis)
    ]
}

/// One point: how many days and minutes before now, whose, where, in which state.
type Seed = (u64, u64, u8, u8, u8, u8);

fn seed() -> impl Strategy<Value = Seed> {
    (prop_oneof![0_u64..12, 0_u64..400, 0_u64..3_652], 0_u64..1_440, any::<u8>(), 1_u8..8, any::<u8>(), any::<u8>())
}

/// A snapshot is in some of the places, with the same name; its states there differ.
fn points(seeds: &[Seed], now: Timestamp) -> Vec<RecoveryPoint> {
    let mut points = Vec::new();
    for (number, (days, minutes, whose, places, state, flags)) in seeds.iter().enumerate() {
        // A few are dated after now.
        let taken_at =
            if *flags >= 250 { now.after(Duration::from_mins(*minutes + 1)) } else { now.before(DAY.times(*days)).before(Duration::from_mins(*minutes)) };
        let (backup, of, name) = match whose % 10 {
            0..=3 => (Some(NAMES[0]), "databases.main", format!("kredete-nightly-{number}")),
            4..=6 => (Some(NAMES[1]), "databases.other", format!("kredete-hourly-{number}")),
            7 => (Some(NAMES[2]), "databases.main", format!("kredete-by-hand-{number}")),
            8 if number % 2 == 0 => (Some("dropped"), "databases.main", format!("kredete-dropped-{number}")),
            8 => (None, "databases.other", format!("old-{number}")),
            _ if number % 2 == 0 => (None, "databases.main", format!("old-{number}")),
            _ => (None, "databases.main", format!("somebodys-{number}")),
        };
        for index in (0..3).filter(|index| places & (1 << index) != 0) {
            let status = match (state.wrapping_mul(index as u8 * 2 + 1)) % 12 {
                0 => PointStatus::Failed,
                1 if index > 0 => PointStatus::Copying,
                1 => PointStatus::Creating,
                _ => PointStatus::Available,
            };
            points.push(RecoveryPoint {
                name: name.clone(),
                place: place(index),
                of: PartReference(of.to_owned()),
                backup: backup.map(|backup| backup.parse().unwrap()),
                slot: (flags % 4 != 0).then_some(taken_at),
                taken_at,
                status,
                size: None,
                kms_key: None,
                checksum: None,
                used_by: if flags % 16 == 1 { vec!["restore-test".to_owned()] } else { Vec::new() },
                legal_hold: (flags % 16 == 2).then(|| "VP: a matter".to_owned()),
                failures: Vec::new(),
            });
        }
    }
    points
}

fn world() -> impl Strategy<Value = (Rules, Situation, Timestamp)> {
    (rules(), now(), prop::collection::vec(seed(), 0..90), prop::bool::weighted(0.1), prop::bool::weighted(0.1)).prop_map(
        |(rules, now, seeds, kill_switch, unread)| {
            let unread = if unread { vec![place(1)] } else { Vec::new() };
            (rules, Situation { points: points(&seeds, now), unread, kill_switch }, now)
        },
    )
}

/// The same with nothing in the way of deletions but the rules about single points.
fn unlimited(rules: &Rules) -> Rules {
    Rules { at_most: usize::MAX, ..rules.clone() }
}

fn deleted<'a>(situation: &'a Situation, rules: &Rules, now: Timestamp) -> Vec<&'a RecoveryPoint> {
    let decision = decide(situation, rules, now);
    situation.points.iter().zip(decision.fates).filter(|(_, fate)| matches!(fate, Fate::Delete { .. })).map(|(point, _)| point).collect()
}

fn good(point: &RecoveryPoint, now: Timestamp) -> bool {
    point.status == PointStatus::Available && point.taken_at <= now
}

fn is_ours(point: &RecoveryPoint, rules: &Rules) -> bool {
    rules.lines.iter().any(|line| {
        let made = point.backup.as_ref() == Some(&line.name);
        let adopted = point.backup.is_none() && line.adopt.iter().any(|prefix| point.name.starts_with(prefix));
        line.of == point.of && (made || adopted) && line.destinations.iter().any(|destination| destination.place == point.place)
    })
}

fn line_of<'a>(point: &RecoveryPoint, rules: &'a Rules) -> &'a Line {
    let name = point.backup.as_ref().map_or("nightly", |name| name.as_str());
    rules.lines.iter().find(|line| line.name == *name).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_last_good_one_of_a_part_in_a_place_is_never_deleted((rules, situation, now) in world()) {
        let gone: BTreeSet<(&Place, &str)> = deleted(&situation, &unlimited(&rules), now).into_iter().map(|point| (&point.place, point.name.as_str())).collect();
        let mut places: BTreeMap<(&PartReference, &Place), (usize, usize)> = BTreeMap::new();
        for point in situation.points.iter().filter(|point| good(point, now) && is_ours(point, &rules)) {
            let (before, after) = places.entry((&point.of, &point.place)).or_default();
            *before += 1;
            *after += usize::from(!gone.contains(&(&point.place, point.name.as_str())));
        }
        for (place, (before, after)) in places {
            prop_assert!(after > 0, "all {before} good ones of {place:?} are deleted");
        }
    }

    #[test]
    fn nothing_that_is_used_held_foreign_or_young_is_deleted((rules, situation, now) in world()) {
        for point in deleted(&situation, &unlimited(&rules), now) {
            prop_assert!(is_ours(point, &rules), "not ours: {point:?}");
            let line = line_of(point, &rules);
            prop_assert!(point.used_by.is_empty(), "used: {point:?}");
            prop_assert!(point.legal_hold.is_none() && line.legal_hold.is_none(), "held: {point:?}");
            prop_assert!(!matches!(point.status, PointStatus::Creating | PointStatus::Copying), "under way: {point:?}");
            prop_assert!(!situation.unread.contains(&point.place), "unread: {point:?}");
            prop_assert!(point.taken_at <= now, "of the future: {point:?}");
            if point.status == PointStatus::Available {
                prop_assert!(now.since(point.taken_at) >= line.protects, "young: {point:?}");
            }
        }
    }

    #[test]
    fn nothing_is_deleted_while_its_copy_is_under_way_or_still_wanted((rules, situation, now) in world()) {
        let decision = decide(&situation, &unlimited(&rules), now);
        for point in deleted(&situation, &unlimited(&rules), now) {
            let copy_under_way = situation.points.iter().any(|copy| {
                copy.name == point.name && copy.of == point.of && matches!(copy.status, PointStatus::Copying | PointStatus::Creating)
                    && line_of(point, &rules).destinations.iter().any(|to| to.place == copy.place && to.from.as_ref() == Some(&point.place))
            });
            prop_assert!(!copy_under_way, "being copied: {point:?}");
            prop_assert!(!decision.copies.iter().any(|order| order.name == point.name && order.from == point.place), "to be copied: {point:?}");
        }
    }

    /// The standby region's listing failed on its second page: whatever may be on its way there stays here.
    #[test]
    fn nothing_is_deleted_whose_copy_may_be_under_way_in_a_place_that_was_not_read((rules, situation, now) in world()) {
        let unread = Situation { unread: vec![place(1)], ..situation.clone() };
        for point in deleted(&unread, &unlimited(&rules), now).into_iter().filter(|point| good(point, now)) {
            let goes_there = line_of(point, &rules).destinations.iter().any(|to| to.place == place(1) && to.from.as_ref() == Some(&point.place));
            prop_assert!(!goes_there, "{point:?}");
        }
    }

    /// An empty listing without an error proves no absence: what is under way there would not be seen.
    #[test]
    fn nothing_is_deleted_whose_copy_may_be_under_way_where_nothing_is_seen((rules, situation, now) in world()) {
        let points = situation.points.iter().filter(|point| point.place != place(1)).cloned().collect();
        let empty = Situation { points, ..situation.clone() };
        for point in deleted(&empty, &unlimited(&rules), now).into_iter().filter(|point| good(point, now)) {
            let goes_there = line_of(point, &rules).destinations.iter().any(|to| to.place == place(1) && to.from.as_ref() == Some(&point.place));
            prop_assert!(!goes_there, "{point:?}");
        }
    }

    #[test]
    fn the_kill_switch_stops_everything((rules, situation, now) in world()) {
        let decision = decide(&Situation { kill_switch: true, ..situation.clone() }, &rules, now);
        prop_assert!(decision.takes.is_empty() && decision.copies.is_empty());
        let all_stay = decision.fates.iter().all(|fate| matches!(fate, Fate::Keep { .. }));
        prop_assert!(all_stay);
    }

    #[test]
    fn more_than_the_limit_is_left_to_a_person((rules, situation, now) in world()) {
        let all = deleted(&situation, &unlimited(&rules), now).len();
        let decision = decide(&situation, &rules, now);
        let deletions = decision.fates.iter().filter(|fate| matches!(fate, Fate::Delete { .. })).count();
        let held = decision.fates.iter().filter(|fate| matches!(fate, Fate::Hold { .. })).count();
        prop_assert!(deletions <= rules.at_most);
        prop_assert_eq!(decision.hold.map(|hold| hold.would_delete), (all > rules.at_most).then_some(all));
        prop_assert_eq!(deletions + held, all);
    }

    #[test]
    fn what_stays_says_why((rules, situation, now) in world()) {
        for (point, fate) in situation.points.iter().zip(decide(&situation, &rules, now).fates) {
            if let Fate::Keep { reasons } = fate {
                prop_assert!(!reasons.is_empty(), "{point:?}");
            }
        }
    }

    /// A page that is missing must not cost a backup. A copy that is under way has to be seen, or its place is among the unread ones.
    #[test]
    fn seeing_less_never_deletes_more((rules, situation, now) in world(), hidden in prop::collection::vec(prop::bool::weighted(0.3), 270)) {
        let rules = unlimited(&rules);
        let all: BTreeSet<(&Place, &str)> = deleted(&situation, &rules, now).into_iter().map(|point| (&point.place, point.name.as_str())).collect();
        let seen = situation.points.iter().zip(hidden).filter(|(point, hidden)| !hidden || matches!(point.status, PointStatus::Creating | PointStatus::Copying)).map(|(point, _)| point.clone()).collect();
        let less = Situation { points: seen, ..situation.clone() };
        for point in deleted(&less, &rules, now) {
            prop_assert!(all.contains(&(&point.place, point.name.as_str())), "deleted only because others were not seen: {point:?}");
        }
    }

    #[test]
    fn the_order_of_a_listing_does_not_matter((rules, situation, now) in world()) {
        let backwards = Situation { points: situation.points.iter().rev().cloned().collect(), ..situation.clone() };
        let (one, two) = (decide(&situation, &rules, now), decide(&backwards, &rules, now));
        prop_assert_eq!(one.fates, two.fates.into_iter().rev().collect::<Vec<_>>());
        prop_assert_eq!((one.takes, one.copies), (two.takes, two.copies));
    }

    /// Grandfather, father, son, written with the text of dates: a good one stays where it is the newest of its period, and fewer than so many newer
    /// periods have a good one.
    #[test]
    fn generations_are_the_newest_of_their_day_week_month_and_year((rules, situation, now) in world()) {
        let rules = unlimited(&rules);
        let decision = decide(&situation, &rules, now);
        for (point, fate) in situation.points.iter().zip(&decision.fates).filter(|(point, _)| good(point, now) && is_ours(point, &rules)) {
            let line = line_of(point, &rules);
            let destination = line.at(&point.place).unwrap();
            let Some(Retention::Generations { daily, weekly, monthly, yearly }) = destination.retention else { continue };
            let of_line = situation.points.iter().filter(|other| {
                good(other, now) && other.place == point.place && is_ours(other, &rules) && line_of(other, &rules).name == line.name && other.of == line.of
            });
            let wanted = [(daily, 10), (monthly, 7), (yearly, 4), (weekly, 0)].into_iter().any(|(count, digits)| {
                let period = |point: &RecoveryPoint| {
                    let instant = point.slot.unwrap_or(point.taken_at);
                    // Weeks are counted from Monday, 29 December 1969.
                    if digits == 0 { ((instant.as_millis() / 86_400_000 + 3) / 7).to_string() } else { instant.to_string()[..digits].to_owned() }
                };
                let newer: Vec<String> = of_line.clone().filter(|other| (other.taken_at, &other.name) > (point.taken_at, &point.name)).map(period).collect();
                !newer.contains(&period(point)) && newer.into_iter().collect::<BTreeSet<_>>().len() < count as usize
            });
            if wanted {
                prop_assert_eq!(matches!(fate, Fate::Keep { .. }), true, "{:?}", point);
            }
            if matches!(fate, Fate::Keep { reasons } if reasons.iter().any(|reason| matches!(reason, muster_backups::Keep::Generation { .. }))) {
                prop_assert!(wanted, "{point:?}");
            }
        }
    }

    /// "Kept as long as it must and no longer": what is too old goes, unless one of the rules above speaks for it.
    #[test]
    fn what_is_too_old_goes_unless_something_speaks_for_it((rules, situation, now) in world()) {
        prop_assume!(!situation.kill_switch && situation.unread.is_empty());
        let decision = decide(&situation, &unlimited(&rules), now);
        for (point, fate) in situation.points.iter().zip(&decision.fates).filter(|(point, _)| good(point, now) && is_ours(point, &rules)) {
            let line = line_of(point, &rules);
            let Some(Retention::For { keep }) = line.at(&point.place).unwrap().retention else { continue };
            let held = !point.used_by.is_empty() || point.legal_hold.is_some() || line.legal_hold.is_some();
            let newest = situation.points.iter().filter(|other| good(other, now) && other.place == point.place && other.of == point.of && is_ours(other, &rules));
            let last = newest.max_by_key(|other| (other.taken_at, &other.name)).unwrap().name == point.name;
            let leaves = line.destinations.iter().any(|to| to.from.as_ref() == Some(&point.place));
            if !held && !last && !leaves && now.since(point.taken_at) >= keep.max(line.protects) {
                let goes = matches!(fate, Fate::Delete { .. });
                prop_assert!(goes, "{point:?} stays: {fate:?}");
            }
        }
    }

    #[test]
    fn copies_in_flight_stay_below_the_quota_and_one_after_the_other((rules, situation, now) in world(), at_once in 0_usize..25) {
        let decision = decide(&situation, &rules, now);
        let copying = |region: &str| situation.points.iter().filter(|point| point.status == PointStatus::Copying && point.place.region.as_str() == region).count();
        let on_the_way = situation.points.iter().filter(|point| point.status == PointStatus::Copying);
        let under_way: Vec<_> = on_the_way.map(|point| (point.of.clone(), point.place.clone())).collect();
        let started = start_now(&decision.copies, &under_way, at_once);
        let here = started.iter().filter(|order| order.to.region.as_str() == "eu-west-1").count();
        prop_assert!(here == 0 || copying("eu-west-1") + here <= at_once);
        let sources: BTreeSet<_> = started.iter().map(|order| (&order.of, &order.to)).collect();
        prop_assert_eq!(sources.len(), started.len(), "two copies of one part at once");
        for order in &started {
            prop_assert!(!situation.points.iter().any(|point| point.status == PointStatus::Copying && point.of == order.of && point.place == order.to));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5, ..ProptestConfig::default() })]

    /// Ten years, night by night, with gaps in which nothing runs: what is left at the end is what the whole history would leave, so that deleting
    /// early never took what was wanted later; and at no time is a slot made twice, or a part without a backup once it had one.
    #[test]
    fn ten_years_of_nights_leave_what_the_whole_history_would(
        retention in retention_of_a_year_or_generations(), schedule in prop::sample::select(vec!["daily 02:00 UTC", "daily 23:59 UTC", "Sunday 03:00 UTC", "day 28 04:00 UTC"]),
        gaps in prop::collection::vec((0_u64..3_653, 1_u64..60), 0..8),
    ) {
        let schedule: muster_plan::Schedule = schedule.parse().unwrap();
        let line = Line {
            name: "nightly".parse().unwrap(), of: PartReference("databases.main".to_owned()), every: Some(schedule.clone()), protects: Duration::from_hours(26),
            destinations: vec![Destination { place: place(0), from: None, kms_key: None, archive: None, retention: Some(retention.clone()) }], adopt: Vec::new(), legal_hold: None,
        };
        let rules = Rules { service: "kredete".parse().unwrap(), lines: vec![line], at_most: usize::MAX };
        let start: Timestamp = "2019-12-31T12:00:00Z".parse().unwrap();
        let (mut now, mut all) = (start, Vec::<RecoveryPoint>::new());
        let mut situation = Situation::default();
        for day in 0..3_653 {
            now = start.after(DAY.times(day));
            if gaps.iter().any(|(from, days)| (*from..from + days).contains(&day)) {
                continue;
            }
            for take in decide(&situation, &rules, now).takes {
                prop_assert!(all.iter().all(|point| point.slot != Some(take.slot)), "{} is made twice", take.slot);
                let point = RecoveryPoint {
                    name: take.name, place: take.place, of: take.of, backup: Some(take.backup), slot: Some(take.slot), taken_at: now, status: PointStatus::Available,
                    size: None, kms_key: None, checksum: None, used_by: Vec::new(), legal_hold: None, failures: Vec::new(),
                };
                situation.points.push(point.clone());
                all.push(point);
            }
            let fates = decide(&situation, &rules, now).fates;
            let mut fate = fates.iter();
            situation.points.retain(|_| matches!(fate.next(), Some(Fate::Keep { .. })));
            prop_assert!(!situation.points.is_empty());
            prop_assert!(situation.points.iter().any(|point| point.slot == latest_slot(&schedule, now)), "the newest slot has a backup");
        }
        let whole = Situation { points: all, ..Situation::default() };
        let fates = decide(&whole, &rules, now).fates;
        let left: BTreeSet<&str> = situation.points.iter().map(|point| point.name.as_str()).collect();
        for (point, fate) in whole.points.iter().zip(fates) {
            prop_assert_eq!(left.contains(point.name.as_str()), matches!(fate, Fate::Keep { .. }), "{:?}", point);
        }
        prop_assert!(slots(&schedule, start, now).count() >= whole.points.len() - 1);
    }
}
