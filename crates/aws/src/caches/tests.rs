use std::sync::Arc;

use muster_core::ports::{CacheEndpoint, Caches, GlobalCaches};
use muster_core::{CallFault, Region};

use crate::estate::{REFUSALS, calls, estate, form, xml, xml_error};
use crate::testing::Answer;

fn standby() -> Region {
    "us-west-2".parse().unwrap()
}

fn datastore(id: &str, status: &str, members: &[(&str, &str, &str, &str)]) -> String {
    let members: String = members
        .iter()
        .map(|(region, group, role, status)| {
            format!(
                "<GlobalReplicationGroupMember><ReplicationGroupRegion>{region}</ReplicationGroupRegion><ReplicationGroupId>{group}</ReplicationGroupId>\
                 <Role>{role}</Role><Status>{status}</Status></GlobalReplicationGroupMember>"
            )
        })
        .collect();
    format!(
        "<GlobalReplicationGroup><GlobalReplicationGroupId>{id}</GlobalReplicationGroupId><Status>{status}</Status><Members>{members}</Members></GlobalReplicationGroup>"
    )
}

fn datastores(all: &[String], marker: &str) -> Option<Answer> {
    xml("DescribeGlobalReplicationGroups", &format!("<GlobalReplicationGroups>{}</GlobalReplicationGroups>{marker}", all.concat()))
}

fn group(endpoints: &str) -> Option<Answer> {
    xml(
        "DescribeReplicationGroups",
        &format!("<ReplicationGroups><ReplicationGroup><ReplicationGroupId>cache-dr</ReplicationGroupId>{endpoints}</ReplicationGroup></ReplicationGroups>"),
    )
}

const BOTH: [(&str, &str, &str, &str); 2] = [("us-east-1", "cache", "PRIMARY", "associated"), ("us-west-2", "cache-dr", "SECONDARY", "associated")];

fn asked() -> [Arc<str>; 2] {
    ["ldgnf-cache".into(), "ldgnf-gone".into()]
}

#[tokio::test]
async fn a_datastore_is_described_with_its_clusters_and_the_host_of_the_regions_own() {
    let endpoints = "<NodeGroups><NodeGroup><PrimaryEndpoint><Address>cache-dr.abc.usw2.cache.amazonaws.com</Address><Port>6379</Port></PrimaryEndpoint></NodeGroup></NodeGroups>";
    let listed = [datastore("ldgnf-cache", "available", &BOTH), datastore("ldgnf-other", "available", &BOTH)];
    let (aws, wire) = estate([datastores(&listed, ""), group(endpoints)]);
    let states = aws.describe_global_caches(&standby(), &asked()).await.unwrap();
    assert_eq!(states.len(), 1, "what does not exist, or was not asked for, is absent");
    let state = &states["ldgnf-cache"];
    assert!(state.settled);
    let [east, west] = state.members.as_slice() else { panic!("{state:?}") };
    assert!(east.primary && east.available && east.endpoint.is_none() && *east.group == *"cache");
    assert!(!west.primary && west.available && west.region == standby());
    assert_eq!(west.endpoint.as_deref(), Some("cache-dr.abc.usw2.cache.amazonaws.com"));
    let sent: Vec<_> = calls(&wire).iter().map(form).collect();
    assert_eq!((sent[0]["Action"].as_str(), sent[0]["ShowMemberInfo"].as_str()), ("DescribeGlobalReplicationGroups", "true"));
    assert_eq!((sent[1]["Action"].as_str(), sent[1]["ReplicationGroupId"].as_str()), ("DescribeReplicationGroups", "cache-dr"));
    assert_eq!(sent.len(), 2, "no other region's cluster is asked for: {sent:?}");
}

#[tokio::test]
async fn with_cluster_mode_on_clients_ask_the_configuration_endpoint() {
    let endpoints = "<ConfigurationEndpoint><Address>clustercfg.cache-dr.cache.amazonaws.com</Address><Port>6379</Port></ConfigurationEndpoint>\
        <NodeGroups><NodeGroup><NodeGroupId>0001</NodeGroupId></NodeGroup></NodeGroups>";
    let (aws, _) = estate([datastores(&[datastore("ldgnf-cache", "available", &BOTH)], ""), group(endpoints)]);
    let states = aws.describe_global_caches(&standby(), &asked()).await.unwrap();
    assert_eq!(states["ldgnf-cache"].members[1].endpoint.as_deref(), Some("clustercfg.cache-dr.cache.amazonaws.com"));
}

