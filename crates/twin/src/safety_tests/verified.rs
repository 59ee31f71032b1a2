//! Verifying backups on the twin: every fault in its own words, a million objects, and death in the middle.

use muster_actions::{BACKUP_EXPOSURE, BACKUP_PROBLEMS, EVERYTHING, NAMESPACE};
use muster_core::{BackupExposure, BackupProblem};
use muster_plan::{Plan, load};

use super::backups::{DAY, Protect, plan, region};
use super::*;
use crate::objects::ObjectFault;
use crate::snapshots::SnapshotFault;
use crate::testing::on;

/// A plan of the repository, with a text of it exchanged.
fn plan_but(name: &str, from: &str, to: &str) -> Arc<Plan> {
    let source = std::fs::read_to_string(format!("{}/../../plans/{name}.yaml", env!("CARGO_MANIFEST_DIR"))).unwrap();
    assert!(source.contains(from), "{from}");
    Arc::new(load(name, source.replace(from, to).as_bytes()).plan.unwrap())
}

/// What a verification came to, as the ledger has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Verified {
    verdict: String,
    detail: String,
    pub(super) problems: Vec<BackupProblem>,
    exposures: Vec<BackupExposure>,
    invocations: usize,
    largest_note: usize,
}

impl Verified {
    /// Backup, place and words of what is wrong.
    fn told(&self) -> Vec<String> {
        self.problems.iter().map(|problem| format!("{} in {}: {}", problem.backup.as_deref().unwrap_or("-"), problem.place, problem.words)).collect()
    }

    fn loss(&self, component: &str) -> Option<Duration> {
        self.exposures.iter().find(|exposure| exposure.component == component).unwrap().loss
    }
}

impl Protect {
    /// The estate after three days of backups.
    async fn after_three_days(twin: &Rc<Twin>) -> Self {
        let muster = Protect::of(twin).await;
        assert_eq!(muster.turns(60, 72).await, []);
        pass(600).await;
        muster
    }

    fn trouble(&self, fault: ObjectFault, of: &str, age: Duration, span: Duration) {
        let from = self.twin.now().before(age);
        self.twin.look(|estate| estate.objects.faults.push((fault, of.to_owned(), from, from.after(span))));
    }

    /// Verifies as the state machine does: again and again with the last answer, until it is done. What `die` says of an invocation is how long it lives.
    async fn verified_but(&self, die: impl Fn(usize) -> Option<u64>) -> Verified {
        let (mut last, mut verified) = (None::<Progress>, Verified::default());
        loop {
            verified.invocations += 1;
            assert!(verified.invocations < 200, "it never ends: {last:?}");
            let call = self.call_after("verify-backups", last.as_ref());
            match die(verified.invocations) {
                Some(millis) => {
                    let died = tokio::time::timeout(std::time::Duration::from_millis(millis), call).await;
                    assert!(died.is_err(), "it was to die in the middle: {died:?}");
                    pass(1).await;
                }
                None => last = Some(call.await.unwrap()),
            }
            let notes = self.notes();
            verified.largest_note = notes.iter().map(|note| note.to_string().len()).max().unwrap_or(0).max(verified.largest_note);
            match &last {
                Some(progress) if progress.is_done() => break,
                Some(progress) => pass(progress.retry_after_seconds.unwrap()).await,
                None => {}
            }
        }
        assert_eq!(self.notes(), [Value::Null; 0], "what was kept is forgotten");
        let progress = last.unwrap();
        (verified.verdict, verified.detail) = (progress.verdict.unwrap(), progress.detail);
        (verified.problems, verified.exposures) = self.last_evidence();
        verified
    }

    pub(super) async fn verified(&self) -> Verified {
        self.verified_but(|_| None).await
    }

    fn notes(&self) -> Vec<Value> {
        let all = self.twin.look(|estate| estate.memory.notes.get(&self.run.id.0).cloned()).unwrap_or_default();
        all.into_iter().filter(|(name, value)| name.starts_with("survey/") && !value.is_null()).map(|(_, value)| Value::clone(&value)).collect()
    }

