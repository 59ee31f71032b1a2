use muster_core::ports::{Requested, SnapshotStatus, Snapshots, SourceKind};
use muster_core::{Body, CallFault, Clock, Duration, Journaled};

use super::{NAME, at, bucket, copy, east, place, source, tags, vault, west};
use crate::estate::{REFUSALS, calls, estate, form, xml, xml_error};
use crate::snapshots::status_of;
use crate::testing::Answer;

const INSTANCE: SourceKind = SourceKind::Instance;
const CLUSTER: SourceKind = SourceKind::Cluster;
const BOTH: [SourceKind; 2] = [INSTANCE, CLUSTER];

/// What the two APIs call the same things: what a snapshot is of, and a snapshot.
fn words(kind: SourceKind) -> (&'static str, &'static str) {
    if kind == CLUSTER { ("DBCluster", "DBClusterSnapshot") } else { ("DBInstance", "DBSnapshot") }
}

/// A snapshot as RDS describes it, with more of it.
fn described(kind: SourceKind, name: &str, status: &str, more: &str) -> String {
    let (of, snapshot) = words(kind);
    format!(
        "<{snapshot}><{snapshot}Identifier>{name}</{snapshot}Identifier><{of}Identifier>portal</{of}Identifier><Status>{status}</Status>\
         <AllocatedStorage>100</AllocatedStorage><KmsKeyId>arn:aws:kms:us-west-2:123456789012:key/1</KmsKeyId>{more}\
         <TagList><Tag><Key>muster:service</Key><Value>portal</Value></Tag><Tag><Key>empty</Key></Tag></TagList></{snapshot}>"
    )
}

fn listing(kind: SourceKind, snapshots: &[String], marker: &str) -> Option<Answer> {
    let snapshot = words(kind).1;
    xml(&format!("Describe{snapshot}s"), &format!("<{snapshot}s>{}</{snapshot}s>{marker}", snapshots.concat()))
}

const TAKEN: &str = "<SnapshotCreateTime>2026-11-26T02:07:31.500Z</SnapshotCreateTime>";

#[tokio::test]
async fn a_snapshot_is_listed_with_all_that_muster_decides_by() {
    for kind in BOTH {
        let (aws, wire) = estate([listing(kind, &[described(kind, NAME, "available", TAKEN)], "")]);
        let page = aws.list_snapshots(&place(&west()), &source(kind), None).await.unwrap();
        let [snapshot] = page.snapshots.as_slice() else { panic!("{page:?}") };
        assert_eq!((&*snapshot.name, snapshot.status, snapshot.taken_at), (NAME, SnapshotStatus::Available, at("2026-11-26T02:07:31.500Z")));
        assert_eq!((snapshot.size, page.next), (None, None), "a disk's size is not its data's");
        assert_eq!(snapshot.kms_key.as_deref(), Some("arn:aws:kms:us-west-2:123456789012:key/1"));
        assert_eq!(snapshot.tags, [("empty".into(), "".into()), ("muster:service".into(), "portal".into())].into());
        let sent = form(&calls(&wire)[0]);
        let (of, wanted) = if kind == CLUSTER { ("db-cluster-id", "DescribeDBClusterSnapshots") } else { ("db-instance-id", "DescribeDBSnapshots") };
        assert_eq!((sent["Action"].as_str(), sent["SnapshotType"].as_str(), sent["MaxRecords"].as_str()), (wanted, "manual", "100"));
        assert_eq!((sent["Filters.Filter.1.Name"].as_str(), sent["Filters.Filter.1.Values.Value.1"].as_str()), (of, "portal"));
        assert!(!sent.contains_key("Marker") && !sent.contains_key("DBInstanceIdentifier") && !sent.contains_key("DBClusterIdentifier"));
        assert!(calls(&wire)[0].uri.contains("rds.us-west-2."));
    }
}

#[tokio::test]
async fn a_copys_data_is_of_the_instant_of_its_original() {
    let times = "<SnapshotCreateTime>2026-11-26T09:30:00Z</SnapshotCreateTime><OriginalSnapshotCreateTime>2026-11-26T02:07:31Z</OriginalSnapshotCreateTime>";
    let (aws, _) = estate([listing(INSTANCE, &[described(INSTANCE, NAME, "available", times)], "")]);
    let page = aws.list_snapshots(&place(&west()), &source(INSTANCE), None).await.unwrap();
    assert_eq!(page.snapshots[0].taken_at, at("2026-11-26T02:07:31Z"));
}

