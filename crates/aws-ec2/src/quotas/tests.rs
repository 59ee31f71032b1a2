use muster_core::ports::{Headroom, Quotas};
use muster_core::{CallFault, Region};

use super::quota_of;
use crate::testing::{Answer, REFUSALS, error, world, xml};

fn standby() -> Region {
    "us-west-2".parse().unwrap()
}

fn quota(value: f64) -> Answer {
    Some((200, format!(r#"{{"Quota": {{"QuotaCode": "L-1216C47A", "Value": {value}}}}}"#)))
}

fn instances(all: &[(&str, &str)], token: &str) -> Answer {
    let items: String = all.iter().map(|(name, lifecycle)| format!("<item><instanceType>{name}</instanceType>{lifecycle}</item>")).collect();
    xml("DescribeInstances", &format!("<reservationSet><item><instancesSet>{items}</instancesSet></item></reservationSet>{token}"))
}

fn types(all: &[(&str, u32)]) -> Answer {
    let items: String = all
        .iter()
        .map(|(name, vcpus)| format!("<item><instanceType>{name}</instanceType><vCpuInfo><defaultVCpus>{vcpus}</defaultVCpus></vCpuInfo></item>"))
        .collect();
    xml("DescribeInstanceTypes", &format!("<instanceTypeSet>{items}</instanceTypeSet>"))
}

#[tokio::test]
async fn what_runs_of_a_family_counts_in_instances_of_the_type() {
    let running = [
        ("m5.xlarge", ""),
        ("t3.micro", ""),
        ("p5.48xlarge", ""),
        ("m5.xlarge", "<instanceLifecycle>spot</instanceLifecycle>"),
        ("m5.xlarge", "<instanceLifecycle>capacity-block</instanceLifecycle>"),
    ];
    let (aws, wire) = world([quota(33.0), instances(&running, ""), types(&[("m5.xlarge", 4), ("t3.micro", 2)])]);
    // 33 vCPUs are 8 whole m5.xlarge; the 6 that are used are as good as 2 of them.
    assert_eq!(aws.instance_headroom(&standby(), "m5.xlarge").await.unwrap(), Headroom { limit: 8, used: 2 });
    let sent = wire.calls();
    assert_eq!(sent[0].operation, "GetServiceQuota");
    assert!(sent[0].body.contains(r#""ServiceCode":"ec2""#) && sent[0].body.contains(r#""QuotaCode":"L-1216C47A""#), "{}", sent[0].body);
    assert_eq!(sent[1].form["Filter.1.Name"], "instance-state-name");
    assert_eq!((sent[1].form["Filter.1.Value.1"].as_str(), sent[1].form["Filter.1.Value.2"].as_str()), ("pending", "running"));
    assert_eq!((sent[2].form["InstanceType.1"].as_str(), sent[2].form["InstanceType.2"].as_str()), ("m5.xlarge", "t3.micro"));
    assert!(!sent[2].form.contains_key("InstanceType.3"));
}

#[tokio::test]
async fn every_page_of_instances_counts() {
    let pages = [instances(&[("m5.large", "")], "<nextToken>next</nextToken>"), instances(&[("m5.large", ""), ("m5.large", "")], "")];
    let [first, second] = pages;
    let (aws, wire) = world([quota(20.0), first, second, types(&[("m5.large", 2)])]);
    assert_eq!(aws.instance_headroom(&standby(), "m5.large").await.unwrap(), Headroom { limit: 10, used: 3 });
    assert_eq!(wire.calls()[2].form["NextToken"], "next");
}

#[test]
fn a_type_counts_against_the_quota_of_its_own_family() {
    for (name, code) in [
        ("m5.large", "L-1216C47A"),
        ("t4g.micro", "L-1216C47A"),
        ("im4gn.large", "L-1216C47A"),
        ("is4gen.large", "L-1216C47A"),
        ("inf2.xlarge", "L-1945791B"),
        ("trn1.2xlarge", "L-2C3B7624"),
        ("g5.xlarge", "L-DB2E81BA"),
        ("gr6.4xlarge", "L-DB2E81BA"),
        ("vt1.3xlarge", "L-DB2E81BA"),
        ("p5en.48xlarge", "L-417A185B"),
        ("f2.6xlarge", "L-74FC7D96"),
        ("x2gd.large", "L-7295265B"),
        ("u-6tb1.metal", "L-43DA4232"),
        ("u7i-12tb.224xlarge", "L-43DA4232"),
        ("dl1.24xlarge", "L-6E869C2A"),
        ("d3.xlarge", "L-1216C47A"),
        ("hpc7g.4xlarge", "L-F7808C92"),
        ("h1.2xlarge", "L-1216C47A"),
    ] {
        assert_eq!(quota_of(name), Some(code), "{name}");
    }
    assert_eq!(quota_of("mac2.metal"), None, "it runs on hosts, which are counted otherwise");
    assert_eq!(quota_of(""), None);
}

#[tokio::test]
async fn a_type_without_a_known_quota_or_size_is_an_error_and_never_headroom() {
    let (aws, wire) = world([]);
    assert_eq!(aws.instance_headroom(&standby(), "mac2.metal").await.unwrap_err().fault, CallFault::Rejected);
    assert!(wire.calls().is_empty());
    let (aws, _) = world([quota(20.0), instances(&[], ""), types(&[])]);
    assert_eq!(aws.instance_headroom(&standby(), "m9z.large").await.unwrap_err().fault, CallFault::NotFound);
    let (aws, _) = world([Some((200, r#"{"Quota": {}}"#.to_owned()))]);
    assert_eq!(aws.instance_headroom(&standby(), "m5.large").await.unwrap_err().fault, CallFault::Rejected);
}

#[tokio::test]
async fn every_refusal_on_the_way_to_a_headroom_is_told_apart() {
    for (status, code, fault) in REFUSALS {
        let (aws, _) = world([quota(20.0), error(status, code)]);
        assert_eq!(aws.instance_headroom(&standby(), "m5.large").await.unwrap_err().fault, fault, "{code}");
        let (aws, _) = world([quota(20.0), instances(&[], ""), error(status, code)]);
        assert_eq!(aws.instance_headroom(&standby(), "m5.large").await.unwrap_err().fault, fault, "{code}");
    }
    for (status, code, fault) in [
        (400, "TooManyRequestsException", CallFault::Throttled),
        (400, "AccessDeniedException", CallFault::Denied),
        (400, "NoSuchResourceException", CallFault::NotFound),
        (500, "ServiceException", CallFault::Unavailable),
    ] {
        let (aws, _) = world([Some((status, format!(r#"{{"__type": "{code}"}}"#)))]);
        assert_eq!(aws.instance_headroom(&standby(), "m5.large").await.unwrap_err().fault, fault, "{code}");
    }
}
