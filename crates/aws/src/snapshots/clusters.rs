//! Snapshots of Aurora clusters.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_rds::types::{DbClusterSnapshot, Filter};
use muster_core::ports::{Control, Ledger, Requested, Snapshot, SnapshotCopy, SnapshotPage};
use muster_core::{CallError, Clock, Region, Timestamp};

use super::instances::{PAGE, port_tags, sdk_tags};
use super::{next, requested, status_of, taken_at};
use crate::{Aws, Failed, Target, classify};

impl<X> Aws<X> {
    pub(super) async fn list_cluster_snapshots(&self, target: Target, source: &str, after: Option<&str>) -> Result<SnapshotPage, CallError> {
        // By the filter, as of instances: `DBClusterIdentifier` wants a cluster that exists.
        let filter = Filter::builder().name("db-cluster-id").values(source).build();
        let request = self
            .rds(&target.region)
            .describe_db_cluster_snapshots()
            .filters(filter)
            .snapshot_type("manual")
            .max_records(PAGE)
            .set_marker(after.map(str::to_owned));
        let page = self.read(target.clone(), async { request.send().await.map_err(classify) }).await?;
        let now = self.now();
        let snapshots = page.db_cluster_snapshots().iter().filter_map(|snapshot| described(snapshot, now).transpose());
        Ok(SnapshotPage { snapshots: snapshots.collect::<Result<_, _>>().map_err(|failed| target.failed(failed))?, next: next(page.marker.clone()) })
    }
}

impl<X> Aws<X>
where
    Self: Control + Ledger,
{
    pub(super) async fn create_cluster_snapshot(
        &self,
        region: &Region,
        source: &str,
        name: &str,
        tags: &BTreeMap<Arc<str>, Arc<str>>,
    ) -> Result<Requested, CallError> {
        let request =
            self.rds(region).create_db_cluster_snapshot().db_cluster_identifier(source).db_cluster_snapshot_identifier(name).set_tags(Some(sdk_tags(tags)));
        let target = Target::control("rds:CreateDBClusterSnapshot", region, name);
        self.mutate(target, async { requested(request.send().await.map_err(classify), "DBClusterSnapshotAlreadyExists") }).await
    }

    pub(super) async fn copy_cluster_snapshot(&self, target: Target, copy: &SnapshotCopy<'_>, original: &str) -> Result<Requested, CallError> {
        let request = self
            .rds(&target.region)
            .copy_db_cluster_snapshot()
            .source_db_cluster_snapshot_identifier(original)
            .target_db_cluster_snapshot_identifier(copy.name)
            .set_kms_key_id(copy.kms_key.map(str::to_owned))
            .copy_tags(true);
        self.mutate(target, async { requested(request.send().await.map_err(classify), "DBClusterSnapshotAlreadyExists") }).await
    }

    pub(super) async fn delete_cluster_snapshot(&self, target: Target, name: &str) -> Result<(), CallError> {
        let request = self.rds(&target.region).delete_db_cluster_snapshot().db_cluster_snapshot_identifier(name);
        self.mutate(target, async { request.send().await.map(drop).map_err(classify) }).await
    }
}

/// A copy of a cluster's snapshot tells no `OriginalSnapshotCreateTime`: its `SnapshotCreateTime` is all there is.
fn described(snapshot: &DbClusterSnapshot, now: Timestamp) -> Result<Option<Snapshot>, Failed> {
    let (Some(name), Some(status)) = (snapshot.db_cluster_snapshot_identifier(), status_of(snapshot.status().unwrap_or_default())) else { return Ok(None) };
    Ok(Some(Snapshot {
        name: name.into(),
        status,
        taken_at: taken_at(snapshot.snapshot_create_time(), status, name, now)?,
        // `AllocatedStorage` of a cluster is no size of its data either.
        size: None,
        kms_key: snapshot.kms_key_id().map(Into::into),
        tags: port_tags(snapshot.tag_list()),
        failures: Vec::new(),
    }))
}
