//! Clones: instances that are restored from snapshots and thrown away.
//!
//! Modelled: names, tags, statuses, how long a restore and a deletion take, what a clone answers about its data, and what goes wrong. Its content is the
//! source's at the instant of the snapshot: rows are counted by the second, so that a question that leaves the instant out has two answers. Not modelled:
//! storage that is read from the snapshot when it is first wanted, which makes a clone slow at first; the quota of instances, but for its fault.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use muster_actions::SNAPSHOT_TAG;
use muster_core::ports::{CLONE_PREFIX, CLONE_TAG, CloneOrder, CloneState, CloneStatus, LEASE_TAG, Requested, SnapshotPlace, SnapshotStatus, SourceKind};
use muster_core::{CallFault, Duration, Region, Timestamp};

use crate::databases::host;
use crate::durations::{DELETION, RESTORE};
use crate::estate::Estate;
use crate::lately::Lately;
use crate::world::Refusal;

/// Something that goes wrong with clones for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloneFault {
    /// Restores that begin now come to `incompatible-restore`.
    RestoresFail,
    /// No further instance may be made.
    QuotaReached,
    /// Restores hang in `creating`.
    RestoresHang,
    /// Deletions are rejected.
    DeletionsFail,
    /// Restores that begin now lose a row.
    DataLost,
}

/// A clone.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The database of the plan, by position.
    pub database: usize,
    /// The instant that its data is of.
    pub taken_at: Timestamp,
    /// When it serves, or has failed.
    pub ready_at: Timestamp,
    /// Whether it fails then.
    pub fails: bool,
    /// Its storage in GiB, where it is another than the snapshot's.
    pub storage: Option<u32>,
    /// How many rows are missing.
    pub lost: i64,
    /// When it is gone, once it was deleted.
    pub gone_at: Option<Timestamp>,
    /// Its tags.
    pub tags: BTreeMap<Arc<str>, Arc<str>>,
}

impl Restored {
    pub(crate) fn status(&self, now: Timestamp) -> CloneStatus {
        match self.fails {
            _ if self.gone_at.is_some() => CloneStatus::Deleting,
            _ if now < self.ready_at => CloneStatus::Changing("creating".into()),
            true => CloneStatus::Broken("incompatible-restore".into()),
            false => CloneStatus::Serves,
        }
    }

    fn is_there(&self, now: Timestamp) -> bool {
        self.gone_at.is_none_or(|gone| now < gone)
    }

    pub(crate) fn lease(&self) -> Option<Timestamp> {
        self.tags.get(LEASE_TAG)?.parse().ok()
    }
}

/// All clones, and what goes wrong when.
#[derive(Clone, Debug, Default)]
pub struct AllClones {
    /// By region and name: gone ones too, until somebody asks for the name again.
    pub there: BTreeMap<(Region, Arc<str>), Restored>,
    /// Faults, each from an instant until another.
    pub faults: Vec<(CloneFault, Timestamp, Timestamp)>,
    /// How many were restored so far.
    pub made: u64,
    /// How many were deleted so far.
    pub deleted: u64,
    /// When deletions could last not be done.
    hindered_until: Option<Timestamp>,
    /// For listings that are old.
    lately: Lately<(Region, Arc<str>), Restored>,
}

impl AllClones {
    fn strikes(&self, now: Timestamp, is: CloneFault) -> bool {
        self.faults.iter().any(|(fault, from, until)| *fault == is && *from <= now && now < *until)
    }

    /// Those that are there at an instant.
    pub fn at(&self, now: Timestamp) -> impl Iterator<Item = (&(Region, Arc<str>), &Restored)> {
        self.there.iter().filter(move |(_, clone)| clone.is_there(now))
    }
}

/// So long after its lease a clone may still be there: the sweep comes every few minutes, and a deletion takes some.
const OVERDUE: Duration = Duration::from_hours(1);

