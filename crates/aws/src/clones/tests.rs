use std::collections::BTreeMap;
use std::sync::Arc;

use muster_core::ports::{CLONE_TAG, CloneOrder, CloneStatus, Clones, LEASE_TAG, Requested};
use muster_core::{Body, CallFault, Journaled, Region};

use crate::estate::{REFUSALS, calls, estate, form, xml, xml_error};
use crate::testing::{Answer, answer};

const NAME: &str = "muster-clone-main-c0be236f";

fn west() -> Region {
    "us-west-2".parse().unwrap()
}

fn tags() -> BTreeMap<Arc<str>, Arc<str>> {
    [(CLONE_TAG, "kaireon.restore-test.7"), (LEASE_TAG, "2026-11-26T07:00:00.000Z")].map(|(name, value)| (name.into(), value.into())).into()
}

fn instance(name: &str, status: &str, tags: &[(&str, &str)], more: &str) -> String {
    let tags: String = tags.iter().map(|(key, value)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>")).collect();
    format!(
        "<DBInstance><DBInstanceIdentifier>{name}</DBInstanceIdentifier><DBInstanceStatus>{status}</DBInstanceStatus>{more}\
         <TagList>{tags}</TagList></DBInstance>"
    )
}

fn page(instances: &[String], marker: &str) -> Option<Answer> {
    xml("DescribeDBInstances", &format!("<DBInstances>{}</DBInstances>{marker}", instances.concat()))
}

fn order<'a>(region: &'a Region, name: &'a str, class: Option<&'a str>, groups: &'a [String], tags: &'a BTreeMap<Arc<str>, Arc<str>>) -> CloneOrder<'a> {
    CloneOrder {
        region,
        snapshot: "rds-daily-1",
        name,
        instance_class: class,
        storage: class.map(|_| 700),
        subnet_group: "isolated",
        security_groups: groups,
        tags,
    }
}

#[tokio::test]
async fn a_clone_is_restored_alone_out_of_reach_and_with_nothing_that_keeps_it() {
    let (aws, wire) = estate([xml("RestoreDBInstanceFromDBSnapshot", &instance(NAME, "creating", &[], "")), xml("RestoreDBInstanceFromDBSnapshot", "")]);
    let (region, groups, tags) = (west(), ["sg-clone".to_owned()], tags());
    assert_eq!(aws.restore_clone(&order(&region, NAME, Some("db.r6g.large"), &groups, &tags)).await, Ok(Requested::Started));
    let sent = form(&calls(&wire)[0]);
    for (field, value) in [
        ("Action", "RestoreDBInstanceFromDBSnapshot"),
        ("DBInstanceIdentifier", NAME),
        ("DBSnapshotIdentifier", "rds-daily-1"),
        ("DBInstanceClass", "db.r6g.large"),
        ("AllocatedStorage", "700"),
        ("DBSubnetGroupName", "isolated"),
        ("VpcSecurityGroupIds.VpcSecurityGroupId.1", "sg-clone"),
        ("MultiAZ", "false"),
        ("PubliclyAccessible", "false"),
        ("DeletionProtection", "false"),
        ("BackupRetentionPeriod", "0"),
        ("Tags.Tag.1.Key", "muster:clone"),
        ("Tags.Tag.1.Value", "kaireon.restore-test.7"),
        ("Tags.Tag.2.Key", "muster:lease-until"),
    ] {
        assert_eq!(sent.get(field).map(String::as_str), Some(value), "{field}");
    }
    assert!(calls(&wire)[0].uri.contains("rds.us-west-2."));
    aws.restore_clone(&order(&region, NAME, None, &groups, &tags)).await.unwrap();
    let sent = form(&calls(&wire)[1]);
    assert!(!sent.contains_key("DBInstanceClass") && !sent.contains_key("AllocatedStorage"), "they are the source's then");
}

#[tokio::test]
async fn a_name_that_is_taken_is_told_from_everything_else_that_is_refused() {
    let (region, groups, tags) = (west(), ["sg-clone".to_owned()], tags());
    let (aws, _) = estate([xml_error(400, "DBInstanceAlreadyExists"), xml_error(404, "DBSnapshotNotFound"), xml_error(400, "InstanceQuotaExceeded")]);
    let order = order(&region, NAME, None, &groups, &tags);
    assert_eq!(aws.restore_clone(&order).await, Ok(Requested::NameTaken));
    assert_eq!(aws.restore_clone(&order).await.unwrap_err().fault, CallFault::NotFound);
    assert_eq!(aws.restore_clone(&order).await.unwrap_err().fault, CallFault::Rejected);
}

#[tokio::test]
async fn what_is_not_called_a_clone_is_neither_made_nor_deleted() {
    let (aws, wire) = estate([]);
    let (region, tags) = (west(), tags());
    for name in ["kaireon-prod", "Muster-clone-main", ""] {
        let made = aws.restore_clone(&order(&region, name, None, &[], &tags)).await.unwrap_err();
        let deleted = aws.delete_clone(&region, name).await.unwrap_err();
        assert_eq!((made.fault, deleted.fault), (CallFault::Rejected, CallFault::Rejected), "{name}");
    }
    assert!(calls(&wire).is_empty() && aws.journal().unsaved().iter().all(|entry| !matches!(entry.body, Body::Intent { .. })));
}

