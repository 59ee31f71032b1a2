//! What is wrong with backups is found, told apart, and said; and what could not be looked at is never taken for well.
#![allow(clippy::unwrap_used)] // also in the functions that tests share

use muster_backups::{
    Exposure, Finding, Found, Key, KeyState, Lifecycle, Listing, Place, PointStatus, Problem, Quota, RecoveryPoint, Survey, Unread, Verdict, expectations,
    verify,
};
use muster_core::ports::{Expiry, FailedAttempt, LifecycleRule};
use muster_core::{Duration, Timestamp};
use muster_plan::{Bytes, PartReference, Plan, load};
use proptest::prelude::*;

const DAY: Duration = Duration::from_hours(24);
const PLANS: [&str; 3] =
    [include_str!("../../../plans/basecoat.yaml"), include_str!("../../../plans/kaireon.yaml"), include_str!("../../../plans/kredete.yaml")];

fn plan(index: usize) -> Plan {
    load("plan.yaml", PLANS[index].as_bytes()).plan.unwrap()
}

fn now() -> Timestamp {
    "2026-11-26T03:30:00Z".parse().unwrap()
}

fn arn(name: &str) -> String {
    format!("arn:aws:kms:eu-west-1:123456789012:key/{}", name.trim_start_matches("alias/"))
}

/// Ten backups everywhere, the newest ten minutes old, all of them as they should be.
fn healthy(plan: &Plan) -> Survey {
    let mut survey = Survey::default();
    for expected in expectations(plan) {
        let is_automated = plan.backup(expected.backup.as_str()).unwrap().method == muster_plan::BackupMethod::AutomatedBackups;
        let newest = now().before(Duration::from_mins(10));
        let point = |day: u64| RecoveryPoint {
            name: format!("{}{}-{day}", expected.prefix.as_deref().unwrap_or(""), expected.backup),
            place: expected.place.clone(),
            of: expected.of.clone().unwrap_or(PartReference("databases.none".to_owned())),
            backup: Some(expected.backup.clone()),
            slot: None,
            taken_at: newest.before(DAY.times(day)),
            status: PointStatus::Available,
            size: Some(Bytes::new(1_000_000)),
            kms_key: Some(arn(expected.kms_key.as_deref().unwrap_or("other"))),
            checksum: None,
            used_by: Vec::new(),
            legal_hold: None,
            failures: Vec::new(),
        };
        let found = if is_automated { Found::Restorable { until: Some(newest) } } else { Found::Points { points: (0..10).map(point).collect() } };
        survey.listings.push(Listing { backup: expected.backup.clone(), place: expected.place.clone(), found });
        survey.keys.extend(expected.kms_key.map(|name| Key { state: KeyState::Enabled { arn: arn(&name) }, name, place: expected.place }));
    }
    survey
}

fn place(text: &str) -> Place {
    match text.strip_prefix("s3://") {
        Some(_) => unreachable!("buckets are found by their backups"),
        None => Place::in_region(&text.parse().unwrap()),
    }
}

/// Kaireon's survey with one listing changed, and what is found.
fn kaireon(backup: &str, region: &str, change: impl FnOnce(&mut Survey, usize)) -> Vec<Problem> {
    let plan = plan(1);
    let mut survey = healthy(&plan);
    let index = survey.listings.iter().position(|listing| listing.backup == *backup && listing.place.region.as_str() == region).unwrap();
    change(&mut survey, index);
    verify(&plan, &survey, now()).problems
}

fn points(survey: &mut Survey, index: usize) -> &mut Vec<RecoveryPoint> {
    match &mut survey.listings[index].found {
        Found::Points { points } => points,
        other => panic!("{other:?}"),
    }
}

/// The finding, where it is the only one.
fn only(problems: Vec<Problem>) -> Finding {
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.into_iter().next().unwrap().finding
}

