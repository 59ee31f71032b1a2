//! Snapshots of databases, clusters and caches, wherever they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{CallError, Region, Timestamp};

/// What snapshots are taken of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotSource {
    /// What it is: decides which of AWS's APIs is called.
    pub kind: SourceKind,
    /// Its identifier, in the region where its snapshots are taken. Copies of them name it too.
    pub name: Arc<str>,
}

/// What can be snapshotted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceKind {
    /// An RDS instance.
    Instance,
    /// An Aurora cluster.
    Cluster,
    /// An ElastiCache replication group.
    Cache,
}

/// Where snapshots are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotPlace {
    /// The region.
    pub region: Region,
    /// The account, where it is not the service's own.
    pub account: Option<Arc<str>>,
    /// The bucket, of exported snapshots.
    pub bucket: Option<Arc<str>>,
}

/// Whether a snapshot can be restored from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotStatus {
    /// `creating`, `copying`, `exporting`: being made.
    UnderWay,
    /// `available`.
    Available,
    /// `failed`, `incompatible-…`: it never will.
    Failed,
}

/// One snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its identifier.
    pub name: Arc<str>,
    /// Whether it can be restored from.
    pub status: SnapshotStatus,
    /// The instant that its data is of; a copy's is its original's (`OriginalSnapshotCreateTime`).
    pub taken_at: Timestamp,
    /// Bytes, where the service tells.
    pub size: Option<u64>,
    /// The ARN of the key that encrypts it.
    pub kms_key: Option<Arc<str>>,
    /// Its tags.
    pub tags: BTreeMap<Arc<str>, Arc<str>>,
    /// The attempts that have failed, the oldest first: only exports of databases tell, whose every attempt has a name of its own.
    pub failures: Vec<FailedAttempt>,
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FailedAttempt {
    /// When it had failed.
    pub at: Timestamp,
    /// Why, in the service's words.
    pub why: String,
}

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotPage {
    /// What is on it.
    pub snapshots: Vec<Snapshot>,
    /// Where the next one begins; `None` on the last.
    pub next: Option<Arc<str>>,
}

/// A copy of a snapshot, under the same name and with its tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotCopy<'a> {
    /// What it is of.
    pub source: &'a SnapshotSource,
    /// Its name, in both places.
    pub name: &'a str,
    /// From where; the adapter makes the ARN of it, since another region knows no bare name.
    pub from: &'a SnapshotPlace,
    /// To where: the call is made there. A bucket has to be in the region of `from`.
    pub to: &'a SnapshotPlace,
    /// The key of the destination.
    pub kms_key: Option<&'a str>,
    /// Of an export of a database's snapshot: who writes it, and what it is called.
    pub export: Option<ExportTask<'a>>,
}

/// What RDS wants to know of an export besides its source, bucket and key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportTask<'a> {
    /// Its identifier, which no other one has or had; its objects' keys begin with it and a slash.
    pub name: &'a str,
    /// The ARN of the role that RDS takes to write into the bucket.
    pub role: &'a str,
}

/// What became of a request for a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requested {
    /// It is being made.
    Started,
    /// There is one of that name already (`DBSnapshotAlreadyExists`, `SnapshotAlreadyExistsFault`): an earlier request was applied.
    NameTaken,
}

/// Snapshots.
pub trait Snapshots {
    /// A page of all snapshots of a source in a place, whoever made them; automated ones are not among them. A source without any has an empty page:
    /// so has one that does not exist. In a bucket, the exports of those snapshots that still exist, each under its snapshot's name.
    async fn list_snapshots(&self, place: &SnapshotPlace, source: &SnapshotSource, after: Option<&str>) -> Result<SnapshotPage, CallError>;

    /// Starts a snapshot. `NotFound` where there is no such source; `Rejected` where the quota is reached, or the source is busy.
    async fn create_snapshot(&self, region: &Region, source: &SnapshotSource, name: &str, tags: &BTreeMap<Arc<str>, Arc<str>>) -> Result<Requested, CallError>;

    /// Starts a copy, or an export where the destination is a bucket. `NotFound` where there is no such snapshot; `Rejected` where the quota of
    /// copies in flight is reached, or the key cannot be used.
    async fn copy_snapshot(&self, copy: &SnapshotCopy<'_>) -> Result<Requested, CallError>;

    /// Deletes a snapshot. `NotFound` where it is gone.
    async fn delete_snapshot(&self, place: &SnapshotPlace, source: &SnapshotSource, name: &str) -> Result<(), CallError>;
}

/// How many manual snapshots a region has, whoever made them, and how many it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotQuota {
    /// How many there are.
    pub used: u64,
    /// How many there may be.
    pub limit: u64,
}

/// What can be recovered besides snapshots, and what stands in the way of further ones.
pub trait Recoverability {
    /// The newest instant to which the source's automated backups in a region can be restored, be they its own or replicated from another region
    /// (`LatestRestorableTime`, `RestoreWindow.LatestTime`); `None` where there are none.
    async fn restorable_until(&self, region: &Region, source: &SnapshotSource) -> Result<Option<Timestamp>, CallError>;

    /// Whether the source exists.
    async fn source_exists(&self, region: &Region, source: &SnapshotSource) -> Result<bool, CallError>;

    /// The quota of a region's manual snapshots of instances (`ManualSnapshots`) or clusters (`ManualClusterSnapshots`); `None` of caches, which tell
    /// of none. Source: the API reference of RDS, DescribeAccountAttributes.
    async fn snapshot_quota(&self, region: &Region, kind: SourceKind) -> Result<Option<SnapshotQuota>, CallError>;
}
