//! What CloudWatch shows: one datapoint a minute, at the full minute, for the metrics that a plan speaks of.
//!
//! Modelled: replica lag in whole seconds, what it shows when the source is gone, healthy hosts, whatever Muster
//! published, and the plan's own metric checks: in order while the region serves in full, out of order while it does
//! not, without a datapoint before it has traffic. Not modelled: the metrics' real values.

use muster_core::ports::{Datapoint, MetricQuery};
use muster_core::{Region, Timestamp};
use muster_plan::{Check, MetricCheck, Quantity, RegionRole};

use crate::clients::{ALL, Side};
use crate::databases::{DarkLag, Pair};
use crate::estate::Estate;

const MINUTE: i64 = 60_000;
/// Most datapoints that a query returns.
const MOST: usize = 1_440;

impl Estate {
    /// The datapoints of a query, oldest first.
    pub(crate) fn metric(&self, region: &Region, query: &MetricQuery) -> Vec<Datapoint> {
        let published = self.published.get(&(region.clone(), query.namespace.clone(), query.name.clone()));
        if let Some(points) = published {
            return points.iter().filter(|point| point.at >= query.since).copied().collect();
        }
        if &*query.name == "ReplicaLag" {
            let replica = query.dimensions.get("DBInstanceIdentifier");
            let pair =
                self.pairs.iter().find(|pair| pair.standby.as_ref().is_some_and(|id| id.region == *region && Some(&*id.name) == replica.map(String::as_str)));
            return pair.map_or_else(Vec::new, |pair| self.minutes(query.since, |at| replica_lag(pair, at)));
        }
        let Some(role) = self.role_of(region) else { return Vec::new() };
        if &*query.name == "HealthyHostCount" {
            let healthy: u32 = self.groups.values().filter(|group| group.serving && group.id.region == *region).map(crate::compute::Group::healthy).sum();
            return self.minutes(query.since, |at| (at.since(self.started_at).as_millis() > 0).then_some(i64::from(healthy) * 1_000));
        }
        let about =
            |check: &&MetricCheck| *check.namespace == *query.namespace && (*check.metric == *query.name || check.share_of.as_deref() == Some(&*query.name));
        let known = self.plan.checks.iter().filter_map(|check| if let Check::Metric(check) = check { Some(check) } else { None }).find(about);
        known.map_or_else(Vec::new, |check| self.minutes(query.since, |at| self.checked(check, &query.name, role, at)))
    }

    fn minutes(&self, since: Timestamp, mut value: impl FnMut(Timestamp) -> Option<i64>) -> Vec<Datapoint> {
        let first = since.max(self.started_at.before(muster_core::Duration::from_mins(15))).as_millis().div_euclid(MINUTE) + 1;
        let last = self.now.as_millis().div_euclid(MINUTE);
        let minutes = (first..=last).map(|minute| Timestamp::from_millis(minute * MINUTE));
        minutes.filter_map(|at| value(at).map(|milli| Datapoint { at, milli })).take(MOST).collect()
    }

    /// A metric that a check of the plan is about.
    fn checked(&self, check: &MetricCheck, name: &str, role: RegionRole, at: Timestamp) -> Option<i64> {
        let side = if role == RegionRole::Standby { Side::Standby } else { Side::Primary };
        let since = self.records.iter().filter(|record| record.answers.current() == side).map(|record| record.answers.since()).max()?;
        if at < since {
            return None;
        }
        if check.share_of.as_deref() == Some(name) {
            return Some(60_000 * 100);
        }
        let whole = match role {
            RegionRole::Standby => self.standby_serves_since.is_some_and(|since| at.as_millis() - MINUTE >= since.as_millis()),
            _ => self.service[0].success > ALL / 2,
        };
        Some(value(check, whole))
    }
}

/// A value on the right side of the check's threshold, or on the wrong one.
fn value(check: &MetricCheck, good: bool) -> i64 {
    let milli = |quantity: &Quantity| match quantity {
        // A share of another metric is of a hundred requests a second; any other share is a percentage.
        Quantity::Percent(share) if check.share_of.is_some() => i64::try_from(share.of(60_000 * 100)).unwrap_or(i64::MAX),
        Quantity::Percent(share) => i64::try_from(share.as_ppm() / 10).unwrap_or(i64::MAX),
        Quantity::Duration(span) => i64::try_from(span.as_millis()).unwrap_or(i64::MAX),
        Quantity::Count(count) => i64::try_from(count * 1_000).unwrap_or(i64::MAX),
    };
    match (&check.below, &check.above, &check.equals) {
        (Some(limit), ..) => {
            if good {
                milli(limit) / 2
            } else {
                milli(limit) * 2 + 1_000
            }
        }
        (_, Some(limit), _) => {
            if good {
                milli(limit) + milli(limit) / 10 + 1
            } else {
                milli(limit) / 2
            }
        }
        (.., Some(wanted)) => {
            if good {
                milli(wanted)
            } else {
                milli(wanted) + 1_000
            }
        }
        (None, None, None) => 0,
    }
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
