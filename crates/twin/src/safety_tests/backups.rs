//! Backups on the twin: single actions, each fault by itself, and a year of two plans.

use std::collections::BTreeSet;

use muster_actions::{COPY_BACKUP, PRUNE_BACKUPS, TAKE_BACKUP, VERIFY_BACKUPS, copy_backup, prune_backups, take_backup, verify_backups};
use muster_backups::{Rules, expectations};
use muster_core::ports::{SnapshotPlace, SnapshotSource, SnapshotStatus, SourceKind};
use muster_core::{Region, Timestamp, run_action};
use muster_plan::{BackupMethod, Plan, load};

use super::*;
use crate::snapshots::{SnapshotFault, Stored};
use crate::testing::on;

pub(super) const DAY: Duration = Duration::from_hours(24);

pub(super) fn plan(name: &str) -> Arc<Plan> {
    let source = std::fs::read(format!("{}/../../plans/{name}.yaml", env!("CARGO_MANIFEST_DIR"))).unwrap();
    Arc::new(load(name, &source).plan.unwrap())
}

/// Muster's protect lane on a plan's estate, for two years.
pub(super) struct Protect {
    pub(super) twin: Rc<Twin>,
    pub(super) run: Run,
    calls: Cell<u64>,
}

impl Protect {
    pub(super) async fn of(twin: &Rc<Twin>) -> Self {
        let plan = twin.look(|estate| estate.plan.clone());
        let run = Run {
            id: muster_core::RunId(format!("{}.backup.1", plan.service).into()),
            service: plan.service.as_str().into(),
            lane: Lane::Protect,
            deadline: twin.now().after(DAY.times(800)),
            ..run(twin, "backup", 1)
        };
        let world = twin.world(RegionRole::Standby, "test", "000001-test");
        assert!(world.open_run(0, &OpenRun { run: run.clone(), execution: "backup".into(), drill: false }).await.unwrap());
        Protect { twin: twin.clone(), run, calls: Cell::new(1) }
    }

    /// Invokes one action of the flow, as a Lambda of its name would be.
    async fn call(&self, action: &str) -> Result<Progress, Failure> {
        self.call_after(action, None).await
    }

    /// The same, with what it answered last.
    pub(super) async fn call_after(&self, action: &str, last: Option<&Progress>) -> Result<Progress, Failure> {
        self.calls.set(self.calls.get() + 1);
        let id = format!("{:06}-{action}", self.calls.get());
        let world = self.twin.world(RegionRole::Standby, action, &*id);
        let event = json!({"run": self.run, "phase": action, "last": last});
        let result = match action {
            "take-backup" => run_action(TAKE_BACKUP, &*id, event, &world, take_backup).await,
            "copy-backup" => run_action(COPY_BACKUP, &*id, event, &world, copy_backup).await,
            "prune-backups" => run_action(PRUNE_BACKUPS, &*id, event, &world, prune_backups).await,
            "verify-backups" => run_action(VERIFY_BACKUPS, &*id, event, &world, verify_backups).await,
            other => panic!("{other}"),
        };
        world.settle().await;
        result
    }

    /// One turn of the flow: what is due is taken, what is there is copied, what is too old is pruned. A failure is a person's to look at.
    async fn turn(&self) -> Vec<Failure> {
        let mut failures = Vec::new();
        for action in ["take-backup", "copy-backup", "prune-backups"] {
            failures.extend(self.call(action).await.err());
        }
        failures
    }

    /// One execution of the flow: each action until it is done or fails, for at most three hours.
    async fn until_settled(&self) -> BTreeSet<String> {
        let mut failures = BTreeSet::new();
        for action in ["take-backup", "copy-backup", "prune-backups"] {
            for _ in 0..6 {
                match self.call(action).await {
                    Ok(progress) if progress.is_done() => break,
                    Ok(_) => pass(600).await,
                    Err(failure) => {
                        failures.insert(failure.error_type.to_owned());
                        break;
                    }
                }
            }
        }
        failures
    }