#[test]
fn where_all_is_well_nothing_is_found_and_the_loss_is_the_age_of_the_newest_copy() {
    for index in 0..3 {
        let plan = plan(index);
        let Verdict { problems, exposures } = verify(&plan, &healthy(&plan), now());
        assert_eq!(problems, [], "{}", plan.service);
        assert!(!exposures.is_empty());
    }
    let plan = plan(2);
    let exposures = verify(&plan, &healthy(&plan), now()).exposures;
    let loss = |of: &str| exposures.iter().find(|exposure| exposure.of.0 == of).map(|exposure| (exposure.loss, exposure.is_within()));
    assert_eq!(loss("databases.primary-store"), Some((Some(Duration::from_mins(10)), true)));
    assert_eq!(loss("databases.documents"), Some((Some(Duration::from_mins(10)), true)), "its bucket is in the standby region");
}

/// Kredete's survey with its archive's listing changed, and what is found.
fn archived(change: impl FnOnce(&mut Survey, usize)) -> Vec<Problem> {
    let plan = plan(2);
    let mut survey = healthy(&plan);
    let index = survey.listings.iter().position(|listing| listing.backup == "postgres-archive" && listing.place.bucket.is_some()).unwrap();
    change(&mut survey, index);
    verify(&plan, &survey, now()).problems
}

#[test]
fn an_archive_that_could_not_be_exported_says_how_often_and_why() {
    let found = only(archived(|survey, index| {
        let newest = &mut points(survey, index)[0];
        newest.status = PointStatus::Failed;
        newest.failures = ["no role", "no key"].map(|why| FailedAttempt { at: now(), why: why.to_owned() }).into();
    }));
    assert!(matches!(&found, Finding::ExportFailed { attempts: 2, why, .. } if why == "no key"), "{found:?}");
    assert!(found.is_alarm() && found.to_string().contains("failed, 2 times, the last time: no key; another attempt is made a day later"), "{found}");
    let found = only(archived(|survey, index| points(survey, index).clear()));
    assert!(matches!(&found, Finding::NotArrived { newest: None, .. }), "{found:?}");
    assert_eq!(archived(|survey, index| points(survey, index).truncate(1)), [], "older ones, whose snapshots are gone, are not listed");
}

#[test]
fn an_archive_is_held_against_the_lifecycle_of_its_own_bucket() {
    let rule = LifecycleRule { id: "one".to_owned(), prefix: String::new(), is_narrower: false, moves_to: vec!["DEEP_ARCHIVE".to_owned()], expires: None };
    let ill = LifecycleRule { moves_to: Vec::new(), expires: Some(Expiry::Days { days: 30 }), ..rule.clone() };
    let known = |survey: &mut Survey, index: usize, rules: &[LifecycleRule]| {
        let place = survey.listings[index].place.clone();
        let other = Place { bucket: Some("another".to_owned()), ..place.clone() };
        survey.lifecycles = vec![Lifecycle { place: other, rules: vec![ill.clone()] }, Lifecycle { place, rules: rules.to_vec() }];
    };
    assert_eq!(archived(|survey, index| known(survey, index, std::slice::from_ref(&rule))), []);
    let found = archived(|survey, index| {
        known(survey, index, std::slice::from_ref(&ill));
        survey.listings[index].found = Found::Denied { call: "s3:ListBucket".to_owned() };
    });
    let found: Vec<_> = found.iter().map(|problem| (&problem.finding, problem.finding.is_alarm())).collect();
    assert!(
        matches!(found.as_slice(), [(Finding::Denied { .. }, true), (Finding::NotMoved { .. }, true), (Finding::DeletedEarly { .. }, true)]),
        "also where it could not be listed: {found:?}"
    );
}

#[test]
fn what_is_only_in_the_primary_region_is_lost_with_it() {
    let plan = plan(0);
    let exposures = verify(&plan, &healthy(&plan), now()).exposures;
    let cache = exposures.iter().find(|exposure| exposure.of.0 == "caches.portal-cache").unwrap();
    assert_eq!((cache.loss, cache.is_within()), (None, false), "{cache:?}");
}

