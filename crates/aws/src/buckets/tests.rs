use muster_core::ports::{Buckets, Expiry, LifecycleRule};
use muster_core::{CallFault, Region};

use crate::testing::{answer, world};

fn east() -> Region {
    "us-east-1".parse().unwrap()
}

const LISTED: &str = "<ListBucketResult><Contents><Key>logs/one</Key><Size>5368709120</Size><LastModified>2026-11-26T02:10:00.000Z</LastModified>\
    <ETag>&quot;abc-2&quot;</ETag></Contents><Contents><Key>logs/two</Key><Size>0</Size><LastModified>2026-11-26T02:11:00.000Z</LastModified></Contents>\
    <IsTruncated>true</IsTruncated><NextContinuationToken>more==</NextContinuationToken></ListBucketResult>";

#[tokio::test]
async fn a_page_has_the_objects_under_a_prefix_and_says_where_the_next_begins() {
    let (aws, wire) = world(|_| Some(answer(200, LISTED)));
    let page = aws.list_objects(&east(), "portal-logs", "logs/", None).await.unwrap();
    let [one, two] = page.objects.as_slice() else { panic!("{page:?}") };
    assert_eq!((&*one.key, one.size, one.written_at), ("logs/one", 5 << 30, "2026-11-26T02:10:00Z".parse().unwrap()));
    assert_eq!((one.entity_tag.as_deref(), two.entity_tag.as_deref(), two.size), (Some("abc-2"), None, 0));
    assert_eq!(page.next.as_deref(), Some("more=="));
    let sent = wire.only();
    assert!(sent.uri.contains("portal-logs.s3.us-east-1.") && sent.uri.contains("list-type=2") && sent.uri.contains("prefix=logs%2F"), "{}", sent.uri);
    assert!(!sent.uri.contains("continuation-token"));
}

