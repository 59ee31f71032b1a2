//! Clones.

use muster_core::ports::{CloneOrder, CloneState, Clones, Requested};
use muster_core::{CallError, Region};

use crate::ports::control;
use crate::world::World;

impl Clones for World {
    async fn restore_clone(&self, order: &CloneOrder<'_>) -> Result<Requested, CallError> {
        self.mutate(control("rds:RestoreDBInstanceFromDBSnapshot", order.region, order.name).changing(), |estate| estate.restore_clone(order)).await
    }

    async fn list_clones(&self, region: &Region) -> Result<Vec<CloneState>, CallError> {
        self.read(control("rds:DescribeDBInstances", region, "clones"), |estate, stale| estate.list_clones(region, stale)).await
    }

    async fn delete_clone(&self, region: &Region, name: &str) -> Result<(), CallError> {
        self.mutate(control("rds:DeleteDBInstance", region, name).changing(), |estate| estate.delete_clone(region, name)).await
    }

    async fn mark_snapshot(&self, region: &Region, snapshot: &str, tag: &str, value: &str) -> Result<(), CallError> {
        let calling = control("rds:AddTagsToResource", region, snapshot).changing();
        self.mutate(calling, |estate| estate.tag_snapshot(region, snapshot, tag, Some(value))).await
    }

    async fn unmark_snapshot(&self, region: &Region, snapshot: &str, tag: &str) -> Result<(), CallError> {
        let calling = control("rds:RemoveTagsFromResource", region, snapshot).changing();
        self.mutate(calling, |estate| estate.tag_snapshot(region, snapshot, tag, None)).await
    }
}
