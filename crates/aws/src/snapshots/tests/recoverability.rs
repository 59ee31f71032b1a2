use muster_core::CallFault;
use muster_core::ports::{Recoverability, SnapshotQuota, SourceKind};

use super::{at, east, source, west};
use crate::Aws;
use crate::estate::{REFUSALS, calls, estate, estate_that, form, xml, xml_error};
use crate::testing::{Answer, Wire};

fn backups(of: &str, until: &[&str], marker: &str) -> Option<Answer> {
    let all: String = until
        .iter()
        .map(|until| format!("<DB{of}AutomatedBackup><RestoreWindow><LatestTime>{until}</LatestTime></RestoreWindow></DB{of}AutomatedBackup>"))
        .collect();
    xml(&format!("DescribeDB{of}AutomatedBackups"), &format!("<DB{of}AutomatedBackups>{all}</DB{of}AutomatedBackups>{marker}"))
}

fn existing(of: &str, until: &[&str]) -> Option<Answer> {
    let all: String = until.iter().map(|until| format!("<DB{of}><LatestRestorableTime>{until}</LatestRestorableTime></DB{of}>")).collect();
    xml(&format!("DescribeDB{of}s"), &format!("<DB{of}s>{all}</DB{of}s>"))
}

/// A region with these automated backups, page by page, and these instances or clusters.
fn region(of: &'static str, replicated: &'static [&'static [&'static str]], own: &'static [&'static str]) -> (Aws, Wire) {
    estate_that(move |sent| {
        let sent = form(sent);
        if sent["Action"] == format!("DescribeDB{of}s") {
            return existing(of, own);
        }
        let page = sent.get("Marker").map_or(0, |marker| marker.parse().unwrap());
        let marker = if page + 1 < replicated.len() { format!("<Marker>{}</Marker>", page + 1) } else { String::new() };
        backups(of, replicated.get(page).copied().unwrap_or_default(), &marker)
    })
}

const BOTH: [(SourceKind, &str, &str); 2] = [(SourceKind::Instance, "Instance", "db-instance-id"), (SourceKind::Cluster, "Cluster", "db-cluster-id")];

#[tokio::test]
async fn the_newest_instant_of_all_that_a_region_has_counts() {
    for (kind, of, filter) in BOTH {
        let (aws, wire) = region(of, &[&["2026-11-26T01:00:00Z"], &["2026-11-26T02:55:00Z", "2025-01-01T00:00:00Z"]], &["2026-11-26T02:50:00Z"]);
        assert_eq!(aws.restorable_until(&west(), &source(kind)).await, Ok(Some(at("2026-11-26T02:55:00Z"))));
        let asked: Vec<_> = calls(&wire).iter().map(form).collect();
        assert_eq!(asked.len(), 3);
        assert!(asked.iter().all(|sent| sent["Filters.Filter.1.Name"] == filter && sent["Filters.Filter.1.Values.Value.1"] == "portal"));
        let (aws, _) = region(of, &[&["2026-11-26T02:55:00Z"]], &["2026-11-26T02:58:00Z"]);
        assert_eq!(aws.restorable_until(&east(), &source(kind)).await, Ok(Some(at("2026-11-26T02:58:00Z"))), "its own region knows better");
        let (aws, _) = region(of, &[&[]], &[]);
        assert_eq!(aws.restorable_until(&west(), &source(kind)).await, Ok(None));
    }
}

#[tokio::test]
async fn no_automated_backup_is_none_and_no_answer_is_an_error() {
    for (kind, of, _) in BOTH {
        let (aws, _) = estate([existing(of, &[]), xml_error(404, &format!("DB{of}AutomatedBackupNotFoundFault"))]);
        assert_eq!(aws.restorable_until(&west(), &source(kind)).await, Ok(None));
        for (status, code, fault) in REFUSALS {
            let (aws, _) = estate([existing(of, &["2026-11-26T02:50:00Z"]), xml_error(status, code)]);
            assert_eq!(aws.restorable_until(&west(), &source(kind)).await.unwrap_err().fault, fault, "{code}");
        }
    }
}

#[tokio::test]
async fn a_cache_is_recovered_from_snapshots_alone() {
    let (aws, wire) = estate([]);
    assert_eq!(aws.restorable_until(&west(), &source(SourceKind::Cache)).await, Ok(None));
    assert_eq!(aws.snapshot_quota(&west(), SourceKind::Cache).await, Ok(None));
    assert!(calls(&wire).is_empty());
}

#[tokio::test]
async fn a_source_exists_where_it_is_described() {
    for (kind, of, filter) in BOTH {
        let (aws, wire) = estate([existing(of, &["2026-11-26T02:50:00Z"]), existing(of, &[]), xml_error(403, "AccessDenied")]);
        assert_eq!(aws.source_exists(&east(), &source(kind)).await, Ok(true));
        assert_eq!(aws.source_exists(&east(), &source(kind)).await, Ok(false));
        assert_eq!(aws.source_exists(&east(), &source(kind)).await.unwrap_err().fault, CallFault::Denied);
        assert_eq!(form(&calls(&wire)[0])["Filters.Filter.1.Name"], filter);
    }
    let group = xml("DescribeReplicationGroups", "<ReplicationGroups><ReplicationGroup><Status>available</Status></ReplicationGroup></ReplicationGroups>");
    let (aws, wire) = estate([group, xml_error(404, "ReplicationGroupNotFoundFault"), xml_error(500, "InternalFailure")]);
    assert_eq!(aws.source_exists(&east(), &source(SourceKind::Cache)).await, Ok(true));
    assert_eq!(aws.source_exists(&east(), &source(SourceKind::Cache)).await, Ok(false));
    assert_eq!(aws.source_exists(&east(), &source(SourceKind::Cache)).await.unwrap_err().fault, CallFault::Unavailable);
    assert_eq!(form(&calls(&wire)[0])["ReplicationGroupId"], "portal");
}

#[tokio::test]
async fn each_kind_has_its_quota_and_one_that_is_not_told_is_not_made_up() {
    let quota = |name: &str, used: u64| format!("<AccountQuota><AccountQuotaName>{name}</AccountQuotaName><Used>{used}</Used><Max>100</Max></AccountQuota>");
    let told = |quotas: &str| xml("DescribeAccountAttributes", &format!("<AccountQuotas>{quotas}</AccountQuotas>"));
    let all = [quota("ManualClusterSnapshots", 3), quota("ManualSnapshots", 97)].concat();
    let (aws, _) = estate([told(&all), told(&all), told(&quota("DBInstances", 3))]);
    assert_eq!(aws.snapshot_quota(&west(), SourceKind::Instance).await, Ok(Some(SnapshotQuota { used: 97, limit: 100 })));
    assert_eq!(aws.snapshot_quota(&west(), SourceKind::Cluster).await, Ok(Some(SnapshotQuota { used: 3, limit: 100 })));
    let error = aws.snapshot_quota(&west(), SourceKind::Instance).await.unwrap_err();
    assert!(error.fault == CallFault::Rejected && error.message.contains("ManualSnapshots"), "{error}");
}