    fn last_evidence(&self) -> (Vec<BackupProblem>, Vec<BackupExposure>) {
        let entries = self.twin.look(|estate| estate.memory.read_ledger(&self.run.id));
        let saw = |entry: &muster_core::Entry| matches!(&entry.body, Body::Saw { evidence: Evidence::BackupsVerified { .. } });
        let last = entries.iter().filter(|entry| saw(entry)).map(|entry| entry.invocation.clone()).max().unwrap();
        let (mut problems, mut exposures) = (Vec::new(), Vec::new());
        for entry in entries.into_iter().filter(|entry| entry.invocation == last) {
            if let Body::Saw { evidence: Evidence::BackupsVerified { problems: more, exposures: further, .. } } = entry.body {
                problems.extend(more);
                exposures.extend(further);
            }
        }
        (problems, exposures)
    }

    /// What was published last of a metric: as many values as were published at that instant.
    fn published(&self, name: &str) -> Vec<i64> {
        let standby = self.twin.look(|estate| estate.plan.regions.standby.clone());
        let points = self.twin.look(|estate| estate.published.get(&(standby, NAMESPACE.into(), name.into())).cloned()).unwrap_or_default();
        let last = points.last().map(|point| point.at);
        points.iter().filter(|point| Some(point.at) == last).map(|point| point.milli).collect()
    }
}

#[test]
fn where_all_is_well_it_is_said_published_and_written_down() {
    for (name, component, most) in [("kaireon", "databases.main", Duration::from_mins(30)), ("kredete", "databases.primary-store", Duration::from_mins(15))] {
        on(&plan(name), &quiet(), |twin| async move {
            let muster = Protect::after_three_days(&twin).await;
            let verified = muster.verified().await;
            assert_eq!((verified.told(), &*verified.verdict), (vec![], "sound"), "{name}");
            assert!(verified.detail.starts_with("nothing is wrong; "), "{}", verified.detail);
            assert!(verified.loss(component).is_some_and(|loss| loss <= most), "{name}: {:?}", verified.exposures);
            assert_eq!(muster.published(BACKUP_PROBLEMS), [0, 0], "with the service, and without");
            let losses: Vec<i64> = verified.exposures.iter().map(|exposure| exposure.loss.unwrap_or(EVERYTHING).as_millis() as i64).collect();
            assert_eq!(muster.published(BACKUP_EXPOSURE), losses);
        });
    }
}

type Trouble = fn(&Protect);

