//! Backups on the twin: single actions, and each fault by itself.

use muster_actions::{COPY_BACKUP, PRUNE_BACKUPS, TAKE_BACKUP, copy_backup, prune_backups, take_backup};
use muster_core::ports::{SnapshotPlace, SnapshotSource, SnapshotStatus, SourceKind};
use muster_core::{Region, Timestamp, run_action};
use muster_plan::{Plan, load};

use super::*;
use crate::snapshots::{SnapshotFault, Stored};
use crate::testing::on;

const DAY: Duration = Duration::from_hours(24);

fn plan(name: &str) -> Arc<Plan> {
    let source = std::fs::read(format!("{}/../../plans/{name}.yaml", env!("CARGO_MANIFEST_DIR"))).unwrap();
    Arc::new(load(name, &source).plan.unwrap())
}

/// Muster's protect lane on a plan's estate, for two years.
struct Protect {
    twin: Rc<Twin>,
    run: Run,
    calls: Cell<u64>,
}

impl Protect {
    async fn of(twin: &Rc<Twin>) -> Self {
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
        self.calls.set(self.calls.get() + 1);
        let id = format!("{:06}-{action}", self.calls.get());
        let world = self.twin.world(RegionRole::Standby, action, &*id);
        let event = json!({"run": self.run, "phase": action});
        let result = match action {
            "take-backup" => run_action(TAKE_BACKUP, &*id, event, &world, take_backup).await,
            "copy-backup" => run_action(COPY_BACKUP, &*id, event, &world, copy_backup).await,
            "prune-backups" => run_action(PRUNE_BACKUPS, &*id, event, &world, prune_backups).await,
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

    /// Turns, so far apart.
    async fn turns(&self, minutes: u64, times: u64) -> Vec<Failure> {
        let mut failures = Vec::new();
        for _ in 0..times {
            failures.extend(self.turn().await);
            pass(minutes * 60).await;
        }
        failures
    }

    fn fault(&self, fault: SnapshotFault, from: Timestamp, span: Duration) {
        self.twin.look(|estate| estate.snapshots.faults.push((fault, from, from.after(span))));
    }

    fn put(&self, place: SnapshotPlace, name: &str, age: Duration, tags: &[(&str, &str)]) {
        let taken_at = self.twin.now().before(age);
        let tags = tags.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect();
        let stored = Stored { source: instance("kaireon-prod"), taken_at, ready_at: taken_at, fails: false, kms_key: None, tags };
        self.twin.look(|estate| estate.snapshots.there.insert((place, name.into()), stored));
    }

    /// The names of what is there, in a region and not in a bucket.
    fn names(&self, region: &str) -> Vec<String> {
        self.twin.look(|estate| {
            let here = estate.snapshots.there.keys().filter(|(place, _)| place.region.as_str() == region && place.bucket.is_none());
            here.map(|(_, name)| name.to_string()).collect()
        })
    }
}

fn instance(name: &str) -> SnapshotSource {
    SnapshotSource { kind: SourceKind::Instance, name: name.into() }
}

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

fn place(name: &str) -> SnapshotPlace {
    SnapshotPlace { region: region(name), account: None, bucket: None }
}

fn violations(twin: &Rc<Twin>) -> Option<String> {
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
