//! Exports of a cache's snapshots: what lies in a bucket under their names.
//!
//! An export is an object per shard: `<name>-0001.rdb`, `<name>-0002.rdb`. Source: the ElastiCache user guide, "Exporting a backup". Objects have
//! neither the snapshot's tags nor its instant, so both come from the snapshot itself, and an export whose snapshot is gone is not listed: nothing is
//! copied or deleted for it, and what lies in the bucket is told by [`Buckets`].

use futures::{StreamExt, TryStreamExt, stream};
use muster_core::ports::{Buckets, Control, Ledger, Requested, Snapshot, SnapshotCopy, SnapshotPage, SnapshotStatus, StoredObject};
use muster_core::{CallError, CallFault, Clock, Duration, Region, Timestamp};

use super::caches::{name_and_status, taken};
use super::requested;
use crate::call::PAGES_SIDE_BY_SIDE;
use crate::{Aws, Failed, Target, classify};

/// More pages of objects than this are not read for one page of snapshots: a bucket of exports has an object per shard and night.
const MOST_PAGES: usize = 20;
/// Shards are written minutes apart. An export that no snapshot speaks of any more and that nothing was written to for so long has failed.
const ABANDONED: Duration = Duration::from_hours(1);

impl<X> Aws<X> {
    /// The exports of a page of snapshots.
    pub(super) async fn list_exports(&self, target: Target, bucket: &str, source: &str, after: Option<&str>) -> Result<SnapshotPage, CallError> {
        let (described, next) = self.describe_cache_snapshots(&target, source, after).await?;
        let names: Vec<&str> = described.iter().filter_map(|snapshot| snapshot.snapshot_name()).collect();
        if names.is_empty() {
            return Ok(SnapshotPage { snapshots: Vec::new(), next });
        }
        let objects = self.objects_under(&target.region, bucket, shared_prefix(&names)).await?;
        let now = self.now();
        let looked = stream::iter(&described).map(async |snapshot| {
            let Some((name, _)) = name_and_status(snapshot) else { return Ok(None) };
            let shards: Vec<&StoredObject> = objects.iter().filter(|object| is_shard(&object.key, name)).collect();
            let expected = snapshot.node_snapshots().len().max(1);
            let Some(status) = export_status(&shards, expected, snapshot.snapshot_status().unwrap_or_default(), now) else { return Ok(None) };
            let Some(tags) = self.cache_snapshot_tags(&target.region, snapshot).await? else { return Ok(None) };
            let taken_at = taken(snapshot, status, now).map_err(|failed| target.failed(failed))?;
            let size = shards.iter().map(|object| object.size).sum();
            // The bucket encrypts, with a key that S3 tells of one object at a time: [`Buckets::object_key`].
            Ok(Some(Snapshot { name: name.into(), status, taken_at, size: Some(size), kms_key: None, tags, failures: Vec::new() }))
        });
        let snapshots: Vec<Option<Snapshot>> = looked.buffered(PAGES_SIDE_BY_SIDE).try_collect().await?;
        Ok(SnapshotPage { snapshots: snapshots.into_iter().flatten().collect(), next })
    }

    async fn objects_under(&self, region: &Region, bucket: &str, prefix: &str) -> Result<Vec<StoredObject>, CallError> {
        let (mut objects, mut after) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let page = self.list_objects(region, bucket, prefix, after.as_deref()).await?;
            objects.extend(page.objects);
            after = page.next;
            if after.is_none() {
                return Ok(objects);
            }
        }
        let target = Target::data("s3:ListObjectsV2", region, format!("{bucket}/{prefix}"));
        let what = format!("more than {MOST_PAGES} pages of objects lie under `{prefix}`: give the exports a bucket of their own");
        Err(target.failed(Failed::new(CallFault::Rejected, what)))
    }
}

impl<X> Aws<X>
where
    Self: Control + Ledger,
{
    pub(super) async fn export_cache_snapshot(&self, target: Target, copy: &SnapshotCopy<'_>, bucket: &str) -> Result<Requested, CallError> {
        if copy.from.region != copy.to.region {
            let what = format!("s3://{bucket} has to be in {}, where the snapshot is: replication takes the objects further", copy.from.region);
            return Err(target.failed(Failed::new(CallFault::Rejected, what)));
        }
        let request = self.elasticache(&target.region).copy_snapshot().source_snapshot_name(copy.name).target_snapshot_name(copy.name).target_bucket(bucket);
        let send = async {
            match request.send().await.map_err(classify) {
                // "The S3 bucket %s already contains an object with key %s." Source: API reference of ElastiCache, CopySnapshot.
                Err(failed) if failed.code == "InvalidParameterValue" && failed.message.contains("already contains an object with key") => {
                    Ok(Requested::NameTaken)
                }
                answer => requested(answer, "SnapshotAlreadyExists"),
            }
        };
        self.mutate(target, send).await
    }
}

/// What all names begin with.
fn shared_prefix<'a>(names: &[&'a str]) -> &'a str {
    let Some((first, others)) = names.split_first() else { return "" };
    let length = others.iter().fold(first.len(), |length, name| first.bytes().zip(name.bytes()).take(length).take_while(|(a, b)| a == b).count());
    // Names are ASCII; a prefix that ends within a letter would be none.
    first.get(..length).unwrap_or("")
}

/// Whether an object is a shard of a snapshot's export, and not of one whose name begins with the same letters.
fn is_shard(key: &str, name: &str) -> bool {
    let number = key.strip_prefix(name).and_then(|rest| rest.strip_suffix(".rdb"));
    number.is_some_and(|number| number.strip_prefix('-').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())))
}

/// The status of an export; `None` where there is none.
fn export_status(shards: &[&StoredObject], expected: usize, snapshot: &str, now: Timestamp) -> Option<SnapshotStatus> {
    let last = shards.iter().map(|object| object.written_at).max();
    match (snapshot, last) {
        _ if shards.len() >= expected => Some(SnapshotStatus::Available),
        ("exporting" | "copying", _) => Some(SnapshotStatus::UnderWay),
        (_, None) => None,
        (_, Some(last)) if now.since(last) < ABANDONED => Some(SnapshotStatus::UnderWay),
        _ => Some(SnapshotStatus::Failed),
    }
}
