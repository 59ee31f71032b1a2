use muster_core::CallFault;
use muster_core::ports::{ExportTask, Requested, SnapshotCopy, SnapshotStatus, Snapshots, SourceKind};

use super::{NAME, at, bucket, copy, east, place, source, west};
use crate::Aws;
use crate::estate::{REFUSALS, calls, estate, estate_that, form, xml, xml_error};
use crate::testing::{Answer, Wire, answer};

const BOTH: [(SourceKind, &str, &str); 2] = [(SourceKind::Instance, "DBSnapshot", "snapshot"), (SourceKind::Cluster, "DBClusterSnapshot", "cluster-snapshot")];
const EXPORT: ExportTask<'_> = ExportTask { name: "portal-nightly-20261126-020000-c0be236f-2", role: "arn:aws:iam::123456789012:role/portal-archive" };

fn task(resource: &str, of: &str, attempt: &str, status: &str, more: &str) -> String {
    format!(
        "<ExportTask><ExportTaskIdentifier>{of}{attempt}</ExportTaskIdentifier><SourceArn>arn:aws:rds:us-east-1:123456789012:{resource}:{of}</SourceArn>\
         <S3Bucket>portal-exports</S3Bucket><Status>{status}</Status><KmsKeyId>arn:key{attempt}</KmsKeyId>{more}</ExportTask>"
    )
}

fn ended(at: &str, why: &str) -> String {
    format!("<TaskEndTime>{at}</TaskEndTime><FailureCause>{why}</FailureCause>")
}

/// A world with these snapshots, by name, and these tasks, page by page.
fn tasks(snapshots: &[&str], pages: Vec<Vec<String>>) -> (Aws, Wire) {
    let snapshots: String = snapshots
        .iter()
        .map(|name| {
            format!(
                "<SNAPSHOT><SNAPSHOTIdentifier>{name}</SNAPSHOTIdentifier><Status>available</Status><SnapshotCreateTime>2026-11-26T02:07:31Z</SnapshotCreateTime>\
                 <KmsKeyId>arn:its-own</KmsKeyId><TagList><Tag><Key>muster:backup</Key><Value>archive</Value></Tag></TagList></SNAPSHOT>"
            )
        })
        .collect();
    estate_that(move |sent| {
        for kind in ["DBSnapshot", "DBClusterSnapshot"] {
            if sent.body.contains(&format!("Action=Describe{kind}s")) {
                return xml(&format!("Describe{kind}s"), &format!("<{kind}s>{}</{kind}s>", snapshots.replace("SNAPSHOT", kind)));
            }
        }
        let sent = form(sent);
        assert_eq!(sent["Action"], "DescribeExportTasks");
        let page = sent.get("Marker").map_or(0, |marker| marker.parse::<usize>().unwrap());
        let marker = if page + 1 < pages.len() { format!("<Marker>{}</Marker>", page + 1) } else { String::new() };
        xml("DescribeExportTasks", &format!("<ExportTasks>{}</ExportTasks>{marker}", pages[page].concat()))
    })
}

#[tokio::test]
async fn an_export_is_what_its_attempts_come_to_and_has_the_name_tags_and_instant_of_its_snapshot() {
    for (kind, _, resource) in BOTH {
        let of = |name: &str, attempt: &str, status: &str, more: &str| task(resource, name, attempt, status, more);
        let pages = vec![
            vec![
                of("again", "-2", "IN_PROGRESS", ""),
                of("failed", "-2", "FAILED", &ended("2026-11-27T02:00:00Z", "The role may not write")),
                of("there", "-2", "COMPLETE", ""),
                of("going", "", "CANCELING", ""),
            ],
            vec![
                of("again", "", "FAILED", &ended("2026-11-26T05:00:00Z", "No key")),
                of("failed", "", "CANCELED", "<TaskStartTime>2026-11-26T03:00:00Z</TaskStartTime>"),
                of("there", "", "FAILED", &ended("2026-11-26T05:00:00Z", "")),
                of("somebodys", "", "COMPLETE", ""),
                task("db", "none", "", "COMPLETE", ""),
            ],
        ];
        let (aws, wire) = tasks(&["again", "failed", "going", "none", "there"], pages);
        let page = aws.list_snapshots(&bucket(&east()), &source(kind), None).await.unwrap();
        let found: Vec<_> = page.snapshots.iter().map(|snapshot| (&*snapshot.name, snapshot.status)).collect();
        let (under_way, failed, there) = (SnapshotStatus::UnderWay, SnapshotStatus::Failed, SnapshotStatus::Available);
        assert_eq!(found, [("again", under_way), ("failed", failed), ("going", under_way), ("there", there)]);
        let why = |index: usize| page.snapshots[index].failures.iter().map(|failure| (failure.at, failure.why.as_str())).collect::<Vec<_>>();
        assert_eq!(why(0), [(at("2026-11-26T05:00:00Z"), "No key")]);
        let cancelled = (at("2026-11-26T03:00:00Z"), "somebody has cancelled failed");
        assert_eq!(why(1), [cancelled, (at("2026-11-27T02:00:00Z"), "The role may not write")]);
        assert_eq!(why(3), [(at("2026-11-26T05:00:00Z"), "RDS does not say why there failed")]);
        let done = &page.snapshots[3];
        assert_eq!((done.taken_at, done.kms_key.as_deref(), &*done.tags["muster:backup"]), (at("2026-11-26T02:07:31Z"), Some("arn:key-2"), "archive"));
        assert_eq!(page.snapshots[0].kms_key, None, "nothing is there that a key encrypts");
        let sent = form(&calls(&wire)[1]);
        assert_eq!((sent["Filters.Filter.1.Name"].as_str(), sent["Filters.Filter.1.Values.Value.1"].as_str()), ("s3-bucket", "portal-exports"));
        assert_eq!((sent["MaxRecords"].as_str(), calls(&wire).len()), ("100", 3));
    }
}

