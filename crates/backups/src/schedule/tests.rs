use std::ops::Range;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use muster_core::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::calendar::slots;

/// Whether a field takes a value: `*`, `?`, `5`, `1,3`, `0/6`.
fn takes(field: &str, value: i64) -> bool {
    field == "*"
        || field == "?"
        || field.split(',').any(|part| match part.split_once('/') {
            Some((from, step)) => (value - from.parse::<i64>().unwrap()) >= 0 && (value - from.parse::<i64>().unwrap()) % step.parse::<i64>().unwrap() == 0,
            None => part.parse() == Ok(value),
        })
}

/// Whether the field for the day of the week takes a date: `2`, `2#1`, `6L`, with 1 for Sunday.
fn takes_weekday(field: &str, date: Date) -> bool {
    let number = i64::from(date.weekday().to_sunday_one_offset());
    if let Some(last) = field.strip_suffix('L') {
        return takes(last, number) && date.month() != date.checked_add(jiff::Span::new().days(7)).unwrap().month();
    }
    match field.split_once('#') {
        Some((day, nth)) => takes(day, number) && nth.parse() == Ok((date.day() + 6) / 7),
        None => takes(field, number),
    }
}

/// When a cron expression fires, minute by minute, on days after 1970-01-01.
fn fires(expression: &str, days: Range<i64>) -> Vec<Timestamp> {
    let fields: Vec<&str> = expression.strip_prefix("cron(").unwrap().strip_suffix(')').unwrap().split(' ').collect();
    let [minutes, hours, day, month, weekday, "*"] = fields.as_slice() else { panic!("{expression}") };
    assert!((*day == "?") != (*weekday == "?"), "exactly one of the two days is `?`: {expression}");
    let times: Vec<i64> = (0..1_440).filter(|minute| takes(minutes, minute % 60) && takes(hours, minute / 60)).collect();
    let mut found = Vec::new();
    for number in days {
        let midnight = jiff::Timestamp::from_second(number * 86_400).unwrap();
        let date = TimeZone::UTC.to_datetime(midnight).date();
        if !takes(day, date.day().into()) || !takes(month, date.month().into()) || !takes_weekday(weekday, date) {
            continue;
        }
        found.extend(times.iter().map(|minute| Timestamp::from_millis((number * 1_440 + minute) * 60_000)));
    }
    found
}

/// When a schedule's entries fire: each instant as often as it is fired at.
fn all_fires(schedule: &Schedule, days: Range<i64>) -> Vec<Timestamp> {
    let mut all: Vec<Timestamp> = expressions(schedule).iter().flat_map(|expression| fires(expression, days.clone())).collect();
    all.sort_unstable();
    all
}

fn slots_of(schedule: &Schedule, days: Range<i64>) -> Vec<Timestamp> {
    let day = |number: i64| Timestamp::from_millis(number * 86_400_000 - 1);
    slots(schedule, day(days.start), day(days.end)).collect()
}

fn weekday() -> impl Strategy<Value = Weekday> {
    (1_i8..=7).prop_map(|number| Weekday::from_sunday_one_offset(number).unwrap())
}

fn on_days() -> impl Strategy<Value = Schedule> {
    let months = prop::collection::btree_set(1_i8..=12, 0..5).prop_map(|months| months.into_iter().collect::<Vec<_>>());
    let of_month =
        prop_oneof![(prop_oneof![1_i8..=4, Just(-1)], weekday()).prop_map(|(nth, day)| Days::Nth(nth, day)), (1_i8..=28).prop_map(Days::DayOfMonth),];
    let days =
        prop_oneof![Just((Days::Daily, Vec::new())).boxed(), weekday().prop_map(|day| (Days::Weekly(day), Vec::new())).boxed(), (of_month, months).boxed(),];
    (days, 0_u16..1_440).prop_map(|((days, months), minute)| Schedule::On { days, months, minute })
}

