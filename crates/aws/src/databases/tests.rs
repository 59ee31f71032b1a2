use std::fmt::Write as _;
use std::sync::Arc;

use muster_core::ports::{DatabaseRole, DatabaseStatus, Databases};
use muster_core::{Body, CallFault, DatabaseId, Journaled, Region};

use super::status_of;
use crate::estate::{REFUSALS, calls, estate, form, xml, xml_error};
use crate::testing::answer;

fn standby() -> Region {
    "us-west-2".parse().unwrap()
}

fn id(name: &str) -> DatabaseId {
    DatabaseId::new(&standby(), name)
}

/// An instance as RDS describes it, with more of it.
fn instance(name: &str, status: &str, more: &str) -> String {
    format!(
        "<DBInstance><DBInstanceIdentifier>{name}</DBInstanceIdentifier><DBInstanceStatus>{status}</DBInstanceStatus>\
         <BackupRetentionPeriod>7</BackupRetentionPeriod>{more}</DBInstance>"
    )
}

fn page(instances: &[String], marker: Option<&str>) -> Option<crate::testing::Answer> {
    let mut result = format!("<DBInstances>{}</DBInstances>", instances.concat());
    if let Some(marker) = marker {
        write!(result, "<Marker>{marker}</Marker>").unwrap();
    }
    xml("DescribeDBInstances", &result)
}

#[tokio::test]
async fn an_instance_is_described_with_all_that_muster_decides_by() {
    let more = "<Endpoint><Address>replica.abc.us-west-2.rds.amazonaws.com</Address><Port>5432</Port></Endpoint>\
        <ReadReplicaSourceDBInstanceIdentifier>arn:aws:rds:us-east-1:123456789012:db:portal-db</ReadReplicaSourceDBInstanceIdentifier>\
        <StatusInfos><DBInstanceStatusInfo><StatusType>read replication</StatusType><Status>replicating</Status><Normal>true</Normal></DBInstanceStatusInfo></StatusInfos>\
        <VpcSecurityGroups><VpcSecurityGroupMembership><VpcSecurityGroupId>sg-app</VpcSecurityGroupId><Status>active</Status></VpcSecurityGroupMembership>\
        <VpcSecurityGroupMembership><VpcSecurityGroupId>sg-old</VpcSecurityGroupId><Status>removing</Status></VpcSecurityGroupMembership></VpcSecurityGroups>";
    let (aws, wire) = estate([page(&[instance("replica", "available", more)], None)]);
    // RDS answers in lower case, however the plan writes a name.
    let asked = [id("Replica"), id("gone")];
    let states = aws.describe_databases(&standby(), &asked).await.unwrap();
    assert_eq!(states.len(), 1, "what does not exist is absent");
    let state = &states[&id("Replica")];
    assert_eq!(state.status, DatabaseStatus::Available);
    assert_eq!(state.role, DatabaseRole::Replica { source: DatabaseId::new(&"us-east-1".parse().unwrap(), "portal-db") });
    assert_eq!(state.endpoint.as_deref(), Some("replica.abc.us-west-2.rds.amazonaws.com:5432"));
    assert_eq!(state.security_groups, [Arc::from("sg-app")], "a group that is being removed is gone");
    assert_eq!(state.backup_retention_days, 7);

    let sent = form(&calls(&wire)[0]);
    assert_eq!(sent["Action"], "DescribeDBInstances");
    assert_eq!(sent["Filters.Filter.1.Name"], "db-instance-id");
    assert_eq!((sent["Filters.Filter.1.Values.Value.1"].as_str(), sent["Filters.Filter.1.Values.Value.2"].as_str()), ("Replica", "gone"));
    assert!(calls(&wire)[0].uri.starts_with("https://rds.us-west-2.amazonaws.com"));
}

#[tokio::test]
async fn every_page_of_a_description_is_read() {
    let pages = [page(&[instance("one", "available", "")], Some("next")), page(&[instance("two", "backing-up", "")], None)];
    let (aws, wire) = estate(pages);
    let states = aws.describe_databases(&standby(), &[id("one"), id("two")]).await.unwrap();
    assert_eq!((states[&id("one")].status, states[&id("two")].status), (DatabaseStatus::Available, DatabaseStatus::BackingUp));
    let sent = calls(&wire);
    assert_eq!(sent.len(), 2);
    assert!(!form(&sent[0]).contains_key("Marker"));
    assert_eq!(form(&sent[1])["Marker"], "next");
}

