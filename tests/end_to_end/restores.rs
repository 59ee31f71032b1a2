//! Restore tests: a copy is restored as a real server and its rows are compared with its source's. By schedule, with calls that go wrong; with data
//! that differs; of a run that died; and of a dump, which is really loaded.

use std::process::Command;
use std::time::{Duration, Instant};

use muster_core::Lane;
use muster_core::ports::{CloneState, Clones, Snapshot};
use serde_json::{Value, json};

use crate::situations::ask;
use crate::stack::{Ended, Stack, wait_for};

/// What a person who starts a flow says.
const BY_HAND: &str = r#"{"service": "basecoat-portal", "by": "Ann", "reason": "to be sure"}"#;
const FLOW: &str = "restore-test";

#[test]
fn a_schedule_restores_a_copy_compares_its_rows_and_leaves_nothing_and_what_goes_wrong_on_the_way_happens_once() {
    let stack = Stack::start_still("restores", "restores");
    wait_for(async {
        let copy = copied(&stack).await;
        stack.fault("applied", "rds:RestoreDBInstanceFromDBSnapshot");
        stack.fault("kill", "rds:DeleteDBInstance");
        // `muster push` has made the entry: nobody else starts the run.
        stack.control("/wake", Some(&json!({})));
        let arn = stack.first_execution(FLOW).await;
        stack.rest();
        let ended = stack.end_of(&arn).await;
        assert_eq!(ended.status.as_str(), "SUCCEEDED", "{} {:?}", ended.error, stack.entered(&arn).await);
        for (action, fault) in [("rds:RestoreDBInstanceFromDBSnapshot", "applied"), ("rds:DeleteDBInstance", "kill")] {
            assert!(stack.calls(action).iter().any(|call| call["fault"] == fault), "{action}");
        }
        let report = stack.newest_report().await;
        let [restored] = &report["restores"].as_array().unwrap()[..] else { panic!("{}", report["restores"]) };
        assert_eq!(restored["backup"], copy.name.as_ref());
        assert!(restored["clone"].as_str().unwrap().starts_with("muster-clone-portal-db-") && restored["destroyedAt"].is_string(), "{restored}");
        let asked = report["checks"].as_array().unwrap();
        let compared: Vec<&Value> = asked.iter().filter(|check| check["wanted"].as_str().unwrap().ends_with("as in the source")).collect();
        assert!(compared.len() >= 2 && asked.len() > compared.len(), "rows are compared and checks are made: {asked:?}");
        assert!(asked.iter().all(|check| check["passed"] == true), "{asked:?}");
        assert_nothing_left(&stack).await;
    });
}