#[tokio::test]
async fn each_page_says_where_the_next_begins() {
    for kind in BOTH {
        let (aws, wire) =
            estate([listing(kind, &[described(kind, "one", "available", TAKEN)], "<Marker>more</Marker>"), listing(kind, &[], "<Marker></Marker>")]);
        let first = aws.list_snapshots(&place(&west()), &source(kind), None).await.unwrap();
        assert_eq!(first.next.as_deref(), Some("more"));
        let second = aws.list_snapshots(&place(&west()), &source(kind), first.next.as_deref()).await.unwrap();
        assert_eq!((second.snapshots.len(), second.next), (0, None));
        assert_eq!(form(&calls(&wire)[1])["Marker"], "more");
    }
}

#[tokio::test]
async fn what_is_being_made_may_have_no_instant_yet_and_what_is_available_must() {
    for kind in BOTH {
        let (aws, _) = estate([listing(kind, &[described(kind, NAME, "creating", "")], ""), listing(kind, &[described(kind, NAME, "available", "")], "")]);
        let page = aws.list_snapshots(&place(&west()), &source(kind), None).await.unwrap();
        assert_eq!(page.snapshots[0].status, SnapshotStatus::UnderWay);
        assert!(aws.now().since(page.snapshots[0].taken_at) < Duration::from_mins(1));
        let error = aws.list_snapshots(&place(&west()), &source(kind), None).await.unwrap_err();
        assert_eq!(error.fault, CallFault::Rejected);
        assert!(error.message.contains("does not say when it was taken"), "{error}");
    }
}

#[test]
fn only_what_can_never_be_restored_has_failed() {
    for (status, meant) in [
        ("available", Some(SnapshotStatus::Available)),
        ("restoring", Some(SnapshotStatus::Available)),
        ("creating", Some(SnapshotStatus::UnderWay)),
        ("copying", Some(SnapshotStatus::UnderWay)),
        ("exporting", Some(SnapshotStatus::UnderWay)),
        // A key that is disabled for a day must not cost the snapshot: what failed is deleted.
        ("inaccessible-encryption-credentials", Some(SnapshotStatus::UnderWay)),
        ("", Some(SnapshotStatus::UnderWay)),
        ("failed", Some(SnapshotStatus::Failed)),
        ("incompatible-restore", Some(SnapshotStatus::Failed)),
        ("deleting", None),
    ] {
        assert_eq!(status_of(status), meant, "{status}");
    }
}

#[tokio::test]
async fn a_snapshot_that_is_being_deleted_is_not_listed() {
    for kind in BOTH {
        let (aws, _) = estate([listing(kind, &[described(kind, "going", "deleting", TAKEN), described(kind, "one", "available", TAKEN)], "")]);
        let page = aws.list_snapshots(&place(&west()), &source(kind), None).await.unwrap();
        assert_eq!(page.snapshots.iter().map(|snapshot| &*snapshot.name).collect::<Vec<_>>(), ["one"]);
    }
}

#[tokio::test]
async fn a_snapshot_is_asked_for_with_its_name_and_tags() {
    for kind in BOTH {
        let (of, snapshot) = words(kind);
        let (aws, wire) = estate([xml(&format!("Create{snapshot}"), &described(kind, NAME, "creating", ""))]);
        assert_eq!(aws.create_snapshot(&east(), &source(kind), NAME, &tags()).await, Ok(Requested::Started));
        let sent = form(&calls(&wire)[0]);
        assert_eq!(sent["Action"], format!("Create{snapshot}"));
        assert_eq!((sent[&format!("{of}Identifier")].as_str(), sent[&format!("{snapshot}Identifier")].as_str()), ("portal", NAME));
        assert_eq!((sent["Tags.Tag.1.Key"].as_str(), sent["Tags.Tag.1.Value"].as_str()), ("muster:backup", "nightly"));
        assert_eq!((sent["Tags.Tag.2.Key"].as_str(), sent["Tags.Tag.2.Value"].as_str()), ("muster:service", "portal"));
        let unsaved = aws.journal().unsaved();
        let Body::Called { call, outcome } = &unsaved.last().unwrap().body else { panic!("{unsaved:?}") };
        assert!(call.mutates && call.region == east() && *call.operation == *format!("rds:Create{snapshot}") && outcome.fault.is_none());
    }
}

