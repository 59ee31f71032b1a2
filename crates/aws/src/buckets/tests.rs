use muster_core::ports::Buckets;
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