#[test]
fn data_that_differs_ends_the_run_as_failed_with_both_values_and_a_run_that_died_leaves_nothing() {
    let stack = Stack::start_still("restores", "restores-ends");
    wait_for(async {
        copied(&stack).await;
        // As if it had been there all the time, and the backup had lost it.
        in_the_primary(&stack, "insert into orders (user_id, created_at) values (1, now() - interval '1 day')");
        let ended = by_hand(&stack).await;
        assert_eq!(ended.status.as_str(), "FAILED");
        let report = stack.newest_report().await;
        let differs: Vec<&Value> = report["checks"].as_array().unwrap().iter().filter(|check| check["passed"] == false).collect();
        let [differs] = differs[..] else { panic!("{differs:?}") };
        let number = |value: &Value| value.as_str().unwrap().split(',').next().unwrap().parse::<i64>().unwrap();
        assert_eq!(number(&differs["seen"]) + 1, number(&differs["wanted"]), "{differs}");
        assert_nothing_left(&stack).await;

        // The next one is stopped while RDS is at it. Nobody tells its clone.
        let arn = stack.start_flow_of(FLOW, &order()).await;
        stack.reaches(&arn, "WaitForClone").await;
        stack.stop(&arn).await;
        let [clone] = &clones(&stack).await[..] else { panic!("{:?}", clones(&stack).await) };
        sweep(&stack);
        assert_eq!(clones(&stack).await.len(), 1, "its lease stands");
        let began = Instant::now();
        while stack.lane_of(Lane::Prove).await.open.is_some() {
            assert!(began.elapsed() < Duration::from_mins(3), "nobody has closed the run");
            ask(&stack, "janitor", &json!({}));
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        stack.end_lease(clone).await;
        // Once for the clone, and once more for the mark on what it was made of.
        while !clones(&stack).await.is_empty() {
            assert!(began.elapsed() < Duration::from_mins(4), "{:?}", clones(&stack).await);
            sweep(&stack);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        sweep(&stack);
        assert_nothing_left(&stack).await;
    });
}

/// The dump that a job has put into the bucket is loaded by pg_restore, as the buildspec that is shipped says, into a server that has everything else from
/// a snapshot.
#[test]
fn a_dump_is_loaded_into_a_clone_and_compared_and_one_that_was_cut_off_is_said_in_the_words_of_its_build() {
    let stack = Stack::start_still("restores", "restores-dump");
    wait_for(async {
        let copy = copied(&stack).await;
        let of_dump = || {
            let mut order = order();
            order["parts"] = json!(["backups.portal-db-dump"]);
            order
        };
        dump(&stack, "nightly/1.dump", None);
        stack.fault("applied", "codebuild:StartBuild");
        stack.fault("kill", "codebuild:BatchGetBuilds");
        let ended = stack.end_of(&stack.start_flow_of(FLOW, &of_dump()).await).await;
        assert_eq!(ended.status.as_str(), "SUCCEEDED", "{}", ended.error);
        let report = stack.newest_report().await;
        let [restored] = &report["restores"].as_array().unwrap()[..] else { panic!("{}", report["restores"]) };
        assert_eq!((&restored["component"], &restored["backup"]), (&json!("backups.portal-db-dump"), &json!("nightly/1.dump")));
        assert!(restored["load"].is_string() && restored["destroyedAt"].is_string() && restored["backup"] != copy.name.as_ref(), "{restored}");
        let asked = report["checks"].as_array().unwrap();
        let compared = asked.iter().filter(|check| check["wanted"].as_str().unwrap().ends_with("as in the source")).count();
        assert!(compared >= 2 && asked.len() > compared && asked.iter().all(|check| check["passed"] == true), "{asked:?}");
        assert_eq!(stack.calls("codebuild:StartBuild").iter().filter(|call| call["status"] == 200).count(), 2, "asked for again, with the same token");
        assert_nothing_left(&stack).await;

        // What the source has had all the time, and the dump has not: the comparison asks the dump's database, and not the snapshot's.
        in_the_primary(&stack, "insert into orders (user_id, created_at) values (1, now() - interval '1 day')");
        let ended = stack.end_of(&stack.start_flow_of(FLOW, &of_dump()).await).await;
        assert_eq!(ended.status.as_str(), "FAILED");
        let report = stack.newest_report().await;
        let differs: Vec<&Value> = report["checks"].as_array().unwrap().iter().filter(|check| check["passed"] == false).collect();
        assert!(matches!(differs[..], [one] if one["component"] == "backups.portal-db-dump"), "{differs:?}");

        // Half of one: it is as large as others are, and pg_restore finds out.
        dump(&stack, "nightly/2.dump", Some(2_000));
        let ended = stack.end_of(&stack.start_flow_of(FLOW, &of_dump()).await).await;
        assert_eq!(ended.status.as_str(), "FAILED");
        let report = stack.newest_report().await;
        assert!(report.to_string().contains("Error while executing command: pg_restore") && report["restores"].is_null(), "{report}");
        assert_nothing_left(&stack).await;
    });
}

/// Somebody's nightly job, whose object is replicated at once.
fn dump(stack: &Stack, key: &str, bytes: Option<u64>) {
    let [here, there] = stack.regions();
    let mut asked = json!({ "from": here, "region": there, "bucket": "basecoat-portal-dumps-dr", "key": key });
    if let Some(bytes) = bytes {
        asked["bytes"] = json!(bytes);
    }
    stack.control("/dump", Some(&asked));
}

fn order() -> Value {
    serde_json::from_str(BY_HAND).unwrap()
}

async fn by_hand(stack: &Stack) -> Ended {
    stack.end_of(&stack.start_flow_of(FLOW, &order()).await).await
}

/// A snapshot is taken and copied. It lies a while back, as backups do: what was being written then has been written since.
async fn copied(stack: &Stack) -> Snapshot {
    let mut order = order();
    order["backups"] = json!(["portal-db-snapshots"]);
    let ended = stack.end_of(&stack.start_flow_of("backup", &order).await).await;
    assert_eq!(ended.status.as_str(), "SUCCEEDED", "{}", ended.error);
    let [_, there] = stack.regions();
    let mut copies = stack.snapshots(&there).await;
    assert_eq!(copies.len(), 1, "{copies:?}");
    copies.remove(0)
}

/// Every clone, whoever's.
async fn clones(stack: &Stack) -> Vec<CloneState> {
    let [_, there] = stack.regions();
    stack.aws.list_clones(&there).await.unwrap()
}

/// No clone, no server of one, no mark, no lock.
async fn assert_nothing_left(stack: &Stack) {
    assert_eq!(clones(stack).await, []);
    let servers = stack.control("/state", None)["databases"].as_array().unwrap().len();
    assert_eq!(servers, 2, "the primary and its replica");
    let [_, there] = stack.regions();
    for snapshot in stack.snapshots(&there).await {
        assert_eq!(snapshot.tags.get("muster:used-by"), None, "{snapshot:?}");
    }
    assert_eq!(stack.lane_of(Lane::Prove).await.open, None);
}

fn sweep(stack: &Stack) {
    ask(stack, "sweep-clones", &json!({}));
}

/// What somebody does in the database, as its administrator.
fn in_the_primary(stack: &Stack, statement: &str) {
    let servers = stack.control("/state", None)["databases"].clone();
    let [here, _] = stack.regions();
    let primary = servers.as_array().unwrap().iter().find(|server| server["region"] == here.as_str()).unwrap();
    let address = format!("postgresql://rdsadmin:rdsadmin@{}:{}/basecoat_db", primary["address"].as_str().unwrap(), primary["port"]);
    let done = Command::new("psql").args(["--no-psqlrc", "--set=ON_ERROR_STOP=1", "--command", statement, &address]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
