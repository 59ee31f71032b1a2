//! Checks: what must be observed before traffic moves, after it moved, and while the service settles.

use std::collections::BTreeMap;

use muster_core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::traffic::RegionRole;
use crate::units::{DurationText, Quantity};

/// A check of the service as a whole. Data is checked per database, with [`SqlCheck`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Check {
    /// One HTTP request.
    Http(HttpCheck),
    /// A CloudWatch metric against a threshold.
    Metric(MetricCheck),
    /// Lines of a log group that match a pattern, counted.
    Logs(LogCheck),
}

impl Check {
    /// The check's name.
    pub fn name(&self) -> &Name {
        match self {
            Check::Http(check) => &check.name,
            Check::Metric(check) => &check.name,
            Check::Logs(check) => &check.name,
        }
    }

    /// When it runs.
    pub fn stage(&self) -> CheckStage {
        match self {
            Check::Http(HttpCheck { via: Via::Standby, .. }) => CheckStage::BeforeTraffic,
            Check::Http(HttpCheck { via: Via::Public, .. }) => CheckStage::AfterTraffic,
            Check::Metric(check) => check.during,
            Check::Logs(check) => check.during,
        }
    }
}

/// When a check runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CheckStage {
    /// On the standby, before traffic moves to it.
    BeforeTraffic,
    /// Through the public name, after traffic moved.
    AfterTraffic,
    /// For a while afterwards: the run is successful once it has held.
    Stabilization,
}

/// One HTTP request, and what its answer must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HttpCheck {
    /// The check's name.
    pub name: Name,
    /// The address.
    #[schemars(regex(pattern = r"^https?://[^\s/]+(/\S*)?$"))]
    pub url: String,
    /// The status that the answer must have.
    #[serde(default = "ok")]
    pub status: u16,
    /// Text that the answer's body must contain.
    pub contains: Option<String>,
    /// Whether the request goes to the standby before traffic moves, or through the public name after it.
    pub via: Via,
    /// The longest that the answer may take.
    #[schemars(with = "Option<DurationText>")]
    pub within: Option<Duration>,
}

fn ok() -> u16 {
    200
}

/// Which way a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Via {
    /// Through the public name, as clients do: runs after traffic moved.
    Public,
    /// Straight to the standby: runs before traffic moves.
    Standby,
}

/// A CloudWatch metric against a threshold. Exactly one of `below`, `above`, `equals`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct MetricCheck {
    /// The check's name.
    pub name: Name,
    /// The namespace, such as `AWS/ApplicationELB`.
    pub namespace: String,
    /// The metric, such as `HTTPCode_Target_5XX_Count`.
    pub metric: String,
    /// The metric that it is a share of, in the same namespace and dimensions, such as `RequestCount`.
    pub share_of: Option<String>,
    /// The dimensions.
    #[serde(default)]
    pub dimensions: BTreeMap<String, String>,
    /// The statistic, such as `Sum`, `Average` or `p99`.
    #[schemars(regex(pattern = r"^(Sum|Average|Minimum|Maximum|SampleCount|p[0-9]{1,2}(\.[0-9]+)?)$"))]
    pub statistic: String,
    /// The length of one data point.
    #[schemars(with = "Option<DurationText>")]
    pub period: Option<Duration>,
    /// It must stay below this.
    pub below: Option<Quantity>,
    /// It must stay above this.
    pub above: Option<Quantity>,
    /// It must be exactly this.
    pub equals: Option<Quantity>,
    /// How long it must have held, by the timestamps of its data points.
    #[schemars(with = "Option<DurationText>")]
    pub held_for: Option<Duration>,
    /// The region whose CloudWatch is asked.
    #[serde(default = "standby")]
    pub region: RegionRole,
    /// When it runs.
    #[serde(default = "stabilization")]
    pub during: CheckStage,
}

fn standby() -> RegionRole {
    RegionRole::Standby
}

fn stabilization() -> CheckStage {
    CheckStage::Stabilization
}

/// Lines of a log group that match a pattern, counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LogCheck {
    /// The check's name.
    pub name: Name,
    /// The log group.
    pub log_group: String,
    /// The filter pattern, in CloudWatch Logs' syntax.
    pub pattern: String,
    /// At most so many lines may match.
    pub at_most: u64,
    /// How long they are counted.
    #[schemars(with = "DurationText")]
    pub over: Duration,
    /// The region of the log group.
    #[serde(default = "standby")]
    pub region: RegionRole,
    /// When it runs.
    #[serde(default = "stabilization")]
    pub during: CheckStage,
}

/// A query, and what its first column of its first row must be. With none of the expectations, the result is only recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SqlCheck {
    /// The only kind there is so far.
    pub kind: SqlKind,
    /// What is shown in reports; without it, the query.
    pub name: Option<Name>,
    /// The query. It runs in a read-only transaction.
    pub query: String,
    /// The value must be this: a number, a text, `true` or `false`.
    pub equals: Option<Scalar>,
    /// The value must be at most this.
    pub at_most: Option<i64>,
    /// The value must be at least this.
    pub at_least: Option<i64>,
    /// The query must answer within this time.
    #[schemars(with = "Option<DurationText>")]
    pub within: Option<Duration>,
    /// A pooler's address to go through instead of the database's, such as `pgbouncer.kaireon.internal:6432`.
    pub through: Option<String>,
}

impl SqlCheck {
    /// True where the result decides; false where it is only recorded.
    pub fn has_expectation(&self) -> bool {
        self.equals.is_some() || self.at_most.is_some() || self.at_least.is_some() || self.within.is_some()
    }
}

/// The kind of a data check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SqlKind {
    /// An SQL query.
    #[default]
    Sql,
}

/// A value that a query can return.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
}

impl JsonSchema for Scalar {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Scalar".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": ["boolean", "integer", "string"]})
    }
}
