//! Buckets: the objects that others write on their schedules, and their replicas. None is stored: each is computed when somebody looks.
//!
//! Modelled: keys, sizes, when each is written and when its replica arrives, pages, encryption, lifecycles that let old ones expire. Not modelled:
//! content, versions, storage classes, listing rates.

use std::sync::Arc;

use muster_backups::slots;
use muster_core::ports::{EncryptionKey, ObjectPage, StoredObject};
use muster_core::{CallFault, Duration, Region, Timestamp};
use muster_plan::{Backup, BackupMethod, Occasion, Retention};

use crate::estate::Estate;
use crate::snapshots::{SnapshotFault, Stored};
use crate::world::Refusal;

/// ListObjectsV2 returns at most so many at once. Source: its API reference, `MaxKeys`.
const PAGE: usize = 1_000;
/// What a plan says nothing else about is kept so long.
const KEPT: Duration = Duration::from_hours(30 * 24);
/// What is written all the time is kept so long at most.
const LOGS_KEPT: Duration = Duration::from_hours(7 * 24);

/// Something that goes wrong with a bucket, or with a backup that others write, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectFault {
    /// Everything is denied in the bucket.
    Denied,
    /// The bucket can be listed, and what encrypts its objects cannot be read.
    KeysDenied,
    /// The bucket does not exist.
    Missing,
    /// Listings of the bucket are empty, without an error.
    Empty,
    /// Calls to the bucket are refused for their rate.
    Throttled,
    /// Of the bucket's listing, nobody answers any page but the first.
    EndsEarly,
    /// What is written arrives in the bucket only when this is over.
    ReplicationLags,
    /// What is written never arrives in the bucket.
    ReplicationSkips,
    /// What arrives in the bucket has the same size and another content.
    Garbled,
    /// The bucket's objects are encrypted with a key that nobody expects.
    OtherKey,
    /// Nobody writes the backup.
    NobodyWrites,
    /// What is written of the backup has a tenth of its size.
    Shrunken,
    /// The bucket has no lifecycle.
    NoLifecycle,
    /// The bucket's lifecycle deletes everything after a month.
    ExpiresEarly,
}

/// What is set about buckets.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// Faults of buckets and backups, by the plan's names, each from an instant until another.
    pub faults: Vec<(ObjectFault, String, Timestamp, Timestamp)>,
    /// How often a backup is written, where that is not by the plan.
    pub periods: Vec<(String, Duration)>,
}

impl Objects {
    /// Until when a fault stands that strikes at an instant.
    fn until(&self, at: Timestamp, fault: ObjectFault, of: &str) -> Option<Timestamp> {
        self.faults.iter().find(|(known, name, from, until)| *known == fault && name == of && *from <= at && at < *until).map(|(.., until)| *until)
    }

    pub(crate) fn strikes(&self, at: Timestamp, fault: ObjectFault, of: &str) -> bool {
        self.until(at, fault, of).is_some()
    }
}

/// How often something is written.
enum Cadence<'a> {
    Slots(&'a muster_plan::Schedule),
    Every(Duration),
}

/// Objects of one backup in one bucket.
struct Stream<'a> {
    backup: &'a Backup,
    /// Where it arrives by replication; `None` where it is written.
    replica: Option<&'a str>,
    /// What stands before the part of the keys that both places share.
    prefix: &'a str,
}

impl Estate {
    pub(crate) fn list_objects(&self, region: &Region, bucket: &str, prefix: &str, after: Option<&str>) -> Result<ObjectPage, Refusal> {
        let now = self.now();
        self.bucket_answers(region, bucket)?;
        if after.is_some() && self.objects.strikes(now, ObjectFault::EndsEarly, bucket) {
            return Err((CallFault::TimedOut, "no answer within 3s".to_owned()));
        }
        if self.objects.strikes(now, ObjectFault::Empty, bucket) {
            return Ok(ObjectPage::default());
        }
        let mut objects: Vec<StoredObject> = Vec::new();
        for stream in self.streams(region, bucket) {
            let wanted = |object: &StoredObject| object.key.starts_with(prefix) && after.is_none_or(|after| *object.key > *after);
            objects.extend(self.objects_of(&stream, after).filter(wanted).take(PAGE + 1));
        }
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        let next = (objects.len() > PAGE).then(|| objects[PAGE - 1].key.clone());
        objects.truncate(PAGE);
        Ok(ObjectPage { objects, next })
    }

    pub(crate) fn object_key(&self, region: &Region, bucket: &str, key: &str) -> Result<Option<Arc<str>>, Refusal> {
        let now = self.now();
        self.bucket_answers(region, bucket)?;
        if self.objects.strikes(now, ObjectFault::KeysDenied, bucket) {
            return Err((CallFault::Denied, "AccessDenied: not authorized to perform s3:GetObject".to_owned()));
        }
        let streams = self.streams(region, bucket);
        let stream = streams.iter().find(|stream| self.has(stream, key));
        let Some(stream) = stream else { return Err((CallFault::NotFound, format!("NoSuchKey: {key}"))) };
        if self.objects.strikes(now, ObjectFault::OtherKey, bucket) {
            return Ok(Some(key_arn(region, "alias/somebody-elses")));
        }
        if let BackupMethod::SnapshotExport { kms_key, .. } = &stream.backup.method {
            return Ok(Some(key_arn(region, kms_key)));
        }
        let copy = stream.backup.copy.as_ref().filter(|_| stream.replica.is_some());
        Ok(copy.and_then(|copy| copy.kms_key.as_deref()).map(|name| key_arn(region, name)))
    }

