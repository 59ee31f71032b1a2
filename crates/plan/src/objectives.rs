//! What was promised: objectives, tiers of components, service levels.

use muster_core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::units::{DurationOrZeroText, DurationText, Percent, Quantity};

/// How soon something must serve again after a failure, and how much of its data may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Objectives {
    /// Recovery time objective: the longest time from failure to full service.
    #[schemars(with = "DurationText")]
    pub rto: Duration,
    /// Recovery point objective: the largest loss of confirmed writes, in time. `0s` means none.
    #[schemars(with = "DurationOrZeroText")]
    pub rpo: Duration,
    /// The largest outage that these cover; a wider one is measured against the service's own.
    #[serde(default)]
    pub scope: OutageScope,
}

impl Objectives {
    /// What holds in an outage of that width: these, or the service's where these cover only a smaller one.
    pub fn in_outage(self, scope: OutageScope, service: Objectives) -> Objectives {
        if self.scope >= scope { self } else { service }
    }
}

/// A part of the service as its users know it, with a promise of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Component {
    /// Its name.
    pub name: Name,
    /// What it is called on the status page, where that differs.
    pub title: Option<String>,
    /// How much depends on it.
    pub tier: Tier,
    /// How soon it must serve again.
    #[schemars(with = "DurationText")]
    pub rto: Duration,
    /// How much of its data may be lost; left out where it keeps none.
    #[schemars(with = "Option<DurationOrZeroText>")]
    pub rpo: Option<Duration>,
    /// The strategy, in the runbook's words.
    pub strategy: String,
    /// The parts of this plan that recover it, such as `databases.portal-db` or `compute.api`.
    pub recovered_by: Vec<PartReference>,
    /// The largest outage that its own objectives cover; a wider one is measured against the objectives of the flow that answers it.
    #[serde(default)]
    pub scope: OutageScope,
}

/// How much of a service an outage takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OutageScope {
    /// One node, instance or process.
    Node,
    /// One Availability Zone.
    Zone,
    /// The whole primary region.
    #[default]
    Region,
}

/// How much depends on a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Tier {
    /// The service is down without it.
    Critical,
    /// The service is badly degraded without it.
    High,
    /// The service works for a while without it.
    Medium,
    /// It can wait.
    Low,
}

/// A part of the plan, written `section.name`, such as `databases.portal-db`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PartReference(#[schemars(regex(pattern = r"^[a-z][A-Za-z]*\.[a-z0-9][a-z0-9-]*$"))] pub String);

impl PartReference {
    /// The section, such as `databases`, and the name in it.
    pub fn parts(&self) -> Option<(&str, &str)> {
        self.0.split_once('.')
    }
}

/// A commitment to customers, which outages count against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ServiceLevel {
    /// What is measured, such as `Availability`.
    pub metric: String,
    /// At least this, such as `99.95%`.
    pub at_least: Option<Quantity>,
    /// At most this, such as `30m` of planned downtime.
    pub at_most: Option<Quantity>,
    /// The span that it is measured over.
    pub window: MeasurementWindow,
    /// What was reached when it was last measured.
    pub current: Option<Quantity>,
    /// What it rests on, such as `S3 backed`.
    pub note: Option<String>,
}

impl ServiceLevel {
    /// The availability that is promised, where this is a share.
    pub fn share(&self) -> Option<Percent> {
        match self.at_least {
            Some(Quantity::Percent(share)) => Some(share),
            _ => None,
        }
    }
}

/// The span that a service level is measured over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MeasurementWindow {
    /// A calendar month.
    Monthly,
    /// A calendar quarter.
    Quarterly,
    /// A calendar year.
    Annual,
}
