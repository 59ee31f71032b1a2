//! RDS instances: what is described in pages, and three calls that change one.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_rds::types::{DbInstance, Filter};
use futures::{StreamExt, TryStreamExt, stream};
use muster_core::ports::{Control, DatabaseRole, DatabaseState, DatabaseStatus, Databases, Ledger};
use muster_core::{CallError, DatabaseId, Region};

use crate::call::{PAGES_SIDE_BY_SIDE, joined};
use crate::{Aws, Target, classify};

/// A page of `DescribeDBInstances` holds no more (its `MaxRecords`), so no more are asked for at a time.
const PAGE: usize = 100;

impl<X> Databases for Aws<X>
where
    Self: Control + Ledger,
{
    async fn describe_databases(&self, region: &Region, ids: &[DatabaseId]) -> Result<BTreeMap<DatabaseId, DatabaseState>, CallError> {
        let pages = stream::iter(ids.chunks(PAGE)).map(|asked| self.describe_some(region, asked)).buffered(PAGES_SIDE_BY_SIDE);
        pages
            .try_fold(BTreeMap::new(), async |mut all, mut some| {
                all.append(&mut some);
                Ok(all)
            })
            .await
    }

    async fn promote_replica(&self, id: &DatabaseId, backup_retention_days: u32) -> Result<(), CallError> {
        let days = i32::try_from(backup_retention_days).unwrap_or(i32::MAX);
        let request = self.rds(&id.region).promote_read_replica().db_instance_identifier(&*id.name).backup_retention_period(days);
        let target = Target::control("rds:PromoteReadReplica", &id.region, &*id.name);
        self.mutate(target, async { request.send().await.map(drop).map_err(classify) }).await
    }

    async fn set_security_groups(&self, id: &DatabaseId, groups: &[Arc<str>]) -> Result<(), CallError> {
        let groups = groups.iter().map(|group| group.to_string()).collect();
        let request = self
            .rds(&id.region)
            .modify_db_instance()
            .db_instance_identifier(&*id.name)
            .set_vpc_security_group_ids(Some(groups))
            // Groups change at once with or without it; without it, the answer says that they are pending.
            .apply_immediately(true);
        let target = Target::control("rds:ModifyDBInstance", &id.region, &*id.name);
        self.mutate(target, async { request.send().await.map(drop).map_err(classify) }).await
    }

    async fn reboot_database(&self, id: &DatabaseId) -> Result<(), CallError> {
        let request = self.rds(&id.region).reboot_db_instance().db_instance_identifier(&*id.name);
        let target = Target::control("rds:RebootDBInstance", &id.region, &*id.name);
        self.mutate(target, async { request.send().await.map(drop).map_err(classify) }).await
    }
}

impl<X> Aws<X> {
    /// As many instances as a page holds, though they may come in several.
    async fn describe_some(&self, region: &Region, asked: &[DatabaseId]) -> Result<BTreeMap<DatabaseId, DatabaseState>, CallError> {
        // By the filter, an instance that does not exist is absent; by `DBInstanceIdentifier`, it would be an error.
        let names = asked.iter().map(|id| id.name.to_string()).collect();
        let filter = Filter::builder().name("db-instance-id").set_values(Some(names)).build();
        let (mut states, mut marker) = (BTreeMap::new(), None);
        loop {
            let request = self.rds(region).describe_db_instances().filters(filter.clone()).max_records(100).set_marker(marker);
            let target = Target::control("rds:DescribeDBInstances", region, joined(asked));
            let page = self.read(target, async { request.send().await.map_err(classify) }).await?;
            states.extend(page.db_instances().iter().filter_map(|instance| described(region, asked, instance)));
            marker = page.marker;
            if marker.as_deref().is_none_or(str::is_empty) {
                return Ok(states);
            }
        }
    }
}

