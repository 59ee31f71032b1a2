//! Snapshots.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_core::ports::{Requested, SnapshotCopy, SnapshotPage, SnapshotPlace, SnapshotSource, Snapshots, SourceKind};
use muster_core::{CallError, Region};

use crate::ports::control;
use crate::world::World;

impl Snapshots for World {
    async fn list_snapshots(&self, place: &SnapshotPlace, source: &SnapshotSource, after: Option<&str>) -> Result<SnapshotPage, CallError> {
        let operation = match (source.kind, &place.bucket) {
            (_, Some(_)) => "s3:ListBucket",
            (SourceKind::Instance, None) => "rds:DescribeDBSnapshots",
            (SourceKind::Cluster, None) => "rds:DescribeDBClusterSnapshots",
            (SourceKind::Cache, None) => "elasticache:DescribeSnapshots",
        };
        self.read(control(operation, &place.region, &*source.name), |estate, _| estate.list_snapshots(place, source, after)).await
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