#[tokio::test]
async fn a_failure_without_an_instant_a_listing_without_an_end_and_a_refusal_are_errors() {
    let (aws, _) = tasks(&["one"], vec![vec![task("snapshot", "one", "", "FAILED", "")]]);
    let error = aws.list_snapshots(&bucket(&east()), &source(SourceKind::Instance), None).await.unwrap_err();
    assert!(error.fault == CallFault::Rejected && error.message.contains("one has failed, and the answer does not say when"), "{error}");
    let (aws, _) = tasks(&["one"], vec![Vec::new(); 60]);
    let error = aws.list_snapshots(&bucket(&east()), &source(SourceKind::Instance), None).await.unwrap_err();
    assert!(error.fault == CallFault::Rejected && error.message.contains("more than 50 pages of export tasks"), "{error}");
    let (aws, wire) = tasks(&[], Vec::new());
    assert_eq!(aws.list_snapshots(&bucket(&east()), &source(SourceKind::Instance), None).await.unwrap().snapshots, []);
    assert_eq!(calls(&wire).len(), 1, "where there are no snapshots, nobody asks for their exports");
    for (status, code, fault) in REFUSALS {
        let snapshot = "<DBSnapshots><DBSnapshot><DBSnapshotIdentifier>one</DBSnapshotIdentifier><Status>creating</Status></DBSnapshot></DBSnapshots>";
        let (aws, _) = estate([xml("DescribeDBSnapshots", snapshot), xml_error(status, code)]);
        let error = aws.list_snapshots(&bucket(&east()), &source(SourceKind::Instance), None).await.unwrap_err();
        assert_eq!((error.fault, error.operation.as_str()), (fault, "rds:DescribeExportTasks"), "{code}");
    }
}

#[tokio::test]
async fn an_export_is_asked_for_by_its_own_name_with_role_key_and_the_arn_of_its_snapshot() {
    for (kind, _, resource) in BOTH {
        let (aws, wire) = estate([xml("StartExportTask", "")]);
        let (from, to, of) = (place(&east()), bucket(&east()), source(kind));
        assert_eq!(aws.copy_snapshot(&SnapshotCopy { export: Some(EXPORT), ..copy(&of, &from, &to) }).await, Ok(Requested::Started));
        let call = &calls(&wire)[0];
        assert!(call.uri.contains("rds.us-east-1."), "{}", call.uri);
        let mut sent = form(call);
        sent.remove("Version");
        let wanted = [
            ("Action", "StartExportTask".to_owned()),
            ("ExportTaskIdentifier", EXPORT.name.to_owned()),
            ("IamRoleArn", EXPORT.role.to_owned()),
            ("KmsKeyId", "alias/portal-dr".to_owned()),
            ("S3BucketName", "portal-exports".to_owned()),
            ("SourceArn", format!("arn:aws:rds:us-east-1:123456789012:{resource}:{NAME}")),
        ];
        assert_eq!(sent, wanted.map(|(name, value)| (name.to_owned(), value)).into());
    }
}

#[tokio::test]
async fn a_task_of_that_name_is_an_earlier_request_and_everything_else_is_said_in_the_words_of_rds() {
    let (from, to, of) = (place(&east()), bucket(&east()), source(SourceKind::Instance));
    let order = || SnapshotCopy { export: Some(EXPORT), ..copy(&of, &from, &to) };
    let (aws, _) = estate([xml_error(400, "ExportTaskAlreadyExists"), None]);
    assert_eq!(aws.copy_snapshot(&order()).await, Ok(Requested::NameTaken));
    assert_eq!(aws.copy_snapshot(&order()).await.unwrap_err().fault, CallFault::TimedOut, "it may have been started");
    for (status, code, fault) in [
        (404, "IamRoleNotFound", CallFault::Rejected),
        (400, "IamRoleMissingPermissions", CallFault::Rejected),
        (400, "InvalidS3BucketFault", CallFault::Rejected),
        (400, "KMSKeyNotAccessibleFault", CallFault::Rejected),
        (400, "InvalidExportSourceState", CallFault::Rejected),
        (404, "DBSnapshotNotFound", CallFault::NotFound),
        (403, "AccessDenied", CallFault::Denied),
    ] {
        let (aws, _) = estate([xml_error(status, code)]);
        let error = aws.copy_snapshot(&order()).await.unwrap_err();
        assert_eq!((error.fault, error.operation.as_str(), error.message.as_str()), (fault, "rds:StartExportTask", &*format!("{code}: it says")));
    }
}

#[tokio::test]
async fn an_export_to_another_region_and_a_deletion_in_a_bucket_are_refused_before_anything_is_sent() {
    let (aws, wire) = estate_that(|_| Some(answer(500, "")) as Option<Answer>);
    let (from, to, of) = (place(&west()), bucket(&east()), source(SourceKind::Instance));
    let refused = [
        (aws.copy_snapshot(&SnapshotCopy { export: Some(EXPORT), ..copy(&of, &from, &to) }).await.unwrap_err(), "s3://portal-exports has to be in us-west-2"),
        (aws.copy_snapshot(&copy(&of, &from, &to)).await.unwrap_err(), "exported there by a task"),
        (aws.delete_snapshot(&to, &of, NAME).await.unwrap_err(), "nobody's to delete"),
    ];
    for (error, words) in refused {
        assert!(error.fault == CallFault::Rejected && error.message.contains(words), "{error}");
    }
    assert!(calls(&wire).is_empty());
}
