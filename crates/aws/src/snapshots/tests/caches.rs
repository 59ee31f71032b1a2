use muster_core::ports::{Requested, SnapshotStatus, Snapshots, SourceKind};
use muster_core::{CallFault, Clock};

use super::{NAME, at, bucket, copy, east, place, source, tags, vault, west};
use crate::Aws;
use crate::estate::{REFUSALS, calls, estate, estate_that, form, xml, xml_error};
use crate::testing::{Answer, Wire, answer};

const CACHE: SourceKind = SourceKind::Cache;
/// A snapshot whose name begins with the same letters.
const LONGER: &str = "portal-nightly-20261126-020000-c0be236f-again";
const OLDER: &str = "portal-nightly-20261125-020000-c0be236f";

fn arn(name: &str) -> String {
    format!("arn:aws:elasticache:us-east-1:123456789012:snapshot:{name}")
}

/// A snapshot as ElastiCache describes it, with an instant for each shard.
fn described(name: &str, status: &str, shards: &[&str]) -> String {
    let nodes: String =
        shards.iter().map(|at| format!("<NodeSnapshot><CacheSize>6 MB</CacheSize><SnapshotCreateTime>{at}</SnapshotCreateTime></NodeSnapshot>")).collect();
    format!(
        "<Snapshot><SnapshotName>{name}</SnapshotName><SnapshotStatus>{status}</SnapshotStatus><ReplicationGroupId>portal</ReplicationGroupId>\
         <KmsKeyId>arn:key</KmsKeyId><ARN>{}</ARN><NodeSnapshots>{nodes}</NodeSnapshots></Snapshot>",
        arn(name)
    )
}

fn listing(snapshots: &[String], marker: &str) -> Option<Answer> {
    xml("DescribeSnapshots", &format!("<Snapshots>{}</Snapshots>{marker}", snapshots.concat()))
}

fn tagged(name: &str) -> Option<Answer> {
    xml("ListTagsForResource", &format!("<TagList><Tag><Key>muster:backup</Key><Value>{name}</Value></Tag></TagList>"))
}

const SHARDS: [&str; 2] = ["2026-11-26T02:00:09Z", "2026-11-26T02:00:07Z"];

#[tokio::test]
async fn a_snapshot_is_listed_with_its_tags_and_the_instant_of_its_first_shard() {
    let (aws, wire) = estate([listing(&[described("one", "available", &SHARDS), described("two", "creating", &[])], ""), tagged("first"), tagged("second")]);
    let page = aws.list_snapshots(&place(&east()), &source(CACHE), None).await.unwrap();
    let [one, two] = page.snapshots.as_slice() else { panic!("{page:?}") };
    assert_eq!((one.status, one.taken_at, one.kms_key.as_deref()), (SnapshotStatus::Available, at("2026-11-26T02:00:07Z"), Some("arn:key")));
    assert_eq!((&*one.tags["muster:backup"], &*two.tags["muster:backup"]), ("first", "second"), "each has its own");
    assert_eq!((two.status, one.size, page.next), (SnapshotStatus::UnderWay, None, None));
    let sent: Vec<_> = calls(&wire).iter().map(form).collect();
    assert_eq!((sent[0]["ReplicationGroupId"].as_str(), sent[0]["SnapshotSource"].as_str(), sent[0]["MaxRecords"].as_str()), ("portal", "user", "50"));
    assert_eq!((sent[1]["Action"].as_str(), sent[1]["ResourceName"].as_str()), ("ListTagsForResource", arn("one").as_str()));
}

