//! Snapshots of ElastiCache replication groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_elasticache::types::{Snapshot as Described, Tag};
use futures::{StreamExt, TryStreamExt, stream};
use muster_core::ports::{Control, Ledger, Requested, Snapshot, SnapshotPage, SnapshotStatus};
use muster_core::{CallError, CallFault, Clock, Region, Timestamp};

use super::{instant, next, requested, status_of, taken_at};
use crate::call::PAGES_SIDE_BY_SIDE;
use crate::{Aws, Failed, Target, classify};

/// A page of `DescribeSnapshots` holds no more (its `MaxRecords`).
const PAGE: i32 = 50;

/// What a snapshot is tagged with.
pub(super) type Tags = BTreeMap<Arc<str>, Arc<str>>;

impl<X> Aws<X> {
    pub(super) async fn list_cache_snapshots(&self, target: Target, source: &str, after: Option<&str>) -> Result<SnapshotPage, CallError> {
        let (page, next) = self.describe_cache_snapshots(&target, source, after).await?;
        let now = self.now();
        let looked = stream::iter(&page).map(async |snapshot| {
            let Some((name, status)) = name_and_status(snapshot) else { return Ok(None) };
            let Some(tags) = self.cache_snapshot_tags(&target.region, snapshot).await? else { return Ok(None) };
            let taken_at = taken(snapshot, status, now).map_err(|failed| target.failed(failed))?;
            // `CacheSize` is a rounded text of the memory, and nothing tells what the snapshot takes.
            Ok(Some(Snapshot { name: name.into(), status, taken_at, size: None, kms_key: snapshot.kms_key_id().map(Into::into), tags, failures: Vec::new() }))
        });
        let snapshots: Vec<Option<Snapshot>> = looked.buffered(PAGES_SIDE_BY_SIDE).try_collect().await?;
        Ok(SnapshotPage { snapshots: snapshots.into_iter().flatten().collect(), next })
    }

    /// A page of the manual snapshots of a group, as ElastiCache describes them.
    pub(super) async fn describe_cache_snapshots(
        &self,
        target: &Target,
        source: &str,
        after: Option<&str>,
    ) -> Result<(Vec<Described>, Option<Arc<str>>), CallError> {
        let request = self
            .elasticache(&target.region)
            .describe_snapshots()
            .replication_group_id(source)
            .snapshot_source("user")
            .max_records(PAGE)
            .set_marker(after.map(str::to_owned));
        match self.read(target.clone(), async { request.send().await.map_err(classify) }).await {
            Ok(page) => Ok((page.snapshots.unwrap_or_default(), next(page.marker))),
            // What does not exist has none.
            Err(error) if error.fault == CallFault::NotFound => Ok((Vec::new(), None)),
            Err(error) => Err(error),
        }
    }

    /// The tags of a snapshot, which only a call of their own tells; `None` where it has been deleted since it was listed.
    pub(super) async fn cache_snapshot_tags(&self, region: &Region, snapshot: &Described) -> Result<Option<Tags>, CallError> {
        let target = Target::control("elasticache:ListTagsForResource", region, snapshot.snapshot_name().unwrap_or_default());
        let arn = snapshot.arn().ok_or_else(|| target.failed(Failed::new(CallFault::Rejected, "the answer tells no ARN of it, so its tags cannot be read")))?;
        let request = self.elasticache(region).list_tags_for_resource().resource_name(arn);
        match self.read(target, async { request.send().await.map_err(classify) }).await {
            Ok(answer) => Ok(Some(answer.tag_list().iter().filter_map(|tag| Some((tag.key()?.into(), tag.value().unwrap_or_default().into()))).collect())),
            Err(error) if error.fault == CallFault::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl<X> Aws<X>
where
    Self: Control + Ledger,
{
    pub(super) async fn create_cache_snapshot(&self, region: &Region, source: &str, name: &str, tags: &Tags) -> Result<Requested, CallError> {
        let tags = tags.iter().map(|(name, value)| Tag::builder().key(&**name).value(&**value).build()).collect();
        let request = self.elasticache(region).create_snapshot().replication_group_id(source).snapshot_name(name).set_tags(Some(tags));
        let target = Target::control("elasticache:CreateSnapshot", region, name);
        self.mutate(target, async { requested(request.send().await.map_err(classify), "SnapshotAlreadyExists") }).await
    }

    pub(super) async fn delete_cache_snapshot(&self, target: Target, name: &str) -> Result<(), CallError> {
        let request = self.elasticache(&target.region).delete_snapshot().snapshot_name(name);
        self.mutate(target, async { request.send().await.map(drop).map_err(classify) }).await
    }
}

/// `None` of one that is being deleted.
pub(super) fn name_and_status(snapshot: &Described) -> Option<(&str, SnapshotStatus)> {
    Some((snapshot.snapshot_name()?, status_of(snapshot.snapshot_status().unwrap_or_default())?))
}

/// Each shard tells its own instant: the data is whole as of the first of them.
pub(super) fn taken(snapshot: &Described, status: SnapshotStatus, now: Timestamp) -> Result<Timestamp, Failed> {
    let shards = snapshot.node_snapshots().iter().filter_map(|node| node.snapshot_create_time());
    let first = shards.min_by_key(|at| instant(at));
    taken_at(first, status, snapshot.snapshot_name().unwrap_or_default(), now)
}
