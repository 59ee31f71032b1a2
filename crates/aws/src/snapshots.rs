//! Snapshots of RDS instances, Aurora clusters and ElastiCache replication groups, and what can be recovered besides them.
//!
//! Three APIs with one meaning: a file each. What all three share is here: which of them is asked, and how a snapshot is named to another region.

mod archives;
mod caches;
mod clusters;
mod exports;
mod instances;
mod recoverability;

pub(crate) use instances::{port_tags, sdk_tags};

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_smithy_types::DateTime;
use muster_core::ports::{Control, Ledger, Requested, SnapshotCopy, SnapshotPage, SnapshotPlace, SnapshotSource, SnapshotStatus, Snapshots, SourceKind};
use muster_core::{CallError, CallFault, Region, Timestamp};

use crate::{Aws, Failed, Target};

impl<X> Snapshots for Aws<X>
where
    Self: Control + Ledger,
{
    async fn list_snapshots(&self, place: &SnapshotPlace, source: &SnapshotSource, after: Option<&str>) -> Result<SnapshotPage, CallError> {
        let target = match source.kind {
            SourceKind::Instance => Target::control("rds:DescribeDBSnapshots", &place.region, source.name.clone()),
            SourceKind::Cluster => Target::control("rds:DescribeDBClusterSnapshots", &place.region, source.name.clone()),
            SourceKind::Cache => Target::control("elasticache:DescribeSnapshots", &place.region, source.name.clone()),
        };
        reachable(&target, place)?;
        match (source.kind, &place.bucket) {
            (SourceKind::Instance, None) => self.list_instance_snapshots(target, &source.name, after).await,
            (SourceKind::Cluster, None) => self.list_cluster_snapshots(target, &source.name, after).await,
            (SourceKind::Cache, None) => self.list_cache_snapshots(target, &source.name, after).await,
            (SourceKind::Cache, Some(bucket)) => self.list_exports(target, bucket, &source.name, after).await,
            (SourceKind::Instance, Some(bucket)) => {
                let page = self.list_instance_snapshots(target, &source.name, after).await?;
                self.exported(&place.region, bucket, source.kind, page).await
            }
            (SourceKind::Cluster, Some(bucket)) => {
                let page = self.list_cluster_snapshots(target, &source.name, after).await?;
                self.exported(&place.region, bucket, source.kind, page).await
            }
        }
    }

    async fn create_snapshot(&self, region: &Region, source: &SnapshotSource, name: &str, tags: &BTreeMap<Arc<str>, Arc<str>>) -> Result<Requested, CallError> {
        match source.kind {
            SourceKind::Instance => self.create_instance_snapshot(region, &source.name, name, tags).await,
            SourceKind::Cluster => self.create_cluster_snapshot(region, &source.name, name, tags).await,
            SourceKind::Cache => self.create_cache_snapshot(region, &source.name, name, tags).await,
        }
    }

    async fn copy_snapshot(&self, copy: &SnapshotCopy<'_>) -> Result<Requested, CallError> {
        let region = &copy.to.region;
        let target = match (copy.source.kind, copy.export) {
            (SourceKind::Instance | SourceKind::Cluster, Some(export)) => Target::control("rds:StartExportTask", region, export.name),
            (SourceKind::Instance, None) => Target::control("rds:CopyDBSnapshot", region, copy.name),
            (SourceKind::Cluster, None) => Target::control("rds:CopyDBClusterSnapshot", region, copy.name),
            (SourceKind::Cache, _) => Target::control("elasticache:CopySnapshot", region, copy.name),
        };
        reachable(&target, copy.from)?;
        reachable(&target, copy.to)?;
        let arn = |resource: &str| self.original(copy, resource).map_err(|failed| target.failed(failed));
        match (copy.source.kind, &copy.to.bucket) {
            (SourceKind::Instance, None) => self.copy_instance_snapshot(target.clone(), copy, &arn("snapshot")?).await,
            (SourceKind::Cluster, None) => self.copy_cluster_snapshot(target.clone(), copy, &arn("cluster-snapshot")?).await,
            (SourceKind::Cache, Some(bucket)) => self.export_cache_snapshot(target, copy, bucket).await,
            (SourceKind::Cache, None) => {
                Err(target.failed(Failed::new(CallFault::Rejected, "a cache's snapshot stays in its region: ElastiCache copies to a bucket only")))
            }
            (SourceKind::Instance | SourceKind::Cluster, Some(bucket)) => match copy.export {
                Some(export) => self.start_export(target, copy, bucket, export).await,
                None => Err(target.failed(no_bucket(bucket))),
            },
        }
    }

    async fn delete_snapshot(&self, place: &SnapshotPlace, source: &SnapshotSource, name: &str) -> Result<(), CallError> {
        let target = match source.kind {
            SourceKind::Instance => Target::control("rds:DeleteDBSnapshot", &place.region, name),
            SourceKind::Cluster => Target::control("rds:DeleteDBClusterSnapshot", &place.region, name),
            SourceKind::Cache => Target::control("elasticache:DeleteSnapshot", &place.region, name),
        };
        reachable(&target, place)?;
        match (source.kind, &place.bucket) {
            (SourceKind::Instance, None) => self.delete_instance_snapshot(target, name).await,
            (SourceKind::Cluster, None) => self.delete_cluster_snapshot(target, name).await,
            (SourceKind::Cache, None) => self.delete_cache_snapshot(target, name).await,
            // No role of Muster's may delete objects: who takes over the one cannot then empty the other.
            (SourceKind::Cache, Some(bucket)) => Err(target.failed(Failed::new(
                CallFault::Rejected,
                format!(
                    "Muster deletes nothing in a bucket: delete the objects whose keys begin with `{name}` from s3://{bucket}, or leave them to its lifecycle"
                ),
            ))),
            (_, Some(bucket)) => Err(target.failed(no_bucket(bucket))),
        }
    }
}