    /// The next execution opens a run of its own.
    async fn next_run(&mut self) {
        let world = self.twin.world(RegionRole::Standby, "test", "000001-test");
        let epoch = self.run.epoch;
        self.run = Run {
            epoch: epoch + 1,
            id: muster_core::RunId(format!("{}.backup.{}", self.run.service, epoch + 1).into()),
            opened_at: self.twin.now(),
            ..self.run.clone()
        };
        assert!(world.open_run(epoch, &OpenRun { run: self.run.clone(), execution: "backup".into(), drill: false }).await.unwrap());
    }

    /// Turns, so far apart.
    pub(super) async fn turns(&self, minutes: u64, times: u64) -> Vec<Failure> {
        let mut failures = Vec::new();
        for _ in 0..times {
            failures.extend(self.turn().await);
            pass(minutes * 60).await;
        }
        failures
    }

    pub(super) fn fault(&self, fault: SnapshotFault, from: Timestamp, span: Duration) {
        self.twin.look(|estate| estate.snapshots.faults.push((fault, from, from.after(span))));
    }

    fn put(&self, place: SnapshotPlace, name: &str, age: Duration, tags: &[(&str, &str)]) {
        self.put_of("kaireon-prod", place, name, age, tags);
    }

    /// A snapshot of an instance that is there already.
    pub(super) fn put_of(&self, source: &str, place: SnapshotPlace, name: &str, age: Duration, tags: &[(&str, &str)]) {
        let taken_at = self.twin.now().before(age);
        let tags = tags.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect();
        let stored = Stored { source: instance(source), taken_at, ready_at: taken_at, fails: false, kms_key: None, tags };
        self.twin.look(|estate| estate.snapshots.there.insert((place, name.into()), stored));
    }

    /// The names of what is there, in a region and not in a bucket.
    pub(super) fn names(&self, region: &str) -> Vec<String> {
        self.twin.look(|estate| {
            let here = estate.snapshots.there.keys().filter(|(place, _)| place.region.as_str() == region && place.bucket.is_none());
            here.map(|(_, name)| name.to_string()).collect()
        })
    }
}

fn instance(name: &str) -> SnapshotSource {
    SnapshotSource { kind: SourceKind::Instance, name: name.into() }
}

pub(super) fn region(name: &str) -> Region {
    name.parse().unwrap()
}

pub(super) fn place(name: &str) -> SnapshotPlace {
    SnapshotPlace { region: region(name), account: None, bucket: None }
}

pub(super) fn violations(twin: &Rc<Twin>) -> Option<String> {
    twin.look(|estate| estate.guard.violation().map(|violation| format!("{}: {}", violation.rule, violation.seen)))
}

#[test]
fn a_night_is_taken_copied_and_pruned_and_a_second_delivery_changes_nothing() {
    on(&plan("kaireon"), &quiet(), |twin| async move {
        let muster = Protect::of(&twin).await;
        assert_eq!(muster.turns(30, 24).await, []);
        let made = twin.look(|estate| estate.snapshots.made);
        let (here, there) = (muster.names("us-east-1"), muster.names("us-west-2"));
        // Redis's slot of the night before was made up for; then came its own.
        assert_eq!((here.len(), there.len()), (3, 1), "{here:?} {there:?}");
        assert_eq!(there, here.iter().filter(|name| name.contains("rds-daily")).cloned().collect::<Vec<_>>(), "a copy has its original's name");
        assert_eq!(muster.turn().await, []);
        assert_eq!(twin.look(|estate| estate.snapshots.made), made);
    });
}

#[test]
fn what_others_made_what_is_held_and_what_is_used_outlives_every_retention() {
    on(&plan("kaireon"), &quiet(), |twin| async move {
        let muster = Protect::of(&twin).await;
        let ours = [("muster:service", "kaireon"), ("muster:backup", "rds-daily")];
        muster.put(place("us-east-1"), "somebodys", DAY.times(900), &[]);
        muster.put(place("us-east-1"), "anothers", DAY.times(900), &[("muster:service", "other"), ("muster:backup", "rds-daily")]);
        muster.put(place("us-east-1"), "held", DAY.times(90), &[&ours[..], &[("muster:legal-hold", "Counsel: a matter")]].concat());
        muster.put(place("us-east-1"), "used", DAY.times(90), &[&ours[..], &[("muster:used-by", "restore-test")]].concat());
        muster.put(place("us-east-1"), "old", DAY.times(90), &ours);
        assert_eq!(muster.turns(60, 24 * 10).await, []);
        let names = muster.names("us-east-1");
        for kept in ["somebodys", "anothers", "held", "used"] {
            assert!(names.iter().any(|name| name == kept), "{kept}: {names:?}");
        }
        assert!(!names.iter().any(|name| name == "old"), "{names:?}");
        assert_eq!(names.iter().filter(|name| name.contains("rds-daily")).count(), 7, "{names:?}");
        assert_eq!(violations(&twin), None);
    });
}

