//! Traffic: the public names, and how each is moved to the standby region.

use muster_core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::DurationText;

/// A role that a region plays in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RegionRole {
    /// Where the service runs on a good day.
    Primary,
    /// Where it is recovered.
    Standby,
    /// The third one, which only watches.
    Witness,
}

/// A public name and how it is moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TrafficRecord {
    /// The public name, without a dot at its end.
    #[schemars(regex(pattern = r"^(\*\.)?([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?\.)+[A-Za-z]{2,}$"))]
    pub record: String,
    /// The identifier of its Route 53 hosted zone.
    #[schemars(regex(pattern = r"^Z[A-Z0-9]{1,31}$"))]
    pub zone: String,
    /// How it is moved.
    pub method: TrafficMethod,
    /// How long clients may keep an old answer.
    #[schemars(with = "DurationText")]
    pub ttl: Duration,
    /// Where it points on a good day.
    pub primary: Endpoint,
    /// Where it points after a failover.
    pub standby: Endpoint,
}

impl TrafficRecord {
    /// True where moving it needs only data planes: no change of a record, which needs Route 53's control plane in us-east-1.
    pub fn moves_without_a_control_plane(&self) -> bool {
        matches!(self.method, TrafficMethod::TakeoverMetric { .. } | TrafficMethod::RoutingControl { .. } | TrafficMethod::AutomaticFailover { .. })
    }
}

/// Where a name points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Endpoint {
    /// The address whose answer tells whether it is healthy, without going through the public name.
    #[schemars(regex(pattern = r"^https?://[^\s/]+(/\S*)?$"))]
    pub url: String,
    /// The load balancer's name.
    pub load_balancer: Option<String>,
    /// Its target group's name, whose healthy targets are counted.
    pub target_group: Option<String>,
}

/// How a public name is moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum TrafficMethod {
    /// A failover record whose primary is healthy until Muster's takeover metric in the standby region says otherwise. Data plane only.
    TakeoverMetric {
        /// The Route 53 health check that follows the metric's alarm.
        health_check: String,
        /// The CloudWatch alarm in the standby region that the health check follows.
        alarm: Option<String>,
        /// The metric's namespace.
        #[serde(default = "takeover_namespace")]
        namespace: String,
        /// The metric's name.
        #[serde(default = "takeover_metric")]
        metric: String,
    },
    /// Switches of an Application Recovery Controller cluster. Data plane only.
    RoutingControl {
        /// The cluster's five regional endpoints.
        endpoints: Vec<RoutingEndpoint>,
        /// The ARN of the switch that lets traffic into the primary region.
        primary_control: String,
        /// The ARN of the switch that lets traffic into the standby region.
        standby_control: String,
    },
    /// The record is rewritten. Needs Route 53's control plane, which is in us-east-1.
    UpsertAlias {
        /// What the record points to on a good day.
        primary: AliasTarget,
        /// What it points to after a failover.
        standby: AliasTarget,
        /// The type of the record.
        #[serde(default)]
        record_type: RecordType,
        /// Whether Route 53 looks at the target's own health.
        #[serde(default)]
        evaluate_target_health: bool,
    },
    /// Route 53 moves it by itself when a health check of the primary fails: only for services without a database to promote.
    AutomaticFailover {
        /// The health check of the primary.
        health_check: String,
    },
}

fn takeover_namespace() -> String {
    "Muster".to_owned()
}

fn takeover_metric() -> String {
    "Takeover".to_owned()
}

/// One of the five regional endpoints of a routing-control cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RoutingEndpoint {
    /// Its address.
    pub url: String,
    /// Its region.
    #[schemars(with = "crate::units::RegionText")]
    pub region: muster_core::Region,
}

/// The target of an alias record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AliasTarget {
    /// The load balancer's DNS name.
    pub dns_name: String,
    /// The hosted zone of the load balancer's own region, which differs from region to region.
    #[schemars(regex(pattern = r"^Z[A-Z0-9]{1,31}$"))]
    pub zone: String,
}

/// The type of an alias record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RecordType {
    /// IPv4.
    #[default]
    A,
    /// IPv6.
    #[serde(rename = "AAAA")]
    Aaaa,
}

impl RecordType {
    /// As DNS writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            RecordType::A => "A",
            RecordType::Aaaa => "AAAA",
        }
    }
}