#[test]
fn an_empty_listing_is_not_taken_for_all_gone_and_well() {
    let found = only(kaireon("pipeline-artifacts", "us-east-1", |survey, index| points(survey, index)[0].size = Some(Bytes::new(0))));
    assert!(matches!(found, Finding::Shrunken { usual: None, .. }), "{found:?}");
    let found = kaireon("rds-daily", "us-east-1", |survey, index| points(survey, index).clear());
    assert_eq!(found.iter().map(|problem| &problem.finding).collect::<Vec<_>>(), [&Finding::Nothing]);
}

#[test]
fn a_copy_that_did_not_arrive_is_told_from_a_backup_that_was_not_taken() {
    let old = |survey: &mut Survey, index: usize| points(survey, index).retain(|point| now().since(point.taken_at) > DAY.times(2));
    let found = only(kaireon("rds-daily", "us-west-2", old));
    assert!(matches!(found, Finding::NotArrived { newest: Some(_), .. }), "{found:?}");
    let found = only(kaireon("rds-daily", "us-east-1", old));
    assert!(matches!(found, Finding::Late { at_most, .. } if at_most == Duration::from_hours(26)), "{found:?}");
    let found = only(kaireon("rds-pre-migration", "us-west-2", |survey, index| points(survey, index).clear()));
    assert!(matches!(found, Finding::NotArrived { newest: None, .. }), "made on demand, and its copy is missing: {found:?}");
    assert_eq!(kaireon("rds-pre-migration", "us-east-1", |survey, index| points(survey, index).clear()), [], "nobody had to ask for one");
}

#[test]
fn a_dump_of_a_tenth_of_the_usual_size_is_a_failure() {
    let found = kaireon("pg-dump", "us-east-1", |survey, index| points(survey, index)[0].size = Some(Bytes::new(100_000)));
    assert!(found.iter().any(|problem| matches!(&problem.finding, Finding::Shrunken { usual: Some(usual), .. } if usual.as_u64() == 1_000_000)), "{found:?}");
    assert!(found.iter().any(|problem| matches!(problem.finding, Finding::Differs { .. })), "and the copy is another: {found:?}");
}

#[test]
fn logs_that_are_shipped_as_they_are_written_have_no_usual_size() {
    let plan = plan(2);
    let mut survey = healthy(&plan);
    for listing in survey.listings.iter_mut().filter(|listing| listing.backup == "postgres-wal") {
        let Found::Points { points } = &mut listing.found else { panic!() };
        points[0].size = Some(Bytes::new(100));
    }
    assert_eq!(verify(&plan, &survey, now()).problems, []);
}

#[test]
fn the_copy_is_encrypted_with_the_standbys_key() {
    let found = only(kaireon("rds-daily", "us-west-2", |survey, index| points(survey, index)[0].kms_key = Some(arn("primary"))));
    assert!(matches!(found, Finding::WrongKey { .. }), "{found:?}");
    let found = only(kaireon("rds-daily", "us-east-1", |survey, index| points(survey, index)[0].kms_key = None));
    assert!(matches!(found, Finding::Unencrypted { .. }), "{found:?}");
    for (state, wanted) in [(KeyState::Disabled, "is disabled"), (KeyState::Missing, "there is no key")] {
        let found = kaireon("rds-daily", "us-west-2", |survey, _| survey.keys.iter_mut().for_each(|key| key.state = state.clone()));
        assert!(found.iter().all(|problem| problem.finding.to_string().contains(wanted)) && !found.is_empty(), "{found:?}");
    }
}

#[test]
fn a_difference_between_the_regions_is_found_by_size_and_by_checksum() {
    let found = only(kaireon("rds-daily", "us-west-2", |survey, index| points(survey, index)[3].size = Some(Bytes::new(999_999))));
    assert!(matches!(&found, Finding::Differs { what, .. } if what == "999999B here, 1000000B there"), "{found:?}");
    let plan = plan(1);
    let mut survey = healthy(&plan);
    for listing in survey.listings.iter_mut().filter(|listing| listing.backup == "pg-dump") {
        let region = listing.place.region.to_string();
        let Found::Points { points } = &mut listing.found else { panic!() };
        points[2].checksum = Some(region);
    }
    assert!(matches!(only(verify(&plan, &survey, now()).problems), Finding::Differs { .. }));
}