#[tokio::test]
async fn a_snapshot_that_goes_while_it_is_looked_at_is_not_listed_and_an_error_is_an_error() {
    let both = || listing(&[described("one", "available", &SHARDS), described("two", "available", &SHARDS)], "");
    let (aws, _) = estate([both(), xml_error(404, "SnapshotNotFoundFault"), tagged("second")]);
    let page = aws.list_snapshots(&place(&east()), &source(CACHE), None).await.unwrap();
    assert_eq!(page.snapshots.iter().map(|snapshot| &*snapshot.name).collect::<Vec<_>>(), ["two"]);
    let (aws, _) = estate([both(), xml_error(403, "AccessDenied"), tagged("second")]);
    let error = aws.list_snapshots(&place(&east()), &source(CACHE), None).await.unwrap_err();
    assert_eq!((error.fault, error.operation.as_str()), (CallFault::Denied, "elasticache:ListTagsForResource"), "nobody's tags are taken for no tags");
}

#[tokio::test]
async fn pages_follow_one_another_and_a_group_that_does_not_exist_has_none() {
    let (aws, wire) = estate([listing(&[], "<Marker>more</Marker>"), listing(&[], ""), xml_error(404, "SnapshotNotFoundFault")]);
    let first = aws.list_snapshots(&place(&east()), &source(CACHE), None).await.unwrap();
    assert_eq!(first.next.as_deref(), Some("more"));
    assert_eq!(aws.list_snapshots(&place(&east()), &source(CACHE), Some("more")).await.unwrap().next, None);
    assert_eq!(form(&calls(&wire)[1])["Marker"], "more");
    assert_eq!(aws.list_snapshots(&place(&east()), &source(CACHE), None).await.unwrap().snapshots, []);
}

#[tokio::test]
async fn a_snapshot_is_asked_for_with_its_tags_and_a_name_that_is_taken_is_no_error() {
    let (aws, wire) = estate([xml("CreateSnapshot", &described(NAME, "creating", &[])), xml_error(400, "SnapshotAlreadyExistsFault")]);
    assert_eq!(aws.create_snapshot(&east(), &source(CACHE), NAME, &tags()).await, Ok(Requested::Started));
    assert_eq!(aws.create_snapshot(&east(), &source(CACHE), NAME, &tags()).await, Ok(Requested::NameTaken));
    let sent = form(&calls(&wire)[0]);
    assert_eq!((sent["Action"].as_str(), sent["ReplicationGroupId"].as_str(), sent["SnapshotName"].as_str()), ("CreateSnapshot", "portal", NAME));
    assert_eq!((sent["Tags.Tag.2.Key"].as_str(), sent["Tags.Tag.2.Value"].as_str()), ("muster:service", "portal"));
}

#[tokio::test]
async fn an_export_goes_to_a_bucket_of_the_same_region() {
    let (aws, wire) = estate([xml("CopySnapshot", &described(NAME, "exporting", &SHARDS))]);
    let (from, to, of) = (place(&east()), bucket(&east()), source(CACHE));
    assert_eq!(aws.copy_snapshot(&copy(&of, &from, &to)).await, Ok(Requested::Started));
    let sent = form(&calls(&wire)[0]);
    assert_eq!((sent["Action"].as_str(), sent["TargetBucket"].as_str()), ("CopySnapshot", "portal-exports"));
    assert_eq!((sent["SourceSnapshotName"].as_str(), sent["TargetSnapshotName"].as_str()), (NAME, NAME));
    assert!(calls(&wire)[0].uri.contains("elasticache.us-east-1."));
}

#[tokio::test]
async fn what_elasticache_cannot_do_is_refused_before_anything_is_sent() {
    let (aws, wire) = estate([]);
    let (east, there, exports, vault, of) = (place(&east()), place(&west()), bucket(&west()), vault(), source(CACHE));
    let refused = [
        (aws.copy_snapshot(&copy(&of, &east, &exports)).await.unwrap_err(), "has to be in us-east-1"),
        (aws.copy_snapshot(&copy(&of, &east, &there)).await.unwrap_err(), "to a bucket only"),
        (aws.copy_snapshot(&copy(&of, &east, &vault)).await.unwrap_err(), "no role in account"),
        (aws.delete_snapshot(&exports, &of, NAME).await.unwrap_err(), "deletes nothing in a bucket"),
    ];
    for (error, words) in refused {
        assert!(error.fault == CallFault::Rejected && error.message.contains(words), "{error}");
    }
    assert!(calls(&wire).is_empty());
}

