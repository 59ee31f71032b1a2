//! What can be recovered besides snapshots, and the quotas of further ones.

use aws_sdk_rds::types::{DbCluster, DbInstance, Filter};
use aws_smithy_types::DateTime;
use muster_core::ports::{Recoverability, SnapshotQuota, SnapshotSource, SourceKind};
use muster_core::{CallError, CallFault, Region, Timestamp};

use super::instances::PAGE;
use super::{instant, next};
use crate::{Aws, Failed, Target, classify};

impl<X> Recoverability for Aws<X> {
    async fn restorable_until(&self, region: &Region, source: &SnapshotSource) -> Result<Option<Timestamp>, CallError> {
        let (backed_up, own) = match source.kind {
            SourceKind::Instance => {
                let own = self.instances_named(region, &source.name).await?;
                let own = newest(own.iter().filter_map(|instance| instance.latest_restorable_time()));
                (self.instance_backups_until(region, &source.name).await?, own)
            }
            SourceKind::Cluster => {
                let own = self.clusters_named(region, &source.name).await?;
                let own = newest(own.iter().filter_map(|cluster| cluster.latest_restorable_time()));
                (self.cluster_backups_until(region, &source.name).await?, own)
            }
            SourceKind::Cache => (None, None),
        };
        Ok(backed_up.max(own))
    }

    async fn source_exists(&self, region: &Region, source: &SnapshotSource) -> Result<bool, CallError> {
        match source.kind {
            SourceKind::Instance => Ok(!self.instances_named(region, &source.name).await?.is_empty()),
            SourceKind::Cluster => Ok(!self.clusters_named(region, &source.name).await?.is_empty()),
            SourceKind::Cache => {
                let request = self.elasticache(region).describe_replication_groups().replication_group_id(&*source.name);
                let target = Target::control("elasticache:DescribeReplicationGroups", region, source.name.clone());
                match self.read(target, async { request.send().await.map_err(classify) }).await {
                    Ok(answer) => Ok(!answer.replication_groups().is_empty()),
                    Err(error) if error.fault == CallFault::NotFound => Ok(false),
                    Err(error) => Err(error),
                }
            }
        }
    }

    async fn snapshot_quota(&self, region: &Region, kind: SourceKind) -> Result<Option<SnapshotQuota>, CallError> {
        let name = match kind {
            SourceKind::Instance => "ManualSnapshots",
            SourceKind::Cluster => "ManualClusterSnapshots",
            SourceKind::Cache => return Ok(None),
        };
        let request = self.rds(region).describe_account_attributes();
        let target = Target::control("rds:DescribeAccountAttributes", region, name);
        let answer = self.read(target.clone(), async { request.send().await.map_err(classify) }).await?;
        let found = answer.account_quotas().iter().find(|quota| quota.account_quota_name() == Some(name));
        let count = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
        let quota = found.and_then(|quota| Some(SnapshotQuota { used: count(quota.used())?, limit: count(quota.max())? }));
        let unsaid = || target.failed(Failed::new(CallFault::Rejected, format!("the answer does not tell the quota `{name}`")));
        quota.map(Some).ok_or_else(unsaid)
    }
}

impl<X> Aws<X> {
    /// The instance of a name in a region, or none: by the filter, one that does not exist is absent.
    async fn instances_named(&self, region: &Region, name: &str) -> Result<Vec<DbInstance>, CallError> {
        let filter = Filter::builder().name("db-instance-id").values(name).build();
        let request = self.rds(region).describe_db_instances().filters(filter).max_records(PAGE);
        let target = Target::control("rds:DescribeDBInstances", region, name);
        let answer = self.read(target, async { request.send().await.map_err(classify) }).await?;
        Ok(answer.db_instances.unwrap_or_default())
    }

    async fn clusters_named(&self, region: &Region, name: &str) -> Result<Vec<DbCluster>, CallError> {
        let filter = Filter::builder().name("db-cluster-id").values(name).build();
        let request = self.rds(region).describe_db_clusters().filters(filter).max_records(PAGE);
        let target = Target::control("rds:DescribeDBClusters", region, name);
        let answer = self.read(target, async { request.send().await.map_err(classify) }).await?;
        Ok(answer.db_clusters.unwrap_or_default())
    }

    /// Automated backups of an instance that a region has: its own, and those replicated to it. One of them is kept for each instance that has had
    /// the name, so there may be pages of them.
    async fn instance_backups_until(&self, region: &Region, name: &str) -> Result<Option<Timestamp>, CallError> {
        let filter = Filter::builder().name("db-instance-id").values(name).build();
        let target = Target::control("rds:DescribeDBInstanceAutomatedBackups", region, name);
        let (mut until, mut marker) = (None, None);
        loop {
            let request = self.rds(region).describe_db_instance_automated_backups().filters(filter.clone()).max_records(PAGE).set_marker(marker);
            let page = match self.read(target.clone(), async { request.send().await.map_err(classify) }).await {
                Ok(page) => page,
                Err(error) if error.fault == CallFault::NotFound => return Ok(until),
                Err(error) => return Err(error),
            };
            let backups = page.db_instance_automated_backups();
            until = until.max(newest(backups.iter().filter_map(|backup| backup.restore_window()?.latest_time())));
            marker = next(page.marker).map(|marker| marker.to_string());
            if marker.is_none() {
                return Ok(until);
            }
        }
    }

    async fn cluster_backups_until(&self, region: &Region, name: &str) -> Result<Option<Timestamp>, CallError> {
        let filter = Filter::builder().name("db-cluster-id").values(name).build();
        let target = Target::control("rds:DescribeDBClusterAutomatedBackups", region, name);
        let (mut until, mut marker) = (None, None);
        loop {
            let request = self.rds(region).describe_db_cluster_automated_backups().filters(filter.clone()).max_records(PAGE).set_marker(marker);
            let page = match self.read(target.clone(), async { request.send().await.map_err(classify) }).await {
                Ok(page) => page,
                Err(error) if error.fault == CallFault::NotFound => return Ok(until),
                Err(error) => return Err(error),
            };
            let backups = page.db_cluster_automated_backups();
            until = until.max(newest(backups.iter().filter_map(|backup| backup.restore_window()?.latest_time())));
            marker = next(page.marker).map(|marker| marker.to_string());
            if marker.is_none() {
                return Ok(until);
            }
        }
    }
}

fn newest<'a>(instants: impl Iterator<Item = &'a DateTime>) -> Option<Timestamp> {
    instants.filter_map(instant).max()
}
