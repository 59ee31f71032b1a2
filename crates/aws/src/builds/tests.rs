use std::collections::BTreeMap;

use muster_core::ports::{BuildOrder, BuildState, BuildStatus, Builds};
use muster_core::{CallFault, Duration, Region, Timestamp};
use serde_json::{Value, json};

use crate::estate::{REFUSALS, calls, estate, json_error};
use crate::testing::{Answer, answer};

const ID: &str = "kaireon-pg-restore:5f3a";

fn west() -> Region {
    "us-west-2".parse().unwrap()
}

fn said(body: &Value) -> Option<Answer> {
    Some(answer(200, body))
}

fn variables() -> BTreeMap<&'static str, String> {
    BTreeMap::from([("DUMP", "s3://kaireon-backups-dr/daily/dump".to_owned()), ("PGHOST", "clone.abc.us-west-2.rds.amazonaws.com".to_owned())])
}

fn order<'a>(region: &'a Region, variables: &'a BTreeMap<&'a str, String>, time_out: Duration) -> BuildOrder<'a> {
    BuildOrder { region, project: "kaireon-pg-restore", token: "c0be236f", variables, time_out }
}

#[tokio::test]
async fn a_build_is_started_once_for_its_token_with_what_it_has_to_know_and_with_an_end() {
    let (aws, wire) = estate([said(&json!({ "build": { "id": ID, "buildStatus": "IN_PROGRESS" } }))]);
    let (region, variables) = (west(), variables());
    assert_eq!(aws.start_build(&order(&region, &variables, Duration::from_secs(4 * 3_600 + 59))).await.as_deref(), Ok(ID));
    let sent = &calls(&wire)[0];
    assert!(sent.operation() == "StartBuild" && sent.uri.contains("codebuild.us-west-2."), "{}", sent.uri);
    assert_eq!(
        sent.json(),
        json!({
            "projectName": "kaireon-pg-restore", "idempotencyToken": "c0be236f", "timeoutInMinutesOverride": 240,
            "environmentVariablesOverride": [
                { "name": "DUMP", "value": "s3://kaireon-backups-dr/daily/dump", "type": "PLAINTEXT" },
                { "name": "PGHOST", "value": "clone.abc.us-west-2.rds.amazonaws.com", "type": "PLAINTEXT" }
            ]
        })
    );
    assert!(wire.sent().iter().any(|sent| sent.operation() == "BatchWriteItem"), "the intent is written down before");
}

#[tokio::test]
async fn a_time_out_is_one_that_codebuild_takes() {
    let (region, variables) = (west(), variables());
    for (time_out, minutes) in [(Duration::ZERO, 5), (Duration::from_mins(6), 6), (Duration::from_hours(72), 2_160)] {
        let (aws, wire) = estate([said(&json!({ "build": { "id": ID } }))]);
        aws.start_build(&order(&region, &variables, time_out)).await.unwrap();
        assert_eq!(calls(&wire)[0].json()["timeoutInMinutesOverride"], minutes);
    }
}

#[tokio::test]
async fn a_build_that_cannot_be_started_is_told_from_one_of_which_nobody_knows() {
    let (region, variables) = (west(), variables());
    let refusals = [
        (json_error(400, "ResourceNotFoundException"), CallFault::NotFound),
        (json_error(400, "AccountLimitExceededException"), CallFault::Rejected),
        (json_error(400, "InvalidInputException"), CallFault::Rejected),
        (said(&json!({ "build": {} })), CallFault::TimedOut),
        (None, CallFault::TimedOut),
    ];
    let common = REFUSALS.map(|(status, code, fault)| (json_error(status, code), fault));
    for (answer, fault) in refusals.into_iter().chain(common) {
        let (aws, _) = estate([answer]);
        assert_eq!(aws.start_build(&order(&region, &variables, Duration::from_hours(1))).await.unwrap_err().fault, fault);
    }
}

#[tokio::test]
async fn a_build_is_at_work_or_has_come_to_an_end_which_is_said_in_its_phases_words() {
    let phases = json!([
        { "phaseType": "SUBMITTED", "phaseStatus": "SUCCEEDED" },
        { "phaseType": "BUILD", "phaseStatus": "FAILED", "contexts": [
            { "statusCode": "COMMAND_EXECUTION_ERROR", "message": "Error while executing command: pg_restore. Reason: exit status 1" },
            { "statusCode": "", "message": "" }
        ] },
        { "phaseType": "COMPLETED" }
    ]);
    let state = |status: BuildStatus, ended_at: Option<i64>, log: Option<&str>| BuildState {
        status,
        began_at: Some(Timestamp::from_millis(1_793_584_800_500)),
        ended_at: ended_at.map(Timestamp::from_millis),
        log: log.map(Into::into),
    };
    let failed = |why: &str| BuildStatus::Failed { why: why.into() };
    let link = "https://console.aws.amazon.com/cloudwatch/home#logEvent:group=g;stream=s";
    for (more, wanted) in [
        (json!({ "buildStatus": "IN_PROGRESS", "currentPhase": "BUILD" }), state(BuildStatus::Running { phase: "BUILD".into() }, None, None)),
        (json!({ "buildStatus": "SUCCEEDED", "endTime": 1_793_588_400.25 }), state(BuildStatus::Succeeded, Some(1_793_588_400_250), None)),
        (
            json!({ "buildStatus": "FAILED", "phases": phases, "logs": { "deepLink": link } }),
            state(failed("FAILED: BUILD: COMMAND_EXECUTION_ERROR: Error while executing command: pg_restore. Reason: exit status 1"), None, Some(link)),
        ),
        (json!({ "buildStatus": "TIMED_OUT", "logs": { "s3DeepLink": "s3" } }), state(failed("TIMED_OUT"), None, Some("s3"))),
        (json!({ "buildStatus": "STOPPED" }), state(failed("STOPPED"), None, None)),
        (
            json!({ "buildStatus": "FAULT", "phases": [{ "phaseType": "PROVISIONING", "phaseStatus": "FAULT" }] }),
            state(failed("FAULT: PROVISIONING"), None, None),
        ),
    ] {
        let mut build = json!({ "id": ID, "startTime": 1_793_584_800.5 });
        build.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (aws, wire) = estate([said(&json!({ "builds": [build] }))]);
        assert_eq!(aws.describe_build(&west(), ID).await, Ok(Some(wanted)), "{more}");
        assert_eq!((calls(&wire)[0].operation(), calls(&wire)[0].json()), ("BatchGetBuilds", json!({ "ids": [ID] })));
    }
}

#[tokio::test]
async fn a_build_that_is_not_there_is_none_and_a_status_that_nobody_knows_is_no_end() {
    let (aws, _) =
        estate([said(&json!({ "builds": [], "buildsNotFound": [ID] })), said(&json!({ "builds": [{ "id": "another", "buildStatus": "SUCCEEDED" }] }))]);
    assert_eq!(aws.describe_build(&west(), ID).await, Ok(None));
    assert_eq!(aws.describe_build(&west(), ID).await, Ok(None), "another's end is none of this one's");
    for status in [json!("RESTING"), Value::Null] {
        let (aws, _) = estate([said(&json!({ "builds": [{ "id": ID, "buildStatus": status }] }))]);
        assert_eq!(aws.describe_build(&west(), ID).await.unwrap_err().fault, CallFault::Rejected);
    }
    let (aws, _) = estate([json_error(400, "ThrottlingException")]);
    assert_eq!(aws.describe_build(&west(), ID).await.unwrap_err().fault, CallFault::Throttled);
}
