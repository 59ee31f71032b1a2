//! RDS instances and global datastores.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_core::ports::{CacheEndpoint, Caches, DatabaseState, Databases, GlobalCacheState, GlobalCaches};
use muster_core::{CallError, DatabaseId, Duration, Region};

use crate::caches;
use crate::changes::Change;
use crate::databases::Phase;
use crate::durations::{GLOBAL_CACHE, QUERY, REBOOT, SECURITY_GROUPS};
use crate::estate::{Estate, quarantine_group};
use crate::ports::{PAGE, control, data, in_pages, joined, missing, rejected};
use crate::world::{Refusal, World};

impl Databases for World {
    async fn describe_databases(&self, region: &Region, ids: &[DatabaseId]) -> Result<BTreeMap<DatabaseId, DatabaseState>, CallError> {
        in_pages(ids, PAGE, |ids| self.databases_page(region, ids)).await
    }

    async fn promote_replica(&self, id: &DatabaseId, backup_retention_days: u32) -> Result<(), CallError> {
        let calling = control("rds:PromoteReadReplica", &id.region, id.to_string()).changing();
        self.mutate(calling, |estate| estate.promote(id, backup_retention_days)).await
    }

    async fn set_security_groups(&self, id: &DatabaseId, groups: &[Arc<str>]) -> Result<(), CallError> {
        let calling = control("rds:ModifyDBInstance", &id.region, id.to_string()).changing();
        self.mutate(calling, |estate| estate.set_security_groups(id, groups)).await
    }

    async fn reboot_database(&self, id: &DatabaseId) -> Result<(), CallError> {
        let calling = control("rds:RebootDBInstance", &id.region, id.to_string()).changing();
        self.mutate(calling, |estate| estate.reboot(id)).await
    }
}

impl World {
    async fn databases_page(&self, region: &Region, ids: &[DatabaseId]) -> Result<BTreeMap<DatabaseId, DatabaseState>, CallError> {
        self.read(control("rds:DescribeDBInstances", region, joined(ids)), |estate, stale| {
            let now = estate.now();
            let seen = |id: &DatabaseId| {
                let instance = estate.instances.get(id)?;
                let earlier = stale.and_then(|age| instance.describe_earlier(now.before(age)));
                Some((id.clone(), earlier.unwrap_or_else(|| instance.describe(now))))
            };
            Ok(ids.iter().filter_map(seen).collect())
        })
        .await
    }
}

impl GlobalCaches for World {
    async fn describe_global_caches(&self, region: &Region, ids: &[Arc<str>]) -> Result<BTreeMap<Arc<str>, GlobalCacheState>, CallError> {
        self.read(control("elasticache:DescribeGlobalReplicationGroups", region, joined(ids)), |estate, _| {
            Ok(ids.iter().filter_map(|id| Some((id.clone(), estate.caches.get(id)?.describe()))).collect())
        })
        .await
    }

    async fn failover_global_cache(&self, region: &Region, id: &str, group: &str) -> Result<(), CallError> {
        let calling = control("elasticache:FailoverGlobalReplicationGroup", region, id).changing();
        self.mutate(calling, |estate| estate.failover_cache(region, id, group)).await
    }
}

impl Caches for World {
    async fn describe_caches(&self, region: &Region, groups: &[Arc<str>]) -> Result<BTreeMap<Arc<str>, CacheEndpoint>, CallError> {
        self.read(control("elasticache:DescribeReplicationGroups", region, joined(groups)), |estate, _| {
            let serving = estate.plan.caches.iter().filter(|_| *region == estate.plan.regions.standby);
            let serving = serving.filter_map(|cache| Some((groups.iter().find(|group| cache.standby_group() == Some(group))?, cache.port())));
            Ok(serving.map(|(group, port)| (group.clone(), CacheEndpoint { host: caches::host(group, region), port, encrypted: true })).collect())
        })
        .await
    }

    async fn ping_cache(&self, region: &Region, endpoint: &CacheEndpoint, _: Option<&str>) -> Result<(), CallError> {
        self.read(data("cache:Ping", region, &*endpoint.host, &QUERY), |_, _| Ok(())).await
    }
}

impl Estate {
    fn promote(&mut self, id: &DatabaseId, retention: u32) -> Result<(), Refusal> {
        let instance = self.instances.get(id).ok_or_else(|| missing(id))?;
        let index = instance.database;
        match instance.phase {
            _ if instance.source.is_none() => return Err(rejected(format!("InvalidDBInstanceState: {id} is not a read replica"))),
            Phase::Available => {}
            Phase::BackingUp => return Err(rejected(format!("InvalidDBInstanceState: {id} is being backed up"))),
            Phase::Promoting { .. } | Phase::Rebooting => return Err(rejected(format!("InvalidDBInstanceState: {id} is not in state available"))),
        }
        self.check_promotion(index);
        self.begin_promotion(id, retention, false);
        Ok(())
    }

    fn set_security_groups(&mut self, id: &DatabaseId, groups: &[Arc<str>]) -> Result<(), Refusal> {
        let now = self.now();
        let instance = self.instances.get_mut(id).ok_or_else(|| missing(id))?;
        instance.groups = groups.to_vec();
        instance.changes += 1;
        instance.remember(now);
        let (index, ordinal) = (instance.database, instance.changes);
        self.touches(&[index]);
        let quarantine = quarantine_group(&self.plan.databases[index]);
        let quarantined = quarantine.is_some_and(|group| groups.iter().all(|known| **known == *group));
        let name = self.pairs[index].name.clone();
        let until = self.work(&name, "security groups", &SECURITY_GROUPS, ordinal, Duration::ZERO);
        self.schedule(until, Change::Grouped { id: id.clone(), quarantined });
        Ok(())
    }

    fn reboot(&mut self, id: &DatabaseId) -> Result<(), Refusal> {
        let now = self.now();
        let instance = self.instances.get_mut(id).ok_or_else(|| missing(id))?;
        if instance.phase != Phase::Available {
            return Err(rejected(format!("InvalidDBInstanceState: {id} is not in state available")));
        }
        instance.phase = Phase::Rebooting;
        instance.held_sessions = 0;
        instance.changes += 1;
        instance.remember(now);
        let (index, ordinal) = (instance.database, instance.changes);
        self.touches(&[index]);
        let name = self.pairs[index].name.clone();
        let until = self.work(&name, "reboot", &REBOOT, ordinal, Duration::ZERO);
        self.schedule(until, Change::Rebooted(id.clone()));
        self.tell(format!("{id} reboots"));
        Ok(())
    }

    pub(crate) fn failover_cache(&mut self, region: &Region, id: &str, group: &str) -> Result<(), Refusal> {
        let role = self.role_of(region).ok_or_else(|| missing(region))?;
        let cache = self.caches.get_mut(id).ok_or_else(|| missing(id))?;
        if !cache.settled {
            return Err(rejected(format!("InvalidGlobalReplicationGroupState: {id} is modifying")));
        }
        if !cache.members.iter().any(|member| member.region == *region && *member.group == *group) {
            return Err(missing(format!("{group} in {id}")));
        }
        cache.settled = false;
        cache.failovers += 1;
        let (component, id, ordinal) = (cache.component.clone(), cache.id.clone(), cache.failovers);
        let until = self.work(&component, "global failover", &GLOBAL_CACHE, ordinal, Duration::ZERO);
        self.schedule(until, Change::CacheMoved { id, region: role });
        Ok(())
    }
}