/// What strikes Kaireon, how it is said, and whether somebody is called.
#[test]
fn every_fault_is_said_in_its_own_words() {
    const EVER: Duration = Duration::from_hours(10_000);
    let cases: [(&str, Trouble, &str, &str); 22] = [
        (
            "denied",
            |muster| muster.trouble(ObjectFault::Denied, "kaireon-backups", DAY, EVER),
            "pg-dump in s3://kaireon-backups: it could not be looked at: s3:ListBucket on kaireon-backups was denied; nothing is known of it",
            "unwell",
        ),
        (
            "missing",
            |muster| muster.trouble(ObjectFault::Missing, "kaireon-backups-dr", DAY, EVER),
            "pg-dump in s3://kaireon-backups-dr: its bucket does not exist",
            "unwell",
        ),
        (
            "empty",
            |muster| muster.trouble(ObjectFault::Empty, "kaireon-backups", DAY, EVER),
            "pg-dump in s3://kaireon-backups: there is no backup at all, and an empty list is not taken for a clean one",
            "unwell",
        ),
        (
            "throttled for good",
            |muster| muster.trouble(ObjectFault::Throttled, "kaireon-backups", DAY, EVER),
            "pg-dump in s3://kaireon-backups: the listing ended early: page 1: s3:ListBucket on kaireon-backups: SlowDown",
            "unwell",
        ),
        (
            "ends early",
            |muster| {
                muster.trouble(ObjectFault::EndsEarly, "kaireon-artifacts", DAY, EVER);
                muster.twin.look(|estate| estate.objects.periods.push(("pipeline-artifacts".into(), Duration::from_hours(1))));
            },
            "pipeline-artifacts in s3://kaireon-artifacts: the listing ended early: page 2: s3:ListBucket on kaireon-artifacts: no answer within 3s; \
             nothing is known of the rest",
            "unwell",
        ),
        (
            "nobody writes",
            |muster| muster.trouble(ObjectFault::NobodyWrites, "pg-dump", DAY.times(2), EVER),
            "pg-dump in s3://kaireon-backups: the newest is of",
            "unwell",
        ),
        (
            "shrunken",
            |muster| muster.trouble(ObjectFault::Shrunken, "pg-dump", DAY, EVER),
            "MiB, and 1 GiB were usual: restore it, or take another, before older ones are deleted",
            "unwell",
        ),
        (
            "replication lags",
            |muster| muster.trouble(ObjectFault::ReplicationLags, "kaireon-backups-dr", DAY.times(2), EVER),
            "and it may be 1d2h old: look at the copies, the destination's key and the replication",
            "unwell",
        ),
        (
            "replication passed over some",
            |muster| muster.trouble(ObjectFault::ReplicationSkips, "kaireon-backups-dr", DAY.times(3), DAY),
            "pg-dump in s3://kaireon-backups-dr: 1 of s3://kaireon-backups have no copy here",
            "sound",
        ),
        (
            "key disabled",
            |muster| muster.fault(SnapshotFault::KeyDisabled(region("us-west-2")), muster.twin.now(), EVER),
            "rds-daily in us-west-2: the key alias/kaireon is disabled: what it encrypts can neither be made nor restored; enable it",
            "unwell",
        ),
        (
            "key missing",
            |muster| muster.fault(SnapshotFault::KeyMissing(region("us-west-2")), muster.twin.now(), EVER),
            "rds-daily in us-west-2: there is no key alias/kaireon here",
            "unwell",
        ),
        (
            "another key",
            |muster| muster.fault(SnapshotFault::OtherKey(region("us-west-2")), muster.twin.now(), EVER),
            "is encrypted with arn:aws:kms:us-west-2:123456789012:key/somebody-elses and not with alias/kaireon",
            "unwell",
        ),
        (
            "quota reached",
            |muster| muster.fault(SnapshotFault::QuotaReached(region("us-east-1")), muster.twin.now(), EVER),
            "- in us-east-1: 100 manual snapshots of 100 that may be: the next one fails; ask AWS for more, or keep fewer",
            "unwell",
        ),
        (
            "source gone",
            |muster| muster.fault(SnapshotFault::SourceGone("kaireon-prod".into()), muster.twin.now(), EVER),
            "rds-daily in us-east-1: its source does not exist any more: keep what there is, and change the plan",
            "unwell",
        ),
        (
            "snapshots denied",
            |muster| muster.fault(SnapshotFault::Denied(region("us-west-2")), muster.twin.now(), EVER),
            "rds-daily in us-west-2: it could not be looked at: rds:DescribeDBSnapshots on kaireon-prod was denied",
            "unwell",
        ),
        (
            "keys denied",
            |muster| muster.fault(SnapshotFault::Denied(region("us-west-2")), muster.twin.now(), EVER),
            "- in us-west-2: the key alias/kaireon could not be looked at: kms:DescribeKey on alias/kaireon: AccessDenied",
            "unwell",
        ),
        (
            "snapshots empty",
            |muster| muster.fault(SnapshotFault::EmptyListing(region("us-east-1")), muster.twin.now(), EVER),
            "rds-daily in us-east-1: there is no backup at all, and an empty list is not taken for a clean one",
            "unwell",
        ),
        (
            "snapshots throttled for good",
            |muster| muster.fault(SnapshotFault::Throttled(region("us-east-1")), muster.twin.now(), EVER),
            "rds-daily in us-east-1: the listing ended early: page 1: rds:DescribeDBSnapshots on kaireon-prod: Rate exceeded",
            "unwell",
        ),
        (
            "copies of automated backups stall",
            |muster| muster.fault(SnapshotFault::AutomatedStall(region("us-west-2")), muster.twin.now().before(Duration::from_hours(2)), EVER),
            "rds-wal in us-west-2: us-east-1 has one of",
            "unwell",
        ),
        (
            "automated backups stall",
            |muster| muster.fault(SnapshotFault::AutomatedStall(region("us-east-1")), muster.twin.now().before(Duration::from_hours(2)), EVER),
            "rds-wal in us-east-1: the newest is of",
            "unwell",
        ),
        (
            "exports gone",
            |muster| muster.twin.look(|estate| estate.snapshots.there.retain(|(place, _), _| place.bucket.is_none())),
            "redis-daily in s3://kaireon-backups: us-east-1 has one of",
            "unwell",
        ),
        (
            "the region is dark",
            |muster| strike(&muster.twin, &Fault::RegionDown),
            "rds-wal in us-east-1: the listing ended early: page 1: rds:DescribeDBInstances on kaireon-prod: no connection to us-east-1",
            "unwell",
        ),
    ];
    for (name, trouble, words, verdict) in cases {
        on(&plan("kaireon"), &quiet(), |twin| async move {
            let muster = Protect::after_three_days(&twin).await;
            trouble(&muster);
            let verified = muster.verified().await;
            let told = verified.told();
            assert!(told.iter().any(|told| told.contains(words)), "{name}: {told:#?}");
            assert_eq!(verified.verdict, verdict, "{name}: {told:#?}");
            let alarms = verified.problems.iter().filter(|problem| problem.alarms).count() as i64;
            assert_eq!(muster.published(BACKUP_PROBLEMS), [alarms * 1_000; 2], "{name}");
            assert_eq!(muster.published(BACKUP_EXPOSURE).len(), verified.exposures.len(), "{name}: also of what is not known");
            assert!(verified.detail.contains("listings"), "{name}: {}", verified.detail);
        });
    }
}