#[tokio::test]
async fn a_name_that_is_taken_is_no_error_and_a_quota_is_one() {
    for (kind, code) in [(INSTANCE, "DBSnapshotAlreadyExists"), (CLUSTER, "DBClusterSnapshotAlreadyExistsFault")] {
        let (aws, _) = estate([xml_error(400, code), xml_error(400, code), xml_error(400, "SnapshotQuotaExceeded")]);
        assert_eq!(aws.create_snapshot(&east(), &source(kind), NAME, &tags()).await, Ok(Requested::NameTaken));
        let (from, to, of) = (place(&east()), place(&west()), source(kind));
        assert_eq!(aws.copy_snapshot(&copy(&of, &from, &to)).await, Ok(Requested::NameTaken));
        let error = aws.copy_snapshot(&copy(&of, &from, &to)).await.unwrap_err();
        assert_eq!((error.fault, error.message.as_str()), (CallFault::Rejected, "SnapshotQuotaExceeded: it says"));
    }
}

#[tokio::test]
async fn a_copy_is_asked_for_where_it_goes_by_the_arn_of_its_original_with_tags_and_the_key_there() {
    for (kind, resource) in [(INSTANCE, "snapshot"), (CLUSTER, "cluster-snapshot")] {
        let snapshot = words(kind).1;
        let (aws, wire) = estate([xml(&format!("Copy{snapshot}"), &described(kind, NAME, "copying", ""))]);
        let (from, to, of) = (place(&east()), place(&west()), source(kind));
        assert_eq!(aws.copy_snapshot(&copy(&of, &from, &to)).await, Ok(Requested::Started));
        let call = &calls(&wire)[0];
        assert!(call.uri.contains("rds.us-west-2."), "{}", call.uri);
        let sent = form(call);
        assert_eq!(sent["Action"], format!("Copy{snapshot}"));
        assert_eq!(sent[&format!("Source{snapshot}Identifier")], format!("arn:aws:rds:us-east-1:123456789012:{resource}:{NAME}"));
        assert_eq!(sent[&format!("Target{snapshot}Identifier")], NAME);
        assert_eq!((sent["KmsKeyId"].as_str(), sent["CopyTags"].as_str()), ("alias/portal-dr", "true"));
    }
}

#[tokio::test]
async fn a_copy_without_a_key_names_none() {
    let (aws, wire) = estate([xml("CopyDBSnapshot", "")]);
    let (from, to, of) = (place(&east()), place(&west()), source(INSTANCE));
    aws.copy_snapshot(&muster_core::ports::SnapshotCopy { kms_key: None, ..copy(&of, &from, &to) }).await.unwrap();
    assert!(!form(&calls(&wire)[0]).contains_key("KmsKeyId"));
}

#[tokio::test]
async fn what_cannot_be_done_in_a_vault_a_bucket_or_from_an_unknown_account_is_refused_before_anything_is_sent() {
    for kind in BOTH {
        let (aws, wire) = estate([]);
        let (west, exports, vault, of) = (place(&west()), bucket(&west()), vault(), source(kind));
        let refused = [
            (aws.list_snapshots(&vault, &of, None).await.unwrap_err(), "no role in account 210987654321"),
            (aws.copy_snapshot(&copy(&of, &west, &vault)).await.unwrap_err(), "no role in account 210987654321"),
            (aws.copy_snapshot(&copy(&of, &vault, &west)).await.unwrap_err(), "no role in account 210987654321"),
            (aws.delete_snapshot(&vault, &of, NAME).await.unwrap_err(), "no role in account 210987654321"),
            (aws.copy_snapshot(&copy(&of, &west, &exports)).await.unwrap_err(), "exported there by a task"),
            (aws.delete_snapshot(&exports, &of, NAME).await.unwrap_err(), "nobody's to delete"),
        ];
        for (error, words) in refused {
            assert_eq!(error.fault, CallFault::Rejected);
            assert!(error.message.contains(words), "{error}");
        }
        assert!(calls(&wire).is_empty());
    }
}

