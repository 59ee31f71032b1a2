//! Clones: throw-away instances that a restore test or a drill restores from snapshots, and removes.
//!
//! What is deleted here is gone without a final snapshot. So a clone is known by two things at once, its name and its tags, and nothing else is ever one.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Requested;
use crate::{CallError, Region};

/// How the names of all clones begin, and of nothing else: IAM lets Muster delete nothing that is called otherwise.
pub const CLONE_PREFIX: &str = "muster-clone-";
/// The tag that makes an instance a clone; its value is the run's id.
pub const CLONE_TAG: &str = "muster:clone";
/// The tag that says until when a clone is needed, as an instant: after it, whoever finds it removes it.
pub const LEASE_TAG: &str = "muster:lease-until";

/// An instance that is to be restored from a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloneOrder<'a> {
    /// The region of the snapshot, and of the clone.
    pub region: &'a Region,
    /// The snapshot.
    pub snapshot: &'a str,
    /// The clone's identifier, which begins with [`CLONE_PREFIX`].
    pub name: &'a str,
    /// Its class; `None` for the class of the instance that the snapshot is of.
    pub instance_class: Option<&'a str>,
    /// Its storage, in GiB; `None` for as much as the snapshot is of. RDS rejects less than that.
    pub storage: Option<u32>,
    /// Its subnet group.
    pub subnet_group: &'a str,
    /// Its VPC security groups.
    pub security_groups: &'a [String],
    /// Its tags, [`CLONE_TAG`] and [`LEASE_TAG`] among them.
    pub tags: &'a BTreeMap<Arc<str>, Arc<str>>,
}

/// What a clone is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloneStatus {
    /// `creating`, `modifying`, …: comes to an end by itself.
    Changing(Arc<str>),
    /// `available`, `backing-up`: it serves.
    Serves,
    /// `deleting`.
    Deleting,
    /// `incompatible-restore`, `failed`, …: it never serves.
    Broken(Arc<str>),
}

/// A clone as RDS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloneState {
    /// Its identifier.
    pub name: Arc<str>,
    /// What it is doing.
    pub status: CloneStatus,
    /// `host:port`; absent while it is being created.
    pub endpoint: Option<Arc<str>>,
    /// Its tags.
    pub tags: BTreeMap<Arc<str>, Arc<str>>,
}

impl CloneState {
    /// Whether it is a clone by its name and by its tags: only then may it be deleted.
    pub fn is_clone(&self) -> bool {
        self.name.starts_with(CLONE_PREFIX) && self.tags.contains_key(CLONE_TAG) && self.tags.contains_key(LEASE_TAG)
    }
}

/// Clones, and the mark on what they are made of.
pub trait Clones {
    /// Starts the restore of a clone, in one zone and reachable from its VPC only. `NotFound` where there is no such snapshot; `Rejected` where the
    /// quota is reached, the key cannot be used, or the name does not begin with [`CLONE_PREFIX`].
    async fn restore_clone(&self, order: &CloneOrder<'_>) -> Result<Requested, CallError>;

    /// Every instance of a region that carries [`CLONE_TAG`], whoever's run it was.
    async fn list_clones(&self, region: &Region) -> Result<Vec<CloneState>, CallError>;

    /// Deletes a clone without a final snapshot, and its automated backups with it. `NotFound` where it is gone; `Rejected` where it cannot be deleted
    /// just now, or its name does not begin with [`CLONE_PREFIX`].
    async fn delete_clone(&self, region: &Region, name: &str) -> Result<(), CallError>;

    /// Marks an instance's snapshot with a tag: as long as it stands, the snapshot is not pruned. Idempotent. `NotFound` where there is no such snapshot.
    async fn mark_snapshot(&self, region: &Region, snapshot: &str, tag: &str, value: &str) -> Result<(), CallError>;

    /// Takes that tag off. Idempotent. `NotFound` where there is no such snapshot.
    async fn unmark_snapshot(&self, region: &Region, snapshot: &str, tag: &str) -> Result<(), CallError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_is_known_by_its_name_and_by_both_tags() {
        let state = |name: &str, tags: &[&str]| CloneState {
            name: name.into(),
            status: CloneStatus::Serves,
            endpoint: None,
            tags: tags.iter().map(|tag| (Arc::from(*tag), Arc::from("x"))).collect(),
        };
        assert!(state("muster-clone-main-c0be236f", &[CLONE_TAG, LEASE_TAG]).is_clone());
        for (name, tags) in [("kaireon-prod", &[CLONE_TAG, LEASE_TAG][..]), ("muster-clone-main", &[CLONE_TAG]), ("muster-clone-main", &[LEASE_TAG]), ("", &[])]
        {
            assert!(!state(name, tags).is_clone(), "{name} {tags:?}");
        }
    }
}
