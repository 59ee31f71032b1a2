//! Metrics, HTTP, DNS: how the service is seen from outside, and how traffic is moved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::{CallError, Duration, Region, Timestamp};

/// A CloudWatch metric over a window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricQuery {
    /// The namespace, such as `AWS/RDS`.
    pub namespace: Arc<str>,
    /// The metric's name.
    pub name: Arc<str>,
    /// Its dimensions.
    pub dimensions: BTreeMap<String, String>,
    /// The statistic, such as `Average` or `p99`.
    pub statistic: Arc<str>,
    /// What one datapoint stands for: 1, 5, 10, 20 or 30 seconds, or whole minutes. Source: the API reference of CloudWatch, MetricStat.
    pub period: Duration,
    /// From when; until now.
    pub since: Timestamp,
}

/// One value of a metric, in thousandths of its unit: integers compare and print the same everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datapoint {
    /// The end of the period.
    pub at: Timestamp,
    /// The value, times 1,000.
    pub milli: i64,
}

/// Reading CloudWatch metrics.
pub trait Metrics {
    /// The datapoints of each query, oldest first. No datapoint is not zero.
    async fn read_metrics(&self, region: &Region, queries: &[MetricQuery]) -> Result<Vec<Vec<Datapoint>>, CallError>;
}

/// The state of a CloudWatch alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmState {
    /// The metric is as it should be.
    Ok,
    /// The metric has crossed its threshold.
    Alarm {
        /// When the state was entered.
        since: Timestamp,
    },
    /// CloudWatch has too little data to say.
    InsufficientData,
}

/// Reading CloudWatch alarms.
pub trait Alarms {
    /// The states of alarms, by name, all in `region`; those that do not exist are absent.
    async fn alarm_states(&self, region: &Region, names: &[String]) -> Result<BTreeMap<String, AlarmState>, CallError>;
}

/// Publishing the metrics that health checks follow (data plane of the standby region).
pub trait MetricWriter {
    /// Publishes values of one namespace at the present instant, by one call: at most [`METRICS_A_CALL`] of them. `moves_traffic` says that they
    /// change where clients go, and do not only repeat what is already in force.
    async fn put_metrics(&self, region: &Region, namespace: &str, values: &[MetricValue], moves_traffic: bool) -> Result<(), CallError>;
}

/// Source: the API reference of CloudWatch, PutMetricData.
pub const METRICS_A_CALL: usize = 1_000;

/// A value of a metric, to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricValue {
    /// The metric's name.
    pub name: Arc<str>,
    /// Its dimensions.
    pub dimensions: BTreeMap<String, String>,
    /// The value, in thousandths.
    pub milli: i64,
}

/// Where a probe looks from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vantage(pub Region);

/// What came back from a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpAnswer {
    /// The server answered.
    Status {
        /// The HTTP status.
        status: u16,
        /// How long it took.
        took: Duration,
    },
    /// Nobody answered: no name, no connection, no answer in time.
    Nothing {
        /// What was seen.
        why: String,
    },
}

/// Looking at the service as its clients do.
pub trait Http {
    /// One GET, with a budget of five seconds; names are resolved afresh each time.
    async fn get(&self, from: &Vantage, url: &str) -> Result<HttpAnswer, CallError>;
}

/// Asking DNS what the world is told (data plane).
pub trait Resolver {
    /// The targets that the authoritative servers answer for a name now; empty where the name is unknown.
    async fn resolve(&self, name: &str) -> Result<BTreeSet<String>, CallError>;
}

/// An alias record of Route 53, as it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AliasRecord<'a> {
    /// The record's name, without a dot at its end.
    pub name: &'a str,
    /// `A` or `AAAA`.
    pub record_type: &'a str,
    /// The DNS name that it points to.
    pub target: &'a str,
    /// The hosted zone of the target's own region.
    pub target_zone: &'a str,
    /// Whether Route 53 looks at the target's own health.
    pub evaluate_target_health: bool,
}

/// A request takes 1,000 changes and 32,000 characters of values, and an UPSERT counts twice. Whether an alias' target counts among the values is not
/// said: so many of the longest targets would. Source: the Route 53 developer guide, "Quotas", on ChangeResourceRecordSets.
pub const ALIASES_A_CALL: usize = 200;

/// Route 53's control plane, which lives in us-east-1.
pub trait Dns {
    /// Points records of one hosted zone at their targets by one `ChangeResourceRecordSets` (`UPSERT`): all of them or none. At most
    /// [`ALIASES_A_CALL`]. Idempotent. Returns when the change is accepted, not when it is `INSYNC`.
    async fn upsert_aliases(&self, zone: &str, aliases: &[AliasRecord<'_>]) -> Result<(), CallError>;
}