#[test]
fn an_object_that_was_passed_over_by_the_replication_is_found() {
    let found = only(kaireon("pg-dump", "us-west-2", |survey, index| drop(points(survey, index).remove(4))));
    assert!(matches!(found, Finding::Holes { count: 1, .. }), "{found:?}");
    assert!(!found.is_alarm());
}

#[test]
fn what_failed_what_is_of_the_future_and_what_has_no_source_are_told_apart() {
    let newest_failed = kaireon("rds-daily", "us-east-1", |survey, index| points(survey, index)[0].status = PointStatus::Failed);
    assert!(newest_failed.iter().any(|problem| matches!(problem.finding, Finding::Failed { .. })), "{newest_failed:?}");
    let found = kaireon("rds-daily", "us-east-1", |survey, index| points(survey, index)[0].taken_at = now().after(Duration::from_mins(5)));
    assert!(found.iter().any(|problem| matches!(problem.finding, Finding::FromTheFuture { .. })), "{found:?}");
    let found = kaireon("rds-daily", "us-east-1", |survey, _| survey.gone.push(PartReference("caches.redis".to_owned())));
    assert_eq!(
        found.iter().map(|problem| (problem.backup.as_ref().unwrap().as_str(), &problem.finding)).collect::<Vec<_>>(),
        [("redis-daily", &Finding::SourceGone)]
    );
}

