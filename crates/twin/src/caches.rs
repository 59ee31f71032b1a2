//! Global datastores. A service whose cache is in the other region is slow, not down: caches count as components of
//! their own, and not towards the success of requests. Not modelled: keys, sizes, warming.

use std::sync::Arc;

use muster_core::Region;
use muster_core::ports::{GlobalCacheState, GlobalMember};
use muster_plan::Regions;

/// One global datastore with a cluster in either region.
#[derive(Clone, Debug)]
pub struct GlobalCache {
    /// Its name in the plan.
    pub component: Arc<str>,
    /// Its identifier.
    pub id: Arc<str>,
    /// Its clusters.
    pub members: Vec<GlobalMember>,
    /// Whether it is not modifying.
    pub settled: bool,
    /// How often it was failed over: names the next draw.
    pub failovers: u64,
}

impl GlobalCache {
    /// On a good day.
    pub fn new(component: &str, id: &str, regions: &Regions, primary: &str, standby: &str) -> Self {
        let member = |region: &Region, group: &str, primary| GlobalMember {
            region: region.clone(),
            group: group.into(),
            primary,
            available: true,
            endpoint: Some(format!("{group}.{region}.cache.amazonaws.com").into()),
        };
        GlobalCache {
            component: component.into(),
            id: id.into(),
            members: vec![member(&regions.primary, primary, true), member(&regions.standby, standby, false)],
            settled: true,
            failovers: 0,
        }
    }

    /// What ElastiCache says about it.
    pub fn describe(&self) -> GlobalCacheState {
        GlobalCacheState { settled: self.settled, members: self.members.clone() }
    }

    /// The cluster in `region` takes the writes from now on.
    pub fn make_primary(&mut self, region: &Region) {
        for member in &mut self.members {
            member.primary = member.region == *region;
        }
        self.settled = true;
    }

    /// The region whose cluster takes writes.
    pub fn primary_region(&self) -> Option<&Region> {
        self.members.iter().find(|member| member.primary).map(|member| &member.region)
    }
}