#[tokio::test]
async fn an_object_that_is_there_already_is_a_name_that_is_taken_and_another_wrong_value_is_not() {
    let said = |message: &str| {
        let body = format!("<ErrorResponse><Error><Code>InvalidParameterValue</Code><Message>{message}</Message></Error></ErrorResponse>");
        Some(answer(400, body))
    };
    let (from, to, of) = (place(&east()), bucket(&east()), source(CACHE));
    let (aws, _) = estate([said("The S3 bucket portal-exports already contains an object with key one-0001.rdb."), said("The S3 bucket does not exist")]);
    assert_eq!(aws.copy_snapshot(&copy(&of, &from, &to)).await, Ok(Requested::NameTaken));
    assert_eq!(aws.copy_snapshot(&copy(&of, &from, &to)).await.unwrap_err().fault, CallFault::Rejected);
}

/// A world in which a group has these snapshots, and a bucket these objects; in XML.
fn exports(snapshots: Vec<String>, objects: Vec<String>) -> (Aws, Wire) {
    estate_that(move |sent| match () {
        () if sent.uri.contains("s3") => Some(answer(200, format!("<ListBucketResult>{}</ListBucketResult>", objects.concat()))),
        () if sent.body.contains("Action=DescribeSnapshots") => listing(&snapshots, "<Marker>more</Marker>"),
        () if sent.body.contains("Action=ListTagsForResource") => tagged("nightly"),
        () => panic!("{sent:?}"),
    })
}

fn object(key: &str, size: u64, written: &str) -> String {
    format!("<Contents><Key>{key}</Key><Size>{size}</Size><LastModified>{written}</LastModified><ETag>\"e\"</ETag></Contents>")
}

#[tokio::test]
async fn an_export_is_what_lies_in_the_bucket_under_the_snapshots_name() {
    let objects = vec![
        object(&format!("{NAME}-0001.rdb"), 40, "2026-11-26T02:09:00Z"),
        object(&format!("{NAME}-0002.rdb"), 2, "2026-11-26T02:10:00Z"),
        object(&format!("{LONGER}-0001.rdb"), 900, "2026-11-26T02:10:00Z"),
        object(&format!("{OLDER}-0001.rdb.tmp"), 900, "2026-11-26T02:10:00Z"),
        object(&format!("{OLDER}.rdb"), 900, "2026-11-26T02:10:00Z"),
        object(&format!("{OLDER}0-0001.rdb"), 900, "2026-11-26T02:10:00Z"),
        object("portal-nightly-notes.txt", 900, "2026-11-26T02:10:00Z"),
    ];
    let (aws, wire) = exports(vec![described(NAME, "available", &SHARDS), described(OLDER, "available", &SHARDS)], objects);
    let page = aws.list_snapshots(&bucket(&east()), &source(CACHE), None).await.unwrap();
    let [export] = page.snapshots.as_slice() else { panic!("{page:?}") };
    assert_eq!((&*export.name, export.status, export.size), (NAME, SnapshotStatus::Available, Some(42)));
    assert_eq!((export.taken_at, &*export.tags["muster:backup"]), (at("2026-11-26T02:00:07Z"), "nightly"));
    assert_eq!(page.next.as_deref(), Some("more"), "the next page of snapshots");
    let asked = calls(&wire);
    let listed = asked.iter().find(|sent| sent.uri.contains("s3")).unwrap();
    assert!(listed.uri.contains("portal-exports") && listed.uri.ends_with("&prefix=portal-nightly-2026112"), "what all names begin with: {}", listed.uri);
}