impl<X> Aws<X> {
    /// The ARN of the snapshot that is copied: another region knows no bare name. Source: API reference of RDS, CopyDBSnapshot.
    fn original(&self, copy: &SnapshotCopy<'_>, resource: &str) -> Result<String, Failed> {
        let arn = self.snapshot_arn(&copy.from.region, resource, copy.name)?;
        // "You must specify this parameter when you copy an encrypted DB snapshot from another Region", "[it] applies only to GovCloud (US) Regions":
        // the documentation of `PreSignedUrl`, which the SDK does not make.
        if arn.starts_with("arn:aws-us-gov:") && copy.from.region != copy.to.region && copy.kms_key.is_some() {
            return Err(Failed::new(
                CallFault::Rejected,
                "between the regions of GovCloud an encrypted copy needs a presigned URL, which Muster does not make",
            ));
        }
        Ok(arn)
    }

    /// The ARN of a snapshot of the service's own account. `resource`: `snapshot` of an instance, `cluster-snapshot` of a cluster.
    pub(crate) fn snapshot_arn(&self, region: &Region, resource: &str, name: &str) -> Result<String, Failed> {
        let (partition, account) = self.settings().partition_and_account().ok_or_else(|| {
            let prefix = &self.settings().flow_arn_prefix;
            Failed::new(
                CallFault::Rejected,
                format!("the state machines' prefix, MUSTER_FLOW_ARN_PREFIX, is `{prefix}`, which tells no account: a snapshot's ARN cannot be made"),
            )
        })?;
        Ok(format!("arn:{partition}:rds:{region}:{account}:{resource}:{name}"))
    }
}

/// In another account nothing can be listed, copied or deleted without a role there, and an installation knows of none.
fn reachable(target: &Target, place: &SnapshotPlace) -> Result<(), CallError> {
    let Some(account) = &place.account else { return Ok(()) };
    Err(target.failed(Failed::new(
        CallFault::Rejected,
        format!(
            "Muster has no role in account {account}: whatever is in the vault is called for from that account, with a role that Muster may assume there \
             and a key that both accounts may use, and the installation has a setting for neither; nothing was shared or copied"
        ),
    )))
}

fn no_bucket(bucket: &str) -> Failed {
    Failed::new(CallFault::Rejected, format!("s3://{bucket}: a snapshot of a database is exported there by a task, and what lies there is nobody's to delete"))
}

/// What became of a request for a snapshot, where one of these codes says that the name is taken.
pub(crate) fn requested<T>(answer: Result<T, Failed>, taken: &str) -> Result<Requested, Failed> {
    match answer {
        Ok(_) => Ok(Requested::Started),
        Err(failed) if failed.code.strip_suffix("Fault").unwrap_or(&failed.code) == taken => Ok(Requested::NameTaken),
        Err(failed) => Err(failed),
    }
}

/// The status of a snapshot; `None` of one that is being deleted: it is gone for whoever counts on it, and no longer there to be deleted.
///
/// Sources: the `Status` of DBSnapshot and DBClusterSnapshot and the `SnapshotStatus` of ElastiCache's Snapshot in their API references, which name
/// no failures; the RDS user guide does.
fn status_of(status: &str) -> Option<SnapshotStatus> {
    match status {
        // A restore from it is under way: so one can restore from it.
        "available" | "restoring" => Some(SnapshotStatus::Available),
        "deleting" => None,
        "failed" => Some(SnapshotStatus::Failed),
        _ if status.starts_with("incompatible-") => Some(SnapshotStatus::Failed),
        // What failed is deleted and made again: what nobody knows is waited for instead, and waiting has an end.
        _ => Some(SnapshotStatus::UnderWay),
    }
}

/// The instant that a snapshot's data is of. One that is not available yet may tell none: its data is not older than now.
///
/// `Rejected` where an available one does not say: it could be neither kept nor deleted for its age.
fn taken_at(said: Option<&DateTime>, status: SnapshotStatus, name: &str, now: Timestamp) -> Result<Timestamp, Failed> {
    match said.and_then(instant) {
        Some(at) => Ok(at),
        None if status != SnapshotStatus::Available => Ok(now),
        None => Err(Failed::new(CallFault::Rejected, format!("{name} is available, and the answer does not say when it was taken"))),
    }
}

fn instant(at: &DateTime) -> Option<Timestamp> {
    at.to_millis().ok().map(Timestamp::from_millis)
}

/// A marker of the Query protocol: empty on the last page.
fn next(marker: Option<String>) -> Option<Arc<str>> {
    marker.filter(|marker| !marker.is_empty()).map(Into::into)
}

#[cfg(test)]
mod tests;