#[tokio::test]
async fn the_next_page_begins_where_it_was_said_to_and_nothing_under_a_prefix_is_an_empty_page() {
    let (aws, wire) = world(|_| Some(answer(200, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")));
    let page = aws.list_objects(&east(), "portal-logs", "logs/", Some("more==")).await.unwrap();
    assert_eq!((page.objects.len(), page.next), (0, None));
    assert!(wire.only().uri.contains("continuation-token=more%3D%3D"), "{}", wire.only().uri);
}

#[tokio::test]
async fn a_bucket_that_is_not_there_or_elsewhere_and_an_answer_without_instants_are_errors() {
    let fault = async |status: u16, body: &'static str| world(move |_| Some(answer(status, body))).0.list_objects(&east(), "b", "", None).await.unwrap_err();
    assert_eq!(fault(404, "<Error><Code>NoSuchBucket</Code></Error>").await.fault, CallFault::NotFound);
    assert_eq!(fault(301, "<Error><Code>PermanentRedirect</Code></Error>").await.fault, CallFault::Rejected);
    assert_eq!(fault(403, "<Error><Code>AccessDenied</Code></Error>").await.fault, CallFault::Denied);
    assert_eq!(fault(503, "<Error><Code>SlowDown</Code></Error>").await.fault, CallFault::Throttled);
    let odd = fault(200, "<ListBucketResult><Contents><Key>logs/one</Key><Size>1</Size></Contents></ListBucketResult>").await;
    assert!(odd.fault == CallFault::Rejected && odd.message.contains("logs/one"), "{odd}");
}

#[tokio::test]
async fn an_object_has_the_key_that_kms_encrypts_it_with_and_none_by_s3_alone() {
    let key = async |encryption: &'static str| {
        let (aws, wire) = world(move |_| {
            Some(answer(200, "").with("x-amz-server-side-encryption", encryption).with("x-amz-server-side-encryption-aws-kms-key-id", "arn:key"))
        });
        let key = aws.object_key(&east(), "portal-logs", "logs/one").await.unwrap();
        let sent = wire.only();
        assert!(sent.method == "HEAD" && sent.uri.ends_with("/logs/one"), "{sent:?}");
        key
    };
    assert_eq!(key("aws:kms").await.as_deref(), Some("arn:key"));
    assert_eq!(key("aws:kms:dsse").await.as_deref(), Some("arn:key"));
    assert_eq!(key("AES256").await, None);
    let (aws, _) = world(|_| Some(answer(200, "")));
    assert_eq!(aws.object_key(&east(), "portal-logs", "logs/one").await, Ok(None));
    for (status, fault) in [(404, CallFault::NotFound), (403, CallFault::Denied), (500, CallFault::Unavailable)] {
        let (aws, _) = world(move |_| Some(answer(status, "")));
        assert_eq!(aws.object_key(&east(), "portal-logs", "logs/one").await.unwrap_err().fault, fault, "{status}");
    }
}

fn rule(id: &str, status: &str, rest: &str) -> String {
    format!("<Rule><ID>{id}</ID><Status>{status}</Status>{rest}</Rule>")
}

#[tokio::test]
async fn a_lifecycle_has_the_rules_that_are_enabled_wherever_their_prefix_stands() {
    let deep = "<Transition><Days>1</Days><StorageClass>DEEP_ARCHIVE</StorageClass></Transition>";
    let tag = "<Tag><Key>a</Key><Value>b</Value></Tag>";
    let rules = [
        rule("all", "Enabled", &format!("<Filter></Filter>{deep}<Expiration><Days>2557</Days></Expiration>")),
        rule("prefix", "Enabled", &format!("<Filter><Prefix>archive-</Prefix></Filter>{deep}")),
        rule(
            "and",
            "Enabled",
            &format!("<Filter><And><Prefix>archive-</Prefix>{tag}</And></Filter><Expiration><Date>2040-01-01T00:00:00Z</Date></Expiration>"),
        ),
        rule("tag", "Enabled", &format!("<Filter>{tag}</Filter>{deep}")),
        rule("size", "Enabled", &format!("<Filter><ObjectSizeGreaterThan>500</ObjectSizeGreaterThan></Filter>{deep}")),
        rule("old", "Enabled", "<Prefix>logs/</Prefix><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"),
        rule(
            "versions",
            "Enabled",
            "<Filter><Prefix></Prefix></Filter><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>",
        ),
        rule("off", "Disabled", "<Filter></Filter><Expiration><Days>1</Days></Expiration>"),
    ];
    let body = format!("<LifecycleConfiguration>{}</LifecycleConfiguration>", rules.concat());
    let (aws, wire) = world(move |_| Some(answer(200, body.clone())));
    let found = aws.lifecycle(&east(), "portal-archive").await.unwrap();
    let known = |id: &str, prefix: &str, is_narrower: bool, moves: bool, expires: Option<Expiry>| LifecycleRule {
        id: id.to_owned(),
        prefix: prefix.to_owned(),
        is_narrower,
        moves_to: if moves { vec!["DEEP_ARCHIVE".to_owned()] } else { Vec::new() },
        expires,
    };
    let date = Some(Expiry::On { at: "2040-01-01T00:00:00Z".parse().unwrap() });
    let wanted = [
        known("all", "", false, true, Some(Expiry::Days { days: 2_557 })),
        known("prefix", "archive-", false, true, None),
        known("and", "archive-", true, false, date),
        known("tag", "", true, true, None),
        known("size", "", true, true, None),
        known("old", "logs/", false, false, None),
        known("versions", "", false, false, None),
    ];
    assert_eq!(found, wanted);
    assert!(wire.only().uri.contains("portal-archive.s3.us-east-1.") && wire.only().uri.contains("?lifecycle"), "{}", wire.only().uri);
}

#[tokio::test]
async fn a_bucket_without_a_lifecycle_has_no_rules_and_one_that_cannot_be_asked_is_an_error() {
    let asked = async |status: u16, code: &'static str| {
        let (aws, _) = world(move |_| Some(answer(status, format!("<Error><Code>{code}</Code></Error>"))));
        aws.lifecycle(&east(), "portal-archive").await.map_err(|error| error.fault)
    };
    assert_eq!(asked(404, "NoSuchLifecycleConfiguration").await, Ok(Vec::new()));
    assert_eq!(asked(404, "NoSuchBucket").await, Err(CallFault::NotFound));
    assert_eq!(asked(403, "AccessDenied").await, Err(CallFault::Denied));
}
