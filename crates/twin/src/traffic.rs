//! Public names: what the servers answer, and how long a change takes until they do.
//!
//! Modelled: a health check that follows Muster's takeover metric (insufficient data is the last known status), a
//! rewritten alias, a record that Route 53 moves by itself. Not modelled: routing controls (no port of Muster switches
//! them), weights, geography, resolvers that ignore TTLs.

use std::sync::Arc;

use muster_core::Timestamp;
use muster_plan::{TrafficMethod, TrafficRecord};

use crate::clients::{Answers, Side};

/// One public name.
#[derive(Clone, Debug)]
pub struct Record {
    /// The name.
    pub name: Arc<str>,
    /// The hosted zone.
    pub zone: Arc<str>,
    /// What the servers answer.
    pub answers: Answers,
    /// What they will answer once the present change has gone through.
    pub wanted: Side,
    /// How often that has changed: names the next draw, and tells a change that was overtaken.
    pub changes: u64,
    /// What the name resolves to on either side.
    targets: [Arc<str>; 2],
    /// The hosts of the endpoints' own addresses.
    hosts: [Arc<str>; 2],
    /// The metric that moves it: namespace and name.
    pub takeover: Option<(Arc<str>, Arc<str>)>,
    /// Whether Route 53 moves it by itself when the primary fails.
    pub automatic: bool,
}

impl Record {
    /// The record of a plan, on a good day.
    pub fn new(record: &TrafficRecord) -> Self {
        let hosts = [host_of(&record.primary.url), host_of(&record.standby.url)].map(Arc::<str>::from);
        let targets = match &record.method {
            TrafficMethod::UpsertAlias { primary, standby, .. } => [primary.dns_name.as_str().into(), standby.dns_name.as_str().into()],
            _ => hosts.clone(),
        };
        let takeover = match &record.method {
            TrafficMethod::TakeoverMetric { namespace, metric, .. } => Some((namespace.as_str().into(), metric.as_str().into())),
            _ => None,
        };
        Record {
            name: record.record.as_str().into(),
            zone: record.zone.as_str().into(),
            answers: Answers::new(record.ttl.as_millis()),
            wanted: Side::Primary,
            changes: 0,
            targets,
            hosts,
            takeover,
            automatic: matches!(record.method, TrafficMethod::AutomaticFailover { .. }),
        }
    }

    /// What the name resolves to on a side.
    pub fn target(&self, side: Side) -> &Arc<str> {
        match side {
            Side::Primary => &self.targets[0],
            Side::Standby => &self.targets[1],
        }
    }

    /// Every host that leads to either side.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &Arc<str>> {
        self.targets.iter().chain(&self.hosts)
    }

    /// The side that a host belongs to, where it is one of this record's own endpoints.
    pub fn side_of(&self, host: &str) -> Option<Side> {
        let is = |side: usize| *self.targets[side] == *host || *self.hosts[side] == *host;
        if is(1) {
            Some(Side::Standby)
        } else if is(0) {
            Some(Side::Primary)
        } else {
            None
        }
    }

    /// From `now` on the servers answer with `side`, unless another change came in between.
    pub fn apply(&mut self, now: Timestamp, side: Side, change: u64) -> bool {
        if change != self.changes || self.answers.current() == side {
            return false;
        }
        self.answers.change(now, side);
        true
    }
}

/// The host in an address.
pub(crate) fn host_of(url: &str) -> &str {
    let rest = url.split_once(':').and_then(|(_, rest)| rest.strip_prefix("//")).unwrap_or(url);
    rest.split(['/', ':', '?']).next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_told_from_the_rest_of_an_address() {
        assert_eq!(host_of("https://portal.example.com:8443/health?deep=1"), "portal.example.com");
        assert_eq!(host_of("http://portal.example.com"), "portal.example.com");
    }
}