impl Estate {
    pub(crate) fn restore_clone(&mut self, order: &CloneOrder<'_>) -> Result<Requested, Refusal> {
        let now = self.now();
        self.snapshots.answers(now, order.region)?;
        let place = SnapshotPlace { region: order.region.clone(), account: None, bucket: None };
        let snapshot = self.snapshots.there.get(&(place, order.snapshot.into())).filter(|stored| stored.status(now) == SnapshotStatus::Available).cloned();
        let Some(snapshot) = snapshot.filter(|stored| stored.source.kind == SourceKind::Instance) else {
            return Err((CallFault::NotFound, format!("DBSnapshotNotFound: {}", order.snapshot)));
        };
        let key = (order.region.clone(), Arc::<str>::from(order.name));
        let is_instance = self.instances.keys().any(|id| id.region == *order.region && id.name == key.1);
        if is_instance || self.clones.at(now).any(|(known, _)| *known == key) {
            return Ok(Requested::NameTaken);
        }
        if self.clones.strikes(now, CloneFault::QuotaReached) {
            return Err((CallFault::Rejected, "InstanceQuotaExceeded: cannot create more than 40 instances".to_owned()));
        }
        self.check_restore(order, &key);
        let Some(database) = self.plan.databases.iter().position(|database| *database.primary == *snapshot.source.name) else {
            return Err((CallFault::NotFound, format!("DBSnapshotNotFound: {} is of nothing in the plan", order.snapshot)));
        };
        let takes = if self.clones.strikes(now, CloneFault::RestoresHang) {
            Duration::from_hours(10_000)
        } else {
            self.durations.of(&RESTORE, order.name, "restore", self.clones.made)
        };
        let restored = Restored {
            database,
            taken_at: snapshot.taken_at,
            ready_at: now.after(takes),
            fails: self.clones.strikes(now, CloneFault::RestoresFail),
            storage: order.storage,
            lost: i64::from(self.clones.strikes(now, CloneFault::DataLost)),
            gone_at: None,
            tags: order.tags.clone(),
        };
        self.clones.lately.changes(now, &key, self.clones.there.get(&key));
        self.clones.there.insert(key, restored);
        self.clones.made += 1;
        self.tell(format!("{} is restored from {}", order.name, order.snapshot));
        Ok(Requested::Started)
    }

    /// The clones in a region, as they are or as they were `stale` ago.
    pub(crate) fn list_clones(&self, region: &Region, stale: Option<Duration>) -> Result<Vec<CloneState>, Refusal> {
        self.snapshots.answers(self.now(), region)?;
        let at = self.now().before(stale.unwrap_or(Duration::ZERO));
        let state = |((region, name), clone): (&(Region, Arc<str>), &Restored)| CloneState {
            name: name.clone(),
            status: clone.status(at),
            endpoint: (at >= clone.ready_at && !clone.fails).then(|| format!("{}:5432", host(&muster_core::DatabaseId::new(region, name))).into()),
            tags: clone.tags.clone(),
        };
        let there = match stale {
            Some(age) => Cow::Owned(self.clones.lately.before(&self.clones.there, self.now(), age)),
            None => Cow::Borrowed(&self.clones.there),
        };
        let here = there.iter().filter(|((place, _), clone)| place == region && clone.is_there(at) && clone.tags.contains_key(CLONE_TAG));
        Ok(here.map(state).collect())
    }

    pub(crate) fn delete_clone(&mut self, region: &Region, name: &str) -> Result<(), Refusal> {
        let now = self.now();
        self.snapshots.answers(now, region)?;
        let key = (region.clone(), Arc::<str>::from(name));
        self.check_clone_deletion(&key);
        let takes = self.durations.of(&DELETION, name, "deletion", self.clones.deleted);
        let is_hindered = self.clones.strikes(now, CloneFault::DeletionsFail);
        self.clones.lately.changes(now, &key, self.clones.there.get(&key));
        let clone = self.clones.there.get_mut(&key).filter(|clone| clone.is_there(now));
        let Some(clone) = clone else { return Err((CallFault::NotFound, format!("DBInstanceNotFound: {name}"))) };
        match clone.status(now) {
            CloneStatus::Deleting => return Err((CallFault::Rejected, format!("InvalidDBInstanceState: {name} is already being deleted"))),
            CloneStatus::Changing(status) => return Err((CallFault::Rejected, format!("InvalidDBInstanceState: {name} is {status}"))),
            _ if is_hindered => return Err((CallFault::Rejected, format!("InvalidDBInstanceState: {name} cannot be deleted"))),
            _ => clone.gone_at = Some(now.after(takes)),
        }
        self.clones.deleted += 1;
        self.tell(format!("{name} is deleted"));
        Ok(())
    }

    pub(crate) fn tag_snapshot(&mut self, region: &Region, snapshot: &str, tag: &str, value: Option<&str>) -> Result<(), Refusal> {
        self.snapshots.answers(self.now(), region)?;
        let place = SnapshotPlace { region: region.clone(), account: None, bucket: None };
        let is_made = |clone: &Restored| clone.tags.get(SNAPSHOT_TAG).is_some_and(|made_of| **made_of == *snapshot);
        if value.is_none() && self.clones.at(self.now()).any(|((at, _), clone)| at == region && is_made(clone)) {
            self.violate(15, format!("the mark on {snapshot} is taken off while a clone of it is there"));
        }
        let key = (place, snapshot.into());
        let Some(mut stored) = self.snapshots.there.get(&key).cloned() else {
            return Err((CallFault::NotFound, format!("DBSnapshotNotFound: {snapshot}")));
        };
        match value {
            Some(value) => drop(stored.tags.insert(tag.into(), value.into())),
            None => drop(stored.tags.remove(tag)),
        }
        self.snapshots.set(self.now(), key, Some(stored));
        Ok(())
    }

