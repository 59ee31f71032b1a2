//! Snapshots of RDS instances.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_rds::types::{DbSnapshot, Filter, Tag};
use muster_core::ports::{Control, Ledger, Requested, Snapshot, SnapshotCopy, SnapshotPage};
use muster_core::{CallError, Clock, Region, Timestamp};

use super::{next, requested, status_of, taken_at};
use crate::{Aws, Failed, Target, classify};

/// A page of `DescribeDBSnapshots` and `DescribeDBClusterSnapshots` holds no more (their `MaxRecords`).
pub(super) const PAGE: i32 = 100;

impl<X> Aws<X> {
    pub(super) async fn list_instance_snapshots(&self, target: Target, source: &str, after: Option<&str>) -> Result<SnapshotPage, CallError> {
        // By the filter, an instance that is gone, or is another region's, still has its snapshots; `DBInstanceIdentifier` "must match the identifier
        // of an existing DBInstance".
        let filter = Filter::builder().name("db-instance-id").values(source).build();
        let request =
            self.rds(&target.region).describe_db_snapshots().filters(filter).snapshot_type("manual").max_records(PAGE).set_marker(after.map(str::to_owned));
        let page = self.read(target.clone(), async { request.send().await.map_err(classify) }).await?;
        let now = self.now();
        let snapshots = page.db_snapshots().iter().filter_map(|snapshot| described(snapshot, now).transpose());
        Ok(SnapshotPage { snapshots: snapshots.collect::<Result<_, _>>().map_err(|failed| target.failed(failed))?, next: next(page.marker.clone()) })
    }
}

impl<X> Aws<X>
where
    Self: Control + Ledger,
{
    pub(super) async fn create_instance_snapshot(
        &self,
        region: &Region,
        source: &str,
        name: &str,
        tags: &BTreeMap<Arc<str>, Arc<str>>,
    ) -> Result<Requested, CallError> {
        let request = self.rds(region).create_db_snapshot().db_instance_identifier(source).db_snapshot_identifier(name).set_tags(Some(sdk_tags(tags)));
        let target = Target::control("rds:CreateDBSnapshot", region, name);
        self.mutate(target, async { requested(request.send().await.map_err(classify), "DBSnapshotAlreadyExists") }).await
    }

    pub(super) async fn copy_instance_snapshot(&self, target: Target, copy: &SnapshotCopy<'_>, original: &str) -> Result<Requested, CallError> {
        let request = self
            .rds(&target.region)
            .copy_db_snapshot()
            .source_db_snapshot_identifier(original)
            .target_db_snapshot_identifier(copy.name)
            .set_kms_key_id(copy.kms_key.map(str::to_owned))
            // Across regions too, as long as the account is the same.
            .copy_tags(true);
        self.mutate(target, async { requested(request.send().await.map_err(classify), "DBSnapshotAlreadyExists") }).await
    }

    pub(super) async fn delete_instance_snapshot(&self, target: Target, name: &str) -> Result<(), CallError> {
        let request = self.rds(&target.region).delete_db_snapshot().db_snapshot_identifier(name);
        self.mutate(target, async { request.send().await.map(drop).map_err(classify) }).await
    }
}

fn described(snapshot: &DbSnapshot, now: Timestamp) -> Result<Option<Snapshot>, Failed> {
    let (Some(name), Some(status)) = (snapshot.db_snapshot_identifier(), status_of(snapshot.status().unwrap_or_default())) else { return Ok(None) };
    // `SnapshotCreateTime` "changes for the copy when the snapshot is copied"; the other does not.
    let said = snapshot.original_snapshot_create_time().or(snapshot.snapshot_create_time());
    Ok(Some(Snapshot {
        name: name.into(),
        status,
        taken_at: taken_at(said, status, name, now)?,
        // `AllocatedStorage` is the size of the disk, whatever is on it: no snapshot would ever look too small.
        size: None,
        kms_key: snapshot.kms_key_id().map(Into::into),
        tags: port_tags(snapshot.tag_list()),
        failures: Vec::new(),
    }))
}

pub(crate) fn sdk_tags(tags: &BTreeMap<Arc<str>, Arc<str>>) -> Vec<Tag> {
    tags.iter().map(|(name, value)| Tag::builder().key(&**name).value(&**value).build()).collect()
}

pub(crate) fn port_tags(tags: &[Tag]) -> BTreeMap<Arc<str>, Arc<str>> {
    tags.iter().filter_map(|tag| Some((tag.key()?.into(), tag.value().unwrap_or_default().into()))).collect()
}