#[tokio::test]
async fn a_clone_is_deleted_with_all_that_it_has() {
    let (aws, wire) =
        estate([xml("DeleteDBInstance", &instance(NAME, "deleting", &[], "")), xml_error(404, "DBInstanceNotFound"), xml_error(400, "InvalidDBInstanceState")]);
    aws.delete_clone(&west(), NAME).await.unwrap();
    let sent = form(&calls(&wire)[0]);
    assert_eq!((sent["DBInstanceIdentifier"].as_str(), sent["SkipFinalSnapshot"].as_str(), sent["DeleteAutomatedBackups"].as_str()), (NAME, "true", "true"));
    assert!(!sent.contains_key("FinalDBSnapshotIdentifier"));
    assert_eq!(aws.delete_clone(&west(), NAME).await.unwrap_err().fault, CallFault::NotFound);
    assert_eq!(aws.delete_clone(&west(), NAME).await.unwrap_err().fault, CallFault::Rejected);
}

#[tokio::test]
async fn only_what_bears_the_tag_is_listed_on_every_page_and_with_what_it_does() {
    let tag = [(CLONE_TAG, "kaireon.restore-test.7"), (LEASE_TAG, "2026-11-26T07:00:00.000Z")];
    let endpoint = "<Endpoint><Address>clone.abc.us-west-2.rds.amazonaws.com</Address><Port>5432</Port></Endpoint>";
    let statuses = ["available", "backing-up", "creating", "deleting", "incompatible-restore", "failed", "brand-new-status", ""];
    let first = [instance("kaireon-dr", "available", &[("muster:service", "kaireon")], endpoint), instance(NAME, "available", &tag, endpoint)];
    let second: Vec<String> = statuses.iter().map(|status| instance("muster-clone-x", status, &tag, "")).collect();
    let (aws, wire) = estate([page(&first, "<Marker>more</Marker>"), page(&second, "<Marker></Marker>")]);
    let clones = aws.list_clones(&west()).await.unwrap();
    assert_eq!((clones.len(), &*clones[0].name, clones[0].endpoint.as_deref()), (9, NAME, Some("clone.abc.us-west-2.rds.amazonaws.com:5432")));
    assert!(clones[0].is_clone() && clones[1].endpoint.is_none());
    let seen: Vec<CloneStatus> = clones[1..].iter().map(|clone| clone.status.clone()).collect();
    let (broken, changing) = (|status: &str| CloneStatus::Broken(status.into()), |status: &str| CloneStatus::Changing(status.into()));
    let wanted = [
        CloneStatus::Serves,
        CloneStatus::Serves,
        changing("creating"),
        CloneStatus::Deleting,
        broken("incompatible-restore"),
        broken("failed"),
        changing("brand-new-status"),
        changing("no status"),
    ];
    assert_eq!(seen, wanted);
    assert_eq!((form(&calls(&wire)[0])["Action"].as_str(), form(&calls(&wire)[1])["Marker"].as_str()), ("DescribeDBInstances", "more"));
}

#[tokio::test]
async fn a_snapshot_is_marked_and_unmarked_by_its_arn() {
    let (aws, wire) = estate([
        Some(answer(200, "<AddTagsToResourceResponse/>")),
        Some(answer(200, "<RemoveTagsFromResourceResponse/>")),
        xml_error(404, "DBSnapshotNotFound"),
    ]);
    aws.mark_snapshot(&west(), "rds-daily-1", "muster:used-by", "kaireon.restore-test.7").await.unwrap();
    aws.unmark_snapshot(&west(), "rds-daily-1", "muster:used-by").await.unwrap();
    let (marked, unmarked) = (form(&calls(&wire)[0]), form(&calls(&wire)[1]));
    for sent in [&marked, &unmarked] {
        assert_eq!(sent["ResourceName"], "arn:aws:rds:us-west-2:123456789012:snapshot:rds-daily-1");
    }
    assert_eq!((marked["Tags.Tag.1.Key"].as_str(), marked["Tags.Tag.1.Value"].as_str()), ("muster:used-by", "kaireon.restore-test.7"));
    assert_eq!((unmarked["Action"].as_str(), unmarked["TagKeys.member.1"].as_str()), ("RemoveTagsFromResource", "muster:used-by"));
    assert_eq!(aws.unmark_snapshot(&west(), "gone", "muster:used-by").await.unwrap_err().fault, CallFault::NotFound);
}

#[tokio::test]
async fn a_lost_answer_is_ambiguous_and_a_refusal_is_not() {
    let (region, groups, tags) = (west(), ["sg-clone".to_owned()], tags());
    for (status, code, fault) in REFUSALS {
        let (aws, _) = estate([xml_error(status, code), xml_error(status, code)]);
        assert_eq!(aws.restore_clone(&order(&region, NAME, None, &groups, &tags)).await.unwrap_err().fault, fault, "{code}");
        assert_eq!(aws.delete_clone(&region, NAME).await.unwrap_err().fault, fault, "{code}");
    }
}