#[tokio::test]
async fn more_databases_than_a_page_holds_are_asked_for_in_batches() {
    let ids: Vec<DatabaseId> = (0..101).map(|number| id(&format!("db-{number}"))).collect();
    let (aws, wire) = estate([page(&[instance("db-0", "available", "")], None), page(&[instance("db-100", "available", "")], None)]);
    assert_eq!(aws.describe_databases(&standby(), &ids).await.unwrap().len(), 2);
    let sent = calls(&wire);
    assert!(form(&sent[0]).contains_key("Filters.Filter.1.Values.Value.100"));
    assert!(!form(&sent[0]).contains_key("Filters.Filter.1.Values.Value.101"));
    assert_eq!(form(&sent[1])["Filters.Filter.1.Values.Value.1"], "db-100");
}

#[tokio::test]
async fn nothing_is_asked_about_no_database() {
    let (aws, wire) = estate([]);
    assert!(aws.describe_databases(&standby(), &[]).await.unwrap().is_empty());
    assert!(calls(&wire).is_empty());
}

#[tokio::test]
async fn one_page_that_fails_is_the_failure_of_the_batch() {
    let (aws, _) = estate([page(&[instance("one", "available", "")], Some("next")), xml_error(400, "Throttling")]);
    let error = aws.describe_databases(&standby(), &[id("one"), id("two")]).await.unwrap_err();
    assert_eq!((error.fault, error.operation.as_str()), (CallFault::Throttled, "rds:DescribeDBInstances"));
    assert_eq!(error.resource, "one, two (us-west-2)");
}

#[tokio::test]
async fn an_instance_is_promoted_only_when_nothing_of_a_replica_is_left() {
    let replicating =
        "<StatusInfos><DBInstanceStatusInfo><StatusType>read replication</StatusType><Status>replicating</Status></DBInstanceStatusInfo></StatusInfos>";
    let source = "<ReadReplicaSourceDBInstanceIdentifier>portal-db</ReadReplicaSourceDBInstanceIdentifier>";
    let cluster = "<ReadReplicaSourceDBClusterIdentifier>arn:aws:rds:eu-west-1:123456789012:cluster:portal</ReadReplicaSourceDBClusterIdentifier>";
    let names = ["source", "cluster", "replicating", "done", "emptied"];
    let more = [source, cluster, replicating, "", "<ReadReplicaSourceDBInstanceIdentifier></ReadReplicaSourceDBInstanceIdentifier><StatusInfos/>"];
    let (aws, _) = estate([page(&names.iter().zip(more).map(|(name, more)| instance(name, "available", more)).collect::<Vec<_>>(), None)]);
    let states = aws.describe_databases(&standby(), &names.map(id)).await.unwrap();
    let state = |name: &str| (states[&id(name)].role.clone(), states[&id(name)].status);
    assert_eq!(state("source"), (DatabaseRole::Replica { source: id("portal-db") }, DatabaseStatus::Available));
    let elsewhere = DatabaseId::new(&"eu-west-1".parse().unwrap(), "portal");
    assert_eq!(state("cluster"), (DatabaseRole::Replica { source: elsewhere }, DatabaseStatus::Available));
    assert_eq!(state("replicating"), (DatabaseRole::Primary, DatabaseStatus::Changing("promoting")));
    assert_eq!(state("done"), (DatabaseRole::Primary, DatabaseStatus::Available));
    assert_eq!(state("emptied"), (DatabaseRole::Primary, DatabaseStatus::Available));
}

#[test]
fn a_status_that_ends_by_itself_is_told_from_one_that_does_not() {
    use DatabaseStatus::{Available, BackingUp, Broken, Changing};
    for (status, meaning) in [
        ("available", Available),
        ("storage-optimization", Available),
        ("storage-initialization", Available),
        ("backing-up", BackingUp),
        ("modifying", Changing("modifying")),
        ("rebooting", Changing("rebooting")),
        ("promoting", Changing("promoting")),
        ("storage-config-upgrade", Changing("storage-config-upgrade")),
        ("failed", Broken("failed")),
        ("incompatible-parameters", Broken("incompatible-parameters")),
        ("inaccessible-encryption-credentials-recoverable", Broken("inaccessible-encryption-credentials-recoverable")),
        ("storage-full", Broken("storage-full")),
        ("stopped", Broken("stopped")),
        ("a-status-of-next-year", Changing("unknown status")),
        ("", Changing("unknown status")),
    ] {
        assert_eq!(status_of(status), meaning, "{status}");
    }
    assert!(super::CHANGING.iter().all(|status| !super::BROKEN.contains(status)));
}