#[tokio::test]
async fn an_export_of_which_a_shard_is_missing_is_under_way_until_nobody_writes_it_any_more() {
    let recently = estate([]).0.now().to_string();
    for (status, written, meant) in [
        ("exporting", Some("2026-11-26T02:09:00Z"), Some(SnapshotStatus::UnderWay)),
        ("exporting", None, Some(SnapshotStatus::UnderWay)),
        ("available", Some(recently.as_str()), Some(SnapshotStatus::UnderWay)),
        ("available", Some("2025-11-26T02:09:00Z"), Some(SnapshotStatus::Failed)),
        ("available", None, None),
        ("deleting", Some("2025-11-26T02:09:00Z"), None),
    ] {
        let objects = written.map(|written| object(&format!("{NAME}-0001.rdb"), 40, written)).into_iter().collect();
        let (aws, _) = exports(vec![described(NAME, status, &SHARDS)], objects);
        let page = aws.list_snapshots(&bucket(&east()), &source(CACHE), None).await.unwrap();
        assert_eq!(page.snapshots.first().map(|export| export.status), meant, "{status} {written:?}");
    }
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_told_and_one_that_never_ends_is_given_up() {
    let snapshots = || listing(&[described(NAME, "available", &SHARDS)], "");
    let (aws, _) = estate([snapshots(), Some(answer(404, "<Error><Code>NoSuchBucket</Code></Error>"))]);
    let error = aws.list_snapshots(&bucket(&east()), &source(CACHE), None).await.unwrap_err();
    assert_eq!((error.fault, error.operation.as_str()), (CallFault::NotFound, "s3:ListObjectsV2"));
    let (aws, wire) = estate_that(move |sent| match sent.uri.contains("s3") {
        true => Some(answer(200, "<ListBucketResult><NextContinuationToken>again</NextContinuationToken></ListBucketResult>")),
        false => snapshots(),
    });
    let error = aws.list_snapshots(&bucket(&east()), &source(CACHE), None).await.unwrap_err();
    assert!(error.fault == CallFault::Rejected && error.message.contains("bucket of their own"), "{error}");
    assert_eq!(calls(&wire).len(), 21);
}

#[tokio::test]
async fn a_deletion_names_its_snapshot_and_every_refusal_is_told_apart() {
    let (aws, wire) = estate([xml("DeleteSnapshot", "")]);
    aws.delete_snapshot(&place(&east()), &source(CACHE), NAME).await.unwrap();
    let sent = form(&calls(&wire)[0]);
    assert_eq!((sent["Action"].as_str(), sent["SnapshotName"].as_str()), ("DeleteSnapshot", NAME));
    let special = [(404, "SnapshotNotFoundFault", CallFault::NotFound), (400, "InvalidSnapshotState", CallFault::Rejected)];
    for (status, code, fault) in REFUSALS.into_iter().chain(special) {
        let (aws, _) = estate([xml_error(status, code), xml_error(status, code), xml_error(status, code)]);
        let (from, to, of) = (place(&east()), bucket(&east()), source(CACHE));
        assert_eq!(aws.create_snapshot(&east(), &of, NAME, &tags()).await.unwrap_err().fault, fault, "{code}");
        assert_eq!(aws.copy_snapshot(&copy(&of, &from, &to)).await.unwrap_err().fault, fault, "{code}");
        assert_eq!(aws.delete_snapshot(&from, &of, NAME).await.unwrap_err().fault, fault, "{code}");
    }
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_may_have_been_applied() {
    let (aws, _) = estate([None, None, None]);
    let (from, to, of) = (place(&east()), bucket(&east()), source(CACHE));
    assert!(aws.create_snapshot(&east(), &of, NAME, &tags()).await.unwrap_err().fault.is_ambiguous());
    assert!(aws.copy_snapshot(&copy(&of, &from, &to)).await.unwrap_err().fault.is_ambiguous());
    assert!(aws.delete_snapshot(&from, &of, NAME).await.unwrap_err().fault.is_ambiguous());
}