#[tokio::test]
async fn every_page_of_datastores_is_read() {
    let none: [(&str, &str, &str, &str); 0] = [];
    let pages =
        [datastores(&[datastore("ldgnf-cache", "available", &none)], "<Marker>next</Marker>"), datastores(&[datastore("ldgnf-gone", "modifying", &none)], "")];
    let (aws, wire) = estate(pages);
    let states = aws.describe_global_caches(&standby(), &asked()).await.unwrap();
    assert_eq!(states.values().map(|state| state.settled).collect::<Vec<_>>(), [true, false]);
    assert_eq!(form(&calls(&wire)[1])["Marker"], "next");
}

#[tokio::test]
async fn a_datastore_is_settled_only_when_it_is_available_or_has_its_primary_alone() {
    for (status, settled) in [("available", true), ("primary-only", true), ("modifying", false), ("creating", false), ("deleting", false)] {
        let (aws, _) = estate([datastores(&[datastore("ldgnf-cache", status, &[])], "")]);
        assert_eq!(aws.describe_global_caches(&standby(), &asked()).await.unwrap()["ldgnf-cache"].settled, settled, "{status}");
    }
}

#[tokio::test]
async fn a_cluster_that_is_not_there_yet_has_no_host_and_an_error_is_an_error() {
    let listed = || datastores(&[datastore("ldgnf-cache", "modifying", &BOTH)], "");
    let (aws, _) = estate([listed(), xml_error(404, "ReplicationGroupNotFoundFault")]);
    assert_eq!(aws.describe_global_caches(&standby(), &asked()).await.unwrap()["ldgnf-cache"].members[1].endpoint, None);
    let (aws, _) = estate([listed(), xml_error(400, "Throttling")]);
    let error = aws.describe_global_caches(&standby(), &asked()).await.unwrap_err();
    assert_eq!((error.fault, error.operation.as_str()), (CallFault::Throttled, "elasticache:DescribeReplicationGroups"));
}

#[tokio::test]
async fn a_failover_names_datastore_region_and_cluster() {
    let (aws, wire) = estate([xml("FailoverGlobalReplicationGroup", &datastore("ldgnf-cache", "modifying", &[]))]);
    aws.failover_global_cache(&standby(), "ldgnf-cache", "cache-dr").await.unwrap();
    let sent = form(&calls(&wire)[0]);
    assert_eq!(sent["Action"], "FailoverGlobalReplicationGroup");
    assert_eq!(sent["GlobalReplicationGroupId"], "ldgnf-cache");
    assert_eq!((sent["PrimaryRegion"].as_str(), sent["PrimaryReplicationGroupId"].as_str()), ("us-west-2", "cache-dr"));
}

#[tokio::test]
async fn every_refusal_of_elasticache_is_told_apart() {
    let special = [
        (400, "InvalidGlobalReplicationGroupState", CallFault::Rejected),
        (404, "GlobalReplicationGroupNotFoundFault", CallFault::NotFound),
        (400, "APICallRateForCustomerExceeded", CallFault::Throttled),
    ];
    for (status, code, fault) in REFUSALS.into_iter().chain(special) {
        let (aws, _) = estate([xml_error(status, code)]);
        assert_eq!(aws.failover_global_cache(&standby(), "ldgnf-cache", "cache-dr").await.unwrap_err().fault, fault, "{code}");
    }
}

#[tokio::test]
async fn a_failover_whose_answer_is_lost_may_have_been_applied() {
    let (aws, _) = estate([None]);
    assert!(aws.failover_global_cache(&standby(), "ldgnf-cache", "cache-dr").await.unwrap_err().fault.is_ambiguous());
}

#[tokio::test]
async fn a_cache_is_where_its_replication_group_says_and_absent_where_it_says_nothing() {
    let serving = "<TransitEncryptionEnabled>true</TransitEncryptionEnabled><NodeGroups><NodeGroup><PrimaryEndpoint>\
        <Address>cache-dr.abc.usw2.cache.amazonaws.com</Address><Port>6380</Port></PrimaryEndpoint></NodeGroup></NodeGroups>";
    let (aws, _) = estate([group(serving), group("<Status>creating</Status>")]);
    let groups: [Arc<str>; 2] = ["cache-dr".into(), "cache-new".into()];
    let found = aws.describe_caches(&standby(), &groups).await.unwrap();
    let wanted = CacheEndpoint { host: "cache-dr.abc.usw2.cache.amazonaws.com".into(), port: 6380, encrypted: true };
    assert_eq!(found, [("cache-dr".into(), wanted)].into());
}
