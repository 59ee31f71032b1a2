//! Snapshots.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_core::ports::{Recoverability, Requested, SnapshotCopy, SnapshotPage, SnapshotPlace, SnapshotQuota, SnapshotSource, Snapshots, SourceKind};
use muster_core::{CallError, Region, Timestamp};
use muster_plan::RegionRole;

use crate::ports::control;
use crate::world::World;

impl Snapshots for World {
    async fn list_snapshots(&self, place: &SnapshotPlace, source: &SnapshotSource, after: Option<&str>) -> Result<SnapshotPage, CallError> {
        let operation = match (source.kind, &place.bucket) {
            (SourceKind::Instance | SourceKind::Cluster, Some(_)) => "rds:DescribeExportTasks",
            (SourceKind::Cache, Some(_)) => "s3:ListBucket",
            (SourceKind::Instance, None) => "rds:DescribeDBSnapshots",
            (SourceKind::Cluster, None) => "rds:DescribeDBClusterSnapshots",
            (SourceKind::Cache, None) => "elasticache:DescribeSnapshots",
        };
        let is_export = operation == "rds:DescribeExportTasks";
        self.read(control(operation, &place.region, &*source.name), |estate, stale| match is_export {
            true => estate.list_exports(place, source, after, stale),
            false => estate.list_snapshots(place, source, after, stale),
        })
        .await
    }

    async fn create_snapshot(&self, region: &Region, source: &SnapshotSource, name: &str, tags: &BTreeMap<Arc<str>, Arc<str>>) -> Result<Requested, CallError> {
        let operation = match source.kind {
            SourceKind::Instance => "rds:CreateDBSnapshot",
            SourceKind::Cluster => "rds:CreateDBClusterSnapshot",
            SourceKind::Cache => "elasticache:CreateSnapshot",
        };
        self.mutate(control(operation, region, name).changing(), |estate| estate.create_snapshot(region, source, name, tags)).await
    }

    async fn copy_snapshot(&self, copy: &SnapshotCopy<'_>) -> Result<Requested, CallError> {
        if let Some(export) = copy.export {
            let calling = control("rds:StartExportTask", &copy.to.region, export.name).changing();
            return self.mutate(calling, |estate| estate.start_export(copy, export.name)).await;
        }
        let operation = match copy.source.kind {
            SourceKind::Instance => "rds:CopyDBSnapshot",
            SourceKind::Cluster => "rds:CopyDBClusterSnapshot",
            SourceKind::Cache => "elasticache:CopySnapshot",
        };
        self.mutate(control(operation, &copy.to.region, copy.name).changing(), |estate| estate.copy_snapshot(copy)).await
    }

    async fn delete_snapshot(&self, place: &SnapshotPlace, source: &SnapshotSource, name: &str) -> Result<(), CallError> {
        let operation = match source.kind {
            SourceKind::Instance => "rds:DeleteDBSnapshot",
            SourceKind::Cluster => "rds:DeleteDBClusterSnapshot",
            SourceKind::Cache => "elasticache:DeleteSnapshot",
        };
        self.mutate(control(operation, &place.region, name).changing(), |estate| estate.delete_snapshot(place, name)).await
    }
}

impl Recoverability for World {
    async fn restorable_until(&self, region: &Region, source: &SnapshotSource) -> Result<Option<Timestamp>, CallError> {
        let operation = match (source.kind, self.region(RegionRole::Primary) == *region) {
            (SourceKind::Cluster, _) => "rds:DescribeDBClusterAutomatedBackups",
            (_, true) => "rds:DescribeDBInstances",
            (_, false) => "rds:DescribeDBInstanceAutomatedBackups",
        };
        self.read(control(operation, region, &*source.name), |estate, _| estate.restorable_until(region, source)).await
    }

    async fn source_exists(&self, region: &Region, source: &SnapshotSource) -> Result<bool, CallError> {
        let operation = match source.kind {
            SourceKind::Instance => "rds:DescribeDBInstances",
            SourceKind::Cluster => "rds:DescribeDBClusters",
            SourceKind::Cache => "elasticache:DescribeReplicationGroups",
        };
        self.read(control(operation, region, &*source.name), |estate, _| estate.source_exists(region, source)).await
    }

    async fn snapshot_quota(&self, region: &Region, kind: SourceKind) -> Result<Option<SnapshotQuota>, CallError> {
        self.read(control("rds:DescribeAccountAttributes", region, region.as_str()), |estate, _| estate.snapshot_quota(region, kind)).await
    }
}