#[test]
fn too_many_deletions_are_refused_and_none_is_done() {
    on(&plan("kaireon"), &quiet(), |twin| async move {
        let muster = Protect::of(&twin).await;
        for number in 0..60 {
            muster.put(place("us-east-1"), &format!("old-{number}"), DAY.times(30 + number), &[("muster:service", "kaireon"), ("muster:backup", "rds-daily")]);
        }
        muster.turns(30, 12).await;
        let refused = muster.call("prune-backups").await.unwrap_err();
        assert_eq!(refused.error_type, "Muster.Refused");
        assert!(refused.error_message.contains("60 backups would be deleted at once"), "{refused}");
        assert_eq!(twin.look(|estate| estate.snapshots.deleted), 0);
    });
}

#[test]
fn a_region_that_is_full_takes_no_further_manual_snapshot() {
    on(&plan("kaireon"), &quiet(), |twin| async move {
        let muster = Protect::of(&twin).await;
        (0..100).for_each(|number| muster.put(place("us-east-1"), &format!("somebodys-{number}"), DAY, &[]));
        let full = muster.call("take-backup").await.unwrap_err();
        assert!(full.error_message.contains("SnapshotQuotaExceeded: cannot create more than 100"), "{full}");
        twin.look(|estate| estate.snapshots.there.retain(|(_, name), _| &**name != "somebodys-99"));
        muster.call("take-backup").await.unwrap();
    });
}

#[test]
fn a_kill_switch_stops_all_three() {
    on(&plan("kaireon"), &quiet(), |twin| async move {
        let muster = Protect::of(&twin).await;
        twin.change(|estate| estate.set_kill_switch());
        pass(60).await;
        let failures = muster.turn().await;
        assert_eq!(failures.iter().map(|failure| failure.error_type).collect::<Vec<_>>(), ["Muster.Refused"; 3]);
        assert_eq!(twin.look(|estate| (estate.snapshots.made, estate.snapshots.deleted)), (0, 0));
    });
}

/// Each fault strikes a week of Kaireon for a day, is said in its own words, and is made good afterwards.
#[test]
fn every_fault_is_told_apart_and_made_good_afterwards() {
    let east = || region("us-east-1");
    let west = || region("us-west-2");
    let cases = [
        (SnapshotFault::QuotaReached(east()), Some("SnapshotQuotaExceeded")),
        (SnapshotFault::KeyDisabled(west()), Some("KMSKeyNotAccessibleFault: alias/kaireon")),
        (SnapshotFault::SourceGone("kaireon-prod".into()), Some("DBInstanceNotFound")),
        (SnapshotFault::Denied(west()), Some("was denied")),
        (SnapshotFault::Throttled(east()), Some("Rate exceeded")),
        (SnapshotFault::CopiesFail(west()), None),
        (SnapshotFault::SnapshotsFail, None),
        (SnapshotFault::AppliedWithoutAnswer(west()), None),
        (SnapshotFault::AppliedWithoutAnswer(east()), None),
        (SnapshotFault::EmptyListing(west()), None),
        (SnapshotFault::EmptyListing(east()), None),
    ];
    for (fault, said) in cases {
        on(&plan("kaireon"), &quiet(), |twin| async move {
            let muster = Protect::of(&twin).await;
            muster.turns(60, 72).await;
            muster.fault(fault.clone(), twin.now(), DAY);
            let failures = muster.turns(60, 24).await;
            match said {
                Some(said) => assert!(failures.iter().any(|failure| failure.error_message.contains(said)), "{fault:?}: {failures:?}"),
                None => assert!(failures.iter().all(|failure| !failure.error_message.contains("panic")), "{fault:?}: {failures:?}"),
            }
            muster.turns(60, 48).await;
            assert_eq!(muster.turn().await, [], "{fault:?} is over, and all is well again");
            let newest = newest(&twin, &place("us-west-2"), "rds-daily").unwrap();
            assert!(twin.now().since(newest) < Duration::from_hours(26), "{fault:?}: {newest}");
            assert_eq!(violations(&twin), None, "{fault:?}");
        });
    }
}

