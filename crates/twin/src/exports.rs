//! Exports of databases' snapshots by RDS: tasks, what they leave in a bucket, and what the bucket's lifecycle does with it.
//!
//! Modelled: identifiers that are taken once, how many are in progress, how long one takes, that it fails and leaves half of it, keys, lifecycles. Not
//! modelled: content, that a storage class is read slowly. AWS goes on with an export whose snapshot is deleted; here that is a backup that was in use.

use std::sync::Arc;

use muster_backups::EXPORTS_PER_ACCOUNT;
use muster_core::ports::{
    Expiry, FailedAttempt, LifecycleRule, Requested, SnapshotCopy, SnapshotPage, SnapshotPlace, SnapshotSource, SnapshotStatus, StoredObject,
};
use muster_core::{CallFault, Duration, Region, Timestamp};
use muster_plan::BackupMethod;

use crate::durations::EXPORT;
use crate::estate::Estate;
use crate::objects::ObjectFault;
use crate::snapshots::SnapshotFault;
use crate::world::Refusal;

/// An export task.
#[derive(Clone, Debug)]
pub struct Export {
    /// The bucket.
    pub place: SnapshotPlace,
    /// The snapshot.
    pub snapshot: Arc<str>,
    /// The instant that its data is of.
    pub taken_at: Timestamp,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it is complete, or has failed.
    pub ready_at: Timestamp,
    /// Whether it fails then.
    pub fails: bool,
}

impl Export {
    /// Its status at an instant.
    pub fn status(&self, now: Timestamp) -> SnapshotStatus {
        match self.fails {
            _ if now < self.ready_at => SnapshotStatus::UnderWay,
            true => SnapshotStatus::Failed,
            false => SnapshotStatus::Available,
        }
    }
}

impl Estate {
    /// The exports into a bucket of the snapshots that still exist, as they are or as they were `stale` ago.
    pub(crate) fn list_exports(
        &self,
        place: &SnapshotPlace,
        source: &SnapshotSource,
        after: Option<&str>,
        stale: Option<Duration>,
    ) -> Result<SnapshotPage, Refusal> {
        let then = self.now().before(stale.unwrap_or(Duration::ZERO));
        let mut page = self.list_snapshots(&SnapshotPlace { bucket: None, ..place.clone() }, source, after, stale)?;
        page.snapshots.retain_mut(|snapshot| {
            let mut tasks: Vec<&Export> =
                self.snapshots.exports.values().filter(|task| task.place == *place && task.snapshot == snapshot.name && task.started_at <= then).collect();
            tasks.sort_by_key(|task| task.ready_at);
            let Some(last) = tasks.last() else { return false };
            let failed = tasks.iter().filter(|task| task.status(then) == SnapshotStatus::Failed);
            snapshot.failures = failed.map(|task| FailedAttempt { at: task.ready_at, why: "the role may not write".to_owned() }).collect();
            snapshot.status = last.status(then);
            true
        });
        Ok(page)
    }

    pub(crate) fn start_export(&mut self, copy: &SnapshotCopy<'_>, name: &str) -> Result<Requested, Refusal> {
        let (now, region) = (self.now(), &copy.to.region);
        self.snapshots.answers(now, region)?;
        let original = self.snapshots.there.get(&(copy.from.clone(), copy.name.into()));
        let Some(original) = original.filter(|original| original.status(now) == SnapshotStatus::Available) else {
            return Err((CallFault::NotFound, format!("DBSnapshotNotFound: {} in {}", copy.name, copy.from.region)));
        };
        let taken_at = original.taken_at;
        if self.snapshots.exports.contains_key(name) {
            return Ok(Requested::NameTaken);
        }
        let strikes = |fault: SnapshotFault| self.snapshots.strikes(now, |known| *known == fault);
        if strikes(SnapshotFault::RoleMissing(region.clone())) {
            return Err((CallFault::Rejected, "IamRoleNotFound: the role does not exist".to_owned()));
        }
        if strikes(SnapshotFault::KeyDisabled(region.clone())) {
            return Err((CallFault::Rejected, format!("KMSKeyNotAccessibleFault: {} is disabled", copy.kms_key.unwrap_or_default())));
        }
        let in_progress = self.snapshots.exports.values().filter(|task| task.place.region == *region && now < task.ready_at).count();
        if in_progress >= EXPORTS_PER_ACCOUNT {
            self.snapshots.crowded += 1;
            return Err((CallFault::Rejected, format!("{EXPORTS_PER_ACCOUNT} export tasks are in progress")));
        }
        let fails = strikes(SnapshotFault::CopiesFail(region.clone()));
        let ready_at = now.after(self.durations.of(&EXPORT, name, "export", 0));
        let task = Export { place: copy.to.clone(), snapshot: copy.name.into(), taken_at, started_at: now, ready_at, fails };
        self.snapshots.exports.insert(name.into(), task);
        self.snapshots.made += 1;
        self.snapshots.answered(now, region, Requested::Started)
    }

    /// When the snapshot of the newest complete export was taken, of those whose names begin so: the truth, whatever is said.
    pub(crate) fn newest_export(&self, stem: &str, now: Timestamp) -> Option<Timestamp> {
        let complete = self.snapshots.exports.values().filter(|task| task.snapshot.starts_with(stem) && task.status(now) == SnapshotStatus::Available);
        complete.map(|task| task.taken_at).max()
    }

    /// What lies in a bucket of its exports. One that failed may have written some of it.
    pub(crate) fn archived<'a>(&'a self, bucket: &'a str) -> impl Iterator<Item = StoredObject> + 'a {
        let now = self.now();
        let ended = self.snapshots.exports.iter().filter(move |(_, task)| task.place.bucket.as_deref() == Some(bucket) && task.ready_at <= now);
        ended.flat_map(move |(name, task)| {
            let parts = if task.fails { 0..1 } else { 0..3 };
            parts.map(move |part| StoredObject {
                key: format!("{name}/main/public.ledger/1/part-{part:05}.gz.parquet").into(),
                size: 1 << 24,
                written_at: task.ready_at,
                entity_tag: None,
            })
        })
    }

    /// As the plan wants it, unless something is wrong with it.
    pub(crate) fn lifecycle(&self, region: &Region, bucket: &str) -> Result<Vec<LifecycleRule>, Refusal> {
        let now = self.now();
        self.bucket_answers(region, bucket)?;
        let strikes = |fault| self.objects.strikes(now, fault, bucket);
        if strikes(ObjectFault::NoLifecycle) {
            return Ok(Vec::new());
        }
        let expires = strikes(ObjectFault::ExpiresEarly).then_some(Expiry::Days { days: 30 });
        let classes = self.plan.backups.iter().filter_map(|backup| match &backup.method {
            BackupMethod::SnapshotExport { bucket: its, storage_class, .. } if its == bucket => *storage_class,
            _ => None,
        });
        let moves_to = classes.map(|class| class.in_s3().to_owned()).collect();
        Ok(vec![LifecycleRule { id: "archive".to_owned(), prefix: String::new(), is_narrower: false, moves_to, expires }])
    }
}