#[tokio::test]
async fn a_promotion_is_announced_to_the_ledger_before_it_is_asked_for() {
    let (aws, wire) = estate([xml("PromoteReadReplica", &instance("replica", "available", ""))]);
    aws.promote_replica(&id("replica"), 7).await.unwrap();
    let sent = wire.sent();
    let order: Vec<String> =
        sent.iter().map(|sent| if sent.operation().is_empty() { form(sent)["Action"].clone() } else { sent.operation().to_owned() }).collect();
    assert_eq!(order, ["BatchGetItem", "BatchWriteItem", "PromoteReadReplica"]);
    assert!(sent[1].body.contains("rds:PromoteReadReplica"), "{}", sent[1].body);
    let asked = form(&sent[2]);
    assert_eq!((asked["DBInstanceIdentifier"].as_str(), asked["BackupRetentionPeriod"].as_str()), ("replica", "7"));
    let unsaved = aws.journal().unsaved();
    let Body::Called { call, outcome } = &unsaved.last().unwrap().body else { panic!("{unsaved:?}") };
    assert!(call.mutates && *call.operation == *"rds:PromoteReadReplica" && outcome.fault.is_none());
    assert_eq!(outcome.request_id.as_deref(), Some("request-1"));
}

#[tokio::test]
async fn an_instance_that_is_in_no_state_to_be_promoted_is_a_refusal_in_rds_own_words() {
    let (aws, _) = estate([xml_error(400, "InvalidDBInstanceState")]);
    let error = aws.promote_replica(&id("replica"), 1).await.unwrap_err();
    assert_eq!((error.fault, error.message.as_str()), (CallFault::Rejected, "InvalidDBInstanceState: it says"));
    assert_eq!(error.to_string(), "rds:PromoteReadReplica on replica (us-west-2): InvalidDBInstanceState: it says");
    let (aws, _) = estate([xml_error(404, "DBInstanceNotFound")]);
    assert_eq!(aws.promote_replica(&id("replica"), 1).await.unwrap_err().fault, CallFault::NotFound);
}

#[tokio::test]
async fn every_refusal_of_rds_is_told_apart() {
    for (status, code, fault) in REFUSALS {
        let (aws, _) = estate([xml_error(status, code), xml_error(status, code)]);
        assert_eq!(aws.describe_databases(&standby(), &[id("one")]).await.unwrap_err().fault, fault, "{code}");
        assert_eq!(aws.reboot_database(&id("one")).await.unwrap_err().fault, fault, "{code}");
    }
}

#[tokio::test]
async fn a_promotion_whose_answer_is_lost_may_have_been_applied() {
    let (aws, _) = estate([None]);
    let error = aws.promote_replica(&id("replica"), 1).await.unwrap_err();
    assert_eq!(error.fault, CallFault::TimedOut);
    assert!(error.fault.is_ambiguous());
    // An answer that breaks off half-way says no more.
    let (aws, _) = estate([Some(answer(200, "<PromoteReadReplicaResponse><PromoteRead"))]);
    assert!(aws.promote_replica(&id("replica"), 1).await.unwrap_err().fault.is_ambiguous());
}

#[tokio::test]
async fn a_quarantine_replaces_all_groups_at_once() {
    let (aws, wire) = estate([xml("ModifyDBInstance", &instance("portal-db", "available", ""))]);
    aws.set_security_groups(&id("portal-db"), &["sg-quarantine".into()]).await.unwrap();
    let sent = form(&calls(&wire)[0]);
    assert_eq!(sent["Action"], "ModifyDBInstance");
    assert_eq!(sent["VpcSecurityGroupIds.VpcSecurityGroupId.1"], "sg-quarantine");
    assert!(!sent.contains_key("VpcSecurityGroupIds.VpcSecurityGroupId.2"));
    assert_eq!(sent["ApplyImmediately"], "true");
}

#[tokio::test]
async fn a_reboot_names_its_instance_and_forces_no_failover() {
    let (aws, wire) = estate([xml("RebootDBInstance", &instance("portal-db", "rebooting", ""))]);
    aws.reboot_database(&id("portal-db")).await.unwrap();
    let sent = form(&calls(&wire)[0]);
    assert_eq!((sent["Action"].as_str(), sent["DBInstanceIdentifier"].as_str()), ("RebootDBInstance", "portal-db"));
    assert!(!sent.contains_key("ForceFailover"));
}