/// When the newest good snapshot of a backup in a place was taken: the truth, whatever listings say.
fn newest(twin: &Rc<Twin>, place: &SnapshotPlace, backup: &str) -> Option<Timestamp> {
    let now = twin.now();
    twin.look(|estate| {
        let here = estate.snapshots.there.iter().filter(|((at, _), stored)| at == place && stored.tags.get("muster:backup").is_some_and(|of| **of == *backup));
        here.filter(|(_, stored)| stored.status(now) == SnapshotStatus::Available).map(|(_, stored)| stored.taken_at).max()
    })
}

/// What Muster takes on a schedule, in regions, and its archives.
fn made(plan: &Plan) -> Vec<muster_backups::Expectation> {
    let rules = Rules::of(plan);
    let is_made = |expected: &muster_backups::Expectation| {
        let is_told = expected.place.bucket.is_none() || expected.archive.is_some();
        is_told && rules.lines.iter().any(|line| line.name == expected.backup && line.every.is_some())
    };
    expectations(plan).into_iter().filter(is_made).collect()
}

/// How a year went.
#[derive(Default)]
struct Year {
    alarms: BTreeSet<String>,
    unalarmed: Vec<String>,
    false_alarms: Vec<String>,
    failures: BTreeSet<String>,
    most_in_flight: usize,
}

/// Slot by slot until `days` have passed; every so often something breaks for some hours or days. Every gap is looked for in what is really there.
async fn live(twin: &Rc<Twin>, days: u64) -> Year {
    let mut muster = Protect::of(twin).await;
    let plan = twin.look(|estate| estate.plan.clone());
    let (here, there) = (plan.regions.primary.clone(), plan.regions.standby.clone());
    let source: Arc<str> = plan.databases[0].primary.as_str().into();
    let (begins, ends) = (twin.now(), twin.now().after(DAY.times(days)));
    let faults = [
        SnapshotFault::QuotaReached(here.clone()),
        SnapshotFault::KeyDisabled(there.clone()),
        SnapshotFault::CopiesFail(there.clone()),
        SnapshotFault::SnapshotsFail,
        SnapshotFault::SourceGone(source),
        SnapshotFault::Denied(there.clone()),
        SnapshotFault::Denied(here.clone()),
        SnapshotFault::EmptyListing(there.clone()),
        SnapshotFault::EmptyListing(here.clone()),
        SnapshotFault::Throttled(here),
        SnapshotFault::AppliedWithoutAnswer(there.clone()),
    ];
    for (ordinal, fault) in (1_u64..).zip(faults) {
        // Each for two days and more, so that a whole night goes wrong; spread over the time, whose last weeks are quiet.
        muster.fault(fault, begins.after(Duration::from_mins(days * 24 * 60 * ordinal / 14)), Duration::from_hours(52));
    }
    let schedules: Vec<_> = Rules::of(&plan).lines.into_iter().filter_map(|line| line.every).collect();
    let mut year = Year::default();
    while twin.now() < ends {
        year.failures.extend(muster.until_settled().await);
        year.look(&muster, &plan).await;
        let next = schedules.iter().filter_map(|schedule| schedule.next_after(twin.now())).min().unwrap();
        pass(next.since(twin.now()).as_secs_ceil()).await;
        year.look(&muster, &plan).await;
        year.most_in_flight = year.most_in_flight.max(twin.look(|estate| estate.snapshots.in_flight(estate.now(), &there)));
        muster.next_run().await;
    }
    muster.until_settled().await;
    year
}