    /// What a clone says to a question, if it serves at that endpoint.
    pub(crate) fn clone_answers(&self, region: &Region, name: &str, statement: &str) -> Option<Option<String>> {
        let now = self.now();
        let clone = self.clones.there.get(&(region.clone(), name.into())).filter(|clone| clone.status(now) == CloneStatus::Serves)?;
        let rows = self.rows(clone.database, statement, Some(clone.taken_at));
        Some(match rows {
            Some(rows) => Some((rows - clone.lost).to_string()),
            None => self.answer_as_planned(clone.database, statement),
        })
    }

    /// How many rows a question of `compare` counts: one a second, up to the instant that it names, and in a clone up to that of its snapshot at most.
    pub(crate) fn rows(&self, database: usize, statement: &str, taken_at: Option<Timestamp>) -> Option<i64> {
        let compare = self.plan.databases[database].restore_test.iter().flat_map(|test| &test.compare);
        let mut instants: Vec<Timestamp> = self.clones.there.values().filter(|clone| clone.database == database).map(|clone| clone.taken_at).collect();
        instants.extend(self.builds.slots(|clone| self.clones.there.get(clone).is_some_and(|clone| clone.database == database)));
        for comparison in compare {
            let named = instants.iter().copied().find(|instant| comparison.query.contains(muster_plan::TAKEN_AT) && comparison.at(*instant) == statement);
            if named.is_some() || comparison.query == statement {
                let until = named.into_iter().chain(taken_at).min().unwrap_or(self.now());
                return Some(until.as_millis() / 1_000);
            }
        }
        None
    }

    /// A clone is made where nobody takes it for anything else, once, and with an end.
    fn check_restore(&mut self, order: &CloneOrder<'_>, key: &(Region, Arc<str>)) {
        let is_of_run = |gone: &&Restored| !gone.fails && gone.tags.get(CLONE_TAG) == order.tags.get(CLONE_TAG);
        if self.clones.there.get(key).filter(is_of_run).is_some() {
            self.violate(16, format!("{} is restored, and the same run had restored and removed it before", order.name));
        }
        let lease: Option<Timestamp> = order.tags.get(LEASE_TAG).and_then(|lease| lease.parse().ok());
        let is_kept = order.tags.contains_key(CLONE_TAG) && lease.is_some_and(|lease| lease > self.now()) && order.name.starts_with(CLONE_PREFIX);
        if !is_kept {
            self.violate(15, format!("{} is restored without a lease, or under another's name", order.name));
        }
        let marks = SnapshotPlace { region: order.region.clone(), account: None, bucket: None };
        let marked = self.snapshots.there.get(&(marks, order.snapshot.into())).is_some_and(|stored| stored.tags.contains_key("muster:used-by"));
        if !marked {
            self.violate(15, format!("{} is restored from {}, which nothing marks as used", order.name, order.snapshot));
        }
    }

    fn check_clone_deletion(&mut self, key: &(Region, Arc<str>)) {
        let is_clone = self.clones.there.get(key).is_none_or(|clone| clone.tags.contains_key(CLONE_TAG)) && key.1.starts_with(CLONE_PREFIX);
        if !is_clone || self.instances.keys().any(|id| id.region == key.0 && id.name == key.1) {
            self.violate(15, format!("{} ({}) is deleted, and is no clone of Muster's", key.1, key.0));
        }
    }

    /// No clone outlives its lease for longer than it takes to be found and to go, unless somebody or something keeps Muster from it.
    pub(crate) fn check_leases(&mut self) {
        let now = self.now();
        let region = self.plan.regions.standby.clone();
        let creating = |clone: &Restored| matches!(clone.status(now), CloneStatus::Changing(_));
        if self.memory.kill_switch.is_some() || self.snapshots.answers(now, &region).is_err() || self.clones.strikes(now, CloneFault::DeletionsFail) {
            self.clones.hindered_until = Some(now);
        }
        let since = self.clones.hindered_until;
        let overdue = self.clones.at(now).find(|(_, clone)| {
            let from = clone.lease().into_iter().chain(since).chain([clone.ready_at]).max();
            !creating(clone) && from.is_some_and(|from| now.since(from) > OVERDUE)
        });
        if let Some(seen) = overdue.map(|((_, name), clone)| format!("{name} is there, and its lease was over at {:?}", clone.lease())) {
            self.violate(15, seen);
        }
    }
}
