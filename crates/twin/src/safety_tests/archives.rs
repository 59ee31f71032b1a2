//! The monthly archive of Kredete on the twin: exports of snapshots, what goes wrong with them, and how it is said.

use muster_core::ports::SnapshotStatus;

use super::backups::{DAY, Protect, plan, region, violations};
use super::*;
use crate::objects::ObjectFault;
use crate::snapshots::SnapshotFault;
use crate::testing::on;

const EVER: Duration = Duration::from_hours(10_000);
const BUCKET: &str = "kredete-postgres-archive";
const HERE: &str = "af-south-1";

impl Protect {
    /// The exports' identifiers, and what they are.
    fn exports(&self) -> Vec<(String, SnapshotStatus)> {
        let now = self.twin.now();
        self.twin.look(|estate| estate.snapshots.exports.iter().map(|(name, task)| (name.to_string(), task.status(now))).collect())
    }

    /// What is there of the archive's own snapshots.
    fn archived_snapshots(&self) -> Vec<String> {
        self.names(HERE).into_iter().filter(|name| name.starts_with(BUCKET)).collect()
    }

    /// What is said of the archive.
    async fn said(&self) -> Vec<String> {
        let problems = self.verified().await.problems;
        let of_archive = problems.into_iter().filter(|problem| problem.backup.as_deref() == Some("postgres-archive") || problem.words.contains(BUCKET));
        of_archive.map(|problem| format!("{} ({}): {}", problem.place, if problem.alarms { "alarm" } else { "by day" }, problem.words)).collect()
    }

    fn break_bucket(&self, fault: ObjectFault) {
        let now = self.twin.now();
        self.twin.look(|estate| estate.objects.faults.push((fault, BUCKET.to_owned(), now, now.after(EVER))));
    }
}

/// What is written all the time is written as rarely as it may be, so that months of it are listed in seconds.
fn rarely(twin: &Rc<Twin>) {
    twin.look(|estate| estate.objects.periods = vec![("postgres-wal".into(), Duration::from_mins(14)), ("mongodb".into(), Duration::from_mins(50))]);
}

#[test]
fn each_month_has_its_archive_and_a_second_delivery_makes_none() {
    on(&plan("kredete"), &quiet(), |twin| async move {
        rarely(&twin);
        let muster = Protect::of(&twin).await;
        assert_eq!(muster.turns(120, 36).await, []);
        let made = muster.exports();
        let [(first, SnapshotStatus::Available)] = made.as_slice() else { panic!("{made:?}") };
        assert_eq!(muster.archived_snapshots(), std::slice::from_ref(first), "an export is called after its snapshot");
        assert_eq!(muster.said().await, [""; 0]);
        assert_eq!(muster.turns(1, 3).await, []);
        assert_eq!(muster.exports().len(), 1, "it was made already");
        // Two months later: two more archives, all three are there, and of the snapshots what the next export could be made of.
        assert_eq!(muster.turns(360, 4 * 62).await, []);
        let exports = muster.exports();
        assert!(exports.len() == 3 && exports.iter().all(|(_, status)| *status == SnapshotStatus::Available), "{exports:?}");
        let newest = exports.last().unwrap().0.clone();
        let snapshots = muster.archived_snapshots();
        assert!(snapshots.contains(&newest) && !snapshots.contains(first), "{snapshots:?}");
        assert_eq!((muster.said().await, violations(&twin)), (vec![], None));
    });
}

#[test]
fn an_export_that_fails_is_said_why_and_tried_again_a_day_later_under_another_name() {
    on(&plan("kredete"), &quiet(), |twin| async move {
        rarely(&twin);
        let muster = Protect::of(&twin).await;
        muster.fault(SnapshotFault::CopiesFail(region(HERE)), twin.now(), DAY.times(2));
        assert_eq!(muster.turns(60, 26).await, []);
        let failed = muster.exports();
        let [(first, SnapshotStatus::Failed)] = failed.as_slice() else { panic!("{failed:?}") };
        let said = muster.said().await;
        let words = format!("s3://{BUCKET} (alarm): the export of {first} failed, once: the role may not write; another attempt is made a day later");
        assert!(said.iter().any(|said| said.starts_with(&words)), "{said:#?}");
        assert_eq!(muster.turns(120, 36).await, []);
        let exports = muster.exports();
        assert!(exports.len() >= 2 && exports.iter().all(|(name, _)| name == first || name[first.len()..].parse::<i32>().unwrap() < 0), "{exports:?}");
        assert_eq!(exports.iter().filter(|(_, status)| *status == SnapshotStatus::Available).count(), 1, "{exports:?}");
        assert_eq!(muster.archived_snapshots(), std::slice::from_ref(first), "it was all made of one snapshot");
        assert_eq!((muster.said().await, violations(&twin)), (vec![], None));
    });
}