impl Year {
    /// Looks as `verify-backups` does, and at the truth: whoever is late in truth has to be alarmed.
    async fn look(&mut self, muster: &Protect, plan: &Plan) {
        let problems = muster.verified().await.problems;
        let now = muster.twin.now();
        for expected in made(plan) {
            let here =
                problems.iter().filter(|problem| problem.backup.as_deref() == Some(expected.backup.as_str()) && problem.place == expected.place.to_string());
            let alarms: Vec<_> = here.filter(|problem| problem.alarms).collect();
            let newest = match &expected.archive {
                Some(_) => muster.twin.look(|estate| estate.newest_export(expected.prefix.as_deref().unwrap(), now)),
                None => newest(&muster.twin, &place(expected.place.region.as_str()), expected.backup.as_str()),
            };
            let is_late = newest.is_none_or(|newest| now.since(newest) > expected.at_most.unwrap());
            if is_late && alarms.is_empty() {
                self.unalarmed.push(format!("{} in {} at {now}: {newest:?}", expected.backup, expected.place));
            }
            self.alarms.extend(alarms.into_iter().map(|problem| problem.words.clone()));
        }
        // Nothing ever strikes what others write, but that their database is gone.
        let by_others = |problem: &muster_core::BackupProblem| {
            let backup = problem.backup.as_deref().and_then(|name| plan.backup(name));
            backup.is_some_and(|backup| matches!(backup.method, BackupMethod::S3Objects { .. })) && !problem.words.contains("its source does not exist")
        };
        self.false_alarms.extend(problems.iter().filter(|problem| by_others(problem)).map(|problem| format!("{now}: {problem:?}")));
    }
}

fn slots_of(name: &str, days: u64, least_deleted: u64) {
    let plan = &plan(name);
    on(plan, &quiet(), |twin| async move {
        // Logs are written as rarely as they may be, so that a year of them is listed in seconds.
        twin.look(|estate| estate.objects.periods = vec![("postgres-wal".into(), Duration::from_mins(14)), ("mongodb".into(), Duration::from_mins(50))]);
        let year = live(&twin, days).await;
        assert_eq!(violations(&twin), None, "{name}");
        assert_eq!(year.unalarmed, [""; 0], "{name}");
        assert_eq!(year.false_alarms, [""; 0], "{name}");
        for words in ["was denied", "the newest is of", " has one of ", "there is no backup at all", "Rate exceeded", "is disabled"] {
            assert!(year.alarms.iter().any(|alarm| alarm.contains(words)), "{name}: `{words}` was never alarmed: {:?}", year.alarms);
        }
        assert_eq!(year.failures.iter().map(String::as_str).collect::<Vec<_>>(), ["Muster.Permanent", "Muster.Transient"], "{name}");
        let (deleted, crowded) = twin.look(|estate| (estate.snapshots.deleted, estate.snapshots.crowded));
        assert!(deleted >= least_deleted, "{name}: {deleted} deleted");
        assert!(year.most_in_flight <= 20 && crowded == 0, "{name}: {} copies in flight, {crowded} refused", year.most_in_flight);
        // "Kept as long as it must and no longer": after the quiet weeks, as many are there as the schedule would have left, and what still moves.
        let assumed = muster_backups::assumed(&Rules::of(plan), twin.now());
        for expected in made(plan).into_iter().filter(|expected| expected.archive.is_none()) {
            let there = twin.look(|estate| {
                let here = estate.snapshots.there.iter().filter(|((at, _), _)| at.region == expected.place.region && at.bucket.is_none());
                here.filter(|(_, stored)| stored.tags.get("muster:backup").is_some_and(|backup| expected.backup == **backup)).count()
            });
            let wanted = assumed.iter().filter(|point| point.place == expected.place && point.backup.as_ref() == Some(&expected.backup)).count();
            assert!(there.abs_diff(wanted) <= 3, "{name}: {} in {}: {there} there, {wanted} wanted", expected.backup, expected.place);
        }
    });
}

#[test]
fn a_year_of_kredete_with_every_fault_loses_nothing_and_hides_nothing() {
    slots_of("kredete", 366, 600);
}

#[test]
fn a_year_of_kaireon_with_every_fault_loses_nothing_and_hides_nothing() {
    slots_of("kaireon", 366, 900);
}