/// One instance, if it is one of those asked for. RDS keeps identifiers in lower case.
fn described(region: &Region, asked: &[DatabaseId], instance: &DbInstance) -> Option<(DatabaseId, DatabaseState)> {
    let name = instance.db_instance_identifier()?;
    let id = asked.iter().find(|id| id.name.eq_ignore_ascii_case(name))?;
    let source = instance.read_replica_source_db_instance_identifier().or(instance.read_replica_source_db_cluster_identifier());
    let source = source.filter(|source| !source.is_empty()).map(|source| source_of(region, source));
    let replicating = instance.status_infos().iter().any(|info| info.status_type() == Some("read replication"));
    let status = status_of(instance.db_instance_status().unwrap_or_default());
    let endpoint = instance.endpoint().and_then(|endpoint| Some(format!("{}:{}", endpoint.address()?, endpoint.port()?).into()));
    let state = DatabaseState {
        // `StatusInfos` is blank unless the instance is a replica: one without a source that has it still is not done.
        status: match status {
            DatabaseStatus::Available | DatabaseStatus::BackingUp if source.is_none() && replicating => DatabaseStatus::Changing("promoting"),
            status => status,
        },
        role: source.map_or(DatabaseRole::Primary, |source| DatabaseRole::Replica { source }),
        endpoint,
        // A group that is being removed is still listed, as `removing`.
        security_groups: instance
            .vpc_security_groups()
            .iter()
            .filter(|group| group.status() != Some("removing"))
            .filter_map(|group| group.vpc_security_group_id().map(Arc::from))
            .collect(),
        backup_retention_days: instance.backup_retention_period().and_then(|days| u32::try_from(days).ok()).unwrap_or(0),
    };
    Some((id.clone(), state))
}

/// The source of a replica: its ARN where it is in another region, else its identifier.
fn source_of(region: &Region, source: &str) -> DatabaseId {
    // arn:partition:rds:region:account:db:name
    let mut parts = source.splitn(7, ':').skip(3);
    let elsewhere = parts.next().and_then(|region| region.parse().ok());
    match (elsewhere, parts.nth(2)) {
        (Some(elsewhere), Some(name)) => DatabaseId::new(&elsewhere, name),
        _ => DatabaseId::new(region, source),
    }
}

/// Statuses that come to an end by themselves. Source of this list and the next: the RDS user guide, "Viewing Amazon RDS DB
/// instance status", and for `promoting` and `failing-over` its page on Aurora clusters.
const CHANGING: [&str; 20] = [
    "backtracking",
    "configuring-associated-roles",
    "configuring-enhanced-monitoring",
    "configuring-iam-database-auth",
    "configuring-log-exports",
    "converting-to-vpc",
    "creating",
    "delete-precheck",
    "failing-over",
    "maintenance",
    "modifying",
    "moving-to-vpc",
    "promoting",
    "rebooting",
    "renaming",
    "resetting-master-credentials",
    "starting",
    "storage-config-upgrade",
    "update-iam-db-auth",
    "upgrading",
];

/// Statuses that an instance does not leave by itself, or from which it does not come back to serve.
const BROKEN: [&str; 15] = [
    "create-failed",
    "deleting",
    "failed",
    "inaccessible-encryption-credentials",
    "inaccessible-encryption-credentials-recoverable",
    "incompatible-create",
    "incompatible-network",
    "incompatible-option-group",
    "incompatible-parameters",
    "incompatible-restore",
    "insufficient-capacity",
    "restore-error",
    "stopped",
    "stopping",
    "storage-full",
];

pub(crate) fn status_of(status: &str) -> DatabaseStatus {
    let known = |list: &[&'static str]| list.iter().find(|known| **known == status).copied();
    match status {
        // By the guide, the instance "is fully operational" or "remains available" in the latter two, which can last for a
        // day: whether RDS takes a change meanwhile, its answer tells.
        "available" | "storage-optimization" | "storage-initialization" => DatabaseStatus::Available,
        "backing-up" => DatabaseStatus::BackingUp,
        _ => match (known(&CHANGING), known(&BROKEN)) {
            (Some(name), _) => DatabaseStatus::Changing(name),
            (_, Some(name)) => DatabaseStatus::Broken(name),
            // Waiting has an end, after which a person looks; giving up at once has none.
            _ => DatabaseStatus::Changing("unknown status"),
        },
    }
}

#[cfg(test)]
mod tests;
