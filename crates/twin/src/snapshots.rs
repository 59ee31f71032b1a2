//! Snapshots: what is where, how long making them takes, and what goes wrong with them.
//!
//! Modelled: names, tags, statuses, pages, the quota of manual snapshots, copies in flight, keys, sources that are gone, how far automated backups
//! reach. Not modelled: content, the engine's load while it is backed up.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use muster_backups::COPIES_PER_REGION;
use muster_core::ports::{Requested, Snapshot, SnapshotCopy, SnapshotPage, SnapshotPlace, SnapshotQuota, SnapshotSource, SnapshotStatus, SourceKind};
use muster_core::{CallFault, Duration, Region, Timestamp};
use muster_plan::{Backup, BackupMethod};

use crate::durations::{SNAPSHOT, SNAPSHOT_COPY};
use crate::estate::Estate;
use crate::exports::Export;
use crate::lately::Lately;
use crate::objects::key_arn;
use crate::world::Refusal;

/// DescribeDBSnapshots returns at most so many at once. Source: its API reference, `MaxRecords`.
const PAGE: usize = 100;
/// Manual snapshots in a region, unless an account has had that raised. Source: the RDS user guide, "Quotas and constraints for Amazon RDS".
const QUOTA: u64 = 100;
/// What a bucket's owner lets exports live for.
const LIFECYCLE: Duration = Duration::from_hours(30 * 24);

/// Something that goes wrong with snapshots for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotFault {
    /// No further manual snapshot may be made in a region.
    QuotaReached(Region),
    /// The key of copies into a region is disabled.
    KeyDisabled(Region),
    /// There is no such key in a region.
    KeyMissing(Region),
    /// Snapshots in a region are encrypted with a key that nobody expects.
    OtherKey(Region),
    /// Automated backups in a region reach no further than to its beginning.
    AutomatedStall(Region),
    /// Copies into a region that begin now fail half-way; so do exports into its buckets.
    CopiesFail(Region),
    /// The role that RDS takes to export into a region's buckets does not exist.
    RoleMissing(Region),
    /// Snapshots that begin now fail half-way.
    SnapshotsFail,
    /// A source does not exist.
    SourceGone(Arc<str>),
    /// Everything is denied in a region.
    Denied(Region),
    /// Listings of a region are empty, without an error.
    EmptyListing(Region),
    /// Calls to a region are refused for their rate.
    Throttled(Region),
    /// Changes in a region are made, and nobody answers.
    AppliedWithoutAnswer(Region),
}

/// A snapshot, whoever made it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// What it is of.
    pub source: SnapshotSource,
    /// The instant that its data is of.
    pub taken_at: Timestamp,
    /// When it is available, or has failed.
    pub ready_at: Timestamp,
    /// Whether it fails then.
    pub fails: bool,
    /// The copy's key.
    pub kms_key: Option<Arc<str>>,
    /// Its tags.
    pub tags: BTreeMap<Arc<str>, Arc<str>>,
}

impl Stored {
    /// Its status at an instant.
    pub fn status(&self, now: Timestamp) -> SnapshotStatus {
        match self.fails {
            _ if now < self.ready_at => SnapshotStatus::UnderWay,
            true => SnapshotStatus::Failed,
            false => SnapshotStatus::Available,
        }
    }
}

/// All snapshots, and what goes wrong when.
#[derive(Clone, Debug, Default)]
pub struct Snapshots {
    /// By place and name.
    pub there: BTreeMap<Key, Stored>,
    /// Exports of databases' snapshots, by their identifiers.
    pub exports: BTreeMap<Arc<str>, Export>,
    /// Faults, each from an instant until another.
    pub faults: Vec<(SnapshotFault, Timestamp, Timestamp)>,
    /// How many manual snapshots of a kind a region takes, where the account had its quota raised.
    pub quota: Option<u64>,
    /// How many were made so far: snapshots and copies.
    pub made: u64,
    /// How many were deleted so far.
    pub deleted: u64,
    /// How many copies were refused since too many were in flight.
    pub crowded: u64,
    /// The newest slot of each backup that was taken and did not fail.
    taken: BTreeMap<Arc<str>, Timestamp>,
    /// For listings that are old.
    lately: Lately<Key, Stored>,
}

/// A snapshot's place and name.
type Key = (SnapshotPlace, Arc<str>);

impl Snapshots {
    pub(crate) fn strikes(&self, now: Timestamp, is: impl Fn(&SnapshotFault) -> bool) -> bool {
        self.faults.iter().any(|(fault, from, until)| *from <= now && now < *until && is(fault))
    }