    pub(crate) fn describe_key(&self, region: &Region, name: &str) -> Result<Option<EncryptionKey>, Refusal> {
        let (now, snapshots) = (self.now(), &self.snapshots);
        snapshots.answers(now, region)?;
        Ok(match () {
            () if snapshots.strikes(now, |fault| *fault == SnapshotFault::KeyMissing(region.clone())) => None,
            () if snapshots.strikes(now, |fault| *fault == SnapshotFault::KeyDisabled(region.clone())) => Some(EncryptionKey::Disabled),
            () => Some(EncryptionKey::Enabled { arn: key_arn(region, name) }),
        })
    }

    pub(crate) fn bucket_answers(&self, region: &Region, bucket: &str) -> Result<(), Refusal> {
        let now = self.now();
        if self.objects.strikes(now, ObjectFault::Denied, bucket) {
            return Err((CallFault::Denied, "AccessDenied: Access Denied".to_owned()));
        }
        if self.objects.strikes(now, ObjectFault::Throttled, bucket) {
            return Err((CallFault::Throttled, "SlowDown: Please reduce your request rate".to_owned()));
        }
        if self.objects.strikes(now, ObjectFault::Missing, bucket) || self.streams(region, bucket).is_empty() {
            return Err((CallFault::NotFound, format!("NoSuchBucket: {bucket}")));
        }
        Ok(())
    }

