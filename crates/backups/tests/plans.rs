//! The three plans, over years of nights.
#![allow(clippy::unwrap_used)] // also in the functions that tests share

use std::collections::BTreeMap;

use muster_backups::{Decision, Event, Fate, Happening, Rules, Situation, assumed, decide, forecast};
use muster_core::{Duration, Timestamp};
use muster_plan::{Plan, load};
use proptest::prelude::*;

const PLANS: [&str; 3] =
    [include_str!("../../../plans/basecoat.yaml"), include_str!("../../../plans/kaireon.yaml"), include_str!("../../../plans/kredete.yaml")];

fn plans() -> Vec<Plan> {
    PLANS.iter().map(|source| load("plan.yaml", source.as_bytes()).plan.unwrap()).collect()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn basecoat_keeps_seven_days_four_weeks_and_what_is_younger_than_three_hours() {
    let rules = Rules::of(&plans()[0]);
    let there: Vec<String> = assumed(&rules, at("2026-11-26T00:30:00Z"))
        .into_iter()
        .filter(|point| point.of.0 == "databases.portal-db" && point.place.region.as_str() == "us-west-2")
        .map(|point| point.taken_at.to_string()[5..13].to_owned())
        .collect();
    // Sundays stand for their weeks, the last hour of a day for the day; the eighth hour back is gone.
    let expected = ["11-08T23", "11-15T23", "11-20T23", "11-21T23", "11-22T23", "11-23T23", "11-24T23", "11-25T22", "11-25T23", "11-26T00"];
    assert_eq!(there, expected);
}

#[test]
fn kaireons_night_takes_copies_and_only_then_deletes() {
    let rules = Rules::of(&plans()[1]);
    let now = at("2026-11-26T00:30:00Z");
    let situation = Situation { points: assumed(&rules, now), ..Situation::default() };
    let events = forecast(&rules, &situation, now, at("2026-11-27T00:30:00Z"));
    let told: Vec<String> = events.iter().map(told).collect();
    assert_eq!(
        told,
        [
            "02:00 taken rds-daily 26 us-east-1",
            "02:00 copied rds-daily 26 us-west-2",
            "02:00 deleted rds-daily 19 us-east-1",
            "02:00 deleted rds-daily 19 us-west-2",
            "02:30 taken redis-daily 26 us-east-1",
            "02:30 copied redis-daily 26 s3://kaireon-backups",
            "02:30 deleted redis-daily 19 us-east-1",
        ]
        .iter()
        .map(|event| (*event).to_owned())
        .collect::<Vec<_>>(),
    );
}

#[test]
fn kredetes_archive_is_taken_and_exported_on_the_first_of_the_month_and_stays_for_its_seven_years() {
    let rules = Rules::of(&plans()[2]);
    let now = at("2026-12-01T03:00:00Z");
    let situation = Situation { points: assumed(&rules, now), ..Situation::default() };
    let of_archive = |place: &str| situation.points.iter().filter(|point| point.name.contains("postgres-archive") && point.place.to_string() == place).count();
    let months = of_archive("s3://kredete-postgres-archive");
    assert!((84..=87).contains(&months), "{months} months");
    assert_eq!(of_archive("af-south-1"), 2, "the snapshots that the newest two were made of");
    let told: Vec<String> = forecast(&rules, &situation, now, at("2026-12-01T23:00:00Z")).iter().map(told).collect();
    let wanted = [
        "04:00 taken postgres-archive 01 af-south-1",
        "04:00 copied postgres-archive 01 s3://kredete-postgres-archive",
        "04:00 deleted postgres-archive 01 af-south-1",
    ];
    assert_eq!(told, wanted);
}

fn told(event: &Event) -> String {
    let what = match event.what {
        Happening::Taken { .. } => "taken",
        Happening::Copied { .. } => "copied",
        Happening::Deleted { .. } => "deleted",
        Happening::Held { .. } => "held",
    };
    let (at, taken_at) = (event.at.to_string(), event.taken_at.to_string());
    format!("{} {what} {} {} {}", &at[11..16], event.backup.as_ref().unwrap(), &taken_at[8..10], event.place.as_ref().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    /// What is assumed is what the schedules leave: nothing is due, nothing is to be copied or deleted.
    #[test]
    fn the_assumed_history_is_at_rest(now in 1_780_000_000_000_i64..1_900_000_000_000) {
        for plan in plans() {
            let (rules, now) = (Rules::of(&plan), Timestamp::from_millis(now));
            let situation = Situation { points: assumed(&rules, now), ..Situation::default() };
            let Decision { takes, copies, fates, hold } = decide(&situation, &rules, now);
            prop_assert!(takes.is_empty() && copies.is_empty() && hold.is_none(), "{}: {takes:?} {copies:?}", plan.service);
            let all_stay = fates.iter().all(|fate| matches!(fate, Fate::Keep { .. }));
            prop_assert!(all_stay, "{}", plan.service);
        }
    }

    /// However far one looks ahead, as many stay as now: what is taken replaces what is deleted. And what is left then is what would be assumed then.
    #[test]
    fn looking_ahead_and_assuming_agree(now in 1_780_000_000_000_i64..1_900_000_000_000, days in 1_u64..9) {
        for plan in plans() {
            let (rules, now) = (Rules::of(&plan), Timestamp::from_millis(now));
            let until = now.after(Duration::from_hours(24 * days));
            let before = Situation { points: assumed(&rules, now), ..Situation::default() };
            let mut there: BTreeMap<(String, String), ()> = before.points.iter().map(|point| ((point.place.to_string(), point.name.clone()), ())).collect();
            for event in forecast(&rules, &before, now, until) {
                let key = (event.place.unwrap().to_string(), event.name.unwrap());
                match event.what {
                    Happening::Taken { .. } | Happening::Copied { .. } => prop_assert!(there.insert(key.clone(), ()).is_none(), "{key:?} twice"),
                    Happening::Deleted { .. } => prop_assert!(there.remove(&key).is_some(), "{key:?} was not there"),
                    Happening::Held { .. } => prop_assert!(false, "nothing is held in a plan that runs"),
                }
            }
            let after: BTreeMap<(String, String), ()> = assumed(&rules, until.after(Duration::from_millis(1))).iter().map(|point| ((point.place.to_string(), point.name.clone()), ())).collect();
            // Exports go by their bucket's lifecycle: how far back they are assumed is not what would be there.
            let kept = |keys: &BTreeMap<(String, String), ()>| keys.keys().filter(|(place, _)| !place.starts_with("s3://")).cloned().collect::<Vec<_>>();
            prop_assert_eq!(kept(&there), kept(&after), "{}", plan.service);
        }
    }
}