    pub(crate) fn answers(&self, now: Timestamp, region: &Region) -> Result<(), Refusal> {
        if self.strikes(now, |fault| *fault == SnapshotFault::Denied(region.clone())) {
            return Err((CallFault::Denied, "AccessDenied: not authorized to perform this action".to_owned()));
        }
        if self.strikes(now, |fault| *fault == SnapshotFault::Throttled(region.clone())) {
            return Err((CallFault::Throttled, "Rate exceeded".to_owned()));
        }
        Ok(())
    }

    /// How much of a region's quota of manual snapshots is used.
    fn used(&self, now: Timestamp, region: &Region, kind: SourceKind) -> u64 {
        let is_counted =
            |place: &SnapshotPlace, stored: &Stored| place.region == *region && place.bucket.is_none() && place.account.is_none() && stored.source.kind == kind;
        let there = self.there.iter().filter(|((place, _), stored)| is_counted(place, stored)).count() as u64;
        let is_reached = self.strikes(now, |fault| *fault == SnapshotFault::QuotaReached(region.clone()));
        if is_reached { there.max(self.limit()) } else { there }
    }

    fn limit(&self) -> u64 {
        self.quota.unwrap_or(QUOTA)
    }

    /// The answer to a change that was made.
    pub(crate) fn answered<T>(&self, now: Timestamp, region: &Region, value: T) -> Result<T, Refusal> {
        if self.strikes(now, |fault| *fault == SnapshotFault::AppliedWithoutAnswer(region.clone())) {
            return Err((CallFault::TimedOut, "no answer within 3s".to_owned()));
        }
        Ok(value)
    }

    /// A snapshot is made, changed or, with `None`, deleted.
    pub(crate) fn set(&mut self, now: Timestamp, key: Key, value: Option<Stored>) {
        self.lately.changes(now, &key, self.there.get(&key));
        match value {
            Some(value) => drop(self.there.insert(key, value)),
            None => drop(self.there.remove(&key)),
        }
    }

    /// Copies that are under way into a region, and not into a bucket of it.
    pub fn in_flight(&self, now: Timestamp, region: &Region) -> usize {
        let copies = self
            .there
            .iter()
            .filter(|((place, _), stored)| place.region == *region && place.bucket.is_none() && stored.kms_key.is_some() && now < stored.ready_at);
        copies.count()
    }
}

impl Estate {
    /// A page of a source's snapshots in a place, as they are or as they were `stale` ago.
    pub(crate) fn list_snapshots(
        &self,
        place: &SnapshotPlace,
        source: &SnapshotSource,
        after: Option<&str>,
        stale: Option<Duration>,
    ) -> Result<SnapshotPage, Refusal> {
        let (now, snapshots) = (self.now(), &self.snapshots);
        snapshots.answers(now, &place.region)?;
        if snapshots.strikes(now, |fault| *fault == SnapshotFault::EmptyListing(place.region.clone())) {
            return Ok(SnapshotPage::default());
        }
        let is_other_key = snapshots.strikes(now, |fault| *fault == SnapshotFault::OtherKey(place.region.clone()));
        let age = stale.unwrap_or(Duration::ZERO);
        let there = if stale.is_some() { Cow::Owned(snapshots.lately.before(&snapshots.there, now, age)) } else { Cow::Borrowed(&snapshots.there) };
        let here = there.range((place.clone(), after.unwrap_or_default().into())..).take_while(|((at, _), _)| at == place);
        let of_source = here.filter(|((_, name), stored)| stored.source == *source && after.is_none_or(|after| **name > *after));
        let mut found: Vec<Snapshot> = of_source
            .take(PAGE + 1)
            .map(|((_, name), stored)| Snapshot {
                name: name.clone(),
                status: stored.status(now.before(age)),
                taken_at: stored.taken_at,
                size: Some(100 << 30),
                kms_key: Some(key_arn(&place.region, if is_other_key { "alias/somebody-elses" } else { stored.kms_key.as_deref().unwrap_or("alias/aws/rds") })),
                tags: stored.tags.clone(),
                failures: Vec::new(),
            })
            .collect();
        let next = (found.len() > PAGE).then(|| found[PAGE - 1].name.clone());
        found.truncate(PAGE);
        Ok(SnapshotPage { snapshots: found, next })
    }