/// What encrypts objects, and whether their content is the same, is asked where the plan says that they are encrypted.
#[test]
fn the_key_and_the_content_of_objects_are_looked_at_where_the_plan_wants_them_encrypted() {
    let with_key = plan_but(
        "kredete",
        "copy: {bucket: kredete-postgres-backups-dr, prefix: wal/,",
        "copy: {kmsKey: alias/kredete, bucket: kredete-postgres-backups-dr, prefix: wal/,",
    );
    let cases: [(ObjectFault, &str, Option<&str>); 4] = [
        (ObjectFault::OtherKey, "kredete-postgres-backups-dr", Some("key/somebody-elses and not with alias/kredete")),
        (
            ObjectFault::KeysDenied,
            "kredete-postgres-backups",
            Some("postgres-wal in s3://kredete-postgres-backups: it could not be looked at: s3:GetObject on kredete-postgres-backups/wal/postgres-wal-"),
        ),
        // Nobody asks for the key of what is not said to be encrypted.
        (ObjectFault::KeysDenied, "kredete-velero", None),
        (ObjectFault::OtherKey, "kredete-velero", None),
    ];
    for (fault, bucket, words) in cases {
        on(&with_key, &quiet(), |twin| async move {
            let muster = Protect::after_three_days(&twin).await;
            muster.trouble(fault, bucket, DAY, DAY.times(100));
            let told = muster.verified().await.told();
            match words {
                Some(words) => assert!(told.iter().any(|told| told.contains(words)), "{fault:?} of {bucket}: {told:#?}"),
                None => assert_eq!(told, [""; 0], "{fault:?} of {bucket}"),
            }
        });
    }
    // The copy has no key of its own here, so that both tags are digests of the content.
    on(&plan("kredete"), &quiet(), |twin| async move {
        let muster = Protect::after_three_days(&twin).await;
        muster.trouble(ObjectFault::Garbled, "kredete-postgres-backups-dr", DAY, DAY.times(100));
        let told = muster.verified().await.told();
        assert!(told.iter().any(|told| told.contains("is not what it is in s3://kredete-postgres-backups: checksum ")), "{told:#?}");
    });
}

/// So many objects under one prefix.
async fn flooded(twin: &Rc<Twin>, objects: u64) -> Protect {
    let muster = Protect::after_three_days(twin).await;
    let period = Duration::from_millis(DAY.times(90).as_millis() / objects);
    twin.look(|estate| estate.objects.periods.push(("pipeline-artifacts".into(), period)));
    muster.trouble(ObjectFault::Shrunken, "pg-dump", DAY, DAY.times(100));
    muster
}

#[test]
fn a_million_objects_take_several_invocations_little_memory_and_come_to_an_end() {
    on(&plan("kaireon"), &quiet(), |twin| async move {
        let muster = flooded(&twin, 1_000_000).await;
        let began = twin.now();
        let verified = muster.verified().await;
        assert!(verified.detail.contains(", 1000"), "{}", verified.detail);
        assert!((4..=30).contains(&verified.invocations), "{} invocations", verified.invocations);
        assert!(verified.largest_note < 300_000, "{} bytes", verified.largest_note);
        assert!(twin.now().since(began) < Duration::from_mins(10), "{}", twin.now().since(began));
        assert!(verified.told().iter().any(|told| told.contains("were usual")), "{:?}", verified.told());
        // Those that only read leave nothing in the ledger but what the last one does.
        let entries = twin.look(|estate| estate.memory.read_ledger(&muster.run.id)).into_iter().filter(|entry| &*entry.action == "verify-backups").count();
        assert!(entries < 300, "{entries} entries");
    });
}