#[tokio::test]
async fn between_the_regions_of_govcloud_an_encrypted_copy_is_refused_by_name() {
    let (mut aws, wire) = estate([xml("CopyDBSnapshot", "")]);
    aws.settings.flow_arn_prefix = "arn:aws-us-gov:states:us-gov-west-1:123456789012:stateMachine:muster-".into();
    let (from, to, of) = (place(&"us-gov-east-1".parse().unwrap()), place(&"us-gov-west-1".parse().unwrap()), source(INSTANCE));
    let error = aws.copy_snapshot(&copy(&of, &from, &to)).await.unwrap_err();
    assert!(error.fault == CallFault::Rejected && error.message.contains("presigned URL"), "{error}");
    aws.copy_snapshot(&muster_core::ports::SnapshotCopy { kms_key: None, ..copy(&of, &from, &to) }).await.unwrap();
    assert!(form(&calls(&wire)[0])["SourceDBSnapshotIdentifier"].starts_with("arn:aws-us-gov:rds:us-gov-east-1:"));
    aws.settings.flow_arn_prefix = "muster-".into();
    let error = aws.copy_snapshot(&copy(&of, &from, &to)).await.unwrap_err();
    assert!(error.fault == CallFault::Rejected && error.message.contains("MUSTER_FLOW_ARN_PREFIX"), "{error}");
}

#[tokio::test]
async fn a_deletion_names_its_snapshot_and_one_that_is_gone_is_told_apart() {
    for (kind, gone) in [(INSTANCE, "DBSnapshotNotFound"), (CLUSTER, "DBClusterSnapshotNotFoundFault")] {
        let snapshot = words(kind).1;
        let (aws, wire) = estate([xml(&format!("Delete{snapshot}"), ""), xml_error(404, gone), xml_error(400, "InvalidDBSnapshotState")]);
        aws.delete_snapshot(&place(&west()), &source(kind), NAME).await.unwrap();
        let sent = form(&calls(&wire)[0]);
        assert_eq!((sent["Action"].as_str(), sent[&format!("{snapshot}Identifier")].as_str()), (format!("Delete{snapshot}").as_str(), NAME));
        assert_eq!(aws.delete_snapshot(&place(&west()), &source(kind), NAME).await.unwrap_err().fault, CallFault::NotFound);
        assert_eq!(aws.delete_snapshot(&place(&west()), &source(kind), NAME).await.unwrap_err().fault, CallFault::Rejected);
    }
}

#[tokio::test]
async fn every_refusal_of_rds_is_told_apart() {
    let special = [
        (404, "DBInstanceNotFound", CallFault::NotFound),
        (400, "InvalidDBInstanceState", CallFault::Rejected),
        (400, "KMSKeyNotAccessibleFault", CallFault::Rejected),
    ];
    for kind in BOTH {
        for (status, code, fault) in REFUSALS.into_iter().chain(special) {
            let (aws, _) = estate([xml_error(status, code), xml_error(status, code), xml_error(status, code), xml_error(status, code)]);
            let (from, to, of) = (place(&east()), place(&west()), source(kind));
            assert_eq!(aws.list_snapshots(&to, &of, None).await.unwrap_err().fault, fault, "{code}");
            assert_eq!(aws.create_snapshot(&west(), &of, NAME, &tags()).await.unwrap_err().fault, fault, "{code}");
            assert_eq!(aws.copy_snapshot(&copy(&of, &from, &to)).await.unwrap_err().fault, fault, "{code}");
            assert_eq!(aws.delete_snapshot(&to, &of, NAME).await.unwrap_err().fault, fault, "{code}");
        }
    }
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_may_have_been_applied() {
    for kind in BOTH {
        let (aws, _) = estate([None, None, None]);
        let (from, to, of) = (place(&east()), place(&west()), source(kind));
        assert!(aws.create_snapshot(&west(), &of, NAME, &tags()).await.unwrap_err().fault.is_ambiguous());
        assert!(aws.copy_snapshot(&copy(&of, &from, &to)).await.unwrap_err().fault.is_ambiguous());
        assert!(aws.delete_snapshot(&to, &of, NAME).await.unwrap_err().fault.is_ambiguous());
    }
}
