//! Backups of five hundred databases: more than one invocation has time for.

use std::collections::BTreeSet;

use muster_backups::COPIES_PER_REGION;
use muster_plan::Plan;

use super::backups::{DAY, Protect, place, violations};
use super::fleets::fleet;
use super::*;
use crate::testing::on;

const DATABASES: usize = 500;

/// Each database has a snapshot a day, all but the oldest of which are kept in the primary region. `at_most` may be deleted at once; `copy` says where it goes.
fn plan(snapshots: u64, at_most: usize, copy: Option<Value>) -> Arc<Plan> {
    fleet::fleet(DATABASES, |plan| {
        plan["service"] = "portal".into();
        let backup = |number: usize| {
            let mut backup = json!({
                "name": format!("db-{number:04}-daily"), "method": {"kind": "databaseSnapshot"}, "of": format!("databases.db-{number:04}"),
                "every": "daily 02:00 UTC", "retention": {"kind": "versions", "keep": snapshots - 1}, "maxAge": "26h"
            });
            copy.iter().for_each(|copy| backup["copy"] = copy.clone());
            backup
        };
        plan["backups"] = (0..DATABASES).map(backup).collect();
        plan["pruning"] = json!({"atMost": at_most});
    })
}

impl Protect {
    /// Every database has so many snapshots, one a day, the newest of them of yesterday.
    fn fill(&self, snapshots: u64) {
        for number in 0..DATABASES {
            let (backup, source) = (format!("db-{number:04}-daily"), format!("db-{number:04}"));
            for day in 1..=snapshots {
                let tags = [("muster:service", "portal"), ("muster:backup", backup.as_str())];
                self.put_of(&source, place("eu-west-1"), &format!("{source}-{day:03}"), DAY.times(day), &tags);
            }
        }
    }

    /// An action, as the state machine calls it: with its last answer, until it is done or fails. How often it was called, and the longest call.
    async fn whole(&self, action: &str) -> (Result<Progress, Failure>, usize, Duration) {
        self.whole_but(action, |_| false).await
    }

    /// The same; of those calls that `die`, the process is gone after seven seconds, and with it what it had kept in mind.
    async fn whole_but(&self, action: &str, die: impl Fn(usize) -> bool) -> (Result<Progress, Failure>, usize, Duration) {
        let (mut last, mut longest) = (None::<Progress>, Duration::ZERO);
        for calls in 1..1_000 {
            let began = self.twin.now();
            let call = self.call_after(action, last.as_ref());
            if die(calls) {
                // What comes to its end before is lost all the same: nobody hears the answer.
                let _ = tokio::time::timeout(std::time::Duration::from_secs(7), call).await;
                pass(1).await;
                continue;
            }
            let progress = match call.await {
                Ok(progress) => progress,
                Err(failure) => return (Err(failure), calls, longest),
            };
            longest = longest.max(self.twin.now().since(began));
            if progress.is_done() {
                return (Ok(progress), calls, longest);
            }
            pass(progress.retry_after_seconds.unwrap()).await;
            last = Some(progress);
        }
        panic!("it never ends: {last:?}");
    }
}

/// A function's time-out is 55 seconds.
const SHORT_ENOUGH: Duration = Duration::from_secs(30);

#[test]
fn five_hundred_databases_are_pruned_in_invocations_that_each_end_in_time() {
    prune(20);
}

#[test]
#[ignore = "two minutes: make soak"]
fn five_hundred_databases_with_four_hundred_snapshots_each_are_too() {
    prune(400);
}

fn prune(snapshots: u64) {
    on(&plan(snapshots, DATABASES, None), &quiet(), |twin| async move {
        let muster = Protect::of(&twin).await;
        muster.fill(snapshots);
        let (pruned, calls, longest) = muster.whole("prune-backups").await;
        pruned.unwrap();
        assert!(calls > 5 && longest < SHORT_ENOUGH, "{calls} calls, the longest of {longest}");
        assert_eq!(twin.look(|estate| estate.snapshots.deleted), DATABASES as u64);
        assert_eq!(violations(&twin), None);
    });
}

#[test]
fn of_five_hundred_databases_nothing_is_deleted_where_all_together_would_lose_too_many() {
    on(&plan(20, 50, None), &quiet(), |twin| async move {
        let muster = Protect::of(&twin).await;
        muster.fill(20);
        let (refused, calls, longest) = muster.whole("prune-backups").await;
        let refused = refused.unwrap_err();
        assert!(refused.error_message.contains("500 backups would be deleted at once"), "{refused}");
        assert!(calls > 5 && longest < SHORT_ENOUGH, "{calls} calls, the longest of {longest}");
        assert_eq!(twin.look(|estate| estate.snapshots.deleted), 0);
    });
}

#[test]
fn five_hundred_databases_are_taken_once_each_in_invocations_that_each_end_in_time() {
    on(&plan(20, 50, None), &quiet(), |twin| async move {
        let muster = Protect::of(&twin).await;
        twin.look(|estate| estate.snapshots.quota = Some(1_000));
        let (taken, calls, longest) = muster.whole("take-backup").await;
        taken.unwrap();
        assert!(calls > 5 && longest < SHORT_ENOUGH, "{calls} calls, the longest of {longest}");
        let names: BTreeSet<String> = muster.names("eu-west-1").into_iter().collect();
        assert_eq!((names.len(), twin.look(|estate| estate.snapshots.made)), (DATABASES, DATABASES as u64));
    });
}

#[test]
fn the_copies_of_five_hundred_databases_wait_for_their_turn_and_for_no_invocation() {
    let copy = json!({"kmsKey": "alias/portal", "retention": {"kind": "versions", "keep": 7}});
    on(&plan(20, 50, Some(copy)), &quiet(), |twin| async move {
        let muster = Protect::of(&twin).await;
        twin.look(|estate| estate.snapshots.quota = Some(1_000));
        muster.whole("take-backup").await.0.unwrap();
        let (copied, calls, longest) = muster.whole("copy-backup").await;
        assert_eq!(copied.unwrap().verdict.as_deref(), Some("underWay"), "the next run goes on");
        assert!(calls > 5 && longest < SHORT_ENOUGH, "{calls} calls, the longest of {longest}");
        let (copies, crowded) = (muster.names("eu-central-1").len(), twin.look(|estate| estate.snapshots.crowded));
        assert!((COPIES_PER_REGION..DATABASES).contains(&copies) && crowded == 0, "{copies} copies, {crowded} of them one too many");
    });
}

#[test]
fn a_round_whose_every_other_invocation_dies_takes_and_deletes_the_same_once_each() {
    on(&plan(20, DATABASES, None), &quiet(), |twin| async move {
        let muster = Protect::of(&twin).await;
        twin.look(|estate| estate.snapshots.quota = Some(20_000));
        muster.fill(20);
        let dies = |call: usize| call.is_multiple_of(2);
        let (pruned, calls, _) = muster.whole_but("prune-backups", dies).await;
        pruned.unwrap();
        assert!(calls > 10, "{calls} calls");
        assert_eq!(twin.look(|estate| estate.snapshots.deleted), DATABASES as u64);
        let (taken, calls, _) = muster.whole_but("take-backup", dies).await;
        taken.unwrap();
        assert!(calls > 10, "{calls} calls");
        assert_eq!(twin.look(|estate| estate.snapshots.made), DATABASES as u64);
        assert_eq!(violations(&twin), None);
    });
}