#[test]
fn a_survey_that_dies_in_the_middle_comes_to_the_same() {
    let run = |die: fn(usize) -> Option<u64>| {
        let mut verified = Verified::default();
        let result = &mut verified;
        on(&plan("kaireon"), &quiet(), |twin| async move {
            *result = flooded(&twin, 300_000).await.verified_but(die).await;
        });
        verified
    };
    let whole = run(|_| None);
    let often = run(|invocation| (invocation > 1 && invocation % 2 == 0).then_some(7_000));
    assert_eq!(often.invocations, 2 * whole.invocations - 1, "each died once");
    assert!(whole.invocations > 2 && !whole.problems.is_empty(), "{whole:?}");
    assert_eq!((&often.problems, &often.exposures, &often.verdict), (&whole.problems, &whole.exposures, &whole.verdict));
    let at_once = run(|invocation| (invocation == 1).then_some(7_000));
    assert_eq!((at_once.told().len(), &at_once.verdict), (whole.told().len(), &whole.verdict), "it begins anew, of a later instant");
}

#[test]
fn a_survey_that_was_given_up_is_none_of_the_next_one() {
    on(&plan("kaireon"), &quiet(), |twin| async move {
        let muster = Protect::after_three_days(&twin).await;
        // So many dumps that an invocation reads nothing else. In the first attempt another bucket is denied, and a third keeps it from its end.
        twin.look(|estate| estate.objects.periods.push(("pg-dump".into(), Duration::from_millis(DAY.times(30).as_millis() / 150_000))));
        muster.trouble(ObjectFault::Denied, "kaireon-artifacts", DAY, DAY.times(100));
        muster.trouble(ObjectFault::Throttled, "kaireon-backups-dr", DAY, DAY.times(100));
        let mut last = None;
        while !muster.notes().iter().any(|note| note["end"]["kind"] == "denied") {
            last = Some(muster.call_after("verify-backups", last.as_ref()).await.unwrap());
            assert!(!last.as_ref().unwrap().is_done());
            pass(1).await;
        }
        twin.look(|estate| estate.objects.faults.clear());
        let verified = muster.verified().await;
        assert_eq!((verified.told(), verified.invocations > 2), (vec![], true));
    });
}

#[test]
fn called_twice_it_says_the_same() {
    on(&plan("kaireon"), &quiet(), |twin| async move {
        let muster = Protect::after_three_days(&twin).await;
        muster.trouble(ObjectFault::Denied, "kaireon-backups", DAY, DAY.times(100));
        let first = muster.call_after("verify-backups", None).await.unwrap();
        let (problems, exposures) = muster.last_evidence();
        let second = muster.call_after("verify-backups", Some(&first)).await.unwrap();
        assert!(first.is_done() && second.is_done() && !problems.is_empty());
        let (again, exposed_again) = muster.last_evidence();
        assert_eq!((&second.detail, &second.verdict, again), (&first.detail, &first.verdict, problems));
        // Only how far automated backups reach has moved on meanwhile.
        for (before, after) in exposures.iter().zip(&exposed_again) {
            assert_eq!((&before.component, &before.from), (&after.component, &after.from));
            assert!(before.loss.unwrap().saturating_sub(after.loss.unwrap()) < Duration::from_mins(1), "{before:?} {after:?}");
        }
    });
}

#[test]
fn a_failure_that_passes_is_waited_out_within_the_run() {
    on(&plan("kaireon"), &quiet(), |twin| async move {
        let muster = Protect::after_three_days(&twin).await;
        muster.trouble(ObjectFault::Throttled, "kaireon-backups-dr", Duration::ZERO, Duration::from_secs(12));
        muster.fault(SnapshotFault::Throttled(region("us-west-2")), twin.now(), Duration::from_secs(12));
        let verified = muster.verified().await;
        assert_eq!((verified.told(), &*verified.verdict), (vec![], "sound"));
        assert!(verified.invocations > 1);
    });
}

#[test]
fn whatever_is_in_the_primary_region_only_counts_for_nothing_when_it_dies() {
    on(&plan("kaireon"), &quiet(), |twin| async move {
        let muster = Protect::after_three_days(&twin).await;
        muster.trouble(ObjectFault::Denied, "kaireon-backups-dr", DAY, DAY.times(100));
        let verified = muster.verified().await;
        assert_eq!(verified.loss("caches.redis"), None, "its copy cannot be looked at");
        assert!(verified.loss("databases.main").is_some());
        assert!(muster.published(BACKUP_EXPOSURE).contains(&(EVERYTHING.as_millis() as i64)));
    });
}
