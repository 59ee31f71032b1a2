//! What the load balancer of either region measures: one for each region, whatever dimensions a query names.
//!
//! As the Elastic Load Balancing user guide has it ("CloudWatch metrics for your Application Load Balancer"), nothing is
//! reported for a minute without requests, and counts of response codes only where they are not zero ("Reporting
//! criteria: There is a nonzero value"). Counts are sums over the minute, whatever statistic is asked for.
//!
//! Modelled: requests that came and how many of them succeeded, as clients saw them; targets in service; response times
//! that grow as capacity is short. Not modelled: redirects and errors of clients (3XX, 4XX), connections, bytes.

use muster_core::{Duration, Timestamp};
use muster_plan::RegionRole;

use crate::clients::{ALL, Side};
use crate::compute::Group;
use crate::estate::Estate;
use crate::network::From;

const MINUTE: i64 = 60_000;

/// What a region did for those who came to it, from an instant on; shares in parts per million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Served {
    /// Whether clients reach its load balancer: all or nothing.
    reached: u64,
    /// Requests that succeed.
    success: u64,
    /// Healthy instances, of those that are needed, where they are scarcest.
    capacity: u64,
    /// Healthy instances.
    healthy: u32,
}

/// The history of one region's load balancer: constant between changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Balancer {
    history: Vec<(Timestamp, Served)>,
}

impl Balancer {
    fn change(&mut self, now: Timestamp, served: Served) {
        match self.history.last_mut() {
            Some((_, last)) if *last == served => {}
            Some((at, last)) if *at == now => *last = served,
            _ => self.history.push((now, served)),
        }
    }

    /// The mean over the minute until `until`. Before its first change everything was as it was then.
    fn mean(&self, until: Timestamp, of: impl Fn(&Served) -> u64) -> u64 {
        let (from, until) = (until.as_millis() - MINUTE, until.as_millis());
        let first = self.history.partition_point(|(at, _)| at.as_millis() <= from).saturating_sub(1);
        let mut total = 0;
        for (index, (at, served)) in self.history.iter().enumerate().skip(first) {
            let began = if index == 0 { from } else { at.as_millis().max(from) };
            let ended = self.history.get(index + 1).map_or(until, |(next, _)| next.as_millis().min(until));
            total += of(served) * u64::try_from(ended - began).unwrap_or(0);
        }
        total / MINUTE.unsigned_abs()
    }
}

impl Estate {
    /// After a change: what the load balancers see from now on.
    pub(crate) fn measure(&mut self) {
        for (index, role) in [RegionRole::Primary, RegionRole::Standby].into_iter().enumerate() {
            let share = |group: &Group| u64::from(group.healthy().min(group.needed)) * ALL / u64::from(group.needed.max(1));
            let served = Served {
                reached: if self.network.reaches(From::Clients, role) { ALL } else { 0 },
                success: self.service[index].success,
                capacity: self.serving_groups(role).map(share).min().unwrap_or(ALL),
                healthy: self.serving_groups(role).map(Group::healthy).sum(),
            };
            self.balancers[index].change(self.now, served);
        }
    }

    /// Requests that reached a region in the minute until `at`.
    pub(crate) fn requests(&self, side: Side, at: Timestamp) -> u64 {
        let sent = self.clients.requests(at, self.records.iter().map(|record| &record.answers), side);
        share(sent, self.balancer(side).mean(at, |served| served.reached))
    }

    fn balancer(&self, side: Side) -> &Balancer {
        &self.balancers[usize::from(side == Side::Standby)]
    }

    /// A metric of `AWS/ApplicationELB` for the minute until `at`, in thousandths. `None`: it is not one of those that are
    /// modelled; `Some(None)`: it has no datapoint.
    pub(crate) fn balancer_metric(&self, side: Side, name: &str, statistic: &str, at: Timestamp) -> Option<Option<u64>> {
        let balancer = self.balancer(side);
        let sent = self.clients.requests(at, self.records.iter().map(|record| &record.answers), side);
        let requests = share(sent, balancer.mean(at, |served| served.reached));
        let succeeded = || share(sent, balancer.mean(at, |served| served.success));
        let unserved = || share(sent, balancer.mean(at, |served| if served.capacity == 0 { served.reached } else { 0 }));
        let count = match name {
            "HealthyHostCount" => return Some(Some(balancer.mean(at, |served| u64::from(served.healthy) * 1_000))),
            "TargetResponseTime" => {
                let capacity = balancer.mean(at, |served| served.capacity);
                return Some((requests > 0 && capacity > 0).then(|| self.response_time(statistic, capacity, side, at)));
            }
            "RequestCount" => requests,
            "HTTPCode_Target_2XX_Count" => succeeded(),
            // Without a single target it is the load balancer that answers: 503.
            "HTTPCode_ELB_5XX_Count" | "HTTPCode_ELB_503_Count" => unserved(),
            "HTTPCode_Target_5XX_Count" => requests.saturating_sub(succeeded()).saturating_sub(unserved()),
            "HTTPCode_Target_3XX_Count" | "HTTPCode_Target_4XX_Count" | "HTTPCode_ELB_3XX_Count" | "HTTPCode_ELB_4XX_Count" => 0,
            _ => return None,
        };
        Some((count > 0).then_some(count * 1_000))
    }

    /// Milliseconds, which are thousandths of the metric's seconds: a fifth more or less from minute to minute, and the
    /// longer the less of the needed capacity there is.
    fn response_time(&self, statistic: &str, capacity: u64, side: Side, at: Timestamp) -> u64 {
        let minute = (at.as_millis() / MINUTE).unsigned_abs();
        let swing = 80 + self.durations.draw().below(if side == Side::Standby { "standby" } else { "primary" }, "response time", minute, 41);
        healthy_response_time(statistic).as_millis() * swing / 100 * ALL / capacity
    }
}

/// Of a web application with a database behind it that has the capacity that it needs. AWS publishes no figures: this is
/// what such a service promises its users, a median well under a tenth of a second and a tail of half a second.
fn healthy_response_time(statistic: &str) -> Duration {
    let percentile = statistic.strip_prefix('p').and_then(|text| text.split('.').next()).and_then(|text| text.parse::<u32>().ok());
    Duration::from_millis(match (statistic, percentile) {
        ("Minimum", _) => 4,
        ("Maximum", _) => 1_400,
        (_, Some(0..=50)) => 45,
        (_, Some(51..=90)) => 140,
        (_, Some(91..=95)) => 220,
        (_, Some(_)) => 480,
        _ => 80,
    })
}

fn share(count: u64, ppm: u64) -> u64 {
    u64::try_from(u128::from(count) * u128::from(ppm) / u128::from(ALL)).unwrap_or(u64::MAX)
}