proptest! {
    /// Over four years, a leap day among them, from any day between 1990 and 2080.
    #[test]
    fn days_and_months_fire_at_exactly_the_schedules_slots(schedule in on_days(), from in 7_305_i64..40_000) {
        let written: Schedule = schedule.to_string().parse().unwrap();
        prop_assert_eq!(&written, &schedule, "a schedule that a plan can have");
        let days = from..from + 1_462;
        prop_assert_eq!(all_fires(&schedule, days.clone()), slots_of(&schedule, days), "{} {:?}", schedule, expressions(&schedule));
    }
}

#[test]
fn every_period_of_whole_minutes_fires_at_exactly_its_slots_counted_from_midnight() {
    for minutes in (1..=1_440).filter(|minutes| 1_440 % minutes == 0) {
        let schedule = Schedule::Every(Duration::from_mins(minutes));
        let days = 20_000..20_003;
        assert_eq!(all_fires(&schedule, days.clone()), slots_of(&schedule, days), "{schedule} {:?}", expressions(&schedule));
        assert!(expressions(&schedule).len() <= 8, "{schedule}");
    }
}

#[test]
fn a_slot_within_a_minute_fires_at_the_next() {
    let schedule: Schedule = "every 90s".parse().unwrap();
    let mut late: Vec<Timestamp> =
        slots_of(&schedule, 20_000..20_001).iter().map(|slot| Timestamp::from_millis((slot.as_millis() + 59_999) / 60_000 * 60_000)).collect();
    late.dedup();
    assert_eq!(all_fires(&schedule, 20_000..20_001), late);
}

#[test]
fn expressions_are_written_as_scheduler_reads_them() {
    for (schedule, written) in [
        ("daily 02:00 UTC", &["cron(0 2 * * ? *)"][..]),
        ("Sunday 03:30 UTC", &["cron(30 3 ? * 1 *)"]),
        ("first Monday 02:00 UTC", &["cron(0 2 ? * 2#1 *)"]),
        ("last Friday 23:59 UTC", &["cron(59 23 ? * 6L *)"]),
        ("quarterly third Monday 02:00 UTC", &["cron(0 2 ? 1,4,7,10 2#3 *)"]),
        ("day 15 of June 09:00 UTC", &["cron(0 9 15 6 ? *)"]),
        ("every 6h", &["cron(0 0/6 * * ? *)"]),
        ("every 12h", &["cron(0 0,12 * * ? *)"]),
        ("every 24h", &["cron(0 0 * * ? *)"]),
        ("every 1h", &["cron(0 * * * ? *)"]),
        ("every 15m", &["cron(0/15 * * * ? *)"]),
        ("every 1m", &["cron(* * * * ? *)"]),
        ("every 90m", &["cron(0 0/3 * * ? *)", "cron(30 1/3 * * ? *)"]),
    ] {
        assert_eq!(expressions(&schedule.parse().unwrap()), written, "{schedule}");
    }
}

#[test]
fn a_field_counts_in_steps_only_where_they_go_on_to_its_end() {
    let written = |values: &[u16]| field(&values.iter().copied().collect(), 60);
    assert_eq!((written(&[5]), written(&[0, 1, 2]), written(&[0, 20, 40])), ("5".to_owned(), "0,1,2".to_owned(), "0/20".to_owned()));
    assert_eq!((written(&[10, 30, 50]), written(&[0, 30])), ("10/20".to_owned(), "0,30".to_owned()));
}

fn kaireon() -> Plan {
    muster_plan::load("kaireon.yaml", include_bytes!("../../../../plans/kaireon.yaml")).plan.unwrap()
}

#[test]
fn a_plan_has_an_entry_for_each_backup_that_muster_makes_by_the_calendar_and_one_each_hour() {
    let entries = schedules(&kaireon());
    let told: Vec<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.expression.as_str())).collect();
    assert_eq!(
        told,
        [("kaireon.rds-daily", "cron(0 2 * * ? *)"), ("kaireon.redis-daily", "cron(30 2 * * ? *)"), ("kaireon.watch.hourly", "cron(31 * * * ? *)"),]
    );
    assert_eq!(
        serde_json::to_value(&entries[0].input).unwrap(),
        serde_json::json!({ "service": "kaireon", "by": "schedule kaireon.rds-daily", "reason": "rds-daily is due: daily 02:00 UTC" })
    );
}