#[test]
fn a_snapshot_is_not_pruned_before_its_archive_is_there() {
    on(&plan("kredete"), &quiet(), |twin| async move {
        rarely(&twin);
        let muster = Protect::of(&twin).await;
        muster.fault(SnapshotFault::CopiesFail(region(HERE)), twin.now(), DAY.times(75));
        assert_eq!(muster.turns(360, 4 * 70).await, []);
        let snapshots = muster.archived_snapshots();
        assert_eq!(snapshots.len(), 3, "each month's is still to be exported: {snapshots:?}");
        assert_eq!(muster.turns(360, 4 * 12).await, []);
        let exports = muster.exports();
        for snapshot in snapshots {
            let made = exports.iter().any(|(name, status)| name.starts_with(&snapshot) && *status == SnapshotStatus::Available);
            assert!(made, "{snapshot}: {exports:?}");
        }
        assert_eq!(violations(&twin), None);
    });
}

#[test]
fn what_stands_in_the_way_of_an_export_is_a_persons_to_look_at_in_the_words_of_rds() {
    for (fault, words) in [
        (SnapshotFault::RoleMissing(region(HERE)), "IamRoleNotFound: the role does not exist"),
        (SnapshotFault::KeyDisabled(region(HERE)), "KMSKeyNotAccessibleFault: alias/kredete is disabled"),
    ] {
        on(&plan("kredete"), &quiet(), |twin| async move {
            let muster = Protect::of(&twin).await;
            muster.fault(fault.clone(), twin.now(), DAY);
            let failures = muster.turns(120, 12).await;
            assert!(failures.iter().any(|failure| failure.error_message.contains(words)), "{fault:?}: {failures:?}");
            assert_eq!(muster.exports(), []);
            assert_eq!(muster.turns(120, 24).await, [], "{fault:?} is over");
            assert_eq!(muster.exports().len(), 1);
        });
    }
}

type Trouble = fn(&Protect);

#[test]
fn what_is_wrong_with_an_archive_is_told_apart_and_alarmed() {
    let cases: [(&str, Trouble, &str); 9] = [
        ("no lifecycle", |muster| muster.break_bucket(ObjectFault::NoLifecycle), "moves `kredete-postgres-archive-…` to DEEP_ARCHIVE"),
        ("deleted early", |muster| muster.break_bucket(ObjectFault::ExpiresEarly), "deletes of it 30 days after it was written, and it has to stay for 2557d"),
        ("gone", |muster| muster.break_bucket(ObjectFault::Empty), "has 0 B: there is nothing in it to restore"),
        ("no bucket", |muster| muster.break_bucket(ObjectFault::Missing), "its bucket does not exist"),
        ("denied", |muster| muster.break_bucket(ObjectFault::Denied), "it could not be looked at: s3:ListBucket on kredete-postgres-archive was denied"),
        ("lifecycle denied", |muster| muster.break_bucket(ObjectFault::Denied), "the lifecycle of kredete-postgres-archive could not be looked at"),
        ("another key", |muster| muster.break_bucket(ObjectFault::OtherKey), "is encrypted with arn:aws:kms:af-south-1:123456789012:key/somebody-elses"),
        ("keys denied", |muster| muster.break_bucket(ObjectFault::KeysDenied), "s3:GetObject on kredete-postgres-archive"),
        (
            "never made",
            |muster| muster.twin.look(|estate| estate.snapshots.exports.clear()),
            ", none is here, and it may be 32d old: look at the copies, the destination's key and the replication",
        ),
    ];
    for (name, trouble, words) in cases {
        on(&plan("kredete"), &quiet(), |twin| async move {
            rarely(&twin);
            let muster = Protect::of(&twin).await;
            assert_eq!(muster.turns(120, 36).await, []);
            trouble(&muster);
            let said = muster.said().await;
            assert!(said.iter().any(|said| said.contains(words) && said.contains("(alarm)")), "{name}: {said:#?}");
        });
    }
}
