use muster_core::ports::Parameters;
use muster_core::{CallFault, ParameterId, Region};
use serde_json::{Value, json};

use crate::estate::{REFUSALS, calls, estate, json_error};
use crate::testing::{Answer, answer};

fn standby() -> Region {
    "us-west-2".parse().unwrap()
}

fn id(name: &str) -> ParameterId {
    ParameterId::new(&standby(), name)
}

fn known(parameters: Value) -> Option<Answer> {
    Some(answer(200, json!({"Parameters": parameters, "InvalidParameters": ["/gone"]})))
}

#[tokio::test]
async fn parameters_are_read_decrypted_and_those_that_do_not_exist_are_absent() {
    let (aws, wire) = estate([known(json!([{"Name": "/portal/db", "Type": "SecureString", "Value": "replica"}]))]);
    let values = aws.get_parameters(&standby(), &[id("/portal/db"), id("/gone")]).await.unwrap();
    assert_eq!(values.into_iter().collect::<Vec<_>>(), [(id("/portal/db"), "replica".to_owned())]);
    let sent = &calls(&wire)[0];
    assert_eq!((sent.operation(), sent.json()), ("GetParameters", json!({"Names": ["/portal/db", "/gone"], "WithDecryption": true})));
}

#[tokio::test]
async fn more_parameters_than_a_call_takes_are_read_in_batches() {
    let ids: Vec<ParameterId> = (0..11).map(|number| id(&format!("/p{number}"))).collect();
    let (aws, wire) = estate([known(json!([{"Name": "/p0", "Value": "a"}])), known(json!([{"Name": "/p10", "Value": "b"}]))]);
    assert_eq!(aws.get_parameters(&standby(), &ids).await.unwrap().len(), 2);
    let sent = calls(&wire);
    assert_eq!(sent[0].json()["Names"].as_array().unwrap().len(), 10);
    assert_eq!(sent[1].json()["Names"], json!(["/p10"]));
}

#[tokio::test]
async fn a_parameter_keeps_its_type_and_a_new_one_is_a_string() {
    for (found, kind) in [
        (json!([{"Name": "/portal/db", "Type": "SecureString", "Value": "old"}]), "SecureString"),
        (json!([{"Name": "/portal/db", "Type": "StringList", "Value": "old"}]), "StringList"),
        (json!([]), "String"),
    ] {
        let (aws, wire) = estate([known(found), Some(answer(200, json!({"Version": 2})))]);
        aws.put_parameter(&id("/portal/db"), "new").await.unwrap();
        let sent = &calls(&wire)[1];
        assert_eq!(sent.operation(), "PutParameter");
        assert_eq!(sent.json(), json!({"Name": "/portal/db", "Value": "new", "Type": kind, "Overwrite": true}));
    }
}

#[tokio::test]
async fn a_value_is_never_in_the_journal() {
    use muster_core::Journaled as _;
    let (aws, wire) = estate([known(json!([{"Name": "/portal/db", "Type": "String", "Value": "old-value"}])), json_error(400, "ParameterLimitExceeded")]);
    aws.put_parameter(&id("/portal/db"), "new-value").await.unwrap_err();
    let books: String = wire.sent().into_iter().filter(|sent| sent.uri.contains("dynamodb")).map(|sent| sent.body).collect();
    let journal = format!("{books}{:?}", aws.journal().unsaved());
    assert!(journal.contains("/portal/db") && !journal.contains("old-value") && !journal.contains("new-value"), "{journal}");
}

#[tokio::test]
async fn every_refusal_of_systems_manager_is_told_apart() {
    let special = [
        (400, "ThrottlingException", CallFault::Throttled),
        (400, "AccessDeniedException", CallFault::Denied),
        (400, "ParameterLimitExceeded", CallFault::Rejected),
        (400, "HierarchyLevelLimitExceededException", CallFault::Rejected),
        (400, "ParameterNotFound", CallFault::NotFound),
    ];
    for (status, code, fault) in REFUSALS.into_iter().chain(special) {
        let (aws, _) = estate([json_error(status, code), known(json!([])), json_error(status, code)]);
        assert_eq!(aws.get_parameters(&standby(), &[id("/p")]).await.unwrap_err().fault, fault, "{code}");
        assert_eq!(aws.put_parameter(&id("/p"), "v").await.unwrap_err().fault, fault, "{code}");
    }
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_may_have_been_applied() {
    let (aws, _) = estate([known(json!([])), None]);
    assert!(aws.put_parameter(&id("/p"), "v").await.unwrap_err().fault.is_ambiguous());
}
