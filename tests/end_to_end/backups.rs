//! Backups: by schedule and by hand, with calls that go wrong, and with a key that is disabled.

use aws_types::region::Region;
use muster_core::ports::{MetricQuery, Metrics, Snapshot, SnapshotStatus};
use muster_core::{Duration, Lane};
use serde_json::{Value, json};

use crate::stack::{Ended, Stack, wait_for};

/// The backup that Muster makes.
const SNAPSHOTS: &str = "portal-db-snapshots";

#[test]
fn a_schedule_takes_copies_prunes_and_verifies_and_what_goes_wrong_on_the_way_happens_once() {
    let stack = Stack::start("backups", "backups");
    wait_for(async {
        // `muster push` has made an entry for the minute: nobody else starts the first run.
        let ended = stack.end_of(&stack.first_execution("backup").await).await;
        assert_succeeded(&stack, &ended).await;
        let [here, there] = stack.regions();
        let first = only(stack.snapshots(&here).await);
        let copied = only(stack.snapshots(&there).await);
        assert_eq!((&copied.name, copied.status, copied.taken_at, &copied.tags), (&first.name, SnapshotStatus::Available, first.taken_at, &first.tags));
        assert!(copied.kms_key.as_deref().is_some_and(|key| key.starts_with("arn:aws:kms:us-west-2:")), "{:?}", copied.kms_key);
        assert_eq!(first.tags.get("muster:backup").map(|backup| &**backup), Some(SNAPSHOTS));
        stack.rest();

        // By hand, before a migration: each call goes wrong in its own way.
        stack.fault("applied", "rds:CreateDBSnapshot");
        stack.fault("kill", "rds:CopyDBSnapshot");
        assert_succeeded(&stack, &take_now(&stack).await).await;
        assert_succeeded(&stack, &take_now(&stack).await).await;
        assert!(stack.calls("rds:CreateDBSnapshot").iter().any(|call| call["fault"] == "applied"));
        assert!(stack.calls("rds:CopyDBSnapshot").iter().any(|call| call["fault"] == "kill"));
        for region in [&here, &there] {
            assert_eq!(stack.snapshots(region).await.len(), 3, "{region}: younger than the RPO, all of them are kept");
        }

        // Two are to be kept, and the oldest is old enough to go; in both regions, although one call is lost.
        for region in [&here, &there] {
            stack.control("/snapshot", Some(&json!({ "region": region, "name": first.name, "seconds": 3_600 })));
        }
        stack.fault("lost", "rds:DeleteDBSnapshot");
        assert_succeeded(&stack, &run(&stack, &json!([])).await).await;
        for region in [&here, &there] {
            let left = stack.snapshots(region).await;
            assert!(left.len() == 2 && left.iter().all(|snapshot| snapshot.name != first.name), "{region}: {left:?}");
        }
    });
}

#[test]
fn a_key_that_is_disabled_is_said_in_words_alarmed_and_leaves_everything_else_done() {
    let stack = Stack::start("backups", "backups-key");
    wait_for(async {
        stack.rest();
        let [here, there] = stack.regions();
        let before = stack.snapshots(&there).await.len();
        disable_key(&stack).await;
        let arn = stack.start_flow_of("backup", &json!({ "service": stack.text("/service"), "by": "Ann", "reason": "to see", "backups": [SNAPSHOTS] })).await;
        stack.reaches(&arn, "Hold").await;
        let told = stack.operate(&["inbox"]);
        assert!(told.contains("KMSKeyNotAccessibleFault") && told.contains("CopyBackup"), "{told}");
        // Nobody answers: it is left out, and the run says so at its end.
        let ended = stack.end_of(&arn).await;
        assert_eq!(ended.status.as_str(), "FAILED");
        assert!(ended.error.contains("ended as failed"), "{}", ended.error);
        assert!(!stack.snapshots(&here).await.is_empty() && stack.snapshots(&there).await.len() == before);
        let report = stack.newest_report().await;
        assert!(report.to_string().contains("is disabled"), "{report}");
        assert!(problems(&stack).await > 0);
    });
}

async fn take_now(stack: &Stack) -> Ended {
    run(stack, &json!([SNAPSHOTS])).await
}

async fn run(stack: &Stack, backups: &Value) -> Ended {
    let order = json!({ "service": stack.text("/service"), "by": "Ann", "reason": "before a migration", "backups": backups });
    stack.end_of(&stack.start_flow_of("backup", &order).await).await
}

async fn assert_succeeded(stack: &Stack, ended: &Ended) {
    assert_eq!(ended.status.as_str(), "SUCCEEDED", "{} {:?}", ended.error, stack.entered(&ended.arn).await);
    assert_eq!(stack.lane_of(Lane::Protect).await.open, None, "the lock is released");
    assert_eq!(problems(stack).await, 0, "{}", stack.newest_report().await);
}

fn only(mut snapshots: Vec<Snapshot>) -> Snapshot {
    assert_eq!(snapshots.len(), 1, "{snapshots:?}");
    snapshots.remove(0)
}

/// The newest value of the metric that the alarm is on.
async fn problems(stack: &Stack) -> i64 {
    let plan = stack.plan();
    let query = MetricQuery {
        namespace: "Muster".into(),
        name: "BackupProblems".into(),
        dimensions: [("Service".to_owned(), plan.service.to_string())].into(),
        statistic: "Maximum".into(),
        period: Duration::from_mins(1),
        since: muster_core::Clock::now(&stack.aws).before(Duration::from_mins(5)),
    };
    let points = stack.aws.read_metrics(&plan.regions.standby, &[query]).await.unwrap().remove(0);
    points.last().unwrap_or_else(|| panic!("nothing was published")).milli
}

async fn disable_key(stack: &Stack) {
    let client = aws_sdk_kms::Client::from_conf(aws_sdk_kms::config::Builder::from(&stack.sdk).region(Region::new(stack.text("/regions/standby"))).build());
    let key = client.describe_key().key_id("alias/basecoat-portal").send().await.unwrap().key_metadata.unwrap().key_id;
    client.disable_key().key_id(key).send().await.unwrap();
}
