//! Global datastores. A service whose cache is in the other region is slow, not down: caches count as components of
//! their own, and not towards the success of requests.
//!
//! Modelled: a hit rate that is low when clients come to a cache that does not know them, or that was failed over under
//! them, and rises for some minutes. Not modelled: keys, sizes, warming by requests of Muster's own; a cache that does not answer.

use std::sync::Arc;

use muster_core::ports::{GlobalCacheState, GlobalMember};
use muster_core::{Duration, Region, Timestamp};
use muster_plan::Regions;

/// The hit rate of a cold cache and of a warm one, in thousandths of a per cent, and how long the one takes to become the
/// other. AWS publishes no figures; ElastiCache's user guide calls a hit rate of about 80 % a good one.
const COLD: u64 = 35_000;
const WARM: u64 = 95_000;
const WARMING: Duration = Duration::from_mins(6);

/// The hit rate of a cache that clients have used for so long, in thousandths of a per cent: never above a hundred.
pub(crate) fn hit_rate(used_for: Duration) -> u64 {
    COLD + (WARM - COLD) * used_for.min(WARMING).as_millis() / WARMING.as_millis()
}

/// The host that clients of a region know a replication group by.
pub(crate) fn host(group: &str, region: &Region) -> Arc<str> {
    format!("{group}.{region}.cache.amazonaws.com").into()
}

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
    /// When it last was.
    pub moved_at: Option<Timestamp>,
}

impl GlobalCache {
    /// On a good day.
    pub fn new(component: &str, id: &str, regions: &Regions, primary: &str, standby: &str) -> Self {
        let member = |region: &Region, group: &str, primary| GlobalMember {
            region: region.clone(),
            group: group.into(),
            primary,
            available: true,
            endpoint: Some(host(group, region)),
        };
        GlobalCache {
            component: component.into(),
            id: id.into(),
            members: vec![member(&regions.primary, primary, true), member(&regions.standby, standby, false)],
            settled: true,
            failovers: 0,
            moved_at: None,
        }
    }

    /// What ElastiCache says about it.
    pub fn describe(&self) -> GlobalCacheState {
        GlobalCacheState { settled: self.settled, members: self.members.clone() }
    }

    /// The cluster in `region` takes the writes from now on.
    pub fn make_primary(&mut self, region: &Region, now: Timestamp) {
        for member in &mut self.members {
            member.primary = member.region == *region;
        }
        self.settled = true;
        self.moved_at = Some(now);
    }

    /// The region whose cluster takes writes.
    pub fn primary_region(&self) -> Option<&Region> {
        self.members.iter().find(|member| member.primary).map(|member| &member.region)
    }
}