    /// What lies in a bucket of a region, by the plan.
    fn streams<'a>(&'a self, region: &Region, bucket: &str) -> Vec<Stream<'a>> {
        let mut streams = Vec::new();
        let regions = &self.plan.regions;
        for backup in &self.plan.backups {
            let (written, prefix, role) = match &backup.method {
                BackupMethod::S3Objects { bucket, prefix, region } => (Some(bucket.as_str()), prefix.as_deref().unwrap_or(""), *region),
                BackupMethod::CacheSnapshot { export_bucket } => (export_bucket.as_deref(), "", None),
                BackupMethod::SnapshotExport { bucket, .. } => (Some(bucket.as_str()), "", None),
                _ => continue,
            };
            if written == Some(bucket) && regions.get(role.unwrap_or(muster_plan::RegionRole::Primary)) == region {
                streams.push(Stream { backup, replica: None, prefix });
            }
            let copy = backup.copy.as_ref().filter(|_| *region == regions.standby);
            if let Some((name, copy)) = copy.and_then(|copy| Some((copy.bucket.as_deref()?, copy))).filter(|(name, _)| *name == bucket) {
                streams.push(Stream { backup, replica: Some(name), prefix: copy.prefix.as_deref().unwrap_or("") });
            }
        }
        streams
    }

    /// A stream's objects that are there now, in the order of their keys, from the first that can come after a key.
    fn objects_of<'a>(&'a self, stream: &'a Stream<'a>, after: Option<&str>) -> Box<dyn Iterator<Item = StoredObject> + 'a> {
        if let BackupMethod::CacheSnapshot { export_bucket } = &stream.backup.method {
            return Box::new(self.exports(stream, export_bucket.as_deref().unwrap_or("")));
        }
        if let BackupMethod::SnapshotExport { bucket, .. } = &stream.backup.method {
            return Box::new(self.archived(bucket));
        }
        let (now, kept) = (self.now(), kept(stream.backup));
        let base = base(stream);
        let first = after.and_then(|after| after.strip_prefix(&base)?.parse().ok()).map_or(now.before(kept), Timestamp::from_millis).max(now.before(kept));
        let instants: Box<dyn Iterator<Item = Timestamp> + 'a> = match self.cadence(stream.backup) {
            Cadence::Slots(schedule) => Box::new(slots(schedule, first, now)),
            Cadence::Every(period) => {
                let period = i64::try_from(period.as_millis()).unwrap_or(i64::MAX);
                Box::new((first.as_millis() / period + 1..=now.as_millis() / period).map(move |ordinal| Timestamp::from_millis(ordinal * period)))
            }
        };
        Box::new(
            instants.filter_map(move |instant| self.object(stream, &base, instant)).filter(move |(there_at, _)| *there_at <= now).map(|(_, object)| object),
        )
    }

    fn has(&self, stream: &Stream<'_>, key: &str) -> bool {
        if matches!(stream.backup.method, BackupMethod::CacheSnapshot { .. } | BackupMethod::SnapshotExport { .. }) {
            return self.objects_of(stream, None).any(|object| *object.key == *key);
        }
        let base = base(stream);
        let instant = key.strip_prefix(&base).and_then(|instant| instant.parse().ok()).map(Timestamp::from_millis);
        instant.and_then(|instant| self.object(stream, &base, instant)).is_some_and(|(there_at, _)| there_at <= self.now())
    }

    fn cadence<'a>(&self, backup: &'a Backup) -> Cadence<'a> {
        if let Some((_, period)) = self.objects.periods.iter().find(|(name, _)| backup.name == *name.as_str()) {
            return Cadence::Every(*period);
        }
        match &backup.every {
            Some(schedule) => Cadence::Slots(schedule),
            // Often enough that the newest is never as old as it may be.
            None => Cadence::Every(backup.max_age.map_or(Duration::from_hours(6), |age| Duration::from_millis(age.as_millis() / 4))),
        }
    }

    /// The object of an instant, and since when it is there.
    fn object(&self, stream: &Stream<'_>, base: &str, instant: Timestamp) -> Option<(Timestamp, StoredObject)> {
        let backup = stream.backup.name.as_str();
        let ordinal = instant.as_millis().unsigned_abs();
        let bits = self.durations.draw().bits(backup, "object", ordinal);
        // A dump takes minutes; a log is shipped at once.
        let is_dump = stream.backup.every.is_some();
        let takes = if is_dump { 120_000 + bits % 480_000 } else { bits % 2_000 };
        let written_at = instant.after(Duration::from_millis(takes));
        if self.objects.strikes(written_at, ObjectFault::NobodyWrites, backup) {
            return None;
        }
        let usual = if is_dump { (1 << 30) + (bits >> 32) % (1 << 26) } else { 1 << 24 };
        let size = if self.objects.strikes(written_at, ObjectFault::Shrunken, backup) { usual / 10 } else { usual };
        let (there_at, tag) = self.arrival(stream, written_at, bits)?;
        Some((there_at, StoredObject { key: format!("{base}{ordinal:013}").into(), size, written_at, entity_tag: Some(tag) }))
    }

    /// Since when an object is in the stream's bucket, and its tag there. A replica keeps the instant at which its original was written. Source: the S3
    /// user guide, "Replicating objects overview".
    fn arrival(&self, stream: &Stream<'_>, written_at: Timestamp, bits: u64) -> Option<(Timestamp, Arc<str>)> {
        let Some(bucket) = stream.replica else { return Some((written_at, tag(bits))) };
        let strikes = |fault| self.objects.strikes(written_at, fault, bucket);
        if strikes(ObjectFault::ReplicationSkips) {
            return None;
        }
        // Most objects within seconds, the most within 15 minutes. Source: the S3 user guide, "S3 Replication Time Control".
        let there_at = written_at.after(Duration::from_millis(1_000 + bits % 59_000));
        let there_at = self.objects.until(written_at, ObjectFault::ReplicationLags, bucket).map_or(there_at, |until| until.max(there_at));
        Some((there_at, tag(if strikes(ObjectFault::Garbled) { !bits } else { bits })))
    }

    fn exports<'a>(&'a self, stream: &'a Stream<'a>, written_to: &'a str) -> impl Iterator<Item = StoredObject> + 'a {
        let now = self.now();
        let exported = self.snapshots.there.iter().filter(move |((place, _), _)| place.bucket.as_deref() == Some(written_to));
        let of_backup = move |stored: &Stored| stored.tags.get("muster:backup").is_some_and(|name| stream.backup.name == **name);
        exported.filter(move |(_, stored)| of_backup(stored) && !stored.fails).filter_map(move |((_, name), stored)| {
            let (there_at, tag) = self.arrival(stream, stored.ready_at, self.durations.draw().bits(name, "object", 0))?;
            // ElastiCache calls an exported file after the snapshot and its shard.
            let key = format!("{}{name}-0001.rdb", stream.prefix).into();
            (there_at <= now).then_some(StoredObject { key, size: 1 << 28, written_at: stored.ready_at, entity_tag: Some(tag) })
        })
    }
}

/// What a digest of some content looks like. There are thousands in a listing: the formatter would take a fifth of a simulated year.
fn tag(content: u64) -> Arc<str> {
    let digit = |place: u32| char::from_digit((content >> (4 * place) & 0xf) as u32, 16).unwrap_or('0');
    let digits: String = "0000000000000000".chars().chain((0..16).rev().map(digit)).collect();
    digits.into()
}

/// How the keys of a stream begin; what follows is the instant that each is of.
fn base(stream: &Stream<'_>) -> String {
    format!("{}{}-", stream.prefix, stream.backup.name)
}

/// How long a backup's objects stay.
fn kept(backup: &Backup) -> Duration {
    let kept = if let Some(Retention::For { keep }) = &backup.retention { *keep } else { KEPT };
    if backup.on == Some(Occasion::Continuous) { kept.min(LOGS_KEPT) } else { kept }
}

/// The ARN of a key that a plan names.
pub(crate) fn key_arn(region: &Region, name: &str) -> Arc<str> {
    match name.starts_with("arn:") {
        true => name.into(),
        false => format!("arn:aws:kms:{region}:123456789012:key/{}", name.trim_start_matches("alias/")).into(),
    }
}
