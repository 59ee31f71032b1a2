use muster_core::ports::{EncryptionKey, Keys};
use muster_core::{CallFault, Region};
use serde_json::{Value, json};

use crate::estate::json_error;
use crate::testing::{answer, world};

fn west() -> Region {
    "us-west-2".parse().unwrap()
}

fn described(state: &str) -> Value {
    json!({ "KeyMetadata": { "KeyId": "1", "Arn": "arn:aws:kms:us-west-2:123456789012:key/1", "Enabled": state == "Enabled", "KeyState": state } })
}

#[tokio::test]
async fn a_key_is_enabled_with_its_arn_or_cannot_be_used() {
    let enabled = || Some(EncryptionKey::Enabled { arn: "arn:aws:kms:us-west-2:123456789012:key/1".into() });
    for (state, meant) in [
        ("Enabled", enabled()),
        ("Updating", enabled()),
        ("Creating", Some(EncryptionKey::Disabled)),
        ("Disabled", Some(EncryptionKey::Disabled)),
        ("PendingDeletion", Some(EncryptionKey::Disabled)),
        ("PendingReplicaDeletion", Some(EncryptionKey::Disabled)),
        ("PendingImport", Some(EncryptionKey::Disabled)),
        ("Unavailable", Some(EncryptionKey::Disabled)),
    ] {
        let (aws, wire) = world(move |_| Some(answer(200, described(state))));
        assert_eq!(aws.describe_key(&west(), "alias/portal-dr").await, Ok(meant), "{state}");
        let sent = wire.only();
        assert_eq!((sent.operation(), sent.json()), ("DescribeKey", json!({ "KeyId": "alias/portal-dr" })));
        assert!(sent.uri.contains("kms.us-west-2."));
    }
}

#[tokio::test]
async fn a_key_that_is_not_there_is_none_and_one_of_which_nothing_is_known_is_an_error() {
    let (aws, _) = world(|_| json_error(400, "NotFoundException"));
    assert_eq!(aws.describe_key(&west(), "alias/gone").await, Ok(None));
    for (status, code, fault) in [
        (400, "AccessDeniedException", CallFault::Denied),
        (400, "ThrottlingException", CallFault::Throttled),
        (400, "InvalidArnException", CallFault::Rejected),
        (500, "KMSInternalException", CallFault::Unavailable),
        (500, "DependencyTimeoutException", CallFault::Unavailable),
    ] {
        let (aws, _) = world(move |_| json_error(status, code));
        assert_eq!(aws.describe_key(&west(), "alias/portal-dr").await.unwrap_err().fault, fault, "{code}");
    }
    for body in [described("Resting"), json!({}), json!({ "KeyMetadata": { "KeyId": "1", "KeyState": "Enabled" } })] {
        let (aws, _) = world(move |_| Some(answer(200, &body)));
        assert_eq!(aws.describe_key(&west(), "alias/portal-dr").await.unwrap_err().fault, CallFault::Rejected);
    }
    let (aws, _) = world(|_| None);
    assert_eq!(aws.describe_key(&west(), "alias/portal-dr").await.unwrap_err().fault, CallFault::TimedOut);
}
