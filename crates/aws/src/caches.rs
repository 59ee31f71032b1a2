//! ElastiCache: global datastores, and the servers behind them.

mod ping;

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_elasticache::types::{GlobalReplicationGroup, ReplicationGroup};
use muster_core::ports::{CacheEndpoint, Caches, Control, GlobalCacheState, GlobalCaches, GlobalMember, Ledger};
use muster_core::{CallError, CallFault, Region};

use crate::{Aws, Target, classify};

impl<X> GlobalCaches for Aws<X>
where
    Self: Control + Ledger,
{
    async fn describe_global_caches(&self, region: &Region, ids: &[Arc<str>]) -> Result<BTreeMap<Arc<str>, GlobalCacheState>, CallError> {
        let mut states = BTreeMap::new();
        let mut marker = None;
        // The call takes one id or none: an account has few datastores, and a page holds them all.
        while !ids.is_empty() {
            let request = self.elasticache(region).describe_global_replication_groups().show_member_info(true).max_records(100).set_marker(marker);
            let target = Target::control("elasticache:DescribeGlobalReplicationGroups", region, ids.join(", "));
            let page = self.read(target, async { request.send().await.map_err(classify) }).await?;
            for group in page.global_replication_groups() {
                if let Some(id) = ids.iter().find(|id| group.global_replication_group_id() == Some(id)) {
                    states.insert(id.clone(), described(group));
                }
            }
            marker = page.marker.filter(|marker| !marker.is_empty());
            if marker.is_none() {
                break;
            }
        }
        for member in states.values_mut().flat_map(|state: &mut GlobalCacheState| &mut state.members).filter(|member| member.region == *region) {
            member.endpoint = self.cache_endpoint(region, &member.group).await?.map(|endpoint| endpoint.host);
        }
        Ok(states)
    }

    async fn failover_global_cache(&self, region: &Region, id: &str, group: &str) -> Result<(), CallError> {
        let request = self
            .elasticache(region)
            .failover_global_replication_group()
            .global_replication_group_id(id)
            .primary_region(region.as_str())
            .primary_replication_group_id(group);
        let target = Target::control("elasticache:FailoverGlobalReplicationGroup", region, id);
        self.mutate(target, async { request.send().await.map(drop).map_err(classify) }).await
    }
}

impl<X> Caches for Aws<X>
where
    Self: Control + Ledger,
{
    async fn describe_caches(&self, region: &Region, groups: &[Arc<str>]) -> Result<BTreeMap<Arc<str>, CacheEndpoint>, CallError> {
        let mut found = BTreeMap::new();
        // The call takes one id or none. A service has few caches, and the account may have many.
        for group in groups {
            if let Some(endpoint) = self.cache_endpoint(region, group).await? {
                found.insert(group.clone(), endpoint);
            }
        }
        Ok(found)
    }

    async fn ping_cache(&self, region: &Region, endpoint: &CacheEndpoint, credentials: Option<&str>) -> Result<(), CallError> {
        let token = match credentials {
            Some(secret) => Some(self.secret(secret, ping::Token::read).await?),
            None => None,
        };
        let target = Target::data("cache:Ping", region, format!("{}:{}", endpoint.host, endpoint.port));
        self.read(target, ping::ping(endpoint, token)).await
    }
}

impl<X> Aws<X> {
    /// Where a region's own cluster serves: no other region's API tells it.
    async fn cache_endpoint(&self, region: &Region, group: &str) -> Result<Option<CacheEndpoint>, CallError> {
        let request = self.elasticache(region).describe_replication_groups().replication_group_id(group);
        let target = Target::control("elasticache:DescribeReplicationGroups", region, group);
        match self.read(target, async { request.send().await.map_err(classify) }).await {
            Ok(answer) => Ok(answer.replication_groups().iter().find_map(endpoint_of)),
            Err(error) if error.fault == CallFault::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Statuses and roles are free text in the API. Source: the ElastiCache user guide, "Replication across Regions using global datastores".
fn described(group: &GlobalReplicationGroup) -> GlobalCacheState {
    let members = group.members().iter().filter_map(|member| {
        Some(GlobalMember {
            region: member.replication_group_region()?.parse().ok()?,
            group: member.replication_group_id()?.into(),
            primary: member.role().is_some_and(|role| role.eq_ignore_ascii_case("primary")),
            // Within a datastore a healthy cluster is `associated`.
            available: matches!(member.status(), Some("associated" | "available")),
            endpoint: None,
        })
    });
    GlobalCacheState { settled: matches!(group.status(), Some("available" | "primary-only")), members: members.collect() }
}

/// With cluster mode on, clients ask the configuration endpoint; with it off, they write to the one node group's primary.
fn endpoint_of(group: &ReplicationGroup) -> Option<CacheEndpoint> {
    let primary = || group.node_groups().first().and_then(|nodes| nodes.primary_endpoint());
    let endpoint = group.configuration_endpoint().or_else(primary)?;
    Some(CacheEndpoint {
        host: endpoint.address()?.into(),
        port: endpoint.port().and_then(|port| port.try_into().ok())?,
        encrypted: group.transit_encryption_enabled().unwrap_or(false),
    })
}

#[cfg(test)]
mod tests;
