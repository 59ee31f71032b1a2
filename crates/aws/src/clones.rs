//! Clones of RDS instances: restored from a snapshot, listed by their tag, deleted; and the mark on a snapshot.

use std::sync::Arc;

use aws_sdk_rds::types::{DbInstance, Tag};
use muster_core::ports::{CLONE_PREFIX, CLONE_TAG, CloneOrder, CloneState, CloneStatus, Clones, Control, DatabaseStatus, Ledger, Requested};
use muster_core::{CallError, CallFault, Region};

use crate::databases::status_of;
use crate::snapshots::{port_tags, requested, sdk_tags};
use crate::{Aws, Failed, Target, classify};

/// A page of `DescribeDBInstances` holds no more (its `MaxRecords`).
const PAGE: i32 = 100;

impl<X> Clones for Aws<X>
where
    Self: Control + Ledger,
{
    async fn restore_clone(&self, order: &CloneOrder<'_>) -> Result<Requested, CallError> {
        let target = Target::control("rds:RestoreDBInstanceFromDBSnapshot", order.region, order.name);
        only_a_clone(&target, order.name)?;
        let request = self
            .rds(order.region)
            .restore_db_instance_from_db_snapshot()
            .db_instance_identifier(order.name)
            .db_snapshot_identifier(order.snapshot)
            // Without one, it is that of the instance that the snapshot is of.
            .set_db_instance_class(order.instance_class.map(str::to_owned))
            // Without it, it is as much as the snapshot is of. A size that no RDS instance has is rejected there.
            .set_allocated_storage(order.storage.map(|storage| i32::try_from(storage).unwrap_or(i32::MAX)))
            .db_subnet_group_name(order.subnet_group)
            .set_vpc_security_group_ids(Some(order.security_groups.to_vec()))
            .set_tags(Some(sdk_tags(order.tags)))
            .multi_az(false)
            .publicly_accessible(false)
            // What is thrown away is not kept from it, and is not backed up: its first backup would only delay both.
            .deletion_protection(false)
            .backup_retention_period(0)
            .auto_minor_version_upgrade(false);
        self.mutate(target, async { requested(request.send().await.map_err(classify), "DBInstanceAlreadyExists") }).await
    }

    async fn list_clones(&self, region: &Region) -> Result<Vec<CloneState>, CallError> {
        // Instances cannot be filtered by their tags: every page is read, and each instance brings its own.
        let (mut clones, mut marker) = (Vec::new(), None);
        loop {
            let request = self.rds(region).describe_db_instances().max_records(PAGE).set_marker(marker);
            let target = Target::control("rds:DescribeDBInstances", region, "clones");
            let page = self.read(target, async { request.send().await.map_err(classify) }).await?;
            clones.extend(page.db_instances().iter().filter_map(described));
            marker = page.marker;
            if marker.as_deref().is_none_or(str::is_empty) {
                return Ok(clones);
            }
        }
    }

    async fn delete_clone(&self, region: &Region, name: &str) -> Result<(), CallError> {
        let target = Target::control("rds:DeleteDBInstance", region, name);
        only_a_clone(&target, name)?;
        let request = self.rds(region).delete_db_instance().db_instance_identifier(name).skip_final_snapshot(true).delete_automated_backups(true);
        self.mutate(target, async { request.send().await.map(drop).map_err(classify) }).await
    }

    async fn mark_snapshot(&self, region: &Region, snapshot: &str, tag: &str, value: &str) -> Result<(), CallError> {
        let target = Target::control("rds:AddTagsToResource", region, snapshot);
        let arn = self.snapshot_arn(region, "snapshot", snapshot).map_err(|failed| target.failed(failed))?;
        let request = self.rds(region).add_tags_to_resource().resource_name(arn).tags(Tag::builder().key(tag).value(value).build());
        self.mutate(target, async { request.send().await.map(drop).map_err(classify) }).await
    }

    async fn unmark_snapshot(&self, region: &Region, snapshot: &str, tag: &str) -> Result<(), CallError> {
        let target = Target::control("rds:RemoveTagsFromResource", region, snapshot);
        let arn = self.snapshot_arn(region, "snapshot", snapshot).map_err(|failed| target.failed(failed))?;
        let request = self.rds(region).remove_tags_from_resource().resource_name(arn).tag_keys(tag);
        self.mutate(target, async { request.send().await.map(drop).map_err(classify) }).await
    }
}

/// The last thing between a mistake and an instance that serves: besides it, IAM lets Muster restore and delete nothing that is called otherwise.
fn only_a_clone(target: &Target, name: &str) -> Result<(), CallError> {
    if name.starts_with(CLONE_PREFIX) {
        return Ok(());
    }
    Err(target.failed(Failed::new(CallFault::Rejected, format!("{name} does not begin with `{CLONE_PREFIX}`: Muster restores and deletes nothing but clones"))))
}

/// An instance with the tag of a clone, whatever it is called.
fn described(instance: &DbInstance) -> Option<CloneState> {
    let tags = port_tags(instance.tag_list());
    if !tags.contains_key(CLONE_TAG) {
        return None;
    }
    let status = instance.db_instance_status().unwrap_or_default();
    let status = match status_of(status) {
        _ if status == "deleting" => CloneStatus::Deleting,
        DatabaseStatus::Available | DatabaseStatus::BackingUp => CloneStatus::Serves,
        DatabaseStatus::Broken(_) => CloneStatus::Broken(status.into()),
        DatabaseStatus::Changing(_) => CloneStatus::Changing(if status.is_empty() { "no status" } else { status }.into()),
    };
    let endpoint = instance.endpoint().and_then(|endpoint| Some(Arc::from(format!("{}:{}", endpoint.address()?, endpoint.port()?))));
    Some(CloneState { name: instance.db_instance_identifier()?.into(), status, endpoint, tags })
}

#[cfg(test)]
mod tests;
