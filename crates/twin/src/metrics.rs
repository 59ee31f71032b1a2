//! What CloudWatch shows: one datapoint a minute, at the full minute. Values come from the estate and never from what a
//! plan's checks want to see.
//!
//! Modelled: replica lag in whole seconds, what it shows when the source is gone; the load balancers' requests, response
//! codes, response times and healthy hosts; the caches' hit rate while clients use them; whatever Muster published. Any
//! other metric has no datapoint, as if nobody published it, and the story says so once: a check of it is never taken
//! for passed, and a rehearsal of the plan holds there as for any metric that is missing. Not modelled: dimensions
//! (every load balancer of a region is the same one), late datapoints, periods other than a minute.

use muster_core::ports::{Datapoint, MetricQuery};
use muster_core::{DatabaseId, Duration, Region, Timestamp};
use muster_plan::RegionRole;

use crate::caches::hit_rate;
use crate::clients::Side;
use crate::databases::{DarkLag, Pair};
use crate::estate::Estate;

const MINUTE: i64 = 60_000;
/// Most datapoints that a query returns.
const MOST: usize = 1_440;

impl Estate {
    /// The datapoints of a query, oldest first.
    pub(crate) fn metric(&mut self, region: &Region, query: &MetricQuery) -> Vec<Datapoint> {
        if let Some(points) = self.published(region, &query.namespace, &query.name) {
            return points[points.partition_point(|point| point.at < query.since)..].to_vec();
        }
        if (&*query.namespace, &*query.name) == ("AWS/RDS", "ReplicaLag") {
            let replica = query.dimensions.get("DBInstanceIdentifier");
            let instance = replica.and_then(|name| self.instances.get(&DatabaseId::new(region, name)));
            let pair = instance.map(|instance| &self.pairs[instance.database]).filter(|pair| pair.standby.as_ref() == instance.map(|known| &known.id));
            return pair.map_or_else(Vec::new, |pair| self.minutes(query.since, |at| replica_lag(pair, at)));
        }
        let side = match self.role_of(region) {
            Some(RegionRole::Primary) => Side::Primary,
            Some(RegionRole::Standby) => Side::Standby,
            _ => return Vec::new(),
        };
        match &*query.namespace {
            "AWS/ApplicationELB" if self.balancer_metric(side, &query.name, &query.statistic, self.now).is_some() => {
                self.minutes(query.since, |at| self.balancer_metric(side, &query.name, &query.statistic, at).flatten().map(thousandths))
            }
            "AWS/ElastiCache" if &*query.name == "CacheHitRate" => self.minutes(query.since, |at| self.cache_hit_rate(region, side, query, at)),
            _ => {
                if self.unknown_metrics.insert((query.namespace.clone(), query.name.clone())) {
                    self.tell(format!("{} {} is not modelled: it has no datapoint in a rehearsal", query.namespace, query.name));
                }
                Vec::new()
            }
        }
    }

    /// What Muster published under a name, oldest first.
    pub(crate) fn published(&self, region: &Region, namespace: &str, name: &str) -> Option<&[Datapoint]> {
        // A handful: found by looking at each.
        let known = self.published.iter().find(|((at, space, metric), _)| at == region && **space == *namespace && **metric == *name);
        known.map(|(_, points)| points.as_slice())
    }

    fn minutes(&self, since: Timestamp, mut value: impl FnMut(Timestamp) -> Option<i64>) -> Vec<Datapoint> {
        let first = since.max(self.started_at.before(Duration::from_mins(15))).as_millis().div_euclid(MINUTE) + 1;
        let last = self.now.as_millis().div_euclid(MINUTE);
        let minutes = (first..=last).map(|minute| Timestamp::from_millis(minute * MINUTE));
        minutes.filter_map(|at| value(at).map(|milli| Datapoint { at, milli })).take(MOST).collect()
    }

    /// Since clients came to this region, or its cache was failed over under them.
    fn cache_hit_rate(&self, region: &Region, side: Side, query: &MetricQuery, at: Timestamp) -> Option<i64> {
        if self.requests(side, at) == 0 {
            return None;
        }
        let is_named = |group: &str| query.dimensions.values().any(|value| value.starts_with(group));
        let moved = self
            .caches
            .values()
            .filter(|cache| cache.members.iter().any(|member| member.region == *region && is_named(&member.group)))
            .filter_map(|cache| cache.moved_at.filter(|moved| *moved <= at));
        let came = self.records.iter().filter(|record| record.answers.current() == side).map(|record| record.answers.since());
        // Those who are still on their way out of a region have used its cache for long.
        let used_for = moved.chain(came).max().map_or(Duration::from_hours(24), |since| at.since(since));
        Some(thousandths(hit_rate(used_for)))
    }
}

fn thousandths(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Whole seconds, as RDS publishes them; nothing any more once it is a replica no more.
fn replica_lag(pair: &Pair, at: Timestamp) -> Option<i64> {
    if pair.promotion.is_some_and(|promotion| at >= promotion.at) {
        return None;
    }
    let seconds = |at: Timestamp| i64::try_from(pair.replication.lag_at(at).as_millis() / 1_000).unwrap_or(i64::MAX / 1_000) * 1_000;
    match pair.replication.was_cut_at(at) {
        None => Some(seconds(at)),
        Some(since) => match pair.dark_lag {
            DarkLag::Frozen => Some(seconds(since)),
            DarkLag::Broken => Some(-1_000),
            DarkLag::Absent => None,
        },
    }
}

#[cfg(test)]
mod tests;