#[test]
fn what_is_not_by_the_calendar_has_no_entry_and_what_is_only_recorded_is_not_watched() {
    let mut plan = kaireon();
    plan.backups.retain(|backup| matches!(backup.method, BackupMethod::External { .. }));
    assert!(!plan.backups.is_empty());
    assert_eq!(schedules(&plan), []);
    let mut plan = kaireon();
    plan.backups.iter_mut().for_each(|backup| backup.every = None);
    assert_eq!(schedules(&plan).iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["kaireon.watch.hourly"]);
}

#[test]
fn a_backup_may_be_called_as_the_watch_is() {
    let mut plan = kaireon();
    let daily = plan.backups.iter_mut().find(|backup| backup.name == "rds-daily").unwrap();
    daily.name = "watch".parse().unwrap();
    daily.every = Some("every 90m".parse().unwrap());
    let names: Vec<String> = schedules(&plan).into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["kaireon.redis-daily", "kaireon.watch", "kaireon.watch.2", "kaireon.watch.hourly"]);
}

#[test]
fn a_restore_test_that_can_be_made_has_an_entry_which_says_of_what() {
    let mut plan = kaireon();
    let entries = restore_test_schedules(&plan);
    let [entry, dump] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((dump.name.as_str(), dump.expression.as_str()), ("kaireon.drill_pg-dump-restore", "cron(0 14 ? 4,10 3#2 *)"));
    assert_eq!(dump.input.parts, [PartReference("backups.pg-dump".to_owned())]);
    assert_eq!((entry.name.as_str(), entry.expression.as_str(), entry.flow), ("kaireon.drill_backup-restore", "cron(0 14 ? 1,7 3#2 *)", Flow::RestoreTest));
    assert_eq!(
        serde_json::to_value(&entry.input).unwrap(),
        serde_json::json!({
            "service": "kaireon", "by": "schedule kaireon.drill_backup-restore",
            "reason": "backup-restore is due: second Tuesday of January, July 14:00 UTC", "parts": ["databases.main"]
        })
    );
    assert!(schedules(&plan).iter().all(|entry| entry.flow == Flow::Backup));
    plan.databases[0].restore_test.as_mut().unwrap().dump = None;
    assert_eq!(restore_test_schedules(&plan), entries[..1], "a dump that nothing loads has none");
    plan.databases[0].restore_test = None;
    assert_eq!(restore_test_schedules(&plan), []);
}

#[test]
fn services_watch_at_minutes_of_their_own() {
    let minutes: BTreeSet<String> = (0..60)
        .map(|number| {
            let plan = Plan { service: format!("service-{number}").parse().unwrap(), ..kaireon() };
            schedules(&plan).pop().unwrap().expression
        })
        .collect();
    assert!(minutes.len() > 25, "{minutes:?}");
}

fn name() -> impl Strategy<Value = Name> {
    "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?".prop_map(|text| text.parse().unwrap())
}

proptest! {
    #[test]
    fn every_name_is_one_that_scheduler_takes_and_begins_as_its_services_do(service in name(), backup in name(), other in name()) {
        let named = entry_name(&service, backup.as_str());
        prop_assert!(named.len() <= 64, "{}", named);
        prop_assert!(named.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{}", named);
        prop_assert!(named.starts_with(&schedule_prefix(&service)), "{}", named);
        prop_assert_eq!(named == entry_name(&service, other.as_str()), backup == other);
        prop_assert_eq!(named == entry_name(&other, backup.as_str()), service == other);
    }
}

#[test]
fn what_joining_makes_equal_is_told_apart() {
    let named = |service: &str, backup: &str| entry_name(&service.parse().unwrap(), backup);
    assert_ne!(named("portal", "db-nightly"), named("portal-db", "nightly"));
    let long = "b".repeat(63);
    assert_ne!(named("portal", &long), named("portal", &format!("{}c", &long[..62])));
}