    pub(crate) fn create_snapshot(
        &mut self,
        region: &Region,
        source: &SnapshotSource,
        name: &str,
        tags: &BTreeMap<Arc<str>, Arc<str>>,
    ) -> Result<Requested, Refusal> {
        let now = self.now();
        self.snapshots.answers(now, region)?;
        let place = SnapshotPlace { region: region.clone(), account: None, bucket: None };
        if self.snapshots.strikes(now, |fault| *fault == SnapshotFault::SourceGone(source.name.clone())) {
            return Err((CallFault::NotFound, format!("DBInstanceNotFound: {} not found", source.name)));
        }
        if self.snapshots.there.contains_key(&(place.clone(), name.into())) {
            return Ok(Requested::NameTaken);
        }
        self.room(now, region, source.kind)?;
        let fails = self.snapshots.strikes(now, |fault| *fault == SnapshotFault::SnapshotsFail);
        if !fails {
            self.check_taking(name, tags);
        }
        let ready_at = now.after(self.durations.of(&SNAPSHOT, name, "snapshot", 0));
        let stored = Stored { source: source.clone(), taken_at: now, ready_at, fails, kms_key: None, tags: tags.clone() };
        self.snapshots.set(now, (place, name.into()), Some(stored));
        self.snapshots.made += 1;
        self.snapshots.answered(now, region, Requested::Started)
    }

    pub(crate) fn copy_snapshot(&mut self, copy: &SnapshotCopy<'_>) -> Result<Requested, Refusal> {
        let now = self.now();
        let region = &copy.to.region;
        self.snapshots.answers(now, region)?;
        let original = self.snapshots.there.get(&(copy.from.clone(), copy.name.into())).cloned();
        let original = original.filter(|original| original.status(now) == SnapshotStatus::Available);
        let Some(original) = original else { return Err((CallFault::NotFound, format!("DBSnapshotNotFound: {} in {}", copy.name, copy.from.region))) };
        if self.snapshots.there.contains_key(&(copy.to.clone(), copy.name.into())) {
            return Ok(Requested::NameTaken);
        }
        if copy.to.bucket.is_none() {
            if self.snapshots.strikes(now, |fault| *fault == SnapshotFault::KeyDisabled(region.clone())) {
                let key = copy.kms_key.unwrap_or("the default key");
                return Err((CallFault::Rejected, format!("KMSKeyNotAccessibleFault: {key} is disabled or does not exist")));
            }
            if self.snapshots.in_flight(now, region) >= COPIES_PER_REGION {
                self.snapshots.crowded += 1;
                return Err((CallFault::Rejected, format!("SnapshotQuotaExceeded: {COPIES_PER_REGION} copies into {region} are in progress")));
            }
            self.room(now, region, copy.source.kind)?;
        }
        if copy.to.bucket.is_some() {
            self.snapshots.there.retain(|(place, _), stored| place != copy.to || now.since(stored.taken_at) < LIFECYCLE);
        }
        let fails = self.snapshots.strikes(now, |fault| *fault == SnapshotFault::CopiesFail(region.clone()));
        let longer = self.durations.of(&SNAPSHOT_COPY, copy.name, copy.to.region.as_str(), 0);
        let kms_key = Some(copy.kms_key.unwrap_or("default").into());
        self.snapshots.set(now, (copy.to.clone(), copy.name.into()), Some(Stored { ready_at: now.after(longer), fails, kms_key, ..original }));
        self.snapshots.made += 1;
        self.snapshots.answered(now, region, Requested::Started)
    }

    pub(crate) fn delete_snapshot(&mut self, place: &SnapshotPlace, name: &str) -> Result<(), Refusal> {
        let now = self.now();
        self.snapshots.answers(now, &place.region)?;
        let key = (place.clone(), Arc::<str>::from(name));
        if !self.snapshots.there.contains_key(&key) {
            return Err((CallFault::NotFound, format!("DBSnapshotNotFound: {name}")));
        }
        self.check_deletion(&key);
        self.snapshots.set(now, key, None);
        self.snapshots.deleted += 1;
        self.snapshots.answered(now, &place.region, ())
    }

    /// Automated backups reach to five minutes ago, and replicated ones to between 5 and 30. Source: the RDS user guide, "Restoring a DB instance to a
    /// specified time".
    pub(crate) fn restorable_until(&self, region: &Region, source: &SnapshotSource) -> Result<Option<Timestamp>, Refusal> {
        let (now, snapshots, plan) = (self.now(), &self.snapshots, &self.plan);
        snapshots.answers(now, region)?;
        let is_replicated = *region != plan.regions.primary;
        let is_of_source = |backup: &&Backup| {
            let named = backup.of.as_ref().and_then(|of| of.parts()).filter(|(section, _)| *section == "databases");
            named.and_then(|(_, name)| plan.database(name)).is_some_and(|database| *database.primary == *source.name)
        };
        let mut automated = plan.backups.iter().filter(|backup| backup.method == BackupMethod::AutomatedBackups && (!is_replicated || backup.copy.is_some()));
        if !automated.any(|backup| is_of_source(&backup)) {
            return Ok(None);
        }
        let stall =
            snapshots.faults.iter().find(|(fault, from, until)| *fault == SnapshotFault::AutomatedStall(region.clone()) && *from <= now && now < *until);
        let looked_at = stall.map_or(now, |(_, from, _)| *from);
        let ordinal = looked_at.as_millis().unsigned_abs() / 3_600_000;
        let more = if is_replicated { self.durations.draw().below(&source.name, "replicated backups", ordinal, 25) } else { 0 };
        Ok(Some(looked_at.before(Duration::from_mins(5 + more))))
    }

