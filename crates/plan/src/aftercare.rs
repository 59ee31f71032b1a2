//! What comes before and after: prerequisites of the standby, the way back, what people do in the days that follow.

use muster_core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::units::DurationText;

/// What the standby region must have before a failover can succeed. The preflight looks at each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Prerequisite {
    /// A container image is in the standby region's registry.
    ContainerImage {
        /// The repository.
        repository: String,
        /// The tag; without it, any.
        tag: Option<String>,
    },
    /// A service quota is large enough.
    Quota {
        /// The service's code, such as `ec2`.
        service: String,
        /// The quota's code, such as `L-1216C47A`.
        code: String,
        /// The value that is needed.
        at_least: u64,
    },
    /// A KMS key is enabled.
    KmsKey {
        /// Its ARN, identifier or alias.
        key: String,
    },
    /// A TLS certificate is issued, in the standby region: certificates are regional.
    Certificate {
        /// Its ARN.
        arn: String,
    },
    /// A secret can be read.
    Secret {
        /// Its name.
        secret: String,
    },
    /// An EKS cluster is active.
    EksCluster {
        /// Its name.
        cluster: String,
    },
    /// A launch template exists and its image can be used.
    LaunchTemplate {
        /// Its name.
        template: String,
    },
    /// EC2 capacity is reserved.
    CapacityReservation {
        /// Its identifier.
        id: String,
    },
}

/// How the service moves back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Failback {
    /// How long the primary region must have been stable.
    #[schemars(with = "DurationText")]
    pub primary_stable_for: Duration,
    /// The longest that writes may be frozen during the switch.
    #[schemars(with = "DurationText")]
    pub write_freeze: Duration,
    /// Who approves it: one of `people.roles`. It is never automatic.
    pub approved_by: String,
    /// How long the old standby is kept afterwards, before it is removed.
    #[schemars(with = "DurationText")]
    pub decommission_after: Duration,
    /// How long the final snapshot, which is always taken, is kept.
    #[schemars(with = "DurationText")]
    pub keep_final_snapshot: Duration,
    /// The identifiers of the databases in the primary region after failback.
    #[serde(default)]
    pub databases: Vec<FailbackDatabase>,
}

/// A database's place after failback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FailbackDatabase {
    /// Its name under `databases`.
    pub database: Name,
    /// The identifier of the replica that is built in the primary region and promoted there.
    pub id: String,
}

/// Something to do in the hours and days after a recovery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FollowUp {
    /// How long after the recovery it should be done.
    #[schemars(with = "DurationText")]
    pub within: Duration,
    /// What it is.
    pub task: String,
    /// The check that tells whether it is done; without one, a person ticks it off.
    pub check: Option<Name>,
}

/// A resource that people need to find.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct InventoryItem {
    /// What it is, such as `EKS cluster (primary)`.
    pub resource: String,
    /// Its identifier.
    pub id: String,
    /// Its region; left out where it is global.
    #[schemars(with = "Option<crate::units::RegionText>")]
    pub region: Option<muster_core::Region>,
}

/// The load that a rehearsal puts on the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Load {
    /// Client requests per second.
    pub requests_per_second: u32,
    /// The share of them that write.
    pub writes: crate::units::Percent,
}

/// The document that the plan was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Document {
    /// Its title.
    pub title: String,
    /// Its version.
    pub version: Option<String>,
    /// When it was last updated, in its own words.
    pub updated: Option<String>,
    /// When it is next reviewed.
    pub next_review: Option<String>,
    /// Whom it is for.
    pub audience: Option<String>,
    /// Its classification.
    pub classification: Option<String>,
}