#[test]
fn a_quota_is_said_before_it_is_reached() {
    for (used, finding) in [(89, None), (90, Some(Finding::QuotaNear { used: 90, limit: 100 })), (100, Some(Finding::QuotaReached { used: 100, limit: 100 }))] {
        let found = kaireon("rds-daily", "us-east-1", |survey, _| survey.quotas.push(Quota { place: place("us-east-1"), used, limit: 100 }));
        assert_eq!(found.into_iter().map(|problem| problem.finding).collect::<Vec<_>>(), finding.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn what_else_could_not_be_looked_at_is_a_problem_of_its_region() {
    let unread = Unread { place: place("us-west-2"), what: "the key alias/kaireon".to_owned(), why: "denied".to_owned() };
    let found = kaireon("rds-daily", "us-east-1", |survey, _| survey.unread.push(unread));
    assert_eq!(found.len(), 1);
    assert!(found[0].backup.is_none() && found[0].place == place("us-west-2") && found[0].finding.is_alarm());
    assert_eq!(found[0].finding.to_string(), "the key alias/kaireon could not be looked at: denied; nothing is known of it");
}

#[test]
fn a_copied_object_is_encrypted_with_the_copys_key() {
    let source =
        PLANS[1].replace("copy: {bucket: kaireon-backups-dr, prefix: daily/}", "copy: {bucket: kaireon-backups-dr, prefix: daily/, kmsKey: alias/kaireon}");
    let plan = load("plan.yaml", source.as_bytes()).plan.unwrap();
    let mut survey = healthy(&plan);
    assert_eq!(verify(&plan, &survey, now()).problems, []);
    let dump = survey.listings.iter_mut().filter(|listing| listing.backup == "pg-dump" && listing.place.region.as_str() == "us-west-2");
    for listing in dump {
        let Found::Points { points } = &mut listing.found else { panic!() };
        points[0].kms_key = Some(arn("another"));
    }
    assert!(matches!(only(verify(&plan, &survey, now()).problems), Finding::WrongKey { .. }));
}

#[test]
fn every_finding_says_what_was_seen_and_what_to_do() {
    let plan = plan(1);
    let mut survey = healthy(&plan);
    for (index, listing) in survey.listings.iter_mut().enumerate() {
        match (index, &mut listing.found) {
            (0, found) => *found = Found::Points { points: Vec::new() },
            (1, Found::Points { points }) => points.retain(|point| now().since(point.taken_at) > DAY.times(2)),
            (2 | 3, Found::Restorable { until }) => *until = Some(now().before(DAY)),
            (4, found) => *found = Found::Denied { call: "rds:DescribeDBSnapshots".to_owned() },
            (5, found) => *found = Found::Incomplete { why: "page 3 timed out".to_owned() },
            (6, Found::Points { points }) => points[0].size = Some(Bytes::new(99)),
            (7, found) => *found = Found::NoSuchBucket,
            (8, Found::Points { points }) => points[0].status = PointStatus::Failed,
            _ => {}
        }
    }
    survey.listings.pop();
    let told: Vec<String> = verify(&plan, &survey, now())
        .problems
        .into_iter()
        .map(|problem| format!("{} in {}: {}", problem.backup.map(|name| name.to_string()).unwrap_or_default(), problem.place, problem.finding))
        .collect();
    insta::assert_snapshot!("findings", told.join("\n"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Whatever a listing is that was not read to its end, it is a problem, and it proves no backup: the loss is never less for it.
    #[test]
    fn what_was_not_seen_is_never_taken_for_well(which in 0_usize..3, at in any::<prop::sample::Index>(), how in 0_u8..5) {
        let plan = plan(which);
        let survey = healthy(&plan);
        let mut less = survey.clone();
        let at = at.index(less.listings.len());
        let (backup, place) = (less.listings[at].backup.clone(), less.listings[at].place.clone());
        match how {
            0 => less.listings[at].found = Found::Denied { call: "s3:ListBucket".to_owned() },
            1 => less.listings[at].found = Found::Incomplete { why: "page 2 timed out".to_owned() },
            2 => less.listings[at].found = Found::NoSuchBucket,
            3 => drop(less.listings.remove(at)),
            _ => less.listings[at].found = Found::Points { points: Vec::new() },
        }
        let verdict = verify(&plan, &less, now());
        let expected = expectations(&plan).into_iter().find(|expected| expected.backup == backup && expected.place == place).unwrap();
        if how < 4 || expected.at_most.is_some() {
            prop_assert!(verdict.problems.iter().any(|problem| problem.backup.as_ref() == Some(&backup) && problem.place == place && problem.finding.is_alarm()), "{verdict:?}");
        }
        for (all, seen) in verify(&plan, &survey, now()).exposures.into_iter().zip(verdict.exposures) {
            let Exposure { of, loss, .. } = seen;
            prop_assert_eq!(&of, &all.of);
            prop_assert!(loss.is_none() || all.loss.is_some_and(|all| loss.unwrap() >= all), "{of:?}: {loss:?} of {:?}", all.loss);
        }
    }

    /// However the backups of a part are spread, the loss is the age of the newest good one outside the primary region.
    #[test]
    fn the_loss_is_the_age_of_the_newest_good_one_outside_the_primary_region(ages in prop::collection::vec((0_u64..3_000, 0_u8..4, any::<bool>()), 0..20)) {
        let plan = plan(2);
        let mut survey = healthy(&plan);
        survey.listings.retain(|listing| listing.backup == "postgres-full");
        let mut best = None;
        for listing in &mut survey.listings {
            let is_standby = listing.place.region == plan.regions.standby;
            let Found::Points { points } = &mut listing.found else { panic!() };
            let template = points[0].clone();
            points.clear();
            for (number, (minutes, state, standby)) in ages.iter().enumerate().filter(|(_, (_, _, standby))| *standby == is_standby) {
                let status = [PointStatus::Available, PointStatus::Available, PointStatus::Copying, PointStatus::Failed][usize::from(*state)];
                points.push(RecoveryPoint { name: format!("p-{number}"), taken_at: now().before(Duration::from_mins(*minutes)), status, ..template.clone() });
                if *standby && status == PointStatus::Available {
                    best = Some(best.map_or(*minutes, |best: u64| best.min(*minutes)));
                }
            }
        }
        let exposures = verify(&plan, &survey, now()).exposures;
        let store = exposures.iter().find(|exposure| exposure.of.0 == "databases.primary-store").unwrap();
        prop_assert_eq!(store.loss, best.map(Duration::from_mins));
    }
}