    pub(crate) fn source_exists(&self, region: &Region, source: &SnapshotSource) -> Result<bool, Refusal> {
        self.snapshots.answers(self.now(), region)?;
        Ok(!self.snapshots.strikes(self.now(), |fault| *fault == SnapshotFault::SourceGone(source.name.clone())))
    }

    pub(crate) fn snapshot_quota(&self, region: &Region, kind: SourceKind) -> Result<Option<SnapshotQuota>, Refusal> {
        let now = self.now();
        self.snapshots.answers(now, region)?;
        Ok((kind != SourceKind::Cache).then(|| SnapshotQuota { used: self.snapshots.used(now, region, kind), limit: self.snapshots.limit() }))
    }

    fn room(&self, now: Timestamp, region: &Region, kind: SourceKind) -> Result<(), Refusal> {
        let limit = self.snapshots.limit();
        match kind != SourceKind::Cache && self.snapshots.used(now, region, kind) >= limit {
            true => Err((CallFault::Rejected, format!("SnapshotQuotaExceeded: cannot create more than {limit} manual snapshots"))),
            false => Ok(()),
        }
    }

    /// A slot is taken once, unless what was taken failed.
    fn check_taking(&mut self, name: &str, tags: &BTreeMap<Arc<str>, Arc<str>>) {
        let slot: Option<Timestamp> = tags.get("muster:slot").and_then(|slot| slot.parse().ok());
        let (Some(slot), Some(backup)) = (slot, tags.get("muster:backup")) else { return };
        let newest = self.snapshots.taken.insert(backup.clone(), slot);
        if let Some(newest) = newest.filter(|newest| slot <= *newest) {
            self.violate(16, format!("{name} is taken for the slot of {slot}, and that of {newest} was taken before it"));
        }
    }

    /// What must never be deleted: written down once more, without the rules that the actions decide by.
    fn check_deletion(&mut self, key: &Key) {
        let now = self.now();
        let Some(stored) = self.snapshots.there.get(key).cloned() else { return };
        let tag = |stored: &Stored, name: &str| stored.tags.get(name).cloned();
        let is_ours = |stored: &Stored| tag(stored, "muster:service").is_some_and(|service| self.plan.service == *service);
        let mut seen = Vec::new();
        if !is_ours(&stored) {
            seen.push("others made it");
        }
        if tag(&stored, "muster:legal-hold").is_some() {
            seen.push("it is under legal hold");
        }
        if tag(&stored, "muster:used-by").is_some() {
            seen.push("a restore uses it");
        }
        let is_good = |stored: &Stored| stored.status(now) == SnapshotStatus::Available;
        let mut others = self.snapshots.there.iter().filter(|(other, _)| *other != key);
        let is_copied = |copy: &Stored| copy.source == stored.source && copy.status(now) == SnapshotStatus::UnderWay;
        if others.clone().any(|((place, name), copy)| *name == key.1 && *place != key.0 && is_copied(copy)) {
            seen.push("its copy is under way");
        }
        if key.0.bucket.is_none() && self.snapshots.exports.values().any(|task| task.snapshot == key.1 && task.status(now) == SnapshotStatus::UnderWay) {
            seen.push("its export is under way");
        }
        if is_good(&stored) {
            if !others.any(|((place, _), other)| *place == key.0 && other.source == stored.source && is_ours(other) && is_good(other)) {
                seen.push("it is the last good one of its source there");
            }
            let backup = tag(&stored, "muster:backup").and_then(|name| self.plan.backup(&name).cloned());
            // How old an archive may be says nothing of the snapshots that it is made of.
            let backup = backup.filter(|backup| !matches!(backup.method, BackupMethod::SnapshotExport { .. }));
            if backup.and_then(|backup| backup.max_age).is_some_and(|age| now.since(stored.taken_at) < age) {
                seen.push("it is younger than its maxAge");
            }
        }
        if !seen.is_empty() {
            let text = format!("{} ({}) is deleted although {}", key.1, key.0.region, seen.join(", and "));
            self.violate(14, text);
        }
    }
}
